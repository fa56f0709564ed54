"""Where the tiles of one service or cache are exported to."""

from __future__ import annotations

import os
from pathlib import Path

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import QObject, QStandardPaths, QTimer, pyqtSignal

from ..plugin.core.errors import DamagedCache, HostileFile, NotACache
from ..plugin.core.export.package_names import target_names
from ..plugin.core.storage.creation import SUFFIXES
from ..plugin.core.storage.profile import StorageFormat
from ..plugin.core.storage.sidecar import NAME as WORK_FOLDER
from ..plugin.host import messages
from ..plugin.host.connections import CACHE_FILES
from ..plugin.host.target_look import LookTask
from .addresses import is_same
from .latest_task import LatestTask

SEPARATORS = ("/", os.sep)
SETTLING_MS = 300
"""How long the path must be left alone before it is looked what is there."""


class ExportTarget(QObject):
    """The path in a file widget: a package's file, or the folder of a cache.

    The ending follows the format, the name the service, until a person names it otherwise. What is
    there is looked up in the background, and told by `changed` again.
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
        widget.lineEdit().editingFinished.connect(self._show_whole_path)
        self._look = LatestTask()
        self._seen: tuple[Path, int] | None = None
        self._found: StorageFormat | Exception | None = None
        self._looking = QTimer(self)
        self._looking.setSingleShot(True)
        self._looking.setInterval(SETTLING_MS)
        self._looking.timeout.connect(self._start_looking)

    def unload(self) -> None:
        """Look no further."""
        self._looking.stop()
        self._look.drop()

    def path(self) -> Path:
        """The whole path, with the ending that the format wants where the name has none."""
        text = self._text()
        if text and not self._is_nameless() and not _has_ending(text):
            text += SUFFIXES.get(self._storage, "")
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
        text = self._text()
        if text and not text.endswith(SEPARATORS):
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
        problem = self._wrong_name(path) or (
            self._no_package(path) if is_file else self._no_folder(path)
        )
        return problem or self._wrong_content(path)

    def is_there(self) -> bool:
        """Whether there is a package or cache already, to which tiles are added."""
        path = self.path()
        return path.is_absolute() and self._has_cache(path)

    def note(self) -> str:
        """What is wrong with the path, else what becomes of what is there; "" for nothing."""
        problem = self.problem()
        if problem:
            return problem
        if not self.is_there():
            return ""
        if self._storage in SUFFIXES:
            return self.tr(
                "The file exists: tiles are put into it, if it holds such tiles. Nothing else of it"
                " is replaced."
            )
        return self.tr(
            "The cache exists: tiles are put into it, if it holds such tiles. Nothing else of"
            " it is replaced."
        )

    # What is wrong with a path

    def _wrong_name(self, path: Path) -> str:
        """Why nothing can be called so, as a sentence."""
        above = next((each for each in path.parents if _is_file(each)), None)
        if above is not None:
            return self.tr("{path} is a file: choose another folder.").format(path=_shown(above))
        other = _format_of(self._text())
        if other in (None, self._storage) or (self._storage not in SUFFIXES and _is_folder(path)):
            return ""
        text = self.tr("The name ends like {format}: choose that format, or another name.")
        return text.format(format=messages.storage_text(other.value))

    def _no_package(self, path: Path) -> str:
        if _is_folder(path):
            text = self.tr("{path} is a folder: name a file in it.")
            return text.format(path=_shown(path))
        if self._is_nameless() or path.name.lower() == SUFFIXES[self._storage]:
            return self.tr("Type a file name at the end of the path.")
        return ""

    def _no_folder(self, path: Path) -> str:
        text = ""
        if _is_file(path):
            text = self.tr("{path} is a file: name a folder.")
        elif _holds_other_things(path):
            text = self.tr("{path} holds other files: name a new folder in it.")
        return text.format(path=_shown(path))

    def _wrong_content(self, path: Path) -> str:
        """Why no tiles can be added to what is at `path`, as far as that was looked up."""
        if not self._has_cache(path):
            return ""
        seen = (path, _changed_at(path))
        if seen != self._seen:
            self._seen, self._found = seen, None
            self._look.drop()
            self._looking.start()
        if isinstance(self._found, (NotACache, DamagedCache, HostileFile)):
            return self.tr(
                "{path} is no cache that tiles can be added to, and is not replaced: choose"
                " another name."
            ).format(path=_shown(path))
        if isinstance(self._found, StorageFormat) and self._found is not self._storage:
            return self.tr(
                "{path} is there in another format, {found}: choose that format, or another name."
            ).format(path=_shown(path), found=messages.storage_text(self._found.value))
        return ""

    def _has_cache(self, path: Path) -> bool:
        return _is_file(path) if self._storage in SUFFIXES else _is_cache(path)

    def _start_looking(self) -> None:
        answers = {"looked": self._looked, "failed": self._looked, "cancelled": lambda: None}
        self._look.start(LookTask(self._seen[0]), answers)

    def _looked(self, found: StorageFormat | Exception) -> None:
        self._found = found
        self.changed.emit()

    # The path in the field

    def _text(self) -> str:
        return self._widget.filePath().strip()

    def _is_nameless(self) -> bool:
        """Whether the text names a folder where the name of a file is missing."""
        text = self._text()
        return self._storage in SUFFIXES and (text.endswith(SEPARATORS) or _is_folder(Path(text)))

    def _show_whole_path(self) -> None:
        """Show the ending, too, that a name gets."""
        path = self.path()
        if path.is_absolute() and str(path) != str(Path(self._text())):
            self._widget.setFilePath(str(path))

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
    storage = _format_of(text)
    return text if storage is None else text[: -len(SUFFIXES[storage])]


def _has_ending(text: str) -> bool:
    """Whether a name ends as that of a package, whichever."""
    return _format_of(text) is not None


def _format_of(text: str) -> StorageFormat | None:
    """The format of packages whose names end so; None where it is no such ending."""
    ending = Path(text).suffix.lower() or Path(text).name.lower()  # `.tpkx` has no suffix
    return next((each for each, usual in SUFFIXES.items() if usual == ending), None)


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


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
