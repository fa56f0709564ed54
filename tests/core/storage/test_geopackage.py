"""GeoPackages of tiles: against files made by hand as OGC 12-128r17 says, and GDAL."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing, suppress
from dataclasses import replace

import numpy as np
import pytest
from made_pictures import pattern, png
from readers import gdal_pixels, mapproxy_tiles, mapproxy_write

from tile_cache_manager.plugin.core.errors import (
    CannotPack,
    CannotPackReason,
    DamagedCache,
    NotACache,
    NotACacheReason,
    ReadOnlyCache,
    ReadOnlyReason,
    StorageError,
    TargetExists,
    TargetProblem,
)
from tile_cache_manager.plugin.core.schemes import scheme_of_scales, web_mercator, wgs84
from tile_cache_manager.plugin.core.storage.gpkg import (
    GeoPackageStore,
    create_geopackage,
    read_geopackage_profile,
)
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.store import Fault
from tile_cache_manager.plugin.core.tiling import (
    WEB_MERCATOR_HALF,
    Extent,
    Level,
    SpatialReference,
    TileRange,
)

HALF = WEB_MERCATOR_HALF
GPKG = StorageFormat.GEOPACKAGE
METRES = SpatialReference(25832, 25832)
SCALES = [1e6, 5e5, 2.5e5, 1e5, 5e4]
FREE = scheme_of_scales(SCALES, METRES, -5120900.0, 9998100.0, 1.0)
PICTURES = {(2, 30, 40): pattern(1), (2, 31, 40): pattern(2), (4, 200, 300): pattern(3)}


def profile(scheme=None, ids=(), **changes):
    values = {"image_format": "PNG32", "name": "Streets", "text": "All of them"}
    return CacheProfile(scheme or web_mercator(finest=12), GPKG, cached_ids=ids, **values | changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a cache.gpkg"


@pytest.fixture
def store(path):
    create_geopackage(path, profile())
    with GeoPackageStore(path, for_writing=True) as opened:
        yield opened


def sql(path, query, *values):
    with closing(sqlite3.connect(path)) as file, file:
        return file.execute(query, values).fetchall()


SYSTEM = "CREATE TABLE gpkg_spatial_ref_sys (srs_name, srs_id, organization,"
SYSTEM += " organization_coordsys_id, definition, description)"
CONTENTS = "CREATE TABLE gpkg_contents (table_name, data_type, identifier, description,"
CONTENTS += " last_change, min_x, min_y, max_x, max_y, srs_id)"
SETS = "CREATE TABLE gpkg_tile_matrix_set (table_name, srs_id, min_x, min_y, max_x, max_y)"
MATRICES = "CREATE TABLE gpkg_tile_matrix (table_name, zoom_level, matrix_width, matrix_height,"
MATRICES += " tile_width, tile_height, pixel_x_size, pixel_y_size)"
TILES = "CREATE TABLE {} (id INTEGER PRIMARY KEY, zoom_level, tile_column, tile_row, tile_data)"


def by_hand(path, tiles=(), *, tables=(("my tiles", "tiles"),), matrices=None, srs=25832):
    """A file of 2 x 3 tiles of 1000 m each, four times as many at the next zoom; or as asked."""
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("PRAGMA application_id = 0x47504B47")
        for statement in (SYSTEM, CONTENTS, SETS, MATRICES):
            file.execute(statement)
        text = 'PROJCS["x",GEOGCS["y",UNIT["degree",0.0174532925199433]],UNIT["metre",1]]'
        file.execute(
            "INSERT INTO gpkg_spatial_ref_sys VALUES ('', 7, 'epsg', ?, ?, '')", (srs, text)
        )
        file.execute("INSERT INTO gpkg_spatial_ref_sys VALUES ('', 0, 'NONE', 0, 'undefined', '')")
        for name, kind in tables:
            file.execute(
                "INSERT INTO gpkg_contents VALUES (?, ?, 'Town', 'A map', '', 10, 20, 30, 40, 7)",
                (name, kind),
            )
            if kind == "tiles":
                file.execute(TILES.format(f'"{name}"'))
                corners = (500000, 5997000, 502000, 6000000)
                file.execute(
                    "INSERT INTO gpkg_tile_matrix_set VALUES (?, 7, ?, ?, ?, ?)", (name, *corners)
                )
                for row in matrices or [
                    (3, 2, 3, 200, 200, 5.0, 5.0),
                    (4, 4, 6, 200, 200, 2.5, 2.5),
                ]:
                    file.execute(
                        "INSERT INTO gpkg_tile_matrix VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (name, *row)
                    )
        for tile in tiles:
            file.execute(
                'INSERT INTO "my tiles" (zoom_level, tile_column, tile_row, tile_data)'
                " VALUES (?, ?, ?, ?)",
                tile,
            )
    return path


# What a new file says


def test_a_new_file_is_what_the_standard_asks_for(path):
    extent = Extent(4e5, 5.2e6, 9e5, 6.1e6)
    create_geopackage(path, profile(FREE, (1, 2, 3), extent=extent))

    assert path.read_bytes()[68:72] == b"GPKG"
    assert sql(path, "PRAGMA user_version") == [(10300,)]
    assert sql(path, "PRAGMA foreign_key_check") == []
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]
    ids = "SELECT srs_id, organization, organization_coordsys_id FROM gpkg_spatial_ref_sys"
    assert set(sql(path, ids)) == {
        *((-1, "NONE", -1), (0, "NONE", 0)),
        *((4326, "EPSG", 4326), (25832, "EPSG", 25832)),
    }
    (contents,) = sql(path, "SELECT table_name, data_type, identifier, srs_id FROM gpkg_contents")
    assert contents == ("tiles", "tiles", "Streets", 25832)
    (corners,) = sql(path, "SELECT min_x, min_y, max_x, max_y FROM gpkg_tile_matrix_set")
    assert (corners[0], corners[3]) == (-5120900.0, 9998100.0)
    rows = sql(path, "SELECT * FROM gpkg_tile_matrix ORDER BY zoom_level")
    assert [row[1] for row in rows] == [1, 2, 3]
    for _table, zoom, cols, lines, width, height, x_size, y_size in rows:
        # 12-128r17, requirement 45 and what GDAL's own checker asks for
        assert cols * width * x_size == pytest.approx(corners[2] - corners[0], rel=1e-14)
        assert lines * height * y_size == pytest.approx(corners[3] - corners[1], rel=1e-14)
        assert x_size == pytest.approx(SCALES[zoom] * 0.0254 / 96, rel=1e-12)
    (bounds,) = sql(path, "SELECT min_x, min_y, max_x, max_y FROM gpkg_contents")
    pixel = rows[0][6]
    assert all(abs(one - other) <= pixel for one, other in zip(bounds, extent.bounds))
    assert bounds[0] <= extent.xmin
    assert bounds[3] >= extent.ymax
    other_zooms = "SELECT table_name, scope FROM gpkg_extensions WHERE extension_name = ?"
    assert sql(path, other_zooms, "gpkg_zoom_other") == [("tiles", "read-write")]
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_zooms_of_factor_two_need_no_extension(path):
    create_geopackage(path, profile(web_mercator(finest=9), (3, 4, 5)))

    assert ("gpkg_zoom_other",) not in sql(path, "SELECT extension_name FROM gpkg_extensions")
    # As OGC's own "GoogleMapsCompatible" (12-128r17, annex E): 2^zoom tiles, from the corner on
    assert sql(path, "SELECT zoom_level, matrix_width, matrix_height FROM gpkg_tile_matrix") == [
        (3, 8, 8), (4, 16, 16), (5, 32, 32)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scheme", "changes"),
    [
        (web_mercator(finest=12), {}),
        (web_mercator(512, 192, 9), {"image_format": "JPEG", "compression_quality": 63}),
        (web_mercator(128), {"ids": (3, 9), "image_format": "MIXED", "compression_quality": 80}),
        (wgs84(), {"image_format": "PNG8"}),
        (FREE, {"ids": (1, 2, 4), "extent": Extent(4e5, 5.2e6, 9e5, 6.1e6)}),
        (FREE, {"ids": (3,)}),
        (scheme_of_scales([1e4, 4e3], METRES, 0.0, 1e7, 1.0), {}),
    ],
)
def test_a_new_file_reads_as_it_was_meant(path, scheme, changes):
    ids = changes.pop("ids", tuple(level.id for level in scheme.levels))
    made = profile(scheme, ids, **changes)

    create_geopackage(path, made)

    assert read_geopackage_profile(path) == made


EVEN = [
    ("halves", [8.0, 4.0, 2.0], (7, 5), [(1, 1), (2, 2), (4, 4)]),
    ("a factor of 2.5 takes two tiles", [10.0, 4.0], (7, 5), [(2, 2), (5, 5)]),
    ("more than the tile", [10.0, 5.0], (3000, 10), [(2, 1), (4, 2)]),
    ("thirds and halves", [6.0, 4.0, 1.0], (7, 5), [(2, 2), (3, 3), (12, 12)]),
]


@pytest.mark.parametrize(
    ("resolutions", "size", "matrices"), [e[1:] for e in EVEN], ids=[e[0] for e in EVEN]
)
def test_matrices_are_whole_tiles_of_all_levels(path, resolutions, size, matrices):
    levels = tuple(Level(n, each, each * 4000) for n, each in enumerate(resolutions))
    scheme = replace(FREE, origin_x=0.0, origin_y=0.0, levels=levels)
    with_extent = profile(
        scheme, tuple(range(len(levels))), extent=Extent(0, -size[1], *size[:1], 0)
    )

    create_geopackage(path, with_extent)

    found = sql(path, "SELECT matrix_width, matrix_height FROM gpkg_tile_matrix")
    ratios = [(one / matrices[0][0], two / matrices[0][1]) for one, two in matrices]
    assert [(cols / found[0][0], rows / found[0][1]) for cols, rows in found] == ratios
    assert found[0][0] >= matrices[0][0]
    assert found[0][1] >= matrices[0][1]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scheme": replace(FREE, crs=SpatialReference(None, None, "PROJCS[]"))}, "NO_CODE"),
        ({"scheme": scheme_of_scales([1e6, 314159.0], METRES, 0.0, 0.0, 1.0)}, "LEVELS"),
        ({"image_format": "LERC"}, "TILE_FORMAT"),
    ],
)
def test_what_a_geopackage_cannot_hold_is_refused_and_nothing_left(tmp_path, changes, reason):
    with pytest.raises(CannotPack) as caught:
        create_geopackage(tmp_path / "new" / "x.gpkg", replace(profile(), **changes))

    assert caught.value.reason is CannotPackReason[reason]
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(path):
    path.write_bytes(b"precious")

    with pytest.raises(TargetExists):
        create_geopackage(path, profile())

    assert path.read_bytes() == b"precious"


# Reading what others wrote


def test_a_file_of_others(path):
    by_hand(path, [(3, 0, 2, png(pattern(1, size=200))), (4, 3, 0, b"x")])

    found = read_geopackage_profile(path)

    assert found.scheme.crs.code == 25832
    assert (found.scheme.origin_x, found.scheme.origin_y) == (500000, 6000000)
    assert found.scheme.tile_width == found.scheme.tile_height == 200
    assert [(level.id, level.resolution) for level in found.scheme.levels] == [(3, 5.0), (4, 2.5)]
    # 5 m a pixel, at 96 pixels an inch of 0.0254 m
    assert found.scheme.levels[0].scale == pytest.approx(5.0 * 96 / 0.0254)
    assert (found.cached_ids, found.image_format) == ((3, 4), "PNG")
    assert (found.name, found.text) == ("Town", "A map")
    assert found.extent == Extent(10, 20, 30, 40)
    with GeoPackageStore(path) as store:
        assert store.counts() == {3: 1, 4: 1}
        assert store.read(4, 0, 3) == b"x"  # row 0 is the topmost
        assert store.read(3, 0, 0) is None
        assert list(store.blocks(3)) == [TileRange(0, 2, 0, 1)]


NOT_OURS = [
    ("features only", {"tables": (("roads", "features"),)}, NotACacheReason.NO_TILES),
    ("elevations", {"tables": (("dem", "2d-gridded-coverage"),)}, NotACacheReason.NO_TILES),
    ("vector tiles", {"tables": (("t", "vector-tiles"),)}, NotACacheReason.VECTOR),
    ("two tables", {"tables": (("a", "tiles"), ("b", "tiles"))}, NotACacheReason.SEVERAL),
    ("oblong tiles", {"matrices": [(0, 2, 3, 200, 100, 5.0, 5.0)]}, NotACacheReason.ODD_TILES),
    ("oblong pixels", {"matrices": [(0, 2, 3, 200, 200, 5.0, 4.0)]}, NotACacheReason.ODD_TILES),
    (
        "two sizes",
        {"matrices": [(0, 2, 3, 200, 200, 5.0, 5.0), (1, 2, 3, 400, 400, 2.5, 2.5)]},
        NotACacheReason.ODD_TILES,
    ),
]


@pytest.mark.parametrize(("how", "reason"), [e[1:] for e in NOT_OURS], ids=[e[0] for e in NOT_OURS])
def test_files_that_are_no_cache(path, how, reason):
    with pytest.raises(NotACache) as caught:
        GeoPackageStore(by_hand(path, **how))

    assert caught.value.reason is reason


DAMAGED = [
    "DELETE FROM gpkg_tile_matrix_set",
    "DELETE FROM gpkg_tile_matrix",
    "DELETE FROM gpkg_spatial_ref_sys",
    "UPDATE gpkg_tile_matrix_set SET srs_id = 0",
    "UPDATE gpkg_tile_matrix_set SET max_x = 'far'",
    "UPDATE gpkg_tile_matrix_set SET max_x = min_x",
    "UPDATE gpkg_tile_matrix SET pixel_x_size = 0",
    "UPDATE gpkg_tile_matrix SET zoom_level = -1",
    "UPDATE gpkg_tile_matrix SET tile_width = NULL",
    "UPDATE gpkg_tile_matrix SET tile_width = 100000, tile_height = 100000",
]


@pytest.mark.parametrize("how", DAMAGED)
def test_damaged_tables(path, how):
    sql(by_hand(path), how)

    with pytest.raises(DamagedCache):
        GeoPackageStore(path)


def test_cut_off_anywhere_there_are_only_storage_errors(path, tmp_path):
    create_geopackage(path, profile())
    content = path.read_bytes()
    for size in range(0, len(content), 3001):
        part = tmp_path / "part.gpkg"
        part.write_bytes(content[:size])
        with suppress(StorageError), GeoPackageStore(part) as store:
            assert store.counts() == {}
            assert store.read(3, 0, 0) is None


@pytest.fixture
def drawn(tmp_path):
    """A picture of 1000 x 600 pixels, and the name of GDAL's translator."""
    program = shutil.which("gdal_translate", path="/usr/bin")
    if program is None:
        pytest.skip("GDAL's programs are not installed")
    (tmp_path / "drawn.png").write_bytes(png(pattern(7, size=512, bands=3)))
    return program, tmp_path / "drawn.png"


