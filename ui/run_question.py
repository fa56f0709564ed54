"""The question before an update that deletes tiles or touches very many."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMessageBox, QWidget

from ..plugin.core.request import UpdateMode
from ..plugin.core.tiling import Level
from ..plugin.host import messages

VERY_MANY_TILES = 100_000
"""From here on a person is asked. It is what ArcGIS itself lets one export of tiles hold
(`maxExportTilesCount`), and at some tens of tiles a second the better part of an hour."""


def needs_question(mode: UpdateMode, tiles: int | None) -> bool:
    """Whether a person must confirm an update of so many tiles, or of nobody knows how many."""
    return mode is UpdateMode.DELETE or tiles is None or tiles >= VERY_MANY_TILES


class RunQuestion(QMessageBox):
    """Asks, naming the service, the tiles and the scales; "No" is what Return and Escape say."""

    def __init__(
        self,
        service: str,
        mode: UpdateMode,
        tiles: int | None,
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
        self.setText(
            self._question(mode, tiles is None).format(
                tiles="" if tiles is None else messages.number_text(tiles), service=service
            )
        )
        self.setInformativeText(self._consequence(mode, tiles is None, levels))

    def says_yes(self) -> bool:
        """Whether "Yes" was pressed."""
        return self.standardButton(self.clickedButton()) == QMessageBox.StandardButton.Yes

    def _question(self, mode: UpdateMode, is_unknown: bool) -> str:
        if mode is UpdateMode.DELETE:
            if is_unknown:
                return self.tr("Delete the tiles of {service}?")
            return self.tr("Delete up to {tiles} tiles of {service}?")
        if mode is UpdateMode.RECREATE_ALL:
            if is_unknown:
                return self.tr("Recreate all tiles of {service}?")
            return self.tr("Recreate {tiles} tiles of {service}?")
        if is_unknown:
            return self.tr("Look through all tiles of {service} and recreate the empty ones?")
        return self.tr("Look through {tiles} tiles of {service} and recreate the empty ones?")

    def _consequence(self, mode: UpdateMode, is_unknown: bool, levels: Iterable[Level]) -> str:
        if mode is UpdateMode.DELETE:
            text = self.tr("Deleted tiles cannot be restored, only made again.")
        elif is_unknown:
            text = self.tr("The number of tiles is not known: it may take very long.")
        else:
            text = self.tr("This is a very large update: it may take hours and keep the site busy.")
        scales = "; ".join(messages.scale_text(level.scale) for level in levels)
        return text + "\n\n" + self.tr("Scales: {scales}").format(scales=scales)
