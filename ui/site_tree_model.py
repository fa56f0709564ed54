"""The tree of what a site or a portal has, as far as it was looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QModelIndex, QObject, Qt
from qgis.PyQt.QtGui import QStandardItem, QStandardItemModel

from ..plugin.core.arcgis.catalogue import FolderListing, ServiceEntry
from ..plugin.core.arcgis.portal import Portal, PortalItem, Scope, SearchPage
from ..plugin.host import site_tree
from .tips import plain_tip

NAME, KIND, OWNER, CHANGED = range(4)
"""The columns. Sites tell only the first two."""


class Row(Enum):
    """What a row is."""

    FOLDER = "folder"
    SCOPE = "scope"
    SERVICE = "service"
    MORE = "more"
    NOTE = "note"


_ROW = Qt.ItemDataRole.UserRole
_VALUE = Qt.ItemDataRole.UserRole + 1
_STATE = Qt.ItemDataRole.UserRole + 2
_ICONS = {Row.FOLDER: "/mIconFolder.svg", Row.SCOPE: "/mIconFolder.svg"}


class Filling(Enum):
    """How far the contents of a folder, or of a search, are known."""

    UNKNOWN = "unknown"
    ASKED = "asked"
    KNOWN = "known"
    FAILED = "failed"


class SiteTreeModel(QStandardItemModel):
    """Rows of folders and services, or of whose items and the items.

    A folder that was not looked at holds one row, so that it can be opened. Texts that come from a
    site are shown as they are: nothing is read as mark-up.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.setHorizontalHeaderLabels(
            [self.tr("Name"), self.tr("Kind"), self.tr("Owner"), self.tr("Changed")]
        )

    def forget(self) -> None:
        """Show nothing."""
        self.removeRows(0, self.rowCount())

    def show_site(self, listing: FolderListing) -> None:
        """Show what the root of a site, or one folder of it, lists."""
        self.forget()
        for name in listing.folders:
            self.appendRow(self._branch(Row.FOLDER, name, name))
        self._add_services(self.invisibleRootItem(), listing.services)

    def show_portal(self, portal: Portal) -> None:
        """Show whose items can be searched."""
        self.forget()
        for scope in portal.scopes:
            text = site_tree.scope_text(scope, portal)
            self.appendRow(self._branch(Row.SCOPE, text, scope))

    def branches(self) -> Iterator[QStandardItem]:
        """Folders, or whose items."""
        for row in range(self.rowCount()):
            item = self.item(row)
            if row_of(item) in (Row.FOLDER, Row.SCOPE):
                yield item

    def has_problem(self) -> bool:
        """Whether something could not be looked at."""
        return any(filling_of(branch) is Filling.FAILED for branch in self.branches())

    def show_asked(self, branch: QStandardItem) -> None:
        """Say that `branch` is being looked at."""
        _set_filling(branch, Filling.ASKED)
        self._end_with(branch, self.tr("Loading…"))

    def show_unknown(self, branch: QStandardItem) -> None:
        """Forget what `branch` holds."""
        branch.removeRows(0, branch.rowCount())
        _set_filling(branch, Filling.UNKNOWN)
        self._end_with(branch, self.tr("Loading…"))

    def show_problem(self, branch: QStandardItem, sentence: str) -> None:
        """Say under `branch` why it could not be looked at; opened again it is asked again."""
        _set_filling(branch, Filling.FAILED)
        self._end_with(branch, sentence, "/mIconWarning.svg")

    def show_folder(self, branch: QStandardItem, listing: FolderListing) -> None:
        """Fill a folder."""
        branch.removeRows(0, branch.rowCount())
        _set_filling(branch, Filling.KNOWN)
        self._add_services(branch, listing.services)
        if not listing.services:
            self._end_with(branch, self.tr("No map or image service that you may see"))

    def add_page(self, branch: QStandardItem, page: SearchPage) -> None:
        """Add what was found, and what leads to more of it."""
        self._take_end(branch)
        _set_filling(branch, Filling.KNOWN)
        for item in page.items:
            branch.appendRow(self._item_row(item))
        shown = branch.rowCount()
        if page.next_start is not None:
            self._end_with(branch, site_tree.more_text(shown, page.total))
            end = branch.child(branch.rowCount() - 1)
            end.setData(Row.MORE, _ROW)
            end.setData(page.next_start, _VALUE)
            end.setEnabled(True)
            end.setSelectable(True)
        elif not shown:
            self._end_with(branch, self.tr("No map or image service found"))

    # making rows

    def _branch(self, row: Row, text: str, value: str | Scope) -> QStandardItem:
        item = _made(row, text, value)
        item.setIcon(QgsApplication.getThemeIcon(_ICONS[row]))
        self.show_unknown(item)
        return item

    def _add_services(self, parent: QStandardItem, services: Iterable[ServiceEntry]) -> None:
        for entry in services:
            name = _made(Row.SERVICE, site_tree.service_title(entry), entry)
            self._dress(name, entry.kind, entry.url)
            kind = _made(Row.SERVICE, site_tree.kind_text(entry.kind), entry)
            parent.appendRow([name, kind])

    def _item_row(self, item: PortalItem) -> list[QStandardItem]:
        texts = [
            site_tree.item_title(item),
            site_tree.kind_text(item.kind, item.is_hosted),
            site_tree.owner_text(item),
            site_tree.changed_text(item),
        ]
        cells = [_made(Row.SERVICE, text, item) for text in texts]
        self._dress(cells[NAME], item.kind, item.url)
        return cells

    def _dress(self, name: QStandardItem, kind: str, url: str) -> None:
        is_image = kind in ("ImageServer", "Image Service")
        icon = "/mIconRaster.svg" if is_image else "/mIconAms.svg"
        name.setIcon(QgsApplication.getThemeIcon(icon))
        name.setToolTip(plain_tip(url))

    def _end_with(self, branch: QStandardItem, text: str, icon: str = "") -> None:
        """Let the last row of `branch` be no service, but say `text`."""
        self._take_end(branch)
        note = _made(Row.NOTE, text, None)
        note.setToolTip(plain_tip(text))
        if icon:
            note.setIcon(QgsApplication.getThemeIcon(icon))
        else:
            note.setEnabled(False)
            note.setSelectable(False)
        branch.appendRow(note)

    def _take_end(self, branch: QStandardItem) -> None:
        last = branch.rowCount() - 1
        if last >= 0 and row_of(branch.child(last)) in (Row.NOTE, Row.MORE):
            branch.removeRow(last)


