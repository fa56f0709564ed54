"""How many tiles a service is asked for at once: more where that wins, fewer where it is busy."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scripted_site import SITE, answer, error

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.client import Client, Repeats
from tile_cache_manager.plugin.core.arcgis.tile_reader import TileReader
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.arcgis.turns import FIRST, MOST, AtOnce, Turns
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import SiteUnreachable, TileCacheError, Unreachable
from tile_cache_manager.plugin.core.export.site_tiles import SiteTiles
from tile_cache_manager.plugin.core.local.source import Supertile
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import Level, SpatialReference, TileRange, TilingScheme

SERVICE = service_of(f"{SITE}/rest/services/Town/MapServer")
LEVEL = Level(9, 5.0, 20000.0)
SCHEME = TilingScheme(0.0, 4000.0, 100, 100, 96.0, SpatialReference(25832), (LEVEL,))
TOWN = CacheDescription(SERVICE.url, "Town", "MapServer", SCHEME, (LEVEL,), None, "PNG")
WHOLE = np.ones((4, 4), dtype=np.bool_)
PNG = b"\x89PNG\r\n\x1a\n"
URL = "https://maps.example/tile"


def picture(words: str) -> HttpResponse:
    return HttpResponse("", 200, {"content-type": "image/png"}, PNG + words.encode())


Server = Callable[[float, int], float]
"""Seconds that a server takes for an answer, at a moment, with so many requests at once."""


def play(server: Server, seconds: float, start: AtOnce | None = None, at: float = 0.0) -> AtOnce:
    """Ask `server` as often as allowed, by a clock of its own."""
    now, at_once = at, start or AtOnce(at)
    under_way: list[tuple[float, float]] = []  # when it ends, when it was begun
    while now < at + seconds:
        while len(under_way) < at_once.limit:
            under_way.append((now + server(now, at_once.limit), now))
        under_way.sort()
        now, begun = under_way.pop(0)
        at_once.answered(begun, now)
    return at_once


@pytest.mark.parametrize(
    ("server", "least", "most"),
    [
        (lambda now, n: 0.1, MOST, MOST),  # as many as one likes, each as fast
        (lambda now, n: 0.02 * n, FIRST, FIRST),  # one after the other: more win nothing
        (lambda now, n: 0.1 if n <= 6 else 0.1 * n / 6, 6, 6),  # six processors
        (lambda now, n: 0.1 if now < 40 else 1.0, 1, 2),  # ten times as slow from then on
    ],
)
def test_where_it_settles(server: Server, least: int, most: int) -> None:
    found = {play(server, seconds).limit for seconds in (45.0, 46.0, 47.0)}

    assert all(least <= limit <= most + 1 for limit in found)
    assert min(found) <= most


def test_it_grows_again() -> None:
    """A service that was slow for a while gets as many as before, once it is fast again."""
    at_once = play(lambda now, n: 0.1 if now < 40 else 1.0, 45.0)
    assert at_once.limit <= 2

    assert play(lambda now, n: 0.1, 120.0, at_once, at=200.0).limit == MOST


def test_pushed_back() -> None:
    """Each push halves, down to one; those to requests that were on their way already do not."""
    at_once = AtOnce(0.0)

    limits = []
    for begun, now in ((1.0, 2.0), (1.5, 2.1), (2.0, 3.0), (4.0, 5.0), (6.0, 7.0)):
        at_once.pushed_back(begun, now)
        limits.append(at_once.limit)

    assert limits == [2, 2, 1, 1, 1]
    assert at_once.until == 0.0
    at_once.pushed_back(8.0, 9.0, pause=5.0)
    at_once.pushed_back(8.0, 9.5, pause=1.0)
    assert at_once.until == 14.0
    assert play(lambda now, n: 0.1, 60.0, at_once, at=20.0).limit == MOST


def test_a_service_that_allows_so_many_a_second() -> None:
    """Even one at a time may be too much: then there are gaps, which close again."""
    at_once, now, allowance, refused, got = AtOnce(0.0), 0.0, 20.0, [], []
    while now < 120.0:
        begun, now = now, now + 0.001 + at_once.gap
        allowed = 300.0 if now < 60.0 else 1e6
        allowance = min(20.0, allowance + (now - begun) * allowed)
        if allowance >= 1.0:
            allowance -= 1.0
            got.append(now)
            at_once.answered(now - 0.001, now)
        else:
            refused.append(now)
            at_once.pushed_back(now - 0.001, now)
            now += 0.5  # before the same is asked for again
    rate = sum(10.0 <= moment < 60.0 for moment in got) / 50.0

    assert 100.0 < rate <= 300.0
    assert len(refused) < 0.01 * len([moment for moment in got if moment < 60.0])
    assert at_once.gap == 0.0
    assert refused[-1] < 61.0


class CountingSite:
    """Answers each tile with its own words after `seconds`; counts how many ask at once."""

    def __init__(self, seconds: float = 0.0, says: Callable[[int], Any] = lambda n: None) -> None:
        self._seconds, self._says = seconds, says
        self._lock = threading.Lock()
        self._now = 0
        self.was_asked = threading.Event()
        self.most = 0
        self.asked: list[float] = []
        self.at_once: list[int] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.asked.append(time.monotonic())
            self.at_once.append(self._now)
            said = self._says(len(self.asked))
        self.was_asked.set()
        try:
            time.sleep(self._seconds)
            if isinstance(said, Unreachable):
                raise SiteUnreachable(request.url, said)
            return said or picture(request.url.rpartition("/tile/")[2])
        finally:
            with self._lock:
                self._now -= 1


def tiles_of(site: Any, repeats: Repeats | None = None, **more: Any) -> SiteTiles:
    client = Client(site, SERVICE.site_url, repeats=repeats or Repeats(3, 0.01, 0.3), **more)
    made = SiteTiles(TileReader(client, SERVICE, TOWN), TOWN)
    made.start(CacheProfile(SCHEME, StorageFormat.COMPACT_V2, "PNG"))
    return made


def drawn(tiles: SiteTiles, rows: int, cancelled: Callable[[], bool] = lambda: False) -> Any:
    """All of rows x 32 tiles, by as many threads as the source allows."""
    found: dict[tuple[int, int], bytes] = {}
    corners = [(row, col) for row in range(0, rows, 4) for col in range(0, 32, 4)]

    def draw() -> None:
        while corners and not cancelled():
            row, col = corners.pop()
            block = TileRange(row, row + 3, col, col + 3)
            found.update(tiles.draw(Supertile(LEVEL, block, WHOLE), cancelled))

    threads = [threading.Thread(target=draw) for _ in range(tiles.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    return found


BUSY = [
    answer("", 429),
    answer("", 503, {"retry-after": "0"}),
    error(503, "too many users"),
    error(429, "slow down"),
    Unreachable.TIMEOUT,
]


def test_never_more_at_once_than_the_bound_and_each_its_own() -> None:
    site = CountingSite(0.002)

    found = drawn(tiles_of(site), 64)

    assert FIRST <= site.most <= MOST
    assert max(site.at_once[:FIRST]) <= FIRST
    assert {place: tile[len(PNG) :].decode() for place, tile in found.items()} == {
        (row, col): f"9/{row}/{col}" for row in range(64) for col in range(32)
    }


@pytest.mark.parametrize("busy", BUSY)
def test_a_busy_service_is_asked_by_fewer_and_all_tiles_come(busy: Any) -> None:
    """Every other request after the first twenty is refused for a while: one at a time, then."""
    site = CountingSite(0.002, lambda n: busy if 20 < n <= 34 and n % 2 else None)
    tiles = tiles_of(site, Repeats(60, 0.001, 0.002))

    found = drawn(tiles, 4)

    assert len(found) == 4 * 32
    assert max(site.at_once[:20]) > 1
    assert max(site.at_once[32:36]) == 1


def test_nobody_asks_before_the_moment_that_the_service_names() -> None:
    """Retry-After holds for all threads, not only for the one that was told."""
    site = CountingSite(0.005, lambda n: answer("", 503, {"retry-after": "1"}) if n == 9 else None)

    found = drawn(tiles_of(site, Repeats(3, 0.01, 0.4)), 16)

    assert len(found) == 16 * 32
    gaps = np.diff(site.asked)
    told = 8 + int(np.argmax(gaps[8:]))
    assert gaps[told] >= 0.35
    assert told < 8 + 8 * FIRST  # a few were on their way


@pytest.mark.parametrize("seconds", [0.0, 0.2])
@pytest.mark.parametrize("by", ["the client", "the source"])
def test_cancelled_while_others_have_their_turn_or_nobody_may_ask(by: str, seconds: float) -> None:
    stop = threading.Event()
    site = CountingSite(seconds, lambda n: answer("", 503, {"retry-after": "20"}))
    cancelled = stop.is_set if by == "the client" else lambda: False
    pauses = 20.0 if by == "the client" else 0.3
    tiles = tiles_of(site, Repeats(3, 0.01, pauses), cancelled=cancelled)
    ended: list[float] = []

    def run() -> None:
        with contextlib.suppress(TileCacheError):
            tiles.draw(Supertile(LEVEL, TileRange(0, 3, 0, 3), WHOLE), stop.is_set)
        ended.append(time.monotonic())

    threads = [threading.Thread(target=run) for _ in range(tiles.workers)]
    for thread in threads:
        thread.start()
    assert site.was_asked.wait(10)
    stop.set()
    told = time.monotonic()
    for thread in threads:
        thread.join(10)

    assert len(ended) == len(threads)
    assert max(ended) - told < 1.0


def test_a_turn_is_given_back_by_whoever_fails() -> None:
    turns = Turns(1.0)

    def fail() -> HttpResponse:
        raise ValueError("ours")

    for _ in range(3 * MOST):
        with pytest.raises(ValueError, match="ours"):
            turns.ask(URL, fail)
        with pytest.raises(ValueError, match="ours"), turns.kept():
            turns.ask(URL, fail)

    assert turns.ask(URL, lambda: picture("")).body == PNG
