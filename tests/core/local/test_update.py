"""The update on this computer: what changes is just what was asked for, by brute force."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from core.local.fakes import (
    HALF,
    GappySource,
    MemoryStore,
    PlainSource,
    picture,
    profile_of,
    store_each_at_once,
    web_mercator,
)
from shapely.affinity import rotate
from shapely.geometry import Point, box
from shapely.geometry.base import BaseGeometry

from tile_cache_manager.plugin.core.errors import (
    CacheInUse,
    FormatNotDrawn,
    NothingToDraw,
    NothingToDrawReason,
    ReadOnlyCache,
    ServiceChanged,
    TileCacheError,
)
from tile_cache_manager.plugin.core.local import tally
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Message,
    Outcome,
    Severity,
    TileFilter,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.store import Holes
from tile_cache_manager.plugin.core.tiling import Extent, Level, TileRange

SCHEME = web_mercator(9)
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
QUARTER = Extent(0, 0, HALF, HALF)

Key = tuple[int, int, int]


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(tmp_path / "Höhen und Täler", profile_of(SCHEME, StorageFormat.COMPACT_V2))


def request(
    mode: UpdateMode,
    levels: tuple[Level, ...],
    area: BaseGeometry | Extent | None = QUARTER,
    tile_filter: TileFilter | None = None,
) -> UpdateRequest:
    is_extent = isinstance(area, Extent)
    return UpdateRequest(
        SCHEME,
        levels,
        mode,
        area=None if is_extent else area,
        extent=area if is_extent else None,
        tile_filter=tile_filter or TileFilter(),
    )


def touched(area: BaseGeometry, level: Level) -> set[Key]:
    """The tiles of a level whose interior meets the area's, one by one."""
    tiles = set()
    for row in range(2**level.id):
        for col in range(2**level.id):
            bounds = SCHEME.tile_bounds(level, row, col).bounds
            if box(*bounds).intersection(area).area > 0:
                tiles.add((level.id, row, col))
    return tiles


def tiles_of(*, level_id: int) -> list[tuple[int, int]]:
    return [(row, col) for row in range(2**level_id) for col in range(2**level_id)]


# Just what was asked for


