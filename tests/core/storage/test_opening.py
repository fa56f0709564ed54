"""From a path, however it is written, to the cache that lies there; and what is none."""

from __future__ import annotations

import os
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from made_caches import make_compact
from readers import cache_sample
from tile_bytes import tile

from tile_cache_manager.plugin.core.errors import (
    DamagedCache,
    HostileFile,
    NotACache,
    NotACacheReason,
    ReadOnlyCache,
    ReadOnlyReason,
)
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage import opening
from tile_cache_manager.plugin.core.storage.conf_xml import conf_cdi, conf_xml
from tile_cache_manager.plugin.core.storage.creation import SUFFIXES, create_cache
from tile_cache_manager.plugin.core.storage.opening import (
    check_writable,
    find_cache,
    local_path,
    open_store,
    read_profile,
)
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.root_json import root_json
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings, write_settings
from tile_cache_manager.plugin.core.storage.store import Fault
from tile_cache_manager.plugin.core.tiling import TileRange

PROFILE = CacheProfile(
    web_mercator(finest=6), StorageFormat.COMPACT_V2, "PNG32", 0, tuple(range(7)), None, "world"
)
TILE = b"\x89PNG\r\n\x1a\n and so on"
HOME = Path.home()
HERE = Path.cwd()

# Addresses: what is typed, what path it is (None: a URL, or nothing)

ADDRESSES = [
    ("", None),
    ("   ", None),
    ("https://server/arcgis/rest/services/World/MapServer", None),
    ("HTTP://server:6080/arcgis/rest/services", None),
    ("https://server/share.tpkx", None),
    ("ftp://server/world.tpkx", None),
    ("server.example.com/arcgis/rest/services/World/MapServer", None),
    ("localhost:6080/arcgis/rest/services/World/MapServer", None),
    ("localhost/arcgis/rest/services/World/MapServer", None),
    ("server/arcgis/rest/services/World/MapServer", None),
    ("10.0.0.1/arcgis", None),
    ("World", None),
    ("world.tpkx", None),
    ("a\0b/c", None),
    ("/a\nb", None),
    ("/data/caches/world", Path("/data/caches/world")),
    ("  /data/caches/world/  ", Path("/data/caches/world")),
    ('"/data/my caches/world"', Path("/data/my caches/world")),
    ("'/data/my caches/world'", Path("/data/my caches/world")),
    ("/données/日本.tpkx", Path("/données/日本.tpkx")),
    ("~/caches", HOME / "caches"),
    ("~", HOME),
    ("~nobody-has-this-name/x", HERE / "~nobody-has-this-name/x"),
    ("./caches", HERE / "caches"),
    ("../caches", HERE / ".." / "caches"),
    ("caches/world", HERE / "caches/world"),
    ("file:///data/world", Path("/data/world")),
    ("file:///data/my%20caches/%E6%97%A5", Path("/data/my caches/日")),
    ("file:///data/100%25%20of#it?x", Path("/data/100% of#it?x")),
    ("FILE:/data/world", Path("/data/world")),
    ("file://localhost/data/world", Path("/data/world")),
    ("file:///C:/Caches/World", Path("C:/Caches/World")),
    ("file:///C:\\Caches\\World", Path("C:/Caches/World")),
    ("file://server/share/world", Path("//server/share/world")),
    ("file://", None),
    ("file:///a%00b", None),
    ("file://[::1/x", None),
    ("C:\\Caches\\World", Path("C:\\Caches\\World")),
    ('"C:\\My Caches\\World"', Path("C:\\My Caches\\World")),
    ("c:/Caches", Path("c:/Caches")),
    ("C:", Path("C:")),
    ("\\\\server\\share\\world", Path("\\\\server\\share\\world")),
    ("//server/share/world", Path("//server/share/world")),
]


@pytest.mark.parametrize(("address", "path"), ADDRESSES, ids=[repr(each[0]) for each in ADDRESSES])
def test_addresses(address, path):
    assert local_path(address) == path


