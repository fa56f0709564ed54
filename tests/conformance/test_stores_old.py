"""Compact caches of version 1 and exploded ones, against MapProxy and caches made by ArcGIS."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from made_pictures import pattern, png
from readers import Tile, bundle_check, cache_sample, mapproxy_tiles, mapproxy_write

from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.compact import CompactStore
from tile_cache_manager.plugin.core.storage.conf_xml import conf_cdi, conf_xml, read_conf
from tile_cache_manager.plugin.core.storage.exploded import ExplodedStore
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.storage.store import TileStore
from tile_cache_manager.plugin.core.tiling import bundle_of

SCHEME = web_mercator(finest=22)
TILES: list[Tile] = [
    (0, 0, 0),
    *((9, row, col) for row in (127, 128) for col in (127, 128, 129)),
    (19, 0x1A580, 0x7FFFF),
    (22, 2**22 - 1, 2**22 - 2),
]


def profile(storage: StorageFormat, image_format: str = "PNG32") -> CacheProfile:
    return CacheProfile(SCHEME, storage, image_format, cached_ids=tuple(range(23)), name="cache")


def in_store(store: TileStore) -> dict[Tile, bytes | None]:
    """All tiles, from block to block; their number agrees with what the store counts."""
    found: dict[Tile, bytes | None] = {}
    for level_id in store.level_ids():
        for block in store.blocks(level_id):
            for down, right in zip(*store.exists(level_id, block).nonzero()):
                row, col = block.min_row + int(down), block.min_col + int(right)
                found[level_id, row, col] = store.read(level_id, row, col)
    counts = store.counts()
    assert {level: n for level, n in counts.items() if n} == {
        level: sum(tile[0] == level for tile in found) for level in {tile[0] for tile in found}
    }
    return found


# Version 1


def test_bundles_of_version_1_by_mapproxy(tmp_path: Path) -> None:
    tiles = {tile: png(pattern(number, size=64)) for number, tile in enumerate(TILES)}
    removed, replaced = (9, 127, 128), (9, 128, 128)
    layers = tmp_path / "_alllayers"
    mapproxy_write(layers, dict(tiles), layout="v1")
    mapproxy_write(layers, {removed: None, replaced: b"another one"}, layout="v1")
    wanted = {**tiles, replaced: b"another one"}
    del wanted[removed]
    store = CompactStore(tmp_path, profile(StorageFormat.COMPACT_V1), layers, work_folder(tmp_path))

    assert in_store(store) == wanted
    assert store.read(*removed) is None
    assert store.read(9, 0, 0) is None
    assert store.read(9, 400, 400) is None
    assert [each for level in store.level_ids() for each in store.findings(level)] == []


def test_mapproxy_reads_what_we_write_in_version_1(tmp_path: Path) -> None:
    tiles = {tile: png(pattern(number, size=64)) for number, tile in enumerate(TILES)}
    removed, replaced = (9, 127, 128), (9, 128, 128)
    layers = tmp_path / "_alllayers"
    store = CompactStore(tmp_path, profile(StorageFormat.COMPACT_V1), layers, work_folder(tmp_path))
    put(store, tiles)
    put(store, {replaced: b"another one, longer"})
    assert store.delete(9, [(127, 128), (5, 200)]) == 1
    store.commit()
    wanted = {**tiles, replaced: b"another one, longer", removed: None}

    assert mapproxy_tiles(layers, wanted, layout="v1") == wanted
    holes = [each for level in store.level_ids() for each in store.holes(level)]
    assert sum(each.unused > 0 for each in holes) == 2
    assert all(store.defragment(each) == each.unused for each in holes)
    assert mapproxy_tiles(layers, wanted, layout="v1") == wanted
    assert all(each.unused == 0 for level in store.level_ids() for each in store.holes(level))
    assert [each for level in store.level_ids() for each in store.findings(level)] == []

    added = {(9, 127, 128): b"by MapProxy", (9, 130, 130): b"there, too"}
    mapproxy_write(layers, dict(added), layout="v1")
    put(store, {(9, 131, 131): b"and we again"})
    wanted |= {**added, (9, 131, 131): b"and we again"}
    assert in_store(store) == wanted == mapproxy_tiles(layers, wanted, layout="v1")


PACKAGES = {
    "states_filled": {0: 1, 1: 1, 2: 2, 3: 4, 4: 16},
    "alt_root_name": {0: 1, 1: 1},
    "nonstandard_zoom_levels": {0: 2, 1: 4, 2: 16},
}


@pytest.mark.parametrize("name", PACKAGES)
def test_bundles_of_version_1_by_arcgis(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(cache_sample(f"consbio-tpkutils/tests/data/{name}.tpk")) as package:
        package.extractall(tmp_path)
    (layers,) = tmp_path.rglob("_alllayers")
    conf = read_conf(layers.parent / "conf.xml")
    store = CompactStore(layers.parent, conf, layers, work_folder(layers.parent))

    found = in_store(store)

    assert conf.storage is StorageFormat.COMPACT_V1
    counts = {level: count for level, count in store.counts().items() if count}
    assert counts == PACKAGES[name]
    assert found == mapproxy_tiles(layers, found, layout="v1")


# Exploded


@pytest.fixture
def exploded(tmp_path: Path) -> ExplodedStore:
    """A store in an exploded cache without tiles."""
    folder, of_cache = tmp_path / "cache", profile(StorageFormat.EXPLODED, "MIXED")
    folder.mkdir()
    (folder / "conf.xml").write_bytes(conf_xml(of_cache))
    (folder / "conf.cdi").write_bytes(conf_cdi(of_cache))
    return ExplodedStore(folder, of_cache, folder / "_alllayers", work_folder(folder))


def put(store: TileStore, tiles: dict[Tile, bytes]) -> None:
    bundles: dict[Any, dict[tuple[int, int], bytes]] = {}
    for (level, row, col), content in tiles.items():
        bundles.setdefault((level, bundle_of(row, col)), {})[row, col] = content
    for (level, _), inside in bundles.items():
        store.write(level, inside)
    store.commit()


def test_mapproxy_reads_what_we_explode(exploded: ExplodedStore) -> None:
    tiles = {tile: png(pattern(number)) for number, tile in enumerate(TILES)}
    put(exploded, tiles)
    put(exploded, {(9, 128, 129): tiles[0, 0, 0]})
    assert exploded.delete(9, [(127, 127)]) == 1
    exploded.commit()
    wanted = {**tiles, (9, 128, 129): tiles[0, 0, 0], (9, 127, 127): None}

    assert mapproxy_tiles(exploded.path, wanted, layout="exploded") == wanted
    del wanted[9, 127, 127]
    assert in_store(exploded) == wanted
    bundle_check(exploded.path, "--spec")


def test_we_read_what_mapproxy_explodes(exploded: ExplodedStore) -> None:
    tiles = {tile: png(pattern(number)) for number, tile in enumerate(TILES)}
    layers = exploded.path / "_alllayers"
    mapproxy_write(layers, dict(tiles), layout="exploded")
    deleted = {(9, 128, 128), (9, 128, 129)}
    assert exploded.delete(9, [(128, 128), (128, 129)]) == 2

    assert in_store(exploded) == {tile: tiles[tile] for tile in tiles if tile not in deleted}
    assert (layers / "L19" / "R0001a580" / "C0007ffff.png").is_file()
