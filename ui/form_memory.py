"""What was typed into the form, kept from one QGIS session to the next."""

from __future__ import annotations

from typing import Protocol

from ..plugin.host.settings import Settings
from .address_panel import AddressPanel
from .area_kinds import AreaKind
from .area_panel import AreaPanel


class RememberedPanel(Protocol):
    """A panel that knows itself what of it is remembered."""

    def restore(self, settings: Settings) -> None:
        """Fill the panel as it was left."""

    def save(self, settings: Settings) -> None:
        """Keep the panel as it is."""


class FormMemory:
    """Fills the panels with what was last typed into them, and remembers it.

    The authentication configuration is remembered by its id; the sign-in itself stays in QGIS's
    authentication database.
    """

    def __init__(self, address: AddressPanel, area: AreaPanel, panel: RememberedPanel) -> None:
        self._address = address
        self._area = area
        self._panel = panel
        self._settings = Settings()

    def restore(self) -> None:
        """Fill the form as it was left."""
        settings = self._settings
        self._address.set_recent(settings.recent_addresses)
        self._address.fill(settings.address, settings.auth_config_id)
        self._area.typed_extent_edit.setText(settings.typed_extent)
        kinds = {kind.value: kind for kind in AreaKind}
        self._area.set_kind(kinds.get(settings.area_kind, AreaKind.FULL))
        self._panel.restore(settings)

    def save(self) -> None:
        """Keep the form as it is."""
        settings = self._settings
        settings.address = self._address.address()
        settings.auth_config_id = self._address.auth_config_id()
        settings.typed_extent = self._area.typed_extent_edit.text()
        settings.area_kind = self._area.kind().value
        self._panel.save(settings)

    def add_recent(self, address: str) -> None:
        """Offer `address` first among the recent ones from now on."""
        self._settings.remember_address(address)
        self._address.set_recent(self._settings.recent_addresses)
