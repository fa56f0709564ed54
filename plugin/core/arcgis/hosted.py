"""Hosted layers: where they are administered, and in what parts they are updated.

Tile layers and tiled imagery that ArcGIS Online hosts have no caching task. Their administration,
`.../rest/admin/services/<name>/<kind>`, makes and deletes tiles by level ids, in a rectangle, whole
bundles at a time. Source: Esri REST reference, "Update tiles" and "Delete tiles" of ArcGIS Online's
hosted tile services; what those leave open follows Esri's own Python client.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Union
from urllib.parse import urlsplit

from shapely.geometry.base import BaseGeometry

from ..area import parse_extent
from ..bundle_rectangles import Cut, cuts
from ..description import CacheDescription, LevelStatus
from ..errors import (
    AreaOutside,
    BadExtent,
    CachingUnavailable,
    EmptyArea,
    ModeNotOffered,
    NotAllowed,
    NotArcGIS,
    SignInNeeded,
    SiteRefused,
    TileCacheError,
    TooManyJobs,
    Unavailable,
)
from ..esri_json import extent, extent_json
from ..request import UpdateMode, UpdateRequest
from ..site_update import UpdatePart
from ..tiling import Extent
from .address import ServiceAddress
from .caching import CachingTask, find_caching_task
from .client import Client
from .envelope import is_busy
from .status import parse_status_value

HOSTED_MODES = (UpdateMode.RECREATE_ALL, UpdateMode.DELETE)
"""What a hosted layer's administration can do: nothing there makes only what is missing."""

MAX_JOBS = 1000
"""An update that took more jobs than that would be kept, and waited for, one after the other."""

OPERATION = "operation"
"""Key of a part's form for what is asked of the administration; not a parameter of it."""

OPERATIONS = {UpdateMode.RECREATE_ALL: "updateTiles", UpdateMode.DELETE: "deleteTiles"}

_SERVICES_PART = re.compile(r"/rest/services(?=/)", re.IGNORECASE)
_TILES_HOST = re.compile(r"tile[a-z]*\d*\.arcgis\.com", re.IGNORECASE)
"""tiles.arcgis.com, tiles4.arcgis.com, tiledimageservices.arcgis.com."""


@dataclass(frozen=True)
class HostedAdmin:
    """The administration of a hosted layer, at `url`."""

    url: str
    client: Client

    def read(self) -> tuple[LevelStatus, ...]:
        """How full the levels are now; () where it does not tell. Raises SiteError."""
        return parse_status_value(self.client.read(self.url))


Management = Union[CachingTask, HostedAdmin]
"""What makes and deletes the tiles of a service."""


def admin_url(service: ServiceAddress) -> str:
    """Where `service` is administered if it is a hosted layer."""
    return service.site_url + _SERVICES_PART.sub(
        "/rest/admin/services", service.url[len(service.site_url) :], count=1
    )


def find_management(
    client: Client, service: ServiceAddress, description: CacheDescription
) -> Management:
    """The caching task of the service's site, or the service's own administration.

    What serves nothing but tiles is asked for its administration first, everything else for the
    caching task: hosted layers of a portal on ArcGIS Enterprise are updated by that.
    Raises CachingUnavailable, NotArcGIS where that may be because something else than ArcGIS
    answered, SiteUnreachable.
    """
    is_on_tiles_host = _TILES_HOST.fullmatch(urlsplit(service.url).hostname or "") is not None
    if is_on_tiles_host or description.has_tiles_only:
        try:
            return find_hosted(client, service, by_status=not is_on_tiles_host)
        except (CachingUnavailable, NotArcGIS) as error:
            return _caching_task(client, service, error)
    try:
        return find_caching_task(client, service.site_url)
    except (CachingUnavailable, NotArcGIS) as error:
        return _administration(client, service, error)


def find_hosted(client: Client, service: ServiceAddress, *, by_status: bool = False) -> HostedAdmin:
    """The administration of `service`.

    `by_status`: only where it tells how full the levels are, as no other ArcGIS does at that place.
    Raises CachingUnavailable where there is none, or this user has no right to it; NotArcGIS,
    SiteUnreachable.
    """
    url = admin_url(service)
    try:
        body = client.read(url)
    except SignInNeeded as error:
        raise CachingUnavailable(url, Unavailable.SIGN_IN) from error
    except NotAllowed as error:
        raise CachingUnavailable(url, Unavailable.NO_RIGHT) from error
    except SiteRefused as error:
        if is_busy(error):
            raise
        raise CachingUnavailable(url, Unavailable.NO_TOOLS) from error
    if not body or (by_status and "lodInfos" not in body):
        raise CachingUnavailable(url, Unavailable.NO_TOOLS)
    return HostedAdmin(url, client)


def hosted_parts(request: UpdateRequest, description: CacheDescription) -> tuple[UpdatePart, ...]:
    """What `request` takes: a part for each rectangle of bundles, coarsest level first.

    Raises ModeNotOffered, EmptyArea, AreaOutside, TooManyJobs.
    """
    if request.mode not in OPERATIONS:
        raise ModeNotOffered(description.name, request.mode.value)
    parts = tuple(part for each in request.by_area() for part in _parts(each, description))
    if len(parts) > MAX_JOBS:
        raise TooManyJobs(description.name, MAX_JOBS)
    return parts


