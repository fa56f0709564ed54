"""Tile Cache Manager: a QGIS plugin that keeps web tile caches up to date.

Imports nothing of QGIS here, so that the rooms below can be read without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .plugin.registration import TileCacheManagerPlugin


def classFactory(iface: Any) -> TileCacheManagerPlugin:  # noqa: N802 - the name QGIS calls
    """Give QGIS the plugin object that belongs to its window `iface`."""
    from .plugin.registration import TileCacheManagerPlugin

    return TileCacheManagerPlugin(iface)
