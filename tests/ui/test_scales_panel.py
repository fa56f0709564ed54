"""Ticking scales, and how many tiles they have."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest


def test_the_buttons_below_the_list(loaded: Any, person: Any) -> None:
    person.click("check_none_button")
    assert person.ticked() == []
    assert person.shows("tile_count_label") == "No scale is ticked."
    person.click("check_all_button")
    assert person.ticked() == [1, 2, 3, 4, 5]
    person.choose("range_from_combo", "1:147,914,382")
    person.choose("range_to_combo", "1:73,957,191")
    person.click("range_button")
    assert person.ticked() == [2, 3]
    person.click("invert_button")
    assert person.ticked() == [1, 4, 5]


def test_the_space_bar_toggles_the_selected_rows(loaded: Any, person: Any) -> None:
    view = person.find("scales_view")
    view.selectAll()
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert person.ticked() == []
    view.selectRow(3)
    QTest.keyClick(view, Qt.Key.Key_Space)
    assert person.ticked() == [3]


def test_a_click_on_the_box_toggles_its_row(loaded: Any, person: Any) -> None:
    view = person.find("scales_view")
    rectangle = view.visualRect(view.model().index(2, 0))
    box = rectangle.topLeft()
    box.setX(box.x() + rectangle.height() // 2)
    box.setY(rectangle.center().y())
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=box)

    assert person.ticked() == [1, 3, 4, 5]


def test_only_ticked_scales_are_counted(loaded: Any, person: Any) -> None:
    person.choose("range_to_combo", "1:147,914,382")
    person.click("range_button")
    person.wait_for_count()

    # Levels 1 and 2 of the ArcGIS Online scheme: 4 and 16 tiles.
    assert person.shows("tile_count_label") == "20 tiles at 2 scales."
