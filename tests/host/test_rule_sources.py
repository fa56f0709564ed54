"""From rules of areas by scale to the areas of a cache's levels."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from host.samples import crs, degrees, layer_of, swiss, web_mercator
from osgeo import ogr
from qgis.core import (
    QgsCoordinateTransformContext,
    QgsFeature,
    QgsGeometry,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QLocale, QSize
from shapely.geometry import Point, box

from tile_cache_manager.plugin.core.errors import (
    AreaOutside,
    BadArea,
    BadAreaReason,
    BadRules,
    EmptyArea,
    LevelsWithoutArea,
)
from tile_cache_manager.plugin.core.tiling import Extent, Level
from tile_cache_manager.plugin.host import areas, countries, messages, rule_sources, tasks
from tile_cache_manager.plugin.host.area_rules import AreaRule, RuleArea, RuleAreaKind, rule_of

pytestmark = pytest.mark.usefixtures("qgis_app")

FULL = RuleArea(RuleAreaKind.FULL)
CANVAS = RuleArea(RuleAreaKind.CANVAS)
SQUARES = ["Polygon((7 47,8 47,8 48,7 48,7 47))", "Polygon((9 47,10 47,10 48,9 48,9 47))"]


def polygon(wkt: str, code: str = "EPSG:4326", **values: object) -> RuleArea:
    return RuleArea(RuleAreaKind.GEOMETRY, wkt=wkt, crs=code, **values)


@pytest.fixture
def project() -> QgsProject:
    return QgsProject()


def parcels(project: QgsProject | None = None) -> QgsVectorLayer:
    layer = QgsVectorLayer(
        "Polygon?crs=EPSG:4326&field=use:string&field=nr:int", "Parcels", "memory"
    )
    for nr, (wkt, use) in enumerate(zip(SQUARES, ("wood", "field"))):
        feature = QgsFeature(layer.fields())
        feature.setGeometry(QgsGeometry.fromWkt(wkt))
        feature.setAttributes([use, nr])
        assert layer.dataProvider().addFeatures([feature])[0]
    layer.updateExtents()
    if project is not None:
        project.addMapLayer(layer)
    return layer


def resolved(area: RuleArea, project: QgsProject | None, canvas: object = None) -> object:
    source = rule_sources.make_areas((AreaRule(None, None, area),), project, canvas)
    (only,) = areas.resolve(source, degrees())
    return only.area


# filter, selected feature ids, what comes out: the parcels, or why there is none
FILTERS = [
    ("all", "", None, (0, 1)),
    ("blank", "  ", None, (0, 1)),
    ("one", "\"use\" = 'wood'", None, (0,)),
    ("case of names does not matter", "USE = 'field'", None, (1,)),
    ("by geometry", "x_min($geometry) > 8", None, (1,)),
    ("by a number", '"nr" >= 0', None, (0, 1)),
    ("none", "\"use\" = 'lake'", None, BadAreaReason.NOTHING_MATCHED),
    ("never true", "NULL", None, BadAreaReason.NOTHING_MATCHED),
    ("of the selected all", "\"use\" = 'wood'", [1], (0,)),
    ("of the selected none", "\"use\" = 'wood'", [2], BadAreaReason.NOTHING_MATCHED),
    ("selected", "", [2], (1,)),
    ("nothing selected", "\"use\" = 'wood'", [], BadAreaReason.NOTHING_SELECTED),
    ("no expression", "use = = 'wood'", None, BadAreaReason.BAD_FILTER),
    ("no such field", "\"usage\" = 'wood'", None, BadAreaReason.BAD_FILTER),
    ("no such function", "wooded(use)", None, BadAreaReason.BAD_FILTER),
]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "selected", "expected"),
    [case[1:] for case in FILTERS],
    ids=[case[0] for case in FILTERS],
)
def test_filters_on_a_layer(
    project: QgsProject, expression: str, selected: list | None, expected: object
) -> None:
    layer = parcels(project)
    layer.selectByIds(selected or [])
    rule_area = rule_sources.layer_area(layer, expression, selected is not None)
    if isinstance(expected, BadAreaReason):
        with pytest.raises(BadArea) as caught:
            resolved(rule_area, project)
        assert (caught.value.name, caught.value.reason) == ("Parcels", expected)
        return
    area = resolved(rule_area, project)
    inside = [number for number in (0, 1) if area.contains(Point(7.5 + 2 * number, 47.5))]
    assert tuple(inside) == expected
    assert area.area == pytest.approx(len(expected))


@pytest.fixture
def geopackage(tmp_path: Path) -> str:
    path = tmp_path / "Parcels.gpkg"
    options = QgsVectorFileWriter.SaveVectorOptions()
    QgsVectorFileWriter.writeAsVectorFormatV3(
        parcels(), str(path), QgsCoordinateTransformContext(), options
    )
    return str(path)


def test_the_layer_is_found_by_id_by_name_and_by_source(
    project: QgsProject, geopackage: str
) -> None:
    first = QgsVectorLayer(geopackage, "Parcels", "ogr")
    rule_area = rule_sources.layer_area(first)
    assert rule_sources.layer_of(rule_area, project) is None
    assert rule_sources.layer_of(rule_area, None) is None
    other, renamed = (QgsVectorLayer(geopackage, name, "ogr") for name in ("Parcels", "Plots"))
    unlike = QgsVectorLayer("Polygon?crs=EPSG:4326", "Parcels", "memory")
    for layer in (unlike, renamed, other, first):
        project.addMapLayer(layer)
    for expected in (first, other, renamed):
        assert rule_sources.layer_of(rule_area, project).id() == expected.id()
        project.removeMapLayer(expected.id())
    assert rule_sources.layer_of(rule_area, project) is None


def test_a_layer_that_the_project_has_not_is_opened_from_where_it_was(geopackage: str) -> None:
    rule_area = rule_sources.layer_area(QgsVectorLayer(geopackage, "Parcels", "ogr"), "nr = 0")
    assert resolved(rule_area, None).area == pytest.approx(1)
    selected = replace(rule_area, selected_only=True)
    for gone, reason in (
        (selected, BadAreaReason.NOTHING_SELECTED),
        (replace(rule_area, layer_source=geopackage + ".gone"), BadAreaReason.LAYER_GONE),
        (replace(rule_area, provider="nonesuch"), BadAreaReason.LAYER_GONE),
        (rule_sources.layer_area(parcels()), BadAreaReason.LAYER_GONE),
        (RuleArea(RuleAreaKind.LAYER), BadAreaReason.LAYER_GONE),
    ):
        with pytest.raises(BadArea) as caught:
            resolved(gone, None)
        assert caught.value.reason is reason


SOURCES = [
    ("dbname='x' host=h user='me' password='p w' authcfg=abc1234 key='id' table=\"a\".\"b\" (geom)",
     "dbname='x' host=h key='id' table=\"a\".\"b\" (geom)"),
    ("dbname='x' password='it\\'s' host=h sql=\"user\" = 'me' AND password = 3",
     "dbname='x' host=h sql=\"user\" = 'me' AND password = 3"),
    ("url='https://me:pw@site.test/wfs?a=1&token=abc.def&b=2' username='me' password='x'"
     " filter='user = 5' typename='t'",
     "url='https://site.test/wfs?a=1&b=2' filter='user = 5' typename='t'"),
    ("/maps/a.gpkg|layername=b|subset=user = 'x'", "/maps/a.gpkg|layername=b|subset=user = 'x'"),
    ("/vsicurl/https://me:pw@site.test/a.gpkg", "/vsicurl/https://site.test/a.gpkg"),
    ("C:/maps/Über user/a.shp", "C:/maps/Über user/a.shp"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "expected"), SOURCES)
def test_no_secret_is_kept_of_a_layer(source: str, expected: str) -> None:
    assert rule_sources.without_secrets(source) == expected


def view(rotation: float = 0.0) -> rule_sources.CanvasView:
    settings = QgsMapSettings()
    settings.setOutputSize(QSize(200, 100))
    settings.setDestinationCrs(crs("EPSG:4326"))
    settings.setExtent(QgsRectangle(0, 0, 20, 10))
    settings.setRotation(rotation)
    return rule_sources.CanvasView.of(settings)


def test_the_canvas_is_a_rectangle_or_a_turned_one(project: QgsProject) -> None:
    assert resolved(CANVAS, project, view()).bounds == pytest.approx((0, 0, 20, 10))
    assert isinstance(resolved(CANVAS, project, view()), Extent)
    turned = resolved(CANVAS, project, view(45.0))
    assert turned.area == pytest.approx(200)
    assert turned.contains(Point(10, 5))
    assert not turned.contains(Point(19.5, 5))


REFUSED = [
    ("no canvas", CANVAS, BadAreaReason.NO_CANVAS),
    ("around no canvas", replace(CANVAS, buffer_metres=5.0), BadAreaReason.NO_CANVAS),
    ("countries of no canvas", RuleArea(RuleAreaKind.COUNTRY, base=CANVAS),
     BadAreaReason.NO_CANVAS),
    ("no text of a polygon", polygon("Polygone((1 2))"), BadAreaReason.NO_POLYGONS),
    ("an empty polygon", polygon("Polygon EMPTY"), BadAreaReason.NO_POLYGONS),
    ("no CRS", polygon(SQUARES[0], ""), BadAreaReason.NO_CRS),
    ("an unknown CRS", polygon(SQUARES[0], "EPSG:999999"), BadAreaReason.NO_CRS),
    ("countries of nothing", RuleArea(RuleAreaKind.COUNTRY), BadAreaReason.NO_POLYGONS),
    ("countries of everything", RuleArea(RuleAreaKind.COUNTRY, base=FULL),
     BadAreaReason.NO_POLYGONS),
    ("countries of the open sea",
     RuleArea(RuleAreaKind.COUNTRY, base=polygon("Polygon((-150 -45,-149 -45,-149 -44,-150 -45))")),
     BadAreaReason.NO_COUNTRY),
]  # fmt: skip


@pytest.mark.parametrize(
    ("area", "reason"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_areas_that_are_refused(area: RuleArea, reason: BadAreaReason, project: QgsProject) -> None:
    with pytest.raises(BadArea) as caught:
        resolved(area, project)
    assert caught.value.reason is reason


@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_a_canvas_without_extent_shows_nothing(rotation: float, project: QgsProject) -> None:
    settings = QgsMapSettings()
    settings.setDestinationCrs(crs("EPSG:3857"))
    settings.setRotation(rotation)
    settings.setOutputSize(QSize(400, 300))

    with pytest.raises(EmptyArea):
        resolved(CANVAS, project, rule_sources.CanvasView.of(settings))


def test_no_rules_are_no_area(project: QgsProject) -> None:
    with pytest.raises(BadRules):
        rule_sources.make_areas((), project, None)


def test_drawn_polygons_keep_their_crs(project: QgsProject) -> None:
    square = QgsGeometry.fromRect(QgsRectangle(2600000, 1200000, 2610000, 1210000))
    for system in (crs("EPSG:2056"), crs("PROJ:+proj=laea +lat_0=50 +lon_0=10 +datum=WGS84")):
        drawn = rule_sources.drawn_area(square, system)
        source = rule_sources.make_areas((AreaRule(None, None, drawn),), project, None)
        made = source.rules[0].source
        assert made.crs == system
        assert made.geometry.isGeosEqual(square)


# Countries

COUNTRIES = [
    ("within one", "Polygon((2 46,3 46,3 47,2 47,2 46))", {"France"}),
    ("three", "Polygon((7.4 47.4,7.8 47.4,7.8 47.7,7.4 47.7,7.4 47.4))",
     {"France", "Germany", "Switzerland"}),
    ("a sliver beyond the border", "Polygon((6 46.5,7.7 46.5,7.7 47.58,6 47.58,6 46.5))",
     {"France", "Switzerland"}),
    ("a small country whole", "Polygon((7.3 46.55,10 46.55,10 47.4,7.3 47.4,7.3 46.55))",
     {"Austria", "Liechtenstein", "Switzerland"}),
    ("on both sides of 180", "Polygon((179 -18,181 -18,181 -16,179 -16,179 -18))", {"Fiji"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("wkt", "names"), [case[1:] for case in COUNTRIES], ids=[case[0] for case in COUNTRIES]
)
def test_the_countries_that_an_area_touches(wkt: str, names: set[str], project: QgsProject) -> None:
    area = resolved(RuleArea(RuleAreaKind.COUNTRY, base=polygon(wkt)), project)
    source = ogr.Open(str(countries.world_map()))
    inside, outside = set(), 0
    for feature in source.GetLayerByName("countries"):
        point = feature.GetGeometryRef().PointOnSurface()
        if area.contains(Point(point.GetX(), point.GetY())):
            inside.add(feature.GetField("NAME"))
        else:
            outside += 1
    assert inside == names
    assert outside == 240 - len(names)


def test_the_area_itself_belongs_to_its_countries(project: QgsProject) -> None:
    at_sea = "Polygon((4.0 43.0,4.1 43.0,4.1 43.6,4.0 43.6,4.0 43.0))"  # and a bit of the Camargue
    area = resolved(RuleArea(RuleAreaKind.COUNTRY, base=polygon(at_sea)), project)
    assert area.buffer(1e-6).contains(box(4.0, 43.0, 4.1, 43.6))
    assert area.contains(Point(2.35, 48.85))


def test_without_the_world_map_nobody_knows_countries(
    project: QgsProject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(countries, "world_map", lambda: tmp_path / "gone.gpkg")
    square = polygon(SQUARES[0])
    with pytest.raises(BadArea) as caught:
        resolved(RuleArea(RuleAreaKind.COUNTRY, base=square), project)
    assert caught.value.reason is BadAreaReason.NO_WORLD_MAP
    kinds = [rule.area.kind for rule in rule_sources.suggested_rules(square, many_levels())]
    assert RuleAreaKind.COUNTRY not in kinds


# Areas of levels


def many_levels(first: int = 0, last: int = 19) -> object:
    """A cache of the ArcGIS Online scheme: level 0 is 1:591657527.591555, each half the last."""
    levels = tuple(
        Level(number, 156543.03392800014 / 2**number, 591657527.591555 / 2**number)
        for number in range(first, last + 1)
    )
    cache = web_mercator()
    return replace(cache, scheme=replace(cache.scheme, levels=levels), cached_levels=levels)


def mercator_box(xmin: float, ymin: float, xmax: float, ymax: float) -> RuleArea:
    return polygon(box(xmin, ymin, xmax, ymax).wkt, "EPSG:3857")


def test_each_level_has_the_area_of_its_rule(project: QgsProject) -> None:
    wide, narrow = mercator_box(0, 0, 5e6, 4e6), mercator_box(1e6, 1e6, 2e6, 1.5e6)
    rules = (
        AreaRule(None, 1e8, FULL),
        AreaRule(8e7, 1e7, wide),
        AreaRule(1.1e6, 1e5, narrow),
        AreaRule(1e5, 5e4, wide),
    )
    source = rule_sources.make_areas(rules, project, None)
    found = areas.resolve(source, many_levels())
    assert [group.level_ids for group in found] == [(0, 1, 2), (3, 4, 5, 13), (10, 11, 12)]
    assert found[0].area is None
    assert found[1].area.equals(box(0, 0, 5e6, 4e6))
    assert found[2].area.equals(box(1e6, 1e6, 2e6, 1.5e6))


def test_tiles_are_counted_in_the_area_of_each_level(project: QgsProject) -> None:
    bounds = {"wide": (1e5, 2e5, 5e6, 4e6), "narrow": (1e6, 1e6, 2e6, 1.5e6)}
    rules = (
        AreaRule(None, 1e8, FULL),
        AreaRule(8e7, 1e7, mercator_box(*bounds["wide"])),
        AreaRule(1.1e6, None, mercator_box(*bounds["narrow"])),
    )
    cache = many_levels(0, 14)
    task = tasks.CountTask(
        rule_sources.make_areas(rules, project, None), cache, cache.cached_levels
    )
    _signal, counted = task.work()
    half, expected = 20037508.342789244, {}
    for level in (*range(6), *range(10, 15)):
        side = 2 * half / 2**level
        xmin, ymin, xmax, ymax = bounds["wide" if level < 6 else "narrow"]
        columns = math.floor((xmax + half) / side) - math.floor((xmin + half) / side) + 1
        rows = math.floor((half - ymin) / side) - math.floor((half - ymax) / side) + 1
        expected[level] = 4**level if level < 3 else columns * rows
    assert counted.tiles == expected
    assert [group.level_ids for group in counted.area] == [
        (0, 1, 2),
        (3, 4, 5),
        tuple(range(10, 15)),
    ]


def test_a_layer_of_several_rules_is_read_once(
    project: QgsProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    polygons = areas.LayerArea.polygons

    def counting(self: areas.LayerArea, cancelled: object) -> Iterator:
        read.append(1)
        return polygons(self, cancelled)

    monkeypatch.setattr(areas.LayerArea, "polygons", counting)
    layer = rule_sources.layer_area(parcels(project))
    rules = rule_sources.suggested_rules(layer, many_levels())
    found = areas.resolve(rule_sources.make_areas(rules, project, None), many_levels())
    assert len(found) == 4
    assert read == [1]


def test_areas_of_rules_are_snapshots_for_any_thread(project: QgsProject) -> None:
    layer = rule_sources.layer_area(parcels(project), "\"use\" = 'wood'")
    rules = (
        AreaRule(None, 1e7, RuleArea(RuleAreaKind.COUNTRY, base=layer)),
        AreaRule(1e7, None, replace(layer, buffer_metres=1000.0)),
    )
    source = rule_sources.make_areas(rules, project, None)
    project.clear()
    found: list[object] = []

    def resolve() -> None:
        found.extend(areas.resolve(source, web_mercator()))
        found.append(areas.preview(source, None, crs("EPSG:4326")))

    thread = threading.Thread(target=resolve)
    thread.start()
    thread.join(60)
    assert [group.level_ids for group in found[:2]] == [(0, 1), (6, 12)]
    assert found[2].contains(QgsGeometry.fromWkt("Point(2 47)"))  # France, which the wood touches


def test_levels_in_no_rule_at_all_are_never_the_whole_cache(project: QgsProject) -> None:
    source = rule_sources.make_areas((AreaRule(10, 1, FULL),), project, None)
    with pytest.raises(LevelsWithoutArea) as caught:
        areas.resolve(source, swiss())
    assert caught.value.scales == (1889765, 37795)


def test_an_area_outside_the_cache_is_said_with_its_scales(project: QgsProject) -> None:
    rules = (AreaRule(None, 1e6, FULL), AreaRule(1e6, None, polygon("Polygon((0 0,1 0,1 1,0 0))")))
    source = rule_sources.make_areas(rules, project, None)
    with pytest.raises(AreaOutside) as caught:
        areas.resolve(source, swiss())
    assert caught.value.scales == (37795,)
    assert "1:37" in messages.sentence(caught.value)


def test_an_area_that_no_level_has_is_not_asked_for(project: QgsProject) -> None:
    rules = (AreaRule(None, 1e4, FULL), AreaRule(1e3, None, polygon("Polygon((0 0,1 0,1 1,0 0))")))
    (only,) = areas.resolve(rule_sources.make_areas(rules, project, None), swiss())
    assert only.level_ids == (0, 1)


def test_the_preview_shows_all_areas(project: QgsProject) -> None:
    rules = (
        AreaRule(None, 1e6, polygon("Polygon((0 0,10 0,10 10,0 10,0 0))")),
        AreaRule(1e6, 1e5, polygon("Polygon((20 0,30 0,30 10,20 10,20 0))")),
        AreaRule(1e5, None, RuleArea(RuleAreaKind.COUNTRY, base=polygon(SQUARES[0]))),
    )
    source = rule_sources.make_areas(rules, project, None)
    assert areas.reads_features(source)
    shown = areas.preview(source, None, crs("EPSG:4326"))
    for x, y, is_shown in ((5, 5, True), (15, 5, False), (25, 5, True), (2, 47, True)):
        assert shown.contains(QgsGeometry.fromWkt(f"Point({x} {y})")) == is_shown


# What suggests itself

SUGGESTED = [
    ("all scales", 0, 19, [
        (RuleAreaKind.FULL, 0, 6), (RuleAreaKind.COUNTRY, 7, 9),
        ("around", 10, 12), ("area", 13, 19)]),
    ("overviews only", 0, 5, [(RuleAreaKind.FULL, 0, 5)]),
    ("a city's cache", 12, 19, [("around", 12, 12), ("area", 13, 19)]),
    ("streets only", 15, 19, [("area", 15, 19)]),
    ("one scale", 8, 8, [(RuleAreaKind.COUNTRY, 8, 8)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "last", "expected"), [case[1:] for case in SUGGESTED], ids=[c[0] for c in SUGGESTED]
)
def test_rules_that_suggest_themselves(first: int, last: int, expected: list) -> None:
    area, cache = polygon(SQUARES[0]), many_levels(first, last)
    rules = rule_sources.suggested_rules(area, cache, 2500.0)
    made = {"around": replace(area, buffer_metres=2500.0), "area": area,
            RuleAreaKind.FULL: FULL,
            RuleAreaKind.COUNTRY: RuleArea(RuleAreaKind.COUNTRY, base=area),
    }  # fmt: skip
    assert [rule.area for rule in rules] == [made[case[0]] for case in expected]
    for rule, (_, coarsest, finest) in zip(rules, expected):
        held = [level.id for level in cache.cached_levels if rule.holds(level)]
        assert held == list(range(coarsest, finest + 1))
    assert (rules[0].from_scale, rules[-1].to_scale) == (None, None)
    assert all(rule_of(rules, level) is not None for level in cache.cached_levels)


def test_what_suggests_itself_around_other_areas() -> None:
    cache = many_levels()
    assert rule_sources.suggested_rules(FULL, cache) == (AreaRule(None, None, FULL),)
    wide = replace(polygon(SQUARES[0]), buffer_metres=500.0)
    rules = rule_sources.suggested_rules(wide, cache)
    assert [rule.area.buffer_metres for rule in rules] == [0.0, 0.0, 10500.0, 500.0]
    assert rules[1].area.base == polygon(SQUARES[0])
    country = RuleArea(RuleAreaKind.COUNTRY, base=polygon(SQUARES[0]))
    kinds = [rule.area.kind for rule in rule_sources.suggested_rules(country, cache)]
    assert kinds == [RuleAreaKind.FULL, *[RuleAreaKind.COUNTRY] * 3]
    none = replace(cache, cached_levels=(), scheme=replace(cache.scheme, levels=()))
    assert rule_sources.suggested_rules(wide, none) == ()


# In words

LAYER = RuleArea(RuleAreaKind.LAYER, layer_name="Parcels")
TEXTS = [
    (FULL, "Full extent"),
    (CANVAS, "Map canvas"),
    (LAYER, "Parcels"),
    (replace(LAYER, expression="a = 1", buffer_metres=10000.0), "Parcels, a = 1, + 10 km"),
    (replace(LAYER, selected_only=True, buffer_metres=250.0), "Parcels, selected, + 250 m"),
    (RuleArea(RuleAreaKind.COUNTRY, base=LAYER), "Countries of: Parcels"),
    (RuleArea(RuleAreaKind.COUNTRY, base=LAYER, buffer_metres=1500.0),
     "Countries of: Parcels, + 1.5 km"),
    (replace(polygon(SQUARES[0]), buffer_metres=12345.6), "Drawn area, + 12.3456 km"),
    (replace(LAYER, layer_name="<b>A</b>\n"), "A"),
]  # fmt: skip


@pytest.fixture
def _american() -> Iterator[None]:
    before = QLocale()
    QLocale.setDefault(QLocale("en_US"))
    yield
    QLocale.setDefault(before)


@pytest.mark.usefixtures("_american")
@pytest.mark.parametrize(("area", "expected"), TEXTS)
def test_areas_of_rules_in_words(area: RuleArea, expected: str) -> None:
    assert messages.rule_area_text(area) == expected


@pytest.mark.usefixtures("_american")
def test_rules_gaps_and_overlaps_in_words() -> None:
    assert messages.rule_text(AreaRule(1e6, 1e5, LAYER)) == "1:1,000,000 to 1:100,000: Parcels"
    assert messages.rule_text(AreaRule(None, 1e5, FULL)) == "1:100,000 and coarser: Full extent"
    assert messages.rule_text(AreaRule(1e5, None, FULL)) == "1:100,000 and finer: Full extent"
    assert messages.rule_text(AreaRule(None, None, FULL)) == "All scales: Full extent"
    levels = many_levels().cached_levels
    assert messages.gaps_text(()) == messages.overlaps_text(()) == ""
    assert messages.gaps_text(levels[13:14]) == (
        "No rule holds 1:72,224: add one, or nothing is done there."
    )
    assert messages.overlaps_text(levels[13:15]) == (
        "More than one rule holds 1:72,224, 1:36,112: the first of them counts."
    )
    assert "and 14 more" in messages.gaps_text(levels)


def test_layers_of_the_project_are_not_changed(project: QgsProject) -> None:
    layer = layer_of(SQUARES)
    project.addMapLayer(layer)
    rules = rule_sources.suggested_rules(rule_sources.layer_area(layer), many_levels())
    rule_sources.make_areas(rules, project, None)
    assert list(project.mapLayers()) == [layer.id()]
    assert layer.subsetString() == ""
