"""Runs in the QGIS window: updates of over 5,000 tiles while a timer listens to the main thread.

First a site does the work, then the plugin itself, which draws the tiles from the project.
"""

import json
import time

from desktop import demo_package, demo_service
from desktop.demo_steps import count_label
from desktop.stage import set_up
from qgis.core import Qgis, QgsProject
from qgis.PyQt.QtWidgets import QAbstractButton, QComboBox, QLabel, QPushButton

SCALES = 7
LAST_SCALE = "1:9,244,649"
TILES_OF_WORLD = "5,461 tiles"
TILES_OF_COUNTRIES = "5,301 tiles"
"""Levels 0 to 6 of the whole world, and of all countries."""

IDLE_SECONDS = 5


def steps(desktop):
    stage = yield from set_up(desktop, desktop.site)
    dialog = yield from demo_service.open_dialog(desktop)
    yield from demo_service.load(desktop, dialog, stage)
    yield from desktop.choose(desktop.find(QComboBox, "range_to_combo", dialog), LAST_SCALE)
    yield desktop.click(desktop.find(QAbstractButton, "range_button", dialog))
    yield desktop.until(
        lambda: TILES_OF_WORLD in count_label(desktop, dialog).text(), 20, "the count"
    )
    on_a_site = yield from listened(desktop, dialog, TILES_OF_WORLD)
    desktop.heartbeat.restart()
    yield desktop.passed(IDLE_SECONDS)
    idle = desktop.heartbeat.longest_gap_seconds

    folder = desktop.folder / "caches"
    folder.mkdir()
    # or the site's tiles would be asked for
    QgsProject.instance().removeMapLayer(stage.service)
    dialog = yield from demo_package.create(desktop, folder, SCALES)
    yield from desktop.choose(desktop.find(QComboBox, "area_kind_combo", dialog), "Full Extent")
    yield desktop.until(
        lambda: TILES_OF_COUNTRIES in count_label(desktop, dialog).text(), 20, "the count"
    )
    here = yield from listened(desktop, dialog, TILES_OF_COUNTRIES)
    figures = {
        "site": on_a_site,
        "here": here,
        "idle_ms": idle * 1000,
        "qgis": Qgis.QGIS_VERSION,
    }
    desktop.say(json.dumps(figures))


def listened(desktop, dialog, tiles):
    """Run the update that the form asks for; gives its seconds and the longest gap."""
    run = desktop.find(QPushButton, "run_button", dialog)
    label = desktop.find(QLabel, "progress_label", dialog)
    before = label.text()
    yield desktop.passed(1)
    desktop.heartbeat.restart()
    started = time.monotonic()
    yield desktop.click(run)
    yield desktop.until(
        lambda: run.isEnabled() and label.text() != before, 200, "the update and its end"
    )
    figures = {
        "seconds": time.monotonic() - started,
        "busy_ms": desktop.heartbeat.longest_gap_seconds * 1000,
    }
    if f" done: {tiles}" not in label.text():
        raise RuntimeError(label.text())
    return figures
