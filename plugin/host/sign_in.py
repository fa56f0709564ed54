"""From QGIS's authentication database to what the core signs in with. Main thread only.

QGIS may ask for the master password here, in a window of its own.
"""

from __future__ import annotations

from qgis.core import QgsApplication, QgsAuthMethodConfig

from ..core.arcgis.credentials import Credentials, FixedToken, SignIn
from ..core.errors import TileCacheError


class SignInUnusable(TileCacheError):
    """The sign-in details `name` cannot be used: of kind `method`, or "" where nothing was read."""

    def __init__(self, name: str, method: str) -> None:
        super().__init__(f"sign-in details {name!r} of kind {method!r}")
        self.name = name
        self.method = method


def credentials(auth_config_id: str, portal_url: str = "") -> SignIn | None:
    """What the sign-in details with that id hold; None for no id.

    `portal_url`: the portal that may be given the password too; "" for none.

    Of kind Basic: user name and password. Of kind EsriToken: a token got elsewhere, which cannot be
    renewed here. (The keys are those that QGIS 3.22 and 3.40 store.) Raises SignInUnusable.
    """
    if not auth_config_id:
        return None
    manager = QgsApplication.authManager()
    loaded, config = manager.loadAuthenticationConfig(auth_config_id, QgsAuthMethodConfig(), True)
    if not loaded:
        raise SignInUnusable(auth_config_id, "")
    name, method = config.name() or auth_config_id, config.method()
    if method == "Basic":
        return Credentials(config.config("username"), config.config("password"), portal_url)
    if method == "EsriToken":
        return FixedToken(config.config("token"))
    raise SignInUnusable(name, method)