@pytest.mark.parametrize("tiling", ["CUSTOM", "GoogleMapsCompatible"])
def test_geopackages_of_gdal(path, drawn, tiling):
    program, picture = drawn
    corners = ("0", "400000", "400000", "0") if tiling != "CUSTOM" else ("0", "6000", "6000", "0")
    code = "EPSG:3857" if tiling != "CUSTOM" else "EPSG:25832"
    options = ["-of", "GPKG", "-a_srs", code, "-a_ullr", *corners, "-co", f"TILING_SCHEME={tiling}"]
    subprocess.run([program, "-q", *options, picture, path], check=True, timeout=60)

    with GeoPackageStore(path) as store:
        scheme, (finest,) = store.profile.scheme, [max(store.level_ids())]
        assert scheme.crs.code == int(code[5:])
        tiles = [
            (finest, block.min_row + row, block.min_col + col)
            for block in store.blocks(finest)
            for row, col in np.argwhere(store.exists(finest, block)).tolist()
        ]
        assert sum(store.counts().values()) >= len(tiles) >= 4
        asked = {key: store.read(*key) for key in tiles}
        assert all(asked.values())
    if tiling == "CUSTOM":
        assert scheme.levels[-1].resolution == pytest.approx(6000 / 512)
        assert (scheme.origin_x, scheme.origin_y) == (0, 6000)
    else:
        assert scheme.levels == web_mercator(finest=finest).levels


