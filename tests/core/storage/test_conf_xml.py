"""conf.xml and conf.cdi: real ones, odd ones, hostile ones; and ours as others read them."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest
from readers import cache_sample

from tile_cache_manager.plugin.core.errors import (
    BadScheme,
    BadSchemeReason,
    DamagedCache,
    HostileFile,
    NotACache,
    NotACacheReason,
)
from tile_cache_manager.plugin.core.schemes import (
    WEB_MERCATOR,
    WGS84,
    scheme_of_scales,
    web_mercator,
    wgs84,
)
from tile_cache_manager.plugin.core.storage.conf_xml import (
    conf_cdi,
    conf_xml,
    parse_conf,
    parse_extent,
    read_conf,
)
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference

HALF = 20037508.342787
LV95_WKT = (
    'PROJCS["CH1903+_LV95",GEOGCS["GCS_CH1903+",DATUM["D_CH1903+",SPHEROID["Bessel_1841",'
    '6377397.155,299.1528128]],PRIMEM["Greenwich",0.0],UNIT["Degree",0.0174532925199433]],'
    'PROJECTION["Hotine_Oblique_Mercator_Azimuth_Center"],PARAMETER["False_Easting",2600000.0],'
    'PARAMETER["False_Northing",1200000.0],PARAMETER["Scale_Factor",1.0],PARAMETER["Azimuth",90.0],'
    'PARAMETER["Longitude_Of_Center",7.43958333333333],'
    'PARAMETER["Latitude_Of_Center",46.9524055555556],UNIT["Meter",1.0]]'
)
LV95 = SpatialReference(2056, None, LV95_WKT)
SWISS = Extent(2485000.0, 1075000.0, 2834000.0, 1296000.0)
SCALES = (1e6, 5e5, 1e5, 2.5e4, 1e3)

# A file as ArcGIS writes it, cut down; tests change a piece of it.
USUAL = """<?xml version="1.0" encoding="utf-8" ?>
<CacheInfo xsi:type='typens:CacheInfo' xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance'
 xmlns:typens='http://www.esri.com/schemas/ArcGIS/10.3'>
