"""Choosing a folder or a file of this computer."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QWidget

from ..plugin.host.messages import tr
from ..plugin.host.settings import Settings


class PathBrowse(QObject):
    """Asks for a folder or a file, beginning where the last one was chosen.

    The question does not wait for its answer: `chosen` carries the path, if there is one.
    """

    chosen = pyqtSignal(str)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window

    def ask_folder(self, title: str) -> None:
        """Ask for a folder that exists."""
        question = self._question(title)
        question.setFileMode(QFileDialog.FileMode.Directory)
        question.setOption(QFileDialog.Option.ShowDirsOnly, True)
        question.open()

    def ask_file(self, title: str, filters: str) -> None:
        """Ask for a file that exists; `filters` as Qt writes them."""
        question = self._question(title)
        question.setFileMode(QFileDialog.FileMode.ExistingFile)
        question.setNameFilter(filters)
        question.open()

    def _question(self, title: str) -> QFileDialog:
        question = QFileDialog(self._window, title, Settings().last_folder)
        question.setObjectName("path_question")
        question.fileSelected.connect(self._chosen)
        question.finished.connect(question.deleteLater)
        return question

    def _chosen(self, text: str) -> None:
        if text:
            path = Path(text)
            Settings().last_folder = str(path.parent)
            self.chosen.emit(str(path))


def cache_file_filters() -> str:
    """The files by which a cache is opened, as a file dialog lists them."""
    caches = tr("Caches")
    endings = "*.tpkx *.tpk *.mbtiles *.gpkg conf.xml root.json"
    return f"{caches} ({endings});;" + tr("All files") + " (*)"
