"""Imports into caches on this computer, and into services."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from core.export.fakes import (
    HALF,
    NoPixels,
    all_tiles,
    make_cache,
    profile_of,
    snapshot,
    tiles_in,
    touched,
)
from tile_bytes import tile

from tile_cache_manager.plugin.core.errors import (
    CachesDiffer,
    Differs,
    LevelsWithoutArea,
    NoLevels,
    NotACache,
    NothingToDraw,
    NothingToImport,
    ReadOnlyCache,
    ServiceChanged,
    UnknownScale,
)
from tile_cache_manager.plugin.core.export.importing import ImportRequest, import_local, run_import
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.schemes import web_mercator, with_tile_size
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent

SCHEME = web_mercator(256, finest=6)
SOURCES = [
    StorageFormat.COMPACT_V2,
    StorageFormat.EXPLODED,
    StorageFormat.TPKX,
    StorageFormat.MBTILES,
]
AREA = Extent(-HALF / 3, -HALF / 3, HALF / 2.1, HALF / 5.1)


def source(
    folder: Path, storage: StorageFormat = StorageFormat.COMPACT_V2, **rest: Any
) -> tuple[Path, dict[tuple[int, int, int], bytes]]:
    """A cache with every other tile of two levels."""
    keys = [key for key in all_tiles([2, 4]) if key[1] % 2]
    tiles = {key: tile(*key, 5, 256) for key in keys}
    rest = {"image_format": "PNG", "name": "Roads", **rest}
    return make_cache(folder / "roads", profile_of(SCHEME, storage, **rest), tiles), tiles


def target(folder: Path, **rest: Any) -> tuple[Path, dict[tuple[int, int, int], bytes]]:
    tiles = {key: tile(*key, 0, 256) for key in all_tiles([2, 3, 4]) if key[2] % 3}
    scheme = rest.pop("scheme", SCHEME)
    path = make_cache(folder / "hills", profile_of(scheme, image_format="PNG32", **rest), tiles)
    return path, tiles


def request_of(path: Path, areas: Any = None, scheme: Any = SCHEME, **rest: Any) -> ImportRequest:
    return ImportRequest(scheme, rest.pop("levels", scheme.levels), areas, path, **rest)


@pytest.mark.parametrize("storage", SOURCES, ids=lambda each: each.value)
@pytest.mark.parametrize("area", [None, AREA], ids=["all", "an area"])
def test_tiles_are_imported_as_they_are(tmp_path: Path, storage: StorageFormat, area: Any) -> None:
    path, tiles = source(tmp_path, storage)
    into, before = target(tmp_path)
    report = run_import(str(into), request_of(path, area), Feedback(), pixels=NoPixels())
    inside = {
        key for z in (2, 4) for key in touched(SCHEME, z, area or Extent(-HALF, -HALF, HALF, HALF))
    }
    new = {key: content for key, content in tiles.items() if key in inside}
    assert tiles_in(into) == {**before, **new}
    assert report.outcome is Outcome.DONE
    assert report.total("made") == len(new.keys() - before.keys())
    assert report.total("replaced") == len(new.keys() & before.keys())
    assert (report.service, report.address, report.target) == (
        "roads" if storage in SOURCES[:2] else "Roads",
        str(path),
        str(into),
    )


def test_levels_are_found_by_resolution(tmp_path: Path) -> None:
    path, tiles = source(tmp_path)
    shifted = tuple(replace(e, id=e.id - 1) for e in SCHEME.levels[1:])
    into, before = target(tmp_path, scheme=replace(SCHEME, levels=shifted))
    asked = request_of(path, scheme=replace(SCHEME, levels=shifted), levels=shifted[2:5])
    report = import_local(into, asked, Feedback(), pixels=NoPixels())
    new = {(z - 1, row, col): content for (z, row, col), content in tiles.items() if z == 4}
    assert tiles_in(into) == {**before, **new}
    assert {e.level.id: (e.made or 0) + (e.replaced or 0) for e in report.levels} == {
        2: 0,
        3: len(new),
        4: 0,
    }


UNLIKE: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[Differs, ...]]] = {
    "pictures": ({"image_format": "JPEG"}, {}, (Differs.TILE_FORMAT,)),
    "tile size": (
        {},
        {"scheme": with_tile_size(SCHEME, 512), "levels": slice(0, 2)},
        (Differs.TILE_SIZE,),
    ),
    "scales": (
        {},
        {
            "scheme": replace(
                SCHEME,
                levels=tuple(replace(e, resolution=e.resolution * 1.5) for e in SCHEME.levels),
            )
        },
        (Differs.SCALES,),
    ),
}


@pytest.mark.parametrize(("own", "other", "expected"), UNLIKE.values(), ids=UNLIKE.keys())
def test_what_differs_is_told_before_anything_is_changed(
    tmp_path: Path, own: dict[str, Any], other: dict[str, Any], expected: tuple[Differs, ...]
) -> None:
    path, _tiles = source(tmp_path, **own)
    scheme = other.get("scheme", SCHEME)
    into, _before = target(tmp_path, scheme=scheme)
    there = snapshot(into)
    with pytest.raises(CachesDiffer) as caught:
        import_local(into, request_of(path, scheme=scheme), Feedback(), pixels=NoPixels())
    assert set(expected) <= set(caught.value.differences)
    assert (caught.value.path, caught.value.source) == (str(into), "roads")
    assert snapshot(into) == there


@pytest.mark.parametrize(
    ("area", "levels"),
    [
        (None, (3, 5)),
        (Extent(0, HALF - 1, 1, HALF), (4,)),
        ((LevelArea((3,), None), LevelArea((4,), Extent(0, HALF - 1, 1, HALF))), (3, 4)),
    ],
    ids=["other scales", "an empty place", "both"],
)
def test_nothing_to_import(tmp_path: Path, area: Any, levels: tuple[int, ...]) -> None:
    path, _tiles = source(tmp_path)
    into, _before = target(tmp_path)
    there = snapshot(into)
    chosen = tuple(SCHEME.level(z) for z in levels)
    with pytest.raises(NothingToImport) as caught:
        import_local(into, request_of(path, area, levels=chosen), Feedback(), pixels=NoPixels())
    assert (caught.value.service, caught.value.path) == ("hills", str(path))
    assert snapshot(into) == there


def test_a_cache_is_not_imported_into_itself(tmp_path: Path) -> None:
    path, _tiles = source(tmp_path)
    with pytest.raises(NothingToDraw):
        import_local(path, request_of(path), Feedback(), pixels=NoPixels())


def test_a_scheme_that_changed(tmp_path: Path) -> None:
    path, _tiles = source(tmp_path)
    into, _before = target(tmp_path)
    with pytest.raises(ServiceChanged):
        import_local(
            into,
            request_of(path, scheme=web_mercator(256, finest=5)),
            Feedback(),
            pixels=NoPixels(),
        )


def test_no_cache_at_either_end(tmp_path: Path) -> None:
    into, _before = target(tmp_path)
    with pytest.raises(NotACache):
        import_local(into, request_of(tmp_path / "no"), Feedback(), pixels=NoPixels())
    with pytest.raises(NotACache):
        import_local(tmp_path / "no", request_of(into), Feedback(), pixels=NoPixels())


def test_a_target_that_may_not_be_written(tmp_path: Path, monkeypatch: Any) -> None:
    path, _tiles = source(tmp_path)
    into, _before = target(tmp_path)
    monkeypatch.setattr("os.access", lambda *_args: False)
    with pytest.raises(ReadOnlyCache):
        import_local(into, request_of(path), Feedback(), pixels=NoPixels())


def test_requests_are_checked(tmp_path: Path) -> None:
    with pytest.raises(NoLevels):
        request_of(tmp_path, levels=())
    with pytest.raises(UnknownScale):
        request_of(tmp_path, levels=web_mercator(512, finest=2).levels)
    with pytest.raises(LevelsWithoutArea):
        request_of(tmp_path, (LevelArea((1, 2), None),))


def test_cancelled_at_once_changes_nothing(tmp_path: Path) -> None:
    path, _tiles = source(tmp_path)
    into, before = target(tmp_path)
    feedback = Feedback(cancelled=lambda: True)
    report = import_local(into, request_of(path), feedback, pixels=NoPixels())
    assert report.outcome is Outcome.CANCELLED
    assert tiles_in(into) == before
