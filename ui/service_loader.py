"""Asking an address in the background what it is."""

from __future__ import annotations

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.arcgis.portal_address import ItemAddress, item_of
from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import TileCacheError
from ..plugin.host import areas, network, settings, sign_in, tasks
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
        self._item: ItemAddress | None = None
        self._asked = "", ""

    @property
    def asked(self) -> tuple[str, str]:
        """The address that was asked last, and the id of the sign-in details it was asked with."""
        return self._asked

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
        self._asked = address, "" if is_local else auth_config_id
        try:
            credentials = None if is_local else sign_in.credentials(auth_config_id)
            transport = None if is_local else network.transport(auth_config_id, address)
        except TileCacheError as error:
            self.failed.emit(error)
            return
        answers = {
            "described": self._described,
            "services_listed": self.listed.emit,
            "failed": self.failed.emit,
            "cancelled": lambda: self.failed.emit(areas.Cancelled()),
        }
        self._item = item_of(address)
        self._task.start(tasks.DescribeTask(address, credentials, transport), answers)

    def stop(self) -> None:
        """Forget what was asked."""
        self._task.drop()

    def _described(self, description: CacheDescription) -> None:
        if self._item is not None:
            # The person signed in at that portal, which knows the service's site as its own: so
            # the site's later requests for a sign-in there need no question.
            settings.trust_portal(self._asked[1], self._item.portal_url)
        self.described.emit(description)
