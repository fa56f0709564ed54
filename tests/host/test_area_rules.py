"""Rules of areas by scale: which levels they reach, and the file that keeps them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tile_cache_manager.plugin.core.errors import BadRules, StorageError
from tile_cache_manager.plugin.core.tiling import Level
from tile_cache_manager.plugin.host import rule_file
from tile_cache_manager.plugin.host.area_rules import (
    AreaRule,
    RuleArea,
    RuleAreaKind,
    ScaleRange,
    gaps,
    levels_of,
    overlaps,
    rule_of,
)

pytestmark = pytest.mark.usefixtures("qgis_app")

FULL = RuleArea(RuleAreaKind.FULL)
CANVAS = RuleArea(RuleAreaKind.CANVAS)
LEVELS = tuple(Level(index, 1, 1024000 / 2**index) for index in range(6))  # 1:1024000 to 1:32000
# from, to, which of the levels it holds
RANGES = [
    ("open at both ends", None, None, (0, 1, 2, 3, 4, 5)),
    ("open to the coarse side", None, 256000, (0, 1, 2)),
    ("open to the fine side", 128000, None, (3, 4, 5)),
    ("both ends are in it", 512000, 128000, (1, 2, 3)),
    ("the other way round", 128000, 512000, (1, 2, 3)),
    ("one scale", 256000, 256000, (2,)),
    ("ends within the tolerance", 511500, 128120, (1, 2, 3)),
    ("ends beyond the tolerance", 511400, 128200, (2,)),
    ("between levels", 255000, 129000, ()),
    ("finer than all", 31000, 1, ()),
]


@pytest.mark.parametrize(
    ("coarse", "fine", "held"), [case[1:] for case in RANGES], ids=[case[0] for case in RANGES]
)
def test_which_levels_a_rule_holds(
    coarse: float | None, fine: float | None, held: tuple[int, ...]
) -> None:
    rule = AreaRule(coarse, fine, FULL)
    assert tuple(level.id for level in LEVELS if rule.holds(level)) == held


def rules_of(*ranges: tuple[float | None, float | None]) -> tuple[ScaleRange, ...]:
    return tuple(ScaleRange(*each) for each in ranges)


# ranges, the index of the rule of each level, levels in none, levels in several
SETS = [
    ("no rules", (), (None,) * 6, (0, 1, 2, 3, 4, 5), ()),
    ("side by side", ((None, 512000), (256000, None)), (0, 0, 1, 1, 1, 1), (), ()),
    ("a gap", ((None, 512000), (128000, None)), (0, 0, None, 1, 1, 1), (2,), ()),
    ("an overlap: the first wins", ((None, 128000), (256000, None)), (0, 0, 0, 0, 1, 1), (),
     (2, 3)),
    ("the last holds all", ((256000, 256000), (None, None)), (1, 1, 0, 1, 1, 1), (), (2,)),
    ("the first hides the last", ((None, None), (256000, 256000)), (0,) * 6, (), (2,)),
    ("three over one", ((512000, 256000), (512000, 256000), (512000, 512000)),
     (None, 0, 0, None, None, None), (0, 3, 4, 5), (1, 2)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ranges", "chosen", "left_out", "several"),
    [case[1:] for case in SETS],
    ids=[case[0] for case in SETS],
)
def test_the_rule_of_each_level(
    ranges: tuple, chosen: tuple, left_out: tuple, several: tuple
) -> None:
    rules = rules_of(*ranges)
    found = [rule_of(rules, level) for level in LEVELS]
    assert found == [None if index is None else rules[index] for index in chosen]
    assert tuple(level.id for level in gaps(rules, LEVELS)) == left_out
    assert tuple(level.id for level in overlaps(rules, LEVELS)) == several
    for index in range(len(rules)):
        own = tuple(level.id for level in levels_of(rules, index, LEVELS))
        assert own == tuple(each for each in range(6) if chosen[each] == index)


RULES = (
    AreaRule(None, 9244648.868618, FULL),
    AreaRule(4622324.434309, 1155581.108577, RuleArea(
        RuleAreaKind.COUNTRY, base=RuleArea(RuleAreaKind.LAYER, "p1", "Flurstücke \"1\"", "/a.gpkg",
                                            "ogr", expression="\"art\" = 'Wald'"))),
    AreaRule(577790.554289, 1e5, RuleArea(
        RuleAreaKind.LAYER, "p1", "Flurstücke", "/a.gpkg|layername=b", "ogr", selected_only=True,
        buffer_metres=10000.5)),
    AreaRule(72223.819286, 4513.988705, RuleArea(
        RuleAreaKind.GEOMETRY, wkt="Polygon ((7 47, 7.1 47, 7.1 47.1, 7 47))", crs="EPSG:4326")),
    AreaRule(2256.994353, None, CANVAS),
)  # fmt: skip


def test_a_file_gives_back_all_that_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "Regeln für Tübingen.json"
    path.write_text("what was there before")
    rule_file.save_rules(path, RULES)
    assert rule_file.load_rules(path) == RULES
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_the_file_is_json_that_others_can_write_too() -> None:
    written = {
        "format": "tile_cache_manager areas by scale",
        "version": 1,
        "made_by": "a later version",
        "rules": [
            {"from_scale": None, "to_scale": 1000000, "area": {"kind": "full extent"}},
            {"from_scale": 500000, "to_scale": None,
             "area": {"kind": "layer", "layer_name": "Parcels", "buffer_metres": 5}},
        ],
    }  # fmt: skip
    expected = (
        AreaRule(None, 1000000.0, FULL),
        AreaRule(500000.0, None, RuleArea(RuleAreaKind.LAYER, layer_name="Parcels",
                                          buffer_metres=5.0)),
    )  # fmt: skip
    assert rule_file.read_rules(json.dumps(written)) == expected
    assert json.loads(rule_file.rules_text(RULES))["version"] == 1


def with_rule(**changes: object) -> str:
    rule = {"from_scale": 1000, "to_scale": 10, "area": {"kind": "full extent"}, **changes}
    return with_rules([rule])


def with_area(**values: object) -> str:
    return with_rule(area={"kind": "layer", **values})


def with_rules(rules: object, version: object = 1) -> str:
    return json.dumps({"format": rule_file.FORMAT, "version": version, "rules": rules})


BAD = [
    ("nothing", "", "JSON"),
    ("no JSON", "<html>", "JSON"),
    ("a list", "[]", "JSON"),
    ("too deep", "[" * 200_000, "JSON"),
    ("another file", '{"type": "FeatureCollection"}', "format"),
    ("a later version", with_rules([], version=2), "version"),
    ("version of another type", with_rules([], version=True), "version"),
    ("no rules", with_rules([]), "rules"),
    ("rules of another type", with_rules({"a": 1}), "rules"),
    ("very many rules", with_rules([{"area": {"kind": "canvas"}}] * 1001), "rules"),
    ("a rule of another type", with_rules(["x"]), "rules[0]"),
    ("no area", with_rules([{"from_scale": None, "to_scale": None}]), "rules[0].area"),
    ("no scales", with_rules([{"area": {"kind": "canvas"}}]), "rules[0].from_scale"),
    ("one end only", with_rules([{"from_scale": 5, "area": {"kind": "canvas"}}]),
     "rules[0].to_scale"),
    ("a misspelt scale", with_rule(from_scales=5), "rules[0].from_scales"),
    ("a misspelt filter", with_area(filter="1 = 2"), "rules[0].area.filter"),
    ("a misspelt filter of a base",
     with_rule(area={"kind": "countries", "base": {"kind": "layer", "filter": "x"}}),
     "rules[0].area.base.filter"),
    ("an unknown kind", with_rule(area={"kind": "universe"}), "rules[0].area.kind"),
    ("a kind that is no text", with_rule(area={"kind": ["layer"]}), "rules[0].area.kind"),
    ("a scale as text", with_rule(from_scale="1000"), "rules[0].from_scale"),
    ("a scale of true", with_rule(to_scale=True), "rules[0].to_scale"),
    ("a scale of 0", with_rule(to_scale=0), "rules[0].to_scale"),
    ("a negative scale", with_rule(from_scale=-5), "rules[0].from_scale"),
    ("NaN", with_rule(from_scale=float("nan")), "rules[0].from_scale"),
    ("infinite", with_rule(to_scale=float("inf")), "rules[0].to_scale"),
    ("larger than any number", with_rule(to_scale=10**400), "rules[0].to_scale"),
    ("a negative buffer", with_area(buffer_metres=-1), "rules[0].area.buffer_metres"),
    ("a buffer of NaN", with_area(buffer_metres=float("nan")), "rules[0].area.buffer_metres"),
    ("a filter that is no text", with_area(expression=5), "rules[0].area.expression"),
    ("no filter where one was", with_area(expression=None), "rules[0].area.expression"),
    ("selected as text", with_area(selected_only="false"), "rules[0].area.selected_only"),
    ("selected as number", with_area(selected_only=1), "rules[0].area.selected_only"),
    ("countries of nothing", with_rule(area={"kind": "countries"}), "rules[0].area.base"),
    ("countries of everything",
     with_rule(area={"kind": "countries", "base": {"kind": "full extent"}}),
     "rules[0].area.base.kind"),
    ("countries of countries",
     with_rule(area={"kind": "countries", "base": {"kind": "countries"}}),
     "rules[0].area.base.kind"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "detail"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_what_is_no_file_of_rules(text: str, detail: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadRules) as caught:
        rule_file.load_rules(path)
    assert (caught.value.name, caught.value.detail) == (str(path), detail)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    latin, huge = tmp_path / "latin.json", tmp_path / "huge.json"
    latin.write_bytes(b'{"a": "\xe4"}')
    with huge.open("wb") as file:
        file.truncate(rule_file.MOST_BYTES + 1)
    for path, detail in (
        (latin, "UTF-8"),
        (huge, "> 20 MB"),
        (tmp_path, ""),
        (tmp_path / "gone.json", "No such file or directory"),
        (tmp_path / "nul\0.json", ""),
    ):
        with pytest.raises(BadRules) as caught:
            rule_file.load_rules(path)
        assert detail in caught.value.detail


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    in_the_way = tmp_path / "folder.json"
    in_the_way.mkdir()
    with pytest.raises(StorageError):
        rule_file.save_rules(in_the_way, RULES)
    assert list(tmp_path.iterdir()) == [in_the_way]


def test_a_byte_order_mark_is_welcome(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    path.write_text(rule_file.rules_text(RULES), encoding="utf-8-sig")
    assert rule_file.load_rules(path) == RULES


def test_equal_areas_are_equal() -> None:
    area = RULES[1].area
    assert len({area, replace(area, base=replace(area.base)), replace(area, expression="x")}) == 2


def test_the_example_that_people_write_their_own_by_can_be_read() -> None:
    readme = Path(__file__).resolve().parents[2] / "README.md"
    example = readme.read_text("utf-8").partition("```json\n")[2].partition("```")[0]

    world, countries, town = rule_file.read_rules(example)

    assert (world.from_scale, world.to_scale, world.area) == (None, 5e6, FULL)
    assert countries.area.kind is RuleAreaKind.COUNTRY
    assert countries.area.base.layer_source == town.area.layer_source
    assert (town.to_scale, town.area.buffer_metres) == (None, 2000)
    assert town.area.expression == "\"name\" = 'Centre'"
