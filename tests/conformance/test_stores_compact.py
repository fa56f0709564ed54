"""Compact caches as others read them: what we write, and what they wrote."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_pictures import pattern, png
from readers import (
    GdalSession,
    Tile,
    bundle_check,
    cache_sample,
    decoded,
    gdal_pixels,
    mapproxy_tiles,
    mapproxy_write,
)

from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.compact import CompactStore
from tile_cache_manager.plugin.core.storage.conf_xml import conf_cdi, conf_xml, read_conf
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.tiling import TileRange, bundle_of

SCHEME = web_mercator(finest=22)
GDALS = ["system", "wheel"]

# Of several levels and bundles; rows and columns of 19 and 22 need five digits and more.
TILES: list[Tile] = [
    (0, 0, 0),
    *((2, row, col) for row in range(4) for col in range(4)),
    *((9, row, col) for row in (127, 128, 129) for col in (127, 128)),
    *((19, row, col) for row in (0x1A57F, 0x1A580) for col in (0x7FF80, 0x7FFFF)),
    (22, 2**22 - 1, 2**22 - 1),
]
REPLACED: list[Tile] = [(2, 1, 1), (9, 128, 128), (19, 0x1A580, 0x7FFFF)]
DELETED: list[Tile] = [(2, 3, 3), (9, 127, 127)]
NEVER: list[Tile] = [(1, 0, 0), (9, 300, 300), (22, 0, 0)]


def profile(storage: StorageFormat = StorageFormat.COMPACT_V2) -> CacheProfile:
    return CacheProfile(SCHEME, storage, "PNG32", cached_ids=tuple(range(23)), name="cache")


def store_of(folder: Path, storage: StorageFormat = StorageFormat.COMPACT_V2) -> CompactStore:
    return CompactStore(folder, profile(storage), folder / "_alllayers", work_folder(folder))


def by_bundle(tiles: dict[Tile, bytes]) -> dict[Any, dict[tuple[int, int], bytes]]:
    bundles: dict[Any, dict[tuple[int, int], bytes]] = {}
    for (level, row, col), content in tiles.items():
        bundles.setdefault((level, bundle_of(row, col)), {})[row, col] = content
    return bundles


def put(store: CompactStore, tiles: dict[Tile, bytes]) -> None:
    for (level, _), inside in by_bundle(tiles).items():
        store.write(level, inside)
    store.commit()


@pytest.fixture(scope="module")
def pixels() -> dict[Tile, Any]:
    """What each tile shows in the end."""
    shown = {tile: pattern(number) for number, tile in enumerate(TILES)}
    shown.update({tile: pattern(1000 + number) for number, tile in enumerate(REPLACED)})
    return {tile: picture for tile, picture in shown.items() if tile not in DELETED}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, pixels: dict[Tile, Any]) -> Path:
    """A cache after making, replacing and deleting tiles; its path has blanks and umlauts."""
    folder = tmp_path_factory.mktemp("caches") / "Große Karte"
    with store_of(folder) as store:
        put(store, {tile: png(pattern(number)) for number, tile in enumerate(TILES)})
        put(store, {tile: png(pixels[tile]) for tile in REPLACED})
        for level, row, col in DELETED:
            assert store.delete(level, [(row, col)]) == 1
        store.commit()
    (folder / "conf.xml").write_bytes(conf_xml(profile()))
    (folder / "conf.cdi").write_bytes(conf_cdi(profile()))
    return folder


def test_bundles_have_the_names_of_the_paper(written: Path) -> None:
    names = {path.relative_to(written).as_posix() for path in written.rglob("*.bundle")}

    assert "_alllayers/L00/R0000C0000.bundle" in names
    assert "_alllayers/L09/R0080C0000.bundle" in names
    assert "_alllayers/L19/R1a580C7ff80.bundle" in names
    assert "_alllayers/L22/R3fff80C3fff80.bundle" in names


def test_mapproxy_reads_the_same_bytes(written: Path, pixels: dict[Tile, Any]) -> None:
    found = mapproxy_tiles(written, [*TILES, *NEVER])

    assert {tile for tile in found if found[tile] is None} == {*DELETED, *NEVER}
    assert found == {tile: png(pixels[tile]) if tile in pixels else None for tile in found}


@pytest.mark.parametrize("which", GDALS)
def test_gdal_reads_the_same_pixels(written: Path, pixels: dict[Tile, Any], which: str) -> None:
    found = gdal_pixels(written / "conf.xml", SCHEME, [*TILES, *NEVER], which=which)

    for tile, picture in found.items():
        np.testing.assert_array_equal(picture, pixels.get(tile, np.zeros_like(picture)), str(tile))


def test_the_checker_finds_nothing_against_the_paper(written: Path) -> None:
    bundle_check(written, "--spec")


def test_the_checker_finds_nothing_after_defragmenting(tmp_path: Path) -> None:
    store = store_of(tmp_path / "cache")
    for number in range(3):
        put(store, {tile: png(pattern(number)) for tile in TILES})
    won = sum(
        store.defragment(holes) for level in store.level_ids() for holes in store.holes(level)
    )

    assert won > 0
    bundle_check(tmp_path / "cache", "--spec")
    assert set(mapproxy_tiles(tmp_path / "cache", TILES).values()) == {png(pattern(2))}


@pytest.mark.parametrize("which", GDALS)
@pytest.mark.parametrize("step", ["appended", "defragmented"])
def test_a_layer_that_is_open_goes_on_with_right_pictures(
    tmp_path: Path, which: str, step: str
) -> None:
    """GDAL reads the index of a bundle once: what it shows then is old, but whole and in place."""
    store = store_of(tmp_path)
    old = {(5, 0, col): pattern(col) for col in range(8)}
    put(store, {tile: png(picture) for tile, picture in old.items()})
    (tmp_path / "conf.xml").write_bytes(conf_xml(profile()))
    level_5_of_22 = 22 - 5 - 1

    with GdalSession(tmp_path / "conf.xml", level_5_of_22, which=which) as layer:
        np.testing.assert_array_equal(layer.tile(0, 0), old[5, 0, 0])
        new = {(5, 0, col): pattern(100 + col) for col in range(0, 8, 2)}
        put(store, {tile: png(picture) for tile, picture in new.items()})
        assert store.delete(5, [(0, 7)]) == 1
        if step == "defragmented":
            assert sum(store.defragment(each) for each in list(store.holes(5))) > 0
        for col in range(1, 8):
            np.testing.assert_array_equal(layer.tile(0, col), old[5, 0, col])
    with GdalSession(tmp_path / "conf.xml", level_5_of_22, which=which) as layer:
        for col in range(7):
            tile = (5, 0, col)
            np.testing.assert_array_equal(layer.tile(0, col), new.get(tile, old[tile]))
        assert not layer.tile(0, 7).any()


def test_mapproxy_and_we_take_turns_at_one_bundle(tmp_path: Path) -> None:
    tiles = {(9, 128, col): f"ours {col}".encode() for col in range(4)}
    store = store_of(tmp_path)
    put(store, tiles)
    theirs = {(9, 128, col): f"theirs, longer {col}".encode() for col in (1, 4)}
    mapproxy_write(tmp_path / "_alllayers", {**theirs, (9, 128, 2): None})
    again = {(9, 128, 4): b"ours again", (9, 128, 5): b"and once more"}
    put(store, again)

    wanted = {**tiles, **theirs, **again, (9, 128, 2): None}
    assert mapproxy_tiles(tmp_path, wanted) == wanted
    assert {tile: store.read(*tile) for tile in wanted} == wanted
    assert store.counts() == {9: 5}
    assert list(store.findings(9)) == []


# Caches made by others


def counted_twice(store: CompactStore) -> dict[int, int]:
    """Tiles by level: as counted, and the same from block to block."""
    counts = store.counts()
    for level_id in store.level_ids():
        blocks = (store.exists(level_id, block) for block in store.blocks(level_id))
        assert sum(int(block.sum()) for block in blocks) == counts[level_id]
    return counts


def test_esris_sample_cache() -> None:
    folder = cache_sample("esri-raster-tiles-compactcache/sample_cache")
    pictures = folder.parent / "sample_tiles"
    store = CompactStore(
        folder, read_conf(folder / "conf.xml"), folder / "_alllayers", work_folder(folder)
    )

    assert counted_twice(store) == {0: 1, 1: 4, 2: 16}
    for level in range(3):
        for row in range(2**level):
            for col in range(2**level):
                wanted = (pictures / f"L{level:02d}" / str(row) / f"{col}.jpg").read_bytes()
                assert store.read(level, row, col) == wanted
    assert [(holes.unused, holes.level_id) for holes in store.holes(2)] == [(136540, 2)]


@pytest.mark.parametrize("which", GDALS)
def test_jpeg_tiles_of_esris_sample_come_through_our_bundles_unchanged(
    tmp_path: Path, which: str
) -> None:
    tiles = cache_sample("esri-raster-tiles-compactcache/sample_tiles")
    pictures = [(2, row, col) for row in range(4) for col in range(4)]
    contents = [(tiles / f"L02/{row}/{col}.jpg").read_bytes() for _, row, col in pictures]
    put(store_of(tmp_path), dict(zip(pictures, contents)))
    jpeg = CacheProfile(SCHEME, StorageFormat.COMPACT_V2, "JPEG", 75, tuple(range(23)), name="c")
    (tmp_path / "conf.xml").write_bytes(conf_xml(jpeg))

    found = gdal_pixels(tmp_path / "conf.xml", SCHEME, pictures, which=which)
    for tile, wanted in zip(pictures, decoded(contents, which=which)):
        np.testing.assert_array_equal(found[tile][:3], wanted[:3])
    bundle_check(tmp_path, "--spec")


def test_gdals_sample_cache(tmp_path: Path) -> None:
    sample = cache_sample("gdal-autotest-esric/autotest/gdrivers/data/esric/Layers.tar")
    with tarfile.open(sample) as archive:
        for member in archive.getmembers():
            if member.isfile():  # names relative to the folder, as Python 3.9 cannot check
                target = tmp_path / Path(member.name).as_posix().lstrip("./")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]
    (layers,) = {path.parent for path in tmp_path.rglob("_alllayers")}
    (conf,) = (path for path in layers.iterdir() if path.name.lower() == "conf.xml")
    store = CompactStore(layers, read_conf(conf), layers / "_alllayers", work_folder(layers))

    assert counted_twice(store) == {1: 4}
    tiles = [(1, row, col) for row in range(2) for col in range(2)]
    ours = {tile: store.read(*tile) for tile in tiles}
    assert mapproxy_tiles(layers, tiles) == ours
    assert store.exists(1, TileRange(0, 1, 0, 1)).all()
