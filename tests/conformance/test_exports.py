"""Exports of services as other programs read them: pixel for pixel what the service serves.

The programs: GDAL 3.8 and later, the system's GDAL, QGIS itself, MapProxy. What a service serves is
asked of the service and decoded by Qt; which tiles an area touches, and which pixels have their
middle in it, is found by trying each with shapely.
"""

from __future__ import annotations

import urllib.request
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

pytest.importorskip("qgis", reason="QGIS is not installed for this Python")

from arcgis_server import bundles_v1
from exported_services import QUARTER, TOWN, WORLD, Service, brute_force, exported
from exported_tiles import Tile, tiles_of_mbtiles
from qgis.core import QgsMapRendererParallelJob, QgsMapSettings, QgsRasterLayer, QgsRectangle
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor, QImage
from readers import bundle_check, decoded, gdal_pixels, mapproxy_tiles
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from site_caches import QUICK

from tile_cache_manager.plugin.core.export.request import ExportReport, ExportRequest, Overwrite
from tile_cache_manager.plugin.core.export.site_export import export_service
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.tiling import Level, TilingScheme
from tile_cache_manager.plugin.host import gdal_reading
from tile_cache_manager.plugin.host.shown_layers import layer_of_cache
from tile_cache_manager.plugin.host.tile_encoder import pixels_of
from tile_cache_manager.plugin.host.tile_pixels import TilePixels

pytestmark = pytest.mark.usefixtures("qgis_app")

READS_PACKAGES = 3080000
"""GDAL 3.8.0, the first that opens TPKX."""


COUNTRY = Polygon(
    [(700e3, 6.1e6), (1.2e6, 6.2e6), (1.1e6, 6.6e6), (8e5, 6.7e6)],
    [[(900e3, 6.3e6), (1.05e6, 6.3e6), (1.05e6, 6.45e6), (900e3, 6.45e6)]],
)
RULES = (
    LevelArea((0, 1, 2, 3), WORLD),
    LevelArea((4, 5, 6, 7, 8, 9), COUNTRY),
    LevelArea((10, 11, 12, 13, 14), TOWN),
    LevelArea((15, 16, 17, 18, 19), QUARTER),
)
FORMATS = {
    StorageFormat.TPKX: "Straßen.tpkx",
    StorageFormat.TPK: "Straßen.tpk",
    StorageFormat.MBTILES: "Straßen.mbtiles",
    StorageFormat.GEOPACKAGE: "Straßen.gpkg",
    StorageFormat.COMPACT_V2: "Straßen",
    StorageFormat.COMPACT_V1: "Straßen alt",
    StorageFormat.EXPLODED: "Straßen einzeln",
}
SITES = ("classic", "gaps", "wkt")


@pytest.fixture(scope="module")
def maps(site: Any) -> Iterator[Any]:
    """The stand-in site, as it was when it started."""
    site.reset(*SITES)
    yield site
    site.reset(*SITES)


def export(
    service: Service, target: Path, storage: StorageFormat, areas: Any, *ids: int, **more: Any
) -> ExportRequest:
    """Export levels of a service to `target`; what was asked for."""
    scheme = service.describe().scheme
    levels = tuple(level for level in scheme.levels if level.id in ids)
    request = ExportRequest(scheme, levels, areas, target, storage, **more)
    report: ExportReport = export_service(
        service.client, service.address, request, Feedback(), pixels=TilePixels(), pace=QUICK
    )
    assert report.outcome is Outcome.DONE
    return request


def few(tiles: Iterable[Tile], each_level: int = 4) -> list[Tile]:
    """Some tiles of each level: first and last, and some between them."""
    levels = defaultdict(list)
    for tile in sorted(tiles):
        levels[tile[0]].append(tile)
    return [
        of_level[place]
        for of_level in levels.values()
        for place in sorted({round(x) for x in np.linspace(0, len(of_level) - 1, each_level)})
    ]


def served(service: Service, tile: Tile) -> bytes:
    """A tile as the service itself gives it."""
    level, row, col = tile
    with urllib.request.urlopen(f"{service.address.url}/tile/{level}/{row}/{col}") as answer:
        return bytes(answer.read())


