"""Estimates: tiles counted, bytes and seconds learned from samples; nothing is stored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from core.local.fakes import (
    HALF,
    FailingSource,
    MemoryStore,
    PlainSource,
    RefusingSource,
    profile_of,
    web_mercator,
)
from shapely.geometry import Point

from tile_cache_manager.plugin.core.errors import (
    AreaOutside,
    NothingToDraw,
    NothingToDrawReason,
    ServiceChanged,
    SourceError,
)
from tile_cache_manager.plugin.core.local.estimate import DRAWING, run_estimate
from tile_cache_manager.plugin.core.local.plan import AreaPlan
from tile_cache_manager.plugin.core.local.source import Supertile
from tile_cache_manager.plugin.core.request import (
    Feedback,
    LevelEstimate,
    TileFilter,
    UpdateMode,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, Level, TileRange

SCHEME = web_mercator(20)
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
QUARTER = Extent(0, 0, HALF, HALF)


@dataclass
class Clock:
    """A clock that is moved by hand."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class TimedSource(PlainSource):
    """Tiles of 1,000 bytes; each supertile takes 2 seconds of `clock`."""

    workers: int = 4
    clock: Clock = field(default_factory=Clock)

    def pictures(self, supertile: Supertile) -> dict[tuple[int, int], bytes]:
        self.clock.now += 2.0
        return {tile: bytes(1000) for tile in super().pictures(supertile)}


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(tmp_path / "cache", profile_of(SCHEME, StorageFormat.COMPACT_V2))


def asked(mode: UpdateMode, first: int, last: int, **rest: object) -> UpdateRequest:
    return UpdateRequest(SCHEME, SCHEME.levels[first : last + 1], mode, extent=QUARTER, **rest)


def estimate(
    store: MemoryStore, source: TimedSource | None, request: UpdateRequest
) -> dict[int, tuple[int | None, int | None, float | None]]:
    clock = Clock() if source is None else source.clock
    found = run_estimate(store, source, request, Feedback(), clock=clock)
    return {each.level.id: (each.tiles, each.bytes, each.seconds) for each in found}


def test_tiles_bytes_and_seconds_are_scaled_up_from_samples(store: MemoryStore) -> None:
    # Level 6: 32 x 32 tiles in 16 supertiles; level 7: four times as many. Four workers.
    source = TimedSource()

    assert estimate(store, source, asked(ALL, 6, 7)) == {
        6: (1024, 1_024_000, 16 * 2 / 4),
        7: (4096, 4_096_000, 64 * 2 / 4),
    }
    assert store.log == []
    assert (source.started, source.closed) == (1, 1)


def test_fewer_supertiles_than_threads_are_not_quicker_than_one(store: MemoryStore) -> None:
    assert estimate(store, TimedSource(workers=16), asked(ALL, 3, 3)) == {3: (16, 16_000, 2.0)}


def test_only_what_is_to_do_counts(store: MemoryStore) -> None:
    store.fill(6, [(row, col) for row in range(32) for col in range(32, 48)])
    store.fill(7, [(row, col) for row in range(64) for col in range(64, 128)])

    found = estimate(store, TimedSource(), asked(EMPTY, 6, 7))

    assert found == {6: (512, 512_000, 8 * 2 / 4), 7: (0, 0, 0.0)}


@pytest.mark.parametrize(
    ("mode", "chosen", "tiles"),
    [
        (ALL, TileFilter(only_existing=True), 6),
        (ALL, TileFilter(older_than=2000.0), 1024 - 2),
        (ALL, TileFilter(only_existing=True, older_than=2000.0), 4),
        (EMPTY, TileFilter(), 1024 - 6),
        (DELETE, TileFilter(), 6),
        (DELETE, TileFilter(older_than=2000.0), 4),
    ],
)
def test_modes_and_filters_count(
    mode: UpdateMode, chosen: TileFilter, tiles: int, store: MemoryStore
) -> None:
    store.now = 1000.0
    store.fill(6, [(0, 32), (1, 33), (2, 34), (31, 63)])
    store.now = 3000.0
    store.fill(6, [(10, 40), (11, 41), (60, 2)])

    found = estimate(store, TimedSource(), asked(mode, 6, 6, tile_filter=chosen))

    assert found[6][0] == tiles


