"""Oddities of service descriptions that no recording shows: each is read, or refused by its key.

The variants follow the lists of the Esri REST reference and of the project's protocol notes; the
bodies are made up here.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tile_cache_manager.plugin.core.arcgis.address import ServiceAddress
from tile_cache_manager.plugin.core.arcgis.service import parse_service
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import DescriptionError, NotCached
from tile_cache_manager.plugin.core.tiling import Extent, SpatialReference

SERVICE = ServiceAddress(
    "https://h.example/arcgis/rest/services/Town/MapServer",
    "https://h.example/arcgis",
    "Town",
    "MapServer",
)
WKT = 'PROJCS["Town_Grid",GEOGCS["GCS_WGS_1984"]]'

PLAIN: dict[str, Any] = {
    "currentVersion": 10.91,
    "singleFusedMapCache": True,
    "capabilities": "Map,Query,Data",
    "minScale": 40000,
    "maxScale": 10000,
    "spatialReference": {"wkid": 25832, "latestWkid": 25832},
    "fullExtent": {
        "xmin": 1000,
        "ymin": 2000,
        "xmax": 3000,
        "ymax": 4000,
        "spatialReference": {"wkid": 25832, "latestWkid": 25832},
    },
    "tileInfo": {
        "rows": 256,
        "cols": 256,
        "dpi": 96,
        "format": "PNG",
        "origin": {"x": 0, "y": 5000},
        "spatialReference": {"wkid": 25832, "latestWkid": 25832},
        "lods": [
            {"level": 0, "resolution": 21.2, "scale": 80000},
            {"level": 1, "resolution": 10.6, "scale": 40000},
            {"level": 2, "resolution": 5.3, "scale": 20000},
            {"level": 3, "resolution": 2.65, "scale": 10000},
            {"level": 4, "resolution": 1.325, "scale": 5000},
        ],
    },
}


class _Absent:
    """Called the same in every process, for it stands in the names of tests."""

    def __repr__(self) -> str:
        return "absent"


GONE = _Absent()


def body(**changes: Any) -> dict[str, Any]:
    """PLAIN with changes; `a__b` is key b of object a, GONE takes a key away."""
    changed = copy.deepcopy(PLAIN)
    for path, value in changes.items():
        *parents, key = path.split("__")
        place = changed
        for parent in parents:
            place = place[parent]
        if value is GONE:
            del place[key]
        else:
            place[key] = value
    return changed


def parsed(**changes: Any) -> CacheDescription:
    return parse_service(body(**changes), SERVICE)


def lods(*rows: tuple[Any, Any, Any]) -> list[dict[str, Any]]:
    keys = ("level", "resolution", "scale")
    return [{k: v for k, v in zip(keys, row) if v is not GONE} for row in rows]


def test_the_plain_one() -> None:
    found = parsed()

    assert [level.id for level in found.scheme.levels] == [0, 1, 2, 3, 4]
    assert [level.id for level in found.cached_levels] == [1, 2, 3]
    assert found.extent == Extent(1000, 2000, 3000, 4000)
    assert (found.version, found.image_format) == ("10.91", "PNG")
    assert found.modes == ()
    assert [found.is_cached(level) for level in found.scheme.levels] == [
        False,
        True,
        True,
        True,
        False,
    ]


# what differs, ids of the levels that may hold tiles
CACHED_LEVELS = [
    ({"minScale": 0, "maxScale": 0}, [0, 1, 2, 3, 4]),
    ({"minScale": 0.0, "maxScale": 10000}, [0, 1, 2, 3]),
    ({"minScale": 20000, "maxScale": 0}, [2, 3, 4]),
    ({"minScale": GONE, "maxScale": GONE}, [0, 1, 2, 3, 4]),
    ({"minScale": "40000", "maxScale": "10000"}, [1, 2, 3]),
    ({"minScale": "NaN", "maxScale": "Infinity"}, [0, 1, 2, 3, 4]),
    ({"minScale": None, "maxScale": None}, [0, 1, 2, 3, 4]),
    ({"minScale": 40000.004, "maxScale": 9999.996}, [1, 2, 3]),
    ({"minScale": 39999.99999, "maxScale": 10000.00001}, [1, 2, 3]),
    ({"minScale": 30000, "maxScale": 30000}, [0, 1, 2, 3, 4]),
    ({"minLOD": 2, "maxLOD": 3}, [2, 3]),
    ({"minLOD": 2, "maxLOD": 3, "minScale": 0, "maxScale": 0}, [2, 3]),
    ({"minLOD": 0, "maxLOD": 0}, [0]),
    ({"minLOD": "1", "maxLOD": "2"}, [1, 2]),
    ({"minLOD": 2}, [1, 2, 3]),
    ({"maxLOD": 2}, [1, 2, 3]),
    ({"minLOD": 2, "maxLOD": None}, [1, 2, 3]),
    ({"minLOD": 1, "maxLOD": 99}, [1, 2, 3, 4]),
    ({"minLOD": 30, "maxLOD": 40}, [0, 1, 2, 3, 4]),
]


@pytest.mark.parametrize(("changes", "ids"), CACHED_LEVELS, ids=str)
def test_levels_that_may_hold_tiles(changes: dict[str, Any], ids: list[int]) -> None:
    assert [level.id for level in parsed(**changes).cached_levels] == ids


# lods as listed; (id, resolution) from the coarsest to the finest
LEVELS = [
    ([(2, 4, 16), (3, 2, 8), (5, 1, 4)], [(2, 4), (3, 2), (5, 1)]),
    ([(5, 1, 4), (2, 4, 16)], [(2, 4), (5, 1)]),
    ([(9, 4, 16), (8, 2, 8)], [(9, 4), (8, 2)]),
    ([(GONE, 4, 16), (GONE, 2, 8)], [(0, 4), (1, 2)]),
    ([(None, 4, 16), ("one", 2, 8)], [(0, 4), (1, 2)]),
    ([("7", "4.0", "1.6E1"), (8.0, 2, 8)], [(7, 4), (8, 2)]),
    (
        [(0, 1.19299, 5), (1, 0.52917, 3), (2, 0.26458, 1)],
        [(0, 1.19299), (1, 0.52917), (2, 0.26458)],
    ),
    ([(17, 1, 4)], [(17, 1)]),
]


@pytest.mark.parametrize(("rows", "expected"), LEVELS)
def test_levels_as_listed(rows: list[Any], expected: list[tuple[int, float]]) -> None:
    found = parsed(tileInfo__lods=lods(*rows), minScale=0, maxScale=0)

    assert [(level.id, level.resolution) for level in found.scheme.levels] == expected


# what differs, key that is named
UNUSABLE = [
    ({"tileInfo__lods": lods((0, 4, 16), (0, 2, 8))}, "tileInfo.lods[1].level"),
    ({"tileInfo__lods": lods((1, 4, 16), (GONE, 2, 8))}, "tileInfo.lods[1].level"),
    ({"tileInfo__lods": lods((0, 4, 16), (1, GONE, 8))}, "tileInfo.lods[1]"),
    ({"tileInfo__lods": lods((0, 4, 16), (1, 2, GONE))}, "tileInfo.lods[1]"),
    ({"tileInfo__lods": lods((0, 0, 16))}, "tileInfo.lods[0]"),
    ({"tileInfo__lods": lods((0, -4, 16))}, "tileInfo.lods[0]"),
    ({"tileInfo__lods": lods((0, "NaN", 16))}, "tileInfo.lods[0]"),
    ({"tileInfo__lods": lods((0, float("nan"), 16))}, "tileInfo.lods[0]"),
    ({"tileInfo__lods": lods((0, 4, 1e999))}, "tileInfo.lods[0]"),
    ({"tileInfo__lods": lods((0, True, 16))}, "tileInfo.lods[0]"),
    ({"tileInfo__lods": [None]}, "tileInfo.lods[0]"),
    ({"tileInfo__origin": GONE}, "tileInfo.origin"),
    ({"tileInfo__origin": None}, "tileInfo.origin"),
    ({"tileInfo__origin": {"x": 1}}, "tileInfo.origin"),
    ({"tileInfo__origin": {"x": "NaN", "y": 1}}, "tileInfo.origin"),
    ({"tileInfo__rows": GONE}, "tileInfo.rows, tileInfo.cols"),
    ({"tileInfo__cols": 0}, "tileInfo.rows, tileInfo.cols"),
    ({"tileInfo__cols": -256}, "tileInfo.rows, tileInfo.cols"),
    ({"tileInfo__rows": 256.5}, "tileInfo.rows, tileInfo.cols"),
    ({"tileInfo__spatialReference": GONE, "spatialReference": GONE}, "tileInfo.spatialReference"),
    (
        {"tileInfo__spatialReference": {}, "spatialReference": {"wkid": 0}},
        "tileInfo.spatialReference",
    ),
]


@pytest.mark.parametrize(("changes", "key"), UNUSABLE, ids=str)
def test_unusable(changes: dict[str, Any], key: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        parsed(**changes)

    assert (caught.value.service, caught.value.key) == ("Town", key)


# what differs, whether there is a scheme all the same
UNCACHED = [
    ({"tileInfo": GONE}, False),
    ({"tileInfo": None}, False),
    ({"tileInfo": GONE, "singleFusedMapCache": False}, False),
    ({"tileInfo": GONE, "singleFusedMapCache": GONE}, False),
    ({"tileInfo__lods": []}, False),
    ({"tileInfo__lods": None}, False),
    ({"tileInfo__lods": GONE}, False),
    ({"singleFusedMapCache": False}, True),
    ({"singleFusedMapCache": "false"}, True),
]


@pytest.mark.parametrize(("changes", "scheme_only"), UNCACHED, ids=str)
def test_uncached(changes: dict[str, Any], scheme_only: bool) -> None:
    with pytest.raises(NotCached) as caught:
        parsed(**changes)

    assert (caught.value.service, caught.value.scheme_only) == ("Town", scheme_only)


@pytest.mark.parametrize("fused", [True, "true", "True", GONE])
def test_cached_unless_it_says_no(fused: object) -> None:
    assert parsed(singleFusedMapCache=fused).cached_levels


EPSG_25832 = SpatialReference(25832, 25832)
# spatialReference of tileInfo, of the service: the scheme's
REFERENCES = [
    ({"wkid": 102100, "latestWkid": 3857}, {"wkid": 4326}, SpatialReference(102100, 3857)),
    ({"wkid": 102100}, GONE, SpatialReference(102100)),
    ({"latestWkid": 3857}, GONE, SpatialReference(None, 3857)),
    ({"wkt": WKT}, {"wkid": 4326}, SpatialReference(wkt=WKT)),
    ({"wkid": None, "wkt": WKT}, GONE, SpatialReference(wkt=WKT)),
    ({"wkid": 0, "latestWkid": 0, "wkt": WKT}, GONE, SpatialReference(wkt=WKT)),
    ({"wkid": "25832", "latestWkid": "25832"}, GONE, EPSG_25832),
    (
        {"wkid": 25832, "latestWkid": 25832, "vcsWkid": 5703, "xyTolerance": 0.001, "mUnits": 1},
        GONE,
        EPSG_25832,
    ),
    (GONE, {"wkid": 25832, "latestWkid": 25832}, EPSG_25832),
    (None, {"wkid": 25832, "latestWkid": 25832}, EPSG_25832),
]


@pytest.mark.parametrize(("of_tiles", "of_service", "expected"), REFERENCES)
def test_spatial_references(of_tiles: object, of_service: object, expected: object) -> None:
    found = parsed(tileInfo__spatialReference=of_tiles, spatialReference=of_service)

    assert found.scheme.crs == expected


@pytest.mark.parametrize(
    ("wkid", "latest", "code"),
    [
        (102100, 3857, 3857),
        (102100, None, 3857),
        (102113, 3785, 3857),
        (900913, None, 3857),
        (4326, 4326, 4326),
        (102003, None, 102003),
        (104199, 104199, 104199),
        (2154, 10674, 10674),
    ],
)
def test_codes(wkid: int, latest: int | None, code: int) -> None:
    assert SpatialReference(wkid, latest).code == code


def envelope(xmin: Any, ymin: Any, xmax: Any, ymax: Any, reference: Any = GONE) -> dict[str, Any]:
    box = {"xmin": xmin, "ymin": ymin, "xmax": xmax, "ymax": ymax}
    return box if reference is GONE else {**box, "spatialReference": reference}


HERE = Extent(1, 2, 3, 4)
# fullExtent, extent (image services): the description's
EXTENTS = [
    (envelope(1, 2, 3, 4), GONE, HERE),
    (envelope(1, 2, 3, 4, {"wkid": 25832}), GONE, HERE),
    (envelope(1, 2, 3, 4, {"latestWkid": 25832}), GONE, HERE),
    (envelope("1", "2", "3", "4.0"), GONE, HERE),
    (envelope(1, 2, 3, 4, {"wkid": 4326}), GONE, None),
    (envelope(1, 2, 3, 4, {"wkt": WKT}), GONE, None),
    (envelope("NaN", "NaN", "NaN", "NaN"), GONE, None),
    (envelope(float("nan"), 2, 3, 4), GONE, None),
    (envelope(None, None, None, None), GONE, None),
    (envelope(3, 2, 1, 4), GONE, None),
    (envelope(1, 2, 1, 4), GONE, None),
    (GONE, GONE, None),
    (None, GONE, None),
    (GONE, envelope(1, 2, 3, 4), HERE),
    (envelope("NaN", 2, 3, 4), envelope(1, 2, 3, 4), HERE),
    (envelope(10, 20, 30, 40, {"wkid": 4326}), envelope(1, 2, 3, 4), HERE),
]


@pytest.mark.parametrize(("full", "own", "expected"), EXTENTS)
def test_extents(full: object, own: object, expected: Extent | None) -> None:
    changes = {"fullExtent": full} if own is GONE else {"fullExtent": full, "extent": own}

    assert parsed(**changes).extent == expected


def test_web_mercator_goes_by_many_codes() -> None:
    found = parsed(
        tileInfo__spatialReference={"wkid": 102113},
        fullExtent=envelope(1, 2, 3, 4, {"wkid": 102100, "latestWkid": 3857}),
    )

    assert found.extent == HERE


# key, as sent, attribute, as read
VALUES = [
    ("tileInfo__format", "png8", "image_format", "PNG8"),
    ("tileInfo__format", "Mixed", "image_format", "MIXED"),
    ("tileInfo__format", "jpg", "image_format", "JPEG"),
    ("tileInfo__format", "LERC2D", "image_format", "LERC2D"),
    ("tileInfo__format", None, "image_format", ""),
    ("tileInfo__compressionQuality", "75", "compression_quality", 75),
    ("tileInfo__compressionQuality", None, "compression_quality", 0),
    ("tileInfo__storageFormat", "esriV2", "storage_format", "esriV2"),
    ("tileInfo__storageInfo", {"storageFormat": "esriV1"}, "storage_format", "esriV1"),
    ("storageInfo", {"storageFormat": "esriV2", "packetSize": 128}, "storage_format", "esriV2"),
    ("storageInfo", None, "storage_format", ""),
    ("currentVersion", 11.1, "version", "11.1"),
    ("currentVersion", 10.01, "version", "10.01"),
    ("currentVersion", 11, "version", "11"),
    ("currentVersion", "1.0.0", "version", "1.0.0"),
    ("currentVersion", None, "version", ""),
    ("currentVersion", GONE, "version", ""),
    ("capabilities", "Tilemap,TilesOnly , Map", "has_tile_map", True),
    ("capabilities", "Map, TilesOnly", "has_tiles_only", True),
    ("capabilities", "Map,TilemapX", "has_tile_map", False),
    ("capabilities", "", "has_tiles_only", False),
    ("capabilities", None, "has_tiles_only", False),
    ("exportTilesAllowed", True, "export_tiles_allowed", True),
    ("exportTilesAllowed", GONE, "export_tiles_allowed", False),
    ("exportTilesAllowed", None, "export_tiles_allowed", False),
    ("maxExportTilesCount", 150000, "max_export_tiles", 150000),
    ("maxExportTilesCount", None, "max_export_tiles", None),
    ("serviceDescription", "<b>Town</b>", "text", "<b>Town</b>"),
    ("description", "Town", "text", "Town"),
    ("layers", [{"id": 0, "subLayerIds": None}], "name", "Town"),
    ("anythingNewer", {"a": [1]}, "name", "Town"),
]


@pytest.mark.parametrize(("key", "sent", "attribute", "expected"), VALUES)
def test_values(key: str, sent: object, attribute: str, expected: object) -> None:
    changes = {} if sent is GONE and key not in PLAIN else {key: sent}

    assert getattr(parsed(**changes), attribute) == expected


def test_tiles_that_are_not_square() -> None:
    found = parsed(tileInfo__rows=128, tileInfo__cols="512")

    assert (found.scheme.tile_width, found.scheme.tile_height) == (512, 128)
    assert found.scheme.tile_size(found.scheme.levels[0]) == (512 * 21.2, 128 * 21.2)


@pytest.mark.parametrize(("sent", "dpi"), [(300, 300), ("72", 72), (GONE, 96), (0, 96)])
def test_dots_per_inch(sent: object, dpi: float) -> None:
    assert parsed(tileInfo__dpi=sent).scheme.dpi == dpi


@pytest.mark.parametrize(
    "something_else", [{}, {"token": "x"}, {"services": [], "folders": []}, {"name": "x"}]
)
def test_no_service(something_else: dict[str, Any]) -> None:
    with pytest.raises(DescriptionError) as caught:
        parse_service(something_else, SERVICE)

    assert caught.value.key == "currentVersion"
