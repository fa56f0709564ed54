"""What all algorithms of the provider have in common."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingAlgorithm
from qgis.PyQt.QtCore import QCoreApplication


class CacheAlgorithm(QgsProcessingAlgorithm):
    """An algorithm of the group of tile caches."""

    # QgsProcessingAlgorithm interface

    def createInstance(self) -> Any:
        return type(self)()

    def group(self) -> str:
        return QCoreApplication.translate("CacheAlgorithm", "Tile caches")

    def groupId(self) -> str:
        return "tilecaches"


def on_one_line(text: str) -> str:
    """A help text without its line breaks: QGIS shows one for each that stands in the source."""
    return " ".join(text.split())
