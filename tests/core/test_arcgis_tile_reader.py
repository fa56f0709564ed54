"""Tiles of a service one by one: which answers are tiles, which tiles its tile map tells of."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_site import SITE, AnsweringSite, Unreachable, answer, error, html, quick_client

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.arcgis.tile_reader import TileReader
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.arcgis.turns import MOST
from tile_cache_manager.plugin.core.description import CacheDescription, LevelStatus
from tile_cache_manager.plugin.core.errors import (
    NotAllowed,
    NotArcGIS,
    NoTileThere,
    SignInNeeded,
    SiteRefused,
    SiteUnreachable,
    SourceError,
)
from tile_cache_manager.plugin.core.export.site_tiles import SiteTiles
from tile_cache_manager.plugin.core.local.source import PartlyDrawn, Supertile
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import Level, SpatialReference, TileRange, TilingScheme

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures"
SERVICE = service_of(f"{SITE}/rest/services/Town/MapServer")
ROOT = "/rest/services/Town/MapServer"
LEVELS = (Level(3, 10.0, 40000.0), Level(9, 5.0, 20000.0))
SCHEME = TilingScheme(0.0, 4000.0, 100, 100, 96.0, SpatialReference(25832), LEVELS)
PNG = b"\x89PNG\r\n\x1a\n..."


def town(**fields: Any) -> CacheDescription:
    given = {"has_tile_map": True, **fields}
    return CacheDescription(SERVICE.url, "Town", "MapServer", SCHEME, LEVELS, None, "PNG", **given)


def reader(pages: Any, sign_in: Any = None, **fields: Any) -> TileReader:
    site = AnsweringSite(pages) if isinstance(pages, dict) else pages
    return TileReader(quick_client(site, sign_in), SERVICE, town(**fields))


def picture(content: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse("", status, {"content-type": "image/png"}, content)


def read(reply: Any) -> bytes | None:
    return reader({f"{ROOT}/tile/9/5/7": reply}).read(9, 5, 7)


@pytest.mark.parametrize(
    "content",
    [
        PNG,
        b"\xff\xd8\xff\xe0 JFIF",
        b"\xff\xd8\xff\xe1 Exif",
        b"GIF89a...",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"CntZImage \x0b",
        b"Lerc2 \x04",
    ],
)
def test_a_tile(content: bytes) -> None:
    assert read(picture(content)) == content


def test_how_it_is_asked_for() -> None:
    """Level, row, column; and without a placeholder where there is none."""
    site = AnsweringSite({f"{ROOT}/tile/9/5/7": picture(PNG)})

    reader(site).read(9, 5, 7)

    assert site.asked == [(f"{ROOT}/tile/9/5/7", {"blankTile": "false"})]


@pytest.mark.parametrize(
    "reply", [html(404), answer("", 404), error(404, "no tile"), answer("", 204), picture(b"", 404)]
)
def test_no_tile(reply: Any) -> None:
    assert read(reply) is None


@pytest.mark.parametrize(
    "reply",
    [html(), answer("no tile"), picture(b""), picture(b"RIFF\0\0\0\0WAVE"), answer({"a": 1}),
     answer("{ no JSON"), picture(b"\x1f\x8b\x08")],
)  # fmt: skip
def test_something_else_than_a_tile(reply: Any) -> None:
    with pytest.raises(NoTileThere) as caught:
        read(reply)
    assert (caught.value.service, caught.value.status) == ("Town", 200)
    assert caught.value.content_type == reply.headers["content-type"]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (error(499, "Token Required"), SignInNeeded),
        (error(498, "Invalid token"), SignInNeeded),
        (html(401), SignInNeeded),
        (html(403), SignInNeeded),
        (error(500, "broken"), SiteRefused),
        (html(500), NotArcGIS),
        (Unreachable.REFUSED, SiteUnreachable),
    ],
)
def test_errors(reply: Any, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        read(reply)


def test_passing_trouble() -> None:
    assert read([Unreachable.TIMEOUT, error(503), answer("", 429), picture(PNG)]) == PNG


# Tile maps

BLOCK = TileRange(8, 11, 16, 18)  # 4 rows, 3 columns


def tile_map(
    data: list[int], left: int = 16, top: int = 8, width: int = 3, height: int = 4, **more: Any
) -> dict[str, Any]:
    where = {"left": left, "top": top, "width": width, "height": height}
    return {"valid": True, "adjusted": False, "location": where, "data": data, **more}


def exists(reply: Any, more: dict[str, Any] | None = None) -> Any:
    pages = {f"{ROOT}/tilemap/9/8/16/3/4": reply, **(more or {})}
    found = reader(pages).exists(9, BLOCK)
    return None if found is None else found.astype(int).tolist()


ONES, ZEROS = [[1, 1, 1]] * 4, [[0, 0, 0]] * 4


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (tile_map([1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0, 1]),
         [[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 0, 1]]),
        (tile_map([1]), ONES),
        (tile_map([0]), ZEROS),
        (tile_map([1, 1, 1, 1]), ONES),
        (tile_map([1, 0]), None),
        (tile_map([]), None),
        (tile_map([1], valid=False), None),
        ({"data": [1]}, None),
        (error(422), ZEROS),
        (answer("", 422), ZEROS),
        (answer({"error": {"code": 422}}, 422), ZEROS),
        (error(400), None),
        (error(404), None),
        (error(500), None),
        (html(), None),
        # more than was asked for
        (tile_map([1, 0] * 14, left=15, width=4, top=7, height=7), [[0, 1, 0]] * 4),
        # nothing of what was asked for
        (tile_map([1], left=40), None),
        (tile_map([1], width=0, height=0, adjusted=True), None),
        (tile_map([1], width=10**9, height=10**9), None),
    ],
)  # fmt: skip
def test_tile_maps(reply: Any, expected: Any) -> None:
    assert exists(reply) == expected


def test_a_tile_map_in_parts() -> None:
    """The site tells of rows 9 and 10 of the first two columns; the rest is asked for again."""
    pages = {
        f"{ROOT}/tilemap/9/8/16/3/1": tile_map([1], height=1),
        f"{ROOT}/tilemap/9/11/16/3/1": error(422),
        f"{ROOT}/tilemap/9/9/18/1/2": tile_map([0, 1], left=18, top=9, width=1, height=2),
    }
    first = tile_map([1, 0, 0, 1], top=9, width=2, height=2, adjusted=True)

    assert exists(first, pages) == [[1, 1, 1], [1, 0, 0], [0, 1, 1], [0, 0, 0]]


def test_a_tile_map_whose_rest_is_not_told() -> None:
    assert exists(tile_map([1], height=2, adjusted=True)) is None


def test_a_recorded_tile_map() -> None:
    path = FIXTURES / "tilemap-adjusted.json"
    if not path.exists():
        pytest.skip("the recorded answers are not here")
    pages = {
        f"{ROOT}/tilemap/9/7/7/8/8": json.loads(path.read_text(encoding="utf-8")),
        f"{ROOT}/tilemap/9/7/11/4/8": json.loads(
            (FIXTURES / "tilemap-error-422.json").read_text(encoding="utf-8")
        ),
    }

    found = reader(pages).exists(9, TileRange(7, 14, 7, 14))

    assert found is not None
    assert list(zip(*np.nonzero(found))) == [(4, 3)]


@pytest.mark.parametrize("reply", [error(499), error(403)])
def test_a_tile_map_that_may_not_be_seen(reply: Any) -> None:
    with pytest.raises(SignInNeeded):
        exists(reply)
    tiles = reader({f"{ROOT}/tilemap/9/8/16/3/4": reply}, FixedToken("t0ps3cret"))
    with pytest.raises((SignInNeeded, NotAllowed)):
        tiles.exists(9, BLOCK)


def test_a_service_without_tile_maps_is_not_asked() -> None:
    site = AnsweringSite({})

    assert reader(site, has_tile_map=False).exists(9, BLOCK) is None
    assert site.asked == []


def test_a_service_that_never_answers_clearly_is_asked_no_more() -> None:
    site = AnsweringSite({})
    tiles = reader(site)

    assert [tiles.exists(9, BLOCK) for _ in range(9)] == [None] * 9
    assert len(site.asked) == 3


# As a source


class _TileSite:
    """Has the tiles of `present` (row, column) at level 9; or answers of its own for some."""

    def __init__(
        self, present: set[tuple[int, int]], odd: dict[tuple[int, int], Any] | None = None
    ) -> None:
        self.present, self.odd = present, odd or {}
        self.read: list[tuple[int, int]] = []
        self.maps: list[str] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        what, _, place = request.url[len(SITE + ROOT) + 1 :].partition("/")
        if what == "tilemap":
            self.maps.append(place)
            _, top, left, width, height = map(int, place.split("/"))
            data = [
                int((top + row, left + col) in self.present)
                for row in range(height)
                for col in range(width)
            ]
            return answer(tile_map(data, left, top, width, height))
        level, row, col = map(int, place.split("/"))
        assert level == 9
        self.read.append((row, col))
        reply = self.odd.get((row, col))
        if isinstance(reply, Unreachable):
            raise SiteUnreachable(request.url, reply)
        if reply is not None:
            return HttpResponse(request.url, reply.status, reply.headers, reply.body)
        return picture(PNG + b"%d %d" % (row, col), 200 if (row, col) in self.present else 404)


# the target calls the level 2, and has no other
TARGET = CacheProfile(
    TilingScheme(0.0, 4000.0, 100, 100, 96.0, SpatialReference(25832), (Level(2, 5.0, 20000.0),)),
    StorageFormat.COMPACT_V2,
    "PNG",
)
WHOLE = np.ones((4, 4), dtype=np.bool_)


def source(site: Any, **fields: Any) -> SiteTiles:
    made = SiteTiles(reader(site, **fields), town(**fields))
    made.start(TARGET)
    return made


def supertile(row: int = 8, col: int = 4, wanted: Any = WHOLE) -> Supertile:
    return Supertile(TARGET.scheme.levels[0], TileRange(row, row + 3, col, col + 3), wanted)


def never() -> bool:
    return False


@pytest.mark.parametrize("has_tile_map", [True, False])
def test_tiles_of_a_supertile(has_tile_map: bool) -> None:
    """What is wanted and there is read; with a tile map, nothing else is asked for."""
    wanted = WHOLE.copy()
    wanted[3] = False
    site = _TileSite({(8, 4), (10, 7), (11, 5)})

    tiles = source(site, has_tile_map=has_tile_map).draw(supertile(wanted=wanted), never)

    assert tiles == {(8, 4): PNG + b"8 4", (10, 7): PNG + b"10 7"}
    assert len(site.read) == (2 if has_tile_map else 12)


def test_one_tile_map_for_many_supertiles() -> None:
    site = _TileSite({(0, 0), (40, 70)})
    tiles = source(site)

    for row in range(0, 64, 4):
        for col in range(64, 96, 4):
            tiles.draw(supertile(row, col), never)

    assert site.maps == ["9/0/64/32/32", "9/32/64/32/32"]
    assert site.read == [(40, 70)]
    tiles.close()


def test_cancelled_between_tiles() -> None:
    site = _TileSite({(8, 4), (8, 5), (8, 6)})

    tiles = source(site).draw(supertile(), lambda: len(site.read) == 2)

    assert sorted(tiles) == [(8, 4), (8, 5)]


def test_tiles_that_fail_by_themselves() -> None:
    site = _TileSite({(8, 4), (8, 5), (8, 6)}, {(8, 5): html(), (8, 6): error(500, "broken")})

    tiles = source(site).draw(supertile(), never)

    assert isinstance(tiles, PartlyDrawn)
    assert list(tiles) == [(8, 4)]
    assert {place: type(why) for place, why in tiles.failed.items()} == {
        (8, 5): NoTileThere,
        (8, 6): SiteRefused,
    }


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (html(), NoTileThere),
        (error(500), SiteRefused),
        (error(499), SignInNeeded),
        (Unreachable.NAME, SiteUnreachable),
    ],
)
def test_a_service_that_gives_no_tile_any_more(reply: Any, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        source(_TileSite({(8, 4)}, {(8, 4): reply})).draw(supertile(), never)


@pytest.mark.parametrize("reply", [error(499), Unreachable.NAME])
def test_trouble_that_is_not_one_tile_s(reply: Any) -> None:
    with pytest.raises((SignInNeeded, SiteUnreachable)):
        source(_TileSite({(8, 4), (8, 5)}, {(8, 5): reply})).draw(supertile(), never)


def test_a_scale_that_the_service_lacks() -> None:
    other = Supertile(Level(7, 1.0, 4000.0), TileRange(0, 3, 0, 3), WHOLE)
    with pytest.raises(SourceError):
        source(_TileSite(set())).draw(other, never)


def test_several_at_a_time() -> None:
    """As many threads as it says may draw at once; all get their own tiles."""
    site = _TileSite({(row, col) for row in range(32) for col in range(32)})
    tiles = source(site, has_tile_map=False)
    found: dict[tuple[int, int], bytes] = {}

    def draw(row: int) -> None:
        for col in range(0, 32, 4):
            found.update(tiles.draw(supertile(row, col), never))

    threads = [threading.Thread(target=draw, args=(row,)) for row in range(0, 32, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (tiles.workers, tiles.supertile_side) == (MOST, 4)
    assert len(found) == 4 * 4 * 32
    assert all(tile == PNG + b"%d %d" % place for place, tile in found.items())


def test_what_it_is_called_and_known_by() -> None:
    tiles, again = source(_TileSite(set())), source(_TileSite(set()))
    other = SiteTiles(reader({}), town(text="another text"))
    jpeg = CacheDescription(SERVICE.url, "Town", "MapServer", SCHEME, LEVELS, None, "JPEG")

    assert tiles.name == "Town"
    assert tiles.fingerprint == again.fingerprint == other.fingerprint
    assert SiteTiles(reader({}), jpeg).fingerprint != tiles.fingerprint


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (LevelStatus(9, 4, 8, 1000), 250.0),
        (LevelStatus(9, 4, 8), None),
        (LevelStatus(9, 0, 8, 0), None),
        (LevelStatus(3, 4, 8, 1000), None),
    ],
)
def test_bytes_of_a_tile(status: LevelStatus, expected: float | None) -> None:
    tiles = source(_TileSite(set()), status=(status,))

    assert tiles.tile_bytes(2) == expected
