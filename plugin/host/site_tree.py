"""Looking for a service on a site or in a portal: the tasks that ask, and what is found in words.

A `Finder` is made on the main thread, where QGIS may ask for its master password; its tasks share
it, so a person is signed in once for all that is looked at.
"""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import pyqtSignal

from ..core.arcgis.catalogue import ServiceEntry
from ..core.arcgis.portal import Portal, PortalItem, Scope
from ..core.finding import Finder
from . import network, sign_in
from .messages import tr
from .tasks import Task
from .text import number_text, plain, time_text

LATEST_MOMENT = 32_503_680_000.0
"""Seconds since 1970 of the year 3000: no item was changed after that."""
LONGEST_TITLE = 200
"""Letters of a title that are shown."""


def make_finder(address: str, auth_config_id: str) -> Finder:
    """What looks for services at `address`. Main thread; sends nothing yet.

    Raises SignInUnusable, MasterPasswordNeeded.
    """
    credentials = sign_in.credentials(auth_config_id)
    return Finder(address, credentials, network.transport(auth_config_id, address))


class OpenTask(Task):
    """Sees what is at an address: `opened` carries a FolderListing of a site, or a Portal."""

    opened = pyqtSignal(object)

    def __init__(self, finder: Finder) -> None:
        super().__init__(tr("Looking at the site"))
        self._finder = finder

    def work(self) -> tuple[Any, object]:
        found = self._finder.open()
        self._stop_if_cancelled()
        return self.opened, found


class FolderTask(Task):
    """Lists a folder of a site: `listed` carries a FolderListing."""

    listed = pyqtSignal(object)

    def __init__(self, finder: Finder, name: str) -> None:
        super().__init__(tr("Listing a folder"))
        self._finder = finder
        self._name = name

    def work(self) -> tuple[Any, object]:
        listing = self._finder.list_folder(self._name)
        self._stop_if_cancelled()
        return self.listed, listing


class SearchTask(Task):
    """Searches a portal's items: `searched` carries a SearchPage."""

    searched = pyqtSignal(object)

    def __init__(
        self, finder: Finder, portal: Portal, words: str, scope: Scope, start: int
    ) -> None:
        super().__init__(tr("Searching the portal"))
        self._finder = finder
        self._asked = portal, words, scope, start

    def work(self) -> tuple[Any, object]:
        page = self._finder.search(*self._asked)
        self._stop_if_cancelled()
        return self.searched, page


def service_title(entry: ServiceEntry) -> str:
    """The name of a service without its folder."""
    name = entry.name.rpartition("/")[2]
    return plain(name) or name


def item_title(item: PortalItem) -> str:
    """The title of an item, where it is very long its beginning."""
    return plain(item.title, LONGEST_TITLE) or item.address.item_id


def kind_text(kind: str, is_hosted: bool = False) -> str:
    """Which kind of service it is."""
    if kind in ("ImageServer", "Image Service"):
        return tr("Hosted imagery") if is_hosted else tr("Image service")
    return tr("Hosted tile layer") if is_hosted else tr("Map service")


def owner_text(item: PortalItem) -> str:
    """Who has the item."""
    return plain(item.owner)


def changed_text(item: PortalItem) -> str:
    """When the item was changed; "" where that is not known."""
    moment = item.modified
    return time_text(moment) if moment is not None and 0 < moment < LATEST_MOMENT else ""


def scope_text(scope: Scope, portal: Portal) -> str:
    """Whose items are searched."""
    if scope is Scope.OWN:
        return tr("My Items ({user})").format(user=plain(portal.user))
    if scope is Scope.ORGANIZATION:
        return plain(portal.name) or tr("My Organization")
    return tr("All Items")


def more_text(shown: int, total: int) -> str:
    """What leads to the next items."""
    text = tr("Show More… ({shown} of {total} items are shown)")
    return text.format(shown=number_text(shown), total=number_text(max(total, shown)))
