"""The third act of `make demo`: two services of the map, twenty scales, an area for each range.

An analyst takes two web maps along into the field: the overview of the world, one country for the
scales in between, the streets of a small town only. The rules come from a file, both services go
into packages of their own, and every tile is compared with what the service gives.
"""

import json
import math

from desktop.demo_steps import picture
from desktop.stage import service_layer
from exported_tiles import HALF, served, tiles_of_tpkx
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsProject,
    QgsRectangle,
)
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QFileDialog,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QTableView,
    QTabWidget,
    QToolButton,
    QTreeView,
)
from qgis.utils import iface
from shapely import wkb
from shapely.geometry import box
from shapely.prepared import prep

SERVICES = ("Streets", "Places")
LEVELS = range(20)
LEVEL_0 = 591657527.591555
COUNTRY = "Belgium"
TOWN = (3.722, 51.053, 3.728, 51.056)
"""A part of Ghent: degrees west, south, east and north."""

OVERVIEW, MIDDLE, STREETS = range(5), range(5, 11), range(11, 20)
DETAIL = 0.002  # degrees between vertices along an edge, that it stays itself in another CRS


def export_act(desktop, stage):
    """Takes the map of the acts before: the project with its layer of countries."""
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    project = QgsProject.instance()
    for name in SERVICES:
        layer = service_layer(desktop.site.service_url("classic", name), name)
        project.addMapLayer(layer)
    folder = desktop.folder / "offline"
    folder.mkdir()
    rules = write_rules(desktop.folder / "rules.json", stage.countries)
    yield from choose_services(desktop)
    dialog = export_dialog()
    yield from load_rules(desktop, dialog, rules)
    yield desktop.type_text(dialog.export_panel.folder_widget.lineEdit(), str(folder))
    yield from picture(desktop, "two_services_three_rules")
    yield from run(desktop, dialog)
    yield from picture(desktop, "two_services_exported")
    check(desktop, folder, stage.countries)
    yield desktop.click(desktop.find(QPushButton, "close_button", dialog))
    yield from show_packages(desktop, folder)


def export_dialog():
    """The export dialog where it is open."""
    dialogs = iface.mainWindow().findChildren(QDialog, "ExportDialog")
    return next((dialog for dialog in dialogs if dialog.isVisible()), None)


def choose_services(desktop):
    """Open the dialog and tick both services of the map."""
    yield from desktop.choose_from_menu("Web", "Tile Cache Manager", "Export Tiles")
    yield desktop.until(lambda: export_dialog() is not None, 10, "the dialog")
    dialog = export_dialog()
    dialog.move(200, 60)
    tabs = desktop.find(QTabWidget, "services_tabs", dialog)
    bar = tabs.tabBar()
    yield desktop.click(bar, bar.tabRect(1).center())
    view = desktop.find(QTreeView, "services_view", dialog)
    rows = view.model().rowCount()
    found = [view.model().index(row, 0) for row in range(rows)]
    for index in found:
        if index.data() in SERVICES and not is_ticked(index):
            yield from desktop.tick(view, index)
    yield desktop.until(lambda: all(is_ticked(index) for index in found), 5, "both to be ticked")
    if sorted(index.data() for index in found) != sorted(SERVICES):
        raise RuntimeError([index.data() for index in found])


def is_ticked(index):
    return Qt.CheckState(index.data(Qt.ItemDataRole.CheckStateRole)) == Qt.CheckState.Checked


def load_rules(desktop, dialog, rules):
    """Choose areas by scale and load their rules from a file."""
    kinds = desktop.find(QComboBox, "area_kind_combo", dialog)
    yield from desktop.choose(kinds, "Areas by Scale")
    yield desktop.click(desktop.find(QToolButton, "load_rules_button", dialog))
    yield desktop.until(lambda: file_dialog() is not None, 10, "the file dialog")
    name = desktop.find(QLineEdit, "fileNameEdit", file_dialog())
    yield desktop.type_text(name, str(rules))
    yield desktop.press(name, Qt.Key.Key_Return)
    view = desktop.find(QTableView, "rules_view", dialog)
    yield desktop.until(lambda: view.model().rowCount() == 3, 10, "three rules")


def file_dialog():
    dialogs = [each for each in QApplication.topLevelWidgets() if isinstance(each, QFileDialog)]
    return next((dialog for dialog in dialogs if dialog.isVisible()), None)


def run(desktop, dialog):
    button = desktop.find(QPushButton, "run_button", dialog)
    label = desktop.find(QLabel, "progress_label", dialog)
    before = label.text()
    yield desktop.until(button.isEnabled, 10, "the form to be complete")
    yield desktop.click(button)
    yield desktop.until(lambda: question() is not None, 10, "the question")
    yield from picture(desktop, "asked_before_two_exports")
    yield desktop.click(question().button(QMessageBox.StandardButton.Yes))
    yield desktop.until(
        lambda: button.isEnabled() and label.text() != before, 240, "both exports and their end"
    )
    desktop.say(label.text())
    if "2 exported" not in label.text() or "failed" in label.text():
        raise RuntimeError(label.text())