def test_what_exists_is_a_path_whatever_it_looks_like(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("World", "server.example.com/arcgis", "a/rest/services"):
        (tmp_path / name).mkdir(parents=True)

        assert local_path(name) == tmp_path / name


def test_endless_texts_are_no_paths():
    assert local_path("x" * 100_000) is None


# Caches


def make_folder(folder: Path, profile: CacheProfile = PROFILE) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "conf.xml").write_bytes(conf_xml(profile))
    (folder / "conf.cdi").write_bytes(conf_cdi(profile))
    (folder / "_alllayers").mkdir()
    return folder


def make_ready_to_serve(folder: Path, tiles: str = "tile") -> Path:
    (folder / tiles).mkdir(parents=True)
    content = root_json(PROFILE).replace(b"./tile", b"./" + tiles.encode())
    (folder / "root.json").write_bytes(content)
    return folder


def make_zip(path: Path, **members: bytes) -> Path:
    """A zip of stored members; in their names `__` stands for `/` and `_` for a point."""
    with zipfile.ZipFile(path, "w") as package:
        for name, content in members.items():
            package.writestr(name.replace("__", "/").replace("_", "."), content)
    return path


def has_tile(path: Path) -> bool:
    """Whether a tile that is written where `path` leads is there when it is opened anew."""
    with open_store(path, for_writing=True) as store:
        assert store.is_writable
        store.write(5, {(3, 4): TILE})
        store.commit()
    with open_store(path) as store:
        return not store.is_writable and store.read(5, 3, 4) == TILE


WAYS: dict[str, Callable[[Path], Path]] = {
    "the folder": lambda folder: folder,
    "conf.xml": lambda folder: folder / "conf.xml",
    "conf.cdi": lambda folder: folder / "conf.cdi",
    "_alllayers": lambda folder: folder / "_alllayers",
    "a folder above": lambda folder: folder.parent,
    "two folders above": lambda folder: folder.parent.parent,
}


@pytest.mark.parametrize("storage", [StorageFormat.COMPACT_V2, StorageFormat.EXPLODED])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_ways_to_a_folder(tmp_path, storage, way):
    folder = make_folder(tmp_path / "Straßen 日本" / "Layers", replace(PROFILE, storage=storage))

    assert has_tile(way(folder))
    assert find_cache(way(folder)).path == folder
    assert read_profile(way(folder)).storage is storage
    assert read_profile(way(folder)).name == "Straßen 日本"


@pytest.mark.parametrize("tiles", ["tile", "a/b c"])
def test_a_cache_made_ready_to_serve(tmp_path, tiles):
    folder = make_ready_to_serve(tmp_path / "unpacked.tpkx", tiles)

    assert has_tile(folder)
    assert has_tile(folder / "root.json")
    assert read_profile(folder).storage is StorageFormat.COMPACT_V2
    assert len(list((folder / tiles / "L05").glob("*.bundle"))) == 1


def test_the_folder_of_its_bundles_leads_to_it_too(tmp_path):
    folder = make_ready_to_serve(tmp_path / "x")

    assert find_cache(folder / "tile").path == folder


def test_names_in_any_case(tmp_path):
    folder = make_folder(tmp_path / "x")
    for old, new in (("conf.xml", "Conf.XML"), ("_alllayers", "_AllLayers")):
        (folder / old).rename(folder / new)

    assert has_tile(folder)
    assert sorted(each.name for each in folder.iterdir() if each.name[0] != ".") == [
        "Conf.XML",
        "_AllLayers",
        "conf.cdi",
    ]


def test_only_the_chosen_levels_count_as_cached(tmp_path):
    folder = make_folder(tmp_path / "x")
    write_settings(folder, CacheSettings(levels=(2, 4, 99)))

    assert read_profile(folder).cached_ids == (2, 4)
    with open_store(folder) as store:
        assert store.profile.cached_ids == (2, 4)
    write_settings(folder, CacheSettings(levels=(99,)))
    assert read_profile(folder).cached_ids == tuple(range(7))


def test_a_link_to_a_cache(tmp_path):
    folder = make_folder(tmp_path / "x")
    (tmp_path / "link").symlink_to(folder)

    assert has_tile(tmp_path / "link")


