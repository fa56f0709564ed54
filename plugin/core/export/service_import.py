"""Importing tiles into the cache of a service, which its site does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..arcgis.address import ServiceAddress
from ..arcgis.client import Client
from ..arcgis.import_cache import ImportForm, import_into_service, takes_packages
from ..arcgis.jobs import Pace
from ..arcgis.service import parse_service
from ..coverage import count_tiles
from ..description import CacheDescription
from ..errors import ServiceChanged
from ..level_areas import by_area
from ..local.plan import plan_of
from ..request import Feedback, LevelReport, Outcome
from ..storage.opening import open_store
from ..storage.profile import CacheProfile, StorageFormat
from ..storage.store import TileStore
from .copying import fill, update_of
from .import_request import ImportRequest, prepared
from .request import ExportReport, ExportRequest, Overwrite, Pixels
from .store_tiles import StoreTiles

_PACKAGES = (StorageFormat.TPK, StorageFormat.TPKX)

_PACKED = 40.0  # percent of the progress that is made once tiles are packed


def import_to_service(
    client: Client,
    service: ServiceAddress,
    request: ImportRequest,
    feedback: Feedback,
    *,
    pixels: Pixels,
    pace: Pace | None = None,
) -> ExportReport:
    """Have the site of `service` carry out `request`. Blocks.

    A package is sent as it is; tiles of another cache are packed first, those that were asked for.
    A site that takes no files is told the path, for it may see the same one; so is any where
    `request` has a path that the site sees.
    Raises ServiceChanged, CachesDiffer, NothingToImport, AreaOutside, EmptyArea;
    CachingUnavailable, SiteError, JobError; StorageError.
    """
    description = parse_service(client.read(service.url), service)
    if description.scheme != request.scheme:
        raise ServiceChanged(service.name)
    if request.server_path:
        return _from_server(client, service, request, feedback, description, pace)
    with open_store(request.source) as store:
        target = Path(service.name)
        like, wanted = prepared(store, request, _profile_of(description), target, service.url)
        planned = _planned(store, wanted, like)
        storage, place = store.profile.storage, store.path
    report = ExportReport(
        outcome=Outcome.DONE,
        service=like.name,
        address=str(request.source),
        target=service.url,
        levels=tuple(LevelReport(level, planned.get(level.id, 0)) for level in request.levels),
    )
    sending = _Sending(client, service, wanted, pace)
    if not takes_packages(client, service):
        return sending.send(feedback, report, server_path=str(place.absolute()))
    if storage in _PACKAGES and not request.is_clipped:
        return sending.send(feedback, report, package=place)
    with _packed(request.source, wanted, like, feedback, pixels) as package:
        if package is None:
            return replace(report, outcome=Outcome.CANCELLED)
        return sending.send(_told_from(feedback, _PACKED), report, package=package)


def _from_server(
    client: Client,
    service: ServiceAddress,
    request: ImportRequest,
    feedback: Feedback,
    description: CacheDescription,
    pace: Pace | None,
) -> ExportReport:
    """Have the site import what it alone sees, so that nothing is compared here."""
    wanted = ExportRequest(
        scheme=request.scheme,
        levels=request.levels,
        areas=request.areas,
        target=Path(service.name),
        storage=StorageFormat.COMPACT_V2,
        overwrite=request.overwrite,
    )
    planned: dict[int, int] = {}
    for levels, place in by_area(request.areas, request.levels):
        area = description.extent if place is None else place
        planned.update({} if area is None else count_tiles(request.scheme, levels, area))
    report = ExportReport(
        outcome=Outcome.DONE,
        service=service.name,
        address=request.server_path,
        target=service.url,
        levels=tuple(LevelReport(level, planned.get(level.id)) for level in request.levels),
    )
    sending = _Sending(client, service, wanted, pace)
    return sending.send(feedback, report, server_path=request.server_path)


def _profile_of(description: CacheDescription) -> CacheProfile:
    """What the service says of itself, as of a cache."""
    return CacheProfile(
        scheme=description.scheme,
        storage=StorageFormat.COMPACT_V2,
        image_format=description.image_format.upper(),
        compression_quality=description.compression_quality,
        cached_ids=tuple(level.id for level in description.cached_levels),
        extent=description.extent,
        name=description.name,
    )


def _planned(store: TileStore, wanted: ExportRequest, like: CacheProfile) -> dict[int, int]:
    """How many tiles the areas touch, by level id. Raises AreaOutside, EmptyArea."""
    profile = replace(store.profile, scheme=wanted.scheme, extent=like.extent)
    plan = plan_of(update_of(wanted, wanted.scheme, like), profile, like.name)
    return {level.id: plan.count(level) for level in plan.levels}


@contextmanager
def _packed(
    source: Path, wanted: ExportRequest, like: CacheProfile, feedback: Feedback, pixels: Pixels
) -> Iterator[Path | None]:
    """The tiles asked for in a package, which is gone after the block; None once cancelled."""
    with TemporaryDirectory() as folder:
        package = Path(folder) / f"{_file_name(like.name)}.tpkx"
        packing = replace(
            wanted,
            target=package,
            storage=StorageFormat.TPKX,
            overwrite=Overwrite.OVERWRITE,
        )
        tiles = StoreTiles([open_store(source)], like.name)
        told = replace(feedback, progress=lambda done: feedback.progress(done * _PACKED / 100))
        filled = fill(packing, like, tiles, told, pixels=pixels)
        yield None if filled.report.outcome is Outcome.CANCELLED else package


def _file_name(name: str) -> str:
    """`name` as part of a file's name that every system takes."""
    return "".join(each if each.isalnum() else "_" for each in name)[:60] or "tiles"


@dataclass(frozen=True)
class _Sending:
    """Has the site of `service` import the tiles of `wanted`."""

    client: Client
    service: ServiceAddress
    wanted: ExportRequest
    pace: Pace | None

    def send(
        self,
        feedback: Feedback,
        report: ExportReport,
        *,
        server_path: str = "",
        package: Path | None = None,
    ) -> ExportReport:
        """One job for each area, of what lies in either place; `report` with what came of it."""
        groups = by_area(self.wanted.areas, self.wanted.levels)
        for number, (levels, area) in enumerate(groups):
            form = ImportForm(
                levels=levels,
                place=area,
                scheme=self.wanted.scheme,
                overwrite=self.wanted.overwrite is Overwrite.OVERWRITE,
                server_path=server_path,
                package=package,
            )
            ends = (100.0 * each / len(groups) for each in (number, number + 1))
            told = _told_from(feedback, *ends)
            ended = import_into_service(self.client, self.service, form, told, self.pace)
            report = replace(
                report,
                outcome=report.outcome if ended.outcome is Outcome.DONE else ended.outcome,
                jobs=report.jobs + (1 if ended.job_url else 0),
            )
            if ended.outcome in (Outcome.CANCELLED, Outcome.SUBMITTED):
                break
        return report


def _told_from(feedback: Feedback, start: float, end: float = 100.0) -> Feedback:
    """`feedback` for a part of the work, from `start` to `end` percent."""
    share = (end - start) / 100
    return replace(feedback, progress=lambda done: feedback.progress(start + done * share))
