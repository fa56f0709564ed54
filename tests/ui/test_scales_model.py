"""The checkable list of scales."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.PyQt.QtCore import QLocale, Qt

from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.ui.scales_model import Column, ScalesModel, resolution_text

TICKS = Qt.ItemDataRole.CheckStateRole
CHECKED = Qt.CheckState.Checked


@pytest.fixture
def model(qgis_app: Any, world: CacheDescription) -> ScalesModel:
    model = ScalesModel()
    model.set_description(world, "m")
    return model


def ticked(model: ScalesModel) -> list[int]:
    return [level.id for level in model.ticked_levels()]


def texts(model: ScalesModel, column: Column) -> list[str]:
    return [model.index(row, column).data() for row in range(model.rowCount())]


# a column, words that tell what its numbers are of
MEANINGS = [(Column.TILES, "area of interest touches"), (Column.CACHED, "whole scale")]


@pytest.mark.parametrize(("column", "words"), MEANINGS)
def test_the_head_of_a_column_says_what_it_counts(
    model: ScalesModel, column: Column, words: str
) -> None:
    tip = model.headerData(column, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
    assert words in tip


def test_the_cached_scales_are_ticked_at_first(model: ScalesModel) -> None:
    assert ticked(model) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("row", [0, 6, 9])
def test_scales_outside_the_cache_are_grey_and_say_why(model: ScalesModel, row: int) -> None:
    for column in Column:
        index = model.index(row, column)
        assert not index.flags() & Qt.ItemFlag.ItemIsEnabled
        assert "does not cache it" in index.data(Qt.ItemDataRole.ToolTipRole)
    assert not model.setData(model.index(row, 0), CHECKED, TICKS)
    assert ticked(model) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("row", [1, 5])
def test_cached_scales_can_be_ticked(model: ScalesModel, row: int) -> None:
    index = model.index(row, Column.SCALE)
    assert index.flags() & Qt.ItemFlag.ItemIsUserCheckable
    assert index.flags() & Qt.ItemFlag.ItemIsEnabled
    assert index.data(Qt.ItemDataRole.ToolTipRole) is None


# what is done to the list, the ids ticked then
CHANGES = [
    (lambda model: model.tick_none(), []),
    (lambda model: model.tick_all(), [1, 2, 3, 4, 5]),
    (lambda model: model.invert(), []),
    (lambda model: (model.tick_range(2, 3), model.invert()), [1, 4, 5]),
    (lambda model: model.tick_range(2, 4), [2, 3, 4]),
    (lambda model: model.tick_range(4, 2), [2, 3, 4]),
    (lambda model: model.tick_range(3, 3), [3]),
    (lambda model: model.tick_range(0, 9), [1, 2, 3, 4, 5]),
    (lambda model: model.toggle_rows([2, 3]), [1, 4, 5]),
    (lambda model: (model.tick_range(2, 2), model.toggle_rows([2, 3])), [2, 3]),
    (lambda model: model.toggle_rows([0, 9]), [1, 2, 3, 4, 5]),
]


@pytest.mark.parametrize(("change", "expected"), CHANGES)
def test_ticking_many(model: ScalesModel, change: Any, expected: list[int]) -> None:
    change(model)

    assert ticked(model) == expected


# Qt 5 hands over the enum member or its number, Qt 6 the number.
@pytest.mark.parametrize("value", [0, Qt.CheckState.Unchecked])
def test_unticking_as_qt_does(model: ScalesModel, value: Any) -> None:
    assert model.setData(model.index(2, 0), value, TICKS)
    assert ticked(model) == [1, 3, 4, 5]


@pytest.mark.parametrize("value", [2, Qt.CheckState.Checked])
def test_ticking_as_qt_does(model: ScalesModel, value: Any) -> None:
    model.tick_none()

    assert model.setData(model.index(2, 0), value, TICKS)
    assert ticked(model) == [2]


def test_one_change_is_told_once(model: ScalesModel) -> None:
    told: list[bool] = []
    model.ticked_changed.connect(lambda: told.append(True))

    model.tick_none()
    model.tick_none()
    model.tick_all()

    assert len(told) == 2


def test_what_the_columns_say(model: ScalesModel) -> None:
    model.set_counts({1: 4, 2: 1234567})

    assert texts(model, Column.SCALE)[:2] == ["1:591,657,528", "1:295,828,764"]
    assert texts(model, Column.LEVEL) == [str(number) for number in range(10)]
    assert texts(model, Column.RESOLUTION)[:2] == ["156,543 m/px", "78,271.5 m/px"]
    assert texts(model, Column.TILES)[:4] == ["", "4", "1,234,567", ""]
    # Level 2 has 15 of 16 tiles; of level 3 the total is unknown; of level 4 nothing is told.
    assert texts(model, Column.CACHED)[:5] == ["No", "100 %", "93 %", "7 tiles", "Yes"]
    assert model.index(2, Column.CACHED).data(Qt.ItemDataRole.ToolTipRole) == (
        "15 of the level's 16 tiles exist"
    )


def test_loading_the_same_service_again_keeps_the_ticks(
    model: ScalesModel, world: CacheDescription
) -> None:
    model.tick_range(2, 3)

    model.set_description(world, "m")

    assert ticked(model) == [2, 3]


def test_nothing_is_listed_without_a_service(model: ScalesModel) -> None:
    model.set_description(None)

    assert model.rowCount() == 0
    assert ticked(model) == []


@pytest.mark.parametrize(
    ("resolution", "text"),
    [
        (156543.03392800014, "156,543"),
        (0.29858214164761665, "0.298582"),
        (1.0728836059570312e-05, "0.0000107288"),
        (500.0, "500.000"),
    ],
)
def test_resolutions_have_no_exponent(qgis_app: Any, resolution: float, text: str) -> None:
    assert resolution_text(resolution) == text


def test_numbers_are_grouped_though_qgis_leaves_groups_out(model: ScalesModel) -> None:
    locale = QLocale()
    locale.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
    QLocale.setDefault(locale)
    model.set_counts({1: 1234567})

    assert texts(model, Column.TILES)[1] == "1,234,567"
    assert resolution_text(156543.03) == "156,543"
