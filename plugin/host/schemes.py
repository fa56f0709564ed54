"""From a text to a tiling scheme for a new cache.

WEB_MERCATOR, WGS84, PROJECT (the project's CRS with round scales), or the path or URL of something
that has one: a cache on this computer, its conf.xml or root.json, a map or image service.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsProject,
    QgsRectangle,
)

from ..core.arcgis.credentials import SignIn
from ..core.arcgis.transport import Transport
from ..core.cache import open_cache
from ..core.errors import (
    AddressError,
    BadScheme,
    BadSchemeReason,
    DescriptionError,
    NotACache,
    NotACacheReason,
)
from ..core.esri_wkt import metres_per_unit
from ..core.schemes import (
    MOST_PIXELS,
    area_of,
    scheme_of_scales,
    standard_origin,
    web_mercator,
    wgs84,
    with_dpi,
    with_tile_size,
)
from ..core.storage.addresses import local_path
from ..core.storage.opening import read_profile
from ..core.tiling import WEB_MERCATOR_HALF, Extent, SpatialReference, TilingScheme
from . import network
from .crs import qgis_crs

WEB_MERCATOR = "WEB_MERCATOR"
WGS84 = "WGS84"
PROJECT = "PROJECT"

USUAL_TILE_SIZE = 256
USUAL_DPI = 96

FINEST_SCALE = 500.0
"""The finest of the round scales; the others are its doubles."""

MOST_ACROSS = 2
"""The coarsest round scale shows the whole area in so many tiles across."""


@dataclass(frozen=True)
class ProjectFacts:
    """What of a project a scheme may be made from, copied on the main thread.

    `extent`: its full extent in `crs`; None where it has none. `transport`: how sites are reached.
    """

    name: str
    crs: QgsCoordinateReferenceSystem
    extent: QgsRectangle | None
    context: QgsCoordinateTransformContext
    transport: Transport | None = None

    @classmethod
    def of(cls, project: QgsProject, auth_config_id: str = "", *for_urls: str) -> ProjectFacts:
        """The facts of `project`. Main thread.

        `auth_config_id`, `for_urls`: the sign-in details for what the scheme is taken from, and
        what that may be asked at, see `network.transport`.
        Raises SignInUnusable, MasterPasswordNeeded.
        """
        extent = project.viewSettings().fullExtent()
        is_usable = not extent.isEmpty() and extent.isFinite()
        return cls(
            name=project.title() or project.baseName(),
            crs=QgsCoordinateReferenceSystem(project.crs()),
            extent=QgsRectangle(extent) if is_usable else None,
            context=QgsCoordinateTransformContext(project.transformContext()),
            transport=network.transport(auth_config_id, *for_urls),
        )


def facts_of(project: QgsProject, auth_config_id: str = "", text: str = "") -> ProjectFacts:
    """See ProjectFacts.of. Main thread."""
    return ProjectFacts.of(project, auth_config_id, text)


def read_scheme(
    text: str,
    facts: ProjectFacts,
    tile_size: int = USUAL_TILE_SIZE,
    dpi: int = USUAL_DPI,
    scales: tuple[float, ...] = (),
    credentials: SignIn | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[TilingScheme, Extent | None]:
    """The scheme that `text` stands for, and the extent of the data to be cached in its CRS.

    Off the main thread: reads the disk or asks a site. `scales`: denominators; of a scheme that has
    levels already they choose among these, in the project's CRS they make them; (): all, or round
    ones. `tile_size`, `dpi`: of another cache's scheme they change only what is not usual, for
    "256" and "96" are what nobody chose. `credentials`, `cancelled`: for a service, as for
    `open_cache`. The extent is the project's, as far as the
    CRS reaches, None where it has none; with another cache's scheme it is that cache's.
    Raises BadScheme, UnknownScale, StorageError, SiteError, DescriptionError, AddressError.
    """
    text = text.strip()
    if text == PROJECT:
        scheme = _project_scheme(facts, tile_size, float(dpi), scales)
        return scheme, _project_extent(facts, scheme)
    if text in (WEB_MERCATOR, WGS84):
        maker = web_mercator if text == WEB_MERCATOR else wgs84
        scheme = _chosen(maker(tile_size, dpi), scales)
        return scheme, _project_extent(facts, scheme)
    scheme, extent = _found(text, facts, credentials, cancelled)
    if tile_size not in (USUAL_TILE_SIZE, scheme.tile_width):
        scheme = with_tile_size(scheme, tile_size)
    if dpi not in (USUAL_DPI, scheme.dpi):
        scheme = with_dpi(scheme, dpi)
    return _with_text(_chosen(scheme, scales)), extent


def reference_of(crs: QgsCoordinateReferenceSystem) -> SpatialReference:
    """`crs` as caches name it: by code, where it is EPSG's or Esri's, and by Esri's WKT.

    Raises BadScheme where it is no CRS at all.
    """
    if not crs.isValid():
        raise BadScheme(crs.description(), BadSchemeReason.NO_CRS)
    authority, _, number = crs.authid().partition(":")
    code = int(number) if authority in ("EPSG", "ESRI") and number.isdigit() else None
    wkt = crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT1_ESRI) or None
    return SpatialReference(code, code, wkt)


def _chosen(scheme: TilingScheme, scales: tuple[float, ...]) -> TilingScheme:
    """`scheme` with the levels of `scales` only, which keep their ids. Raises UnknownScale."""
    wanted = {scheme.level_of_scale(scale) for scale in scales}
    levels = tuple(level for level in scheme.levels if level in wanted or not scales)
    return replace(scheme, levels=levels)


def _found(
    text: str, facts: ProjectFacts, credentials: SignIn | None, cancelled: Callable[[], bool]
) -> tuple[TilingScheme, Extent | None]:
    """Scheme and extent of the cache or service that `text` names."""
    path = local_path(text)
    if path is not None:
        try:
            profile = read_profile(path)
        except NotACache as error:
            if error.reason is NotACacheReason.MISSING:
                raise BadScheme(text, BadSchemeReason.MISSING) from error
            raise
        return profile.scheme, profile.extent
    try:
        description = open_cache(text, credentials, facts.transport, cancelled).describe()
    except AddressError as error:
        raise BadScheme(text, BadSchemeReason.MISSING) from error
    scheme = replace(description.scheme, levels=description.cached_levels)
    return scheme, description.extent


def _with_text(scheme: TilingScheme) -> TilingScheme:
    """`scheme` with the WKT of its CRS, which the files of caches hold, where it had none."""
    if scheme.crs.wkt or scheme.crs.code in (3857, 4326):
        return scheme
    try:
        wkt = reference_of(qgis_crs(scheme.crs)).wkt
    except DescriptionError:
        raise BadScheme(f"{scheme.crs.code}", BadSchemeReason.NO_CRS) from None
    return replace(scheme, crs=replace(scheme.crs, wkt=wkt))


# The project's CRS


def _project_scheme(
    facts: ProjectFacts, tile_size: int, dpi: float, scales: tuple[float, ...]
) -> TilingScheme:
    """A scheme in the project's CRS, the same for all projects in that CRS. Raises BadScheme."""
    reference = reference_of(facts.crs)
    if not scales and reference.code in (3857, 4326):
        return (web_mercator if reference.code == 3857 else wgs84)(tile_size, dpi)
    area = _area_of_use(facts)
    if area is None:
        raise BadScheme(facts.name, BadSchemeReason.NO_CRS)
    x, y = standard_origin(reference, area)
    if reference.code == 3857:
        x, y = -WEB_MERCATOR_HALF, WEB_MERCATOR_HALF
    unit = metres_per_unit(reference)
    if unit is None:
        raise BadScheme(facts.name, BadSchemeReason.NO_CRS)
    tile = tile_size / dpi * 0.0254 / unit  # CRS units of a tile at 1:1
    if not scales:
        across = max(area.xmax - area.xmin, area.ymax - area.ymin)
        farthest = 2 * max(-x, y)  # readers give up on levels of more pixels than MOST_PIXELS
        finest = max(FINEST_SCALE, farthest / (MOST_PIXELS * tile / tile_size))
        coarsest = across / (MOST_ACROSS * tile)
        scales = tuple(_round_scales(finest, coarsest))
    return scheme_of_scales(scales, reference, x, y, unit, tile_size, dpi)


