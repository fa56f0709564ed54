"""The ``tile`` and ``tilemap`` resources of a cached service."""

from __future__ import annotations

import hashlib
from typing import Any

from flask import Response, request

from .answers import EsriError, answer, bad_request, page, value_of
from .bundles import BUNDLE_SIDE, tiles_present
from .drawing import png
from .on_demand import stored_tile
from .profiles import Service
from .state import SiteState

_PNG_START = b"\x89PNG"


def tile(state: SiteState, service: Service, parts: list[str]) -> Response:
    """Answer ``tile/{level}/{row}/{col}``: the bytes as they lie in the cache."""
    if not service.cached or service.scheme is None:
        raise bad_request("The service has no tile cache.")
    level, row, col = _numbers(parts, 3)
    data = None
    if service.scheme.lod(level) is not None and row >= 0 and col >= 0:
        data = stored_tile(state, service, level, (row, col))
    if data is None:
        return _missing(state, service)
    kind = "image/png" if data.startswith(_PNG_START) else "image/jpeg"
    response = Response(data, content_type=kind)
    response.set_etag(hashlib.sha256(data).hexdigest()[:32])
    response.headers["Cache-Control"] = "max-age=86400"
    response.make_conditional(request)
    del response.headers["Date"]  # the web server adds its own
    return response


def _missing(state: SiteState, service: Service) -> Response:
    if state.profile.hosted and value_of("blankTile", "true").lower() != "false":
        return Response(_placeholder(service), content_type="image/png")
    return page("Tile not found", "The tile is not in the cache.", 404)


def _placeholder(service: Service) -> bytes:
    """Return the picture that says that there are no data, as resampling services send it."""
    size = service.scheme.tile_size if service.scheme else 256
    line = b"\0" + b"\xcc\xcc\xcc" * size
    return png(size, size, line * size)


def tilemap(state: SiteState, service: Service, parts: list[str]) -> Response:
    """Answer ``tilemap/{level}/{row}/{col}/{width}/{height}``: which tiles exist."""
    if not service.cached or service.scheme is None or not service.has_tilemap:
        raise bad_request("The service does not have the tile map capability.")
    level, row, col, width, height = _numbers(parts, 5)
    if service.scheme.lod(level) is None or min(row, col) < 0 or min(width, height) < 1:
        raise EsriError(404, "Tile map not found")
    wide = min(width, BUNDLE_SIDE - col % BUNDLE_SIDE)
    high = min(height, BUNDLE_SIDE - row % BUNDLE_SIDE)
    present = tiles_present(state.cache_folder(service), level)
    bundle = (row // BUNDLE_SIDE, col // BUNDLE_SIDE)
    if not any((r // BUNDLE_SIDE, c // BUNDLE_SIDE) == bundle for r, c in present):
        status = 422 if state.profile.hosted else 200
        raise EsriError(422, "There are no tiles in this bundle.", status=status)
    found = [int((r, c) in present) for r in range(row, row + high) for c in range(col, col + wide)]
    data: dict[str, Any] = {
        "valid": True,
        "location": {"left": col, "top": row, "width": wide, "height": high},
        "adjusted": (wide, high) != (width, height),
        "data": found[:1] if len(set(found)) == 1 else found,
    }
    return answer(state.profile, data, "Tile map")


def _numbers(parts: list[str], expected: int) -> list[int]:
    try:
        numbers = [int(part) for part in parts]
    except ValueError as error:
        raise bad_request("The address holds something other than numbers.") from error
    if len(numbers) != expected:
        raise bad_request(f"The address needs {expected} numbers.")
    return numbers
