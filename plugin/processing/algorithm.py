"""What all algorithms of the provider have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import QgsProcessingAlgorithm
from qgis.PyQt.QtCore import QCoreApplication


@dataclass(frozen=True)
class Words:
    """What an algorithm is called, and what is said of it: translated, `name` apart.

    `tags`: joined by commas. `help`: HTML.
    """

    name: str
    title: str
    tags: str
    summary: str
    help: str


class CacheAlgorithm(QgsProcessingAlgorithm):
    """An algorithm of the group of tile caches."""

    def words(self) -> Words:
        """What it is called, and what is said of it."""
        raise NotImplementedError

    # QgsProcessingAlgorithm interface

    def createInstance(self) -> Any:
        return type(self)()

    def name(self) -> str:
        return self.words().name

    def displayName(self) -> str:
        return self.words().title

    def tags(self) -> list[str]:
        return self.words().tags.split(",")

    def shortDescription(self) -> str:
        return self.words().summary

    def shortHelpString(self) -> str:
        # QGIS shows a line break for each that stands in the source.
        return " ".join(self.words().help.split())

    def group(self) -> str:
        return QCoreApplication.translate("CacheAlgorithm", "Tile caches")

    def groupId(self) -> str:
        return "tilecaches"
