"""The first act of `make demo`: updates a service's tiles as a person would, a picture each step.

An analyst's morning: the cache of the service World is empty. Make its tiles in Canada at all
cached scales, lose patience half way and cancel, then run again, which makes just the rest.
"""

from arcgis_server.handle import CONTEXTS
from desktop.demo_steps import (
    COUNTRY,
    choose_country,
    choose_mode,
    count_label,
    look_at_map,
    picture,
    planned_tiles,
    run_to_the_end,
    update_dialog,
)
from desktop.stage import set_up
from qgis.gui import QgsAuthConfigSelect
from qgis.PyQt.QtWidgets import QComboBox, QLabel, QProgressBar, QPushButton

TILES_PER_SECOND = 90


def service_act(desktop):
    """Give the Stage at the end (`stage = yield from service_act(desktop)`)."""
    site = desktop.site
    site.reset(*CONTEXTS)
    site.set_speed("classic", TILES_PER_SECOND)
    stage = yield from set_up(desktop, site)
    yield from look_at_map(desktop, "map_before")

    dialog = yield from open_dialog(desktop)
    yield from load(desktop, dialog, stage)
    yield from choose_country(desktop, dialog, stage.countries)
    yield from picture(desktop, "area_chosen")
    yield from choose_mode(desktop, dialog, "Recreate Empty Tiles")
    planned = planned_tiles(desktop, dialog)
    desktop.say(f"Area: {COUNTRY}. {planned}")

    yield from run_and_cancel(desktop, dialog)
    after_cancel = stored(site)
    desktop.say(f"Cancelled half way: {sum(after_cancel.values())} tiles made, and kept.")

    yield from run_to_the_end(desktop, dialog)
    yield from picture(desktop, "done")
    made = stored(site)
    desktop.say(f"Run again: {sum(made.values()) - sum(after_cancel.values())} tiles made.")
    check(planned, sum(after_cancel.values()), sum(made.values()))
    for level, tiles in made.items():
        desktop.say(f"  level {level}: {tiles} tiles")

    yield desktop.click(desktop.find(QPushButton, "close_button", dialog))
    stage.service.reload()
    yield from look_at_map(desktop, "map_after")
    return stage


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


def load(desktop, dialog, stage):
    combo = desktop.find(QComboBox, "address_combo", dialog)
    yield desktop.type_text(combo.lineEdit(), stage.service_address)
    desktop.find(QgsAuthConfigSelect, "auth_select", dialog).setConfigId(stage.auth_config_id)
    yield desktop.click(desktop.find(QPushButton, "load_button", dialog))
    summary = desktop.find(QLabel, "summary_label", dialog)
    yield desktop.until(lambda: "World" in summary.text(), 20, "the service's summary")
    yield desktop.until(lambda: "tiles" in count_label(desktop, dialog).text(), 20, "the count")
    yield from picture(desktop, "service_loaded")


def run_and_cancel(desktop, dialog):
    run = desktop.find(QPushButton, "run_button", dialog)
    yield desktop.click(run)
    bar = desktop.find(QProgressBar, "progress_bar", dialog)
    yield desktop.until(lambda: bar.value() >= 45, 60, "half of the tiles")
    yield from picture(desktop, "half_way")
    yield desktop.click(desktop.find(QPushButton, "cancel_button", dialog))
    yield desktop.until(run.isEnabled, 60, "the cancelled job's end")
    yield from picture(desktop, "cancelled")


def stored(site):
    """Tiles of the service by level, counted in its bundles on disk."""
    return {level: len(tiles) for level, tiles in site.read_cache("classic", "World").items()}