def test_any_table_name_in_any_letters(path):
    by_hand(path, [(3, 0, 2, b"x")])
    sql(path, 'ALTER TABLE "my tiles" RENAME TO "Ö""; DROP TABLE x --"')
    for table in ("gpkg_contents", "gpkg_tile_matrix", "gpkg_tile_matrix_set"):
        sql(path, f"UPDATE {table} SET table_name = ?", 'Ö"; DROP TABLE x --')

    with GeoPackageStore(path, for_writing=True) as store:
        assert store.read(3, 2, 0) == b"x"
        store.write(3, {(0, 0): b"y"})
        store.commit()

    assert len(sql(path, 'SELECT * FROM "Ö""; DROP TABLE x --"')) == 2


# Writing


@pytest.mark.parametrize("which", ["system", "wheel"])
def test_gdal_reads_pixel_for_pixel(path, which):
    scheme = replace(FREE, levels=FREE.levels[1:])  # ids 1 to 4: none is 0
    create_geopackage(path, profile(scheme, (2, 4)))
    with GeoPackageStore(path, for_writing=True) as store:
        for (level_id, row, col), pixels in PICTURES.items():
            store.write(level_id, {(row, col): png(pixels)})

    found = gdal_pixels(path, scheme, PICTURES, which=which)

    for key, pixels in PICTURES.items():
        assert np.array_equal(found[key], pixels), key


