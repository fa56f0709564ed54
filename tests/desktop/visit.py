"""The plugin as QGIS loads it at its start: what it shows, and that nothing went wrong."""

from desktop.driver import plain
from qgis.core import QgsApplication
from qgis.utils import iface, plugins

PACKAGE = "tile_cache_manager"
TITLE = "Tile Cache Manager"


def steps(desktop):
    layer = desktop.open_countries()
    yield desktop.until(layer.isValid, 5, "the countries")
    yield desktop.until(lambda: not iface.mapCanvas().isDrawing(), 30, "the map")
    desktop.say(f"loaded: {PACKAGE in plugins}")

    provider = QgsApplication.processingRegistry().providerById("tilecache")
    desktop.say(f"provider: {provider is not None}")

    menu = next(a.menu() for a in iface.webMenu().actions() if plain(a.text()) == TITLE)
    actions = [action for action in menu.actions() if not action.isSeparator()]
    desktop.say(f"actions: {len(actions)}")
    desktop.say(f"actions without icon or name: {[a.text() for a in actions if not _whole(a)]}")

    yield from desktop.choose_from_menu("Web", TITLE)
    yield desktop.until(menu.isVisible, 5, "the plugin's menu")
    desktop.picture("menu")
    menu.close()

    wrong = [line for line in desktop.messages if line.startswith("Python ") or "Traceback" in line]
    desktop.say(f"Python messages: {wrong}")


def _whole(action):
    return bool(action.objectName()) and not action.icon().isNull()