def seen(picture: bytes) -> Any:
    """The pixels (rows x columns x R, G, B, A) of a picture, as Qt reads it."""
    image = QImage.fromData(picture)
    assert not image.isNull()
    return pixels_of(image)


def same(found: Any, wanted: Any, what: object, off: int = 0) -> None:
    """Pixels are the same, or `off` at most; of quite transparent ones, colours do not count."""
    assert found.shape == wanted.shape, what
    worst = differences(found, wanted).max(initial=0)
    assert worst <= off, (what, worst)


def differences(found: Any, wanted: Any) -> Any:
    """How far each pixel is off, in the value that is off most."""
    off = np.abs(found.astype(int) - wanted)
    off[..., :3][wanted[..., 3] == 0] = 0
    return off.max(axis=-1)


def by_rows(bands: Any) -> Any:
    """Pixels that GDAL gives as bands, as rows x columns x R, G, B, A."""
    pixels = np.moveaxis(bands, 0, -1)
    if pixels.shape[2] == 4:
        return pixels
    return np.dstack([pixels[..., :3], np.full(pixels.shape[:2], 255, np.uint8)])


def gdal_sees(path: Path, service: Service, tiles: list[Tile], *, which: str = "wheel") -> None:
    """GDAL reads the very pixels that it sees in the pictures that the service serves."""
    scheme = service.describe().scheme
    options = whole_tiles(path, scheme, tiles, which)
    found = gdal_pixels(path, scheme, tiles, which=which, options=options)
    wanted = decoded((served(service, tile) for tile in tiles), which=which)
    for tile, bands in zip(tiles, wanted):
        same(by_rows(found[tile]), by_rows(bands), tile)


def whole_tiles(
    path: Path, scheme: TilingScheme, tiles: list[Tile], which: str
) -> dict[str, str] | None:
    """Options with which a raster begins and ends with a tile of the coarsest level.

    Else it does so with the full extent, and overviews are off by parts of their pixels.
    """
    if path.suffix in (".tpkx", ".xml") and which == "wheel":
        return {"EXTENT_SOURCE": "TILING_SCHEME"}
    if path.suffix != ".gpkg":
        return None
    coarsest = min(tiles)[0]
    ends = [tile for tile in tiles if tile[0] == coarsest]
    level = scheme.level(coarsest)
    last = scheme.tile_bounds(level, max(t[1] for t in ends), max(t[2] for t in ends))
    return {
        "MINX": repr(scheme.origin_x),
        "MINY": repr(last.ymin),
        "MAXX": repr(last.xmax),
        "MAXY": repr(scheme.origin_y),
    }


# Two services, twenty scales, three areas and the world


@pytest.fixture(scope="module", params=["Streets", "Places"])
def package(
    request: Any, maps: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Service, ExportRequest]:
    service = Service(maps, request.param)
    target = tmp_path_factory.mktemp("packages") / f"{request.param}.tpkx"
    return service, export(service, target, StorageFormat.TPKX, RULES, *range(20))


Package = tuple[Service, ExportRequest]


def test_just_the_tiles_of_each_scales_area_byte_for_byte(package: Package) -> None:
    service, request = package
    tiles = exported(request.target)

    expected = brute_force(service, request)
    counts = {z: sum(tile[0] == z for tile in tiles) for z in range(20)}
    assert counts == {z: len(of_level) for z, of_level in expected.items()}
    assert set(tiles) == {(z, *place) for z, places in expected.items() for place in places}
    assert min(counts.values()) >= 1
    assert {tile: served(service, tile) for tile in tiles} == tiles


def test_gdal_reads_the_pixels_of_the_service_from_the_package(package: Package) -> None:
    service, request = package

    gdal_sees(request.target, service, few(exported(request.target)))


