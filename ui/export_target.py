"""Where the tiles of one service or cache are exported to."""

from __future__ import annotations

import os
from pathlib import Path

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QObject, QStandardPaths, pyqtSignal

from ..plugin.core.export.package_names import target_names
from ..plugin.core.storage.creation import SUFFIXES
from ..plugin.core.storage.profile import StorageFormat
from ..plugin.core.storage.sidecar import NAME as WORK_FOLDER
from ..plugin.host import messages
from ..plugin.host.connections import CACHE_FILES
from .addresses import is_same


class ExportTarget(QObject):
    """The path in a file widget: a package's file, or the folder of a cache.

    The ending follows the format, the name the service, until a person names it otherwise.
    """

    changed = pyqtSignal()

    def __init__(self, widget: QgsFileWidget) -> None:
        super().__init__(widget)
        self._widget = widget
        self._storage = StorageFormat.TPKX
        self._name = ""
        self._source = ""
        self._folder = first_folder("")
        widget.setConfirmOverwrite(False)  # tiles are added to what is there
        widget.fileChanged.connect(self._file_changed)

    def path(self) -> Path:
        """The whole path, with the ending that the format wants."""
        text = self._widget.filePath().strip()
        ending = SUFFIXES.get(self._storage, "")
        if text and not text.lower().endswith(ending):
            text += ending
        return Path(text)

    def folder(self) -> str:
        """The folder it lies in, as text; "" for none."""
        path = self.path()
        return str(path.parent) if path.is_absolute() else ""

    def set_folder(self, folder: str) -> None:
        """Propose names in `folder` from now on; "" for a usual one."""
        self._folder = first_folder(folder)

    def set_storage(self, storage: StorageFormat) -> None:
        """Let the path end as this format wants it, and ask for a file or a folder."""
        self._storage = storage
        ending = SUFFIXES.get(storage, "")
        modes = QgsFileWidget.StorageMode
        self._widget.setStorageMode(modes.SaveFile if ending else modes.GetDirectory)
        self._widget.setDialogTitle(self.tr("Export Tiles To"))
        self._widget.setFilter(f"{messages.storage_text(storage.value)} (*{ending})")
        tip = self.tr("The file that the tiles are written to")
        if not ending:
            tip = self.tr("The folder that becomes the cache")
        self._widget.setToolTip(tip)
        text = self._widget.filePath().strip()
        if text:
            self._widget.setFilePath(_without_ending(text) + ending)

    def name_after(self, name: str, address: str) -> None:
        """Propose a path for the service or cache `name` at `address`; "" for none.

        What a person has chosen stays as long as it is for the same one.
        """
        if address == self._source:
            return
        folder = self.folder() or self._folder
        self._source, self._name = address, name
        self._widget.setFilePath(self._in(folder) if address else "")

    def problem(self) -> str:
        """What is still to be done about the path, as a sentence; "" for nothing."""
        path = self.path()
        is_file = self._storage in SUFFIXES
        if not path.is_absolute():
            if is_file:
                return self.tr("Choose the file that the tiles are written to.")
            return self.tr("Choose the folder that becomes the cache.")
        if is_same(str(path), self._source):
            return self.tr("The target is the cache itself: choose another one.")
        if is_file and _is_folder(path):
            return self.tr("{path} is a folder: name a file.").format(path=_shown(path))
        if not is_file and _is_file(path):
            return self.tr("{path} is a file: name a folder.").format(path=_shown(path))
        if not is_file and _holds_other_things(path):
            return self.tr("{path} holds other files: name a new folder in it.").format(
                path=_shown(path)
            )
        return ""

    def note(self) -> str:
        """What is wrong with the path, else what becomes of what is there; "" for nothing."""
        path = self.path()
        problem = self.problem()
        if problem:
            return problem
        if self._storage in SUFFIXES and _is_file(path):
            return self.tr(
                "The file exists: tiles are put into it, if it holds such tiles. Nothing else of it"
                " is replaced."
            )
        if self._storage not in SUFFIXES and _is_cache(path):
            return self.tr(
                "The cache exists: tiles are put into it, if it holds such tiles. Nothing else of"
                " it is replaced."
            )
        return ""

    def _file_changed(self) -> None:
        """Make a folder that was chosen, and holds other things, the one that the cache is in."""
        typed = self._widget.lineEdit().isModified()
        path = self.path()
        is_folder = self._storage not in SUFFIXES and self._name and path.is_absolute()
        if is_folder and not typed and _holds_other_things(path):
            self._widget.setFilePath(self._in(str(path)))  # comes here again
            return
        self._widget.lineEdit().setToolTip(_shown(path) if path.is_absolute() else "")
        self.changed.emit()

    def _in(self, folder: str) -> str:
        (name,) = target_names([self._name], SUFFIXES.get(self._storage, ""))
        return str(Path(folder) / name)


def first_folder(folder: str) -> str:
    """`folder`, or where that is "" the one in which people keep their files."""
    if folder:
        return folder
    places = QStandardPaths.StandardLocation
    return QStandardPaths.writableLocation(places.DocumentsLocation) or str(Path.home())


def _without_ending(text: str) -> str:
    path = Path(text)
    return text[: -len(path.suffix)] if path.suffix.lower() in SUFFIXES.values() else text


def _shown(path: Path) -> str:
    return messages.path_text(str(path))


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - a name that no system takes is no folder


def _is_file(path: Path) -> bool:
    return os.path.isfile(path)  # noqa: PTH113 - as above


def _is_cache(path: Path) -> bool:
    """Whether the folder has one of the files that describe a cache."""
    return any(_is_file(path / name) for name in CACHE_FILES)


def _holds_other_things(path: Path) -> bool:
    """Whether it is a folder with something in it, but neither a cache nor a begun export."""
    if not _is_folder(path) or _is_cache(path):
        return False
    try:
        with os.scandir(path) as entries:
            return any(entry.name != WORK_FOLDER for entry in entries)
    except OSError:  # it is told when the cache is to be made
        return False
