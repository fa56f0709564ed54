"""The panel in which a service or cache is named, chosen and loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from qgis.core import QgsMapLayer
from qgis.PyQt.QtCore import QEvent, QObject, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QCompleter, QMenu, QWidget

from ..plugin.core.arcgis.catalogue import ServiceEntry
from ..plugin.core.errors import (
    CachingUnavailable,
    NotAllowed,
    SignInFailed,
    SignInNeeded,
    Unavailable,
)
from ..plugin.host import connections
from .addresses import is_path
from .forms import load_form
from .path_browse import PathBrowse, cache_file_filters
from .site_browser import SiteBrowser
from .tips import plain_tip

FORM = load_form(__file__)


class AddressPanel(QWidget, FORM):
    """Where the service or cache is, the sign-in for it, and what it says of itself.

    `load_requested` carries the address and the id of the authentication configuration. What
    `new_button`, `add_button` and `care_button` do is up to the dialog.
    """

    load_requested = pyqtSignal(str, str)

    def __init__(
        self, active_layer: Callable[[], QgsMapLayer | None], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self._active_layer = active_layer
        self._menu = QMenu(self)
        self._menu.setObjectName("choose_menu")
        self._menu.setToolTipsVisible(True)
        self._menu.aboutToShow.connect(self._fill_menu)
        self.choose_button.setMenu(self._menu)
        self._browse = PathBrowse(self)
        self._browse.chosen.connect(lambda path: self._choose(path, ""))
        self.browse_button.setMenu(self._browse_menu())
        self._site_browser: SiteBrowser | None = None
        self._picked = ""
        self.sign_in_box.setCollapsed(True)
        self.load_button.clicked.connect(self._request)
        self.address_combo.lineEdit().returnPressed.connect(self._request)
        self.address_combo.lineEdit().setPlaceholderText(
            self.tr("https://host/arcgis/rest/services/Name/MapServer, or a path")
        )
        self.address_combo.lineEdit().setClearButtonEnabled(True)
        # What is dropped is for the window: as text it would be the URL of a file.
        self.address_combo.lineEdit().setAcceptDrops(False)
        self.address_combo.editTextChanged.connect(self._show_sign_in)
        self.address_combo.setCompleter(self._recent_popup())
        self.service_combo.currentIndexChanged.connect(self._service_chosen)
        self.show_services(())
        self.show_summary("")

    def unload(self) -> None:
        """End what is looked at."""
        if self._site_browser is not None:
            self._site_browser.unload()

    def hide_care(self) -> None:
        """Offer to load what is there, and nothing else."""
        for button in (self.new_button, self.add_button, self.care_button):
            button.hide()

    def address(self) -> str:
        """What stands in the address field, without blanks around it."""
        return self.address_combo.currentText().strip()

    def auth_config_id(self) -> str:
        """The id of the chosen authentication configuration, "" for none."""
        return self.auth_select.configId()

    def used_auth_config_id(self) -> str:
        """That id where what is named takes a sign-in; "" for a cache on this computer."""
        return "" if is_path(self.address()) else self.auth_config_id()

    def fill(self, address: str, auth_config_id: str) -> None:
        """Put both into the form, without loading."""
        self.address_combo.setEditText(address)
        self.auth_select.setConfigId(auth_config_id)
        if auth_config_id:
            self.sign_in_box.setCollapsed(False)

    def help_with(self, error: Exception) -> None:
        """Where another sign-in is what helps, open the part of the form to choose one in."""
        if _wants_sign_in(error):
            self.sign_in_box.setCollapsed(False)

    def set_recent(self, addresses: Iterable[str]) -> None:
        """Offer `addresses` in the address field's list; what stands in the field stays."""
        text, cursor = self.address_combo.currentText(), self.address_combo.lineEdit()
        place = cursor.cursorPosition()
        self.address_combo.clear()
        self.address_combo.addItems(list(addresses))
        self.address_combo.setEditText(text)
        cursor.setCursorPosition(place)

    def show_services(self, services: Iterable[ServiceEntry]) -> None:
        """Offer the services of a site and say so; none hides the choice."""
        listed = list(services)
        if listed:
            text = self.tr("The site lists {count} map and image services: choose one.")
            if len(listed) == 1:
                text = self.tr("The site lists 1 map or image service: choose it.")
            self.show_summary(text.format(count=len(listed)))
        self.service_combo.blockSignals(True)
        self.service_combo.clear()
        if listed:
            self.service_combo.addItem(self.tr("Choose a Service…"), None)
        for entry in listed:
            self.service_combo.addItem(
                self.tr("{name} ({kind})").format(name=entry.name, kind=entry.kind), entry.url
            )
        self.service_combo.blockSignals(False)
        self.service_combo.setVisible(bool(listed))
        self.service_label.setVisible(bool(listed))

    def show_loaded(self, address: str, asked: str) -> None:
        """Put the address of the loaded service into the field, and choose it among the listed.

        Where the field no longer says what it said when the service was `asked` for, a person has
        typed something else meanwhile: then it is left alone.
        """
        if self.address() == asked:
            self.address_combo.setEditText(address)
        row = self.service_combo.findData(address)
        if row < 0 and self._picked:  # of a portal, pages of items are listed
            row = self.service_combo.findData(self._picked)
        if row < 0:
            self.show_services(())
            return
        self.service_combo.blockSignals(True)
        self.service_combo.setCurrentIndex(row)
        self.service_combo.blockSignals(False)

    def show_summary(self, text: str) -> None:
        """Show what is to be said about the service; "" hides the place for it."""
        self.summary_label.setText(text)
        self.summary_label.setVisible(bool(text))

    # QWidget interface

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Close the window in which a service is found together with the dialog."""
        is_closed = event.type() == QEvent.Type.Hide and not event.spontaneous()
        if is_closed and self._site_browser is not None:
            self._site_browser.reject()
        return super().eventFilter(watched, event)

    def _recent_popup(self) -> QCompleter:
        """A list of the recent addresses that hold what is typed.

        What is typed stays as it is unless one of them is chosen: two addresses may differ in a
        capital letter, or one be the beginning of the other. Qt's own completion, and its search
        for the typed text when Return is pressed, would take the recent one.
        """
        completer = QCompleter(self.address_combo.model(), self.address_combo)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseSensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        return completer

    def _request(self) -> None:
        self._picked = ""
        self.load_requested.emit(self.address(), self.used_auth_config_id())

    def _show_sign_in(self) -> None:
        """Ask for a sign-in where one can be of use: a cache on this computer needs none."""
        self.sign_in_box.setVisible(not is_path(self.address()))

    def _browse_menu(self) -> QMenu:
        menu = QMenu(self)
        menu.setObjectName("browse_menu")
        menu.addAction(self.tr("ArcGIS Site or Portal…"), self._find_service)
        menu.addSeparator()
        menu.addAction(
            self.tr("Folder…"), lambda: self._browse.ask_folder(self.tr("Open a Cache in a Folder"))
        )
        menu.addAction(
            self.tr("File…"),
            lambda: self._browse.ask_file(self.tr("Open a Cache File"), cache_file_filters()),
        )
        return menu

    def _find_service(self) -> None:
        """Show the window in which a service is found, made at first use."""
        if self._site_browser is None:
            self._site_browser = SiteBrowser(self.window())
            self._site_browser.chosen.connect(self._found)
            self.window().installEventFilter(self)
        address = "" if is_path(self.address()) else self.address()
        self._site_browser.begin(address, self.auth_config_id())

    def _found(self, address: str, auth_config_id: str) -> None:
        """Load what was found as it was found: that in nobody's name, with no sign-in at all."""
        self.fill(address, auth_config_id)
        self._request()

    def _choose(self, address: str, auth_config_id: str) -> None:
        """Load this; where it brings no sign-in, with the one that the person chose."""
        self.fill(address, auth_config_id or self.auth_config_id())
        self._request()

    def _service_chosen(self) -> None:
        url = self.service_combo.currentData()
        if url is not None:
            self._picked = url
            self.load_requested.emit(url, self.auth_config_id())

    def _fill_menu(self) -> None:
        """Offer the active layer and QGIS's saved connections as they are now."""
        self._menu.clear()
        self._add_active_layer()
        self._menu.addSection(self.tr("Saved ArcGIS REST Connections"))
        saved = connections.saved_connections()
        for connection in saved:
            action = self._menu.addAction(_plain(connection.name))
            action.setToolTip(plain_tip(connection.url))
            action.triggered.connect(
                lambda _checked, chosen=connection: self._choose(chosen.url, chosen.auth_config_id)
            )
        if not saved:
            self._menu.addAction(self.tr("None: Add One in the Browser Panel")).setEnabled(False)

    def _add_active_layer(self) -> None:
        layer = self._active_layer()
        service = connections.of_layer(layer) if layer is not None else None
        if service is None:
            action = self._menu.addAction(self.tr("Active Layer"))
            action.setEnabled(False)
            action.setToolTip(
                self.tr("The active layer is not drawn from an ArcGIS map service or a cache")
            )
            return
        name = self.tr("Active Layer “{name}”").format(name=layer.name())
        self._menu.addAction(_plain(name)).triggered.connect(
            lambda: self._choose(service.url, service.auth_config_id)
        )


def _plain(text: str) -> str:
    """`text` as a menu shows it unchanged: an ampersand would underline the next letter."""
    return text.replace("&", "&&")


def _wants_sign_in(error: Exception) -> bool:
    """Whether choosing a sign-in, or another one, is what helps."""
    if isinstance(error, CachingUnavailable):
        return error.reason in (Unavailable.SIGN_IN, Unavailable.NO_RIGHT)
    return isinstance(error, (NotAllowed, SignInFailed, SignInNeeded))
