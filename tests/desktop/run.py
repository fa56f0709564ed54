"""`make run`: QGIS with the plugin and the stand-in site, for a person to click."""

from desktop.stage import SIGN_IN_NAME, set_up
from qgis.core import QgsRectangle
from qgis.utils import iface


def steps(desktop):
    stage = yield from set_up(desktop, desktop.site)
    iface.mapCanvas().setExtent(QgsRectangle(-2e7, -1e7, 2e7, 1.6e7))
    desktop.say(f"The service to try: {stage.service_address}")
    desktop.say(f"To manage its cache, sign in with “{SIGN_IN_NAME}”.")
    desktop.say("Open Web > Tile Cache Manager > Manage Cache Tiles. Close QGIS to end.")
    yield desktop.until(lambda: not iface.mainWindow().isVisible(), float("inf"), "the end")
