"""What fails in an update: retried a bounded number of times, listed, passed by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from core.local.fakes import (
    HALF,
    EmptyPictureSource,
    FailingSource,
    MemoryStore,
    PlainSource,
    picture,
    profile_of,
    store_each_at_once,
    web_mercator,
)

from tile_cache_manager.plugin.core.errors import (
    CacheInUse,
    DamagedCache,
    DiskFull,
    FormatNotDrawn,
    LayerFailed,
    NothingToDraw,
    NothingToDrawReason,
    ReadOnlyCache,
    ReadOnlyReason,
    SourceError,
    TargetProblem,
    TileCacheError,
    TileTooLarge,
)
from tile_cache_manager.plugin.core.local.journal import unfinished
from tile_cache_manager.plugin.core.local.update import run_update
from tile_cache_manager.plugin.core.request import (
    FailedTile,
    Feedback,
    Message,
    Outcome,
    Severity,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent

SCHEME = web_mercator(9)
ALL, DELETE = UpdateMode.RECREATE_ALL, UpdateMode.DELETE
AT_ONCE = (0.0, 0.0)
"""No pauses between the tries."""


@pytest.fixture
def store(tmp_path: Path) -> MemoryStore:
    return MemoryStore(tmp_path / "cache", profile_of(SCHEME, StorageFormat.COMPACT_V2))


def update(
    store: MemoryStore,
    source: PlainSource | None,
    *,
    level: int = 5,
    mode: UpdateMode = ALL,
    told: list[Message] | None = None,
) -> UpdateReport:
    """Update a quarter of the world at one level: at level 5 4 supertiles of 64 tiles."""
    asked = UpdateRequest(
        SCHEME, SCHEME.levels[level : level + 1], mode, extent=Extent(0, 0, HALF, HALF)
    )
    message = (lambda _message: None) if told is None else told.append
    return run_update(store, source, asked, Feedback(message=message), pauses=AT_ONCE)


def test_a_supertile_that_fails_at_first_is_tried_again(store: MemoryStore) -> None:
    source = FailingSource(times=2)

    report = update(store, source)

    assert report.outcome is Outcome.DONE
    assert report.total("made") == 256
    assert set(source.tries.values()) == {3}


def test_a_supertile_that_fails_thrice_is_listed_and_its_old_tiles_stay(
    store: MemoryStore,
) -> None:
    store.fill(5, [(0, 16), (0, 24)])
    source = FailingSource(bad=frozenset({(5, 3, 18)}))
    told: list[Message] = []

    report = update(store, source, told=told)

    assert report.outcome is Outcome.PARTIAL
    (level,) = report.levels
    assert (level.planned, level.made, level.replaced, level.failed) == (256, 191, 1, 64)
    assert store.tiles[5, 0, 16] == b"old"
    assert store.tiles[5, 0, 24] == picture(5, 0, 24)
    assert source.tries == {(5, 0, 16): 3}
    failed = report.failed_tiles
    assert {(each.row, each.col) for each in failed} == {
        (row, col) for row in range(8) for col in range(16, 24)
    }
    assert all(isinstance(each.error, LayerFailed) for each in failed)
    assert [(each.severity, type(each.error)) for each in told] == [(Severity.WARNING, LayerFailed)]


def test_pauses_between_tries_end_at_once_when_cancelled(store: MemoryStore) -> None:
    source = FailingSource(workers=1)
    asked = UpdateRequest(SCHEME, SCHEME.levels[5:6], ALL, extent=Extent(0, 0, HALF, HALF))

    # Were the pauses waited for, this would take hours.
    report = run_update(
        store,
        source,
        asked,
        Feedback(cancelled=lambda: bool(source.tries)),
        pauses=(3600.0, 3600.0),
    )

    assert report.outcome is Outcome.CANCELLED
    assert set(source.tries.values()) == {1}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError division by zero"),
        (RuntimeError(), "RuntimeError"),
    ],
)
def test_a_sources_own_mistake_is_a_failure_like_others(
    error: Exception, text: str, store: MemoryStore
) -> None:
    def make() -> Exception:
        return error

    report = update(store, FailingSource(bad=frozenset({(5, 0, 16)}), error=make))

    assert report.total("failed") == 64
    caught = report.failed_tiles[0].error
    assert isinstance(caught, SourceError)
    assert (caught.name, caught.text) == ("Plain", text)


class NothingSource(PlainSource):
    """Gives no dictionary at all."""

    def pictures(self, supertile: object) -> Mapping[tuple[int, int], bytes]:
        return None  # type: ignore[return-value]


def test_a_source_that_gives_nonsense_fails_and_the_run_goes_on(store: MemoryStore) -> None:
    assert update(store, NothingSource()).total("failed") == 256


@pytest.mark.parametrize(
    "error",
    [
        NothingToDraw("Plain", NothingToDrawReason.NO_LAYERS),
        FormatNotDrawn("Plain", "LERC"),
    ],
)
def test_what_can_never_be_drawn_ends_the_run(error: TileCacheError, store: MemoryStore) -> None:
    source = FailingSource(error=lambda: error)

    with pytest.raises(type(error)):
        update(store, source)

    assert source.closed == 1
    assert max(source.tries.values()) == 1


def test_a_dead_source_is_not_asked_for_ever(store: MemoryStore) -> None:
    # 256 supertiles; after 20 in a row nobody believes in the rest.
    source = FailingSource(workers=1)

    with pytest.raises(LayerFailed):
        update(store, source, level=8)

    assert 20 <= len(source.tries) <= 22
    run = unfinished(store.path)
    assert run is not None
    assert run.is_interrupted
    # They are not ticked off: once the source lives again, they are tried again.
    assert (run.done, run.failed) == (0, 0)


def test_failures_with_successes_in_between_do_not_end_the_run(store: MemoryStore) -> None:
    bad = frozenset((8, row, col) for row in range(0, 128, 8) for col in range(128, 256, 16))
    source = FailingSource(bad=bad)
    told: list[Message] = []

    report = update(store, source, level=8, told=told)

    assert report.outcome is Outcome.PARTIAL
    assert report.total("failed") == 128 * 64
    assert report.total("made") == 128 * 64
    # Not every one of many is told, but all are counted and written down.
    assert len([each for each in told if each.severity is Severity.WARNING]) == 20
    assert len(report.failed_tiles) == 100
    run = unfinished(store.path)
    assert run is not None
    assert (run.failed, run.is_interrupted) == (128 * 64, False)


def test_empty_pictures_are_failures(store: MemoryStore) -> None:
    report = update(store, EmptyPictureSource())

    assert (report.total("made"), report.total("failed")) == (128, 128)
    assert all(content for content in store.tiles.values())
    assert {each.col % 2 for each in report.failed_tiles} == {0}


# The store's failures


def too_large(level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
    if (3, 18) in tiles:
        raise TileTooLarge("cache", 2**24)


def test_of_a_supertile_with_a_tile_too_large_the_others_are_stored(store: MemoryStore) -> None:
    store.before_write = too_large

    report = update(store, PlainSource())

    assert (report.total("made"), report.total("failed")) == (255, 1)
    assert [(e.row, e.col, type(e.error)) for e in report.failed_tiles] == [(3, 18, TileTooLarge)]


def in_use(level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
    if (3, 18) in tiles:
        raise CacheInUse("R0000C0000.bundle")


def test_a_bundle_in_use_fails_where_bundles_are_files(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_each_at_once(monkeypatch)
    store.before_write = in_use

    report = update(store, PlainSource())

    assert (report.total("made"), report.total("failed")) == (192, 64)
    assert isinstance(report.failed_tiles[0].error, CacheInUse)


def test_a_package_in_use_ends_the_run(tmp_path: Path) -> None:
    store = MemoryStore(tmp_path / "a.mbtiles", profile_of(SCHEME, StorageFormat.MBTILES))
    store.before_write = in_use

    with pytest.raises(CacheInUse):
        update(store, PlainSource())


@pytest.mark.parametrize(
    "error",
    [
        DiskFull("cache", free=0),
        ReadOnlyCache("cache", ReadOnlyReason.RIGHTS),
        TargetProblem("cache", "input/output error"),
    ],
)
def test_where_nothing_can_be_stored_the_run_ends_and_resumes(
    error: TileCacheError, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_each_at_once(monkeypatch)

    def full(level_id: int, tiles: object) -> None:
        if len(store.tiles) >= 128:
            raise error

    store.before_write = full
    source = PlainSource(workers=1)

    with pytest.raises(type(error)):
        update(store, source)

    assert source.closed == 1
    assert len(store.tiles) == 128
    assert store.log[-1] == ("commit",)
    run = unfinished(store.path)
    assert run is not None
    assert (run.is_interrupted, run.done, run.planned) == (True, 2, 4)

    store.before_write = lambda *_args: None
    source = PlainSource()
    report = update(store, source)
    assert (report.outcome, report.total("made")) == (Outcome.DONE, 256)
    assert len(source.drawn) == 2


@pytest.mark.parametrize("mode", [ALL, UpdateMode.RECREATE_EMPTY, DELETE])
def test_a_damaged_bundle_is_passed_by(mode: UpdateMode, store: MemoryStore) -> None:
    # Level 8, one quarter: one bundle. Level 9: four, one of them damaged.
    store.fill(9, [(row, col) for row in (5, 130) for col in (260, 400)])
    store.damaged = {(9, 0, 256)}
    told: list[Message] = []

    report = update(store, PlainSource(supertile_side=64), level=9, mode=mode, told=told)

    assert report.outcome is Outcome.PARTIAL
    assert report.total("failed") == 128 * 128
    assert store.tiles[9, 5, 260] == b"old"
    assert {(e.row // 128, e.col // 128) for e in report.failed_tiles} == {(0, 2)}
    errors = [message.error for message in told]
    assert [type(error) for error in errors] == [DamagedCache]
    if mode is DELETE:
        assert report.total("deleted") == 3
    else:
        worked = (report.total("made") or 0) + (report.total("replaced") or 0)
        assert worked + (report.total("skipped") or 0) == 3 * 128 * 128


def test_tiles_that_vanish_while_the_update_goes_on_have_failed(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count at the end of each bundle, against the plan."""
    store_each_at_once(monkeypatch)

    def steal(level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        if store.calls["write"] == 4:
            del store.tiles[5, 7, 16]
            del store.tiles[5, 0, 17]

    store.fill(5, [(7, 16)])
    store.before_write = steal

    report = update(store, PlainSource(workers=1))

    assert report.outcome is Outcome.PARTIAL
    (level,) = report.levels
    assert (level.made, level.replaced, level.failed) == (254, 0, 2)
    assert {(each.row, each.col) for each in report.failed_tiles} == {(7, 16), (0, 17)}
    run = unfinished(store.path)
    assert run is not None
    assert run.failed == 2


def test_failed_tiles_hold_why(store: MemoryStore) -> None:
    report = update(store, FailingSource(bad=frozenset({(5, 0, 16)})))

    first = report.failed_tiles[0]
    assert isinstance(first, FailedTile)
    assert (first.level_id, first.row, first.col) == (5, 0, 16)
    assert isinstance(first.error, LayerFailed)
    assert (first.error.name, first.error.detail) == ("Roads", "connection lost")
