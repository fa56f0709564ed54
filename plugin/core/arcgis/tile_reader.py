"""Tiles of a service, one by one, and which of them there are.

Source: Esri REST reference, "Map tile" and "Tile map"; what services do beyond it was read from
public clients: without `blankTile=false` many send a placeholder where there is no tile, and a
tile map is answered in short where all is alike, in part where it reaches across a limit, and by
error 422 where nothing is.
"""

from __future__ import annotations

import numpy as np

from ..description import CacheDescription
from ..errors import NotAllowed, NotArcGIS, NotFound, NoTileThere, SignInNeeded, SiteRefused
from ..esri_json import JsonObject, items, mapping, whole
from ..storage.store import Bools
from ..tiling import TileRange
from .address import ServiceAddress
from .client import Client
from .transport import HttpResponse
from .turns import Turns

NOTHING_THERE = 422
MOST_ASKED = 64
"""Requests that one block of a tile map may take, which is one for each part with its own limit."""
UNCLEAR_ENOUGH = 3
"""Unclear answers in a row after which a service is asked for tile maps no more."""

_NO_CONTENT = 204
_BEGINNINGS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"CntZImage", b"Lerc2 ")
"""PNG, JPEG, GIF, and both versions of LERC."""


class TileReader:
    """Reads tiles of `service`. Blocks; for use by several threads at once."""

    def __init__(
        self, client: Client, service: ServiceAddress, description: CacheDescription
    ) -> None:
        self._client, self._service = client, service
        self._has_tile_map = description.has_tile_map
        self._unclear = 0

    @property
    def turns(self) -> Turns:
        """How many tiles are read at once."""
        return self._client.turns

    def read(self, level_id: int, row: int, col: int) -> bytes | None:
        """The tile, as the service has stored it; None where it has none.

        Raises NoTileThere where something else came, SiteError.
        """
        url = f"{self._service.url}/tile/{level_id}/{row}/{col}"
        try:
            response = self._client.fetch(url, {"blankTile": "false"})
        except NotFound:
            return None
        if response.status == _NO_CONTENT:
            return None
        if not _is_picture(response.body):
            raise self._no_tile(response)
        return response.body

    def exists(self, level_id: int, block: TileRange) -> Bools | None:
        """Which tiles of `block` the service has, by row and column; None where it cannot tell.

        Raises SiteUnreachable, SignInNeeded, NotAllowed, SignInFailed.
        """
        if not self._has_tile_map or self._unclear >= UNCLEAR_ENOUGH:
            return None
        found = np.zeros(
            (block.max_row - block.min_row + 1, block.max_col - block.min_col + 1), dtype=np.bool_
        )
        waiting, asked = [block], 0
        while waiting:
            part = waiting.pop()
            asked += 1
            told = self._tile_map(level_id, part) if asked <= MOST_ASKED else None
            if told is None:
                self._unclear += 1
                return None
            where, present = told
            found[
                where.min_row - block.min_row : where.max_row - block.min_row + 1,
                where.min_col - block.min_col : where.max_col - block.min_col + 1,
            ] = present
            waiting += _rest(part, where)
        self._unclear = 0
        return found

    def _tile_map(self, level_id: int, part: TileRange) -> tuple[TileRange, Bools] | None:
        """For which tiles of `part` the service tells, and what; None where it is not clear."""
        height, width = part.max_row - part.min_row + 1, part.max_col - part.min_col + 1
        place = f"{part.min_row}/{part.min_col}/{width}/{height}"
        try:
            body = self._client.read(f"{self._service.url}/tilemap/{level_id}/{place}")
        except (SignInNeeded, NotAllowed):
            raise
        except SiteRefused as error:
            is_empty = error.code == NOTHING_THERE
            return (part, np.zeros((height, width), dtype=np.bool_)) if is_empty else None
        except NotArcGIS as error:
            is_empty = error.status == NOTHING_THERE
            return (part, np.zeros((height, width), dtype=np.bool_)) if is_empty else None
        return _told(body, part)

    def _no_tile(self, response: HttpResponse) -> NoTileThere:
        content_type = response.headers.get("content-type", "")
        return NoTileThere(self._service.name, response.status, content_type)


def _is_picture(content: bytes) -> bool:
    is_webp = content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return is_webp or content.startswith(_BEGINNINGS)


def _told(body: JsonObject, part: TileRange) -> tuple[TileRange, Bools] | None:
    """For which tiles of `part` a tile map tells, and what."""
    if body.get("valid") is False:
        return None
    location = mapping(body.get("location"))
    left, top = whole(location.get("left")), whole(location.get("top"))
    width, height = whole(location.get("width")), whole(location.get("height"))
    if left is None or top is None or width is None or height is None:
        return None
    data = np.array([bool(whole(value)) for value in items(body.get("data"))], dtype=np.bool_)
    if width < 1 or height < 1 or width * height > 1 << 20 or not data.size:
        return None
    if data.size != width * height:
        if data.any() != data.all():
            return None
        data = np.full(width * height, data[0])
    first_row, first_col = max(top, part.min_row), max(left, part.min_col)
    last_row = min(top + height - 1, part.max_row)
    last_col = min(left + width - 1, part.max_col)
    if first_row > last_row or first_col > last_col:
        return None
    told = data.reshape(height, width)
    return (
        TileRange(first_row, last_row, first_col, last_col),
        told[first_row - top : last_row - top + 1, first_col - left : last_col - left + 1],
    )


def _rest(part: TileRange, where: TileRange) -> list[TileRange]:
    """`part` without `where`, which lies in it: above, below, left, right."""
    rest = [
        TileRange(part.min_row, where.min_row - 1, part.min_col, part.max_col),
        TileRange(where.max_row + 1, part.max_row, part.min_col, part.max_col),
        TileRange(where.min_row, where.max_row, part.min_col, where.min_col - 1),
        TileRange(where.min_row, where.max_row, where.max_col + 1, part.max_col),
    ]
    return [each for each in rest if each.min_row <= each.max_row and each.min_col <= each.max_col]
