"""The window in which a service is found: in the folders of a site, or among a portal's items."""

from __future__ import annotations

from qgis.core import QgsApplication
from qgis.gui import QgsGui
from qgis.PyQt.QtCore import QModelIndex, QSize, Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QHideEvent, QKeyEvent, QStandardItem
from qgis.PyQt.QtWidgets import (
    QAction,
    QDialogButtonBox,
    QHeaderView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QWidget,
)

from ..plugin.core.errors import AddressError, NotAllowed, SignInFailed, SignInNeeded
from ..plugin.host import connections, messages
from .dialog_lines import DialogLines
from .form_dialog import FormDialog
from .forms import load_form
from .portal_trust import PortalTrust
from .site_filter import SiteFilter
from .site_search import SiteSearch
from .site_tree_model import (
    CHANGED,
    KIND,
    NAME,
    OWNER,
    Row,
    SiteTreeModel,
    address_of,
    row_of,
    url_of,
)
from .tips import plain_tip

FORM = load_form(__file__)

NATURAL_LINES = QSize(46, 30)
"""Width and height before a person changes them, in lines of text."""
LEAST_LINES = QSize(36, 8)
"""The tree is not made smaller, in lines of text."""
LEAST_COLUMN = 6
"""Nor is a column, in the same."""
_BREAK = "\u200b"
"""Is not seen; a line may end there."""
TYPING_MS = 500
"""After so long without another letter, what was typed is searched for."""


