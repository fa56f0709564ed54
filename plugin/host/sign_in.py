"""From QGIS's authentication database to what the core signs in with. Main thread only.

QGIS may ask for the master password here, in a window of its own.
"""

from __future__ import annotations

import re

from qgis.core import QgsApplication, QgsAuthMethodConfig

from ..core.arcgis.address import origin_of, public_address
from ..core.arcgis.credentials import Credentials, FixedToken, SignIn
from ..core.errors import AddressError, TileCacheError

ESRI_KIND = "EsriToken"
"""QGIS's name for sign-in details that hold a token."""


_TOKEN = re.compile(r"[!-~]+")
"""What may stand in a header, and so in a token."""


class SignInUnusable(TileCacheError):
    """The sign-in details `name` cannot be used.

    `method`: their kind, which is none that is known here or, where it is ESRI_KIND, holds
    something that is no token; "" where nothing could be read.
    """

    def __init__(self, name: str, method: str) -> None:
        super().__init__(f"sign-in details {name!r} of kind {method!r}")
        self.name = name
        self.method = method


class MasterPasswordNeeded(SignInUnusable):
    """The sign-in details `name` are locked: QGIS was not given its right master password."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "")


class PortalAddressError(AddressError):
    """`address` is not that of a portal."""


def credentials(auth_config_id: str, portal_url: str = "") -> SignIn | None:
    """What the sign-in details with that id hold; None for no id.

    `portal_url`: the portal that may be given the password too; "" for none.

    Of kind Basic: user name and password. Of kind EsriToken: a token got elsewhere, which cannot be
    renewed here. (The keys are those that QGIS 3.22 and 3.40 store.)
    Raises SignInUnusable, MasterPasswordNeeded, PortalAddressError.
    """
    portal_url = public_address(portal_url)
    if portal_url and not _is_url(portal_url):
        raise PortalAddressError(portal_url)
    if not auth_config_id:
        return None
    manager = QgsApplication.authManager()
    loaded, config = manager.loadAuthenticationConfig(auth_config_id, QgsAuthMethodConfig(), True)
    if not loaded:
        if not (manager.isDisabled() or manager.masterPasswordIsSet()):
            raise MasterPasswordNeeded(auth_config_id)
        raise SignInUnusable(auth_config_id, "")
    name, method = config.name() or auth_config_id, config.method()
    if method == "Basic":
        return Credentials(config.config("username"), config.config("password"), portal_url)
    if method == ESRI_KIND:
        token = config.config("token").strip()
        if not _TOKEN.fullmatch(token):
            raise SignInUnusable(name, method)
        return FixedToken(token)
    raise SignInUnusable(name, method)


def _is_url(text: str) -> bool:
    try:
        scheme, host, _port = origin_of(text)
    except ValueError:
        return False
    return scheme in ("http", "https") and bool(host) and " " not in text and text.isprintable()
