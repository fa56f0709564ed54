"""What lies where tiles are to be exported to, looked up off the main thread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import pyqtSignal

from ..core.storage.opening import read_profile
from . import messages
from .tasks import Task


class LookTask(Task):
    """Looks what cache lies at `path`; tells its StorageFormat, or fails with why it is none."""

    looked = pyqtSignal(object)

    def __init__(self, path: Path) -> None:
        super().__init__(messages.tr("Looking at the target"))
        self._path = path

    def work(self) -> tuple[Any, object]:
        self._stop_if_cancelled()
        return self.looked, read_profile(self._path).storage
