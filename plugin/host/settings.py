"""What is kept in QGIS's settings: the form as it was left, and where QGIS keeps connections.

The only place that knows setting keys. Nothing secret is written: sign-in details stay in QGIS's
authentication database, only their id is kept here.
"""

from __future__ import annotations

from typing import Any, TypeVar

from qgis.core import QgsSettings

from ..core.arcgis.address import public_address
from ..core.arcgis.portal_address import kept_address
from ..core.request import ALARM_SECONDS, SITE_DECIDES, UpdateMode
from ..core.storage.addresses import local_path

RECENT_ADDRESSES = 10
USUAL_ALARM_MINUTES = round(ALARM_SECONDS / 60)

_ROOT = "tile_cache_manager/"
_PORTALS = "trusted_portals/"
# QGIS 3.30 and later, and before: there the address and the sign-in lie apart.
_CONNECTIONS = "connections/arcgisfeatureserver/items"
_OLD_CONNECTIONS = "qgis/connections-arcgisfeatureserver"
_OLD_SIGN_INS = "qgis/ARCGISFEATURESERVER"

Value = TypeVar("Value", str, int, bool)


class Settings:
    """The form's values as the user left them. Values that cannot be read are as if never set."""

    @property
    def address(self) -> str:
        return _read("address", "")

    @address.setter
    def address(self, value: str) -> None:
        _write("address", _without_secrets(value))

    @property
    def auth_config_id(self) -> str:
        return _read("auth_config_id", "")

    @auth_config_id.setter
    def auth_config_id(self, value: str) -> None:
        _write("auth_config_id", value)

    @property
    def area_kind(self) -> str:
        """What the form calls the chosen kind of area; "" where none was chosen yet."""
        return _read("area_kind", "")

    @area_kind.setter
    def area_kind(self, value: str) -> None:
        _write("area_kind", value)

    @property
    def typed_extent(self) -> str:
        return _read("typed_extent", "")

    @typed_extent.setter
    def typed_extent(self, value: str) -> None:
        _write("typed_extent", value)

    @property
    def area_rules(self) -> str:
        """The rules of areas by scale as their text, see `rule_file`; "" for none."""
        return _read("area_rules", "")

    @area_rules.setter
    def area_rules(self, value: str) -> None:
        _write("area_rules", value)

    @property
    def update_mode(self) -> UpdateMode:
        keyword = _read("update_mode", "")
        known = {mode.value: mode for mode in UpdateMode}
        return known.get(keyword, UpdateMode.RECREATE_EMPTY)

    @update_mode.setter
    def update_mode(self, value: UpdateMode) -> None:
        _write("update_mode", value.value)

    @property
    def instances(self) -> int:
        value = _read("instances", SITE_DECIDES)
        return value if value >= 1 else SITE_DECIDES

    @instances.setter
    def instances(self, value: int) -> None:
        _write("instances", value)

    @property
    def wait(self) -> bool:
        return _read("wait", True)

    @wait.setter
    def wait(self, value: bool) -> None:
        _write("wait", value)

    @property
    def merges_bundles(self) -> bool:
        """Of updates of hosted layers."""
        return _read("merges_bundles", False)

    @merges_bundles.setter
    def merges_bundles(self, value: bool) -> None:
        _write("merges_bundles", value)

    @property
    def replaces_tiles(self) -> bool:
        """Of updates of hosted layers, when merging."""
        return _read("replaces_tiles", False)

    @replaces_tiles.setter
    def replaces_tiles(self, value: bool) -> None:
        _write("replaces_tiles", value)

    @property
    def isolates_failures(self) -> bool:
        return _read("isolates_failures", False)

    @isolates_failures.setter
    def isolates_failures(self, value: bool) -> None:
        _write("isolates_failures", value)

    @property
    def alarm_minutes(self) -> int:
        """After so long without a tile more, a job on a site is told to stand still."""
        value = _read("alarm_minutes", USUAL_ALARM_MINUTES)
        return value if value >= 1 else USUAL_ALARM_MINUTES

    @alarm_minutes.setter
    def alarm_minutes(self, value: int) -> None:
        _write("alarm_minutes", value)

    @property
    def last_folder(self) -> str:
        """The folder in which a path was last chosen; "" for none."""
        return _read("last_folder", "")

    @last_folder.setter
    def last_folder(self, value: str) -> None:
        _write("last_folder", value)

    @property
    def export_format(self) -> str:
        """Keyword of the StorageFormat that tiles were last exported to; "" for none."""
        return _read("export_format", "")

    @export_format.setter
    def export_format(self, value: str) -> None:
        _write("export_format", value)

    @property
    def export_overwrite(self) -> str:
        """Keyword of what last became of tiles that the target had; "" for none."""
        return _read("export_overwrite", "")

    @export_overwrite.setter
    def export_overwrite(self, value: str) -> None:
        _write("export_overwrite", value)

    @property
    def export_clip(self) -> bool:
        return _read("export_clip", False)

    @export_clip.setter
    def export_clip(self, value: bool) -> None:
        _write("export_clip", value)

    @property
    def export_folder(self) -> str:
        """The folder into which tiles were last exported; "" for none."""
        return _read("export_folder", "")

    @export_folder.setter
    def export_folder(self, value: str) -> None:
        _write("export_folder", value)

    @property
    def recent_addresses(self) -> tuple[str, ...]:
        """Addresses used last, the newest first."""
        lines = _read("recent_addresses", "").splitlines()
        return tuple(line for line in lines if line)[:RECENT_ADDRESSES]

    def remember_address(self, text: str) -> None:
        """Put an address, of a service or a path, first among the recent ones."""
        address = _without_secrets(text)
        if address:
            others = [other for other in self.recent_addresses if other != address]
            _write("recent_addresses", "\n".join([address, *others][:RECENT_ADDRESSES]))


