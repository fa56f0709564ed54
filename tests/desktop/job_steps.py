"""What test_jobs.py does: an update is begun, QGIS closed, and the job found at its next start."""

from desktop.demo_service import load, open_dialog
from desktop.demo_steps import update_dialog
from desktop.stage import set_up
from qgis.core import QgsApplication, QgsProject
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QLabel,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QTableView,
    QTabWidget,
    QToolButton,
)
from qgis.utils import iface

SCALES = 3
STATE, PROGRESS = 4, 5


def begin_update(desktop):
    """Have the coarsest scales of World updated; the job stands still on its way."""
    stage = yield from set_up(desktop, desktop.site)
    dialog = yield from open_dialog(desktop)
    yield from load(desktop, dialog, stage)
    for name, row in (("range_from_combo", 0), ("range_to_combo", SCALES - 1)):
        combo = desktop.find(QComboBox, name, dialog)
        yield from desktop.choose(combo, combo.itemText(row))
    yield desktop.click(desktop.find(QToolButton, "range_button", dialog))
    count = desktop.find(QLabel, "tile_count_label", dialog)
    yield desktop.until(lambda: count.text().startswith("21 tiles"), 20, "the count")
    desktop.site.pause_after("classic", 8)
    yield desktop.click(desktop.find(QPushButton, "run_button", dialog))
    yield desktop.until(lambda: paused(desktop), 30, "the job to be on its way")


def close_qgis(desktop):
    """Close the window; that QGIS asks nobody is for it to show by ending."""
    QgsProject.instance().setDirty(False)
    yield desktop.quit()
    yield desktop.until(lambda: desktop.dialog(QMessageBox), float("inf"), "QGIS to end")


def follow_again(desktop):
    """After a start with the profile of before: the job is listed, locked; then followed."""
    bar = iface.messageBar()
    yield desktop.until(lambda: bar.currentItem() is not None, 30, "a line in QGIS's bar")
    desktop.say(f"told: {bar.currentItem().text()}")
    yield desktop.click(desktop.find(QPushButton, "show_jobs_button", bar))
    yield desktop.until(lambda: update_dialog() is not None, 10, "the dialog")
    dialog = update_dialog()
    dialog.move(100, 60)
    tabs = desktop.find(QTabWidget, "update_tabs", dialog)
    desktop.say(f"page: {tabs.tabText(tabs.currentIndex())}")
    yield desktop.until(lambda: state(desktop, dialog), 10, "the job in the list")
    desktop.say(f"locked: {state(desktop, dialog)}")
    yield desktop.painted()
    desktop.picture("locked")
    # what a person types whom QGIS asks for it; a window that nobody can reach from here
    QgsApplication.authManager().setMasterPassword("stand-in", True)
    yield desktop.click(desktop.find(QPushButton, "follow_button", dialog))
    yield desktop.until(lambda: has_moved(desktop, dialog), 20, "its progress")
    desktop.say(f"followed: {state(desktop, dialog)}")
    yield desktop.painted()
    desktop.picture("followed")
    desktop.site.release("classic")
    yield desktop.until(lambda: state(desktop, dialog) == "Done", 30, "its end")
    text = desktop.find(QPlainTextEdit, "job_text_view", dialog)
    yield desktop.until(lambda: " done: " in text.toPlainText(), 10, "its report")
    desktop.say(f"told: {bar.currentItem().text()}"[:60])
    yield desktop.painted()
    desktop.picture("done")


def paused(desktop):
    return any(job["paused"] for job in desktop.site.jobs("classic"))


def state(desktop, dialog):
    """How the first job is, as the list says; "" where it lists none."""
    model = desktop.find(QTableView, "jobs_view", dialog).model()
    return model.index(0, STATE).data() if model.rowCount() else ""


def has_moved(desktop, dialog):
    model = desktop.find(QTableView, "jobs_view", dialog).model()
    is_followed = state(desktop, dialog) == "Running, Followed"
    return is_followed and model.index(0, PROGRESS).data() not in ("", "0 %")
