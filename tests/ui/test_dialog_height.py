"""The export dialog stays on the screen, and as high as a person made it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qgis.core import Qgis
from qgis.PyQt.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from tile_cache_manager.ui.column import Column
from tile_cache_manager.ui.notices import Notice

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
LARGE_SCREEN = 2000
SCREEN = 600
"""Pixels that a screen has which has no room for all of the form."""


@pytest.fixture
def forbidden(exporter: Any, cache: Any, world: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The export dialog with a service that does not allow export."""
    cache.answer = replace(world)
    exporter.load(WORLD_URL)
    for most in ("most_height", "most_width"):
        monkeypatch.setattr(exporter.dialog, most, lambda: LARGE_SCREEN)
    exporter.dialog.resize(exporter.dialog.width(), exporter.dialog.height() + 1)
    return exporter


def grow(person: Any) -> None:
    """Open all there is, and complain."""
    person.find("way_box").setCollapsed(False)
    person.find("message_bar").pushItem(Notice("A long sentence. " * 60, Qgis.MessageLevel.Warning))


def test_it_goes_back_to_the_height_that_it_had(forbidden: Any, wait_until: Any) -> None:
    dialog, box = forbidden.dialog, forbidden.find("way_box")
    wait_until(lambda: dialog.minimumHeight() > SCREEN, what="a layout")
    dialog.resize(dialog.width(), dialog.minimumHeight() + 1)
    before = dialog.height()
    grow(forbidden)
    wait_until(lambda: dialog.height() > before, what="a higher dialog")
    box.setCollapsed(True)
    forbidden.find("message_bar").clearWidgets()

    wait_until(lambda: dialog.height() == before, what="the height of before")


def test_what_has_no_room_is_scrolled(
    forbidden: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = forbidden.dialog
    monkeypatch.setattr(dialog, "most_height", lambda: SCREEN)
    dialog.resize(dialog.width(), SCREEN)
    forbidden.choose("area_kind_combo", "Areas by Scale")
    grow(forbidden)
    bars = [each.verticalScrollBar() for each in dialog._columns]
    wait_until(lambda: all(bar.maximum() > 0 for bar in bars), what="a scroll bar")

    wait_until(lambda: dialog.height() <= SCREEN, what="a dialog on the screen")
    for each in dialog._columns:
        wait_until(
            lambda column=each: column.widget().width() <= column.viewport().width(),
            what="all of the width",
        )
    assert dialog.minimumHeight() <= SCREEN
    button = forbidden.find("run_button")
    assert button.mapTo(dialog, button.rect().bottomLeft()).y() < SCREEN


def test_with_room_nothing_is_scrolled(forbidden: Any, wait_until: Any) -> None:
    dialog = forbidden.dialog
    wait_until(lambda: dialog.minimumHeight() > SCREEN, what="a layout")
    dialog.resize(dialog.width(), dialog.minimumHeight())
    bars = [each.verticalScrollBar() for each in dialog._columns]
    wait_until(lambda: not any(bar.maximum() for bar in bars), what="all of the form")


def test_what_it_grew_to_is_not_kept(forbidden: Any, wait_until: Any) -> None:
    dialog = forbidden.dialog
    wait_until(lambda: dialog.minimumHeight() > SCREEN, what="a layout")
    dialog.resize(dialog.width(), dialog.minimumHeight() + 1)
    before = dialog.height()
    grow(forbidden)
    wait_until(lambda: dialog.height() > before, what="a higher dialog")
    dialog.reject()

    assert dialog.height() == before


def test_the_scroll_bar_hides_nothing(qgis_app: Any, wait_until: Any) -> None:
    window, content, layout = QWidget(), QWidget(), QVBoxLayout()
    layout.addWidget(content)
    content.setMinimumSize(300, 100)
    column = Column(layout)
    column.set_room(500)
    row = QHBoxLayout(window)
    row.addWidget(QWidget(), 1)
    row.addWidget(column)
    window.resize(400, 500)
    window.show()
    content.setMinimumSize(350, 900)
    wait_until(lambda: column.verticalScrollBar().maximum() > 0, what="a scroll bar")
    wait_until(lambda: column.viewport().width() >= 350, what="all of the width")
    window.close()


def test_it_is_no_wider_than_the_screen(
    forbidden: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = forbidden.dialog
    needed = dialog.layout().totalMinimumSize().width()
    narrow = needed * 3 // 4
    monkeypatch.setattr(dialog, "most_width", lambda: narrow)
    dialog.resize(dialog.width() + 1, dialog.height())
    wait_until(lambda: dialog.minimumWidth() <= narrow, what="a layout")
    dialog.hide()
    dialog.show()
    wait_until(lambda: dialog.width() <= narrow, what="a dialog on the screen")

    bars = [each.horizontalScrollBar() for each in dialog._columns]
    wait_until(lambda: any(bar.maximum() > 0 for bar in bars), what="a scroll bar")
    button = forbidden.find("run_button")
    assert button.mapTo(dialog, button.rect().bottomRight()).x() < narrow
