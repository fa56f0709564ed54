"""Even squares: stored without being drawn, they equal those that are, whatever comes between."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from core.local.fakes import HALF, MemoryStore, PlainSource, Tile, profile_of, web_mercator
from shapely.affinity import rotate
from shapely.geometry import box

from tile_cache_manager.plugin.core.errors import LayerFailed, TileTooLarge
from tile_cache_manager.plugin.core.local import bundle_run
from tile_cache_manager.plugin.core.local.journal import unfinished
from tile_cache_manager.plugin.core.local.source import Supertile
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Outcome,
    TileFilter,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, Level, TileRange

SCHEME = web_mercator(9)
EMPTY, ALL = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL
WORLD = Extent(-HALF, -HALF, HALF, HALF)
NIGHTS = b"dark", b"darker"

Key = tuple[int, int, int]


@dataclass
class Islands(PlainSource):
    """A sea of two colours, the west and the east, with islands: tiles of level 9.

    `tells`: whether it says where nothing but sea is. `asked`: which squares it was asked for.
    """

    islands: frozenset[Tile] = frozenset()
    tells: bool = True
    asked: list[tuple[int, TileRange]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.land = np.zeros((512, 512), bool)
        for row, col in self.islands:
            self.land[row, col] = True

    def sea(self, level: Level, block: TileRange) -> bytes | None:
        """The sea's picture where a block has nothing else."""
        each = 2 ** (9 - level.id)
        rows = slice(block.min_row * each, (block.max_row + 1) * each)
        if self.land[rows, block.min_col * each : (block.max_col + 1) * each].any():
            return None
        west, east = (NIGHTS[(2 * col + 1) * each > 512] for col in (block.min_col, block.max_col))
        return west if west == east else None

    def even(self, level: Level, block: TileRange) -> bytes | None:
        self.asked.append((level.id, block))
        return self.sea(level, block) if self.tells else None

    def pictures(self, supertile: Supertile) -> dict[Tile, bytes]:
        level = supertile.level
        return {
            (row, col): self.sea(level, TileRange(row, row, col, col)) or content
            for (row, col), content in super().pictures(supertile).items()
        }


def some_islands(dice: random.Random, count: int) -> frozenset[Tile]:
    return frozenset((dice.randrange(512), dice.randrange(512)) for _number in range(count))


def make_store(folder: Path) -> MemoryStore:
    return MemoryStore(folder, profile_of(SCHEME, StorageFormat.COMPACT_V2))


def filled(folder: Path, seed: int) -> MemoryStore:
    """A store with some old tiles, and some older ones."""
    store, dice = make_store(folder), random.Random(seed)
    for store.now in (1000.0, 3000.0):
        for level in SCHEME.levels[:9]:
            side = range(2**level.id)
            chosen = [(row, col) for row in side for col in side if dice.random() < 0.1]
            store.fill(level.id, chosen)
    return store


def some_request(dice: random.Random) -> UpdateRequest:
    x, y = dice.uniform(-HALF, HALF / 2), dice.uniform(-HALF, HALF / 2)
    area = rotate(
        box(x, y, x + dice.uniform(1e6, 3e7), y + dice.uniform(1e6, 2e7)), dice.random() * 90
    )
    area = area.difference(area.centroid.buffer(dice.uniform(1e4, 3e6)))
    area = area.intersection(box(*WORLD.bounds))
    chosen = TileFilter(dice.random() < 0.3, dice.choice([None, None, 2000.0]))
    levels = tuple(sorted(dice.sample(SCHEME.levels[:9], 3), key=lambda level: level.id))
    return UpdateRequest(SCHEME, levels, dice.choice([EMPTY, ALL]), area=area, tile_filter=chosen)


def update(store: MemoryStore, source: Islands, asked: UpdateRequest) -> UpdateReport:
    return run_update(store, source, asked, Feedback(), pauses=())


@pytest.mark.parametrize("side", [1, 8, 32, 128])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_stored_is_what_would_be_drawn(seed: int, side: int, tmp_path: Path) -> None:
    dice = random.Random(seed * 1000 + side)
    islands, asked = some_islands(dice, dice.choice([0, 3, 40])), some_request(dice)
    drawn, told = filled(tmp_path / "drawn", seed), filled(tmp_path / "told", seed)
    drawing = Islands(islands=islands, supertile_side=side, tells=False)
    telling = Islands(islands=islands, supertile_side=side)

    expected = update(drawn, drawing, asked)
    report = update(told, telling, asked)

    assert told.tiles == drawn.tiles
    assert replace(report, output_url="") == replace(expected, output_url="")
    assert len(telling.drawn) <= len(drawing.drawn)
    # What is drawn is not even, and nothing else was asked than squares within the world.
    assert not any(telling.sea(part.level, part.block) for part in telling.drawn)
    for level_id, block in telling.asked:
        height, width = block.max_row - block.min_row + 1, block.max_col - block.min_col + 1
        assert 0 <= block.min_row <= block.max_row < 2**level_id
        assert height == width == min(width, 128)
        assert (block.min_row % height, block.min_col % width) == (0, 0)
        assert width >= min(side, 2**level_id)


def test_a_bundle_of_sea_costs_one_question_and_one_write(tmp_path: Path) -> None:
    store, source = make_store(tmp_path), Islands()
    asked = UpdateRequest(SCHEME, SCHEME.levels[8:9], ALL, extent=WORLD)

    report = update(store, source, asked)

    assert report.total("made") == 256 * 256
    assert source.drawn == []
    assert len(source.asked) == store.calls["write"] == 4


