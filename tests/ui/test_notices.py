"""Lines in message bars."""

from __future__ import annotations

from typing import Any

from qgis.core import Qgis
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from tile_cache_manager.ui.notices import Notice

SENTENCE = "The site gave no answer: check the address, then try again in a while. "


def test_a_long_text_is_seen_whole_and_widens_no_window(qgis_bar: Any, wait_until: Any) -> None:
    window = QWidget()
    layout = QVBoxLayout(window)
    layout.addWidget(qgis_bar)
    layout.addStretch()
    window.resize(400, 300)
    window.show()
    text = SENTENCE * 5

    qgis_bar.pushItem(Notice(text, Qgis.MessageLevel.Warning))

    label = window.findChild(QWidget, "notice_label")
    one_line = label.fontMetrics().lineSpacing()
    wait_until(lambda: label.height() > 3 * one_line, what="the text to wrap")
    wait_until(lambda: label.height() >= label.heightForWidth(label.width()), what="all its lines")
    assert window.width() == 400
    assert qgis_bar.currentItem().text() == text
    qgis_bar.clearWidgets()
    qgis_bar.setParent(None)
