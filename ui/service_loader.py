"""Asking an address in the background what it is."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.errors import TileCacheError
from ..plugin.host import network, sign_in, tasks


class ServiceLoader(QObject):
    """Loads one address at a time; asked for another, it forgets the one before.

    `described` carries the CacheDescription, `listed` the services of a site, `failed` the error.
    """

    described = pyqtSignal(object)
    listed = pyqtSignal(object)
    failed = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._task: tasks.DescribeTask | None = None
        self._kept: list[tasks.Task] = []

    def load(self, address: str, auth_config_id: str) -> None:
        """Ask `address`; exactly one of the signals answers, unless another is asked first."""
        self.stop()
        try:
            credentials = sign_in.credentials(auth_config_id)
        except TileCacheError as error:
            self.failed.emit(error)
            return
        task = tasks.DescribeTask(address, credentials, network.transport())
        self._task = task
        task.described.connect(lambda answer: self._tell(task, self.described, answer))
        task.services_listed.connect(lambda answer: self._tell(task, self.listed, answer))
        task.failed.connect(lambda error: self._tell(task, self.failed, error))
        tasks.start(task, self._kept)

    def stop(self) -> None:
        """Forget what was asked."""
        if self._task is not None:
            task, self._task = self._task, None
            task.cancel()

    def _tell(self, task: tasks.DescribeTask, signal: pyqtSignal, answer: object) -> None:
        if task is self._task:
            self._task = None
            signal.emit(answer)
