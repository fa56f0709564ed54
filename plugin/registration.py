"""Makes, registers and unregisters what QGIS should know of the plugin. No logic.

`unload` mirrors `initGui` line for line, and ends what the first drawn layer began. What belongs to
the window is imported with it: qgis_process, which has none, starts in a tenth of a second less.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import QAction, QWidget

from .host import network_watch
from .processing.provider import TileCacheProvider

if TYPE_CHECKING:
    from ..ui.browser_menu import BrowserMenu
    from ..ui.export_dialog import ExportDialog
    from ..ui.jobs import Jobs
    from ..ui.layer_actions import LayerAction
    from ..ui.update_dialog import UpdateDialog

MENU = "&Tile Cache Manager"
ICONS = Path(__file__).parents[1] / "resources" / "icons"
ICON = ICONS / "tile_cache_manager.svg"
EXPORT_ICON = ICONS / "export_tiles.svg"
IMPORT_ICON = ICONS / "import_tiles.svg"
IMPORT_ALGORITHM = "tilecache:importcache"


class TileCacheManagerPlugin:
    """The plugin, as the QGIS window `iface` knows it."""

    def __init__(self, iface: Any) -> None:
        self.iface = iface
        self.action: QAction | None = None
        self.create_action: QAction | None = None
        self.export_action: QAction | None = None
        self.import_action: QAction | None = None
        self.layer_export_action: QAction | None = None
        self.layer_actions: LayerAction | None = None
        self.layer_manage_action: QAction | None = None
        self.layer_manage_actions: LayerAction | None = None
        self.browser_menu: BrowserMenu | None = None
        self.dialog: UpdateDialog | None = None
        self.export_dialog: ExportDialog | None = None
        self.provider: TileCacheProvider | None = None
        self.jobs: Jobs | None = None

    # QGIS plugin interface

    def initProcessing(self) -> None:
        """Also called alone, by qgis_process."""
        self.provider = TileCacheProvider(QIcon(str(ICON)))
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        from ..ui.browser_menu import BrowserMenu
        from ..ui.jobs import Jobs
        from ..ui.layer_actions import LayerAction

        self.initProcessing()
        self.jobs = Jobs(self.iface.messageBar(), self.iface.mainWindow())
        self.jobs.wanted.connect(self.open_jobs)
        self.iface.initializationCompleted.connect(self.jobs.begin)
        if self.iface.mainWindow().isVisible():  # it was switched on later
            self.jobs.begin()
        self.action = self._action(
            ICON,
            "tile_cache_manager_update",
            _tr("Manage Cache Tiles…"),
            _tr("Recreate or delete the tiles of a web tile cache in an area"),
            self.open_dialog,
        )
        self.iface.addPluginToWebMenu(MENU, self.action)
        self.iface.addWebToolBarIcon(self.action)
        self.create_action = self._action(
            ICON,
            "tile_cache_manager_create",
            _tr("Create a Cache…"),
            _tr("Create a tile cache on this computer"),
            self.create_cache,
        )
        self.iface.addPluginToWebMenu(MENU, self.create_action)
        self.export_action = self._action(
            EXPORT_ICON,
            "tile_cache_manager_export",
            _tr("Export Tiles…"),
            _tr("Export tiles of web tile caches into packages and caches on this computer"),
            self.open_export_dialog,
        )
        self.iface.addPluginToWebMenu(MENU, self.export_action)
        self.iface.addWebToolBarIcon(self.export_action)
        self.import_action = self._action(
            IMPORT_ICON,
            "tile_cache_manager_import",
            _tr("Import Tiles…"),
            _tr("Import the tiles of a package or cache into another cache or a service"),
            self.import_tiles,
        )
        self.iface.addPluginToWebMenu(MENU, self.import_action)
        self.layer_manage_action = self._action(
            ICON,
            "tile_cache_manager_update_layer",
            _tr("Manage Cache Tiles…"),
            _tr("Recreate or delete tiles of the service or cache that the layer is drawn from"),
            self.manage_layer,
        )
        self.layer_manage_actions = LayerAction(
            self.iface, QgsProject.instance(), self.layer_manage_action
        )
        self.layer_export_action = self._action(
            EXPORT_ICON,
            "tile_cache_manager_export_layer",
            _tr("Export Tiles…"),
            _tr("Export tiles of the service or cache that the layer is drawn from"),
            self.export_layers,
        )
        self.layer_actions = LayerAction(
            self.iface, QgsProject.instance(), self.layer_export_action
        )

        self.browser_menu = BrowserMenu(
            QIcon(str(ICON)), QIcon(str(EXPORT_ICON)), self.iface.mainWindow()
        )
        self.browser_menu.manage_requested.connect(self.manage_service)
        self.browser_menu.export_requested.connect(self.export_service)

    def unload(self) -> None:
        if self.browser_menu is not None:
            self.browser_menu.unload()
            self.browser_menu.deleteLater()
            self.browser_menu = None
        if self.export_dialog is not None:
            self.export_dialog.unload()
            self.export_dialog.deleteLater()
            self.export_dialog = None
        if self.dialog is not None:
            self.dialog.unload()
            self.dialog.deleteLater()
            self.dialog = None
        if self.layer_actions is not None:
            self.layer_actions.unload()
            self.layer_actions = None
        if self.layer_export_action is not None:
            self.layer_export_action.deleteLater()
            self.layer_export_action = None
        if self.layer_manage_actions is not None:
            self.layer_manage_actions.unload()
            self.layer_manage_actions = None
        if self.layer_manage_action is not None:
            self.layer_manage_action.deleteLater()
            self.layer_manage_action = None
        if self.import_action is not None:
            self.iface.removePluginWebMenu(MENU, self.import_action)
            self.import_action.deleteLater()
            self.import_action = None
        if self.export_action is not None:
            self.iface.removeWebToolBarIcon(self.export_action)
            self.iface.removePluginWebMenu(MENU, self.export_action)
            self.export_action.deleteLater()
            self.export_action = None
        if self.create_action is not None:
            self.iface.removePluginWebMenu(MENU, self.create_action)
            self.create_action.deleteLater()
            self.create_action = None
        if self.action is not None:
            self.iface.removeWebToolBarIcon(self.action)
            self.iface.removePluginWebMenu(MENU, self.action)
            self.action.deleteLater()
            self.action = None
        if self.jobs is not None:
            self.iface.initializationCompleted.disconnect(self.jobs.begin)
            self.jobs.unload()
            self.jobs.deleteLater()
            self.jobs = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        network_watch.stop_listening()

    # own

    def open_dialog(self) -> None:
        """Show the dialog, made at first use."""
        _show(self._made_dialog())

    def open_jobs(self) -> None:
        """Show the jobs on sites in the dialog, which is made at first use."""
        self._made_dialog().show_jobs()

    def create_cache(self) -> None:
        """Show the dialog in which a cache is created; the new cache opens in the other one."""
        self._made_dialog().create_cache()

    def open_export_dialog(self) -> None:
        """Show the dialog in which tiles are exported, made at first use."""
        _show(self._made_export_dialog())

    def export_layers(self) -> None:
        """Show it for the layers that are selected in the layer tree."""
        layers = self.layer_actions.layers()
        self.open_export_dialog()
        self.export_dialog.open_for(layers)

    def manage_layer(self) -> None:
        """Show the dialog for what the current layer of the layer tree is drawn from."""
        service = self.layer_manage_actions.service()
        self.open_dialog()
        if service is not None:
            self.dialog.load(service.url, service.auth_config_id)

    def manage_service(self, address: str, auth_config_id: str) -> None:
        """Show the dialog for a service of QGIS's browser."""
        self.open_dialog()
        self.dialog.load(address, auth_config_id)

    def export_service(self, address: str, auth_config_id: str) -> None:
        """Show the dialog in which tiles are exported for such a service."""
        self.open_export_dialog()
        self.export_dialog.load(address, auth_config_id)

    def import_tiles(self) -> None:
        """Show Processing's dialog in which tiles are imported."""
        from ..ui.algorithm_dialog import open_algorithm

        open_algorithm(IMPORT_ALGORITHM, self.iface.messageBar())

    def _action(
        self, icon: Path, name: str, text: str, tip: str, triggered: Callable[[], None]
    ) -> QAction:
        action = QAction(QIcon(str(icon)), text, self.iface.mainWindow())
        action.setObjectName(name)
        action.setToolTip(tip)
        action.triggered.connect(triggered)
        return action

    def _made_dialog(self) -> UpdateDialog:
        from ..ui.update_dialog import UpdateDialog

        if self.dialog is None:
            self.dialog = UpdateDialog(*self._surroundings(), jobs=self.jobs)
        return self.dialog

    def _made_export_dialog(self) -> ExportDialog:
        from ..ui.export_dialog import ExportDialog

        if self.export_dialog is None:
            self.export_dialog = ExportDialog(*self._surroundings())
        return self.export_dialog

    def _surroundings(self) -> tuple[Any, ...]:
        """What a dialog is told of the window that it belongs to."""
        return (
            self.iface.mapCanvas(),
            QgsProject.instance(),
            self.iface.messageBar(),
            self.iface.activeLayer,
            self.iface.mainWindow(),
        )


def _show(dialog: QWidget) -> None:
    dialog.show()
    dialog.raise_()
    dialog.activateWindow()


def _tr(text: str) -> str:
    return QCoreApplication.translate("TileCacheManagerPlugin", text)