def question():
    boxes = [each for each in QApplication.topLevelWidgets() if isinstance(each, QMessageBox)]
    return next((shown for shown in boxes if shown.isVisible()), None)


# The rules, and what they should give


def write_rules(path, countries):
    """World, country and town as a file of rules, as a colleague may have sent it."""
    west, south, east, north = TOWN
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    town = ", ".join(f"{x} {y}" for x, y in corners)
    degrees = {"crs": "EPSG:4326"}
    areas = (
        (None, scale(OVERVIEW[-1]), {"kind": "full extent"}),
        (
            scale(MIDDLE[0]),
            scale(MIDDLE[-1]),
            {
                "kind": "layer",
                "layer_name": countries.name(),
                "layer_id": countries.id(),
                "layer_source": countries.source(),
                "provider": "ogr",
                "expression": f"\"NAME\" = '{COUNTRY}'",
            },
        ),
        (
            scale(STREETS[0]),
            None,
            {"kind": "geometry", "wkt": f"POLYGON(({town}))", **degrees},
        ),
    )
    rules = [{"from_scale": first, "to_scale": last, "area": area} for first, last, area in areas]
    text = {"format": "tile_cache_manager areas by scale", "version": 1, "rules": rules}
    path.write_text(json.dumps(text, indent=2), encoding="utf-8")
    return path


def scale(level):
    return LEVEL_0 / 2**level


def expected(countries):
    """By brute force: all tiles that each scale's area touches, one by one."""
    world = box(-HALF + 100, -HALF + 66000, HALF - 100, HALF - 66000)
    areas = {
        **dict.fromkeys(OVERVIEW, world),
        **dict.fromkeys(MIDDLE, country(countries)),
        **dict.fromkeys(STREETS, town()),
    }
    return {(level, row, col) for level, area in areas.items() for row, col in touched(level, area)}


def touched(level, area):
    size, last = 2 * HALF / 2**level, 2**level - 1
    xmin, ymin, xmax, ymax = area.bounds
    rows = range(max(0, int((HALF - ymax) // size)), min(last, int((HALF - ymin) // size)) + 1)
    cols = range(max(0, int((xmin + HALF) // size)), min(last, int((xmax + HALF) // size)) + 1)
    inside = prep(area)
    for row in rows:
        for col in cols:
            x, y = col * size - HALF, HALF - row * size
            tile = box(x, y - size, x + size, y)
            if inside.intersects(tile) and area.intersection(tile).area > 0:
                yield row, col


def country(countries):
    countries.selectByExpression(f"\"NAME\" = '{COUNTRY}'")
    (feature,) = countries.selectedFeatures()
    countries.removeSelection()
    geometry = feature.geometry().densifyByDistance(DETAIL)
    mercator = QgsCoordinateReferenceSystem("EPSG:3857")
    geometry.transform(QgsCoordinateTransform(countries.crs(), mercator, QgsProject.instance()))
    return wkb.loads(bytes(geometry.asWkb()))


def town():
    west, south, east, north = TOWN
    return box(*mercator(west, south), *mercator(east, north))


def mercator(longitude, latitude):
    y = math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))
    return longitude / 180 * HALF, y / math.pi * HALF


def check(desktop, folder, countries):
    """The demo shows nothing unless just these tiles are there, as the services give them."""
    wanted = expected(countries)
    for name in SERVICES:
        found = tiles_of_tpkx(folder / f"{name}.tpkx", folder / f"{name}, unpacked")
        if set(found) != wanted:
            raise RuntimeError(f"{name}: {len(found)} tiles, {len(wanted)} expected")
        different = [tile for tile in found if found[tile] != served(desktop.site, name, tile)]
        if different:
            raise RuntimeError(f"{name}: {len(different)} tiles differ from the service's")
        desktop.say(
            f"{name}.tpkx: {len(found)} tiles, as many as brute force expects, each as served."
        )
    counts = [sum(1 for tile in wanted if tile[0] == level) for level in LEVELS]
    desktop.say(f"  tiles of the 20 scales: {', '.join(map(str, counts))}")


def show_packages(desktop, folder):
    """Put a package on the map where this QGIS can read it, as GDAL does from 3.8 on."""
    from tile_cache_manager.plugin.host.shown_layers import layer_of_cache

    project = QgsProject.instance()
    for layer in project.mapLayers().values():
        project.layerTreeRoot().findLayer(layer).setItemVisibilityChecked(False)
    layer = layer_of_cache(folder / "Streets.tpkx")
    if layer is None:
        desktop.say("The GDAL of this QGIS is older than 3.8 and opens no TPKX: not on the map.")
        return
    project.addMapLayer(layer)
    iface.mapCanvas().setExtent(QgsRectangle(2e5, 6.2e6, 8e5, 6.8e6))
    iface.mapCanvas().refreshAllLayers()
    yield desktop.until(iface.mapCanvas().isDrawing, 10, "the map to be drawn")
    yield desktop.until(lambda: not iface.mapCanvas().isDrawing(), 60, "the map")
    yield from picture(desktop, "exported_package_on_the_map")
