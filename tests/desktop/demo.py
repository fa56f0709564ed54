"""`make demo`: updates a service's tiles as a person would, and takes a picture of each step.

An analyst's morning: the cache of the service World is empty. Make its tiles in Canada at all
cached scales, lose patience half way and cancel, then run again, which makes just the rest.
"""

from arcgis_server.handle import CONTEXTS
from desktop.stage import set_up
from qgis.core import QgsRectangle
from qgis.gui import QgsAuthConfigSelect
from qgis.PyQt.QtCore import QPoint
from qgis.PyQt.QtGui import QCursor
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolTip,
)
from qgis.utils import iface

COUNTRY = "Canada"
AROUND_IT = QgsRectangle(-1.75e7, 4.2e6, -4.0e6, 1.8e7)
TILES_PER_SECOND = 90


def steps(desktop):
    site = desktop.site
    site.reset(*CONTEXTS)
    site.set_speed("classic", TILES_PER_SECOND)
    stage = yield from set_up(desktop, site)
    yield from look_at_map(desktop, "map_before")

    dialog = yield from open_dialog(desktop)
    yield from load(desktop, dialog, stage)
    yield from choose_area(desktop, dialog, stage)
    yield from choose_mode(desktop, dialog)
    planned = planned_tiles(desktop, dialog)
    desktop.say(f"Area: {COUNTRY}. {planned}")

    yield from run_and_cancel(desktop, dialog)
    after_cancel = stored(site)
    desktop.say(f"Cancelled half way: {sum(after_cancel.values())} tiles made, and kept.")

    yield from run_to_the_end(desktop, dialog)
    made = stored(site)
    desktop.say(f"Run again: {sum(made.values()) - sum(after_cancel.values())} tiles made.")
    check(planned, sum(after_cancel.values()), sum(made.values()))
    for level, tiles in made.items():
        desktop.say(f"  level {level}: {tiles} tiles")

    yield desktop.click(desktop.find(QPushButton, "close_button", dialog))
    stage.service.reload()
    yield from look_at_map(desktop, "map_after")
    desktop.say(f"Pictures of each step are in {desktop.folder.name}/")


def check(planned, after_cancel, made):
    """The demo has shown nothing unless it was cancelled on the way and then made just the rest."""
    if not 0 < after_cancel < made or not planned.startswith(f"{made:,} tiles"):
        raise RuntimeError(f"{planned} {after_cancel} after the cancel, {made} at the end")


def open_dialog(desktop):
    yield from desktop.choose_from_menu("Web", "Tile Cache Manager", "Manage Cache Tiles")
    yield desktop.until(lambda: update_dialog() is not None, 10, "the dialog")
    dialog = update_dialog()
    dialog.move(380, 60)
    yield from picture(desktop, "dialog_empty")
    return dialog


def update_dialog():
    """The plugin's dialog where it is open."""
    dialogs = iface.mainWindow().findChildren(QDialog, "UpdateDialog")
    return next((dialog for dialog in dialogs if dialog.isVisible()), None)


def load(desktop, dialog, stage):
    combo = desktop.find(QComboBox, "address_combo", dialog)
    yield desktop.type_text(combo.lineEdit(), stage.service_address)
    desktop.find(QgsAuthConfigSelect, "auth_select", dialog).setConfigId(stage.auth_config_id)
    yield desktop.click(desktop.find(QPushButton, "load_button", dialog))
    summary = desktop.find(QLabel, "summary_label", dialog)
    yield desktop.until(lambda: "World" in summary.text(), 20, "the service's summary")
    yield desktop.until(lambda: "tiles" in count_label(desktop, dialog).text(), 20, "the count")
    yield from picture(desktop, "service_loaded")


def choose_area(desktop, dialog, stage):
    stage.countries.selectByExpression(f"\"NAME\" = '{COUNTRY}'")
    kinds = desktop.find(QComboBox, "area_kind_combo", dialog)
    yield from desktop.choose(kinds, "Polygon Layer")
    selected_only = desktop.find(QCheckBox, "selected_only_check", dialog)
    if not selected_only.isChecked():
        yield desktop.click(selected_only)
    before = count_label(desktop, dialog).text()
    yield desktop.until(
        lambda: planned_tiles(desktop, dialog) not in ("", before), 20, "the country's tiles"
    )
    yield desktop.until(lambda: not iface.mapCanvas().isDrawing(), 30, "the map")
    yield from picture(desktop, "area_chosen")


def choose_mode(desktop, dialog):
    yield from desktop.choose(desktop.find(QComboBox, "mode_combo", dialog), "Recreate Empty Tiles")


def run_and_cancel(desktop, dialog):
    run = desktop.find(QPushButton, "run_button", dialog)
    yield desktop.click(run)
    bar = desktop.find(QProgressBar, "progress_bar", dialog)
    yield desktop.until(lambda: bar.value() >= 45, 60, "half of the tiles")
    yield from picture(desktop, "half_way")
    yield desktop.click(desktop.find(QPushButton, "cancel_button", dialog))
    yield desktop.until(run.isEnabled, 60, "the cancelled job's end")
    yield from picture(desktop, "cancelled")


def run_to_the_end(desktop, dialog):
    run = desktop.find(QPushButton, "run_button", dialog)
    label = desktop.find(QLabel, "progress_label", dialog)
    yield desktop.click(run)
    yield desktop.until(lambda: not run.isEnabled(), 10, "the second run's start")
    yield desktop.until(run.isEnabled, 120, "the second run's end")
    if " done: " not in label.text():
        raise RuntimeError(label.text())
    yield from picture(desktop, "done")


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


def stored(site):
    """Tiles of the service by level, counted in its bundles on disk."""
    return {level: len(tiles) for level, tiles in site.read_cache("classic", "World").items()}