def test_the_checker_finds_nothing_in_the_package(package: Package) -> None:
    _service, request = package
    tiles = exported(request.target)
    pictures = {(z, row // 128, col // 128, each) for (z, row, col), each in tiles.items()}

    said = bundle_check(request.target, "--spec")

    # It tells of each tile that lies where an equal one does.
    assert f"total: {len(tiles)} tiles" in said
    assert f"0 errors, {len(tiles) - len(pictures)} warnings" in said


def test_qgis_draws_the_package_at_every_scale(package: Package) -> None:
    needs_packages_drawn()
    service, request = package
    shown = layer_of_cache(request.target)
    assert shown is not None
    for level in request.levels[::3]:
        of_level = [tile for tile in exported(request.target) if tile[0] == level.id]
        qgis_sees(shown, service, level, few(of_level, 2))


# One service in every format


@pytest.fixture(scope="module")
def streets(maps: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """`streets(storage)`: path of an export in that format, its tiles; made at first use."""
    service, folder = Service(maps, "Streets"), tmp_path_factory.mktemp("streets")
    made: dict[StorageFormat, Path] = {}
    areas = (LevelArea((2,), WORLD), LevelArea((9,), COUNTRY), LevelArea((13, 16), TOWN))

    def of(storage: StorageFormat) -> tuple[Service, Path, list[Tile]]:
        if storage not in made:
            target = folder / FORMATS[storage]
            export(service, target, storage, areas, 2, 9, 13, 16)
            made[storage] = target
        asked = service.request(folder / "x", areas, 2, 9, 13, 16)
        expected = brute_force(service, asked)
        tiles = sorted((z, *place) for z, places in expected.items() for place in places)
        return service, made[storage], tiles

    return of


def not_there(tiles: list[Tile]) -> list[Tile]:
    """Places beside the tiles, where none must be found."""
    beside = {(z, row + down, col + 1) for z, row, col in tiles for down in (-1, 1) if z > 2}
    return sorted(beside - set(tiles))[::7]


@pytest.mark.parametrize(
    ("storage", "layout"),
    [
        (StorageFormat.COMPACT_V2, "v2"),
        (StorageFormat.COMPACT_V1, "v1"),
        (StorageFormat.EXPLODED, "exploded"),
        (StorageFormat.GEOPACKAGE, "gpkg"),
        (StorageFormat.TPKX, "v2"),
        (StorageFormat.TPK, "v1"),
    ],
)
def test_mapproxy_reads_the_bytes_of_the_service(
    streets: Callable[..., Any], storage: StorageFormat, layout: str, tmp_path: Path
) -> None:
    service, path, tiles = streets(storage)
    folder = path
    if storage in (StorageFormat.TPKX, StorageFormat.TPK):
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
        (folder,) = {found.parent for found in tmp_path.rglob("L09")}
    wanted = {tile: served(service, tile) for tile in tiles[::5]}
    wanted.update(dict.fromkeys(not_there(tiles)))

    assert mapproxy_tiles(folder, wanted, layout=layout) == wanted


@pytest.mark.parametrize(
    ("storage", "which"),
    [
        (StorageFormat.COMPACT_V2, "system"),
        (StorageFormat.COMPACT_V2, "wheel"),
        (StorageFormat.MBTILES, "system"),
        (StorageFormat.MBTILES, "wheel"),
        (StorageFormat.GEOPACKAGE, "system"),
        (StorageFormat.GEOPACKAGE, "wheel"),
    ],
)
def test_gdal_reads_the_pixels_of_the_service(
    streets: Callable[..., Any], storage: StorageFormat, which: str
) -> None:
    service, path, tiles = streets(storage)
    file = path / "conf.xml" if storage is StorageFormat.COMPACT_V2 else path

    if storage is StorageFormat.MBTILES:
        # here GDAL cuts tiles at the edge of what the service says is its extent
        tiles = [tile for tile in tiles if tile[0] > 2]
    gdal_sees(file, service, few(tiles, 6), which=which)


@pytest.mark.parametrize(
    "storage",
    [
        StorageFormat.COMPACT_V2,
        StorageFormat.MBTILES,
        StorageFormat.GEOPACKAGE,
        StorageFormat.TPKX,
    ],
)
def test_qgis_draws_the_pixels_of_the_service(
    streets: Callable[..., Any], storage: StorageFormat
) -> None:
    if storage is StorageFormat.TPKX:
        needs_packages_drawn()
    service, path, tiles = streets(storage)
    shown = layer_of_cache(path)
    assert shown is not None
    for level in service.describe().scheme.levels:
        of_level = [tile for tile in tiles if tile[0] == level.id]
        if of_level:
            qgis_sees(shown, service, level, few(of_level, 3))


def test_mbtiles_have_the_bytes_of_the_service(streets: Callable[..., Any]) -> None:
    service, path, tiles = streets(StorageFormat.MBTILES)

    found = tiles_of_mbtiles(path)

    assert sorted(found) == tiles
    assert {tile: served(service, tile) for tile in tiles[::5]} == {t: found[t] for t in tiles[::5]}


def test_an_old_package_has_the_bytes_of_the_service(
    streets: Callable[..., Any], tmp_path: Path
) -> None:
    """By the stand-in site's own reader of bundles of version 1."""
    service, path, tiles = streets(StorageFormat.TPK)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    (layers,) = tmp_path.rglob("_alllayers")

    found = {(z, row, col): data for z, row, col, data in bundles_v1.read_tiles(layers.parent)}

    assert sorted(found) == tiles
    assert {tile: served(service, tile) for tile in tiles[::5]} == {t: found[t] for t in tiles[::5]}


# Other schemes and formats of pictures


def filled(service: Service, *ids: int) -> Service:
    service.site.fill(service.key, service.task_name, ids)
    return service


OTHERS = [
    ("gaps", "World", "MapServer", StorageFormat.TPKX, (2, 3, 5)),
    ("gaps", "World", "MapServer", StorageFormat.GEOPACKAGE, (2, 3, 5)),
    ("wkt", "Europe", "MapServer", StorageFormat.COMPACT_V2, (0, 1, 2)),
    ("classic", "Imagery", "ImageServer", StorageFormat.TPKX, (2, 3, 4, 5)),
    ("classic", "Imagery", "ImageServer", StorageFormat.COMPACT_V2, (2, 3, 4, 5)),
]


@pytest.mark.parametrize(("key", "name", "kind", "storage", "ids"), OTHERS)
def test_gdal_reads_other_schemes_and_pictures(
    maps: Any,
    tmp_path: Path,
    key: str,
    name: str,
    kind: str,
    storage: StorageFormat,
    ids: tuple[int, ...],
) -> None:
    service = filled(Service(maps, name, key, kind), *ids)
    target = tmp_path / FORMATS[storage]
    export(service, target, storage, None, *ids)
    cached = maps.read_cache(key, name)
    tiles = few(((z, *place) for z in ids for place in cached[z]), 5)
    file = target / "conf.xml" if storage is StorageFormat.COMPACT_V2 else target

    gdal_sees(file, service, tiles)


# An existing target


def redrawn(service: Service, *ids: int, revision: int) -> None:
    """Have the site draw the tiles of levels anew, unlike before, in and around the areas here."""
    service.site.set_revision(service.key, revision)
    service.site.fill(
        service.key, service.task_name, ids, mode="RECREATE_ALL_TILES", extent=SURROUNDINGS
    )


SURROUNDINGS = "-2000000 3500000 4000000 9500000"
RING = Point(1.05e6, 6.45e6).buffer(7e5).difference(Point(1.2e6, 6.5e6).buffer(1.6e5))
AROUND = box(-1.9e6, 3.6e6, 3.9e6, 9.4e6)
TWO = MultiPolygon([Polygon([(2e5, 5.1e6), (1.9e6, 5.6e6), (9e5, 6.9e6)]), box(2e6, 6e6, 3e6, 8e6)])


def middles_in(area: BaseGeometry, scheme: TilingScheme, tile: Tile) -> Any:
    """Which pixels of a tile have their middle in `area`, each tried with shapely."""
    level = scheme.level(tile[0])
    bounds = scheme.tile_bounds(level, *tile[1:])
    steps = (np.arange(scheme.tile_width) + 0.5) * level.resolution
    x, y = np.meshgrid(bounds.xmin + steps, bounds.ymax - steps)
    if hasattr(shapely, "contains_xy"):
        return shapely.contains_xy(area, x, y)
    from shapely import vectorized

    return vectorized.contains(area, x, y)


def needs_packages_drawn() -> None:
    if gdal_reading.version() < READS_PACKAGES:
        pytest.skip("the GDAL of this QGIS is older than 3.8 and opens no TPKX")


ROUNDING = 3
"""How far QGIS may be off by painting."""


def qgis_sees(shown: QgsRasterLayer, service: Service, level: Level, tiles: list[Tile]) -> None:
    """QGIS draws the pixels that the service serves, at the scale of the level.

    Each where it should be or beside that, as QGIS takes them from overviews that begin with parts
    of pixels; painting rounds values. It draws nothing outside the extent of the layer.
    """
    scheme, extent = service.describe().scheme, shown.extent()
    drawable = box(extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
    for _level, row, col in tiles:
        there = middles_in(drawable.buffer(-2 * level.resolution), scheme, (level.id, row, col))
        assert there.mean() > 0.9
        settings = QgsMapSettings()
        settings.setLayers([shown])
        settings.setDestinationCrs(shown.crs())
        settings.setBackgroundColor(QColor(0, 0, 0))
        settings.setOutputSize(QSize(scheme.tile_width, scheme.tile_height))
        settings.setExtent(QgsRectangle(*scheme.tile_bounds(level, row, col).bounds))
        job = QgsMapRendererParallelJob(settings)
        job.start()
        job.waitForFinished()
        drawn, wanted = pixels_of(job.renderedImage()), seen(served(service, (level.id, row, col)))
        inner = wanted[1:-1, 1:-1]
        shifted = [
            differences(drawn[1 + down : down - 1 or None, 1 + right : right - 1 or None], inner)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
        off = np.min(shifted, axis=0)[there[1:-1, 1:-1]]
        assert off.max() <= ROUNDING, (level.id, row, col)


IDS = (3, 6)


@pytest.fixture
def fresh(maps: Any) -> Any:
    maps.reset("classic")
    return maps


EDGE_PIXELS = 16
"""Side of the squares in which JPEG mixes colours."""

LOST = 5
"""How far values may be off on the average where a picture was encoded anew as JPEG."""

UNLIKE = 2 * LOST


def whole_squares(inside: Any) -> Any:
    """Which pixels are in a square that lies wholly inside, or wholly outside."""
    side = len(inside) // EDGE_PIXELS
    squares = inside.reshape(side, EDGE_PIXELS, side, EDGE_PIXELS).swapaxes(1, 2)
    flat = squares.all(axis=(2, 3)) | ~squares.any(axis=(2, 3))
    return np.kron(flat, np.ones((EDGE_PIXELS, EDGE_PIXELS), bool))


def alike(found: Any, wanted: Any, inside: Any, what: object, is_exact: bool) -> None:
    """All pixels are the same; or nearly so, but at the edge, where pictures lost something."""
    if is_exact:
        same(found, wanted, what)
        return
    far = whole_squares(inside)
    assert far.mean() > 0.5, what
    off = differences(found, wanted)
    for part in (far & inside, far & ~inside):
        assert not part.any() or off[part].mean() <= LOST, what


@pytest.mark.parametrize("area", [RING, TWO], ids=["a ring", "two parts"])
@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "MIXED"])
def test_merged_overwritten_and_clipped_at_the_edge_pixel_by_pixel(
    fresh: Any, tmp_path: Path, image_format: str, area: BaseGeometry
) -> None:
    service, compact = Service(fresh, "World"), StorageFormat.COMPACT_V2
    if image_format != "PNG":
        fresh.republish("classic", service.task_name, tile_format=image_format)
    scheme = service.describe().scheme
    merged, over, clipped = (tmp_path / name for name in ("merged", "over", "clipped"))
    redrawn(service, *IDS, revision=1)
    for target in (merged, over):
        export(service, target, compact, AROUND, *IDS)
    old = exported(merged)
    redrawn(service, *IDS, revision=19)
    request = export(service, merged, compact, area, *IDS, overwrite=Overwrite.MERGE)
    export(service, over, compact, area, *IDS)
    export(service, clipped, compact, area, *IDS, is_clipped=True)
    in_area = {(z, *place) for z, of in brute_force(service, request).items() for place in of}
    in_merged, in_over, in_clipped = exported(merged), exported(over), exported(clipped)

    assert set(in_merged) == set(in_over) == set(old) > in_area == set(in_clipped)
    edges = []
    for tile in sorted(old):
        if tile not in in_area:
            assert in_merged[tile] == in_over[tile] == old[tile]
            continue
        new = served(service, tile)
        assert in_over[tile] == new != old[tile]
        inside = middles_in(area, scheme, tile)
        if inside.all():
            assert in_merged[tile] == in_clipped[tile] == new
        elif inside.any():
            edges.append((tile, inside, new))
    assert {tile[0] for tile, _inside, _new in edges} == set(IDS)
    for tile, inside, new in edges[:: max(1, len(edges) // 12)]:
        below, above, mask = seen(old[tile]), seen(new), inside[..., None]
        assert differences(below, above).mean() > UNLIKE
        is_exact = image_format == "PNG"
        alike(seen(in_merged[tile]), np.where(mask, above, below), inside, tile, is_exact)
        # without transparency white; what is transparent is stored as PNG in MIXED caches
        rest = 255 if image_format == "JPEG" else 0
        is_exact = image_format != "JPEG"
        alike(seen(in_clipped[tile]), np.where(mask, above, rest), inside, tile, is_exact)


def test_what_is_transparent_lets_the_target_through_where_it_is_merged(
    fresh: Any, tmp_path: Path
) -> None:
    """Imagery of Europe drawn over a map of the world, at the edge of both area and imagery."""
    world, imagery = Service(fresh, "World"), Service(fresh, "Imagery", kind="ImageServer")
    fresh.republish("classic", world.task_name, tile_format="MIXED")
    scheme, compact = imagery.describe().scheme, StorageFormat.COMPACT_V2
    for service in (world, imagery):
        redrawn(service, *IDS, revision=1)
    extent = imagery.describe().extent
    area = Point(extent.xmin, extent.ymin).buffer(9e5)
    target = tmp_path / "both"
    export(world, target, compact, AROUND, *IDS)
    old = exported(target)
    export(imagery, target, compact, area, *IDS, overwrite=Overwrite.MERGE)

    found = exported(target)

    assert set(found) == set(old)
    shows_through = 0
    for tile in sorted(old):
        inside = middles_in(area, scheme, tile)
        if tile not in fresh_tiles(fresh, "Imagery") or not inside.any():
            assert found[tile] == old[tile]
            continue
        below, above = seen(old[tile]), seen(served(imagery, tile))
        taken = inside & (above[..., 3] > 0)
        shows_through += int((inside & ~taken).sum())
        alike(
            seen(found[tile]), np.where(taken[..., None], above, below), taken, tile, is_exact=False
        )
    assert shows_through > 1000


def fresh_tiles(site: Any, name: str) -> set[Tile]:
    """The tiles that a service has."""
    cached = site.read_cache("classic", name)
    return {(z, *place) for z, of_level in cached.items() for place in of_level}


@pytest.mark.parametrize("storage", list(FORMATS), ids=lambda storage: storage.value)
def test_tiles_outside_the_area_stay_byte_for_byte(
    fresh: Any, tmp_path: Path, storage: StorageFormat
) -> None:
    """By our own reader, which the tests above compare with others' for each of these formats."""
    service, target = Service(fresh, "World"), tmp_path / FORMATS[storage]
    redrawn(service, *IDS, revision=1)
    export(service, target, storage, AROUND, *IDS)
    old = stored(target)
    redrawn(service, *IDS, revision=19)
    request = export(service, target, storage, COUNTRY, *IDS)
    in_area = {(z, *place) for z, of in brute_force(service, request).items() for place in of}

    found = stored(target)

    assert set(found) == set(old) > in_area
    for tile, content in found.items():
        assert content == (served(service, tile) if tile in in_area else old[tile])


def stored(path: Path) -> dict[Tile, bytes]:
    with open_store(path) as store:
        found = {}
        for level in store.level_ids():
            for block in store.blocks(level):
                for down, right in zip(*store.exists(level, block).nonzero()):
                    row, col = block.min_row + int(down), block.min_col + int(right)
                    content = store.read(level, row, col)
                    assert content is not None
                    found[level, row, col] = content
        return found
