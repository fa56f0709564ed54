"""What the plugin adds to QGIS's window, and takes away again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QAction
from service_layers import service_layer, service_url

from tile_cache_manager.plugin.registration import TileCacheManagerPlugin


class Window(QObject):
    """Notes what a plugin adds and removes; stands for `iface`."""

    initializationCompleted = pyqtSignal()

    def __init__(self, main_window: Any, canvas: Any, bar: Any) -> None:
        super().__init__()
        self._main_window, self._canvas, self._bar = main_window, canvas, bar
        self.menu: list[QAction] = []
        self.tool_bar: list[QAction] = []
        self.layer_actions: list[QAction] = []
        self.offered: list[tuple[str, str]] = []
        self.current: Any = None
        self.selected: list[Any] = []

    def mainWindow(self) -> Any:
        return self._main_window

    def mapCanvas(self) -> Any:
        return self._canvas

    def messageBar(self) -> Any:
        return self._bar

    def activeLayer(self) -> Any:
        return self.current

    def addPluginToWebMenu(self, _menu: str, action: QAction) -> None:
        self.menu.append(action)

    def removePluginWebMenu(self, _menu: str, action: QAction) -> None:
        self.menu.remove(action)

    def addWebToolBarIcon(self, action: QAction) -> None:
        self.tool_bar.append(action)

    def removeWebToolBarIcon(self, action: QAction) -> None:
        self.tool_bar.remove(action)

    def addCustomActionForLayerType(
        self, action: QAction, _menu: str, _kind: Any, _all_layers: bool
    ) -> None:
        self.layer_actions.append(action)

    def addCustomActionForLayer(self, action: QAction, layer: Any) -> None:
        self.offered.append((action.text(), layer.name()))

    def removeCustomActionForLayerType(self, action: QAction) -> None:
        self.layer_actions.remove(action)

    def layer_action(self, text: str) -> QAction:
        (found,) = [each for each in self.layer_actions if each.text() == text]
        return found

    def layerTreeView(self) -> Window:
        return self

    def currentLayer(self) -> Any:
        return self.current

    def selectedLayersRecursive(self) -> list[Any]:
        return self.selected


@pytest.fixture
def window(qgis_window: Any, canvas: Any, qgis_bar: Any, project: Any, forgetful: None) -> Window:
    return Window(qgis_window, canvas, qgis_bar)


@pytest.fixture
def plugin(window: Window, cache: Any) -> Iterator[Any]:
    plugin = TileCacheManagerPlugin(window)
    plugin.initGui()
    yield plugin
    if plugin.provider is not None:
        plugin.unload()


def action(window: Window, text: str) -> QAction:
    (found,) = [each for each in window.menu if each.text() == text]
    return found


def test_unloading_takes_away_what_was_added(plugin: Any, window: Window) -> None:
    assert [each.text() for each in window.menu] == [
        "Manage Cache Tiles…",
        "Create a Cache…",
        "Export Tiles…",
        "Import Tiles…",
    ]
    assert not any(each.icon().isNull() for each in window.menu)
    action(window, "Export Tiles…").trigger()
    assert plugin.export_dialog.isVisible()

    plugin.unload()

    assert window.menu == window.tool_bar == window.layer_actions == []
    assert plugin.export_dialog is None


def test_the_export_dialog_is_made_once(plugin: Any, window: Window) -> None:
    for _ in range(2):
        action(window, "Export Tiles…").trigger()
    dialogs = window.mainWindow().findChildren(type(plugin.export_dialog))
    assert len(dialogs) == 1


def test_layers_of_services_offer_to_export_theirs(
    plugin: Any, window: Window, project: Any, layers: Any, wait_until: Any
) -> None:
    world, roads = service_layer("World"), service_layer("Roads")
    project.addMapLayers([world, roads])

    assert sorted(window.offered) == [  # and not the layers of polygons
        ("Export Tiles…", "Roads"),
        ("Export Tiles…", "World"),
        ("Manage Cache Tiles…", "Roads"),
        ("Manage Cache Tiles…", "World"),
    ]

    window.current, window.selected = world, [world, roads]
    layer_action = window.layer_action("Export Tiles…")
    layer_action.trigger()

    panel = plugin.export_dialog.services_panel
    assert plugin.export_dialog.is_several
    assert sorted(each.name for each in panel.chosen()) == ["Roads", "World"]

    window.selected = [world]
    layer_action.trigger()

    assert not plugin.export_dialog.is_several
    summary = plugin.export_dialog.address_panel.summary_label
    wait_until(lambda: summary.text().startswith("World"), what="the service")


def test_a_layer_of_a_service_offers_to_manage_its_tiles(
    plugin: Any, window: Window, project: Any, layers: Any, cache: Any, wait_until: Any
) -> None:
    world = service_layer("World")
    project.addMapLayers([world])
    window.current, window.selected = layers["fields"], [layers["fields"], world]

    window.layer_action("Manage Cache Tiles…").trigger()

    assert plugin.dialog.isVisible()
    summary = plugin.dialog.address_panel.summary_label
    wait_until(lambda: summary.text().startswith("World"), what="the service")
    assert cache.asked == [service_url("World")]


def test_where_the_layers_are_of_no_service_the_dialog_opens_empty(
    plugin: Any, window: Window, layers: Any, cache: Any
) -> None:
    window.current, window.selected = None, list(layers.values())

    window.layer_action("Manage Cache Tiles…").trigger()

    assert plugin.dialog.isVisible()
    assert cache.asked == []


def test_without_processing_importing_says_what_is_missing(
    plugin: Any, window: Window, qgis_bar: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "processing", None)  # as where it is switched off
    action(window, "Import Tiles…").trigger()

    assert "Processing" in qgis_bar.currentItem().text()


def test_importing_opens_processing_s_dialog(
    plugin: Any, window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    import types

    opened: list[tuple[str, Any]] = []
    stand_in = types.ModuleType("processing")
    stand_in.execAlgorithmDialog = lambda *given: opened.append(given)
    monkeypatch.setitem(sys.modules, "processing", stand_in)
    action(window, "Import Tiles…").trigger()

    assert opened == [("tilecache:importcache", {})]
