"""Listens to the ends of tasks."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QThread

from tile_cache_manager.plugin.host import tasks


class Ends:
    """What a task told at its end, and on which thread."""

    NAMES = (
        "described", "services_listed", "counted", "previewed", "reported", "failed", "cancelled",
        "made", "created", "estimated", "verified", "defragmented", "discarded",
    )  # fmt: skip

    def __init__(self, task: tasks.Task) -> None:
        self.told: list[tuple[str, Any]] = []
        self.on_main_thread: list[bool] = []
        for name in self.NAMES:
            if hasattr(task, name):
                getattr(task, name).connect(lambda *value, name=name: self.keep(name, *value))

    def keep(self, name: str, value: Any = None) -> None:
        self.told.append((name, value))
        main_thread = QgsApplication.instance().thread()
        self.on_main_thread.append(QThread.currentThread() == main_thread)

    def only(self) -> tuple[str, Any]:
        assert len(self.told) == 1, self.told
        assert self.on_main_thread == [True]
        return self.told[0]
