"""Lines in message bars."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.core import Qgis
from qgis.PyQt.QtWidgets import QGridLayout, QSizePolicy, QWidget

from tile_cache_manager.ui.notices import Notice

SENTENCE = "The site gave no answer: check the address, then try again in a while. "


@pytest.fixture
def window(qgis_bar: Any, canvas: Any) -> Any:
    """A canvas with a message bar above it, laid out as in QGIS's own window."""
    window = QWidget()
    layout = QGridLayout(window)
    layout.addWidget(canvas, 0, 0, 2, 1)
    layout.addWidget(qgis_bar, 0, 0, 1, 1)
    qgis_bar.setSizePolicy(QSizePolicy.Policy.Minimum, QSizePolicy.Policy.Fixed)
    window.resize(500, 400)
    window.show()
    yield window
    qgis_bar.clearWidgets()
    for widget in (qgis_bar, canvas):
        widget.setParent(None)


@pytest.mark.parametrize("sentences", [1, 2, 5])
def test_a_text_is_seen_whole_in_a_bar_no_higher_than_it_needs(
    window: Any, qgis_bar: Any, wait_until: Any, sentences: int
) -> None:
    text = SENTENCE * sentences
    item = Notice(text, Qgis.MessageLevel.Warning)
    item.add_address("https://site.test/")

    qgis_bar.pushItem(item)

    label = window.findChild(QWidget, "notice_label")
    line = label.fontMetrics().lineSpacing()
    wait_until(lambda: label.height() >= label.heightForWidth(label.width()), what="all its lines")
    wait_until(
        lambda: qgis_bar.height() <= label.heightForWidth(label.width()) + 2 * line,
        what=f"a lower bar than {qgis_bar.height()}",
    )
    assert window.width() == 500
    assert item.text() == text