def part_of(cut: Cut, like: UpdatePart, description: CacheDescription) -> UpdatePart:
    """A part that does in `cut` what the part `like` does."""
    operation = like.form.get(OPERATION, "")
    form = {
        **like.form,
        "levels": levels_text(cut.tiles),
        "extent": _extent_text(cut.extent, operation, description),
    }
    return UpdatePart(tuple(cut.tiles), form, cut.planned)


def keeps_existing(part: UpdatePart) -> bool:
    """Whether the job of `part` leaves tiles as they are that exist already."""
    merges = part.form.get("mergeBundle") == _flag(True)
    return merges and part.form.get("replaceTiles") != _flag(True)


def cut_of(part: UpdatePart, description: CacheDescription) -> Cut | None:
    """The rectangle of `part`; None where it has none, or does not fit the cache any more."""
    rectangle = extent_in(part.form.get("extent", ""))
    scheme = description.scheme
    known = {level.id: level for level in scheme.levels}
    if rectangle is None or not known.keys() >= set(part.level_ids):
        return None
    blocks = {key: scheme.tiles_of_extent(known[key], rectangle) for key in part.level_ids}
    tiles = {key: block for key, block in blocks.items() if block is not None}
    return Cut(rectangle, tiles) if tiles else None


def extent_in(text: str) -> Extent | None:
    """The rectangle in a form's `text`, an envelope object or four numbers; None where none is."""
    if not text.startswith("{"):
        try:
            return parse_extent(text)
        except BadExtent:
            return None
    try:
        return extent(json.loads(text))
    except ValueError:
        return None


def levels_text(level_ids: Iterable[int]) -> str:
    """Level ids as the administration takes them: `0-5,10`."""
    ranges: list[list[int]] = []
    for level_id in sorted(level_ids):
        if ranges and level_id == ranges[-1][-1] + 1:
            ranges[-1] = [ranges[-1][0], level_id]
        else:
            ranges.append([level_id])
    return ",".join("-".join(map(str, ends)) for ends in ranges)


def _parts(request: UpdateRequest, description: CacheDescription) -> Iterator[UpdatePart]:
    """The parts of `request`, which has one area. Raises EmptyArea, AreaOutside."""
    place = request.extent if request.area is None else request.area
    like = _without_place(request)
    if place is None and description.extent is None:
        # nobody knows where its full extent is but the site
        yield like
        return
    found = cuts(request.scheme, request.levels, place, description.extent, MAX_JOBS)
    if not found:
        is_empty = isinstance(place, BaseGeometry) and place.is_empty
        raise EmptyArea() if is_empty else AreaOutside(description.name)
    for cut in found:
        yield part_of(cut, like, description)


def _without_place(request: UpdateRequest) -> UpdatePart:
    """What is asked for of all levels of `request`, in the full extent."""
    level_ids = tuple(level.id for level in request.levels)
    form = {OPERATION: OPERATIONS[request.mode], "levels": levels_text(level_ids)}
    if request.mode is not UpdateMode.DELETE:
        form["mergeBundle"] = _flag(request.hosted.merges_bundles)
        # without merging, each bundle is written anew as a whole, and nothing in it is kept
        form["replaceTiles"] = _flag(
            request.hosted.merges_bundles and request.hosted.replaces_tiles
        )
    return UpdatePart(level_ids, form)


def _extent_text(rectangle: Extent, operation: str, description: CacheDescription) -> str:
    """`rectangle` as Esri's own client sends it."""
    if description.kind == "ImageServer" and operation == OPERATIONS[UpdateMode.RECREATE_ALL]:
        return ",".join(repr(float(value)) for value in rectangle.bounds)
    return json.dumps(extent_json(rectangle, description.scheme.crs))


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _caching_task(client: Client, service: ServiceAddress, first: TileCacheError) -> CachingTask:
    """The caching task, for a service that has no administration of its own, as `first` tells."""
    try:
        return find_caching_task(client, service.site_url)
    except (CachingUnavailable, NotArcGIS) as error:
        raise (error if _says_more(error, first) else first) from error


def _administration(client: Client, service: ServiceAddress, first: TileCacheError) -> HostedAdmin:
    """The service's administration, for a site that has no caching task, as `first` tells."""
    try:
        return find_hosted(client, service, by_status=True)
    except CachingUnavailable as error:
        if _says_more(error, first):
            # nobody knows that it is a hosted layer; a site may hide its caching services, too
            raise CachingUnavailable(service.site_url, error.reason) from error
        raise first from error
    except NotArcGIS as error:
        raise first from error


def _says_more(second: TileCacheError, first: TileCacheError) -> bool:
    """Whether a person can do something about the `second` reason, and nothing about the first."""
    is_nothing = isinstance(first, CachingUnavailable) and first.reason is Unavailable.NO_TOOLS
    return (
        is_nothing
        and isinstance(second, CachingUnavailable)
        and second.reason in (Unavailable.SIGN_IN, Unavailable.NO_RIGHT)
    )
