"""Loads and unloads the plugin twice in a QGIS that started without it, and counts what is left."""

import qgis.utils
from desktop.traces import differences, traces
from qgis.utils import iface

PACKAGE = "tile_cache_manager"


def steps(desktop):
    yield desktop.until(lambda: not iface.mapCanvas().isDrawing(), 30, "the window")
    qgis.utils.updateAvailablePlugins()
    before = traces(PACKAGE)
    for round_number in (1, 2):
        started = qgis.utils.loadPlugin(PACKAGE) and qgis.utils.startPlugin(PACKAGE)
        desktop.say(f"started {round_number}: {started}")
        yield desktop.until(lambda: True, 1, "the event loop")
        desktop.say(f"changed {round_number}: {bool(differences(before, traces(PACKAGE)))}")
        desktop.say(f"unloaded {round_number}: {qgis.utils.unloadPlugin(PACKAGE)}")
        yield desktop.until(lambda: True, 1, "the event loop")
        desktop.say(f"left {round_number}: {differences(before, traces(PACKAGE))}")
    wrong = [line for line in desktop.messages if line.startswith("Python ") or "Traceback" in line]
    desktop.say(f"Python messages: {wrong}")
