"""Choosing what a cache on this computer is drawn from."""

from __future__ import annotations

import math

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QEvent, QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QMenu, QToolButton

from ..plugin.host import sources
from .layers_dialog import LayersDialog
from .path_browse import PathBrowse, cache_file_filters

REFRESHING = (QEvent.Type.FocusIn, QEvent.Type.MouseButtonPress, QEvent.Type.Show)
"""Before a person sees the list, it is made anew: map themes come and go in the project."""


class SourceChoice(QObject):
    """The list of sources, and the menu for those that are not listed.

    A source is a text as `host/sources` has it. `changed`: another one was chosen.
    """

    changed = pyqtSignal()

    def __init__(self, combo: QComboBox, button: QToolButton, project: QgsProject) -> None:
        super().__init__(combo)
        self._combo = combo
        self._button = button
        self._button_tip = button.toolTip()
        self._project = project
        self._problem = ""
        self._browse = PathBrowse(combo.window())
        self._browse.chosen.connect(self._choose)
        button.setMenu(self._menu(button))
        combo.installEventFilter(self)
        combo.currentIndexChanged.connect(self._index_changed)
        self.show("")

    def text(self) -> str:
        """The chosen source."""
        return self._combo.currentData() or ""

    def show(self, text: str) -> None:
        """Choose the source `text`, without telling of a change."""
        text = sources.plain_text(text)
        listed = sources.choices(self._project)
        if text not in dict(listed):
            listed.append((text, sources.source_title(text, self._project)))
        self._combo.blockSignals(True)
        self._combo.clear()
        for each, title in listed:
            self._combo.addItem(title, each)
        self._combo.setCurrentIndex(self._combo.findData(text))
        self._combo.blockSignals(False)
        self._fit_width()
        self._show_tips()

    def allow(self, problem: str) -> None:
        """Let a source be chosen, unless there is a `problem`, which the tool tips tell then."""
        self._problem = problem
        for widget in (self._combo, self._button):
            widget.setEnabled(not problem)
        self._show_tips()

    # QObject interface

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() in REFRESHING:
            self.show(self.text())
        elif event.type() == QEvent.Type.FontChange:
            self._fit_width()
        return super().eventFilter(watched, event)

    def _menu(self, button: QToolButton) -> QMenu:
        menu = QMenu(button)
        menu.setObjectName("source_menu")
        menu.addAction(self.tr("Layers…"), self._ask_layers)
        menu.addAction(self.tr("Raster or Project File…"), self._ask_file)
        menu.addAction(self.tr("Another Cache: Folder…"), self._ask_cache_folder)
        menu.addAction(self.tr("Another Cache: File…"), self._ask_cache_file)
        return menu

    def _ask_layers(self) -> None:
        question = LayersDialog(self._project, self.text(), self._combo.window())
        question.chosen.connect(self._choose)
        question.finished.connect(question.deleteLater)
        question.open()

    def _ask_file(self) -> None:
        self._browse.ask_file(self.tr("Draw from a Raster or Project"), self.tr("All files (*)"))

    def _ask_cache_folder(self) -> None:
        self._browse.ask_folder(self.tr("Draw from a Cache in a Folder"))

    def _ask_cache_file(self) -> None:
        self._browse.ask_file(self.tr("Draw from a Cache File"), cache_file_filters())

    def _choose(self, text: str) -> None:
        if text != self.text():
            self.show(text)
            self.changed.emit()

    def _fit_width(self) -> None:
        """Keep room for the usual source, whatever the letters; names of layers may be cut."""
        metrics = self._combo.fontMetrics()
        usual = metrics.horizontalAdvance(sources.source_title("", self._project))
        # Qt adds the room of an icon, which there is none.
        letters = (usual - self._combo.iconSize().width()) / metrics.horizontalAdvance("X")
        self._combo.setMinimumContentsLength(math.ceil(letters))

    def _show_tips(self) -> None:
        self._combo.setToolTip(self._problem or self._combo.currentText())
        self._button.setToolTip(self._problem or self._button_tip)

    def _index_changed(self) -> None:
        self._show_tips()
        self.changed.emit()
