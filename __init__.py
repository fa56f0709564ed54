"""Tile Cache Manager: a QGIS plugin that keeps web tile caches up to date.

Imports nothing of QGIS here, so that the rooms below can be read without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .plugin.registration import TileCacheManagerPlugin


PACKAGES = ("numpy", "shapely", "certifi", "requests")
"""What the plugin needs beside QGIS, those that others need first; not every QGIS brings them."""


def classFactory(iface: Any) -> TileCacheManagerPlugin:  # noqa: N802 - the name QGIS calls
    """Give QGIS the plugin object that belongs to its window `iface`.

    Raises ImportError, with what to do, where a Python package is missing or too old.
    """
    try:
        from .plugin.registration import TileCacheManagerPlugin
    except ImportError as error:
        package = _package_at_fault(error)
        if not package:
            raise
        raise ImportError(_advice(package), name=error.name) from None
    return TileCacheManagerPlugin(iface)


def _package_at_fault(error: ImportError) -> str:
    """Which of PACKAGES is missing, else which one lacks something; "" for none."""
    for package in PACKAGES:
        try:
            # asked one by one: shapely's own error does not say that it is numpy that it misses
            import_module(package)
        except ImportError:
            return package
    origin = (error.name or "").split(".")[0]
    return origin if origin in PACKAGES else ""


def _advice(package: str) -> str:
    from qgis.PyQt.QtCore import QCoreApplication

    text = QCoreApplication.translate(
        "TileCacheManager",
        "Tile Cache Manager needs the Python package {package}, which is missing or too old:"
        " install it, on Debian and Ubuntu with “sudo apt install python3-numpy python3-shapely"
        " python3-requests”, and start QGIS again.",
    )
    return text.format(package=package)
