"""root.json, iteminfo.json, the thumbnail: Esri's own, odd, damaged and hostile ones, and ours."""

from __future__ import annotations

import json
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from readers import PYTHONS, SHARED

from tile_cache_manager.plugin.core.errors import (
    BadScheme,
    BadSchemeReason,
    DamagedCache,
    HostileFile,
)
from tile_cache_manager.plugin.core.schemes import scheme_of_scales, web_mercator, wgs84
from tile_cache_manager.plugin.core.storage.iteminfo import iteminfo_json
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.storage.root_json import read_root, root_json
from tile_cache_manager.plugin.core.storage.thumbnail import thumbnail_png
from tile_cache_manager.plugin.core.tiling import Extent, SpatialReference

HALF = 20037508.342787
SWISS = Extent(2485000.0, 1075000.0, 2834000.0, 1296000.0)
LV95 = SpatialReference(2056)
FEET_WKT = 'PROJCS["x",GEOGCS["y",UNIT["Degree",0.0174532925199433]],UNIT["Foot_US",0.3048006]]'


def fixture(name: str) -> bytes:
    path = SHARED / "fixtures" / name
    if not path.exists():
        pytest.skip("the recordings are not beside this checkout")
    return path.read_bytes()


# Esri's own


@pytest.mark.parametrize(
    ("name", "levels", "cached", "extent"),
    [
        (
            "esri-tpkx-root.json",
            24,
            range(6),
            Extent(-19839092.3000987, 2146082.18921886, -7454985.15052452, 11542624.8966855),
        ),
        ("gdal-tpkx-root-oversizedlod.json", 25, range(25), None),
    ],
)
def test_packages_of_esri(name, levels, cached, extent):
    profile, tiles = read_root(fixture(name), name)
    scheme = profile.scheme

    assert (profile.name, tiles, profile.storage) == ("Usa", "tile", StorageFormat.TPKX)
    assert (profile.image_format, profile.compression_quality) == ("PNG", 0)
    assert (scheme.origin_x, scheme.origin_y) == (-HALF, HALF)
    assert (scheme.tile_width, scheme.tile_height, scheme.dpi) == (256, 256, 96)
    assert scheme.crs == SpatialReference(102100, 3857)
    assert [level.id for level in scheme.levels] == list(range(levels))
    assert scheme.level(19).resolution == 0.298582141647617
    assert profile.cached_ids == tuple(cached)
    if extent is None:
        assert profile.extent is None
    else:
        assert profile.extent is not None
        assert profile.extent.bounds == pytest.approx(extent.bounds, rel=1e-12)


def test_ours_has_the_keys_and_kinds_of_values_of_esri():
    theirs = json.loads(fixture("esri-tpkx-root.json"))
    profile, _ = read_root(fixture("esri-tpkx-root.json"), "root.json")

    ours = json.loads(root_json(profile))

    # legends; the map's scale, not the package's; the grid of integers of their editor
    differences = {"layers", "maxScale", "spatialReference"}
    for key in theirs.keys() - differences:
        if isinstance(theirs[key], dict):
            assert set(ours[key]) <= set(theirs[key])
            same = theirs[key].keys() & ours[key].keys() - differences
            assert {each: ours[key][each] for each in same} == {
                each: pytest.approx(theirs[key][each]) if each[0] in "xy" else theirs[key][each]
                for each in same
            }
        else:
            assert ours[key] == pytest.approx(theirs[key]), key
    assert set(ours) == set(theirs)
    assert ours["spatialReference"] == {"wkid": 102100, "latestWkid": 3857}


def test_our_iteminfo_has_the_keys_and_kinds_of_values_of_esri():
    theirs = json.loads(fixture("esri-tpkx-iteminfo.json"))
    profile, _ = read_root(fixture("esri-tpkx-root.json"), "root.json")

    ours = json.loads(iteminfo_json(profile))

    assert {key: type(value) for key, value in ours.items()} == {
        key: type(value) for key, value in theirs.items()
    }
    for key in ("type", "typeKeywords", "name", "title", "version", "thumbnail"):
        assert ours[key] == theirs[key]
    # theirs was drawn a little larger than the data, by hundredths of a degree
    for key in ("xmin", "ymin", "xmax", "ymax"):
        assert ours["extent"][key] == pytest.approx(theirs["extent"][key], abs=0.05)
    assert ours["extent"]["spatialReference"] == theirs["extent"]["spatialReference"]