@pytest.mark.parametrize("side", [1, 4, 16])
@pytest.mark.parametrize("seed", range(12))
def test_what_changes_is_what_brute_force_expects(seed: int, side: int, store: MemoryStore) -> None:
    dice = random.Random(seed * 100 + side)
    levels = tuple(sorted(dice.sample(SCHEME.levels[:7], 3), key=lambda level: level.id))
    x, y = dice.uniform(-HALF, HALF), dice.uniform(-HALF, HALF)
    area = rotate(
        box(x, y, x + dice.uniform(1, 1.5e7), y + dice.uniform(1, 9e6)), dice.random() * 90
    )
    area = area.intersection(box(-HALF, -HALF, HALF, HALF))
    mode = dice.choice([EMPTY, ALL, DELETE])
    chosen = TileFilter(dice.random() < 0.4, dice.choice([None, None, 2000.0]))
    for store.now in (1000.0, 3000.0):
        for level in SCHEME.levels[:7]:
            tiles = tiles_of(level_id=level.id)
            store.fill(level.id, dice.sample(tiles, len(tiles) // 3), b"old")
    before, times = dict(store.tiles), dict(store.stored_at)

    report = run_update(
        store,
        PlainSource(supertile_side=side, workers=3),
        request(mode, levels, area, chosen),
        Feedback(),
    )

    inside = set().union(*(touched(area, level) for level in levels))
    expected = dict(before)
    for key in inside:
        is_there, is_old = key in before, key not in before or times[key] < 2000.0
        if chosen.older_than is not None and not is_old:
            continue
        if (chosen.only_existing and not is_there) or (mode is EMPTY and is_there):
            continue
        if mode is DELETE:
            expected.pop(key, None)
        else:
            expected[key] = picture(*key)
    assert store.tiles == expected
    new, gone = expected.keys() - before.keys(), before.keys() - expected.keys()
    changed = {key for key in before.keys() & expected.keys() if before[key] != expected[key]}
    assert report.outcome is Outcome.DONE
    assert report.total("planned") == len(inside)
    assert report.total("made") == len(new)
    assert report.total("replaced") == len(changed)
    assert report.total("deleted") == len(gone)
    assert report.total("failed") == 0
    assert report.total("skipped") == len(inside & before.keys()) - len(changed) - len(gone)


def test_report_tells_each_level(store: MemoryStore) -> None:
    store.fill(3, [(0, 4), (1, 4), (7, 7)])

    report = run_update(store, PlainSource(), request(EMPTY, SCHEME.levels[2:4]), Feedback())

    told = [(e.level.id, e.planned, e.made, e.replaced, e.skipped) for e in report.levels]
    assert told == [(2, 4, 4, 0, 0), (3, 16, 14, 0, 2)]
    assert report.is_local
    assert report.output_url == str(store.path)
    assert report.mode is EMPTY


def test_levels_are_made_from_the_coarsest_to_the_finest(store: MemoryStore) -> None:
    levels = (SCHEME.levels[5], SCHEME.levels[1], SCHEME.levels[3])

    run_update(store, PlainSource(workers=1), request(ALL, levels), Feedback())

    written = [line[1] for line in store.log if line[0] == "write"]
    assert written == sorted(written)
    assert set(written) == {1, 3, 5}


def test_only_wanted_tiles_of_a_supertile_are_stored(store: MemoryStore) -> None:
    # The source draws whole supertiles, 64 tiles each; the area touches a few of them.
    strip = box(1e5, 1e5, 1.2e5, 1.9e7)

    report = run_update(store, PlainSource(), request(ALL, SCHEME.levels[6:7], strip), Feedback())

    assert store.tiles.keys() == touched(strip, SCHEME.levels[6])
    assert report.total("made") == len(store.tiles) < 64


def test_a_supertile_is_drawn_whole_whatever_is_wanted(store: MemoryStore) -> None:
    """So that a tile looks the same whichever others are missing, labels and all."""
    store.fill(6, [(row, col) for row in range(64) for col in range(64) if (row, col) != (20, 44)])
    source = PlainSource()

    run_update(store, source, request(EMPTY, SCHEME.levels[6:7]), Feedback())

    (supertile,) = source.drawn
    assert supertile.block == TileRange(16, 23, 40, 47)
    assert supertile.wanted.sum() == 1


def test_nothing_is_drawn_beyond_the_world(store: MemoryStore) -> None:
    source = PlainSource(supertile_side=8)

    run_update(store, source, request(ALL, SCHEME.levels[:2], None), Feedback())

    assert [part.block for part in source.drawn] == [TileRange(0, 0, 0, 0), TileRange(0, 1, 0, 1)]


def test_gaps_of_the_source_are_neither_made_nor_failed(store: MemoryStore) -> None:
    store.fill(3, [(0, 4), (1, 4)])

    report = run_update(store, GappySource(), request(ALL, SCHEME.levels[3:4]), Feedback())

    # Rows 0 and 2 of 4 are gaps, with 4 tiles each; the one that was there stays.
    assert report.outcome is Outcome.DONE
    (level,) = report.levels
    counts = (level.planned, level.made, level.replaced, level.skipped, level.failed)
    assert counts == (16, 7, 1, 1, 0)
    assert store.tiles[3, 0, 4] == b"old"
    assert store.tiles[3, 1, 4] == picture(3, 1, 4)


def test_a_second_run_gives_the_same_bytes(store: MemoryStore) -> None:
    run_update(store, PlainSource(), request(ALL, SCHEME.levels[:6]), Feedback())
    first = dict(store.tiles)

    run_update(store, PlainSource(workers=4), request(ALL, SCHEME.levels[:6]), Feedback())

    assert store.tiles == first


# With little effort


def test_full_bundles_are_skipped_with_one_look_each(store: MemoryStore) -> None:
    store.fill(9, [(r, c) for r in range(256) for c in range(256, 512)])
    source = PlainSource()
    store.calls.clear()

    report = run_update(store, source, request(EMPTY, SCHEME.levels[9:10]), Feedback())

    assert source.drawn == []
    assert report.total("skipped") == 256 * 256
    # Four bundles; and those that are looked at to learn how large tiles are.
    assert store.calls["exists"] <= 4 + 4
    assert "write" not in store.calls


def test_bundles_without_tiles_are_not_even_looked_at_where_only_existing_matter(
    tmp_path: Path,
) -> None:
    scheme = web_mercator(22)
    store = MemoryStore(tmp_path / "cache", profile_of(scheme, StorageFormat.COMPACT_V2))
    store.fill(20, [(5000, 700000), (5001, 700000), (900000, 3)])
    world = Extent(-HALF, -HALF, HALF, HALF)
    everywhere = UpdateRequest(scheme, scheme.levels[20:21], DELETE, extent=world)

    # 67 million bundles: to look at them all would take hours.
    report = run_update(store, None, everywhere, Feedback())

    assert (report.total("planned"), report.total("deleted")) == (4**20, 3)
    assert store.tiles == {}

    store.fill(20, [(5000, 700000), (900000, 3)])
    chosen = replace(everywhere, mode=ALL, tile_filter=TileFilter(only_existing=True))
    report = run_update(store, PlainSource(), chosen, Feedback())

    assert report.total("replaced") == 2
    assert store.tiles.keys() == {(20, 5000, 700000), (20, 900000, 3)}


def test_few_supertiles_are_on_the_way_at_a_time(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_each_at_once(monkeypatch)
    source = PlainSource(supertile_side=2, workers=3, seconds=0.003)
    ahead: list[int] = []

    def look(_level_id: int, _tiles: object) -> None:
        stored = sum(1 for line in store.log if line[0] == "write")
        ahead.append(len(source.drawn) - stored)

    store.before_write = look
    run_update(store, source, request(ALL, SCHEME.levels[6:7]), Feedback())

    assert len(ahead) == 256
    assert max(ahead) <= 2 * 3
    assert source.most_at_once == 3


def test_a_folder_is_committed_at_the_end(store: MemoryStore) -> None:
    run_update(store, PlainSource(), request(ALL, SCHEME.levels[:3]), Feedback())

    assert [line[0] for line in store.log][-1] == "commit"


# Told


def test_progress_goes_from_nothing_to_all_and_never_back(store: MemoryStore) -> None:
    told: list[float] = []

    run_update(
        store, PlainSource(), request(ALL, SCHEME.levels[:7]), Feedback(progress=told.append)
    )

    assert told == sorted(told)
    assert told[-1] == 100.0
    assert len(told) > 20
    assert all(0 <= percent <= 100 for percent in told)


@pytest.mark.parametrize("mode", [EMPTY, ALL, DELETE])
@pytest.mark.parametrize("only_existing", [True, False])
def test_progress_ends_at_a_hundred_whatever_is_skipped(
    mode: UpdateMode, only_existing: bool, store: MemoryStore
) -> None:
    store.fill(8, [(1, 130), (2, 255)])
    told: list[float] = []

    run_update(
        store,
        PlainSource(supertile_side=16),
        request(mode, SCHEME.levels[8:9], tile_filter=TileFilter(only_existing)),
        Feedback(progress=told.append),
    )

    assert told[-1] == 100.0


def test_pace_is_told_now_and_then(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "_TELL", 0.0)
    told: list[Message] = []

    run_update(
        store, PlainSource(), request(ALL, SCHEME.levels[5:6]), Feedback(message=told.append)
    )

    paces = [message.pace for message in told if message.pace is not None]
    assert [pace.tiles for pace in paces] == [64, 128, 192, 256]
    assert {pace.planned for pace in paces} == {256}
    assert all(pace.level is SCHEME.levels[5] and pace.tiles_per_second > 0 for pace in paces)
    assert [pace.seconds_left for pace in paces][-1] == 0
    assert all(math.isfinite(pace.seconds_left or 0) for pace in paces)


# Refused before anything is changed


def read_only(store: MemoryStore) -> None:
    store.is_writable = False


def other_scheme(store: MemoryStore) -> None:
    scheme = replace(store.profile.scheme, tile_width=512, tile_height=512)
    store.profile = replace(store.profile, scheme=scheme)


@pytest.mark.parametrize(
    ("spoil", "error"), [(read_only, ReadOnlyCache), (other_scheme, ServiceChanged)]
)
def test_a_cache_that_cannot_take_the_update_is_left_alone(
    spoil: Callable[[MemoryStore], None], error: type[TileCacheError], store: MemoryStore
) -> None:
    store.fill(2, [(0, 2)])
    spoil(store)
    source = PlainSource()

    with pytest.raises(error):
        run_update(store, source, request(ALL, SCHEME.levels[:3]), Feedback())

    assert list(store.tiles.values()) == [b"old"]
    assert source.closed == 1
    assert not store.path.exists()


@pytest.mark.parametrize("mode", [EMPTY, ALL])
def test_without_a_source_nothing_can_be_drawn(mode: UpdateMode, store: MemoryStore) -> None:
    with pytest.raises(NothingToDraw) as caught:
        run_update(store, None, request(mode, SCHEME.levels[:3]), Feedback())

    assert caught.value.reason is NothingToDrawReason.NO_SOURCE


class LercRefuser(PlainSource):
    """Draws no LERC."""

    def start(self, profile: object) -> None:
        raise FormatNotDrawn(self.name, "LERC")


def test_a_format_that_cannot_be_drawn_is_refused_by_the_source(store: MemoryStore) -> None:
    source = LercRefuser()

    with pytest.raises(FormatNotDrawn):
        run_update(store, source, request(ALL, SCHEME.levels[:3]), Feedback())

    assert source.closed == 1
    assert source.drawn == []


def test_deleting_needs_no_source_and_starts_none(store: MemoryStore) -> None:
    store.fill(2, [(0, 2), (3, 0)])
    source = PlainSource()

    report = run_update(store, source, request(DELETE, SCHEME.levels[:3]), Feedback())

    assert (source.started, source.closed) == (0, 1)
    assert report.total("deleted") == 1
    assert store.tiles.keys() == {(2, 3, 0)}


# Defragmented on the way


def test_bundles_with_many_holes_are_written_anew_on_the_way(store: MemoryStore) -> None:
    # Level 8, four bundles, of which the area touches one: its top right.
    run_update(store, PlainSource(), request(ALL, SCHEME.levels[8:9]), Feedback())
    assert "defragment" not in store.calls

    run_update(store, PlainSource(style=1), request(ALL, SCHEME.levels[8:9]), Feedback())

    assert [line[1] for line in store.log if line[0] == "defragment"] == [(8, 0, 128)]


@pytest.mark.parametrize(("unused", "times"), [(300, 0), (301, 1)])
def test_bundles_with_up_to_thirty_percent_of_holes_stay(
    unused: int, times: int, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "holes_in", lambda *_args: Holes(1, "1/0/0", 1000, unused))

    run_update(store, PlainSource(), request(ALL, SCHEME.levels[1:2]), Feedback())

    assert store.calls.get("defragment", 0) == times


def test_a_bundle_in_use_is_not_defragmented_and_nothing_failed(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_use(_holes: Holes) -> int:
        raise CacheInUse("R0000C0000.bundle")

    monkeypatch.setattr(store, "defragment", in_use)
    store.fill(2, [(0, 2), (0, 3), (1, 2), (1, 3)], b"old" * 1000)
    told: list[Message] = []

    report = run_update(
        store, PlainSource(), request(ALL, SCHEME.levels[2:3]), Feedback(message=told.append)
    )

    assert report.outcome is Outcome.DONE
    assert [(each.severity, type(each.error)) for each in told] == [(Severity.INFO, CacheInUse)]


def test_a_package_is_committed_once_and_not_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tile_cache_manager.plugin.core.local.work.COMMIT_EVERY", 0.0)
    commits: dict[StorageFormat, int] = {}
    for storage in (StorageFormat.COMPACT_V2, StorageFormat.MBTILES):
        store = MemoryStore(tmp_path / storage.value, profile_of(SCHEME, storage))
        run_update(store, PlainSource(), request(ALL, SCHEME.levels[:4]), Feedback())
        commits[storage] = store.calls["commit"]

    # Four bundles, and the end.
    assert commits == {StorageFormat.COMPACT_V2: 5, StorageFormat.MBTILES: 1}


def test_an_update_of_a_disc_touches_the_disc(store: MemoryStore) -> None:
    """A style change, then recreate all over one country at three scales."""
    levels = SCHEME.levels[4:7]
    run_update(store, PlainSource(), request(ALL, levels, None), Feedback())
    before = dict(store.tiles)
    country = Point(1.2e6, 6.2e6).buffer(4e6)

    report: UpdateReport = run_update(
        store, PlainSource(style=1), request(ALL, levels, country), Feedback()
    )

    changed = {key for key, content in store.tiles.items() if before[key] != content}
    assert changed == set().union(*(touched(country, level) for level in levels))
    assert report.total("replaced") == len(changed)


# --- numbers that add up -----------------------------------------------------------------------


def adds_up(report: UpdateReport) -> bool:
    return all(
        level.planned
        == level.made + level.replaced + level.deleted + level.skipped + level.failed + level.gaps
        for level in report.levels
    )


@pytest.mark.parametrize("mode", [EMPTY, ALL, DELETE])
@pytest.mark.parametrize("only_existing", [False, True])
@pytest.mark.parametrize("kind", [PlainSource, GappySource])
def test_numbers_of_tiles_add_up(
    kind: type[PlainSource], only_existing: bool, mode: UpdateMode, store: MemoryStore
) -> None:
    store.fill(6, [(row, col) for row in range(5) for col in range(30, 50)])
    asked = UpdateRequest(
        SCHEME,
        SCHEME.levels[4:8],
        mode,
        extent=QUARTER,
        tile_filter=TileFilter(only_existing=only_existing),
    )

    report = run_update(store, kind(), asked, Feedback())

    assert adds_up(report)
    there = {key for key in store.tiles if key[0] == 6 and key[1] < 32 <= key[2]}
    assert report.levels[2].gaps == 1024 - len(there) - (report.levels[2].deleted or 0)


def test_gaps_of_a_cancelled_update_are_not_known(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_each_at_once(monkeypatch)
    asked = UpdateRequest(SCHEME, SCHEME.levels[6:7], ALL, extent=QUARTER)
    stop = Feedback(cancelled=lambda: store.calls.get("write", 0) >= 3)

    assert run_update(store, PlainSource(workers=1), asked, stop).total("gaps") is None
    again = run_update(store, GappySource(workers=1), asked, Feedback())

    assert adds_up(again)
    assert again.total("gaps") > 0


# --- all of a cache ------------------------------------------------------------------------------


def test_all_of_a_cache_is_deleted_wherever_it_lies(tmp_path: Path) -> None:
    """Outside the extent that the cache tells, and of the world; other levels stay."""
    store = MemoryStore(
        tmp_path / "c", profile_of(SCHEME, StorageFormat.COMPACT_V2, extent=QUARTER)
    )
    store.fill(6, [(0, 40), (60, 2), (63, 63), (200, 500)])
    store.fill(7, [(100, 3)])

    report = run_update(store, None, UpdateRequest(SCHEME, SCHEME.levels[6:7], DELETE), Feedback())

    assert store.tiles.keys() == {(7, 100, 3)}
    assert (report.total("planned"), report.total("deleted"), report.total("gaps")) == (4, 4, 0)
    assert report.outcome is Outcome.DONE


def test_recreating_all_of_a_cache_is_about_its_extent(tmp_path: Path) -> None:
    store = MemoryStore(
        tmp_path / "c", profile_of(SCHEME, StorageFormat.COMPACT_V2, extent=QUARTER)
    )
    store.fill(6, [(60, 2)])

    report = run_update(
        store, PlainSource(), UpdateRequest(SCHEME, SCHEME.levels[6:7], ALL), Feedback()
    )

    assert report.total("planned") == 1024
    assert store.tiles[6, 60, 2] == b"old"


def test_deleting_all_of_a_cache_goes_on_where_it_was(store: MemoryStore) -> None:
    tiles = [(row, col) for row in range(0, 512, 64) for col in range(0, 512, 64)]
    store.fill(9, tiles)
    asked = UpdateRequest(SCHEME, SCHEME.levels[9:], DELETE)
    stop = Feedback(cancelled=lambda: store.calls.get("delete", 0) >= 5)

    first = run_update(store, None, asked, stop)
    store.fill(9, [(0, 0)])
    report = run_update(store, None, asked, Feedback())

    assert (first.outcome, first.total("deleted")) == (Outcome.CANCELLED, 20)
    assert store.tiles == {}
    assert report.outcome is Outcome.DONE
    assert report.total("deleted") == len(tiles) + 1
    assert adds_up(report)
