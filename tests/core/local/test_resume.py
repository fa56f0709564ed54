"""An update that is interrupted, at whatever point, and taken up: nothing twice, nothing lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from core.local.fakes import (
    HALF,
    FailingSource,
    MemoryStore,
    PlainSource,
    picture,
    profile_of,
    store_each_at_once,
    web_mercator,
)
from shapely.geometry import Point

from tile_cache_manager.plugin.core.errors import LayerFailed, NothingToResume
from tile_cache_manager.plugin.core.local.journal import unfinished, unfinished_request
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Outcome,
    Resume,
    TileFilter,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.tiling import TileRange

SCHEME = web_mercator(9)
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
AREA = Point(2e6, 3e6).buffer(HALF / 2)
ASKED = UpdateRequest(SCHEME, SCHEME.levels[3:8], ALL, area=AREA)


class Killed(BaseException):
    """Stands for the death of the process: nothing of the update catches it."""


@pytest.fixture(autouse=True)
def _one_write_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    store_each_at_once(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    store = MemoryStore(tmp_path / "cache", profile_of(SCHEME, StorageFormat.COMPACT_V2))
    for level in SCHEME.levels[3:8]:
        half = 2 ** (level.id - 1)
        store.fill(level.id, [(row, col) for row in range(half) for col in range(0, 2 * half, 3)])
    return store


def update(
    store: MemoryStore, source: PlainSource | None, asked: UpdateRequest = ASKED
) -> UpdateReport:
    return run_update(store, source, asked, Feedback(), pauses=())


def die_after(store: MemoryStore, writes: int, *, torn: bool = False) -> None:
    """Kill the update at a write; `torn`: after half of that write's tiles were stored."""
    left = [writes]

    def look(level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        left[0] -= 1
        if left[0] < 0:
            if torn:
                for (row, col), content in list(tiles.items())[::2]:
                    store.tiles[level_id, row, col] = content
            raise Killed

    store.before_write = look


def live_on(store: MemoryStore) -> None:
    store.before_write = lambda *_args: None


def counts(report: UpdateReport) -> list[tuple[int | None, ...]]:
    return [
        (each.level.id, each.planned, each.made, each.replaced, each.skipped, each.failed)
        for each in report.levels
    ]


@pytest.mark.parametrize("mode", [ALL, EMPTY])
@pytest.mark.parametrize("writes", [0, 1, 3, 7, 20])
def test_a_killed_run_goes_on_where_it_was(
    mode: UpdateMode, writes: int, store: MemoryStore, tmp_path: Path
) -> None:
    asked = replace(ASKED, mode=mode)
    other = MemoryStore(tmp_path / "other", store.profile)
    other.tiles, other.stored_at = dict(store.tiles), dict(store.stored_at)
    expected = update(other, PlainSource(), asked)
    die_after(store, writes)
    first = PlainSource(workers=1)
    with pytest.raises(Killed):
        update(store, first, asked)
    live_on(store)

    second = PlainSource()
    report = update(store, second, asked)

    assert store.tiles == other.tiles
    assert report.outcome is Outcome.DONE
    # What was done before is in the report, as if there had been no interruption.
    assert counts(report) == counts(expected)
    stored = [part.block for part in first.drawn[:writes]]
    assert not {part.block for part in second.drawn if part.level.id == 7} & {
        block for block, part in zip(stored, first.drawn) if part.level.id == 7
    }
    needed = len({line[1:] for line in other.log if line[0] == "write"})
    assert len(second.drawn) == needed - writes
    assert unfinished(store.path) is None


def test_killed_amid_a_write_the_supertile_is_made_again(store: MemoryStore) -> None:
    asked = replace(ASKED, mode=EMPTY)
    die_after(store, 6, torn=True)
    with pytest.raises(Killed):
        update(store, PlainSource(workers=1), asked)
    live_on(store)

    report = update(store, PlainSource(), asked)

    assert report.outcome is Outcome.DONE
    inside = {key for key in store.tiles if store.tiles[key] != b"old"}
    assert all(store.tiles[key] == picture(*key) for key in inside)
    assert report.total("failed") == 0


def test_killed_again_and_again_it_comes_to_its_end(store: MemoryStore, tmp_path: Path) -> None:
    other = MemoryStore(tmp_path / "other", store.profile)
    other.tiles = dict(store.tiles)
    expected = update(other, PlainSource())
    drawn, runs = 0, 0

    while True:
        die_after(store, 3)
        source = PlainSource(workers=2)
        runs += 1
        try:
            report = update(store, source)
            break
        except Killed:
            drawn += len(source.drawn)

    assert runs > 5
    assert store.tiles == other.tiles
    assert counts(report) == counts(expected)


def test_a_cancelled_run_keeps_what_was_made_and_goes_on(store: MemoryStore) -> None:
    source = PlainSource(workers=1)
    feedback = Feedback(cancelled=lambda: store.calls.get("write", 0) >= 5)

    report = run_update(store, source, ASKED, feedback)

    assert report.outcome is Outcome.CANCELLED
    assert source.closed == 1
    written = sum(len(line[2]) for line in store.log if line[0] == "write")
    assert (report.total("made") or 0) + (report.total("replaced") or 0) == written > 0
    assert store.log[-1] == ("commit",)
    run = unfinished(store.path)
    assert run is not None
    assert run.is_interrupted
    assert 5 <= run.done < run.planned

    again = unfinished_request(store.path)
    assert again is not None
    assert update(store, PlainSource(), again).outcome is Outcome.DONE
    assert unfinished(store.path) is None


def test_an_unloaded_plugin_stops_like_a_cancelled_one(store: MemoryStore) -> None:
    feedback = Feedback(abandoned=lambda: store.calls.get("write", 0) >= 2)

    report = run_update(store, PlainSource(), ASKED, feedback)

    assert report.outcome is Outcome.CANCELLED
    assert 2 <= store.calls["write"] <= 2 + 4


def test_a_slow_source_is_not_waited_for_when_cancelled(store: MemoryStore) -> None:
    source = PlainSource(workers=2, seconds=3600.0)

    report = run_update(store, source, ASKED, Feedback(cancelled=lambda: len(source.drawn) == 2))

    assert report.outcome is Outcome.CANCELLED
    assert "write" not in store.calls


def test_cancelled_at_once_nothing_is_changed(store: MemoryStore) -> None:
    before = dict(store.tiles)

    report = run_update(store, PlainSource(), ASKED, Feedback(cancelled=lambda: True))

    assert report.outcome is Outcome.CANCELLED
    assert store.tiles == before
    assert (report.total("made"), report.total("replaced")) == (0, 0)


def test_with_a_filter_by_time_nothing_is_made_twice(store: MemoryStore) -> None:
    asked = replace(ASKED, tile_filter=TileFilter(older_than=2000.0))
    # The clock of the store stands still: by times alone all would be old again.
    die_after(store, 10)
    with pytest.raises(Killed):
        update(store, PlainSource(workers=1), asked)
    live_on(store)

    source = PlainSource(style=1)
    update(store, source, asked)

    styles = [content for content in store.tiles.values() if b"style 0" in content]
    assert len(styles) == sum(len(line[2]) for line in store.log[:10] if line[0] == "write")


def test_new_begins_from_the_beginning(store: MemoryStore) -> None:
    die_after(store, 10)
    with pytest.raises(Killed):
        update(store, PlainSource(workers=1))
    live_on(store)

    update(store, PlainSource(style=1), replace(ASKED, resume=Resume.NEW))

    assert not [content for content in store.tiles.values() if b"style 0" in content]


@pytest.mark.parametrize("resume", [Resume.AUTO, Resume.CONTINUE])
def test_a_style_that_changed_is_not_mixed_with_the_old_unless_asked(
    resume: Resume, store: MemoryStore
) -> None:
    die_after(store, 10)
    with pytest.raises(Killed):
        update(store, PlainSource(workers=1, fingerprint="old"))
    live_on(store)

    update(store, PlainSource(style=1, fingerprint="new"), replace(ASKED, resume=resume))

    is_mixed = any(b"style 0" in content for content in store.tiles.values())
    assert is_mixed == (resume is Resume.CONTINUE)


@pytest.mark.parametrize("mode", [ALL, EMPTY])
def test_what_vanished_since_is_made_again(store: MemoryStore, mode: UpdateMode) -> None:
    """As after a loss of power, where the journal came to the disk and a bundle did not.

    Also where as many others are in its supertile that were there before.
    """
    asked = replace(ASKED, mode=mode)
    die_after(store, 20)
    with pytest.raises(Killed):
        update(store, PlainSource(workers=1), asked)
    live_on(store)
    level, tiles = max(
        (line[1:3] for line in store.log if line[0] == "write" and line[1] == 6),
        key=lambda written: len(written[1]),
    )
    assert len(tiles) == (64 if mode is ALL else 40), "the others were there"
    del store.tiles[(level, *tiles[0])]

    report = update(store, PlainSource(), asked)

    assert report.outcome is Outcome.DONE
    assert store.tiles[(level, *tiles[0])] == picture(level, *tiles[0])
    done = sum(sum(each or 0 for each in level[2:5]) for level in counts(report))
    assert done == report.total("planned")


def test_a_supertile_keeps_its_size_when_the_source_draws_others(store: MemoryStore) -> None:
    die_after(store, 10)
    with pytest.raises(Killed):
        update(store, PlainSource(workers=1, supertile_side=8))
    live_on(store)

    source = PlainSource(supertile_side=16)
    report = update(store, source)

    assert report.outcome is Outcome.DONE
    sides = {part.block.max_row - part.block.min_row + 1 for part in source.drawn}
    assert max(sides) == 8
    assert sum(sum(each or 0 for each in level[2:5]) for level in counts(report)) == report.total(
        "planned"
    )


def test_a_run_without_anything_left_only_ends(store: MemoryStore) -> None:
    """Killed after the last supertile, before the end was written down."""
    first = update(store, PlainSource())
    (journal,) = work_folder(store.path).glob("runs/*.jsonl")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    source = PlainSource()

    report = update(store, source)

    assert source.drawn == []
    assert report == first
    assert unfinished(store.path) is None


# Deleting


def test_a_deletion_goes_on_where_it_was(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "cache", profile_of(SCHEME, StorageFormat.COMPACT_V2))
    store.fill(9, [(row, col) for row in range(0, 512, 16) for col in range(0, 512, 16)])
    asked = UpdateRequest(SCHEME, SCHEME.levels[9:], DELETE)
    feedback = Feedback(cancelled=lambda: store.calls.get("delete", 0) >= 5)

    report = run_update(store, None, asked, feedback)

    assert (report.outcome, report.total("deleted")) == (Outcome.CANCELLED, 5 * 64)
    run = unfinished(store.path)
    assert run is not None
    assert (run.done, run.planned, run.mode) == (5, 16, DELETE)

    report = run_update(store, None, asked, Feedback())

    assert (report.outcome, report.total("deleted")) == (Outcome.DONE, 1024)
    assert store.calls["delete"] == 16
    assert store.tiles == {}


# Failed tiles


def failing() -> FailingSource:
    return FailingSource(bad=frozenset({(6, 20, 33), (7, 41, 70)}))


def test_only_failed_tiles_are_taken_up(store: MemoryStore) -> None:
    first = update(store, failing())
    assert first.outcome is Outcome.PARTIAL
    failed = first.total("failed")
    before = dict(store.tiles)
    source = PlainSource(style=1)

    again = unfinished_request(store.path)
    assert again is not None
    assert again.resume is Resume.FAILED
    report = update(store, source, again)

    assert report.outcome is Outcome.DONE
    assert [(each.level.id, each.planned) for each in report.levels] == [(6, 64), (7, 64)]
    changed = {key for key in store.tiles if store.tiles[key] != before.get(key)}
    assert len(changed) == failed == 128
    assert {part.block for part in source.drawn} == {
        TileRange(16, 23, 32, 39),
        TileRange(40, 47, 64, 71),
    }
    assert unfinished(store.path) is None
    with pytest.raises(NothingToResume):
        update(store, PlainSource(), again)


def test_failed_tiles_that_fail_again_stay_in_the_list(store: MemoryStore) -> None:
    update(store, failing())

    report = update(store, failing(), replace(ASKED, resume=Resume.FAILED))

    assert report.outcome is Outcome.PARTIAL
    run = unfinished(store.path)
    assert run is not None
    assert (run.failed, run.is_interrupted) == (128, False)


def test_failures_from_before_an_interruption_are_reported_at_the_end(store: MemoryStore) -> None:
    die_after(store, 12)
    with pytest.raises(Killed):
        update(store, FailingSource(workers=1, bad=frozenset({(4, 3, 8), (6, 20, 33)})))
    live_on(store)

    report = update(store, PlainSource())

    assert report.outcome is Outcome.PARTIAL
    assert {each.level_id for each in report.failed_tiles} <= {4, 6}
    assert isinstance(report.failed_tiles[0].error, LayerFailed)
    run = unfinished(store.path)
    assert run is not None
    assert run.failed == report.total("failed") == len(set(report.failed_tiles))


def test_what_came_back_since_a_deletion_was_interrupted_is_deleted_too(store: MemoryStore) -> None:
    asked = UpdateRequest(SCHEME, SCHEME.levels[7:9], DELETE)
    there = sum(level_id == 7 for level_id, _row, _col in store.tiles)
    store.fill(8, [(0, 0), (0, 200), (200, 0)])
    delete, seen = store.delete, []

    def once(level_id: int, tiles: object) -> int:
        seen.append(tiles)
        if len(seen) == 2:
            raise Killed
        return delete(level_id, tiles)

    store.delete = once
    with pytest.raises(Killed):
        update(store, None, asked)
    store.delete = delete
    assert not any(key[0] == 7 for key in store.tiles)
    store.fill(7, [(3, 3)])

    report = update(store, None, asked)

    assert not [key for key in store.tiles if key[0] in (7, 8)]
    assert [level.deleted for level in report.levels] == [there + 1, 3]
