"""What the form remembers, and its help."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.gui import QgsCollapsibleGroupBoxBasic
from qgis.PyQt.QtCore import QObject, QUrl, pyqtSlot
from qgis.PyQt.QtGui import QDesktopServices
from qgis.PyQt.QtWidgets import QComboBox, QPushButton, QSpinBox

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"


def test_the_form_is_remembered(loaded: Any, person: Any, opener: Any) -> None:
    person.choose("mode_combo", "Delete Tiles")
    person.choose("area_kind_combo", "Typed Extent")
    person.find("typed_extent_edit").setText("1 2 3 4")
    person.find("instances_spin").setValue(5)
    person.find("wait_check").setChecked(False)
    person.click("close_button")

    again = opener.open()

    assert again.findChild(QComboBox, "address_combo").currentText() == WORLD_URL
    assert again.findChild(QComboBox, "mode_combo").currentText() == "Delete Tiles"
    assert again.findChild(QComboBox, "area_kind_combo").currentText() == "Typed Extent"
    assert again.findChild(QObject, "typed_extent_edit").text() == "1 2 3 4"
    assert again.findChild(QSpinBox, "instances_spin").value() == 5
    assert not again.findChild(QObject, "wait_check").isChecked()
    assert not again.findChild(QPushButton, "run_button").isEnabled()


def test_a_fresh_form_is_harmless(dialog: Any, person: Any) -> None:
    assert person.find("mode_combo").currentText() == "Recreate Empty Tiles"
    assert person.find("area_kind_combo").currentText() == "Full Extent"
    assert person.find("instances_spin").value() == -1
    assert person.find("wait_check").isChecked()
    assert person.find("sign_in_box").isCollapsed()
    assert isinstance(person.find("sign_in_box"), QgsCollapsibleGroupBoxBasic)
    assert person.find("run_button").toolTip() == "Load a service or cache first."


class Browser(QObject):
    """Stands for the program that shows web pages."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[QUrl] = []

    @pyqtSlot(QUrl)
    def show(self, url: QUrl) -> None:
        self.pages.append(url)


def test_help_opens_a_page_that_exists(dialog: Any, person: Any) -> None:
    browser = Browser()
    QDesktopServices.setUrlHandler("file", browser, "show")
    try:
        person.click("help_button")
    finally:
        QDesktopServices.unsetUrlHandler("file")

    (page,) = browser.pages
    assert "Manage Cache Tiles" in Path(page.toLocalFile()).read_text(encoding="utf-8")
