"""What ``exportTiles`` and ``estimateExportTilesSize`` are asked for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from .answers import bad_request
from .cache_files import COMPACT, COMPACT_V2, EXPLODED
from .coverage import BadArea, area_of_request
from .profiles import Service, Site
from .schemes import Lod

NAMES = (
    "tilePackage",
    "exportExtent",
    "areaOfInterest",
    "exportBy",
    "levels",
    "storageFormatType",
    "storageFormat",
    "optimizeTilesForSize",
    "compressionQuality",
)
_FIRST_COMPACT_V2 = 10.7  # older sites know one storage format and take no notice of others
_STORAGE = {
    "esrimapcachestoragemodecompactv2": COMPACT_V2,
    "compactv2": COMPACT_V2,
    "esrimapcachestoragemodecompact": COMPACT,
    "compact": COMPACT,
    "": COMPACT,
}
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ExportPlan:
    """An export: ``area`` is in the scheme's reference; ``storage`` as ``conf.xml`` words it.

    ``folder`` is where the server is to put it, None: into its output directory. ``limit`` is how
    many tiles may be asked for. ``replaces``: tiles in ``folder`` are replaced by the new ones.
    """

    service: Service
    lods: tuple[Lod, ...]
    area: BaseGeometry
    storage: str
    is_package: bool
    folder: Path | None = None
    limit: int | None = None
    replaces: bool = True

    @property
    def file_name(self) -> str:
        """What the package, or the folder of the cache, is called."""
        leaf = self.service.name.rpartition("/")[2]
        if not self.is_package:
            return leaf
        return f"{leaf}.tpkx" if self.storage == COMPACT_V2 else f"{leaf}.tpk"


def read_plan(site: Site, service: Service, form: Mapping[str, str]) -> ExportPlan:
    """Read the parameters of ``exportTiles``.

    Raises:
        EsriError: 400, a parameter is missing or wrong.
    """
    try:
        area = area_of_request(
            service, form.get("areaOfInterest", ""), form.get("exportExtent", "")
        )
    except BadArea as error:
        raise bad_request("Invalid or missing input parameters.", str(error)) from error
    wanted = form.get("storageFormatType") or form.get("storageFormat") or ""
    storage = _STORAGE.get(wanted.lower())
    if storage is None:
        raise bad_request("Invalid or missing input parameters.", f"No format '{wanted}'.")
    return ExportPlan(
        service,
        lods_of(service, form.get("exportBy", ""), form.get("levels", "")),
        area,
        COMPACT if site.version < _FIRST_COMPACT_V2 else storage,
        is_package=form.get("tilePackage", "").lower() == "true",
        limit=service.max_export_tiles,
    )


def lods_of(service: Service, export_by: str, text: str) -> tuple[Lod, ...]:
    """Return the levels that ``levels`` names by ``exportBy``, numbers and ranges of them.

    Raises:
        EsriError: 400, the text is wrong or names a level that is not there.
    """
    value_of = _value_of(export_by)
    found: set[Lod] = set()
    lods = service.scheme.lods if service.scheme else ()
    for part in filter(None, (part.strip() for part in text.split(","))):
        ends = [_number(end) for end in re.split(r"(?<=\d)\s*-\s*", part)]
        low, high = min(ends), max(ends)
        named = {
            lod
            for lod in lods
            if low * (1 - _TOLERANCE) <= value_of(lod) <= high * (1 + _TOLERANCE)
        }
        if not named or len(ends) > 2:
            raise bad_request("Invalid or missing input parameters.", f"No level '{part}'.")
        found |= named
    if not found:
        raise bad_request("Invalid or missing input parameters.", "Required: levels")
    return tuple(sorted(found, key=lambda lod: lod.level))


def _value_of(export_by: str) -> Callable[[Lod], float]:
    kinds: dict[str, Callable[[Lod], float]] = {
        "": lambda lod: lod.level,
        "levelid": lambda lod: lod.level,
        "resolution": lambda lod: lod.resolution,
        "scale": lambda lod: lod.scale,
    }
    if export_by.lower() not in kinds:
        raise bad_request("Invalid or missing input parameters.", f"exportBy '{export_by}'")
    return kinds[export_by.lower()]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise bad_request("Invalid or missing input parameters.", f"No level '{text}'.") from error


STORAGE_OF_TASK = {"EXPLODED": EXPLODED, "COMPACT": COMPACT, "COMPACT_V2": COMPACT_V2}
"""How the caching task Export Cache words the storage formats."""
