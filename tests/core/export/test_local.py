"""Exports from caches on this computer: same bytes, right counts, nothing lost on the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from core.export.fakes import (
    HALF,
    ListSource,
    NoPixels,
    PlainPixels,
    all_tiles,
    make_cache,
    profile_of,
    request_of,
    small_scheme,
    tiles_in,
    touched,
)
from shapely.geometry import Point, Polygon, box
from tile_bytes import tile

from tile_cache_manager.plugin.core.errors import (
    DiskFull,
    NothingToDraw,
    NothingToDrawReason,
    ServiceChanged,
    SourceError,
)
from tile_cache_manager.plugin.core.export import local, store_tiles
from tile_cache_manager.plugin.core.export.local import estimate_local, export_local
from tile_cache_manager.plugin.core.export.request import ExportReport, ExportRequest, Overwrite
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.local import bundle_run
from tile_cache_manager.plugin.core.local.journal import unfinished
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.compact import CompactStore
from tile_cache_manager.plugin.core.storage.creation import SUFFIXES
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.tiling import Extent

SCHEME = small_scheme(finest=5)
BIG = web_mercator(256, finest=5)
AREA = Polygon([(-1.7e7, 1.5e7), (1.2e7, 0.9e7), (0.8e7, -1.1e7), (-0.9e7, -0.2e7)])
WRITABLE = [each for each in StorageFormat if each.can_be_written]
MERGE = Overwrite.MERGE


def run(source: Path, request: ExportRequest, **rest: Any) -> ExportReport:
    rest = {"pixels": NoPixels(), "feedback": Feedback(), **rest}
    return export_local(source, request, rest.pop("feedback"), **rest)


def bytes_of(levels: Any = range(6), side: int = 32) -> dict[tuple[int, int, int], bytes]:
    return {key: tile(*key, 0, side) for key in all_tiles(levels)}


class Chained:
    """Pixels that only tell what was made of what."""

    def is_opaque(self, picture: bytes) -> bool:
        return False

    def clipped(self, picture: bytes, *_rest: object) -> bytes:
        return picture + b" clipped"

    def merged(self, below: bytes, above: bytes, part: object, *_rest: object) -> bytes:
        return below + (b" below all of " if part is None else b" below part of ") + above


@pytest.fixture(scope="module")
def source(tmp_path_factory: Any) -> Path:
    return make_cache(tmp_path_factory.mktemp("source") / "hills", profile_of(SCHEME), bytes_of())


@pytest.mark.parametrize(
    ("origin", "to"),
    [*zip(WRITABLE, WRITABLE[1:]), (WRITABLE[-1], WRITABLE[0])],
    ids=lambda each: each.value,
)
def test_bytes_are_the_same_from_format_to_format(
    tmp_path: Path, origin: StorageFormat, to: StorageFormat
) -> None:
    tiles = bytes_of(range(4), 256)
    path = make_cache(tmp_path / "from", profile_of(BIG, origin, image_format="PNG"), tiles)
    with local.open_store(path) as store:
        scheme = store.profile.scheme
    target = tmp_path / f"to{SUFFIXES.get(to, '')}"
    asked = request_of(scheme, target, AREA, to, levels=(1, 2, 3))

    report = run(path, asked)

    expected = set().union(*(touched(BIG, z, AREA) for z in (1, 2, 3)))
    assert tiles_in(target) == {key: tiles[key] for key in expected}
    assert {e.level.id: e.made for e in report.levels} == {
        z: len(touched(BIG, z, AREA)) for z in (1, 2, 3)
    }
    assert report.outcome is Outcome.DONE
    assert (report.service, report.target) == (store.profile.name, str(target))
    assert report.size >= sum(len(tiles[key]) for key in expected)


def test_every_scale_has_its_own_area(tmp_path: Path, source: Path) -> None:
    areas = (
        LevelArea((0, 1, 2), None),
        LevelArea((3,), AREA),
        LevelArea((4, 5), Extent(1e6, 2e6, 5e6, 7e6)),
    )
    report = run(source, request_of(SCHEME, tmp_path / "to", areas))
    expected = {z: set(all_tiles([z])) for z in (0, 1, 2)}
    expected[3] = touched(SCHEME, 3, AREA)
    expected |= {z: touched(SCHEME, z, areas[2].area) for z in (4, 5)}
    assert set(tiles_in(tmp_path / "to")) == set().union(*expected.values())
    assert {e.level.id: (e.planned, e.made, e.gaps) for e in report.levels} == {
        z: (len(tiles), len(tiles), 0) for z, tiles in expected.items()
    }


@pytest.mark.parametrize("overwrite", list(Overwrite))
def test_what_lies_outside_the_area_stays_byte_for_byte(
    tmp_path: Path, source: Path, overwrite: Overwrite
) -> None:
    class Opaque(PlainPixels):
        def is_opaque(self, picture: bytes) -> bool:
            return True

        def merged(self, below: bytes, above: bytes, part: object, *rest: object) -> bytes:
            return below + above[-12:]

    old = {key: tile(*key, 7, 32) for key in all_tiles(range(6)) if sum(key) % 2}
    target = make_cache(tmp_path / "to", profile_of(SCHEME), old)

    report = run(source, request_of(SCHEME, target, AREA, overwrite=overwrite), pixels=Opaque())

    inside = set().union(*(touched(SCHEME, z, AREA) for z in range(6)))
    now = tiles_in(target)
    assert {key: now[key] for key in now if key not in inside} == {
        key: content for key, content in old.items() if key not in inside
    }
    assert inside <= set(now)
    assert report.total("made") == len(inside - set(old))
    assert report.total("replaced") == len(inside & set(old))


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("to", WRITABLE, ids=lambda each: each.value)
def test_tiles_are_merged_in_every_format(tmp_path: Path, to: StorageFormat) -> None:
    """Two threads read from the target while a third one writes to it."""
    new = {key: tile(*key, 1, 256) for key in all_tiles([4])}
    old = {key: tile(*key, 0, 256) for key in new if sum(key) % 2}
    path = make_cache(tmp_path / "from", profile_of(BIG, image_format="PNG"), new)
    target = make_cache(tmp_path / "to", profile_of(BIG, to, image_format="PNG"), old)
    asked = request_of(BIG, target, AREA, to, levels=(4,), overwrite=MERGE, is_clipped=True)

    run(path, asked, pixels=Chained())

    expected = dict(old)
    for key in touched(BIG, 4, AREA):
        is_part = not AREA.contains(box(*BIG.tile_bounds(BIG.level(4), *key[1:]).bounds))
        if key in old:
            words = b" below part of " if is_part else b" below all of "
            expected[key] = old[key] + words + new[key]
        else:
            expected[key] = new[key] + (b" clipped" if is_part else b"")
    assert tiles_in(target) == expected


def test_gaps_are_told_and_what_was_there_is_kept(tmp_path: Path) -> None:
    tiles = {key: tile(*key, 0, 32) for key in all_tiles([4]) if key[1] < 8}
    path = make_cache(tmp_path / "from", profile_of(SCHEME), tiles)
    old = {(4, 9, 9): tile(4, 9, 9, 3, 32)}
    target = make_cache(tmp_path / "to", profile_of(SCHEME), old)
    report = run(path, request_of(SCHEME, target, None, levels=(4,)))
    (level,) = report.levels
    assert (level.planned, level.made, level.skipped, level.gaps) == (256, 128, 1, 127)
    assert tiles_in(target) == {**tiles, **old}


class Stop:
    """Cancels once so many percent are done."""

    def __init__(self, percent: float) -> None:
        self.percent, self.seen = percent, 0.0

    def feedback(self) -> Feedback:
        return Feedback(progress=self._see, cancelled=lambda: self.seen >= self.percent)

    def _see(self, percent: float) -> None:
        self.seen = max(self.seen, percent)


def merging(folder: Path) -> tuple[Path, Callable[[str], Path], dict[str, Any]]:
    """A source, and targets that have a half of the tiles already."""
    new, keys = bytes_of([4]), all_tiles([4])
    old = {key: tile(*key, 4, 32) for n, key in enumerate(keys) if n % 2}
    path = make_cache(folder / "from", profile_of(SCHEME), new)

    def target(name: str) -> Path:
        return make_cache(folder / name, profile_of(SCHEME), old)

    return path, target, {"overwrite": MERGE, "is_clipped": True, "levels": (4,)}


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Supertiles of four tiles, so that there are many."""
    monkeypatch.setattr(store_tiles, "SIDE", 2)
    monkeypatch.setattr(store_tiles, "LARGER_SIDES", ())