<TileCacheInfo xsi:type='typens:TileCacheInfo'>
<SpatialReference xsi:type='typens:ProjectedCoordinateSystem'>
<WKT>PROJCS["x",GEOGCS["y",UNIT["Degree",0.0174532925199433]],UNIT["Meter",1.0]]</WKT>
<WKID>102100</WKID><LatestWKID>3857</LatestWKID></SpatialReference>
<TileOrigin xsi:type='typens:PointN'><X>-20037508.342787001</X>
<Y>20037508.342787001</Y></TileOrigin>
<TileCols>256</TileCols><TileRows>256</TileRows><DPI>96</DPI><PreciseDPI>96</PreciseDPI>
<LODInfos xsi:type='typens:ArrayOfLODInfo'>
<LODInfo xsi:type='typens:LODInfo'><LevelID>0</LevelID><Scale>591657527.591555</Scale>
<Resolution>156543.03392799999</Resolution></LODInfo>
<LODInfo xsi:type='typens:LODInfo'><LevelID>1</LevelID><Scale>295828763.79577702</Scale>
<Resolution>78271.516963999893</Resolution></LODInfo></LODInfos></TileCacheInfo>
<TileImageInfo xsi:type='typens:TileImageInfo'><CacheTileFormat>PNG8</CacheTileFormat>
<CompressionQuality>0</CompressionQuality><Antialiasing>false</Antialiasing></TileImageInfo>
<CacheStorageInfo xsi:type='typens:CacheStorageInfo'>
<StorageFormat>esriMapCacheStorageModeCompactV2</StorageFormat><PacketSize>128</PacketSize>
</CacheStorageInfo></CacheInfo>"""
BOUNDS = (
    "<EnvelopeN><XMin>{}</XMin><YMin>{}</YMin><XMax>{}</XMax><YMax>{}</YMax>{}</EnvelopeN>".format
)


def changed(*pieces: str) -> bytes:
    """USUAL with each first piece made the second."""
    text = USUAL
    for old, new in zip(pieces[::2], pieces[1::2]):
        assert old in text
        text = text.replace(old, new)
    return text.encode()


def parsed(content: bytes, cdi: bytes | None = None) -> CacheProfile:
    return parse_conf(content, cdi, "conf.xml", "a cache")


# Real ones


@pytest.mark.parametrize(
    ("sample", "storage", "image_format", "levels", "finest", "extent"),
    [
        (
            "esri-raster-tiles-compactcache/sample_cache",
            (StorageFormat.COMPACT_V2, 75),
            "JPEG",
            range(20),
            0.29858214164761665,
            Extent(
                -20037507.229594339, -20037507.229594339, 20037507.229594339, 20037507.229594339
            ),
        ),
        (
            "gdal-autotest-esric/autotest/gdrivers/data/esric/oversizedLOD",
            (StorageFormat.COMPACT_V2, 75),
            "MIXED",
            range(25),
            0.0093306919264880204,
            None,
        ),
    ],
)
def test_samples(sample, storage, image_format, levels, finest, extent):
    profile = read_conf(cache_sample(sample) / "conf.xml")

    assert (profile.storage, profile.compression_quality) == storage
    assert profile.image_format == image_format
    assert profile.cached_ids == tuple(levels)
    assert [level.id for level in profile.scheme.levels] == list(levels)
    assert profile.scheme.levels[-1].resolution == pytest.approx(finest, rel=1e-12)
    assert (profile.scheme.origin_x, profile.scheme.origin_y) == (-HALF, HALF)
    assert profile.scheme.crs.code == 3857
    assert profile.extent == extent
    assert profile.name == sample.rpartition("/")[2]


# Odd ones: what is changed, and what of the profile is different then

SAME = parsed(USUAL.encode())
SCHEME = SAME.scheme
NO_CODES = ("<WKID>102100</WKID><LatestWKID>3857</LatestWKID>", "")
ODD = {
    "no prefix and no namespace": (
        ["xsi:type=", "type=", "xmlns:xsi", "a", "xmlns:typens", "b"],
        SAME,
    ),
    "a prefix before each name": (
        ["<CacheInfo ", "<typens:CacheInfo ", "</CacheInfo", "</typens:CacheInfo"],
        SAME,
    ),
    "no attributes": ([" xsi:type='typens:TileCacheInfo'", ""], SAME),
    "exploded, before ArcGIS 10": (
        ["CacheStorageInfo", "SomethingElse"],
        replace(SAME, storage=StorageFormat.EXPLODED),
    ),
    "exploded": (
        ["ModeCompactV2", "ModeExploded", ">128<", ">0<"],
        replace(SAME, storage=StorageFormat.EXPLODED),
    ),
    "version 1": (
        ["ModeCompactV2", "ModeCompact"],
        replace(SAME, storage=StorageFormat.COMPACT_V1),
    ),
    "storage in other letters": (
        ["esriMapCacheStorageModeCompactV2", "ESRIMAPCACHESTORAGEMODECOMPACTV2"],
        SAME,
    ),
    "no packet size": (["<PacketSize>128</PacketSize>", ""], SAME),
    "jpg": ([">PNG8<", ">jpg<"], replace(SAME, image_format="JPEG")),
    "Mixed": ([">PNG8<", ">Mixed<"], replace(SAME, image_format="MIXED")),
    "LERC": ([">PNG8<", ">Lerc<"], replace(SAME, image_format="LERC")),
    "a quality": (["Quality>0<", "Quality>75<"], replace(SAME, compression_quality=75)),
    "a quality beyond all": (
        ["Quality>0<", "Quality>1e9<"],
        replace(SAME, compression_quality=100),
    ),
    "no quality": (["<CompressionQuality>0</CompressionQuality>", ""], SAME),
    "tiles that are not square": (
        ["<TileRows>256", "<TileRows>512"],
        replace(SAME, scheme=replace(SCHEME, tile_height=512)),
    ),
    "whole numbers with a point": (["<TileRows>256", "<TileRows> 256.0 "], SAME),
    "no precise dpi": (["<PreciseDPI>96</PreciseDPI>", ""], SAME),
    "a precise dpi": (
        ["PreciseDPI>96<", "PreciseDPI>96.5<"],
        replace(SAME, scheme=replace(SCHEME, dpi=96.5)),
    ),
    "no dpi": (["<DPI>96</DPI><PreciseDPI>96</PreciseDPI>", ""], SAME),
    "no latest code": (
        ["<LatestWKID>3857</LatestWKID>", ""],
        replace(SAME, scheme=replace(SCHEME, crs=replace(SCHEME.crs, latest_wkid=None))),
    ),
    "a code for a text": (
        [
            'PROJCS["x",GEOGCS["y",UNIT["Degree",0.0174532925199433]],UNIT["Meter",1.0]]',
            "EPSG:2056",
            *NO_CODES,
        ],
        replace(SAME, scheme=replace(SCHEME, crs=SpatialReference(2056))),
    ),
    "a code in the text only": (
        ['UNIT["Meter",1.0]]', 'UNIT["Meter",1.0],AUTHORITY["EPSG",25832]]', *NO_CODES],
        replace(
            SAME,
            scheme=replace(
                SCHEME,
                crs=SpatialReference(
                    25832,
                    None,
                    (SCHEME.crs.wkt or "")[:-1] + ',AUTHORITY["EPSG",25832]]',
                ),
            ),
        ),
    ),
    "levels that do not begin at 0": (
        ["LevelID>0<", "LevelID>7<", "LevelID>1<", "LevelID>9<"],
        replace(
            SAME,
            scheme=replace(
                SCHEME,
                levels=(
                    Level(7, 156543.033928, 591657527.591555),
                    Level(9, 78271.51696399989, 295828763.795777),
                ),
            ),
            cached_ids=(7, 9),
        ),
    ),
    "finest first": (
        ["LevelID>0<", "LevelID>2<", ">156543.03392799999<", ">39135.75<"],
        replace(
            SAME,
            scheme=replace(
                SCHEME,
                levels=(
                    Level(1, 78271.51696399989, 295828763.795777),
                    Level(2, 39135.75, 591657527.591555),
                ),
            ),
            cached_ids=(1, 2),
        ),
    ),
    "comments and CDATA": (
        [">PNG8<", "><!-- a comment --><![CDATA[PNG]]>8<"],
        SAME,
    ),
}


@pytest.mark.parametrize(("pieces", "profile"), ODD.values(), ids=ODD)
def test_odd_files_are_read(pieces, profile):
    assert parsed(changed(*pieces)) == profile


def test_a_missing_scale_is_reckoned_and_missing_ids_are_counted():
    content = changed(
        "<Scale>591657527.591555</Scale>",
        "",
        "<LevelID>0</LevelID>",
        "",
        "<LevelID>1</LevelID>",
        "",
    )

    levels = parsed(content).scheme.levels

    assert [level.id for level in levels] == [0, 1]
    assert levels[0].scale == pytest.approx(591657527.591555, rel=1e-5)


@pytest.mark.parametrize(
    "content",
    [
        USUAL.replace('encoding="utf-8"', 'encoding="utf-16"').encode("utf-16"),
        b"\xef\xbb\xbf" + USUAL.encode(),
        USUAL.replace('encoding="utf-8"', 'encoding="windows-1252"').encode("cp1252"),
        USUAL.partition("?>")[2].strip().encode(),
    ],
    ids=["UTF-16 with its mark", "UTF-8 with its mark", "Windows letters", "no first line"],
)
def test_encodings(content):
    assert parsed(content) == SAME


# Damaged ones

DAMAGED = {
    "empty": (b"", "no XML"),
    "no XML": (b"<html><br></html>", "no XML"),
    "cut off": (USUAL.encode()[:900], "no XML"),
    "zeros": (b"\0" * 5000, "no XML"),
    "zeros inside": (changed(">PNG8<", ">PNG\0<"), "no XML"),
    "an encoding that nobody knows": (changed("utf-8", "klingon-7"), "no XML"),
    "an encoding of several bytes": (changed("utf-8", "shift_jis"), "no XML"),
    "not its encoding": (changed(">PNG8<", ">PNGé<").replace("é".encode(), b"\xe9"), "no XML"),
    "another file": (b"<EnvelopeN/>", "no CacheInfo"),
    "nothing in it": (b"<CacheInfo/>", "no TileCacheInfo"),
    "no CRS": (changed("SpatialReference", "SomethingElse"), "no SpatialReference"),
    "an empty CRS": (
        changed("<WKT>", "<X>", "</WKT>", "</X>", "WKID>", "Y>"),
        "no SpatialReference",
    ),
    "no origin": (changed("TileOrigin", "SomethingElse"), "TileOrigin"),
    "no x": (changed("<X>-20037508.342787001</X>", ""), "TileOrigin"),
    "an endless y": (changed("<Y>20037508.342787001", "<Y>inf"), "TileOrigin"),
    "no tile width": (changed("<TileCols>256</TileCols>", ""), "TileCols"),
    "tiles of nothing": (changed("<TileCols>256", "<TileCols>0"), "TileCols 0"),
    "tiles of less": (changed("<TileRows>256", "<TileRows>-256"), "TileRows -256"),
    "half a pixel": (changed("<TileRows>256", "<TileRows>256.5"), "TileRows 256.5"),
    "huge tiles": (changed("<TileRows>256", "<TileRows>99999999"), "TileRows 99999999"),
    "no levels": (changed("LODInfos", "SomethingElse"), "no LODInfo"),
    "no level": (changed("LODInfo ", "L ", "/LODInfo>", "/L>"), "no LODInfo"),
    "101 levels": (
        changed("</LODInfos>", "<LODInfo/>" * 99 + "</LODInfos>"),
        "101 LODInfo",
    ),
    "no resolution": (changed("<Resolution>78271.516963999893</Resolution>", ""), "LODInfo 1, Res"),
    "a resolution of 0": (changed(">78271.516963999893", ">0"), "LODInfo 1, Resolution"),
    "a resolution below 0": (changed(">78271.516963999893", ">-5"), "LODInfo 1, Resolution"),
    "an endless resolution": (changed(">78271.516963999893", ">Infinity"), "LODInfo 1, Resolution"),
    "no number": (changed(">78271.516963999893", ">NaN"), "LODInfo 1, Resolution"),
    "a decimal comma": (changed(">78271.516963999893", ">78271,5"), "LODInfo 1, Resolution"),
    "two levels of one id": (changed("LevelID>1<", "LevelID>0<"), "LODInfo 1, LevelID"),
    "half an id": (changed("LevelID>1<", "LevelID>1.5<"), "LODInfo 1, LevelID"),
    "an id below 0": (changed("LevelID>1<", "LevelID>-1<"), "LODInfo 1, LevelID"),
    "another storage": (changed("ModeCompactV2", "ModeCompactV9"), "StorageFormat esriMapCacheS"),
    "no storage": (
        changed("<StorageFormat>esriMapCacheStorageModeCompactV2", "<StorageFormat>"),
        "StorageFormat",
    ),
    "another packet": (changed(">128<", ">64<"), "PacketSize 64"),
    "a packet of nothing": (changed(">128<", ">0<"), "PacketSize 0"),
    "half a packet": (changed(">128<", ">128.5<"), "PacketSize 128.5"),
    "no tile format": (changed("<CacheTileFormat>PNG8</CacheTileFormat>", ""), "CacheTileFormat"),
    "an endless tile format": (changed(">PNG8<", f">{'P' * 5000}<"), "CacheTileFormat"),
}


@pytest.mark.parametrize(("content", "detail"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_files(content, detail):
    with pytest.raises(DamagedCache) as caught:
        parsed(content)

    assert caught.value.detail.startswith(detail)
    assert caught.value.path == "conf.xml"
    assert len(caught.value.detail) < 120


# Hostile ones

LAUGHS = "<!DOCTYPE lolz [<!ENTITY l0 'lol'>" + "".join(
    f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10)
)
HOSTILE = {
    "a billion laughs": f"{LAUGHS}]><CacheInfo>&l9;</CacheInfo>",
    "a document type": "<!DOCTYPE CacheInfo><CacheInfo/>",
    "a file of ours": "<!DOCTYPE c [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><c>&x;</c>",
    "a page of the net": "<!DOCTYPE c SYSTEM 'http://127.0.0.1:1/x.dtd'><c/>",
    "parameter entities": "<!DOCTYPE c [<!ENTITY % x SYSTEM 'file:///etc/passwd'>%x;]><c/>",
    "too deep": "<a>" * 100_000 + "</a>" * 100_000,
    "too many": "<a>" + "<b/>" * 200_000 + "</a>",
    "too large": "<a>" + " " * (4 * 1024 * 1024) + "</a>",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files(content):
    with pytest.raises(HostileFile) as caught:
        parsed(content.encode())
    with pytest.raises(HostileFile):
        parse_extent(content.encode("utf-16"), WEB_MERCATOR, "conf.cdi")

    assert caught.value.path == "conf.xml"


# Files in folders


@pytest.mark.parametrize(
    ("name", "beside"),
    [("conf.xml", "conf.cdi"), ("Conf.xml", "CONF.CDI"), ("CONF.XML", "Conf.cdi")],
)
def test_names_in_any_case(tmp_path, name, beside):
    folder = tmp_path / "Straßen 日本"
    folder.mkdir()
    (folder / name).write_bytes(USUAL.encode())
    (folder / beside).write_text(BOUNDS(1, 2, 3, 4, ""))

    assert read_conf(folder / name) == replace(
        SAME, name="Straßen 日本", extent=Extent(1.0, 2.0, 3.0, 4.0)
    )


def test_the_cache_of_a_service_is_called_after_it(tmp_path):
    folder = tmp_path / "World_Roads" / "Layers"
    folder.mkdir(parents=True)
    (folder / "conf.xml").write_bytes(USUAL.encode())

    assert read_conf(folder / "conf.xml").name == "World_Roads"


@pytest.mark.parametrize(
    ("content", "extent"),
    [
        (BOUNDS(-5, "-1e3", "7.25", 8, ""), Extent(-5, -1000, 7.25, 8)),
        (
            BOUNDS(1, 2, 3, 4, "<SpatialReference><WKID>102113</WKID></SpatialReference>"),
            Extent(1, 2, 3, 4),
        ),
        (BOUNDS(1, 2, 3, 4, "<SpatialReference><WKID>4326</WKID></SpatialReference>"), None),
        (BOUNDS(1, 2, 3, 4, "<SpatialReference/>"), Extent(1, 2, 3, 4)),
        (BOUNDS(3, 2, 1, 4, ""), None),
        (BOUNDS(1, 2, 1, 4, ""), None),
        (BOUNDS("NaN", "NaN", "NaN", "NaN", ""), None),
        (BOUNDS("", 2, 3, 4, ""), None),
        ("<EnvelopeN/>", None),
        ("<EnvelopeN>", None),
        ("", None),
    ],
    ids=range(11),
)
def test_extents(content, extent):
    assert parsed(USUAL.encode(), content.encode()).extent == extent


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NotACache) as caught:
        read_conf(tmp_path / "conf.xml")

    assert caught.value.reason is NotACacheReason.MISSING


# Written ones


def profile_of(scheme, storage=StorageFormat.COMPACT_V2, extent=None) -> CacheProfile:
    ids = tuple(level.id for level in scheme.levels)
    return CacheProfile(scheme, storage, "PNG32", 0, ids, extent, "a cache")


SWISS_SCHEME = scheme_of_scales(SCALES, LV95, 2420000.0, 1350000.0, 1.0)
WRITTEN = {
    "Web Mercator": profile_of(web_mercator()),
    "Web Mercator, 512 pixels, 120 dpi": profile_of(web_mercator(512, 120.5)),
    "degrees": profile_of(wgs84()),
    "degrees, exploded": profile_of(wgs84(), StorageFormat.EXPLODED),
    "a code without a text": profile_of(replace(web_mercator(), crs=SpatialReference(102100))),
    "Switzerland": profile_of(SWISS_SCHEME, extent=SWISS),
    "numbers without an end": profile_of(
        replace(SWISS_SCHEME, origin_x=1 / 3, origin_y=1e-7, levels=(Level(0, 0.1 + 0.2, 1e21),))
    ),
    "a text to be escaped": profile_of(
        replace(SWISS_SCHEME, crs=SpatialReference(None, None, 'PROJCS["<&>",UNIT["ü",1.0]]'))
    ),
}


@pytest.mark.parametrize("profile", WRITTEN.values(), ids=WRITTEN)
def test_what_is_written_comes_back_to_the_last_bit(profile):
    found = parsed(conf_xml(profile), conf_cdi(profile))

    assert replace(found, scheme=replace(found.scheme, crs=profile.scheme.crs)) == replace(
        profile, extent=profile.extent or found.extent
    )
    assert found.scheme.crs.code == profile.scheme.crs.code
    assert found.scheme.crs.wkt == (profile.scheme.crs.wkt or WEB_MERCATOR.wkt)
    assert found.extent is not None


@pytest.mark.parametrize("profile", WRITTEN.values(), ids=WRITTEN)
def test_readers_find_what_they_look_for(profile):
    content = conf_xml(profile)
    root = ElementTree.fromstring(content)
    reference = root.find("TileCacheInfo/SpatialReference")

    assert len(content) >= 512  # or GDAL does not look into it
    assert b"<CacheInfo" in content[:1024]
    assert reference is not None
    is_geographic = (reference.findtext("WKT") or "").startswith("GEOGCS")
    assert (reference.find("LeftLongitude") is not None) == is_geographic
    assert [each.tag for each in ElementTree.fromstring(conf_cdi(profile))][:4] == [
        "XMin",
        "YMin",
        "XMax",
        "YMax",
    ]
    packet = root.findtext("CacheStorageInfo/PacketSize")
    assert packet == ("0" if profile.storage is StorageFormat.EXPLODED else "128")


def test_no_file_without_a_text_of_the_crs():
    profile = profile_of(replace(SWISS_SCHEME, crs=SpatialReference(2056)))

    with pytest.raises(BadScheme) as caught:
        conf_xml(profile)

    assert caught.value.reason is BadSchemeReason.NO_CRS


# As GDAL opens them: name of a case, the profile, whether it takes a TileEnd, pixels across

SYMMETRIC = scheme_of_scales(SCALES, LV95, -5120900.0, 9998100.0, 1.0)
FINE = 1000 * 0.0254 / 96
TILE = 256 * 1000  # finest pixels of a tile of the coarsest level, 67.7 km
OPENED = {
    "Web Mercator": (profile_of(web_mercator()), False, 2**30, 2**30),
    "512 pixels": (profile_of(web_mercator(512)), False, 2**30, 2**30),
    "degrees": (profile_of(wgs84()), False, 2**30, 2**29),
    "a level too fine": (profile_of(web_mercator(finest=23)), True, 2**31 - 2, 2**31 - 2),
    # 414 km by 275 km from the origin: 7 by 5 tiles
    "an origin right of 0": (
        profile_of(SWISS_SCHEME, extent=SWISS),
        True,
        7 * TILE,
        5 * TILE,
    ),
    "the standard origin": (
        profile_of(SYMMETRIC, extent=SWISS),
        False,
        2 * 5120900 / FINE,
        2 * 9998100 / FINE,
    ),
    "an extent beyond the mirrored origin": (
        profile_of(replace(SYMMETRIC, origin_x=-100.0), extent=SWISS),
        True,
        42 * TILE,  # 2834.1 km
        132 * TILE,  # 8923.1 km
    ),
}


@pytest.mark.parametrize(("profile", "has_end", "width", "height"), OPENED.values(), ids=OPENED)
def test_gdal_opens_them(tmp_path, profile, has_end, width, height):
    pytest.importorskip("osgeo.gdal")
    content = conf_xml(profile)
    (tmp_path / "conf.xml").write_bytes(content)
    # in a process of its own: what GDAL keeps open would stay so
    script = (
        "import json, sys; from osgeo import gdal; gdal.UseExceptions();"
        "raster = gdal.Open(sys.argv[1]);"
        "print(json.dumps([raster.RasterXSize, raster.RasterYSize, raster.GetGeoTransform(),"
        " raster.GetRasterBand(1).GetOverviewCount(), raster.GetSpatialRef().IsGeographic()]))"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "conf.xml")]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    across, down, transform, overviews, is_geographic = json.loads(output)
    scheme = profile.scheme

    assert (b"TileEnd" in content) == has_end
    assert (across, down) == (int(width), int(height))
    assert transform == [
        *(scheme.origin_x, scheme.levels[-1].resolution, 0.0),
        *(scheme.origin_y, 0.0, -scheme.levels[-1].resolution),
    ]
    assert overviews == len(scheme.levels) - 1
    assert bool(is_geographic) == (scheme.crs == WGS84)
