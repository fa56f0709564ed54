"""Loads, uses and unloads the plugin twice in a QGIS that started without it; counts what is left.

Used means: its dialog is opened, every kind of area is chosen once, each drawing is begun, and the
dialog is closed; then the dialog for exports, of one service and of several. A plugin without that
dialog is only loaded and unloaded.
"""

import qgis.utils
from desktop.traces import differences, traces
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QAction, QComboBox, QDialog, QPushButton, QTabWidget
from qgis.utils import iface

PACKAGE = "tile_cache_manager"
ACTION = "tile_cache_manager_update"
EXPORT_ACTION = "tile_cache_manager_export"


def steps(desktop):
    desktop.open_countries().selectByIds([1])
    yield from drawn(desktop)
    qgis.utils.updateAvailablePlugins()
    before = traces(PACKAGE)
    for round_number in (1, 2):
        started = qgis.utils.loadPlugin(PACKAGE) and qgis.utils.startPlugin(PACKAGE)
        desktop.say(f"started {round_number}: {started}")
        yield desktop.until(lambda: True, 1, "the event loop")
        yield from use(desktop, round_number)
        desktop.say(f"changed {round_number}: {bool(differences(before, traces(PACKAGE)))}")
        desktop.say(f"unloaded {round_number}: {qgis.utils.unloadPlugin(PACKAGE)}")
        yield desktop.until(no_task_runs, 20, "the tasks")
        yield from drawn(desktop)
        desktop.say(f"left {round_number}: {differences(before, traces(PACKAGE))}")
    wrong = [line for line in desktop.messages if line.startswith("Python ") or "Traceback" in line]
    desktop.say(f"Python messages: {wrong}")


def drawn(desktop):
    """Draw the map once more: QGIS itself listens to the layers of its last picture."""
    yield desktop.until(lambda: iface.mapCanvas().layerCount() == 1, 20, "the layer")
    iface.mapCanvas().refreshAllLayers()
    yield desktop.until(iface.mapCanvas().isDrawing, 10, "the map to be drawn")
    yield desktop.until(lambda: not iface.mapCanvas().isDrawing(), 30, "the map")


def no_task_runs():
    return QgsApplication.taskManager().countActiveTasks() == 0


def use(desktop, round_number):
    action = iface.mainWindow().findChild(QAction, ACTION)
    if action is None:
        return
    action.trigger()
    dialog = iface.mainWindow().findChild(QDialog, "UpdateDialog")
    kinds = desktop.find(QComboBox, "area_kind_combo", dialog)
    draw = desktop.find(QPushButton, "draw_button", dialog)
    drawings = 0
    for row in reversed(range(kinds.count())):
        kinds.setCurrentIndex(row)
        yield desktop.painted()
        if draw.isVisible():
            drawings += 1
            yield from begin_and_cancel(desktop, draw)
    desktop.say(f"areas {round_number}: {kinds.count()}, drawings {drawings}")
    tabs = desktop.find(QTabWidget, "update_tabs", dialog)
    for index in (1, 0):  # the jobs, which are looked after from then on
        tabs.setCurrentIndex(index)
        yield desktop.painted()
    # closed with the area of a layer: its preview is on the canvas
    yield from desktop.choose(kinds, "Polygon Layer")
    yield desktop.painted()
    yield desktop.click(desktop.find(QPushButton, "close_button", dialog))
    yield desktop.until(lambda: not dialog.isVisible(), 5, "the dialog to close")
    yield from use_export(desktop, round_number)


def use_export(desktop, round_number):
    iface.mainWindow().findChild(QAction, EXPORT_ACTION).trigger()
    dialog = iface.mainWindow().findChild(QDialog, "ExportDialog")
    tabs = desktop.find(QTabWidget, "services_tabs", dialog)
    for index in reversed(range(tabs.count())):
        tabs.setCurrentIndex(index)
        yield desktop.painted()
    desktop.say(f"exports {round_number}: of {tabs.count()} kinds")
    yield desktop.click(desktop.find(QPushButton, "close_button", dialog))
    yield desktop.until(lambda: not dialog.isVisible(), 5, "the export dialog to close")


def begin_and_cancel(desktop, draw):
    canvas = iface.mapCanvas()
    before = canvas.mapTool()
    yield desktop.click(draw)
    yield desktop.until(lambda: canvas.mapTool() is not before, 5, "the drawing tool")
    for corner in (canvas.rect().center(), canvas.rect().center() / 2):
        yield desktop.click(canvas.viewport(), corner)
    if canvas.mapTool() is not before:
        yield desktop.press(canvas, Qt.Key.Key_Escape)
    yield desktop.until(lambda: canvas.mapTool() is before, 5, "the tool before")