def _round_scales(finest: float, coarsest: float) -> list[float]:
    """FINEST_SCALE and its doubles, from the first above `finest` to the first above `coarsest`."""
    first = max(0, math.ceil(math.log2(finest / FINEST_SCALE)))
    last = max(first, math.ceil(math.log2(coarsest / FINEST_SCALE)))
    return [FINEST_SCALE * 2**n for n in range(first, last + 1)]


def _area_of_use(facts: ProjectFacts) -> Extent | None:
    """Where the project's CRS is meant for, in its own units; else the project's full extent."""
    bounds = facts.crs.bounds()
    if not bounds.isEmpty():
        world = QgsCoordinateReferenceSystem("EPSG:4326")
        there = QgsCoordinateTransform(world, facts.crs, facts.context)
        try:
            box = there.transformBoundingBox(bounds)
        except QgsCsException:
            box = QgsRectangle()
        if box.isFinite() and not box.isEmpty():
            return _extent(box)
    return None if facts.extent is None else _extent(facts.extent)


def _project_extent(facts: ProjectFacts, scheme: TilingScheme) -> Extent | None:
    """The project's full extent in the CRS of `scheme`, as far as both CRS reach."""
    area = _area_of_use(facts) if facts.crs.isValid() else None
    if facts.extent is None or area is None:
        return None
    # a layer of the whole world has no meaning in a national grid, nor has its transformed extent
    meant = _extent(facts.extent).intersection(area)
    if meant is None:
        return None
    transform = QgsCoordinateTransform(facts.crs, qgis_crs(scheme.crs), facts.context)
    try:
        box = transform.transformBoundingBox(QgsRectangle(*meant.bounds))
    except QgsCsException:
        return None
    if not box.isFinite() or box.isEmpty():
        return None
    is_world = scheme.crs.code in (3857, 4326)
    return _extent(box).intersection(area_of(scheme)) if is_world else _extent(box)


def _extent(box: QgsRectangle) -> Extent:
    return Extent(box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum())