def test_a_deletion_takes_no_bytes_and_draws_nothing(store: MemoryStore) -> None:
    store.fill(6, [(0, 32)])
    source = TimedSource()

    assert estimate(store, source, asked(DELETE, 6, 6)) == {6: (1, None, None)}
    assert (source.drawn, source.closed) == ([], 1)


def test_samples_are_spread_over_the_area_and_always_the_same(store: MemoryStore) -> None:
    first, second = TimedSource(workers=1), TimedSource(workers=1)
    estimate(store, first, asked(ALL, 8, 8))
    estimate(store, second, asked(ALL, 8, 8))

    blocks = [part.block for part in first.drawn]
    assert blocks == [part.block for part in second.drawn]
    # 16 x 16 supertiles: the middle of them, a fifth of the way and four fifths.
    assert blocks == [
        TileRange(64, 71, 128, 135),
        TileRange(24, 31, 152, 159),
        TileRange(96, 103, 224, 231),
    ]


@dataclass
class SparseSource(TimedSource):
    """The western half of the quarter, and all of level 7, need not be drawn."""

    is_wrong: bool = False

    def even(self, level: Level, block: TileRange) -> bytes | None:
        if self.is_wrong:
            raise ValueError("a mistake")
        is_west = block.max_col < 2**level.id * 3 / 4
        return b"sea" if is_west or level.id == 7 else None


def test_what_need_not_be_drawn_takes_no_room_and_no_time(store: MemoryStore) -> None:
    source = SparseSource()

    assert estimate(store, source, asked(ALL, 6, 8)) == {
        6: (1024, 512_000, 8 * 2 / 4),
        7: (4096, 0, 0.0),
        8: (16384, 8_192_000, 128 * 2 / 4),
    }
    assert {part.level.id for part in source.drawn} == {6, 8}
    assert not any(source.even(part.level, part.block) for part in source.drawn)


def test_a_source_that_makes_mistakes_is_drawn_from(store: MemoryStore) -> None:
    source = SparseSource(is_wrong=True)

    assert estimate(store, source, asked(ALL, 6, 6)) == {6: (1024, 1_024_000, 16 * 2 / 4)}


def test_samples_lie_in_the_area(store: MemoryStore) -> None:
    area = Point(5e6, 6e6).buffer(1e6)
    request = replace(asked(ALL, 10, 12), area=area, extent=None)
    source = TimedSource(clock=Clock())

    estimate(store, source, request)

    assert source.drawn
    for part in source.drawn:
        first = SCHEME.tile_bounds(part.level, part.block.min_row, part.block.min_col)
        last = SCHEME.tile_bounds(part.level, part.block.max_row, part.block.max_col)
        middle = Point((first.xmin + last.xmax) / 2, (first.ymax + last.ymin) / 2)
        assert area.distance(middle) < last.xmax - first.xmin


def test_drawing_ends_in_time_and_the_finest_levels_come_first(store: MemoryStore) -> None:
    # 2 seconds each: six samples come to the end of ten seconds, of 18 levels.
    source = TimedSource()

    found = estimate(store, source, asked(ALL, 3, 20))

    assert source.clock.now <= DRAWING + 2
    assert [part.level.id for part in source.drawn][:5] == [20, 19, 18, 17, 16]
    # Levels without samples go by the nearest that has some.
    assert found[3] == (16, 16_000, 2.0)
    assert found[20] == (4**19, 4**19 * 1000, 4**19 / 64 * 2 / 4)


def test_millions_of_millions_of_tiles_are_estimated_at_once(store: MemoryStore) -> None:
    """So that nobody begins what takes years without knowing."""
    found = estimate(store, TimedSource(), asked(ALL, 20, 20))

    assert found[20][0] == 4**19
    assert found[20][2] is not None
    assert found[20][2] > 100 * 365 * 86400 / 4


def test_looking_at_what_exists_ends_in_time(store: MemoryStore) -> None:
    clock = Clock()
    source = TimedSource(clock=clock)
    looked = store.exists

    def slow(level_id: int, block: TileRange) -> object:
        clock.now += 1.0
        return looked(level_id, block)

    store.exists = slow  # type: ignore[method-assign]

    # 16 million bundles would be looked at; so all tiles are taken to be missing.
    assert estimate(store, source, asked(EMPTY, 20, 20))[20][0] == 4**19
    assert store.calls["exists"] < 10


