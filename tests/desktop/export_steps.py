"""What test_export.py does in the export dialog, opened for a layer from the layer tree."""

from desktop.driver import Deed, plain
from desktop.stage import service_layer
from qgis.core import QgsApplication, QgsCoordinateReferenceSystem, QgsProject
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtGui import QContextMenuEvent
from qgis.PyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
    QToolButton,
)
from qgis.utils import iface

NAME = "Streets"


def open_for_layer(desktop):
    """Add a layer of the service and choose "Export Tiles" from its menu; gives the dialog."""
    address = desktop.site.service_url("classic", NAME)
    layer = service_layer(address, NAME)
    QgsProject.instance().addMapLayer(layer)
    yield desktop.until(lambda: iface.mapCanvas().layerCount() == 1, 20, "the layer")
    QgsProject.instance().setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    view = iface.layerTreeView()
    yield desktop.until(lambda: view.model().rowCount() == 1, 5, "the layer in the tree")
    index = view.model().index(0, 0)
    yield desktop.click(view.viewport(), view.visualRect(index).center())
    place = view.visualRect(index).center()
    event = QContextMenuEvent(
        QContextMenuEvent.Reason.Mouse, place, view.viewport().mapToGlobal(place)
    )
    QApplication.postEvent(view.viewport(), event)
    yield desktop.until(lambda: isinstance(QApplication.activePopupWidget(), QMenu), 5, "its menu")
    menu = QApplication.activePopupWidget()
    action = next(each for each in menu.actions() if plain(each.text()) == "Export Tiles")
    yield desktop.click(menu, menu.actionGeometry(action).center())
    yield desktop.until(lambda: export_dialog() is not None, 10, "the dialog")
    dialog = export_dialog()
    desktop.say(f"address: {desktop.find(QComboBox, 'address_combo', dialog).currentText()}")
    summary = desktop.find(QLabel, "summary_label", dialog)
    yield desktop.until(
        lambda: summary.text() and "Loading" not in summary.text(), 30, "the service"
    )
    desktop.say(f"loaded: {summary.text()}")
    return dialog


def export_dialog():
    dialogs = iface.mainWindow().findChildren(QDialog, "ExportDialog")
    return next((dialog for dialog in dialogs if dialog.isVisible()), None)


def fill_in(desktop, dialog, first, last, extent, target):
    """Tick a range of scales, type an extent and the path of a package."""
    for name, row in (("range_from_combo", first), ("range_to_combo", last)):
        combo = desktop.find(QComboBox, name, dialog)
        yield from desktop.choose(combo, combo.itemText(row))
    yield desktop.click(desktop.find(QToolButton, "range_button", dialog))
    yield from desktop.choose(desktop.find(QComboBox, "area_kind_combo", dialog), "Typed Extent")
    typed = desktop.find(QLineEdit, "typed_extent_edit", dialog)
    yield desktop.type_text(typed, extent)
    yield desktop.press(typed, Qt.Key.Key_Tab)
    yield desktop.type_text(dialog.export_panel.target_widget.lineEdit(), target)
    count = desktop.find(QLabel, "tile_count_label", dialog)
    yield desktop.until(
        lambda: " tiles" in count.text() and "…" not in count.text(), 20, "the count"
    )
    desktop.say(f"count: {count.text()}")


def start(desktop, dialog):
    run = desktop.find(QPushButton, "run_button", dialog)
    yield desktop.until(run.isEnabled, 10, "the form to be complete")
    yield desktop.click(run)


def wait_for_end(desktop, dialog):
    run = desktop.find(QPushButton, "run_button", dialog)
    label = desktop.find(QLabel, "progress_label", dialog)
    yield desktop.until(lambda: not run.isEnabled(), 10, "the export to begin")
    yield desktop.until(run.isEnabled, 60, "the end")
    desktop.say(f"end: {label.text()}")


def got(site):
    """How many packages the site has made."""
    exports = {
        each["jobId"] for each in site.submissions("classic") if each.get("task") == "exportTiles"
    }
    done = {j["jobId"] for j in site.jobs("classic") if j["jobStatus"] == "esriJobSucceeded"}
    return len(exports & done)


def close_qgis(desktop):
    """Close the window as a person does: have the task cancelled that QGIS asks of, close it then.

    Once that is begun the script has succeeded; that QGIS ends is for launch.py to see.
    """
    QgsProject.instance().setDirty(False)
    yield desktop.quit()
    yield desktop.until(lambda: desktop.dialog(QMessageBox), 10, "the question")
    yield desktop.click(desktop.dialog(QMessageBox).button(QMessageBox.StandardButton.Yes))
    yield desktop.until(lambda: not desktop.dialog(QMessageBox), 10, "the answer")
    yield desktop.until(
        lambda: not QgsApplication.taskManager().countActiveTasks(), 20, "the task to end"
    )
    QgsProject.instance().setDirty(False)
    yield Deed(iface.actionExit().trigger)
    yield desktop.until(lambda: False, float("inf"), "QGIS to end")
