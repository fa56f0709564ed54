"""Tile packages of ArcGIS 10: against packages made by hand as ArcGIS makes them."""

from __future__ import annotations

import json
import math
import os
import shutil
import struct
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from readers import cache_sample, mapproxy_tiles

from tile_cache_manager.plugin.core.errors import (
    DamagedCache,
    HostileFile,
    NotACache,
    NotACacheReason,
    ReadOnlyCache,
    ReadOnlyReason,
    StorageError,
)
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import work_folder
from tile_cache_manager.plugin.core.storage.store import Fault, Holes
from tile_cache_manager.plugin.core.storage.tpk import TpkStore, create_tpk
from tile_cache_manager.plugin.core.tiling import Extent, TileRange

SLOTS = 128 * 128
TILES = {
    (0, 0, 0): b"the world",
    (1, 0, 1): b"north-east",
    (1, 1, 0): b"south-west",
    (8, 128, 130): b"of the second bundle",
    (8, 127, 127): b"the last of the first",
}
CDI = """<?xml version="1.0" encoding="utf-8"?><EnvelopeN xmlns:xsi="http://www.w3.org/2001/\
XMLSchema-instance"><XMin>-100</XMin><YMin>-50</YMin><XMax>100</XMax><YMax>50</YMax></EnvelopeN>"""


def conf(storage="esriMapCacheStorageModeCompact"):
    levels = "".join(
        f"<LODInfo><LevelID>{z}</LevelID><Scale>{591657527.591555 / 2**z}</Scale>"
        f"<Resolution>{156543.033928 / 2**z}</Resolution></LODInfo>"
        for z in range(10)
    )
    return f"""<?xml version="1.0" encoding="utf-8"?><CacheInfo><TileCacheInfo>
<SpatialReference><WKID>102100</WKID></SpatialReference>
<TileOrigin><X>-20037508.342787</X><Y>20037508.342787</Y></TileOrigin>
<TileCols>256</TileCols><TileRows>256</TileRows><DPI>96</DPI><LODInfos>{levels}</LODInfos>
</TileCacheInfo><TileImageInfo><CacheTileFormat>PNG8</CacheTileFormat></TileImageInfo>
<CacheStorageInfo><StorageFormat>{storage}</StorageFormat><PacketSize>128</PacketSize>
</CacheStorageInfo></CacheInfo>"""


def bundles_v1(tiles):
    """Contents of the files of bundles, version 1, by their paths below `_alllayers`."""
    files = {}
    for level, row, col in tiles:
        stem = f"L{level:02d}/R{row // 128 * 128:04x}C{col // 128 * 128:04x}"
        files.setdefault(stem, {})[128 * (col % 128) + row % 128] = tiles[level, row, col]
    contents = {}
    for stem, slots in files.items():
        body = bytes(60 + 4 * SLOTS)
        offsets = [60 + 4 * slot for slot in range(SLOTS)]
        for slot, tile in slots.items():
            offsets[slot] = len(body)
            body += struct.pack("<I", len(tile)) + tile
        first_row, first_col = (int(part, 16) for part in stem.split("/R")[1].split("C"))
        largest = max(map(len, slots.values()))
        header = struct.pack("<4I3Q5I", *(3, SLOTS, largest, 5, 4 * len(slots), len(body)), *(
            40, 16, first_row, first_row + 127, first_col, first_col + 127
        ))  # fmt: skip
        contents[f"{stem}.bundle"] = header + body[60:]
        index = b"".join(offset.to_bytes(5, "little") for offset in offsets)
        ends = struct.pack("<4I", 3, 16, SLOTS, 5), struct.pack("<4I", 0, 16, 16, 0)
        contents[f"{stem}.bundlx"] = ends[0] + index + ends[1]
    return contents


def make_package(path, *, folder="v101/Layers", method=zipfile.ZIP_STORED, files=None, **changes):
    members = {
        "esriinfo/item.pkinfo": b"<item/>",
        f"{folder}/conf.xml": conf(),
        f"{folder}/conf.cdi": CDI,
        "v103/Layers.lyr": b"binary",
        **{f"{folder}/_alllayers/{n}": c for n, c in (files or bundles_v1(TILES)).items()},
        **changes.get("members", {}),
    }
    with zipfile.ZipFile(path, "w", method) as package:
        for name, content in members.items():
            package.writestr(name, content)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "Counties.tpk"


