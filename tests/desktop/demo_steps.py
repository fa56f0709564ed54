"""What both acts of `make demo` do in the dialog and on the map."""

from qgis.core import QgsRectangle
from qgis.PyQt.QtCore import QPoint
from qgis.PyQt.QtGui import QCursor
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QDialog, QLabel, QPushButton, QToolTip
from qgis.utils import iface

COUNTRY = "Canada"
AROUND_IT = QgsRectangle(-1.75e7, 4.2e6, -4.0e6, 1.8e7)


def update_dialog():
    """The plugin's dialog where it is open."""
    dialogs = iface.mainWindow().findChildren(QDialog, "UpdateDialog")
    return next((dialog for dialog in dialogs if dialog.isVisible()), None)


def choose_country(desktop, dialog, countries):
    """Make the selected country of the layer the area of interest."""
    countries.selectByExpression(f"\"NAME\" = '{COUNTRY}'")
    kinds = desktop.find(QComboBox, "area_kind_combo", dialog)
    before = count_label(desktop, dialog).text()
    yield from desktop.choose(kinds, "Polygon Layer")
    selected_only = desktop.find(QCheckBox, "selected_only_check", dialog)
    if not selected_only.isChecked():
        yield desktop.click(selected_only)
    yield desktop.until(
        lambda: planned_tiles(desktop, dialog) not in ("", before), 60, "the country's tiles"
    )
    yield desktop.until(lambda: not iface.mapCanvas().isDrawing(), 30, "the map")


def choose_mode(desktop, dialog, mode):
    yield from desktop.choose(desktop.find(QComboBox, "mode_combo", dialog), mode)


def run_to_the_end(desktop, dialog):
    run = desktop.find(QPushButton, "run_button", dialog)
    label = desktop.find(QLabel, "progress_label", dialog)
    before = label.text()
    yield desktop.click(run)
    yield desktop.until(
        lambda: run.isEnabled() and label.text() != before, 120, "the run and its end"
    )
    if " done: " not in label.text():
        raise RuntimeError(label.text())


def look_at_map(desktop, name):
    iface.mapCanvas().setExtent(AROUND_IT)
    iface.mapCanvas().refreshAllLayers()
    yield desktop.until(iface.mapCanvas().isDrawing, 10, "the map to be drawn")
    yield desktop.until(lambda: not iface.mapCanvas().isDrawing(), 60, "the map")
    yield from picture(desktop, name)


def picture(desktop, name):
    # as a person would, lest a tool tip stays in the picture
    QCursor.setPos(iface.mainWindow().mapToGlobal(QPoint(2, 2)))
    QToolTip.hideText()
    yield desktop.painted()
    desktop.picture(name)


def count_label(desktop, dialog):
    return desktop.find(QLabel, "tile_count_label", dialog)


def planned_tiles(desktop, dialog):
    """What the dialog says of the number of tiles; "" while it counts."""
    text = count_label(desktop, dialog).text()
    return text if "tiles" in text and "…" not in text else ""
