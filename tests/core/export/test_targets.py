"""The target of an export: made, compared, never harmed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from core.export.fakes import (
    HALF,
    WORLD,
    make_cache,
    profile_of,
    request_of,
    small_scheme,
    snapshot,
    tiles_in,
)
from shapely.geometry import box

from tile_cache_manager.plugin.core.errors import (
    BadCacheOption,
    CacheInUse,
    CachesDiffer,
    CannotPack,
    DamagedCache,
    Differs,
    DiskFull,
    ReadOnlyCache,
    ServiceChanged,
    TargetExists,
)
from tile_cache_manager.plugin.core.export import targets
from tile_cache_manager.plugin.core.export.targets import check_target, open_target, opened_target
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.schemes import web_mercator, wgs84, with_tile_size
from tile_cache_manager.plugin.core.storage.creation import SUFFIXES
from tile_cache_manager.plugin.core.storage.opening import open_store, read_profile
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.store import TileStore
from tile_cache_manager.plugin.core.tiling import Extent

SCHEME = web_mercator(256, finest=6)
LIKE = profile_of(SCHEME, StorageFormat.COMPACT_V2, image_format="PNG", text="By us")
V2, TPKX = StorageFormat.COMPACT_V2, StorageFormat.TPKX
WRITABLE = [each for each in StorageFormat if each.can_be_written]
AREA = Extent(1e6, 2e6, 3e6, 5e6)


@pytest.mark.parametrize("storage", WRITABLE, ids=lambda each: each.value)
def test_a_target_is_made_like_the_source(tmp_path: Path, storage: StorageFormat) -> None:
    path = tmp_path / "deep" / f"to{SUFFIXES.get(storage, '')}"
    open_target(request_of(SCHEME, path, AREA, storage, levels=(3, 5)), LIKE).close()
    made = read_profile(path)
    assert made.storage is storage
    assert made.cached_ids == (3, 5)
    has_conf = not storage.is_package or storage is StorageFormat.TPK
    assert made.name == ("to" if has_conf else "Hills")  # a conf.xml has no name
    assert made.image_format == "PNG"
    assert made.extent is not None
    assert made.extent.bounds == pytest.approx(AREA.bounds, abs=1)


@pytest.mark.parametrize(
    ("areas", "own", "expected"),
    [
        (None, WORLD, WORLD),
        (None, AREA, AREA),
        (Extent(-9e7, -9e7, 9e7, 9e7), AREA, AREA),
        (box(2e6, 1e6, 9e6, 3e6), AREA, Extent(2e6, 2e6, 3e6, 3e6)),
        (
            (LevelArea((3,), box(-5, -6, 7, 8)), LevelArea((5,), Extent(3, 3, 90, 91))),
            WORLD,
            Extent(-5, -6, 90, 91),
        ),
        ((LevelArea((3,), None), LevelArea((5,), Extent(3, 3, 90, 91))), AREA, AREA),
        (Extent(0, 0, 9, 9), AREA, Extent(0, 0, 9, 9)),
        (Extent(0, 0, 9e7, 9), None, Extent(0, 0, HALF, 9)),
    ],
)
def test_its_extent_is_that_of_all_areas_within_the_source(
    tmp_path: Path, areas: Any, own: Extent | None, expected: Extent
) -> None:
    request = request_of(SCHEME, tmp_path / "to", areas, levels=(3, 5))
    assert targets.extent_of(request, replace(LIKE, extent=own)) == expected


@pytest.mark.parametrize("storage", [s for s in WRITABLE if s.is_package])
def test_no_package_is_made_of_a_folder(tmp_path: Path, storage: StorageFormat) -> None:
    path = tmp_path / f"to{SUFFIXES[storage]}"
    path.mkdir()
    with pytest.raises(TargetExists):
        targets.check_target(request_of(SCHEME, path, AREA, storage, levels=(3,)), LIKE)
    assert list(tmp_path.rglob("*")) == [path]


def other_cache(path: Path) -> Path:
    return make_cache(path, profile_of(SCHEME, image_format="PNG"), {(3, 1, 1): b"old"})


def taken_by(folder: Path, what: str) -> Path:
    """Something at a path, that is then the target."""
    path = folder / "to"
    if what == "a file":
        path.write_text("mine")
    elif what == "a folder with a file":
        path.mkdir()
        (path / "notes.txt").write_text("mine")
    elif what == "a folder of other caches":
        path.mkdir()
        other_cache(path / "hills")
    elif what == "a link that leads nowhere":
        path.symlink_to(folder / "nowhere")
    elif what == "another format":
        make_cache(path, profile_of(SCHEME, StorageFormat.EXPLODED), {(3, 1, 1): b"old"})
    return path


@pytest.mark.parametrize(
    "what",
    [
        "a file",
        "a folder with a file",
        "a folder of other caches",
        "a link that leads nowhere",
        "another format",
    ],
)
def test_what_is_no_such_cache_is_left_alone(tmp_path: Path, what: str) -> None:
    path = taken_by(tmp_path, what)
    before = snapshot(path)
    with pytest.raises(TargetExists):
        open_target(request_of(SCHEME, path), LIKE)
    assert snapshot(path) == before


SCALED = replace(
    SCHEME, levels=tuple(replace(e, resolution=e.resolution * 1.001) for e in SCHEME.levels)
)
UNLIKE: dict[str, tuple[Any, str, tuple[Differs, ...]]] = {
    "finer scales than it has": (web_mercator(256, finest=7), "PNG", (Differs.SCALES,)),
    "other scales": (SCALED, "PNG", (Differs.SCALES,)),
    "another origin": (replace(SCHEME, origin_x=-2e7), "PNG", (Differs.ORIGIN,)),
    "larger tiles": (
        with_tile_size(SCHEME, 512),
        "PNG",
        (Differs.TILE_SIZE, Differs.SCALES),
    ),
    "JPEG": (SCHEME, "JPEG", (Differs.TILE_FORMAT,)),
    "another CRS": (
        wgs84(256, finest=6),
        "PNG",
        (Differs.CRS, Differs.ORIGIN, Differs.SCALES),
    ),
}


@pytest.mark.parametrize(("scheme", "image_format", "expected"), UNLIKE.values(), ids=UNLIKE.keys())
def test_a_cache_that_is_unlike_is_told_and_left_alone(
    tmp_path: Path, scheme: Any, image_format: str, expected: tuple[Differs, ...]
) -> None:
    path = other_cache(tmp_path / "to")
    before = snapshot(path)
    like = profile_of(scheme, image_format=image_format)
    with pytest.raises(CachesDiffer) as caught:
        open_target(request_of(scheme, path), like)
    assert caught.value.differences == expected
    assert (caught.value.path, caught.value.source) == (str(path), "Hills")
    assert snapshot(path) == before


def test_a_damaged_cache_is_left_alone(tmp_path: Path) -> None:
    path = other_cache(tmp_path / "to")
    (path / "conf.xml").write_bytes((path / "conf.xml").read_bytes()[:300])
    before = snapshot(path)
    with pytest.raises((DamagedCache, TargetExists)):
        open_target(request_of(SCHEME, path), LIKE)
    assert snapshot(path) == before


def test_a_service_that_changed_is_told_first(tmp_path: Path) -> None:
    with pytest.raises(ServiceChanged):
        check_target(request_of(SCHEME, tmp_path / "to"), profile_of(small_scheme()))


def test_checking_changes_nothing(tmp_path: Path) -> None:
    path = other_cache(tmp_path / "to")
    before = snapshot(path)
    assert check_target(request_of(SCHEME, path, levels=(6,)), LIKE) == read_profile(path)
    assert check_target(request_of(SCHEME, tmp_path / "new"), LIKE) is None
    assert snapshot(path) == before


def test_a_package_that_others_write_is_in_use(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("tile_cache_manager.plugin.core.storage.package_store.LOCK_PATIENCE", 0.1)
    path = make_cache(tmp_path / "to", profile_of(SCHEME, TPKX, image_format="PNG"), {})
    with open_store(path, for_writing=True), pytest.raises(CacheInUse):
        open_target(request_of(SCHEME, path, storage=TPKX), LIKE)
    assert path.exists()


@pytest.mark.parametrize("storage", WRITABLE, ids=lambda each: each.value)
def test_new_scales_and_a_larger_area_are_told_of_the_target(
    tmp_path: Path, storage: StorageFormat
) -> None:
    path = tmp_path / f"to{SUFFIXES.get(storage, '')}"
    first = request_of(SCHEME, path, AREA, storage, levels=(2, 3))
    wider = request_of(SCHEME, path, Extent(-2e6, 0, 2.5e6, 4e6), storage, levels=(3, 5))
    for number, request in enumerate((first, wider)):
        with opened_target(request, LIKE) as store:
            tile = store.profile.scheme.tile_at(
                SCHEME.level(3 + 2 * number), 2e6 - 3e6 * number, 3e6
            )
            store.write(3 + 2 * number, {tile: b"\x89PNG\r\n\x1a\n"})
            store.commit()
    made = read_profile(path)
    # A TPK tells of levels by their tiles alone.
    assert made.cached_ids == ((3, 5) if storage is StorageFormat.TPK else (2, 3, 5))
    assert made.extent is not None
    assert made.extent.xmin <= -1e6
    assert made.extent.ymax >= 4.9e6
    assert len(tiles_in(path)) == 2


@pytest.mark.parametrize("storage", WRITABLE, ids=lambda each: each.value)
@pytest.mark.parametrize("before", ["nothing", "an empty folder"])
def test_what_was_made_for_nothing_is_removed(
    tmp_path: Path, storage: StorageFormat, before: str
) -> None:
    path = tmp_path / "new" / f"to{SUFFIXES.get(storage, '')}"
    path.parent.mkdir()
    if before != "nothing":
        if storage.is_package:
            return  # a folder there is no place for a package
        path.mkdir()
    there = snapshot(path)
    with pytest.raises(DiskFull), opened_target(request_of(SCHEME, path, storage=storage), LIKE):
        raise DiskFull(str(path))
    assert snapshot(path) == there
    assert list(path.parent.iterdir()) == ([path] if before != "nothing" else [])


@pytest.mark.parametrize("storage", WRITABLE, ids=lambda each: each.value)
def test_what_holds_tiles_stays(tmp_path: Path, storage: StorageFormat) -> None:
    """Also what a package holds in our folder only, until it is committed."""
    path = tmp_path / f"to{SUFFIXES.get(storage, '')}"
    request = request_of(SCHEME, path, storage=storage)

    def write_and_fail(store: TileStore) -> None:
        store.write(3, {(1, 1): b"tile"})
        raise DiskFull(str(path))

    with pytest.raises(DiskFull), opened_target(request, LIKE) as store:
        write_and_fail(store)
    with open_target(request, LIKE) as store:
        assert store.read(3, 1, 1) == b"tile"


@pytest.mark.parametrize("storage", WRITABLE, ids=lambda each: each.value)
def test_tiles_of_an_interrupted_export_stay_where_the_target_cannot_be_opened_again(
    tmp_path: Path, storage: StorageFormat, monkeypatch: Any
) -> None:
    path = tmp_path / f"to{SUFFIXES.get(storage, '')}"
    request = request_of(SCHEME, path, storage=storage)
    with open_target(request, LIKE) as store:  # as a run leaves it that is killed later on
        store.write(3, {(1, 1): b"tile"})
        store.commit()

    def full(*_args: object, **_more: object) -> TileStore:
        raise DiskFull(str(path))

    with monkeypatch.context() as patched:
        patched.setattr(targets, "open_store", full)
        with pytest.raises(DiskFull):
            open_target(request, LIKE)
    assert tiles_in(path) == {(3, 1, 1): b"tile"}


def test_what_somebody_has_put_into_a_folder_that_was_made_for_nothing_stays(
    tmp_path: Path,
) -> None:
    path = tmp_path / "to"
    open_target(request_of(SCHEME, path), LIKE).close()
    (path / "notes.txt").write_text("mine")
    with pytest.raises(DiskFull), opened_target(request_of(SCHEME, path), LIKE):
        raise DiskFull(str(path))
    assert [each.name for each in path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("storage", WRITABLE, ids=lambda each: each.value)
def test_an_empty_cache_of_somebody_is_not_removed(tmp_path: Path, storage: StorageFormat) -> None:
    path = make_cache(tmp_path / "to", profile_of(SCHEME, storage, image_format="PNG"), {})
    request = request_of(SCHEME, path, storage=storage)
    with pytest.raises(DiskFull), opened_target(request, LIKE):
        raise DiskFull(str(path))
    assert read_profile(path).storage is storage


@pytest.mark.parametrize(
    ("like", "error"),
    [
        (replace(LIKE, image_format="LERC"), BadCacheOption),
        (profile_of(with_tile_size(SCHEME, 10000)), BadCacheOption),
    ],
)
def test_what_cannot_be_made_leaves_nothing(tmp_path: Path, like: Any, error: Any) -> None:
    with pytest.raises(error):
        open_target(request_of(like.scheme, tmp_path / "new" / "to"), like)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("check", [check_target, open_target])
def test_a_format_that_cannot_hold_the_scheme_says_which_can(tmp_path: Path, check: Any) -> None:
    degrees = profile_of(wgs84(256, finest=6), image_format="PNG")
    path = tmp_path / "new" / "to.mbtiles"
    request = request_of(degrees.scheme, path, storage=StorageFormat.MBTILES)
    with pytest.raises(CannotPack) as caught:
        check(request, degrees)
    assert (caught.value.path, caught.value.storage) == (str(path), "MBTILES")
    assert {"TPKX", "COMPACT_V2"} <= set(caught.value.possible)
    assert "MBTILES" not in caught.value.possible
    assert list(tmp_path.iterdir()) == []


def test_layers_of_a_service_of_arcgis_are_the_target(tmp_path: Path) -> None:
    (tmp_path / "Streets").mkdir()
    other_cache(tmp_path / "Streets" / "Layers")
    with open_target(request_of(SCHEME, tmp_path / "Streets"), LIKE) as store:
        assert store.path.name == "Layers"


def test_a_target_without_the_right_to_write(tmp_path: Path, monkeypatch: Any) -> None:
    path = other_cache(tmp_path / "to")
    monkeypatch.setattr("os.access", lambda *_args: False)
    with pytest.raises(ReadOnlyCache):
        check_target(request_of(SCHEME, path), LIKE)


def test_an_error_while_it_is_widened_leaves_no_new_target(
    tmp_path: Path, monkeypatch: Any
) -> None:
    def full(*_args: object) -> None:
        raise DiskFull("there")

    monkeypatch.setattr(targets, "_widen", full)
    with pytest.raises(DiskFull):
        open_target(request_of(SCHEME, tmp_path / "to.tpkx", storage=TPKX), LIKE)
    assert list(tmp_path.iterdir()) == []
