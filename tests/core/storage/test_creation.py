"""New caches: there whole or not at all, and read by others."""

from __future__ import annotations

import os
import sqlite3
import struct
import zipfile
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from readers import bundle_check, gdal_pixels, gdal_version, mapproxy_tiles

from tile_cache_manager.plugin.core.errors import (
    BadCacheOption,
    BadScheme,
    BadSchemeReason,
    CannotPack,
    CannotPackReason,
    DiskFull,
    ReadOnlyCache,
    TargetExists,
    TargetProblem,
)
from tile_cache_manager.plugin.core.schemes import (
    WEB_MERCATOR,
    scheme_of_scales,
    web_mercator,
    wgs84,
)
from tile_cache_manager.plugin.core.storage import creation
from tile_cache_manager.plugin.core.storage.creation import (
    check_can_pack,
    create_cache,
    possible_formats,
)
from tile_cache_manager.plugin.core.storage.opening import open_store, read_profile
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings, read_settings
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

V2, EXPLODED = StorageFormat.COMPACT_V2, StorageFormat.EXPLODED
V1, TPK = StorageFormat.COMPACT_V1, StorageFormat.TPK
TPKX, MBTILES, GPKG = StorageFormat.TPKX, StorageFormat.MBTILES, StorageFormat.GEOPACKAGE
NAMES = {
    V2: "världen över",
    V1: "old one",
    TPK: "karta ö.tpk",
    EXPLODED: "a cache.2024",
    TPKX: "日本 1.tpkx",
    MBTILES: "a b.mbtiles",
    GPKG: "Ö ' \".gpkg",
}
LV95_WKT = (
    'PROJCS["CH1903+_LV95",GEOGCS["GCS_CH1903+",DATUM["D_CH1903+",SPHEROID["Bessel_1841",'
    '6377397.155,299.1528128]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],'
    'PROJECTION["Hotine_Oblique_Mercator_Azimuth_Center"],PARAMETER["False_Easting",2600000.0],'
    'PARAMETER["False_Northing",1200000.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Azimuth",90.0],'
    'PARAMETER["Longitude_Of_Center",7.43958333333333],'
    'PARAMETER["Latitude_Of_Center",46.9524055555556],UNIT["Meter",1.0]]'
)
LV95 = SpatialReference(2056, 2056, LV95_WKT)
SWISS = Extent(2485000.0, 1075000.0, 2834000.0, 1296000.0)
SETTINGS = CacheSettings("theme:Straßen", "#ffffff")


def profile_of(storage, scheme=None, ids=(), **pieces) -> CacheProfile:
    return CacheProfile(scheme or web_mercator(finest=10), storage, "PNG32", 0, ids, **pieces)