# Odd ones

USUAL: dict[str, Any] = {
    "name": "World",
    "serviceDescription": "All of it",
    "tileBundlesPath": "./tile",
    "spatialReference": {"wkid": 102100, "latestWkid": 3857},
    "minLOD": 1,
    "maxLOD": 1,
    "tileInfo": {
        "rows": 256,
        "cols": 256,
        "dpi": 96,
        "origin": {"x": -HALF, "y": HALF},
        "spatialReference": {"wkid": 102100, "latestWkid": 3857},
        "lods": [
            {"level": 0, "resolution": 156543.033928, "scale": 591657527.591555},
            {"level": 1, "resolution": 78271.516964, "scale": 295828763.795777},
        ],
    },
    "storageInfo": {"storageFormat": "esriMapCacheStorageModeCompactV2", "packetSize": 128},
    "tileImageInfo": {"format": "PNG8", "compressionQuality": 75},
    "fullExtent": {"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4, "spatialReference": {"wkid": 3857}},
}


def changed(**pieces: Any) -> dict[str, Any]:
    """USUAL with pieces changed, inside objects too (`tileInfo__rows`); `...` takes one away."""
    body = json.loads(json.dumps(USUAL))
    for place, value in pieces.items():
        *folders, key = place.split("__")
        inside = body
        for each in folders:
            inside = inside[each]
        if value is ...:
            del inside[key]
        else:
            inside[key] = value
    return body


def read(body: Any) -> tuple[CacheProfile, str]:
    return read_root(json.dumps(body).encode(), "root.json")


SAME, _ = read(USUAL)


def test_the_usual_one():
    assert (
        CacheProfile(
            scheme=SAME.scheme,
            storage=StorageFormat.TPKX,
            image_format="PNG8",
            compression_quality=75,
            cached_ids=(1,),
            extent=Extent(1.0, 2.0, 3.0, 4.0),
            name="World",
            text="All of it",
        )
        == SAME
    )


def with_keys(value: Any, spell: Any) -> Any:
    if isinstance(value, dict):
        return {spell(key): with_keys(each, spell) for key, each in value.items()}
    return [with_keys(each, spell) for each in value] if isinstance(value, list) else value


# as Esri's documentation of the format spells keys, against its packages
DOCUMENTED = {
    "latestWkid": "LatestWkid",
    "storageFormat": "storageformat",
    "packetSize": "packetsize",
    "rows": "row",
    "compressionQuality": "compression",
}


@pytest.mark.parametrize(
    "body",
    [
        with_keys(USUAL, str.lower),
        with_keys(USUAL, str.upper),
        with_keys(USUAL, lambda key: DOCUMENTED.get(key, key)),
        changed(minLOD="1", maxLOD="1", tileInfo__rows="256", tileInfo__dpi="96.0"),
        changed(tileInfo__spatialReference=...),
        changed(storageInfo=...),
        changed(storageInfo__packetSize="128"),
        changed(tileImageInfo__format=..., tileInfo__format="png8"),
        changed(something={"else": [1, None, {"x": "y"}]}),
    ],
    ids=range(9),
)
def test_other_spellings_say_the_same(body):
    assert read(body)[0] == SAME


@pytest.mark.parametrize(
    ("content", "same"),
    [
        (b"\xef\xbb\xbf" + json.dumps(USUAL).encode(), True),
        (json.dumps(USUAL).encode("utf-16"), True),
        (json.dumps(changed(name="日本"), ensure_ascii=False).encode(), False),
    ],
)
def test_encodings(content, same):
    profile, _ = read_root(content, "root.json")

    assert profile == SAME if same else profile.name == "日本"


@pytest.mark.parametrize(
    ("pieces", "ids"),
    [
        ({"minLOD": 0}, (0, 1)),
        ({"minLOD": ...}, (0, 1)),
        ({"maxLOD": ...}, (1,)),
        ({"minLOD": ..., "maxLOD": ...}, (0, 1)),
        ({"minLOD": ..., "maxLOD": 0}, (0,)),
        ({"minLOD": -3, "maxLOD": 99}, (0, 1)),
        ({"minLOD": 7, "maxLOD": 9}, (0, 1)),
    ],
)
def test_cached_levels(pieces, ids):
    assert read(changed(**pieces))[0].cached_ids == ids


@pytest.mark.parametrize(
    ("path", "tiles"),
    [
        ("./tile", "tile"),
        ("tile", "tile"),
        ("./tile/", "tile"),
        (".\\tile", "tile"),
        ("./a/b c", "a/b c"),
        ("", "tile"),
        (".", ""),
        (..., "tile"),
        (5, "tile"),
    ],
)
def test_paths_of_bundles(path, tiles):
    assert read(changed(tileBundlesPath=path))[1] == tiles


@pytest.mark.parametrize(
    ("value", "extent"),
    [
        ({"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4}, Extent(1, 2, 3, 4)),
        ({"xmin": 1, "ymin": 2, "xmax": 3, "ymax": 4, "spatialReference": {"wkid": 4326}}, None),
        ({"xmin": 1, "ymin": 2, "xmax": "NaN", "ymax": 4}, None),
        ({"xmin": 3, "ymin": 2, "xmax": 1, "ymax": 4}, None),
        (..., None),
        ("world", None),
    ],
)
def test_extents(value, extent):
    initial = {"xmin": 0, "ymin": 0, "xmax": 9, "ymax": 9}  # a view, not what there is

    assert read(changed(fullExtent=value, initialExtent=initial))[0].extent == extent


# Damaged and hostile ones

DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "no JSON"),
    "cut off": (json.dumps(USUAL).encode()[:300], "no JSON"),
    "zeros": (b"\0" * 600, "no JSON"),
    "a list": (b"[]", "tileInfo.origin"),
    "endless digits": (b'{"x": ' + b"9" * 100_000 + b"}", ""),
}
DAMAGED |= {
    name: (json.dumps(changed(**pieces)).encode(), detail)
    for name, (pieces, detail) in {
        "no tileInfo": ({"tileInfo": ...}, "tileInfo.origin"),
        "no origin": ({"tileInfo__origin": ...}, "tileInfo.origin"),
        "no rows": ({"tileInfo__rows": ...}, "tileInfo.rows, tileInfo.cols"),
        "no size": ({"tileInfo__cols": 0}, "tileInfo.rows, tileInfo.cols"),
        "huge": ({"tileInfo__rows": 10**9}, "tileInfo.rows: 1000000000"),
        "no lods": ({"tileInfo__lods": ...}, "tileInfo.lods: 0"),
        "101 lods": (
            {"tileInfo__lods": [{"resolution": 1, "scale": 1}] * 101},
            "tileInfo.lods: 101",
        ),
        "no resolution": ({"tileInfo__lods": [{"level": 0, "scale": 1}]}, "tileInfo.lods[0]"),
        "endless": (
            {"tileInfo__lods": [{"level": 0, "scale": 1, "resolution": float("inf")}]},
            "tileInfo.lods[0]",
        ),
        "an id below 0": (
            {"tileInfo__lods": [{"level": -1, "scale": 1, "resolution": 1}]},
            "tileInfo.lods: level",
        ),
        "dpi": ({"tileInfo__dpi": -96}, "tileInfo.dpi"),
        "no CRS": (
            {"spatialReference": ..., "tileInfo__spatialReference": ...},
            "tileInfo.spatialReference",
        ),
        "version 1": (
            {"storageInfo__storageFormat": "esriMapCacheStorageModeCompact"},
            "storageFormat esriMapCacheStorageModeCompact",
        ),
        "packets": ({"storageInfo__packetSize": 64}, "packetSize"),
        "no format": ({"tileImageInfo": ...}, "tileImageInfo.format"),
        "a format without an end": ({"tileImageInfo__format": "P" * 99}, "tileImageInfo.format"),
    }.items()
}


@pytest.mark.parametrize(("content", "detail"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files(content, detail):
    with pytest.raises(DamagedCache) as caught:
        read_root(content, "root.json")

    assert caught.value.path == "root.json"
    assert caught.value.detail.startswith(detail)
    assert len(caught.value.detail) < 120


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 1_000_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 500 + b"]" * 500,
        b'"' + b" " * (16 * 1024 * 1024) + b'"',
        *(
            json.dumps(changed(tileBundlesPath=path)).encode()
            for path in ("../tile", "./a/../../b", "/etc", "C:/tile", "\\\\server\\x", "a\0b")
        ),
    ],
    ids=range(10),
)
def test_hostile_files(content):
    with pytest.raises(HostileFile) as caught:
        read_root(content, "root.json")

    assert caught.value.path == "root.json"


# Ours


def profile_of(scheme, ids=None, extent=None, **pieces: Any) -> CacheProfile:
    ids = tuple(level.id for level in scheme.levels) if ids is None else ids
    return CacheProfile(scheme, StorageFormat.TPKX, "PNG32", 0, ids, extent, "a cache", **pieces)


SWISS_SCHEME = scheme_of_scales([1e6, 1e5, 1e3], LV95, -5120900.0, 9998100.0, 1.0)
OURS = {
    "Web Mercator": profile_of(web_mercator(), (3, 4, 5)),
    "512 pixels": profile_of(web_mercator(512, 120.5), (0,)),
    "degrees": profile_of(wgs84(), (2, 7)),
    "Switzerland": profile_of(SWISS_SCHEME, extent=SWISS),
    "a long text": profile_of(web_mercator(finest=0), text='"ü"\n' * 5000),
}


@pytest.mark.parametrize("profile", OURS.values(), ids=OURS)
def test_what_is_written_comes_back_to_the_last_bit(profile):
    content = root_json(profile)
    found, tiles = read_root(content, "root.json")
    first, last = profile.cached_ids[0], profile.cached_ids[-1]

    assert tiles == "tile"
    assert replace(found.scheme, crs=profile.scheme.crs) == profile.scheme
    assert found.scheme.crs.code == profile.scheme.crs.code
    assert found.cached_ids == tuple(range(first, last + 1))
    assert found.extent == profile.extent or profile.extent is None
    assert (found.name, found.text) == (profile.name, profile.text)
    # where GDAL looks for it
    assert b'"tileBundlesPath": "./tile"' in content[:1024]
    assert len(content) >= 512


@pytest.mark.parametrize(
    ("scheme", "units"),
    [
        (web_mercator(), "esriMeters"),
        (wgs84(), "esriDecimalDegrees"),
        (scheme_of_scales([1e4], LV95, 0, 0, 1.0), "esriMeters"),
        (scheme_of_scales([1e4], SpatialReference(2263), 0, 0, 0.3048006), "esriFeet"),
        (scheme_of_scales([1e4], SpatialReference(None, None, FEET_WKT), 0, 0, 1.0), "esriFeet"),
        (scheme_of_scales([1e4], SpatialReference(104100), 0, 0, 111194.87), "esriDecimalDegrees"),
        (scheme_of_scales([1e4], SpatialReference(99999), 0, 0, 5.0), "esriUnknownUnits"),
    ],
)
def test_units(scheme, units):
    body = json.loads(root_json(profile_of(scheme, extent=Extent(0, 0, 1, 1))))

    assert body["units"] == units


def test_limits_of_scales():
    body = json.loads(root_json(OURS["Web Mercator"]))

    assert (body["minLOD"], body["maxLOD"], len(body["tileInfo"]["lods"])) == (3, 5, 23)
    assert (body["minScale"], body["maxScale"]) == (
        pytest.approx(73957190.948944),
        pytest.approx(18489297.737236),
    )


@pytest.mark.parametrize(
    ("crs", "body"),
    [
        (SpatialReference(102100), {"wkid": 102100, "latestWkid": 3857}),
        (SpatialReference(3857), {"wkid": 3857, "latestWkid": 3857}),
        (SpatialReference(None, 2056), {"wkid": 2056, "latestWkid": 2056}),
        (
            SpatialReference(None, None, FEET_WKT[:-1] + ',AUTHORITY["EPSG",2263]]'),
            {"wkid": 2263, "latestWkid": 2263},
        ),
        (SpatialReference(None, None, FEET_WKT), {"wkt": FEET_WKT}),
    ],
)
def test_codes_of_the_crs(crs, body):
    profile = profile_of(replace(SWISS_SCHEME, crs=crs), extent=SWISS)

    written = json.loads(root_json(profile))

    assert written["spatialReference"] == body
    assert written["fullExtent"]["spatialReference"] == body
    assert written["tileInfo"]["spatialReference"] == body


def test_no_file_without_a_crs():
    with pytest.raises(BadScheme) as caught:
        root_json(profile_of(replace(SWISS_SCHEME, crs=SpatialReference())))

    assert caught.value.reason is BadSchemeReason.NO_CRS


@pytest.mark.parametrize("name", ["Web Mercator", "512 pixels", "degrees", "Switzerland"])
def test_gdal_opens_it(tmp_path, name):
    if not Path(PYTHONS["wheel"]).exists():
        pytest.skip("other readers of caches are not installed (make setup)")
    profile = OURS[name]
    (tmp_path / "root.json").write_bytes(root_json(profile))
    script = (
        "import json, sys, rasterio; raster = rasterio.open(sys.argv[1]);"
        "print(json.dumps([raster.bounds, raster.res, raster.crs.to_epsg()]))"
    )
    command = [PYTHONS["wheel"], "-W", "ignore", "-c", script, str(tmp_path / "root.json")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bounds, resolution, code = json.loads(output)
    finest = profile.scheme.level(profile.cached_ids[-1]).resolution
    world = {3857: (-HALF, -HALF, HALF, HALF), 4326: (-180, -90, 180, 90), 2056: SWISS.bounds}

    assert code == profile.scheme.crs.code
    assert resolution == [finest, finest]
    assert bounds == pytest.approx(world[code], abs=finest)


# iteminfo.json, thumbnail


@pytest.mark.parametrize(
    ("profile", "given", "bounds"),
    [
        (profile_of(web_mercator()), None, (-180, -90, 180, 90)),
        # Web Mercator: y 0 is the equator, 20037508.34 85.0511287798066 degrees (EPSG:3857)
        (
            profile_of(web_mercator(), extent=Extent(-HALF, 0, 0, HALF)),
            None,
            (-180, 0, 0, 85.0511288),
        ),
        (profile_of(web_mercator(), extent=Extent(0, 0, 1e9, 1e9)), None, (0, 0, 180, 90)),
        (profile_of(wgs84(), extent=Extent(5, 45, 11, 48)), None, (5, 45, 11, 48)),
        (profile_of(wgs84(), extent=Extent(-400, -400, 400, 400)), None, (-180, -90, 180, 90)),
        (profile_of(SWISS_SCHEME, extent=SWISS), None, (-180, -90, 180, 90)),
        (
            profile_of(SWISS_SCHEME, extent=SWISS),
            Extent(5.9, 45.8, 10.5, 47.8),
            (5.9, 45.8, 10.5, 47.8),
        ),
    ],
    ids=range(7),
)
def test_extents_in_degrees(profile, given, bounds):
    extent = json.loads(iteminfo_json(profile, given))["extent"]

    assert [extent[key] for key in ("xmin", "ymin", "xmax", "ymax")] == pytest.approx(bounds)


def test_iteminfo_with_what_is_given():
    body = json.loads(iteminfo_json(profile_of(wgs84()), created=1700000000.5, guid="ABC"))

    assert (body["created"], body["guid"]) == (1700000000500, "ABC")
    assert len({json.loads(iteminfo_json(profile_of(wgs84())))["guid"] for _ in range(3)}) == 3


def test_the_thumbnail_is_a_png_of_the_size_esri_asks_for():
    content = thumbnail_png()
    head, data = content[8:33], content[33:-12]
    pixels = zlib.decompress(data[8:-4])

    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">I4sIIBBBBB", head[:-4]) == (13, b"IHDR", 200, 133, 8, 2, 0, 0, 0)
    assert head[-4:] == struct.pack(">I", zlib.crc32(head[4:-4]))
    assert data[:8] == struct.pack(">I", len(data) - 12) + b"IDAT"
    assert data[-4:] == struct.pack(">I", zlib.crc32(data[4:-4]))
    assert len(pixels) == 133 * (1 + 3 * 200)
    assert content[-12:] == b"\0\0\0\0IEND\xaeB\x60\x82"