@pytest.mark.parametrize(
    ("sample", "levels"),
    [
        ("esri-raster-tiles-compactcache/sample_cache", {0: 1, 1: 4, 2: 16}),
        ("consbio-tpkutils/tests/data/states_filled.tpk", {0: 1, 1: 1, 2: 2, 3: 4, 4: 16}),
        ("consbio-tpkutils/tests/data/alt_root_name.tpk", {0: 1, 1: 1}),
        ("consbio-tpkutils/tests/data/nonstandard_zoom_levels.tpk", {0: 2, 1: 4, 2: 16}),
        ("gdal-autotest-esric/autotest/gdrivers/data/esric/Usa_lod5.tpkx", {5: 99}),
        ("gdal-autotest-esric/autotest/gdrivers/data/mbtiles/world_l1.mbtiles", {0: 1, 1: 4}),
    ],
)
def test_samples(tmp_path, sample, levels):
    # a copy: the format is found in the file, not in its name
    source = cache_sample(sample)
    path = source
    if source.is_file():
        path = tmp_path / "renamed.zip"
        shutil.copy(source, path)

    with open_store(path) as store:
        assert {key: count for key, count in store.counts().items() if count} == levels
    assert set(levels) <= set(read_profile(path).cached_ids)


def test_an_unpacked_package_of_arcgis_10(tmp_path):
    with zipfile.ZipFile(cache_sample("consbio-tpkutils/tests/data/alt_root_name.tpk")) as package:
        package.extractall(tmp_path / "unpacked")

    with open_store(tmp_path / "unpacked") as store:
        assert store.profile.storage is StorageFormat.COMPACT_V1
        assert store.profile.name == "TPK Root Name"
        assert store.exists(0, TileRange(0, 0, 0, 0)).all()


def test_what_lies_beside_a_cache_is_no_second_one(tmp_path):
    make_folder(tmp_path / "service" / "Layers")
    make_folder(tmp_path / "service" / ".hidden")
    (tmp_path / "service" / "empty").mkdir()
    (tmp_path / "service" / "Layers" / "_alllayers" / "conf.xml").write_bytes(b"x")

    assert find_cache(tmp_path).path == tmp_path / "service" / "Layers"


# What is no cache


def nothing(folder: Path) -> Path:
    return folder / "not there" / "x"


def an_empty_folder(folder: Path) -> Path:
    return folder


def levels_without_a_scheme(folder: Path) -> Path:
    (folder / "_alllayers" / "L00").mkdir(parents=True)
    return folder


def their_folder(folder: Path) -> Path:
    return levels_without_a_scheme(folder) / "_alllayers"


def a_folder_called_conf_xml(folder: Path) -> Path:
    (folder / "conf.xml").mkdir()
    return folder


def too_deep(folder: Path) -> Path:
    make_folder(folder / "1" / "2" / "3" / "4")
    return folder


def two_caches(folder: Path) -> Path:
    make_folder(folder / "a" / "Layers")
    make_folder(folder / "b")
    return folder


def some_text(folder: Path) -> Path:
    (folder / "notes.txt").write_text("a cache?")
    return folder / "notes.txt"


def a_picture(folder: Path) -> Path:
    (folder / "x.png").write_bytes(TILE)
    return folder / "x.png"


def another_zip(folder: Path) -> Path:
    return make_zip(folder / "x.zip", notes_txt=b"x")


def another_package(folder: Path) -> Path:
    return make_zip(folder / "x.tpkx", notes_txt=b"x")


def a_vector_package(folder: Path) -> Path:
    (folder / "x.vtpk").write_bytes(b"x")
    return folder / "x.vtpk"


def a_vector_package_renamed(folder: Path) -> Path:
    return make_zip(folder / "x.tpkx", p12__root_json=b"{}")


def a_vector_package_unpacked(folder: Path) -> Path:
    content = root_json(PROFILE).replace(b'"PNG32"', b'"pbf"')
    (folder / "p12").mkdir()
    (folder / "p12" / "root.json").write_bytes(content)
    return folder


def another_database(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / "x.sqlite")) as database:
        database.execute("CREATE TABLE contents (x)")
        database.commit()
    return folder / "x.sqlite"


