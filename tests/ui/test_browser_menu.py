"""The plugin's actions in the menu of QGIS's browser, on the items that QGIS itself makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qgis.core import QgsBrowserModel, QgsDataItem, QgsDirectoryItem, QgsSettings
from qgis.gui import QgsDataItemGuiContext, QgsGui
from qgis.PyQt.QtCore import QModelIndex
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QMenu

from tile_cache_manager.plugin.host import connections
from tile_cache_manager.ui.browser_menu import BrowserMenu

NAME = "my site"
SIGN_IN = "abc1234"
NEW, OLD = "connections/arcgisfeatureserver/items", "qgis/connections-arcgisfeatureserver"
OLD_SIGN_INS = "qgis/ARCGISFEATURESERVER"
# QGIS 3.22 reads the old place, 3.30 and later the new one
PLACES = ((NEW, NEW), (OLD, OLD_SIGN_INS))


@pytest.fixture
def connect(qgis_app: Any) -> Iterator[Callable[[str, str], None]]:
    """`connect(url, auth_config_id)` saves a connection called NAME, as QGIS does."""
    settings = QgsSettings()

    def save(url: str, auth_config_id: str = "") -> None:
        for root, sign_ins in PLACES:
            settings.setValue(f"{root}/{NAME}/url", url)
            settings.setValue(f"{sign_ins}/{NAME}/authcfg", auth_config_id)

    yield save
    for root, sign_ins in PLACES:
        settings.remove(f"{root}/{NAME}")
        settings.remove(f"{sign_ins}/{NAME}")


@pytest.fixture
def browser(fresh_site: Any, connect: Any, wait_until: Any) -> Iterator[Callable[..., QgsDataItem]]:
    """`browser(*names)`: an item of QGIS's browser, by the names below the saved connection."""
    connect(fresh_site.services_url("classic"))
    model = QgsBrowserModel()
    model.initialize()

    def below(parent: QModelIndex, wanted: Callable[[QgsDataItem], bool]) -> QModelIndex:
        """Looked for from the top each time: QGIS may have made the items anew meanwhile."""
        rows = (model.index(row, 0, parent) for row in range(model.rowCount(parent)))
        return next((each for each in rows if wanted(model.dataItem(each))), QModelIndex())

    def walk(names: tuple[str, ...]) -> QModelIndex:
        found = below(QModelIndex(), lambda item: item.path() == "arcgisfeatureserver:")
        for name in names:
            if model.canFetchMore(found):
                model.fetchMore(found)
            found = below(found, lambda item, name=name: item.name() == name)
            if not found.isValid():
                break
        return found

    def find(*names: str) -> QgsDataItem:
        wait_until(lambda: walk((NAME, *names)).isValid(), 20, f"{names} in the browser")
        return model.dataItem(walk((NAME, *names)))

    yield find
    model.deleteLater()


@pytest.fixture
def menu(qgis_window: Any) -> Iterator[BrowserMenu]:
    menu = BrowserMenu(QIcon(), QIcon(), qgis_window)
    yield menu
    menu.unload()


def actions_for(item: QgsDataItem) -> dict[str, Any]:
    """What this plugin puts into the menu of `item`, by its texts, asked as QGIS asks."""
    shown = QMenu()
    for provider in QgsGui.dataItemGuiProviderRegistry().providers():
        if provider.name() == "tile_cache_manager":
            provider.populateContextMenu(item, shown, [item], QgsDataItemGuiContext())
    found = {action.text(): action for action in shown.actions()}
    found["menu"] = shown  # keeps the actions alive
    return found


def texts_for(item: QgsDataItem) -> list[str]:
    return [text for text in actions_for(item) if text != "menu"]


BOTH = ["Manage Cache Tiles…", "Export Tiles…"]


@pytest.mark.parametrize(
    ("names", "service", "kind"),
    [
        (("World",), "World", "MapServer"),
        (("Imagery",), "Imagery", "ImageServer"),
        (("Basemaps", "Countries"), "Basemaps/Countries", "MapServer"),
        (("Basemaps", "Countries", "(All layers)"), "Basemaps/Countries", "MapServer"),
        (("World", "Disputed borders"), "World", "MapServer"),
    ],
)
def test_items_of_services_offer_their_tiles(
    menu: Any,
    browser: Any,
    fresh_site: Any,
    connect: Any,
    names: tuple[str, ...],
    service: str,
    kind: str,
) -> None:
    item = browser(*names)
    connect(fresh_site.services_url("classic"), SIGN_IN)  # QGIS itself has no such sign-in
    url = fresh_site.service_url("classic", service, kind)
    asked: list[tuple[str, ...]] = []
    menu.manage_requested.connect(lambda *of: asked.append(("manage", *of)))
    menu.export_requested.connect(lambda *of: asked.append(("export", *of)))
    actions = actions_for(item)

    for text in BOTH:
        actions[text].trigger()

    assert asked == [("manage", url, SIGN_IN), ("export", url, SIGN_IN)]


@pytest.mark.parametrize("names", [(), ("Basemaps",)])
def test_connections_and_folders_offer_none(menu: Any, browser: Any, names: Any) -> None:
    assert texts_for(browser(*names)) == []


def test_a_folder_that_is_called_like_a_service_offers_none(menu: Any) -> None:
    path = "https://site.test/arcgis/rest/services/World/MapServer"

    assert connections.of_browser_item(QgsDirectoryItem(None, "World", path)) is None
    assert connections.of_browser_item(None) is None


def test_unloaded_it_offers_nothing_any_more(menu: Any, browser: Any) -> None:
    item = browser("World")
    assert texts_for(item) == BOTH

    menu.unload()
    menu.unload()

    assert texts_for(item) == []