@pytest.mark.usefixtures("small_steps")
def test_a_merge_that_is_cancelled_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    path, target, how = merging(tmp_path)
    in_one = run(path, request_of(SCHEME, target("one"), AREA, **how), pixels=Chained())
    asked = request_of(SCHEME, target("two"), AREA, **how)
    reports = [
        run(path, asked, pixels=Chained(), feedback=Stop(percent).feedback())
        for percent in (20, 50, 75)
    ]
    assert [each.outcome for each in reports] == [Outcome.CANCELLED] * 3
    last = run(path, asked, pixels=Chained())
    assert tiles_in(asked.target) == tiles_in(tmp_path / "one")
    assert (last.outcome, last.levels) == (Outcome.DONE, in_one.levels)


class Killed(BaseException):
    """Stands for the death of the process."""


@pytest.mark.usefixtures("small_steps")
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("batch", "deaths"), [(0, (3, 1, 5, 0, 4)), (300, (2, 0, 1)), (None, (0,))]
)
def test_a_merge_that_is_killed_goes_on_to_the_same_bytes(
    tmp_path: Path,
    batch: int | None,
    deaths: tuple[int, ...],
    when: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Killed before tiles are stored and after, each time a little later."""
    if batch is not None:
        monkeypatch.setattr(bundle_run, "BATCH_BYTES", batch)
    path, target, how = merging(tmp_path)
    run(path, request_of(SCHEME, target("one"), AREA, **how), pixels=Chained())
    asked = request_of(SCHEME, target("two"), AREA, **how)
    write, left = CompactStore.write, [0]

    def dying(self: CompactStore, level_id: int, tiles: Mapping[tuple[int, int], bytes]) -> None:
        left[0] -= 1
        if when == "after" or left[0] >= 0:
            write(self, level_id, tiles)
        if left[0] < 0:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(CompactStore, "write", dying)
        for lives in deaths:
            left[0] = lives
            with pytest.raises(Killed):
                run(path, asked, pixels=Chained())
    run(path, asked, pixels=Chained())
    assert tiles_in(asked.target) == tiles_in(tmp_path / "one")


@pytest.mark.usefixtures("small_steps")
def test_what_failed_is_done_again_and_nothing_else(tmp_path: Path) -> None:
    """Tiles that were merged before some others failed are not merged once more."""
    path, target, how = merging(tmp_path)
    run(path, request_of(SCHEME, target("one"), AREA, **how), pixels=Chained())
    asked = request_of(SCHEME, target("two"), AREA, **how)

    class Failing(Chained):
        left = 5

        def merged(self, below: bytes, above: bytes, part: object, *rest: object) -> bytes:
            if self.left > 0:
                self.left -= 1
                raise SourceError("", "no memory")
            return super().merged(below, above, part, *rest)

    first = run(path, asked, pixels=Failing())
    assert (first.outcome, first.total("failed")) == (Outcome.PARTIAL, 5)
    assert "no memory" in str(first.failed_tiles[0].error)
    assert tiles_in(asked.target) != tiles_in(tmp_path / "one")
    assert run(path, asked, pixels=Chained()).outcome is Outcome.DONE
    assert tiles_in(asked.target) == tiles_in(tmp_path / "one")


def test_the_record_of_merges_goes_with_the_export(tmp_path: Path) -> None:
    path, target, how = merging(tmp_path)
    asked = request_of(SCHEME, target("to"), AREA, **how)
    run(path, asked, pixels=Chained())
    left = {each.name for each in work_folder(asked.target).iterdir()}
    assert not left & {"merged.jsonl", "made_by_export.json"}


@pytest.mark.parametrize("to", WRITABLE, ids=lambda each: each.value)
def test_a_disk_that_is_full_leaves_no_empty_cache(
    tmp_path: Path, to: StorageFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_cache(
        tmp_path / "from", profile_of(BIG, image_format="PNG"), bytes_of(range(3), 256)
    )
    target = tmp_path / "new" / f"to{SUFFIXES.get(to, '')}"
    target.parent.mkdir()
    asked = request_of(BIG, target, None, to, levels=(0, 1, 2))

    def full(*_args: object, **_rest: object) -> None:
        raise DiskFull(str(target))

    with monkeypatch.context() as patch:
        patch.setattr("tile_cache_manager.plugin.core.local.update.check_room", full)
        with pytest.raises(DiskFull):
            run(path, asked)
    assert list(target.parent.iterdir()) == []
    assert run(path, asked).total("made") == 21


def test_an_error_in_the_midst_keeps_what_was_stored(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a package as in a folder: the tiles are not in the package yet, but not lost either."""
    target = tmp_path / "to.tpkx"
    asked = request_of(SCHEME, target, None, StorageFormat.TPKX)
    calls = [0]

    def full(self: object) -> None:
        calls[0] += 1
        if calls[0] > 2:
            raise DiskFull(str(target))

    with monkeypatch.context() as patch:
        patch.setattr("tile_cache_manager.plugin.core.local.space.Room.check", full)
        with pytest.raises(DiskFull):
            run(source, asked)
    assert target.exists()
    assert run(source, asked).outcome is Outcome.DONE
    assert tiles_in(target) == bytes_of()


def test_cancelled_at_once_leaves_nothing(tmp_path: Path, source: Path) -> None:
    target = tmp_path / "new" / "to"
    target.parent.mkdir()
    report = run(source, request_of(SCHEME, target), feedback=Feedback(cancelled=lambda: True))
    assert report.outcome is Outcome.CANCELLED
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("named", ["", "conf.xml", "_alllayers"])
def test_a_cache_is_not_exported_to_itself(tmp_path: Path, named: str) -> None:
    path = make_cache(tmp_path / "hills", profile_of(SCHEME), bytes_of([1]))
    for origin, target in ((path, path / named), (path / named, path)):
        with pytest.raises(NothingToDraw) as caught:
            run(origin, request_of(SCHEME, target))
        assert caught.value.reason is NothingToDrawReason.SAME_CACHE
    assert tiles_in(path) == bytes_of([1])


def test_a_scheme_that_changed_is_told(tmp_path: Path, source: Path) -> None:
    other = small_scheme(finest=4)
    with pytest.raises(ServiceChanged):
        run(source, request_of(other, tmp_path / "to"))
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize("draws_missing", [True, False])
def test_missing_tiles_are_drawn_where_that_is_asked_for(
    tmp_path: Path, draws_missing: bool
) -> None:
    stored = {key: tile(*key, 0, 32) for key in all_tiles([3]) if key[2] != 5}
    path = make_cache(tmp_path / "from", profile_of(SCHEME), stored)
    drawing = ListSource({key: tile(*key, 9, 32) for key in all_tiles([3])})
    asked = request_of(SCHEME, tmp_path / "to", None, levels=(3,), draws_missing=draws_missing)

    run(path, asked, drawing=drawing)

    missing = {key for key in all_tiles([3]) if key not in stored}
    expected = {key: drawing.tiles[key] for key in missing} if draws_missing else {}
    assert tiles_in(tmp_path / "to") == {**stored, **expected}
    assert drawing.asked == (missing if draws_missing else set())
    assert drawing.closed == 1


def test_a_damaged_bundle_fails_and_the_others_are_copied(tmp_path: Path) -> None:
    fine = web_mercator(32, finest=8)
    tiles = {(8, row, col): tile(8, row, col, 0, 32) for row in range(8) for col in range(252)}
    path = make_cache(tmp_path / "from", profile_of(fine), tiles)
    bad = next(path.rglob("R0000C0080.bundle"))
    bad.write_bytes(b"x" * 100)
    report = run(path, request_of(fine, tmp_path / "to", Extent(-HALF, HALF - 1e6, HALF, HALF)))
    assert report.outcome is Outcome.PARTIAL
    kept = {key: content for key, content in tiles.items() if key[2] < 128 and key[1] < 7}
    assert tiles_in(tmp_path / "to") == kept
    assert report.levels[-1].failed == 7 * 128
    # By the first tile of what was read at once; whichever of the two was read first.
    assert re.search(r"8/0/(128|192)\b", str(report.failed_tiles[0].error))


def test_a_large_damaged_bundle_does_not_end_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is of 64 supertiles, all of which fail: more than a dead source is forgiven."""
    monkeypatch.setattr(store_tiles, "LARGER_SIDES", ())
    fine = web_mercator(32, finest=8)
    tiles = {(8, row, col): b"tile" for row in range(128) for col in range(256)}
    path = make_cache(tmp_path / "from", profile_of(fine), tiles)
    next(path.rglob("R0000C0000.bundle")).write_bytes(b"x" * 100)
    report = run(path, request_of(fine, tmp_path / "to", levels=(8,)))
    (level,) = report.levels
    assert (report.outcome, level.failed, level.made) == (Outcome.PARTIAL, 128**2, 128**2)
    assert level.gaps == 2 * 128**2


@pytest.mark.usefixtures("small_steps")
def test_an_export_that_was_cancelled_is_not_offered_as_an_update(
    tmp_path: Path, source: Path
) -> None:
    target = tmp_path / "to"
    report = run(source, request_of(SCHEME, target), feedback=Stop(30).feedback())
    assert report.outcome is Outcome.CANCELLED
    assert unfinished(target) is None
    assert run(source, request_of(SCHEME, target)).outcome is Outcome.DONE


def test_progress_follows_what_is_copied(tmp_path: Path) -> None:
    """Not the area, most of which may be empty."""
    fine = web_mercator(32, finest=12)
    tiles = {(12, 64 * row, 64 * col): b"tile" for row in range(10) for col in range(10)}
    path = make_cache(tmp_path / "from", profile_of(fine), tiles)
    told: list[float] = []
    run(path, request_of(fine, tmp_path / "to"), feedback=Feedback(progress=told.append))
    assert told == sorted(told)
    assert told[-1] == 100
    assert len({percent for percent in told if 10 < percent < 90}) > 15


def test_a_large_empty_world_takes_no_time(tmp_path: Path) -> None:
    """Level 18 has 69 billion tiles; the cache has three, and room is not asked for more."""
    fine = web_mercator(32, finest=18)
    tiles = {key: tile(*key, 0, 32) for key in [(18, 5, 5), (18, 200_000, 100_000), (17, 1, 1)]}
    path = make_cache(tmp_path / "from", profile_of(fine), tiles)
    asked = request_of(fine, tmp_path / "to")
    assert sum(e.tiles or 0 for e in estimate_local(path, asked, Feedback())) == 3
    report = run(path, asked)
    assert tiles_in(tmp_path / "to") == tiles
    assert report.total("planned") == sum(4**z for z in range(19))
    assert report.total("made") == 3


@pytest.mark.parametrize("to", WRITABLE, ids=lambda each: each.value)
def test_estimates_are_what_is_copied_then(tmp_path: Path, to: StorageFormat) -> None:
    tiles = {key: tile(*key, 0, 256) for key in all_tiles(range(6)) if key[1] % 3}
    path = make_cache(tmp_path / "from", profile_of(BIG, image_format="PNG"), tiles)
    target = tmp_path / f"to{SUFFIXES.get(to, '')}"
    asked = request_of(BIG, target, AREA, to, levels=range(2, 6))

    estimates = estimate_local(path, asked, Feedback())

    assert not target.exists()
    report = run(path, asked)
    assert [e.tiles for e in estimates] == [e.made for e in report.levels]
    for estimate in estimates:
        sizes = [len(tiles[key]) for key in touched(BIG, estimate.level.id, AREA) if key in tiles]
        assert estimate.bytes == pytest.approx(sum(sizes), rel=0.4)
        assert estimate.seconds is not None
        assert 0 < estimate.seconds < 60


def test_levels_can_have_other_ids_in_the_target(tmp_path: Path) -> None:
    """MBTiles number levels by zooms; a scheme may begin anywhere."""
    full = web_mercator(256, finest=5)
    some = tuple(replace(e, id=e.id - 2) for e in full.levels if e.id >= 2)
    scheme = replace(full, levels=some)
    tiles = {(z, row, col): tile(z, row, col, 0, 256) for z, row, col in [(0, 1, 2), (3, 30, 9)]}
    path = make_cache(tmp_path / "from", profile_of(scheme, image_format="PNG"), tiles)
    target = tmp_path / "to.mbtiles"
    asked = request_of(scheme, target, None, StorageFormat.MBTILES)
    report = run(path, asked)
    assert tiles_in(target) == {(z + 2, row, col): tiles[z, row, col] for z, row, col in tiles}
    assert {e.level.id: e.made for e in report.levels} == {0: 1, 1: 0, 2: 0, 3: 1}
    again = run(path, asked)
    assert {e.level.id: e.replaced for e in again.levels} == {0: 1, 1: 0, 2: 0, 3: 1}


def test_circles_are_counted_as_brute_force_counts_them(tmp_path: Path, source: Path) -> None:
    rng = np.random.default_rng(4)
    for number in range(3):
        area = Point(*rng.uniform(-1.5e7, 1.5e7, 2)).buffer(rng.uniform(1e6, 9e6))
        asked = request_of(SCHEME, tmp_path / str(number), area)
        report = run(source, asked)
        counted = {z: len(touched(SCHEME, z, area)) for z in range(6)}
        assert {e.level.id: e.made for e in report.levels} == counted