def picture(colour: tuple[int, int, int, int], side: int = 256) -> bytes:
    """A PNG of one colour, 8 bits RGBA."""
    rows = (b"\0" + bytes(colour) * side) * side
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    chunks = (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def everything_in(folder: Path) -> list[str]:
    return sorted(each.relative_to(folder).as_posix() for each in folder.rglob("*"))


# What is made


@pytest.mark.parametrize("storage", NAMES)
def test_what_is_made_can_be_opened_and_says_what_was_asked_for(tmp_path, storage):
    path = tmp_path / "not there" / NAMES[storage]
    extent = Extent(-1e6, -2e6, 3e6, 4e6)

    create_cache(path, profile_of(storage, ids=(3, 4, 5), extent=extent), SETTINGS)

    found = read_profile(path)
    assert found.storage is storage
    assert found.image_format == "PNG32"
    assert found.cached_ids == (3, 4, 5)
    assert found.scheme.levels[:11] == web_mercator(finest=10).levels
    assert found.extent is not None
    assert found.extent.bounds == pytest.approx(extent.bounds, rel=1e-6)
    assert found.name == (path.stem if storage.is_package else path.name)
    assert read_settings(path) == SETTINGS
    with open_store(path, for_writing=True) as store:
        assert store.counts() == {}
        store.write(4, {(3, 5): picture((9, 8, 7, 255))})
        store.commit()
    with open_store(path) as store:
        assert store.counts() == {4: 1}


@pytest.mark.parametrize("storage", [V2, V1, TPKX, TPK])
def test_levels_that_were_chosen_here_and_there_are_remembered(tmp_path, storage):
    path = tmp_path / NAMES[storage]

    create_cache(path, profile_of(storage, ids=(2, 5, 9)), SETTINGS)

    assert read_profile(path).cached_ids == (2, 5, 9)
    assert read_settings(path).levels == (2, 5, 9)


def test_all_levels_are_cached_where_none_was_chosen(tmp_path):
    create_cache(tmp_path / "x", profile_of(V2), SETTINGS)

    assert read_profile(tmp_path / "x").cached_ids == tuple(range(11))
    assert read_settings(tmp_path / "x").levels == ()


def test_a_scheme_that_begins_later_keeps_its_ids(tmp_path):
    levels = (Level(5, 100.0, 377952.75), Level(7, 10.0, 37795.275))
    scheme = TilingScheme(-5120900.0, 9998100.0, 256, 256, 96.0, LV95, levels)

    create_cache(tmp_path / "x", profile_of(V2, scheme, extent=SWISS), SETTINGS)

    found = read_profile(tmp_path / "x")
    assert [level.id for level in found.scheme.levels] == list(range(8))
    assert set(levels) <= set(found.scheme.levels)
    assert found.cached_ids == (5, 7)


def test_the_files_of_a_folder(tmp_path):
    create_cache(tmp_path / "x", profile_of(V2), SETTINGS)

    assert everything_in(tmp_path) == [
        "x",
        "x/.tile_cache_manager",
        "x/.tile_cache_manager/settings.json",
        "x/_alllayers",
        "x/conf.cdi",
        "x/conf.xml",
    ]


def test_the_members_of_a_package(tmp_path):
    create_cache(tmp_path / "x.tpkx", profile_of(TPKX), SETTINGS)

    with zipfile.ZipFile(tmp_path / "x.tpkx") as package:
        assert {"root.json", "iteminfo.json", "thumbnail.png"} <= set(package.namelist())
        assert {each.compress_type for each in package.infolist()} == {zipfile.ZIP_STORED}


def test_an_empty_folder_is_taken_as_it_is(tmp_path):
    path = tmp_path / "x"
    path.mkdir(mode=0o750)
    before = path.stat().st_ino

    create_cache(path, profile_of(V2), SETTINGS)

    assert path.stat().st_ino == before
    assert read_profile(path).storage is V2


def test_settings_of_a_package_that_is_gone_do_not_come_back(tmp_path):
    path = tmp_path / "x.tpkx"
    create_cache(path, profile_of(TPKX, ids=(1, 3)), SETTINGS)
    path.unlink()

    create_cache(path, profile_of(TPKX), CacheSettings())

    assert read_settings(path) == CacheSettings()
    assert read_profile(path).cached_ids == tuple(range(11))


# As others read it: scheme, tile (level, row, column), GDALs that can


SWISS_SCHEME = scheme_of_scales([1e6, 1e5, 1e4], LV95, 2420000.0, 1350000.0, 1.0)
STANDARD = scheme_of_scales([1e6, 1e5, 1e4], LV95, -5120900.0, 9998100.0, 1.0)
FEW = replace(web_mercator(), levels=tuple(web_mercator().levels[n] for n in (3, 8, 15)))
READ = {
    "a few of the scales": (V2, FEW, None, (8, 87, 131), ["system", "wheel"]),
    "a package of a few of the scales": (TPKX, FEW, None, (15, 11000, 17000), ["wheel"]),
    "Web Mercator": (V2, web_mercator(finest=12), None, (12, 1400, 2100), ["system", "wheel"]),
    "Web Mercator, all levels": (V2, web_mercator(), None, (22, 4194303, 17), ["system", "wheel"]),
    "degrees": (V2, wgs84(), None, (9, 511, 1023), ["system", "wheel"]),
    "512 pixels": (V2, web_mercator(512), None, (3, 7, 0), ["wheel"]),
    "an origin right of 0": (V2, SWISS_SCHEME, SWISS, (1, 8, 12), ["system", "wheel"]),
    "its last tile": (V2, SWISS_SCHEME, SWISS, (2, 405, 611), ["system", "wheel"]),
    "the standard origin": (V2, STANDARD, SWISS, (1, 1300, 1140), ["system", "wheel"]),
    "one level too fine": (V2, web_mercator(finest=23), None, (23, 8388606, 5), ["wheel"]),
    "package": (TPKX, web_mercator(), None, (12, 1400, 2100), ["wheel"]),
    "package in degrees": (TPKX, wgs84(), None, (9, 511, 1023), ["wheel"]),
    "package, the standard origin": (TPKX, STANDARD, None, (1, 1300, 1140), ["wheel"]),
    "GeoPackage": (GPKG, web_mercator(), None, (12, 1400, 2100), ["system", "wheel"]),
    "GeoPackage, a few of the scales": (GPKG, FEW, None, (15, 11000, 17000), ["system", "wheel"]),
    "GeoPackage in degrees": (GPKG, wgs84(), None, (9, 511, 1023), ["system", "wheel"]),
    "GeoPackage, 512 pixels": (GPKG, web_mercator(512), None, (3, 7, 0), ["system", "wheel"]),
    "GeoPackage, its last tile": (GPKG, SWISS_SCHEME, None, (2, 405, 611), ["system", "wheel"]),
    "GeoPackage, a middle level": (GPKG, STANDARD, SWISS, (1, 1300, 1140), ["system", "wheel"]),
    "MBTiles": (MBTILES, web_mercator(finest=4), None, (4, 7, 3), ["system", "wheel"]),
}


@pytest.mark.parametrize(
    ("storage", "scheme", "extent", "tile", "readers"), READ.values(), ids=READ
)
def test_gdal_finds_the_tiles(tmp_path, storage, scheme, extent, tile, readers):
    path = tmp_path / NAMES[storage]
    colour = (200, 100, 50, 255)
    create_cache(path, profile_of(storage, scheme, extent=extent), SETTINGS)
    with open_store(path, for_writing=True) as store:
        store.write(tile[0], {tile[1:]: picture(colour, scheme.tile_width)})
        store.commit()

    opened = path if storage.is_package else path / "conf.xml"
    for which in readers:
        assert gdal_version(which) >= (3, 6)
        pixels = gdal_pixels(opened, scheme, [tile], which=which)[tile]

        assert pixels.shape == (4, scheme.tile_height, scheme.tile_width)
        assert np.array_equal(np.unique(pixels.reshape(4, -1), axis=1), np.array([colour]).T)


@pytest.mark.parametrize(("storage", "layout"), [(V2, "v2"), (V1, "v1"), (EXPLODED, "exploded")])
def test_mapproxy_finds_the_tiles(tmp_path, storage, layout):
    create_cache(tmp_path / "x", profile_of(storage), SETTINGS)
    content = picture((1, 2, 3, 4))
    with open_store(tmp_path / "x", for_writing=True) as store:
        store.write(10, {(1000, 7): content})

    tiles = mapproxy_tiles(tmp_path / "x", [(10, 1000, 7), (10, 0, 0)], layout=layout)

    assert tiles == {(10, 1000, 7): content, (10, 0, 0): None}


@pytest.mark.parametrize("storage", [V2, V1, TPKX, TPK])
@pytest.mark.parametrize(
    "scheme", [web_mercator(), wgs84(), STANDARD], ids=["3857", "4326", "2056"]
)
def test_the_checker_of_bundles_finds_nothing(tmp_path, storage, scheme):
    path = tmp_path / NAMES[storage]
    create_cache(path, profile_of(storage, scheme), SETTINGS)
    with open_store(path, for_writing=True) as store:
        store.write(2, {(200, 100): picture((1, 2, 3, 4)), (200, 101): picture((5, 6, 7, 8))})
        store.commit()

    assert "error" not in bundle_check(path, "--spec").lower().replace("0 error", "")


def test_mbtiles_say_what_the_specification_asks_for(tmp_path):
    create_cache(tmp_path / "x.mbtiles", profile_of(MBTILES, ids=(2, 3)), SETTINGS)

    with closing(sqlite3.connect(tmp_path / "x.mbtiles")) as database:
        said = dict(database.execute("SELECT name, value FROM metadata"))

    assert (said["format"], said["minzoom"], said["maxzoom"]) == ("png", "2", "3")


# What is refused, and that nothing is left behind


def odd(storage=V2, **pieces) -> CacheProfile:
    profile = profile_of(storage)
    mine = {key: value for key, value in pieces.items() if hasattr(profile, key)}
    rest = {key: value for key, value in pieces.items() if key not in mine}
    return replace(profile, scheme=replace(profile.scheme, **rest), **mine)


OPTIONS = [
    ("x.tpk", odd(V1), "TARGET"),
    ("x", odd(TPK), "TARGET"),
    ("x.zip", odd(TPKX), "TARGET"),
    ("x", odd(MBTILES), "TARGET"),
    ("x.tpkx", odd(MBTILES), "TARGET"),
    ("x.TPKX", odd(V2), "TARGET"),
    ("x", odd(image_format="LERC"), "TILE_FORMAT"),
    ("x", odd(image_format=""), "TILE_FORMAT"),
    ("x", odd(compression_quality=101), "COMPRESSION_QUALITY"),
    ("x", odd(compression_quality=-1), "COMPRESSION_QUALITY"),
    ("x", odd(tile_width=512), "TILE_SIZE"),
    ("x", odd(tile_width=0, tile_height=0), "TILE_SIZE"),
    ("x", odd(tile_width=10**6, tile_height=10**6), "TILE_SIZE"),
    ("x", odd(dpi=0.0), "DPI"),
    ("x", odd(dpi=float("inf")), "DPI"),
]
HALVES = tuple(Level(n, 156543.03392804097 / 2**n, 5e8 / 2**n) for n in range(41))
SCHEMES = [
    ("x", odd(levels=()), BadSchemeReason.NO_LEVELS),
    ("x", odd(cached_ids=(99,)), BadSchemeReason.NO_LEVELS),
    ("x", odd(levels=(Level(0, float("nan"), 1.0),)), BadSchemeReason.NO_LEVELS),
    ("x", odd(levels=HALVES), BadSchemeReason.TOO_FINE),
    ("x", odd(levels=(Level(-1, 1.0, 1.0),)), BadSchemeReason.TOO_FINE),
    ("x", odd(levels=(Level(100, 1.0, 1.0),)), BadSchemeReason.TOO_FINE),
    ("x", odd(levels=(Level(0, 2.0, 1.0), Level(0, 1.0, 1.0))), BadSchemeReason.TOO_FINE),
    ("x", odd(crs=SpatialReference(2056)), BadSchemeReason.NO_CRS),
    ("x.tpkx", odd(TPKX, crs=SpatialReference()), BadSchemeReason.NO_CRS),
]


UNEVEN = (Level(0, 100.0, 1e6), Level(1, 70.123, 7e5))
BACKWARDS = (Level(1, 100.0, 1e6), Level(0, 50.0, 5e5))
FOLDERS = ("COMPACT_V2", "COMPACT_V1", "EXPLODED", "TPKX", "TPK")
UNPACKED = [
    (odd(MBTILES, crs=LV95), "SCHEME", (*FOLDERS, "GPKG")),
    (replace(odd(MBTILES), scheme=wgs84()), "SCHEME", (*FOLDERS, "GPKG")),
    (odd(MBTILES, origin_x=0.0), "SCHEME", (*FOLDERS, "GPKG")),
    (odd(MBTILES, levels=(Level(0, 1e5, 1e5),)), "SCHEME", (*FOLDERS, "GPKG")),
    (replace(odd(MBTILES), scheme=web_mercator(128)), "TILE_SIZE", (*FOLDERS, "GPKG")),
    (odd(MBTILES, image_format="MIXED"), "TILE_FORMAT", (*FOLDERS, "GPKG")),
    (odd(GPKG, levels=UNEVEN), "LEVELS", FOLDERS),
    (odd(GPKG, levels=BACKWARDS), "LEVELS", FOLDERS),
    (odd(GPKG, crs=SpatialReference(None, None, LV95_WKT)), "NO_CODE", FOLDERS),
]


@pytest.mark.parametrize(("profile", "reason", "possible"), UNPACKED)
def test_what_a_format_cannot_hold_is_refused_and_others_named(tmp_path, profile, reason, possible):
    path = tmp_path / "new" / f"x.{profile.storage.value.lower()}"

    with pytest.raises(CannotPack) as caught:
        create_cache(path, profile, SETTINGS)

    assert caught.value.reason is CannotPackReason[reason]
    assert caught.value.storage == profile.storage.value
    assert caught.value.possible == possible
    assert everything_in(tmp_path) == []
    with pytest.raises(CannotPack):
        check_can_pack(path, profile)
    assert [each.value for each in possible_formats(profile)] == list(possible)


@pytest.mark.parametrize(("name", "profile", "option"), OPTIONS)
def test_options_that_are_refused(tmp_path, name, profile, option):
    with pytest.raises(BadCacheOption) as caught:
        create_cache(tmp_path / "new" / name, profile, SETTINGS)

    assert caught.value.option == option
    assert everything_in(tmp_path) == []


@pytest.mark.parametrize(("name", "profile", "reason"), SCHEMES)
def test_schemes_that_are_refused(tmp_path, name, profile, reason):
    with pytest.raises(BadScheme) as caught:
        create_cache(tmp_path / "new" / name, profile, SETTINGS)

    assert caught.value.reason is reason
    assert everything_in(tmp_path) == []


def test_mbtiles_of_a_few_standard_scales(tmp_path):
    levels = [web_mercator().level(n) for n in (3, 8)]
    scheme = scheme_of_scales([each.scale for each in levels], WEB_MERCATOR, 0, 0, 1.0)
    scheme = replace(
        web_mercator(), levels=tuple(Level(n, e.resolution, e.scale) for n, e in enumerate(levels))
    )

    create_cache(tmp_path / "x.mbtiles", profile_of(MBTILES, scheme), SETTINGS)

    assert read_profile(tmp_path / "x.mbtiles").cached_ids == (3, 8)


@pytest.mark.parametrize("storage", NAMES)
@pytest.mark.parametrize("what", ["a file", "a folder with something", "a link to nothing"])
def test_what_is_there_stays(tmp_path, storage, what):
    path = tmp_path / NAMES[storage]
    if what == "a file":
        path.write_bytes(b"mine")
    elif what == "a link to nothing":
        path.symlink_to(tmp_path / "nothing")
    else:
        (path / "mine").mkdir(parents=True)
    before = everything_in(tmp_path)

    with pytest.raises(TargetExists) as caught:
        create_cache(path, profile_of(storage), SETTINGS)

    assert caught.value.path == str(path)
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize("storage", [TPKX, TPK, MBTILES, GPKG])
def test_an_empty_folder_is_no_place_for_a_package(tmp_path, storage):
    (tmp_path / NAMES[storage]).mkdir()

    with pytest.raises(TargetExists):
        create_cache(tmp_path / NAMES[storage], profile_of(storage), SETTINGS)


def test_a_cache_is_not_made_twice(tmp_path):
    create_cache(tmp_path / "x", profile_of(V2), SETTINGS)

    with pytest.raises(TargetExists):
        create_cache(tmp_path / "x", profile_of(EXPLODED), SETTINGS)

    assert read_profile(tmp_path / "x").storage is V2


FAILURES = [
    (OSError(28, "No space left on device"), DiskFull),
    (OSError(5, "Input/output error"), TargetProblem),
]
TURNS = {V2: 10, V1: 10, EXPLODED: 10, TPKX: 7, TPK: 7, MBTILES: 7, GPKG: 7}


@pytest.mark.parametrize(
    ("storage", "turn", "is_there"),
    [
        (storage, turn, is_there)
        for storage, turns in TURNS.items()
        for turn in range(1, turns + 1)
        for is_there in (False, True)
        if not (storage.is_package and is_there)
    ],
)
def test_nothing_is_left_behind_wherever_it_fails(tmp_path, monkeypatch, storage, turn, is_there):
    """Each rename, fsync and new folder is once the one that fails: the first, the second ..."""
    path = tmp_path / "new" / NAMES[storage]
    if is_there:
        path.mkdir(parents=True)
    before = everything_in(tmp_path)
    failure, kind = FAILURES[turn % 2]
    calls = []

    def failing_at_its_turn(real):
        def call(*args, **kwargs):
            calls.append(real)
            if len(calls) == turn:
                raise failure
            return real(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing_at_its_turn(os.fsync))
        for name in ("mkdir", "rename", "replace"):
            patch.setattr(Path, name, failing_at_its_turn(getattr(Path, name)))
        with pytest.raises(kind) as caught:
            create_cache(path, profile_of(storage), SETTINGS)

    assert caught.value.path == str(path)
    assert everything_in(tmp_path) == before


def test_without_the_right_to_write(tmp_path, monkeypatch):
    def refuse(*_of_it, **_options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        with pytest.raises(ReadOnlyCache):
            create_cache(tmp_path / "x", profile_of(V2), SETTINGS)

    assert everything_in(tmp_path) == []


def test_of_two_that_make_the_same_one_wins(tmp_path, monkeypatch):
    path = tmp_path / "x"
    real = creation._fill

    def while_another_is_quicker(folder, profile, settings):
        real(folder, profile, settings)
        monkeypatch.setattr(creation, "_fill", real)
        create_cache(path, profile_of(EXPLODED), CacheSettings("theme:quicker"))

    monkeypatch.setattr(creation, "_fill", while_another_is_quicker)
    with pytest.raises(TargetExists):
        create_cache(path, profile_of(V2), SETTINGS)

    assert read_settings(path).source == "theme:quicker"
    assert [each.name for each in tmp_path.iterdir()] == ["x"]
