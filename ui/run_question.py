"""The question before an update that deletes tiles or touches very many."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QMessageBox, QWidget

from ..plugin.core.request import UpdateMode
from ..plugin.core.tiling import Level
from ..plugin.host import messages
from .update_run import RunPlan


def needs_question(mode: UpdateMode, tiles: int | None) -> bool:
    """Whether a person must confirm an update of so many tiles, or of nobody knows how many."""
    return mode is UpdateMode.DELETE or tiles is None or messages.are_very_many(tiles)


class WarningQuestion(QMessageBox):
    """A question whose answer can do harm: "No" is what Return and Escape say."""

    def __init__(self, title: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setObjectName("run_question")
        self.setIcon(QMessageBox.Icon.Warning)
        self.setTextFormat(Qt.TextFormat.PlainText)
        buttons = QMessageBox.StandardButton
        self.setStandardButtons(buttons.Yes | buttons.No)
        self.setDefaultButton(buttons.No)
        self.setEscapeButton(buttons.No)
        self.setWindowTitle(title)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)

    def says_yes(self) -> bool:
        """Whether "Yes" was pressed."""
        return self.standardButton(self.clickedButton()) == QMessageBox.StandardButton.Yes


class RunQuestion(WarningQuestion):
    """Asks, naming the service or the path of the cache, the tiles and the scales.

    `drawn_from`: title of what a cache on this computer is drawn from.
    """

    def __init__(self, plan: RunPlan, drawn_from: str, parent: QWidget | None = None) -> None:
        super().__init__(messages.mode_text(plan.mode), parent)
        description, tiles = plan.description, plan.tiles
        name = description.name
        if description.is_local:
            name = messages.path_text(description.address)
        self.setText(
            self._question(plan.mode, tiles is None).format(
                tiles="" if tiles is None else messages.number_text(tiles), service=name
            )
        )
        lines = [
            self._consequence(plan.mode, tiles is None, description.is_local),
            self._scales(plan.levels),
        ]
        if description.is_hosted and plan.mode is UpdateMode.DELETE:
            lines.insert(0, messages.mode_help(plan.mode, is_hosted=True))
        if not description.is_local:  # two sites may have services of the same name
            lines.append(description.address)
        if description.is_local and plan.mode is not UpdateMode.DELETE:
            lines.append(self.tr("Drawn from: {source}").format(source=drawn_from))
        self.setInformativeText("\n\n".join(lines))

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

    def _consequence(self, mode: UpdateMode, is_unknown: bool, is_local: bool) -> str:
        if mode is UpdateMode.DELETE:
            return self.tr("Deleted tiles cannot be restored, only made again.")
        if is_unknown:
            return self.tr("The number of tiles is not known: it may take very long.")
        if is_local:
            return self.tr(
                "This is a very large update: it may take hours and much room on the disk."
                " It can be cancelled and resumed."
            )
        return self.tr("This is a very large update: it may take hours and keep the site busy.")

    def _scales(self, levels: Iterable[Level]) -> str:
        scales = "; ".join(messages.scale_text(level.scale) for level in levels)
        return self.tr("Scales: {scales}").format(scales=scales)