def tiles_in(store):
    found = {}
    for level_id in store.level_ids():
        for block in store.blocks(level_id):
            for row, col in np.argwhere(store.exists(level_id, block)).tolist():
                tile = (block.min_row + row, block.min_col + col)
                found[(level_id, *tile)] = store.read(level_id, *tile)
    return found


def in_upper_case(files):
    return {name.upper(): content for name, content in files.items()}


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "Counties"),
        ({"method": zipfile.ZIP_DEFLATED}, "Counties"),
        ({"folder": "v101/My map of it all"}, "My map of it all"),
        ({"folder": "V101/LAYERS", "files": in_upper_case(bundles_v1(TILES))}, "Counties"),
        ({"members": {"v103/Layers/conf.xml": conf()}}, "Counties"),
        ({"members": {"v100/Empty/conf.xml": conf()}}, "Counties"),
    ],
)
def test_packages_as_arcgis_makes_them(path, changes, name):
    make_package(path, **changes)

    with TpkStore(path) as store:
        assert tiles_in(store) == TILES
        assert store.counts() == {0: 1, 1: 2, 8: 2}
        assert store.profile.storage is StorageFormat.TPK
        assert store.profile.cached_ids == (0, 1, 8)
        assert store.profile.name == name
        assert store.profile.image_format == "PNG8"
        assert store.read(0, 5, 5) is None
        assert store.read(4, 0, 0) is None
        assert [list(store.findings(each)) for each in store.level_ids()] == [[], [], []]
    assert not work_folder(path).exists()


def test_extent_and_times(path):
    make_package(path)
    os.utime(path, (10**9, 10**9))

    with TpkStore(path) as store:
        assert store.profile.extent == Extent(-100, -50, 100, 50)
        times = store.times(1, TileRange(0, 1, 0, 1))
    assert times[0, 1] == times[1, 0] == 10**9
    assert math.isnan(times[0, 0])


def test_nothing_is_written(path):
    before = make_package(path).read_bytes()

    with TpkStore(path) as store:
        assert not store.is_writable
        assert [holes.unused for holes in store.holes(1)] == [0]
        for refused in (
            lambda: store.write(0, {(0, 0): b"x"}),
            lambda: store.delete(0, [(0, 0)]),
            lambda: store.defragment(Holes(0, "x", 1, 1)),
        ):
            with pytest.raises(ReadOnlyCache) as caught:
                refused()
            assert caught.value.reason is ReadOnlyReason.RIGHTS
        store.commit()
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"v101/Layers/conf.xml": "<CacheInfo/>"}, DamagedCache),
        ({"v101/Layers/conf.xml": conf("esriMapCacheStorageModeExploded")}, DamagedCache),
        (
            {"v101/Layers/conf.xml": '<!DOCTYPE a [<!ENTITY b "c">]>' + conf().split("?>")[1]},
            HostileFile,
        ),
        ({"../evil": b"x"}, HostileFile),
    ],
)
def test_packages_that_cannot_be_used(path, members, error):
    with pytest.raises(error):
        TpkStore(make_package(path, members=members))


def test_a_package_of_something_else(path):
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("v101/Layers.lyr", b"x")
    with pytest.raises(NotACache) as caught:
        TpkStore(path)
    assert caught.value.reason is NotACacheReason.NO_SCHEME