@pytest.mark.parametrize("which", ["system", "wheel"])
def test_gdal_reads_all_levels_of_a_small_extent_pixel_for_pixel(path, which):
    """The edges that gpkg_contents gives must not move the pixels of overviews."""
    scheme = web_mercator(finest=14)
    small = Extent(1000123.4, 5000567.8, 1100432.1, 5200000.9)
    create_geopackage(path, profile(scheme, tuple(range(15)), extent=small))
    tiles = {
        (n, *scheme.tile_at(level, 1050000.0, 5100000.0)): pattern(n)
        for n, level in enumerate(scheme.levels)
        if n >= 10
    }
    with GeoPackageStore(path, for_writing=True) as store:
        for (level_id, row, col), pixels in tiles.items():
            store.write(level_id, {(row, col): png(pixels)})

    inside = {k: v for k, v in tiles.items() if k[0] >= 11}
    found = gdal_pixels(path, scheme, inside, which=which)

    for key, pixels in inside.items():
        assert np.array_equal(found[key], pixels), key


def test_mapproxy_reads_what_we_write_and_writes_what_we_read(path):
    create_geopackage(path, profile(web_mercator(finest=19), tuple(range(20))))
    tiles = {(3, 2, 5): png(pattern(1)), (12, 4095, 0): png(pattern(2))}
    with GeoPackageStore(path, for_writing=True) as store:
        for (level_id, row, col), content in tiles.items():
            store.write(level_id, {(row, col): content})
        store.commit()

    assert mapproxy_tiles(path, tiles, layout="gpkg") == tiles
    theirs = {(3, 2, 5): b"replaced", (18, 7, 2**18 - 1): b"added"}
    mapproxy_write(path, theirs, layout="gpkg")
    of_their_own = path.with_name("theirs.gpkg")
    mapproxy_write(of_their_own, theirs, layout="gpkg")

    for file in (path, of_their_own):
        with GeoPackageStore(file) as store:
            assert store.profile.scheme.levels[:20] == web_mercator(finest=19).levels
            assert {key: store.read(*key) for key in theirs} == theirs
            assert store.counts()[18] == 1