def a_geopackage_of_features(folder: Path) -> Path:
    with closing(sqlite3.connect(folder / "x.gpkg")) as database:
        database.execute("PRAGMA application_id = 0x47504B47")
        database.execute("CREATE TABLE gpkg_contents (table_name, data_type, srs_id)")
        database.execute("INSERT INTO gpkg_contents VALUES ('roads', 'features', 4326)")
        database.commit()
    return folder / "x.gpkg"


NO_CACHES = [
    (nothing, NotACacheReason.MISSING),
    (an_empty_folder, NotACacheReason.NO_SCHEME),
    (levels_without_a_scheme, NotACacheReason.NO_SCHEME),
    (their_folder, NotACacheReason.NO_SCHEME),
    (a_folder_called_conf_xml, NotACacheReason.NO_SCHEME),
    (too_deep, NotACacheReason.NO_SCHEME),
    (two_caches, NotACacheReason.SEVERAL),
    (some_text, NotACacheReason.UNKNOWN_FILE),
    (a_picture, NotACacheReason.UNKNOWN_FILE),
    (another_zip, NotACacheReason.UNKNOWN_FILE),
    (another_package, NotACacheReason.NO_SCHEME),
    (a_vector_package, NotACacheReason.VECTOR),
    (a_vector_package_renamed, NotACacheReason.VECTOR),
    (a_vector_package_unpacked, NotACacheReason.VECTOR),
    (another_database, NotACacheReason.UNKNOWN_FILE),
    (a_geopackage_of_features, NotACacheReason.NO_TILES),
]


@pytest.mark.parametrize(
    ("make", "reason"), NO_CACHES, ids=[each[0].__name__ for each in NO_CACHES]
)
def test_what_is_no_cache(tmp_path, make, reason):
    path = make(tmp_path)

    for look in (open_store, read_profile):
        with pytest.raises(NotACache) as caught:
            look(path)

        assert caught.value.reason is reason
        assert caught.value.path.startswith(str(path))


def test_a_path_that_no_system_takes(tmp_path):
    with pytest.raises(NotACache):
        open_store(tmp_path / ("x" * 100_000))


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() == 0, reason="rights do not count for this user"
)
def test_a_folder_that_may_not_be_read(tmp_path):
    folder = make_folder(tmp_path / "x")
    folder.chmod(0)
    try:
        with pytest.raises(NotACache) as caught:
            open_store(folder)
    finally:
        folder.chmod(0o700)

    assert caught.value.reason is NotACacheReason.NOT_READABLE


