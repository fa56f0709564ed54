"""Naming a cache on this computer: typed, browsed for, dropped, or taken from a layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qgis.core import QgsRasterLayer
from qgis.PyQt.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qgis.PyQt.QtGui import QDragEnterEvent, QDropEvent
from qgis.PyQt.QtWidgets import QApplication, QFileDialog

from tile_cache_manager.plugin.host.settings import Settings

PATH = "/data/my caches/World"
WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"


def choose(menu: Any, text: str) -> None:
    (action,) = [action for action in menu.actions() if action.text() == text]
    action.trigger()


def drop(window: Any, *urls: str) -> bool:
    """Drag `urls` onto the window and let go; whether it took them."""
    mime = QMimeData()
    mime.setUrls([QUrl(url) for url in urls])
    action, button = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    nothing = Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(5, 5), action, mime, button, nothing)
    enter.ignore()
    QApplication.sendEvent(window, enter)
    if enter.isAccepted():
        QApplication.sendEvent(window, QDropEvent(QPointF(5, 5), action, mime, button, nothing))
    return enter.isAccepted()


def test_a_path_is_loaded_without_sign_in(local_loaded: Any, person: Any, cache: Any) -> None:
    assert cache.asked == [PATH]
    assert cache.sign_ins == [None]
    assert person.shows("summary_label").startswith("World, Compact cache (V2)")
    assert not person.find("sign_in_box").isVisible()
    assert person.find("run_button").isEnabled()


def test_a_service_takes_a_sign_in_again(local_loaded: Any, person: Any) -> None:
    person.find("address_combo").setEditText(WORLD_URL)

    assert person.find("sign_in_box").isVisible()


# what stands in the field, whether it names the loaded cache
SPELLINGS = [
    (PATH, True),
    (f"{PATH}/", True),
    ("file:///data/my%20caches/World", True),
    (f'"{PATH}"', True),
    (f"{PATH}2", False),
    ("/data/my caches", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "is_loaded"), SPELLINGS)
def test_run_is_for_the_loaded_path_however_it_is_written(
    local_loaded: Any, person: Any, text: str, is_loaded: bool
) -> None:
    person.find("address_combo").setEditText(text)

    assert person.find("run_button").isEnabled() is is_loaded
    if not is_loaded:
        assert "load it first" in person.find("run_button").toolTip()


def test_a_path_is_remembered_as_it_is(local_loaded: Any, person: Any, opener: Any) -> None:
    odd = "/data/50% #1?/World"
    Settings().remember_address(odd)
    person.find("address_combo").setEditText(odd)
    person.click("close_button")

    assert Settings().recent_addresses == (odd, PATH)
    assert Settings().address == odd


def test_a_folder_is_browsed_for(
    dialog: Any, person: Any, cache: Any, local: Any, tmp_path: Path, wait_until: Any
) -> None:
    folder = tmp_path / "my caches" / "World"
    folder.mkdir(parents=True)
    cache.answer = replace(local, address=str(folder))
    choose(person.find("browse_button").menu(), "Folder…")
    question = dialog.findChild(QFileDialog, "path_question")
    question.setDirectory(str(folder.parent))
    question.selectFile(str(folder))
    question.accept()

    wait_until(person.ticked, what="the scales")
    assert cache.asked == [str(folder)]
    assert person.find("address_combo").currentText() == str(folder)
    assert Settings().last_folder == str(folder.parent)


def test_what_is_not_chosen_changes_nothing(dialog: Any, person: Any, cache: Any) -> None:
    choose(person.find("browse_button").menu(), "File…")
    dialog.findChild(QFileDialog, "path_question").reject()

    assert cache.asked == []
    assert person.find("address_combo").currentText() == ""


def test_a_dropped_folder_is_loaded(
    dialog: Any, person: Any, cache: Any, local: Any, wait_until: Any
) -> None:
    cache.answer = local

    assert drop(dialog, "file:///data/my%20caches/World")

    wait_until(person.ticked, what="the scales")
    assert cache.asked == [PATH]


NOT_TAKEN = [
    ("https://site.test/x.mbtiles",),
    ("file:///data/a", "file:///data/b"),
    (),
]


@pytest.mark.parametrize("urls", NOT_TAKEN)
def test_anything_else_is_not_taken(dialog: Any, cache: Any, urls: tuple[str, ...]) -> None:
    assert not drop(dialog, *urls)
    assert cache.asked == []


def test_what_is_dropped_on_the_field_goes_to_the_window(dialog: Any, person: Any) -> None:
    assert not person.find("address_combo").lineEdit().acceptDrops()


# provider, source, the cache that is meant
LAYERS = [
    ("gdal", "/data/World/conf.xml", "/data/World"),
    ("gdal", "/data/World/Conf.xml", "/data/World"),
    ("gdal", "/data/World.tpkx", "/data/World.tpkx"),
    ("gdal", "/data/World.MBTiles", "/data/World.MBTiles"),
    ("wms", "type=mbtiles&url=file:///data/World.mbtiles", "/data/World.mbtiles"),
    ("gdal", "/data/World.tif", None),
    ("wms", "type=xyz&url=https://site.test/{z}/{x}/{y}.png", None),
]


@pytest.mark.parametrize(("provider", "source", "path"), LAYERS)
def test_the_cache_of_a_layer(qgis_app: Any, provider: str, source: str, path: str | None) -> None:
    from tile_cache_manager.plugin.host import connections

    found = connections.of_layer(QgsRasterLayer(source, "tiles", provider))

    assert (found.url if found else None) == path