def test_what_is_written_lies_where_the_standard_says(store, path):
    store.write(5, {(1, 2): b"new", (3, 4): b"other"})
    store.write(5, {(1, 2): b"newer"})
    assert store.delete(5, [(3, 4), (9, 9)]) == 1
    store.commit()

    query = "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"
    assert sql(path, query) == [(5, 2, 1, b"newer")]
    block = TileRange(0, 9, 0, 9)
    assert np.isfinite(store.times(5, block)).tolist() == store.exists(5, block).tolist()
    assert np.argwhere(store.exists(5, block)).tolist() == [[1, 2]]


@pytest.mark.parametrize("seed", range(4))
def test_blocks_against_brute_force(path, seed):
    create_geopackage(path, profile())
    rng = np.random.default_rng(seed)
    tiles = {tuple(map(int, place)) for place in rng.integers(0, 1024, (60, 2))}
    with GeoPackageStore(path, for_writing=True) as store:
        for place in tiles:
            store.write(10, {place: b"x"})
        blocks = list(store.blocks(10))
        wanted = {(row // 128 * 128, col // 128 * 128) for row, col in tiles}
        assert sorted((b.min_row, b.min_col) for b in blocks) == sorted(wanted)
        found = {
            (block.min_row + row, block.min_col + col)
            for block in blocks
            for row, col in np.argwhere(store.exists(10, block)).tolist()
        }
        assert found == tiles
        assert store.counts() == {10: len(tiles)}
        assert not store.exists(2, TileRange(10, 20, 10, 20)).any(), "beyond the last tile"


def test_a_file_of_others_is_written_and_stays_what_it_was(path):
    by_hand(path, [(3, 0, 2, b"old")])
    sql(path, "CREATE TABLE roads (id INTEGER PRIMARY KEY, geom BLOB)")
    sql(path, "INSERT INTO roads VALUES (1, x'00')")
    sql(path, "INSERT INTO gpkg_contents (table_name, data_type) VALUES ('roads', 'features')")
    os.utime(path, (1e9, 1e9))
    before = read_geopackage_profile(path)

    with GeoPackageStore(path, for_writing=True) as store:
        store.write(4, {(5, 3): b"new"})
        store.commit()
        times = store.times(3, TileRange(2, 2, 0, 0))

    after = read_geopackage_profile(path)
    assert times[0, 0] == 1e9
    assert after.scheme == before.scheme
    assert after.extent.xmax > before.extent.xmax
    assert sql(path, "SELECT * FROM roads") == [(1, b"\0")]
    assert sql(path, "SELECT count(*) FROM gpkg_contents") == [(2,)]


GROWN = [
    ("to the right", 4, (0, 4), {3: (3, 3), 4: (6, 6)}),
    ("below", 4, (7, 0), {3: (2, 4), 4: (4, 8)}),
    ("not at all", 3, (2, 1), {3: (2, 3), 4: (4, 6)}),
]


@pytest.mark.parametrize(
    ("zoom", "tile", "wanted"), [e[1:] for e in GROWN], ids=[e[0] for e in GROWN]
)
def test_matrices_grow_with_tiles_beyond_them(path, zoom, tile, wanted):
    by_hand(path, [(3, 0, 2, b"old")])

    with GeoPackageStore(path, for_writing=True) as store:
        store.write(zoom, {tile: b"new"})
        assert store.read(zoom, *tile) == b"new"

    rows = sql(path, "SELECT zoom_level, matrix_width, matrix_height FROM gpkg_tile_matrix")
    assert {zoom: (cols, rows) for zoom, cols, rows in rows} == wanted
    ((x, _, right, y),) = sql(path, "SELECT min_x, min_y, max_x, max_y FROM gpkg_tile_matrix_set")
    assert (x, y) == (500000, 6000000)
    assert right == 500000 + wanted[3][0] * 1000


def test_a_level_that_is_not_cached_yet_gets_its_matrix(path):
    create_geopackage(path, profile(web_mercator(finest=9), (3, 4)))

    with GeoPackageStore(path, for_writing=True) as store:
        store.write(6, {(0, 63): b"x"})
        store.commit()

    rows = sql(path, "SELECT zoom_level, matrix_width FROM gpkg_tile_matrix ORDER BY 1")
    assert rows == [(3, 8), (4, 16), (6, 64)]
    assert read_geopackage_profile(path).cached_ids == (3, 4, 6)
    assert ("gpkg_zoom_other",) in sql(path, "SELECT extension_name FROM gpkg_extensions")


def test_a_level_of_no_scheme_is_refused(store, path):
    with pytest.raises(TargetProblem):
        store.write(30, {(0, 0): b"x"})

    assert sql(path, "SELECT count(*) FROM tiles") == [(0,)]


def test_without_the_right_to_write(store, path):
    store.close()
    with GeoPackageStore(path) as reader, pytest.raises(ReadOnlyCache) as caught:
        reader.write(3, {(0, 0): b"x"})
    assert caught.value.reason is ReadOnlyReason.RIGHTS
    sql(path, "ALTER TABLE tiles RENAME TO others")
    sql(path, "CREATE VIEW tiles AS SELECT * FROM others")
    with pytest.raises(ReadOnlyCache) as caught:
        GeoPackageStore(path, for_writing=True)
    assert caught.value.reason is ReadOnlyReason.FORMAT


def test_two_writers_let_it_grow(path):
    by_hand(path)
    with GeoPackageStore(path, for_writing=True) as one, GeoPackageStore(path, True) as other:
        one.write(4, {(0, 9): b"right"})
        other.write(4, {(9, 0): b"below"})
        one.commit()
        other.commit()

    with GeoPackageStore(path) as store:
        assert store.read(4, 0, 9) == b"right"
        assert store.read(4, 9, 0) == b"below"
        assert store.exists(4, TileRange(0, 9, 0, 9)).sum() == 2
    ((cols, rows),) = sql(
        path, "SELECT matrix_width, matrix_height FROM gpkg_tile_matrix WHERE zoom_level = 4"
    )
    assert (cols, rows) == (10, 10)


# Care


def test_findings_and_mending(path):
    by_hand(
        path,
        [
            *((3, 0, 0, b"fine"), (3, 2, 0, b"right of it"), (3, 0, 3, b"below")),
            *((3, 1, 1, None), (3, 1, 2, "text"), (9, 0, 0, b"x")),
        ],
    )
    with GeoPackageStore(path, for_writing=True) as store:
        found = {level: list(store.findings(level)) for level in store.level_ids()}
        assert {(f.fault, f.tile) for f in found[3]} == {
            *((Fault.STRAY, (0, 2)), (Fault.STRAY, (3, 0))),
            *((Fault.PICTURE, (1, 1)), (Fault.PICTURE, (2, 1))),
        }
        assert [f.fault for f in found[9]] == [Fault.LEVEL]
        assert all(store.mend(finding) for finding in found[3])
        assert list(store.findings(3)) == []
        assert store.read(3, 0, 0) == b"fine"


@pytest.mark.parametrize("with_features", [False, True])
def test_of_a_damaged_file_the_tiles_are_saved_unless_more_is_in_it(store, path, with_features):
    tiles = {(r, c): os.urandom(700) for r in range(20) for c in range(20)}
    store.write(7, tiles)
    store.commit()
    store.close()
    if with_features:
        sql(path, "INSERT INTO gpkg_contents (table_name, data_type) VALUES ('a', 'features')")
    content = bytearray(path.read_bytes())
    ((size,),) = sql(path, "PRAGMA page_size")
    content[60 * size : 64 * size] = b"\x07" * (4 * size)
    path.write_bytes(content)

    with GeoPackageStore(path, for_writing=True) as store:
        (found,) = store.file_findings()
        assert found.can_be_mended is not with_features
        assert store.mend(found) is not with_features
        if with_features:
            assert path.read_bytes() == content
            return
        assert list(store.file_findings()) == []
        saved = {place: store.read(7, *place) for place in tiles}

    assert sum(saved[place] == tile for place, tile in tiles.items()) > 300
    assert path.read_bytes()[68:72] == b"GPKG"
    assert read_geopackage_profile(path).scheme == profile().scheme
    assert sql(path, "PRAGMA integrity_check") == [("ok",)]


def test_defragmenting_gives_back_what_deleted_tiles_took(store, path):
    store.write(7, {place: os.urandom(3000) for place in itertools.product(range(16), range(16))})
    store.delete(7, list(itertools.product(range(1, 16), range(16))))
    (holes,) = store.holes(7)
    before = path.stat().st_size

    won = store.defragment(holes)

    assert path.stat().st_size == before - won
    assert won > 0.8 * before
    assert store.counts() == {7: 16}
    assert path.read_bytes()[68:72] == b"GPKG"
    assert sql(path, "PRAGMA user_version") == [(10300,)]
