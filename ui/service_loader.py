"""Asking an address in the background what it is."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.errors import TileCacheError
from ..plugin.host import areas, network, sign_in, tasks
from .addresses import is_path
from .latest_task import LatestTask


class ServiceLoader(QObject):
    """Loads one address at a time; asked for another, it forgets the one before.

    `described` carries the CacheDescription, `listed` the services of a site, `failed` the error.
    """

    described = pyqtSignal(object)
    listed = pyqtSignal(object)
    failed = pyqtSignal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._task = LatestTask()

    @property
    def is_loading(self) -> bool:
        """Whether an answer is still to come."""
        return self._task.is_running

    def load(self, address: str, auth_config_id: str) -> None:
        """Ask `address`; exactly one of the signals answers, unless another is asked first.

        A path is asked without sign-in.
        """
        self.stop()
        is_local = is_path(address)
        try:
            credentials = None if is_local else sign_in.credentials(auth_config_id)
        except TileCacheError as error:
            self.failed.emit(error)
            return
        answers = {
            "described": self.described.emit,
            "services_listed": self.listed.emit,
            "failed": self.failed.emit,
            "cancelled": lambda: self.failed.emit(areas.Cancelled()),
        }
        transport = None if is_local else network.transport()
        self._task.start(tasks.DescribeTask(address, credentials, transport), answers)

    def stop(self) -> None:
        """Forget what was asked."""
        self._task.drop()