def test_all_of_it_ends_in_time_and_tells_how_it_gets_on(store: MemoryStore) -> None:
    clock, told = Clock(), []
    source = TimedSource(clock=clock)
    looked = store.exists

    def slow(level_id: int, block: TileRange) -> object:
        clock.now += 0.5
        return looked(level_id, block)

    store.exists = slow  # type: ignore[method-assign]

    found = run_estimate(
        store, source, asked(EMPTY, 3, 20), Feedback(progress=told.append), clock=clock
    )

    assert clock.now <= DRAWING + 2
    assert [each.tiles for each in found] == [4 ** (each.level.id - 1) for each in found]
    assert told == sorted(told)
    assert len(set(told)) > 18
    assert told[-1] == 100


def test_levels_that_take_long_to_count_are_guessed(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    counted = AreaPlan.count

    def slow(plan: AreaPlan, level: Level) -> int:
        clock.now += 0.001 * 2**level.id
        return counted(plan, level)

    monkeypatch.setattr(AreaPlan, "count", slow)
    circle = replace(asked(ALL, 3, 20), area=Point(5e6, 6e6).buffer(4e6), extent=None)
    source = TimedSource(clock=clock)

    found = run_estimate(store, source, circle, Feedback(), clock=clock)

    assert clock.now <= DRAWING + 4
    for each in found:
        exact = AreaPlan(SCHEME, [each.level], circle.area)
        assert each.tiles == pytest.approx(counted(exact, each.level), rel=0.03)


def test_deleting_all_of_a_cache_is_about_what_there_is(store: MemoryStore) -> None:
    store.fill(10, [(row, 700) for row in range(0, 1024, 128)])
    request = replace(asked(DELETE, 10, 10), extent=None)
    assert estimate(store, None, request) == {10: (8, None, None)}
    clock = Clock()
    looked = store.exists

    def slow(level_id: int, block: TileRange) -> object:
        clock.now += 0.5
        return looked(level_id, block)

    store.exists = slow  # type: ignore[method-assign]
    (found,) = run_estimate(store, None, request, Feedback(), clock=clock)

    assert found.tiles == 8
    assert clock.now < 6


def test_without_a_source_bytes_go_by_the_tiles_that_exist(store: MemoryStore) -> None:
    store.fill(6, [(5, 5), (6, 6)], bytes(500))

    assert estimate(store, None, asked(ALL, 6, 7)) == {
        6: (1024, 512_000, None),
        7: (4096, 4096 * 10 * 1024, None),
    }


def test_samples_that_fail_are_passed_by(store: MemoryStore) -> None:
    source = FailingSource()

    (found,) = run_estimate(store, source, asked(ALL, 6, 6), Feedback())

    assert found == LevelEstimate(SCHEME.levels[6], 1024, 1024 * 10 * 1024, None)
    assert source.closed == 1


def test_a_source_that_cannot_draw_says_so(store: MemoryStore) -> None:
    refusing = RefusingSource()
    with pytest.raises(SourceError):
        run_estimate(store, refusing, asked(ALL, 6, 6), Feedback())
    assert refusing.closed == 1

    error = NothingToDraw("Plain", NothingToDrawReason.NO_LAYERS)
    with pytest.raises(NothingToDraw):
        run_estimate(store, FailingSource(error=lambda: error), asked(ALL, 6, 6), Feedback())


def test_what_cannot_be_asked_cannot_be_estimated(store: MemoryStore) -> None:
    other = replace(SCHEME, dpi=97)
    with pytest.raises(ServiceChanged):
        run_estimate(
            store, None, UpdateRequest(other, other.levels[:1], ALL, extent=QUARTER), Feedback()
        )
    outside = replace(asked(ALL, 6, 6), extent=Extent(2 * HALF, 0, 3 * HALF, 1))
    with pytest.raises(AreaOutside):
        run_estimate(store, None, outside, Feedback())


@pytest.mark.parametrize("how", ["cancelled", "abandoned"])
def test_cancelled_it_ends_with_what_it_has(how: str, store: MemoryStore) -> None:
    source = PlainSource()

    found = run_estimate(store, source, asked(ALL, 6, 7), Feedback(**{how: lambda: True}))

    assert [each.tiles for each in found] == [1024, 4096]
    assert source.drawn == []