def arcgis_connections() -> list[tuple[str, str, str]]:
    """Name, URL and sign-in id of QGIS's ArcGIS REST connections.

    QGIS 3.30 moved them, and moves old ones as it starts; so the new place wins over the old.
    """
    settings = QgsSettings()
    found: dict[str, tuple[str, str, str]] = {}
    for root, sign_ins in ((_OLD_CONNECTIONS, _OLD_SIGN_INS), (_CONNECTIONS, _CONNECTIONS)):
        settings.beginGroup(root)
        names = settings.childGroups()
        settings.endGroup()
        for name in names:
            url = settings.value(f"{root}/{name}/url", "", type=str)
            sign_in = settings.value(f"{sign_ins}/{name}/authcfg", "", type=str)
            found[name] = (name, url, sign_in)
    return list(found.values())


def trusted_portals(auth_config_id: str) -> tuple[str, ...]:
    """Portals that the user has trusted with what the sign-in details with that id hold."""
    lines = _read(_PORTALS + auth_config_id, "").splitlines() if auth_config_id else []
    return tuple(line for line in lines if line)


def trust_portal(auth_config_id: str, portal_url: str) -> None:
    """Remember that the portal may be given what the sign-in details with that id hold."""
    portal, known = public_address(portal_url), trusted_portals(auth_config_id)
    if auth_config_id and portal and portal not in known:
        _write(_PORTALS + auth_config_id, "\n".join([*known, portal]))


def _without_secrets(address: str) -> str:
    """`address` without what can be secret in a URL; a path as it is."""
    return address if local_path(address) is not None else kept_address(address)


def _read(key: str, default: Value) -> Value:
    try:
        value = QgsSettings().value(
            _ROOT + key, default, type=type(default), section=QgsSettings.Section.Plugins
        )
    except TypeError:  # something else was written under this key
        return default
    return value if isinstance(value, type(default)) else default


def _write(key: str, value: Any) -> None:
    """Keep `value`; what is kept already is not written again, for each time costs a file."""
    settings, section = QgsSettings(), QgsSettings.Section.Plugins
    if not settings.contains(_ROOT + key, section) or _read(key, value) != value:
        settings.setValue(_ROOT + key, value, section)