def test_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "x")

    def refuse(_path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(opening.os, "scandir", refuse)
    with pytest.raises(NotACache) as caught:
        open_store(folder)

    assert caught.value.reason is NotACacheReason.NOT_READABLE


@pytest.mark.parametrize("name", ["x.tpkx", "x.tpk", "x.mbtiles"])
@pytest.mark.parametrize("content", [b"", b"PK", b"some other bytes"])
def test_packages_that_were_cut_off_or_overwritten(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(DamagedCache):
        open_store(tmp_path / name)


def test_damaged_and_hostile_files_in_a_folder(tmp_path):
    folder = make_folder(tmp_path / "x")
    (folder / "conf.xml").write_bytes(b"<CacheInfo>")
    with pytest.raises(DamagedCache):
        open_store(folder)
    (folder / "conf.xml").write_bytes(b"<!DOCTYPE x><CacheInfo/>")
    with pytest.raises(HostileFile):
        open_store(folder)


def test_no_more_than_a_bounded_number_of_names_is_looked_at(tmp_path, monkeypatch):
    make_folder(tmp_path / "z")
    for number in range(30):
        (tmp_path / f"a{number}").mkdir()
        (tmp_path / f"a{number}" / "x").write_bytes(b"")
    assert find_cache(tmp_path).path == tmp_path / "z"

    monkeypatch.setattr(opening, "_MOST_ENTRIES", 20)
    with pytest.raises(NotACache) as caught:
        find_cache(tmp_path)

    assert caught.value.reason is NotACacheReason.NO_SCHEME


# Writing


@pytest.mark.parametrize("for_file", [True, False])
def test_rights_are_looked_at_before_writing(tmp_path, monkeypatch, for_file):
    path = tmp_path / "x.mbtiles"
    path.write_bytes(b"")
    refused = path if for_file else tmp_path
    monkeypatch.setattr(opening.os, "access", lambda each, _mode: each != refused)

    with pytest.raises(ReadOnlyCache) as caught:
        check_writable(path, StorageFormat.MBTILES)

    assert caught.value.reason is ReadOnlyReason.RIGHTS
    check_writable(tmp_path / "..", StorageFormat.COMPACT_V2)


def test_a_cache_without_the_right_to_write_can_be_read(tmp_path, monkeypatch):
    folder = make_folder(tmp_path / "x")
    assert has_tile(folder)
    monkeypatch.setattr(opening.os, "access", lambda _path, _mode: False)

    with open_store(folder) as store:
        assert store.read(5, 3, 4) == TILE
    with pytest.raises(ReadOnlyCache):
        open_store(folder, for_writing=True)


@pytest.mark.parametrize("storage", SUFFIXES)
def test_a_link_to_a_package_stays_one(tmp_path, storage):
    (tmp_path / "data").mkdir()
    package = tmp_path / "data" / f"true{SUFFIXES[storage]}"
    link = tmp_path / f"link{SUFFIXES[storage]}"
    create_cache(package, replace(PROFILE, storage=storage), CacheSettings())
    link.symlink_to(package)

    with open_store(link, for_writing=True) as store:
        store.write(3, {(1, 2): TILE})
        store.commit()
        for holes in list(store.holes(3)):
            store.defragment(holes)
        store.commit()

    assert link.is_symlink()
    with open_store(package) as store:
        assert store.path == package
        assert store.read(3, 1, 2) == TILE


@pytest.mark.parametrize("storage", [StorageFormat.MBTILES, StorageFormat.GEOPACKAGE])
@pytest.mark.parametrize("ending", [".mbtiles", ".gpkg", ".sqlite", ""])
def test_a_database_is_known_by_what_is_in_it(tmp_path, storage, ending):
    made = tmp_path / f"made{SUFFIXES[storage]}"
    create_cache(made, replace(PROFILE, storage=storage), CacheSettings())
    path = made.rename(tmp_path / f"renamed{ending}")

    assert read_profile(path).storage is storage


def test_an_old_geopackage_without_its_mark_is_known_by_its_name(tmp_path):
    path = tmp_path / "x.gpkg"
    create_cache(path, replace(PROFILE, storage=StorageFormat.GEOPACKAGE), CacheSettings())
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA application_id = 0")

    assert read_profile(path).storage is StorageFormat.GEOPACKAGE


# Other bundles than the conf.xml tells


def test_bundles_of_version_2_are_that_whatever_the_conf_xml_says(tmp_path):
    folder = make_compact(tmp_path / "Roads", [(8, 3, 5), (8, 130, 5)])
    conf = folder / "conf.xml"
    conf.write_text(conf.read_text().replace("ModeCompactV2", "ModeCompact"))

    with open_store(folder, for_writing=True) as store:
        assert store.profile.storage is StorageFormat.COMPACT_V2
        assert store.counts() == {8: 2}
        assert store.read(8, 3, 5) == tile(8, 3, 5)


def test_bundles_of_version_1_are_that_whatever_the_conf_xml_says(tmp_path):
    package = cache_sample("consbio-tpkutils/tests/data/states_filled.tpk")
    zipfile.ZipFile(package).extractall(tmp_path)
    (conf,) = tmp_path.rglob("conf.xml")
    conf.write_text(conf.read_text().replace("ModeCompact<", "ModeCompactV2<"))

    with open_store(conf) as store:
        assert store.profile.storage is StorageFormat.COMPACT_V1
        assert store.counts() == {0: 1, 1: 1, 2: 2, 3: 4, 4: 16}


def test_bundles_of_version_1_without_their_indexes_are_found(tmp_path):
    package = cache_sample("consbio-tpkutils/tests/data/states_filled.tpk")
    zipfile.ZipFile(package).extractall(tmp_path)
    (conf,) = tmp_path.rglob("conf.xml")
    for index in tmp_path.rglob("*.bundlx"):
        index.unlink()

    with open_store(conf) as store:
        faults = [found.fault for level in store.level_ids() for found in store.findings(level)]
        assert faults == [Fault.NOT_A_BUNDLE] * 5
