"""The second act of `make demo`: a package on this computer, drawn from QGIS's world map.

Create a small MBTiles package, draw the world into it, change the colour of one country in the
project, have just the tiles of that country drawn anew, and put the package on the map.
"""

import sqlite3

from desktop.demo_steps import (
    COUNTRY,
    choose_country,
    choose_mode,
    look_at_map,
    picture,
    planned_tiles,
    run_to_the_end,
    update_dialog,
)
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsFillSymbol,
    QgsProject,
    QgsRendererCategory,
)
from qgis.PyQt.QtWidgets import QComboBox, QDialog, QLabel, QLineEdit, QPushButton, QToolButton
from qgis.utils import iface

LAND = {"color": "222,226,208,255", "outline_color": "140,140,140", "outline_width": "0.2"}
CHANGED = {**LAND, "color": "214,96,77,255"}
NAME = "World"
SCALES = 5
TILES = sum(4**level for level in range(SCALES))


def package_act(desktop, stage):
    """Takes the map of the first act: the project with its layer of countries."""
    project = QgsProject.instance()
    project.removeMapLayer(stage.service)
    stage.countries.removeSelection()
    colour(stage.countries, LAND)
    folder = desktop.folder / "caches"
    folder.mkdir()
    dialog = yield from create(desktop, folder)
    package = folder / f"{NAME}.mbtiles"
    yield from draw_the_world(desktop, dialog)
    before = tiles_of(package)
    desktop.say(f"Created {package.name}: {len(before)} tiles at {SCALES} scales.")

    colour(stage.countries, CHANGED)
    yield from choose_country(desktop, dialog, stage.countries)
    yield from choose_mode(desktop, dialog, "Recreate All Tiles")
    planned = planned_tiles(desktop, dialog)
    yield from run_to_the_end(desktop, dialog)
    yield from picture(desktop, "country_updated")
    after = tiles_of(package)
    changed = {tile for tile in after if after[tile] != before[tile]}
    desktop.say(f"{COUNTRY} has another colour. {planned} {len(changed)} of them look different.")
    check(before, after, changed, planned)

    yield desktop.click(desktop.find(QPushButton, "add_button", dialog))
    yield desktop.click(desktop.find(QPushButton, "close_button", dialog))
    project.layerTreeRoot().findLayer(stage.countries).setItemVisibilityChecked(False)
    yield from look_at_map(desktop, "package_on_the_map")


def check(before, after, changed, planned):
    """The demo shows nothing unless tiles have changed, and no others than the country's."""
    most = int(planned.split(" ")[0].replace(",", ""))
    if len(before) != TILES or before.keys() != after.keys() or not 0 < len(changed) <= most:
        raise RuntimeError(f"{planned} {len(before)} before, {len(after)} after, {len(changed)}")


def create(desktop, folder, scales=SCALES):
    """Fill in the form for a new cache of so many `scales`; gives the dialog that has loaded it."""
    yield from desktop.choose_from_menu("Web", "Tile Cache Manager", "Create a Cache")
    yield desktop.until(lambda: create_dialog() is not None, 10, "the form")
    form = create_dialog()
    form.move(240, 120)
    storages = desktop.find(QComboBox, "storage_combo", form)
    yield from desktop.choose(storages, "MBTiles (.mbtiles)")
    yield desktop.type_text(form.folder_widget.lineEdit(), str(folder))
    yield desktop.type_text(desktop.find(QLineEdit, "name_edit", form), NAME)
    yield desktop.click(desktop.find(QToolButton, "check_none_button", form))
    finest = desktop.find(QComboBox, "range_to_combo", form)
    yield from desktop.choose(finest, finest.itemText(scales - 1))
    yield desktop.click(desktop.find(QToolButton, "range_button", form))
    button = desktop.find(QPushButton, "create_button", form)
    yield desktop.until(button.isEnabled, 10, "the form to be complete")
    yield from picture(desktop, "new_cache")
    yield desktop.click(button)
    yield desktop.until(lambda: update_dialog() is not None, 20, "the new cache")
    dialog = update_dialog()
    summary = desktop.find(QLabel, "summary_label", dialog)
    yield desktop.until(lambda: "MBTiles" in summary.text(), 20, "the new cache's summary")
    return dialog


def create_dialog():
    """The form for new caches where it is open."""
    dialogs = iface.mainWindow().findChildren(QDialog, "CreateDialog")
    return next((dialog for dialog in dialogs if dialog.isVisible()), None)


def draw_the_world(desktop, dialog):
    yield from desktop.choose(desktop.find(QComboBox, "area_kind_combo", dialog), "Full Extent")
    yield from choose_mode(desktop, dialog, "Recreate Empty Tiles")
    yield desktop.until(
        lambda: planned_tiles(desktop, dialog).startswith(f"{TILES} "), 20, "the world's tiles"
    )
    yield from picture(desktop, "package_loaded")
    yield from run_to_the_end(desktop, dialog)
    yield from picture(desktop, "world_drawn")


def colour(countries, fill):
    """Have the country drawn with `fill`, the others as land."""
    one = QgsRendererCategory(COUNTRY, QgsFillSymbol.createSimple(fill), COUNTRY)
    rest = QgsRendererCategory(None, QgsFillSymbol.createSimple(LAND), "Others")
    countries.setRenderer(QgsCategorizedSymbolRenderer("NAME", [one, rest]))
    countries.triggerRepaint()


def tiles_of(package):
    """Pictures in the package by zoom, column and row, read by SQLite itself."""
    connection = sqlite3.connect(f"file:{package}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles"
        ).fetchall()
    finally:
        connection.close()
    return {row[:3]: row[3] for row in rows}