def row_of(item: QStandardItem) -> Row:
    """What the row is."""
    return item.data(_ROW)


def value_of(item: QStandardItem) -> object:
    """Of a folder its name, of a search its Scope, of a service a ServiceEntry or a PortalItem.

    Of what leads to more: the number to go on from.
    """
    return item.data(_VALUE)


def filling_of(branch: QStandardItem) -> Filling:
    """How far its contents are known."""
    return branch.data(_STATE)


def address_of(index: QModelIndex) -> str:
    """What to load for the row; "" for what is no service.

    Of a portal's item it is its page, for the portal tells whether its service may be trusted.
    """
    value = index.data(_VALUE) if index.isValid() else None
    if isinstance(value, PortalItem):
        return value.address.page_url
    return value.url if isinstance(value, ServiceEntry) else ""


def url_of(index: QModelIndex) -> str:
    """The address of the row's service; "" for what is none."""
    value = index.data(_VALUE) if index.isValid() else None
    return value.url if isinstance(value, (PortalItem, ServiceEntry)) else ""


def _made(row: Row, text: str, value: object) -> QStandardItem:
    item = QStandardItem(text)
    item.setEditable(False)
    item.setData(row, _ROW)
    item.setData(value, _VALUE)
    return item


def _set_filling(branch: QStandardItem, filling: Filling) -> None:
    branch.setData(filling, _STATE)
