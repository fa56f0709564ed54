"""Nothing that a person has to read is cut, also where letters are large."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.PyQt.QtWidgets import QStyle, QStyleOptionComboBox

from tile_cache_manager.plugin.core import errors

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
JOB_URL = (
    "https://site.test/arcgis/rest/services/System/CachingTools/GPServer/"
    "Manage%20Map%20Cache%20Tiles/jobs/j0123456789abcdef"
)
COMPLAINT = "ERROR 001470: Failed to retrieve the job status from the server. " * 8


@pytest.fixture(params=[1.0, 1.5])
def large(request: pytest.FixtureRequest, dialog: Any, person: Any) -> Any:
    """The dialog with letters of so many times their usual size, and World loaded."""
    font = dialog.font()
    font.setPointSizeF(font.pointSizeF() * request.param)
    dialog.setFont(font)
    person.load(WORLD_URL)
    return dialog


def test_a_long_failure_is_seen_to_its_end(large: Any, person: Any, cache: Any) -> None:
    cache.ending = errors.JobFailed(JOB_URL, COMPLAINT)
    person.click("run_button")
    person.wait_until(lambda: cache.requests, what="the update")
    person.wait_for_end()
    label, view = person.find("progress_label"), person.find("messages_view")

    def is_whole() -> bool:
        return label.height() >= label.heightForWidth(label.width())

    for width in (2000, large.minimumWidth()):
        large.resize(width, 100)  # as low as it lets itself be made
        person.wait_until(lambda wanted=width: large.width() == wanted, what="the new width")
        person.wait_until(is_whole, what="room for the sentence")
        assert view.height() >= 3 * view.fontMetrics().lineSpacing()


def test_the_ends_of_the_range_are_seen_whole(large: Any, person: Any) -> None:
    large.resize(large.minimumSizeHint())
    for name in ("range_from_combo", "range_to_combo"):
        combo = person.find(name)
        option = QStyleOptionComboBox()
        combo.initStyleOption(option)
        style = combo.style()
        field = style.subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            combo,
        )
        wanted = combo.fontMetrics().horizontalAdvance(combo.currentText())
        assert field.width() >= wanted, name


def test_all_columns_of_the_scales_are_seen(large: Any, person: Any) -> None:
    large.scales_panel.set_counts({5: 10**18})
    large.resize(large.minimumSizeHint())
    view = person.find("scales_view")
    person.wait_until(lambda: view.horizontalScrollBar().maximum() == 0, what="all columns")

    last = view.model().columnCount() - 1
    assert view.columnWidth(last) >= view.sizeHintForColumn(last)
    assert view.columnWidth(last) >= view.horizontalHeader().sectionSizeHint(last)
