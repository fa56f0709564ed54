"""The table of rules: which scales, which area, how many tiles, how large."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qgis.PyQt.QtCore import Qt

from tile_cache_manager.plugin.core.description import CacheDescription, LevelStatus
from tile_cache_manager.plugin.host.area_rules import AreaRule, RuleArea, RuleAreaKind
from tile_cache_manager.ui.rules_model import Column, RulesModel

FULL = RuleArea(RuleAreaKind.FULL)
CANVAS = RuleArea(RuleAreaKind.CANVAS)
# Scales of the ArcGIS Online scheme, as Esri's documentation lists them.
SCALE_4, SCALE_5, SCALE_6 = 36978595.474472, 18489297.737236, 9244648.868618
OVERVIEW = AreaRule(None, SCALE_4, FULL)
REST = AreaRule(SCALE_5, None, CANVAS)
KB = 1024


@pytest.fixture
def model(qgis_app: Any) -> RulesModel:
    return RulesModel()


def shown(model: RulesModel, column: Column) -> list[str]:
    return [model.index(row, column).data() for row in range(model.rowCount())]


def ticked(streets: CacheDescription, *ids: int) -> tuple[Any, ...]:
    return tuple(level for level in streets.cached_levels if level.id in ids)


def test_the_columns(model: RulesModel) -> None:
    titles = [model.headerData(column, Qt.Orientation.Horizontal) for column in Column]
    assert titles == ["From", "To", "Area", "Tiles", "Size"]
    tip = model.headerData(Column.SIZE, Qt.Orientation.Horizontal, int(Qt.ItemDataRole.ToolTipRole))
    assert "About" in tip
    assert "10.0 kB" in tip.replace("KB", "kB")


def test_a_row_says_scales_and_area(model: RulesModel) -> None:
    model.set_rules((OVERVIEW, AreaRule(SCALE_5, SCALE_6, CANVAS), REST))

    assert shown(model, Column.FROM) == ["Any", "1:18,489,298", "1:18,489,298"]
    assert shown(model, Column.TO) == ["1:36,978,595", "1:9,244,649", "Any"]
    assert shown(model, Column.AREA) == ["Full extent", "Map canvas", "Map canvas"]


# ids of the ticked levels, counts by level id, the column of tiles
COUNTS = [
    ((3, 4, 5), {}, ["", ""]),
    ((3, 4, 5), {3: 64, 4: 256, 5: 1024}, ["320", "1,024"]),
    ((4, 5), {3: 64, 4: 256, 5: 1024}, ["256", "1,024"]),
    ((3, 4, 5), {3: 64, 5: 7}, ["…", "7"]),
    ((5,), {3: 64, 5: 7}, ["0", "7"]),
    ((), {3: 64, 5: 7}, ["", ""]),
]


@pytest.mark.parametrize(("ids", "counts", "expected"), COUNTS)
def test_tiles_are_those_of_the_ticked_scales(
    model: RulesModel,
    streets: CacheDescription,
    ids: tuple[int, ...],
    counts: dict[int, int],
    expected: list[str],
) -> None:
    model.set_rules((OVERVIEW, REST))
    model.set_ticked(ticked(streets, *ids))
    model.set_counts(counts)

    assert shown(model, Column.TILES) == expected


def test_of_two_rules_the_upper_one_counts(model: RulesModel, streets: CacheDescription) -> None:
    model.set_ticked(ticked(streets, 4, 5))
    model.set_counts({4: 256, 5: 1024})

    model.set_rules((AreaRule(None, SCALE_5, FULL), REST))
    assert shown(model, Column.TILES) == ["1,280", "0"]
    model.set_rules((REST, AreaRule(None, SCALE_5, FULL)))
    assert shown(model, Column.TILES) == ["1,024", "256"]
    model.set_rules((REST, REST))
    assert shown(model, Column.TILES) == ["1,024", "0"]


# what the service tells of its levels (id, tiles, bytes), the column of sizes for 2 tiles of level
# 4 and 3 of level 5
SIZES = [
    ((), ["≈ 20.0 KB", "≈ 30.0 KB"]),
    (((4, 10, None),), ["≈ 20.0 KB", "≈ 30.0 KB"]),
    (((4, 10, 40 * KB),), ["≈ 8.0 KB", "≈ 12.0 KB"]),
    (((4, 10, 40 * KB), (5, 10, 20 * KB)), ["≈ 8.0 KB", "≈ 6.0 KB"]),
    (((3, 10, 40 * KB), (6, 30, 20 * KB)), ["≈ 3.0 KB", "≈ 4.5 KB"]),
    (((3, 0, 0), (4, 10, 40 * KB)), ["≈ 8.0 KB", "≈ 12.0 KB"]),
]


@pytest.mark.parametrize(("told", "expected"), SIZES)
def test_sizes_are_reckoned_from_what_the_service_tells(
    model: RulesModel, streets: CacheDescription, told: tuple[Any, ...], expected: list[str]
) -> None:
    status = tuple(LevelStatus(id_, tiles, None, size) for id_, tiles, size in told)
    model.set_description(replace(streets, status=status))
    model.set_rules((OVERVIEW, REST))
    model.set_ticked(ticked(streets, 4, 5))
    model.set_counts({4: 2, 5: 3})

    assert [text.replace("kB", "KB") for text in shown(model, Column.SIZE)] == expected


def test_the_tool_tip_lists_the_scales(model: RulesModel, streets: CacheDescription) -> None:
    model.set_rules((OVERVIEW, REST, AreaRule(5.0, 5.0, FULL)))
    model.set_ticked(ticked(streets, 0, 3, 4, 5))
    model.set_counts({0: 1, 3: 64, 4: 256})

    tips = [model.index(row, 0).data(Qt.ItemDataRole.ToolTipRole) for row in range(3)]

    assert [tip.replace("kB", "KB").split("\n") for tip in tips] == [
        [
            "Full extent",
            "1:591,657,528: 1 tile, about 10.0 KB",
            "1:73,957,191: 64 tiles, about 640.0 KB",
            "1:36,978,595: 256 tiles, about 2.5 MB",
        ],
        ["Map canvas", "1:18,489,298: not counted yet"],
        ["Full extent", "No ticked scale falls under this rule."],
    ]


def test_a_change_of_rules_is_told_once(model: RulesModel) -> None:
    told: list[int] = []
    model.rules_changed.connect(lambda: told.append(model.rowCount()))

    model.set_rules((OVERVIEW, REST))
    model.set_rules((OVERVIEW, REST))

    assert told == [2]
