"""Asking a person whether a sign-in may go to the portal of a site, or to an item's site."""

from __future__ import annotations

import re
from typing import Protocol
from urllib.parse import urlsplit

from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..plugin.core.errors import ItemElsewhere, SignInFailed
from ..plugin.host import settings
from .notices import Notice

LONGEST_NAME = 48
"""Letters of a portal's name on the button; of a longer one the end is shown, which says whose."""

_NAME = re.compile(r"[\w.-]+(:\d+)?|\[[0-9a-fA-F:.]+\](:\d+)?", re.ASCII)


class Loader(Protocol):
    """What asks an address, and knows which one it asked last, with the details of which id."""

    @property
    def asked(self) -> tuple[str, str]: ...


class PortalTrust(QObject):
    """Puts a button on the complaint about a site whose portal has not been trusted yet.

    Pressed, it has the portal trusted with the sign-in details that `loader` asked with, from now
    on. `trusted` then carries the address and those details' id, to be asked again. The same for an
    item whose service is on a site that the portal does not know: then that address is carried.
    """

    trusted = pyqtSignal(str, str)

    def __init__(self, loader: Loader, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._loader = loader

    def offer(self, error: Exception, notice: Notice) -> None:
        """Add the button to `notice`, which tells `error`, where it is of use."""
        if isinstance(error, ItemElsewhere):
            self._offer_site(error.service_url, notice)
            return
        portal_url = error.portal_url if isinstance(error, SignInFailed) else ""
        name = _name(portal_url)
        address, auth_config_id = self._loader.asked
        if not (name and auth_config_id):
            return
        shown = name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME:]}"
        button = notice.add_button("trust_portal_button", self.tr("Sign In at {host}"))
        button.setText(button.text().format(host=shown))
        tip = self.tr("Gives {host} what your sign-in details hold, now and in future")
        button.setToolTip(tip.format(host=name))
        button.clicked.connect(lambda: self._trust(portal_url, address, auth_config_id))

    def _offer_site(self, service_url: str, notice: Notice) -> None:
        name = _name(service_url)
        if not name:
            return
        shown = name if len(name) <= LONGEST_NAME else f"…{name[-LONGEST_NAME:]}"
        button = notice.add_button("trust_site_button", self.tr("Load from {host}"))
        button.setText(button.text().format(host=shown))
        tip = self.tr("Loads the service from {host}, with your sign-in details")
        button.setToolTip(tip.format(host=name))
        auth_config_id = self._loader.asked[1]
        button.clicked.connect(lambda: self.trusted.emit(service_url, auth_config_id))

    def _trust(self, portal_url: str, address: str, auth_config_id: str) -> None:
        settings.trust_portal(auth_config_id, portal_url)
        self.trusted.emit(address, auth_config_id)


def _name(portal_url: str) -> str:
    """Host and port of `portal_url`; "" where they cannot be shown as they are."""
    try:
        name = urlsplit(portal_url).netloc
    except ValueError:
        return ""
    return name if _NAME.fullmatch(name) else ""
