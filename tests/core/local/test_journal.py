"""The journal of updates: what is written down is read again, whatever happened to the file."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from core.local.fakes import HALF, web_mercator
from shapely.geometry import MultiPolygon, Point

from tile_cache_manager.plugin.core.errors import (
    CacheInUse,
    DamagedCache,
    LayerFailed,
    NothingToResume,
    SourceError,
    StorageError,
    TileCacheError,
    TileTooLarge,
)
from tile_cache_manager.plugin.core.local.journal import (
    KEPT,
    Journal,
    discard_unfinished,
    open_journal,
    unfinished,
    unfinished_request,
)
from tile_cache_manager.plugin.core.local.run_record import (
    Entry,
    Head,
    head_line,
    read_head,
    runs_of,
    tiles_of,
)
from tile_cache_manager.plugin.core.request import (
    Outcome,
    Resume,
    TileFilter,
    UpdateMode,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.tiling import Extent, SpatialReference

SCHEME = web_mercator(9)
AREA = MultiPolygon([Point(1e6, 2e6).buffer(1e5 / 3), Point(-7e6, 0.1).buffer(1e6 / 7)])
ROOT = Path(__file__).resolve().parents[3]

REQUESTS = {
    "an area": UpdateRequest(SCHEME, SCHEME.levels[3:6], UpdateMode.RECREATE_ALL, area=AREA),
    "an extent": UpdateRequest(
        SCHEME, SCHEME.levels[:1], UpdateMode.DELETE, extent=Extent(-1 / 3, 0, 1e6, HALF)
    ),
    "the whole cache": UpdateRequest(SCHEME, SCHEME.levels, UpdateMode.RECREATE_EMPTY),
    "filters": UpdateRequest(
        SCHEME,
        SCHEME.levels[2:3],
        UpdateMode.RECREATE_ALL,
        tile_filter=TileFilter(True, 1234567890.125),
    ),
    "a CRS by text": UpdateRequest(
        replace(SCHEME, crs=SpatialReference(wkt='PROJCS["Höhe"]')),
        SCHEME.levels[2:3],
        UpdateMode.RECREATE_ALL,
        extent=Extent(0, 0, 1, 1),
    ),
}


def head_of(request: UpdateRequest, started: float = 1000.0, source: str = "map") -> Head:
    return Head(request, source, 8, started, 10)


def run(
    path: Path, head: Head, *entries: Entry, outcome: Outcome | None = None, untouched: int = 0
) -> Path:
    """Write the journal of a run; without `outcome`, an interrupted one."""
    journal = open_journal(path, head)
    for entry in entries:
        journal.append(entry)
    journal.untouched(untouched)
    if outcome is not None:
        journal.end(outcome)
    journal.close()
    return journal.path


@contextmanager
def running(path: Path, head: Head) -> Iterator[Journal]:
    journal = open_journal(path, head)
    try:
        yield journal
    finally:
        journal.close()


@pytest.mark.parametrize("name", REQUESTS)
def test_the_head_comes_back(name: str) -> None:
    request = REQUESTS[name]
    tiles = {3: ((1, 2), (1, 3), (4, 4))}
    head = Head(request, "the map\nabc", 16, 12345.5, 678, tiles)

    found = read_head(head_line(head))

    assert found == replace(head, request=found.request)
    assert replace(found.request, area=None, resume=request.resume) == replace(request, area=None)
    assert found.request.resume is Resume.CONTINUE
    if request.area is not None:
        assert found.request.area.equals_exact(request.area, 0)
    assert found.is_about(request)
    assert not any(found.is_about(other) for other in REQUESTS.values() if other is not request)


def test_runs_of_tiles_and_back() -> None:
    dice = random.Random(1)
    tiles = {(dice.randrange(20), dice.randrange(20)) for _ in range(150)}

    runs = runs_of(tiles)

    assert set(tiles_of(runs)) == tiles
    assert len(runs) < len(tiles)
    assert runs_of([(5, 7), (5, 6), (6, 8)]) == [[5, 6, 7], [6, 8, 8]]


@pytest.mark.parametrize("runs", [[[0, 5, 4]], [[0, 0, 10**9]], [[1, 2]], [["a", 0, 0]], [7]])
def test_runs_that_are_none_are_refused(runs: list[object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        tiles_of(runs)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LayerFailed("Roads", "gone"), ("Roads", "gone")),
        (SourceError("map", "KeyError 'x'"), ("map", "KeyError 'x'")),
        (DamagedCache("R0000C0000.bundle", "cut"), ("R0000C0000.bundle", "cut")),
        (CacheInUse("a.bundle"), ("a.bundle", None)),
        (TileTooLarge("a.bundle", 7), ("a.bundle", None)),
    ],
)
def test_failed_tiles_come_back_with_their_errors(
    error: TileCacheError, expected: tuple[str, str | None], tmp_path: Path
) -> None:
    head = head_of(REQUESTS["an area"])
    run(tmp_path, head, Entry(3, 8, 16, failed=((8, 16), (9, 17)), error=error))

    with running(tmp_path, head) as journal:
        assert journal.run is not None
        (first, second) = journal.run.failed()

    assert ((first.row, first.col), (second.row, second.col)) == ((8, 16), (9, 17))
    found = first.error
    if isinstance(error, SourceError):
        assert type(found) is type(error)
        assert isinstance(found, SourceError)
        detail = found.detail if isinstance(found, LayerFailed) else found.text
        assert (found.name, detail) == expected
    else:
        assert isinstance(found, StorageError)
        assert found.path == expected[0]
        if isinstance(error, DamagedCache):
            assert isinstance(found, DamagedCache)
            assert found.detail == expected[1]


def test_entries_are_found_by_their_bundle_and_the_later_one_holds(tmp_path: Path) -> None:
    head = head_of(REQUESTS["the whole cache"])
    error = LayerFailed("Roads", "gone")
    entries = [
        Entry(9, 0, 120, made=1),
        Entry(9, 0, 128, made=2, skipped=7),
        Entry(9, 120, 248, replaced=3),
        Entry(9, 128, 128, made=4),
        Entry(8, 0, 128, made=5),
        Entry(9, 8, 128, failed=((8, 128),), error=error),
        Entry(9, 16, 128, failed=((16, 128),), error=error),
        # Done again, with another end.
        Entry(9, 0, 128, made=6),
        Entry(9, 16, 128, made=64),
    ]
    run(tmp_path, head, *entries, untouched=2)

    with running(tmp_path, head) as journal:
        past = journal.run
    assert past is not None
    found = {(e.row, e.col): (e.made, e.replaced, len(e.failed)) for e in past.entries(9, (0, 128))}
    assert found == {
        (0, 128): (6, 0, 0),
        (8, 128): (0, 0, 1),
        (16, 128): (64, 0, 0),
        (120, 248): (0, 3, 0),
    }
    assert past.bundles(9) == {(0, 0), (0, 128), (128, 128)}
    assert past.bundles(7) == set()
    assert list(past.entries(7, (0, 0))) == []
    assert [(tile.row, tile.col) for tile in past.failed()] == [(8, 128)]
    assert int(past.done_tiles(9, (0, 128)).sum()) == 4 * 64
    # Seven supertiles, two of which were written down twice; and two in which nothing was to do.
    assert past.done == 9
    # These are looked at again by the run that goes on.
    now = unfinished(tmp_path)
    assert now is not None
    assert now.done == 7


def test_a_square_of_supertiles_is_one_entry(tmp_path: Path) -> None:
    """That of all of a bundle, of a quarter of another; and what was made again in it since."""
    head = replace(head_of(REQUESTS["the whole cache"]), planned=1000)
    gone = DamagedCache("R0000C0000.bundle", "gone")
    entries = [
        Entry(9, 0, 128, made=100, replaced=6, side=128, supertiles=5),
        Entry(9, 0, 128, made=3),
        Entry(9, 64, 256, skipped=7, side=64, supertiles=64),
        Entry(9, 0, 320, 9, failed=((1, 321),), error=gone, side=32, supertiles=2),
    ]
    run(tmp_path, head, *entries)

    with running(tmp_path, head) as journal:
        past = journal.run
        assert past is not None
        # No longer one than the others: the same supertile, done again.
        journal.append(replace(entries[0], made=1), entries[2])
    assert set(past.entries(9, (0, 128))) == set(entries[:2])
    (failed,) = (entry for entry in past.entries(9, (0, 256)) if entry.failed)
    assert replace(failed, error=gone) == entries[3]
    assert [(each.row, each.col) for each in past.failed()] == [(1, 321)]
    assert past.done == 5 + 1 + 64 + 2
    assert int(past.done_tiles(9, (0, 256)).sum()) == 64 * 64 + 32 * 32
    with running(tmp_path, head) as journal:
        assert journal.run is not None
        assert {e.made for e in journal.run.entries(9, (0, 128))} == {1, 3}


def test_journals_are_read_by_those_who_know_no_squares(tmp_path: Path) -> None:
    """Lines of supertiles are what they always were."""
    head = head_of(REQUESTS["the whole cache"])
    file = run(tmp_path, head, Entry(9, 8, 16, 1, 2, 3, 4), Entry(9, 0, 0, made=2, side=128))

    assert file.read_text(encoding="utf-8").splitlines()[1:] == [
        "[9,8,16,1,2,3,4]",
        "[9,0,0,2,0,0,0,128,1]",
    ]


def test_finished_bundles_come_back_where_nothing_of_ours_was_changed_since(
    tmp_path: Path,
) -> None:
    head = head_of(REQUESTS["the whole cache"])
    journal = open_journal(tmp_path, head)
    journal.append(Entry(9, 0, 0, made=3))
    journal.untouched(4)
    journal.whole([(9, 0, 0, 2, 4), (8, 0, 128, 0, 0)])
    journal.whole([(9, 0, 128, 7, 1), (9, 0, 0, 5, 4)])
    journal.untouched(2)
    journal.close()

    with running(tmp_path, head) as journal:
        past = journal.run
    assert past is not None
    assert past.finished(9) == {(0, 0): (9, 0, 0, 5, 4), (0, 128): (9, 0, 128, 7, 1)}
    assert past.finished(8) == {(0, 128): (8, 0, 128, 0, 0)}
    assert past.finished(7) == {}

    run(tmp_path, head_of(OTHERS["area"], started=2000.0))
    os.utime(journal.path, ns=(0, 0))
    with running(tmp_path, head) as journal:
        assert journal.run is not None
        assert journal.run.finished(9) == {}
        # What was found to be done still is written down again.
        journal.whole([(9, 128, 0, 0, 0)])
    with running(tmp_path, head) as journal:
        assert journal.run is not None
        assert journal.run.finished(9) == {(128, 0): (9, 128, 0, 0, 0)}


def test_many_entries_are_read_into_little_memory(tmp_path: Path) -> None:
    """Of ten million tiles there are 160 thousand; here, of two million, 32 thousand."""
    head = head_of(REQUESTS["the whole cache"])
    count = 32_768
    run(tmp_path, head, *(Entry(9, 8 * (n // 181), 8 * (n % 181), made=64) for n in range(count)))

    tracemalloc.start()
    try:
        with running(tmp_path, head) as journal:
            assert journal.run is not None
            peak = tracemalloc.get_traced_memory()[1]
            assert sum(1 for _entry in journal.run.entries(9, (0, 0))) == 256
    finally:
        tracemalloc.stop()

    assert peak < 130 * count


# Which run is taken up

ASKED = REQUESTS["an area"]


def asked(resume: Resume, request: UpdateRequest = ASKED) -> Head:
    return head_of(replace(request, resume=resume), started=5000.0)


def started(path: Path, head: Head) -> bool:
    """Whether such a run begins anew."""
    with running(path, head) as journal:
        return journal.run is None


def test_an_interrupted_run_is_taken_up_by_the_same_request(tmp_path: Path) -> None:
    run(tmp_path, head_of(ASKED), Entry(3, 8, 16, made=5))

    assert not started(tmp_path, asked(Resume.AUTO))
    assert not started(tmp_path, asked(Resume.CONTINUE))


OTHERS = {
    "mode": replace(ASKED, mode=UpdateMode.RECREATE_EMPTY),
    "levels": replace(ASKED, levels=SCHEME.levels[3:7]),
    "area": replace(ASKED, area=AREA.buffer(1)),
    "filter": replace(ASKED, tile_filter=TileFilter(only_existing=True)),
    "scheme": replace(ASKED, scheme=replace(SCHEME, dpi=97)),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_request_begins_anew(what: str, tmp_path: Path) -> None:
    run(tmp_path, head_of(ASKED), Entry(3, 8, 16, made=5))

    with pytest.raises(NothingToResume):
        open_journal(tmp_path, asked(Resume.CONTINUE, OTHERS[what]))
    assert started(tmp_path, asked(Resume.AUTO, OTHERS[what]))


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.PARTIAL])
def test_a_run_at_its_end_is_not_taken_up(outcome: Outcome, tmp_path: Path) -> None:
    run(tmp_path, head_of(ASKED), Entry(3, 8, 16, made=5), outcome=outcome)

    assert started(tmp_path, asked(Resume.AUTO))


@pytest.mark.parametrize("resume", [Resume.CONTINUE, Resume.FAILED])
def test_without_a_run_there_is_nothing_to_resume(resume: Resume, tmp_path: Path) -> None:
    with pytest.raises(NothingToResume):
        open_journal(tmp_path, asked(resume))
    run(tmp_path, head_of(ASKED), outcome=Outcome.DONE)
    with pytest.raises(NothingToResume):
        open_journal(tmp_path, asked(resume))
    assert started(tmp_path, asked(Resume.AUTO))


def test_a_source_that_changed_is_not_mixed_with_the_old_unless_asked(tmp_path: Path) -> None:
    run(tmp_path, head_of(ASKED, source="map\nold style"), Entry(3, 8, 16, made=5))
    changed = replace(asked(Resume.AUTO), source="map\nnew style")

    assert started(tmp_path / "other", changed)
    with running(tmp_path, replace(asked(Resume.CONTINUE), source=changed.source)) as journal:
        assert journal.run is not None
    assert started(tmp_path, changed)


SINCE = {
    "a deletion": head_of(REQUESTS["an extent"], started=2.0, source=""),
    "an update from another source": head_of(ASKED, started=2.0, source="map\nnew style"),
    "another area from another source": head_of(OTHERS["area"], started=2.0, source="photos"),
}


@pytest.mark.parametrize("what", SINCE)
@pytest.mark.parametrize("outcome", [Outcome.DONE, None])
def test_what_was_changed_since_is_made_again(
    what: str, outcome: Outcome | None, tmp_path: Path
) -> None:
    run(tmp_path, head_of(ASKED, started=1.0), Entry(3, 8, 16, made=5))
    run(tmp_path, SINCE[what], outcome=outcome)

    assert started(tmp_path, asked(Resume.AUTO))


@pytest.mark.parametrize("outcome", [Outcome.DONE, None])
def test_other_areas_from_the_same_source_change_nothing(
    outcome: Outcome | None, tmp_path: Path
) -> None:
    """As where several processes updated one cache, and one of them was killed."""
    run(tmp_path, head_of(ASKED, started=1.0), Entry(3, 8, 16, made=5))
    run(tmp_path, head_of(OTHERS["area"], started=2.0), outcome=outcome)

    assert not started(tmp_path, asked(Resume.AUTO))


def test_a_new_run_drops_what_was_interrupted(tmp_path: Path) -> None:
    file = run(tmp_path, head_of(ASKED), Entry(3, 8, 16, made=5))

    assert started(tmp_path, asked(Resume.NEW))
    assert not file.exists()


def test_a_run_that_is_on_is_left_alone(tmp_path: Path) -> None:
    with running(tmp_path, head_of(ASKED)) as journal:
        assert started(tmp_path, asked(Resume.AUTO))
        with running(tmp_path, asked(Resume.NEW)):
            assert journal.path.exists()
        with pytest.raises(NothingToResume):
            open_journal(tmp_path / "nowhere", asked(Resume.CONTINUE))


def test_a_run_that_is_on_in_another_process_is_no_interrupted_one(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import sys
        sys.path[:0] = [{str(ROOT / "tests")!r}]
        import conftest
        from pathlib import Path
        from core.local import test_journal as t
        journal = t.open_journal(Path({str(tmp_path)!r}), t.head_of(t.ASKED))
        journal.append(t.Entry(3, 8, 16, made=5))
        print("on", flush=True)
        sys.stdin.read()
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"on"
        assert unfinished(tmp_path) is None
        assert unfinished_request(tmp_path) is None
        other.kill()
        other.wait()

    # Killed, it is.
    found = unfinished(tmp_path)
    assert found is not None
    assert (found.is_interrupted, found.done) == (True, 1)
    assert not started(tmp_path, asked(Resume.AUTO))


# Failed tiles


def test_failed_tiles_become_a_run_of_their_own(tmp_path: Path) -> None:
    error = LayerFailed("Roads", "gone")
    entries = [
        Entry(3, 0, 0, made=9, failed=((1, 2), (1, 3)), error=error),
        Entry(4, 8, 8, failed=((9, 9),), error=error),
    ]
    run(tmp_path, head_of(ASKED, started=1.0), *entries, outcome=Outcome.PARTIAL)

    with running(tmp_path, asked(Resume.FAILED)) as journal:
        assert journal.run is None
        assert journal.head.tiles == {3: ((1, 2), (1, 3)), 4: ((9, 9),)}
        assert journal.head.planned == 2

    # Interrupted, it is taken up where it was said so; not for the request as a whole.
    with running(tmp_path, asked(Resume.CONTINUE)) as journal:
        assert journal.run is not None
        assert journal.head.tiles == {3: ((1, 2), (1, 3)), 4: ((9, 9),)}
    assert started(tmp_path, asked(Resume.AUTO))


def test_failed_tiles_of_levels_not_asked_for_stay(tmp_path: Path) -> None:
    entry = Entry(3, 0, 0, failed=((1, 2),), error=LayerFailed("Roads", "gone"))
    run(tmp_path, head_of(ASKED), entry, outcome=Outcome.PARTIAL)

    with pytest.raises(NothingToResume):
        open_journal(tmp_path, asked(Resume.FAILED, replace(ASKED, levels=SCHEME.levels[4:5])))


def test_failed_tiles_of_a_cache_that_was_another_are_no_tiles_of_this(tmp_path: Path) -> None:
    entry = Entry(3, 0, 0, failed=((1, 2),), error=LayerFailed("Roads", "gone"))
    run(tmp_path, head_of(ASKED), entry, outcome=Outcome.PARTIAL)

    assert unfinished(tmp_path, SCHEME) is not None
    assert unfinished(tmp_path, web_mercator(8)) is None
    with pytest.raises(NothingToResume):
        open_journal(tmp_path, asked(Resume.FAILED, OTHERS["scheme"]))


# What is told of the last run


def test_the_last_run_is_told_where_something_is_left(tmp_path: Path) -> None:
    assert unfinished(tmp_path) is None
    assert unfinished_request(tmp_path) is None

    failed = Entry(3, 0, 0, made=9, failed=((1, 2), (1, 3)), error=LayerFailed("Roads", "gone"))
    run(tmp_path, head_of(ASKED, started=1.0), Entry(3, 8, 16), failed, untouched=3)
    told = unfinished(tmp_path)
    assert told is not None
    assert (told.mode, told.level_ids, told.started) == (ASKED.mode, (3, 4, 5), 1.0)
    assert (told.done, told.planned, told.failed, told.is_interrupted) == (5, 10, 2, True)
    request = unfinished_request(tmp_path)
    assert request is not None
    assert replace(request, area=None) == replace(ASKED, area=None, resume=Resume.CONTINUE)
    assert not started(tmp_path, head_of(request))

    run(tmp_path, head_of(ASKED, started=2.0), failed, outcome=Outcome.PARTIAL)
    run_of_failed = unfinished_request(tmp_path)
    assert run_of_failed is not None
    assert run_of_failed.resume is Resume.FAILED
    told = unfinished(tmp_path)
    assert told is not None
    assert (told.is_interrupted, told.failed) == (False, 2)

    run(tmp_path, head_of(OTHERS["mode"], started=3.0), outcome=Outcome.DONE)
    assert unfinished(tmp_path) is None
    assert unfinished_request(tmp_path) is None


def test_the_last_ten_journals_are_kept(tmp_path: Path) -> None:
    files = [
        run(tmp_path, head_of(OTHERS["mode"], started=float(n)), outcome=Outcome.DONE)
        for n in range(KEPT + 3)
    ]

    assert [file.exists() for file in files] == [False] * 3 + [True] * KEPT
    folder = work_folder(tmp_path) / "runs"
    assert len(list(folder.iterdir())) == 2 * KEPT


# Torn and spoilt


def test_a_torn_last_line_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    head = head_of(REQUESTS["the whole cache"])
    file = run(tmp_path, head, Entry(9, 0, 0, made=5), Entry(9, 8, 1024, made=6, skipped=10))
    whole = file.read_bytes()
    start = whole.rindex(b"\n", 0, -1) + 1

    for end in range(start, len(whole) + 1):
        file.write_bytes(whole[:end])
        with running(tmp_path, head) as journal:
            assert journal.run is not None
            expected = 2 if end >= len(whole) - 1 else 1
            assert journal.run.done == expected
            journal.append(Entry(9, 16, 0, made=7))
        # What is written next is not glued to the torn line.
        with running(tmp_path, head) as journal:
            assert journal.run is not None
            assert [e.made for e in journal.run.entries(9, (0, 0))] == [5, 7]


SPOILT = {
    "empty": b"",
    "no JSON": b"\x00\xff\xfe garbage\n",
    "a list": b"[]\n",
    "a number": b"7\n",
    "nothing in it": b"{}\n",
    "another version": b'{"version": 99}\n',
    "deep": b"[" * 100_000 + b"\n",
    "cut": head_line(head_of(ASKED))[:-40].encode(),
    "no levels": head_line(head_of(ASKED)).replace('"levels":[3,4,5]', '"levels":[77]').encode(),
    "a side of no power of two": head_line(head_of(ASKED)).replace('"side":8', '"side":7').encode(),
    "an infinite count": head_line(head_of(ASKED))
    .replace('"planned":10', '"planned":1e999')
    .encode(),
    "an area that is none": json.dumps(
        {**json.loads(head_line(head_of(ASKED))), "area": "0102"}
    ).encode(),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_spoilt_journal_is_no_error_and_no_run(what: str, tmp_path: Path) -> None:
    file = run(tmp_path, head_of(ASKED), Entry(3, 8, 16, made=5))
    file.write_bytes(SPOILT[what])

    assert unfinished(tmp_path) is None
    assert unfinished_request(tmp_path) is None
    assert started(tmp_path, asked(Resume.AUTO))


@pytest.mark.parametrize(
    "line",
    [
        *("[1,2,3]", "[3,8,16,1,0,0,-1]", '[3,8,16,"x",0,0,0]', "[3,8,16,1e999,0,0,0]"),
        *("[3,8,16,1,0,0,0,[[0,0,1000000000]]]", "[3,8,16,1,0,0,0,5,5,5,5]", "null", '"x"'),
        *('{"end": "nonsense"}', '{"untouched": "x"}', "[" * 50_000, "[3,8,1e30,1,0,0,0]"),
        *("[" + "9" * 40 + ",8,16,1,0,0,0]", "[-1,8,16,1,0,0,0]", "\ufffd"),
    ],
)
def test_a_line_that_nobody_understands_is_passed_by(line: str, tmp_path: Path) -> None:
    head = head_of(ASKED)
    file = run(tmp_path, head, Entry(3, 8, 16, made=5))
    with file.open("a", encoding="utf-8") as journal:
        journal.write(line + "\n[4,16,24,2,0,0,0]\n")

    with running(tmp_path, head) as resumed:
        assert resumed.run is not None
        assert resumed.run.done == 2
        assert [e.made for e in resumed.run.entries(4, (0, 0))] == [2]


def test_what_was_left_undone_is_discarded_but_not_what_is_on(tmp_path: Path) -> None:
    run(tmp_path, head_of(REQUESTS["an area"], 1000.0))
    run(tmp_path, head_of(REQUESTS["the whole cache"], 2000.0))
    with running(tmp_path, head_of(REQUESTS["an extent"], 3000.0)):
        discard_unfinished(tmp_path)
        assert unfinished(tmp_path) is None
    left = unfinished(tmp_path)
    assert left is not None
    assert left.started == 3000.0
    discard_unfinished(tmp_path)
    assert unfinished(tmp_path) is None
    assert list((work_folder(tmp_path) / "runs").iterdir()) == []


def test_a_clock_that_is_put_back_makes_no_run_older(tmp_path: Path) -> None:
    asked = REQUESTS["an area"]
    run(tmp_path, head_of(asked, 2_000_000_000.0, "first"), outcome=Outcome.DONE)
    for number in range(KEPT + 2):
        started = 1_000_000_000.0 + number
        run(tmp_path, head_of(asked, started, f"run {number}"), outcome=Outcome.DONE)
    run(tmp_path, head_of(asked, 1_000_000_000.0, "last"), Entry(3, 0, 0, made=1))

    found = unfinished(tmp_path)
    assert found is not None
    assert (found.started, found.is_interrupted) == (1_000_000_000.0, True)