class SiteBrowser(FormDialog, FORM):
    """A tree of folders and services, or of a portal's items, which can be searched.

    `chosen` carries the address to load and the id of the authentication configuration. Non-modal;
    closing it stops what is asked. Everything is asked in the background.
    """

    chosen = pyqtSignal(str, str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(__file__, parent)
        self.setupUi(self)
        self.load_button = self.add_action_button("choose_service_button", self.tr("Load"))
        self.load_button.setToolTip(self.tr("Load the selected service in the dialog"))
        close = self.button_box.button(QDialogButtonBox.StandardButton.Close)
        close.clicked.connect(self.reject)
        self._lines = DialogLines(self.message_bar)
        self._model = SiteTreeModel(self)
        self._shown = SiteFilter(self._model)
        self._search = SiteSearch(self._model, self)
        self._trust = PortalTrust(self._search, self)
        self._typing = QTimer(self)
        self._typing.setSingleShot(True)
        self._typing.setInterval(TYPING_MS)
        self._spanning = QTimer(self)
        self._spanning.setSingleShot(True)
        self._opened_address = ""
        self._opened_sign_in = ""
        self._set_up_form()
        self._connect()
        self._show_state()
        self.resize(NATURAL_LINES * self.fontMetrics().height())
        QgsGui.enableAutoGeometryRestore(self)

    def begin(self, address: str, auth_config_id: str) -> None:
        """Show the window; where `address` is that of a site or portal, look at it.

        With the sign-in details of that id; which ones the person has chosen then, `chosen` tells.
        """
        is_same = address == self._opened_address and auth_config_id == self._opened_sign_in
        if address and not is_same:
            self.sign_in_box.setCollapsed(not auth_config_id)
            self._look_at(address, auth_config_id)
        elif auth_config_id and not self._opened_address:
            self.sign_in_box.setCollapsed(False)
            self.auth_select.setConfigId(auth_config_id)
        self.show()
        self.raise_()
        self.activateWindow()
        self.site_edit.setFocus()

    def unload(self) -> None:
        """End what is asked, and close."""
        self._stop()
        self.hide()

    # QWidget interface

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_F5:
            self._refresh()
        else:
            super().keyPressEvent(event)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous():
            self._stop()

    def _first_fields(self) -> list[QWidget]:
        return [self.site_edit]

    # putting it together

    def _set_up_form(self) -> None:
        self.sign_in_box.setCollapsed(True)
        self._saved_menu = QMenu(self)
        self._saved_menu.setToolTipsVisible(True)
        self._saved_menu.aboutToShow.connect(self._fill_saved_menu)
        self._saved_menu.triggered.connect(self._take_saved)
        self.saved_button.setMenu(self._saved_menu)
        self.refresh_button.setIcon(QgsApplication.getThemeIcon("/mActionRefresh.svg"))
        self.search_edit.setShowSearchIcon(True)
        self.services_view.setModel(self._shown)
        line = self.fontMetrics().lineSpacing()
        self.services_view.setMinimumSize(LEAST_LINES * line)
        self.services_view.setItemDelegate(_Roomy(self.services_view))
        self._hide_columns(True)
        header = self.services_view.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(LEAST_COLUMN * line)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        for column in (KIND, OWNER, CHANGED):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)

    def _connect(self) -> None:
        self.site_edit.returnPressed.connect(self._open)
        self.open_button.clicked.connect(self._open_or_stop)
        self.refresh_button.clicked.connect(self._refresh)
        self.search_edit.textChanged.connect(self._wait_for_more)
        self.search_edit.returnPressed.connect(self._look_for_words)
        self._typing.timeout.connect(self._look_for_words)
        self.services_view.expanded.connect(self._expanded)
        self.services_view.activated.connect(self._activated)
        self.services_view.selectionModel().currentChanged.connect(self._show_state)
        self.load_button.clicked.connect(self._choose)
        self._shown.rowsInserted.connect(self._rows_inserted)
        self._spanning.timeout.connect(self._span_rows)
        self._search.opened.connect(self._opened)
        self._search.failed.connect(self._failed)
        self._search.changed.connect(self._show_state)
        self._trust.trusted.connect(self._look_at)

    # looking

    def _open_or_stop(self) -> None:
        if self._search.is_asking:
            self._stop()
        else:
            self._open()

    def _stop(self) -> None:
        self._typing.stop()
        self._search.stop()
        if not self._model.rowCount():
            self._opened_address = ""  # nothing is known of it
        self._show_state()

    def _look_at(self, address: str, auth_config_id: str) -> None:
        self.site_edit.setText(address)
        self.auth_select.setConfigId(auth_config_id)
        self._open()

    def _open(self) -> None:
        address = self.site_edit.text().strip()
        self._lines.clear()
        self._opened_address, self._opened_sign_in = address, self.auth_select.configId()
        if address:
            self._search.open(address, self._opened_sign_in)
        else:
            self._failed(AddressError(""))
        self._show_state()

    def _refresh(self) -> None:
        """Ask the same anew; nothing is asked where nothing was."""
        if self._opened_address:
            self.site_edit.setText(self._opened_address)
            self._open()

    def _opened(self) -> None:
        is_portal = self._search.portal is not None
        self._hide_columns(not is_portal)
        if is_portal:
            self._filter("")
            self.services_view.expand(self._shown.index(0, NAME))
        self._look_for_words()

    def _failed(self, error: Exception) -> None:
        if isinstance(error, (NotAllowed, SignInFailed, SignInNeeded)):
            self.sign_in_box.setCollapsed(False)
        text = messages.looking_sentence(error, self._search.asked[0])
        self._trust.offer(error, self._lines.complain(text))
        self._opened_address = ""  # so that the next time it is asked again
        self._show_state()

    def _rows_inserted(self) -> None:
        """Not at once: the view lays itself out then, which it cannot while rows come and go."""
        self._spanning.start()

    def _span_rows(self) -> None:
        """Let what is no service, and so has one text alone, have the room of all columns."""
        for parent in self._shown.parents():
            for row in range(self._shown.rowCount(parent)):
                item = self._item_at(self._shown.index(row, NAME, parent))
                is_alone = item is not None and row_of(item) is not Row.SERVICE
                if is_alone != self.services_view.isFirstColumnSpanned(row, parent):
                    self.services_view.setFirstColumnSpanned(row, parent, is_alone)

    def _hide_columns(self, are_hidden: bool) -> None:
        """Hide what only portals tell."""
        for column in (OWNER, CHANGED):
            self.services_view.setColumnHidden(column, are_hidden)

    def _wait_for_more(self) -> None:
        self._typing.start()

    def _look_for_words(self) -> None:
        """Search the portal for what is typed; of a site, show what has it in its name."""
        self._typing.stop()
        words = self.search_edit.text().strip()
        if self._search.portal is None:
            self._filter(words)
        else:
            self._ask_portal(words)
        self._show_state()

    def _ask_portal(self, words: str) -> None:
        self._search.search(words)
        if words:  # what is found is seen, whosever it is
            self.services_view.expandAll()
        for branch in self._model.branches():
            if self.services_view.isExpanded(self._index_of(branch)):
                self._search.fill(branch)

    def _filter(self, words: str) -> None:
        self._shown.set_words(words)
        if words:
            self._search.fill_all()
            self.services_view.expandAll()

    def _expanded(self, index: QModelIndex) -> None:
        item = self._item_at(index)
        if item is not None and row_of(item) in (Row.FOLDER, Row.SCOPE):
            self._search.fill(item)

    # choosing

    def _activated(self, index: QModelIndex) -> None:
        item = self._item_at(index)
        if item is not None and row_of(item) is Row.MORE:
            self._search.go_on(item)
        elif address_of(index):
            self._choose()

    def _choose(self) -> None:
        address = address_of(self.services_view.currentIndex())
        if address:
            self.chosen.emit(address, self._opened_sign_in)
            self.accept()

    def _item_at(self, index: QModelIndex) -> QStandardItem | None:
        found = self._shown.mapToSource(index)
        return self._model.itemFromIndex(found.sibling(found.row(), NAME))

    def _index_of(self, item: QStandardItem) -> QModelIndex:
        return self._shown.mapFromSource(self._model.indexFromItem(item))

    # showing

    def _show_state(self) -> None:
        is_asking = self._search.is_asking
        has_any = self._model.rowCount() > 0
        self.open_button.setText(self.tr("Stop") if is_asking else self.tr("Open"))
        self.refresh_button.setEnabled(bool(self._opened_address) and not is_asking)
        self.search_edit.setEnabled(has_any)
        is_portal = self._search.portal is not None
        self.search_edit.setPlaceholderText(
            self.tr("Search the portal's map and image services")
            if is_portal
            else self.tr("Filter by name")
        )
        self.load_button.setEnabled(bool(address_of(self.services_view.currentIndex())))
        self.state_label.setText(self._state_text(is_asking, has_any))

    def _state_text(self, is_asking: bool, has_any: bool) -> str:
        if is_asking:
            return self.tr("Loading…")
        if has_any:
            selected = url_of(self.services_view.currentIndex())
            told = selected or self._note_text() or self._next_text()
            return told.replace("/", f"/{_BREAK}")
        if self._opened_address:
            return self.tr("The site lists no map or image service that you may see.")
        return self.tr("Enter the address of a site or portal, and open it.")

    def _note_text(self) -> str:
        """The selected row as a whole where it tells of something; "" for any other."""
        current = self.services_view.currentIndex()
        item = self._item_at(current) if current.isValid() else None
        return item.text() if item is not None and row_of(item) is Row.NOTE else ""

    def _next_text(self) -> str:
        """What can be done; where what was searched for is not there, that it is not."""
        if self._search.portal_instead and not self._search.words:
            text = self.tr("No site answers there, these are the items of the portal {portal}.")
            return text.format(portal=self._search.portal_instead)
        if self._shown.has_service():
            return self.tr("Double-click a service to load it.")
        is_portal = self._search.portal is not None
        words = self._search.words if is_portal else self._shown.words
        if not words:
            return self.tr("Open a folder to see its services.")
        if self._model.has_problem():
            return self.tr("Nothing was found, but not all could be searched: see why in the tree.")
        text = self.tr("No map or image service has “{words}” in its name: try other words.")
        if is_portal:
            text = self.tr("No map or image service is found by “{words}”: try other words.")
        return text.format(words=words)

    def _fill_saved_menu(self) -> None:
        """Offer QGIS's saved connections as they are now."""
        self._saved_menu.clear()
        saved = connections.saved_connections()
        for connection in saved:
            action = self._saved_menu.addAction(connection.name.replace("&", "&&"))
            action.setToolTip(plain_tip(connection.url))
            action.setData((connection.url, connection.auth_config_id))
        if not saved:
            none = self._saved_menu.addAction(self.tr("None: Add One in the Browser Panel"))
            none.setEnabled(False)

    def _take_saved(self, action: QAction) -> None:
        if action.data() is not None:
            self._look_at(*action.data())


class _Roomy(QStyledItemDelegate):
    """Leaves some room around texts, so that columns can be told apart."""

    # QStyledItemDelegate interface

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        metrics = option.fontMetrics
        return super().sizeHint(option, index) + QSize(
            2 * metrics.averageCharWidth(), metrics.height() // 4
        )
