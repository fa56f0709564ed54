"""The question before an update that deletes tiles or touches very many."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMessageBox, QWidget

from ..plugin.core.request import UpdateMode
from ..plugin.core.tiling import Level
from ..plugin.host import messages
from ..plugin.host.text import number_text

VERY_MANY_TILES = 100_000
"""From here on a person is asked. It is what ArcGIS itself lets one export of tiles hold
(`maxExportTilesCount`), and at some tens of tiles a second the better part of an hour."""


def needs_question(mode: UpdateMode, tiles: int) -> bool:
    """Whether a person must confirm an update of so many tiles."""
    return mode is UpdateMode.DELETE or tiles >= VERY_MANY_TILES


class RunQuestion(QMessageBox):
    """Asks, naming the service, the tiles and the scales; "No" is what Return and Escape say."""

    def __init__(
        self,
        service: str,
        mode: UpdateMode,
        tiles: int,
        levels: Iterable[Level],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("run_question")
        self.setIcon(QMessageBox.Icon.Warning)
        self.setTextFormat(Qt.TextFormat.PlainText)
        buttons = QMessageBox.StandardButton
        self.setStandardButtons(buttons.Yes | buttons.No)
        self.setDefaultButton(buttons.No)
        self.setEscapeButton(buttons.No)
        self.setWindowTitle(messages.mode_text(mode))
        self.setText(self._question(service, mode, number_text(tiles)))
        self.setInformativeText(self._consequence(mode, levels))

    def says_yes(self) -> bool:
        """Whether "Yes" was pressed."""
        return self.standardButton(self.clickedButton()) == QMessageBox.StandardButton.Yes

    def _question(self, service: str, mode: UpdateMode, tiles: str) -> str:
        if mode is UpdateMode.DELETE:
            text = self.tr("Delete up to {tiles} tiles of {service}?")
        elif mode is UpdateMode.RECREATE_ALL:
            text = self.tr("Recreate {tiles} tiles of {service}?")
        else:
            text = self.tr("Look through {tiles} tiles of {service} and recreate the empty ones?")
        return text.format(tiles=tiles, service=service)

    def _consequence(self, mode: UpdateMode, levels: Iterable[Level]) -> str:
        scales = "; ".join(messages.scale_text(level.scale) for level in levels)
        if mode is UpdateMode.DELETE:
            text = self.tr("Deleted tiles cannot be restored, only made again.\n\nScales: {scales}")
        else:
            text = self.tr(
                "This is a very large update: it may take hours and keep the site busy.\n\n"
                "Scales: {scales}"
            )
        return text.format(scales=scales)