def test_bundles_that_are_damaged(path):
    files = bundles_v1(TILES)
    del files["L00/R0000C0000.bundlx"]
    files["L08/R0080C0080.bundle"] = files["L08/R0080C0080.bundle"][:-3]
    make_package(path, files=files)

    with TpkStore(path) as store:
        assert store.counts() == {0: 0, 1: 2, 8: 1}
        assert store.read(0, 0, 0) is None
        assert store.read(8, 127, 127) == TILES[8, 127, 127]
        with pytest.raises(DamagedCache):
            store.read(8, 128, 130)
        assert [f.fault for f in store.findings(0)] == [Fault.NOT_A_BUNDLE]
        found = {(f.fault, f.tile, f.file) for f in store.findings(8)}
        name = "v101/Layers/_alllayers/L08/R0080C0080.bundle"
        assert (Fault.OUTSIDE, (128, 130), name) in found


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_cut_off_or_flipped_anywhere_there_are_only_storage_errors(path, method):
    whole = make_package(path, method=method).read_bytes()
    random = np.random.default_rng(6)
    for number in range(50):
        bad = bytearray(whole)
        if number % 3 == 0:
            del bad[int(random.integers(0, len(bad))) :]
        else:
            span = len(bad) if number % 2 else min(len(bad), 9000)
            for at in random.integers(len(bad) - span, len(bad), 20):
                bad[at] = int(random.integers(0, 256))
        path.write_bytes(bad)
        try:
            with TpkStore(path) as store:
                for level_id in store.level_ids():
                    list(store.findings(level_id))
                tiles_in(store)
        except StorageError:
            continue


# Writing


def unpacked(path):
    """Members of a package, none of them compressed."""
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        assert {each.compress_type for each in package.infolist()} == {zipfile.ZIP_STORED}
        return {each.filename: package.read(each) for each in package.infolist()}


