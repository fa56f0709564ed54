"""AREA_RULES of `tilecache:managetiles`: an area for each range of scales, from a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from processing_inputs import EUROPE, counts, polygon_layer, scales_of
from qgis.core import QgsProcessingException, QgsProperty
from qgis.PyQt.QtCore import QVariant

from tile_cache_manager.plugin.host import rule_file
from tile_cache_manager.plugin.host.area_rules import AreaRule, RuleArea, RuleAreaKind
from tile_cache_manager.plugin.host.rule_sources import layer_area

pytestmark = pytest.mark.qgis

FULL = RuleArea(RuleAreaKind.FULL)
PARIS = RuleArea(
    RuleAreaKind.GEOMETRY,
    wkt="Polygon((2.2 48.8, 2.4 48.8, 2.4 48.9, 2.2 48.9, 2.2 48.8))",
    crs="EPSG:4326",
)


def saved(path: Path, *rules: AreaRule) -> str:
    rule_file.save_rules(path, rules)
    return str(path)


def test_each_scale_is_updated_in_its_own_area(run: Any, fresh_site: Any, tmp_path: Path) -> None:
    europe = layer_area(polygon_layer(EUROPE))
    rules = saved(
        tmp_path / "rules.json",
        AreaRule(None, 2.9e8, FULL),
        AreaRule(2e8, 5e7, europe),
        AreaRule(5e7, None, PARIS),
    )

    results = run(SCALES=scales_of(fresh_site, 1, 3, 5), AREA_RULES=rules)

    # Level 3: 45 degrees of longitude a tile, columns 3 and 4; rows 2 (41 to 66 N) and 3.
    # Level 5: Paris is in one tile.
    assert counts(fresh_site) == {1: 4, 3: 4, 5: 1}
    assert results["TILES"] == 9
    assert len(fresh_site.jobs("classic")) == 3


def test_a_scale_in_no_rule_is_refused(run: Any, fresh_site: Any, tmp_path: Path) -> None:
    rules = saved(tmp_path / "rules.json", AreaRule(None, 2.9e8, FULL))

    with pytest.raises(QgsProcessingException, match="leave out 1:73,957,191"):
        run(SCALES=scales_of(fresh_site, 1, 3), AREA_RULES=rules)

    assert fresh_site.jobs("classic") == []


@pytest.mark.parametrize(
    "beside", ["AREA_OF_INTEREST", "UPDATE_EXTENT"], ids=["an area", "an extent"]
)
@pytest.mark.parametrize("checked", [True, False], ids=["checked first", "not checked"])
def test_rules_beside_another_area_are_refused(
    run: Any, run_unchecked: Any, fresh_site: Any, tmp_path: Path, beside: str, checked: bool
) -> None:
    rules = saved(tmp_path / "rules.json", AreaRule(None, None, FULL))
    other = polygon_layer(EUROPE) if beside == "AREA_OF_INTEREST" else "0,10,40,50 [EPSG:4326]"

    with pytest.raises(QgsProcessingException, match=f"leave out {beside}"):
        (run if checked else run_unchecked)(
            SCALES=scales_of(fresh_site, 1), AREA_RULES=rules, **{beside: other}
        )

    assert fresh_site.jobs("classic") == []


ALL_SCALES = {"from_scale": None, "to_scale": None}
BAD_FILES = [
    ("no such file", None, "No such file"),
    ("another file", {"type": "FeatureCollection"}, "format"),
    ("no scale", {"format": rule_file.FORMAT, "version": 1,
                  "rules": [{**ALL_SCALES, "from_scale": "x", "area": {"kind": "canvas"}}]},
     r"rules\[0\]\.from_scale"),
    ("a layer that is gone", {"format": rule_file.FORMAT, "version": 1, "rules": [
        {**ALL_SCALES, "area": {"kind": "layer", "layer_name": "Forests",
                                "layer_source": "/gone.gpkg", "provider": "ogr"}}]},
     "Forests.*is not in the project"),
    ("a canvas", {"format": rule_file.FORMAT, "version": 1,
                  "rules": [{**ALL_SCALES, "area": {"kind": "canvas"}}]}, "map canvas"),
    ("a ring that does not close", {"format": rule_file.FORMAT, "version": 1, "rules": [
        {**ALL_SCALES, "area": {"kind": "geometry", "wkt": "POLYGON((0 45",
                                "crs": "EPSG:4326"}}]}, "no polygons|is no polygon"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"), [case[1:] for case in BAD_FILES], ids=[case[0] for case in BAD_FILES]
)
def test_files_that_say_no_area(
    run: Any, fresh_site: Any, tmp_path: Path, content: object, said: str
) -> None:
    path = tmp_path / "rules.json"
    if content is not None:
        path.write_text(json.dumps(content))

    with pytest.raises(QgsProcessingException, match=said):
        run(SCALES=scales_of(fresh_site, 1), AREA_RULES=str(path))

    assert fresh_site.jobs("classic") == []


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  ",
        QgsProperty.fromExpression("@there_is_no_such_variable"),
        QgsProperty.fromExpression("''"),
    ],
    ids=["no text", "blanks", "an expression without result", "an expression of no text"],
)
@pytest.mark.parametrize("checked", [True, False], ids=["checked first", "not checked"])
def test_rules_that_come_to_nothing_are_never_the_whole_cache(
    run: Any, run_unchecked: Any, fresh_site: Any, value: object, checked: bool
) -> None:
    with pytest.raises(QgsProcessingException):
        (run if checked else run_unchecked)(SCALES=scales_of(fresh_site, 1), AREA_RULES=value)

    assert fresh_site.jobs("classic") == []


@pytest.mark.parametrize("value", [None, QVariant(QVariant.Type.String)], ids=["none", "NULL"])
def test_what_qgis_s_own_forms_leave_where_no_file_was_chosen_is_none(
    run: Any, fresh_site: Any, value: object
) -> None:
    run(SCALES=scales_of(fresh_site, 1), AREA_RULES=value)

    assert counts(fresh_site) == {1: 4}
