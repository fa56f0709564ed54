"""Makes, registers and unregisters what QGIS should know of the plugin. No logic.

`unload` mirrors `initGui` line for line, and ends what the first drawn layer began.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction

from ..ui.update_dialog import UpdateDialog
from .host import network_watch
from .processing.provider import TileCacheProvider

MENU = "&Tile Cache Manager"
ICON = Path(__file__).parents[1] / "resources" / "icons" / "tile_cache_manager.svg"


class TileCacheManagerPlugin:
    """The plugin, as the QGIS window `iface` knows it."""

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.action: QAction | None = None
        self.create_action: QAction | None = None
        self.dialog: UpdateDialog | None = None
        self.provider: TileCacheProvider | None = None

    # QGIS plugin interface

    def initProcessing(self) -> None:
        """Also called alone, by qgis_process."""
        self.provider = TileCacheProvider(QIcon(str(ICON)))
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        self.initProcessing()
        self.action = QAction(QIcon(str(ICON)), _tr("Manage Cache Tiles…"), self.iface.mainWindow())
        self.action.setObjectName("tile_cache_manager_update")
        self.action.setToolTip(_tr("Recreate or delete the tiles of a web tile cache in an area"))
        self.action.triggered.connect(self.open_dialog)
        self.iface.addPluginToWebMenu(MENU, self.action)
        self.iface.addWebToolBarIcon(self.action)
        self.create_action = QAction(
            QIcon(str(ICON)), _tr("Create a Cache…"), self.iface.mainWindow()
        )
        self.create_action.setObjectName("tile_cache_manager_create")
        self.create_action.setToolTip(_tr("Create a tile cache on this computer"))
        self.create_action.triggered.connect(self.create_cache)
        self.iface.addPluginToWebMenu(MENU, self.create_action)

    def unload(self) -> None:
        if self.dialog is not None:
            self.dialog.unload()
            self.dialog.deleteLater()
            self.dialog = None
        if self.create_action is not None:
            self.iface.removePluginWebMenu(MENU, self.create_action)
            self.create_action.deleteLater()
            self.create_action = None
        if self.action is not None:
            self.iface.removeWebToolBarIcon(self.action)
            self.iface.removePluginWebMenu(MENU, self.action)
            self.action.deleteLater()
            self.action = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        network_watch.stop_listening()

    # own

    def open_dialog(self) -> None:
        """Show the dialog, made at first use."""
        dialog = self._made_dialog()
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()

    def create_cache(self) -> None:
        """Show the dialog in which a cache is created; the new cache opens in the other one."""
        self._made_dialog().create_cache()

    def _made_dialog(self) -> UpdateDialog:
        if self.dialog is None:
            self.dialog = UpdateDialog(
                self.iface.mapCanvas(),
                QgsProject.instance(),
                self.iface.messageBar(),
                self.iface.activeLayer,
                self.iface.mainWindow(),
            )
        return self.dialog


def _tr(text: str) -> str:
    return QCoreApplication.translate("TileCacheManagerPlugin", text)
