"""Runs in the QGIS window: an update of 5,461 tiles while a timer listens to the main thread."""

import json
import time

from desktop import demo_service
from desktop.demo_steps import count_label
from desktop.stage import set_up
from qgis.core import Qgis
from qgis.PyQt.QtWidgets import QAbstractButton, QComboBox, QPushButton

LAST_SCALE = "1:9,244,649"
"""Levels 0 to 6 of the whole world."""


def steps(desktop):
    site = desktop.site
    stage = yield from set_up(desktop, site)
    dialog = yield from demo_service.open_dialog(desktop)
    yield from demo_service.load(desktop, dialog, stage)
    yield from desktop.choose(desktop.find(QComboBox, "range_to_combo", dialog), LAST_SCALE)
    yield desktop.click(desktop.find(QAbstractButton, "range_button", dialog))
    yield desktop.until(
        lambda: "5,461 tiles" in count_label(desktop, dialog).text(), 20, "the count"
    )
    run = desktop.find(QPushButton, "run_button", dialog)
    yield desktop.passed(1)

    desktop.heartbeat.restart()
    started = time.monotonic()
    yield desktop.click(run)
    yield desktop.until(lambda: not run.isEnabled(), 10, "the update's start")
    yield desktop.until(run.isEnabled, 200, "the update's end")
    seconds = time.monotonic() - started
    busy = desktop.heartbeat.longest_gap_seconds

    desktop.heartbeat.restart()
    yield desktop.passed(min(seconds, 5))
    idle = desktop.heartbeat.longest_gap_seconds
    tiles = sum(demo_service.stored(site).values())
    figures = {
        "busy_ms": busy * 1000,
        "idle_ms": idle * 1000,
        "seconds": seconds,
        "tiles": tiles,
        "qgis": Qgis.QGIS_VERSION,
    }
    desktop.say(json.dumps(figures))