def tiles_by_hand(path, folder="v101/Layers"):
    """All tiles of a package, from its bytes."""
    members, found = unpacked(path), {}
    for name in members:
        if not name.endswith(".bundlx"):
            continue
        start = f"{folder}/_alllayers/L"
        assert name.startswith(start)
        level, corner = int(name[len(start) :][:2]), name.rpartition("/R")[2][:-7].split("C")
        row, col = (int(part, 16) for part in corner)
        data, index = members[name[:-7] + ".bundle"], members[name]
        assert struct.unpack("<Q", data[24:32]) == (len(data),)
        for slot in range(SLOTS):
            offset = int.from_bytes(index[16 + 5 * slot :][:5], "little")
            (size,) = struct.unpack_from("<I", data, offset)
            if size:
                tile = data[offset + 4 :][:size]
                found[level, row + slot % 128, col + slot // 128] = tile
    return found


def write(store, tiles):
    for (level, row, col), content in tiles.items():
        store.write(level, {(row, col): content})


def test_a_new_package_is_as_those_of_arcgis(path):
    extent = Extent(-1e6, -2e6, 3e6, 4e6)
    made = CacheProfile(
        web_mercator(finest=9), StorageFormat.TPK, "PNG32", 0, (), extent, "Ö & <b>"
    )
    create_tpk(path, made)

    with TpkStore(path, for_writing=True) as store:
        write(store, TILES)
        assert tiles_by_hand(path) == {}
        store.commit()
        assert tiles_in(store) == TILES

    assert tiles_by_hand(path) == TILES
    members = unpacked(path)
    assert {name for name in members if "_alllayers" not in name} == {
        *("esriinfo/item.pkinfo", "esriinfo/iteminfo.xml", "esriinfo/thumbnail/thumbnail.png"),
        "servicedescriptions/mapserver/mapserver.json",
        *("v101/Layers/conf.xml", "v101/Layers/conf.cdi", "v101/Layers/conf.properties"),
    }
    item = ElementTree.fromstring(members["esriinfo/iteminfo.xml"])
    assert (item.findtext("name"), item.findtext("type")) == ("Ö & <b>", "Tile Package")
    # 1e6 m are 8.98 degrees along the equator (EPSG method 1024: x / 6378137)
    assert float(item.findtext("extent/xmin")) <= -8.983152841195214
    conf_of_it = ElementTree.fromstring(members["v101/Layers/conf.xml"])
    storage = conf_of_it.findtext("CacheStorageInfo/StorageFormat")
    assert storage == "esriMapCacheStorageModeCompact"
    service = json.loads(members["servicedescriptions/mapserver/mapserver.json"])
    assert service["name"] == "MapServer"
    assert service["contents"]["fullExtent"]["spatialReference"]["latestWkid"] == 3857
    assert set(service["resourceInfo"]) >= {"geoFullExtent", "geoInitialExtent"}


def test_what_others_wrote_beside_the_tiles_is_kept(path):
    folder = "v101/My map of it all"
    make_package(path, folder=folder, method=zipfile.ZIP_DEFLATED)
    new = {(0, 0, 0): b"replaced", (9, 300, 300): b"in a bundle of its own"}

    with TpkStore(path, for_writing=True) as store:
        write(store, new)
        assert store.delete(8, [(128, 130)]) == 1
        store.commit()

    wanted = {**TILES, **new}
    del wanted[8, 128, 130]
    assert tiles_by_hand(path, folder) == wanted
    members = unpacked(path)
    assert members["v103/Layers.lyr"] == b"binary"
    assert members["esriinfo/item.pkinfo"] == b"<item/>"
    assert members[f"{folder}/conf.xml"].decode() == conf()
    assert f"{folder}/_alllayers/L08/R0080C0080.bundle" not in members, "it has no tile left"
    with TpkStore(path) as store:
        assert store.profile.extent.xmax > 100, "it grew with the tiles"
        assert store.profile.name == "My map of it all"


def test_without_commit_the_work_is_found_again(path):
    make_package(path)
    before = path.read_bytes()
    with TpkStore(path, for_writing=True) as store:
        write(store, {(8, 127, 126): b"not committed"})
    assert path.read_bytes() == before

    index = next(work_folder(path).rglob("*.bundlx"))
    assert index.with_suffix(".bundle").exists()
    with TpkStore(path, for_writing=True) as store:
        assert store.is_recovered
        assert store.read(8, 127, 127) == TILES[8, 127, 127]
        store.commit()

    assert tiles_by_hand(path) == {**TILES, (8, 127, 126): b"not committed"}


def test_a_copy_of_which_only_the_index_was_made_is_made_anew(path):
    make_package(path)
    with TpkStore(path, for_writing=True) as store:
        write(store, {(8, 127, 126): b"new"})
    next(work_folder(path).rglob("*.bundle")).unlink()  # killed between the two files

    with TpkStore(path, for_writing=True) as store:
        write(store, {(8, 127, 125): b"newer"})
        store.commit()

    assert tiles_by_hand(path) == {**TILES, (8, 127, 125): b"newer"}


def test_mending_and_defragmenting_end_in_the_package(path):
    files = bundles_v1(TILES)
    del files["L00/R0000C0000.bundlx"]
    files["L08/R0080C0080.bundle"] = files["L08/R0080C0080.bundle"][:-3]
    make_package(path, files=files)

    with TpkStore(path, for_writing=True) as store:
        write(store, {(1, 0, 1): b"replaced", (1, 0, 0): b"x"})
        write(store, {(1, 0, 1): b"once more"})
        found = [each for level in store.level_ids() for each in store.findings(level)]
        assert {each.fault for each in found} == {Fault.NOT_A_BUNDLE, Fault.CUT, Fault.OUTSIDE}
        assert all(store.mend(each) for each in found)
        for holes in [each for level in store.level_ids() for each in store.holes(level)]:
            store.defragment(holes)
        store.commit()
        assert [each for level in store.level_ids() for each in store.findings(level)] == []

    wanted = {(1, 0, 1): b"once more", (1, 0, 0): b"x"}
    wanted |= {key: TILES[key] for key in ((1, 1, 0), (8, 127, 127))}
    assert tiles_by_hand(path) == wanted


@pytest.mark.parametrize("name", ["states_filled", "alt_root_name", "nonstandard_zoom_levels"])
def test_packages_of_arcgis_are_written_and_read_by_mapproxy(path, tmp_path, name):
    shutil.copy(cache_sample(f"consbio-tpkutils/tests/data/{name}.tpk"), path)
    with TpkStore(path, for_writing=True) as store:
        before = tiles_in(store)
        write(store, {(1, 5, 5): b"one more"})
        store.commit()

    zipfile.ZipFile(path).extractall(tmp_path / "x")
    (layers,) = (tmp_path / "x").rglob("_alllayers")
    wanted = {**before, (1, 5, 5): b"one more"}
    assert mapproxy_tiles(layers, wanted, layout="v1") == wanted