def test_a_level_of_few_tiles_is_asked_for_once(tmp_path: Path) -> None:
    """At the world's edge a quarter of the bundle is all there is of it, and so on."""
    source = Islands(islands=frozenset({(0, 0)}), supertile_side=8)

    update(
        make_store(tmp_path), source, UpdateRequest(SCHEME, SCHEME.levels[:2], ALL, extent=WORLD)
    )

    assert source.asked == [(0, TileRange(0, 0, 0, 0)), (1, TileRange(0, 1, 0, 1))]


@pytest.mark.parametrize("error", [LayerFailed("Roads", "gone"), ZeroDivisionError()])
def test_where_nobody_can_say_it_is_drawn(error: Exception, tmp_path: Path) -> None:
    class Unsure(Islands):
        def even(self, level: Level, block: TileRange) -> bytes | None:
            raise error

    store, source = make_store(tmp_path), Unsure(islands=frozenset({(3, 300)}))
    report = update(store, source, UpdateRequest(SCHEME, SCHEME.levels[4:5], ALL, extent=WORLD))

    assert (report.outcome, report.total("made")) == (Outcome.DONE, 256)
    assert sum(part.wanted.size for part in source.drawn) == 256


def test_an_even_picture_that_is_too_large_has_failed(tmp_path: Path) -> None:
    store, source = make_store(tmp_path), Islands(islands=frozenset({(0, 0)}))

    def refuse(_level_id: int, tiles: Mapping[Tile, bytes]) -> None:
        if NIGHTS[1] in tiles.values():
            raise TileTooLarge("cache", 2**24)

    store.before_write = refuse
    asked = UpdateRequest(SCHEME, SCHEME.levels[5:6], ALL, extent=WORLD)
    report = update(store, source, asked)

    assert (report.total("made"), report.total("failed")) == (512, 512)
    assert {type(each.error) for each in report.failed_tiles} == {TileTooLarge}
    run = unfinished(store.path)
    assert run is not None
    assert (run.failed, run.done, run.planned) == (512, 16, 16)


# Interrupted

LEVELS = SCHEME.levels[5], SCHEME.levels[8]
SOME = frozenset({(3, 300), (100, 100), (310, 20), (311, 400), (500, 500)})
INTERRUPTED = UpdateRequest(
    SCHEME, LEVELS, ALL, area=box(*WORLD.bounds).difference(box(-3e6, -3e6, 4e6, 4e6))
)


class Killed(BaseException):
    """Stands for the death of the process."""


def die_at(store: MemoryStore, writes: int, *, is_torn: bool) -> None:
    left = [writes]

    def look(level_id: int, tiles: Mapping[Tile, bytes]) -> None:
        left[0] -= 1
        if left[0] < 0:
            for (row, col), content in list(tiles.items())[::2] if is_torn else ():
                store.tiles[level_id, row, col] = content
            raise Killed

    store.before_write = look


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[UpdateMode], object]:
    """What comes of it without any interruption: the tiles and the report."""

    def run(mode: UpdateMode) -> tuple[dict[Key, bytes], UpdateReport]:
        store = filled(tmp_path_factory.mktemp("undisturbed"), 1)
        report = update(store, Islands(islands=SOME), replace(INTERRUPTED, mode=mode))
        return store.tiles, report

    known = {mode: run(mode) for mode in (ALL, EMPTY)}
    return known.__getitem__


@pytest.mark.parametrize("is_torn", [False, True])
@pytest.mark.parametrize("batch", [0, 100_000, 8 << 20])
@pytest.mark.parametrize("mode", [ALL, EMPTY])
def test_killed_again_and_again_nothing_is_lost(
    mode: UpdateMode,
    batch: int,
    is_torn: bool,
    undisturbed: Callable[[UpdateMode], tuple[dict[Key, bytes], UpdateReport]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bundle_run, "BATCH_BYTES", batch)
    tiles, expected = undisturbed(mode)
    store, asked, deaths = filled(tmp_path, 1), replace(INTERRUPTED, mode=mode), 0

    while True:
        die_at(store, 1 + deaths % 3, is_torn=is_torn)
        try:
            report = update(store, Islands(islands=SOME), asked)
            break
        except Killed:
            deaths += 1

    assert deaths >= 3
    assert store.tiles == tiles
    assert report.outcome is Outcome.DONE
    if not is_torn:
        # Tiles of a torn write are there, though nobody wrote down that they were made.
        assert report.levels == expected.levels


@pytest.mark.parametrize("after", [0, 1, 4, 7, 9])
def test_cancelled_what_was_drawn_is_kept(
    after: int,
    undisturbed: Callable[[UpdateMode], tuple[dict[Key, bytes], UpdateReport]],
    tmp_path: Path,
) -> None:
    store, source = filled(tmp_path, 1), Islands(islands=SOME, workers=1)
    before = dict(store.tiles)

    first = run_update(
        store, source, INTERRUPTED, Feedback(cancelled=lambda: len(source.drawn) >= after)
    )

    assert first.outcome is Outcome.CANCELLED
    changed = sum(before.get(key) != content for key, content in store.tiles.items())
    assert (first.total("made") or 0) + (first.total("replaced") or 0) == changed
    again = Islands(islands=SOME)
    report = update(store, again, INTERRUPTED)
    tiles, expected = undisturbed(ALL)
    assert store.tiles == tiles
    assert report.levels == expected.levels
    kept = {(part.level.id, part.block) for part in source.drawn[: max(0, after - 2)]}
    assert not kept & {(part.level.id, part.block) for part in again.drawn}
