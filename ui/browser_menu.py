"""Actions in the menu of ArcGIS services in QGIS's browser panel."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsDataItem
from qgis.gui import QgsDataItemGuiProvider, QgsGui
from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QMenu

from ..plugin.host import connections


class BrowserMenu(QObject):
    """Offers to manage and to export the tiles of the service that an item of the browser is of.

    Both signals carry its address and the sign-in of the saved connection that it is in.
    """

    manage_requested = pyqtSignal(str, str)
    export_requested = pyqtSignal(str, str)

    def __init__(self, manage_icon: QIcon, export_icon: QIcon, parent: QObject) -> None:
        super().__init__(parent)
        self._manage_icon = manage_icon
        self._export_icon = export_icon
        self._provider = _Provider(self)
        QgsGui.dataItemGuiProviderRegistry().addProvider(self._provider)

    def unload(self) -> None:
        """Take the actions out of the menu."""
        if self._provider is not None:
            # which deletes it
            QgsGui.dataItemGuiProviderRegistry().removeProvider(self._provider)
            self._provider = None

    def add_to(self, menu: QMenu, item: QgsDataItem) -> None:
        """Add the actions to `menu`, made for `item`, where that is of a map or image service."""
        service = connections.of_browser_item(item)
        if service is None:
            return
        values = service.url, service.auth_config_id
        manage = menu.addAction(self._manage_icon, self.tr("Manage Cache Tiles…"))
        manage.setObjectName("tile_cache_manager_browser_update")
        manage.setData(values)
        manage.triggered.connect(self._manage)
        export = menu.addAction(self._export_icon, self.tr("Export Tiles…"))
        export.setObjectName("tile_cache_manager_browser_export")
        export.setData(values)
        export.triggered.connect(self._export)

    def _manage(self) -> None:
        self.manage_requested.emit(*self._pressed().data())

    def _export(self) -> None:
        self.export_requested.emit(*self._pressed().data())

    def _pressed(self) -> QAction:
        return self.sender()


class _Provider(QgsDataItemGuiProvider):
    """What QGIS asks as it makes the menu of an item."""

    def __init__(self, owner: BrowserMenu) -> None:
        super().__init__()
        self._owner = owner

    # QgsDataItemGuiProvider interface

    def name(self) -> str:
        return "tile_cache_manager"

    def populateContextMenu(
        self, item: QgsDataItem, menu: QMenu, _selected: list[QgsDataItem], _context: Any
    ) -> None:
        self._owner.add_to(menu, item)
