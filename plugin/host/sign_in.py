"""From QGIS's authentication database to what the core signs in with. Main thread only.

QGIS may ask for the master password here, in a window of its own. Nothing is fetched here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Callable

from qgis.core import QgsApplication, QgsAuthMethodConfig
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest

from ..core.arcgis.address import origin_of, public_address
from ..core.arcgis.credentials import (
    CertificateSignIn,
    Credentials,
    FixedToken,
    GivenToken,
    HeaderSignIn,
    SignIn,
)
from ..core.errors import AddressError, SignInFailed, SignInProblem, TileCacheError
from . import settings
from .token_thread import TokenThread

ESRI_KIND = "EsriToken"
"""QGIS's name for sign-in details that hold a token."""
OAUTH_KIND = "OAuth2"
CERTIFICATE_KINDS = ("PKI-Paths", "PKI-PKCS#12", "Identity-Cert")
"""QGIS's names for sign-in details that hold a certificate of the user's own."""

_REQUEST_KINDS = ("AWSS3", "MapTilerHmacSha256", "PlanetaryComputer")
"""They sign one request, by its address or its time, and so no site's."""
_ESRI_HEADER = "x-esri-authorization"
_NO_PERSON_GRANTS = (2,)
"""OAuth 2 with a stored user name and password; others open a browser. (QGIS's own numbers.)"""
_BY_FORM = 1
"""A way to send a token that QGIS's own settings offer, but that it cannot do."""

_TOKEN = re.compile(r"[!-~]+")
"""What may stand in a header, and so in a token."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[ -~\t\x80-\xff]+")


class SignInUnusable(TileCacheError):
    """The sign-in details `name` cannot be used.

    `method`: their kind, which cannot be used here or holds something that cannot be sent; "" where
    nothing could be read.
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

    `portal_url`: a portal that may be given the password or token too, beside those that the user
    has trusted with it; "" for none.

    Of all kinds that QGIS 3.22 and 3.40 have but those that sign one single request: user name and
    password, a token, what keeps a token fresh, headers, or that a certificate is shown (which
    `network.transport` takes from the same details).
    Raises SignInUnusable, MasterPasswordNeeded, PortalAddressError.
    """
    portal_url = public_address(portal_url)
    if portal_url and not _is_url(portal_url):
        raise PortalAddressError(portal_url)
    if not auth_config_id:
        return None
    config = loaded(auth_config_id)
    method, portals = config.method(), _trusted_portals(config)
    if method == "Basic":
        user, password = config.config("username"), config.config("password")
        return Credentials(user, password, portal_url, portals)
    portals = (*filter(None, [portal_url]), *portals)
    if method == ESRI_KIND:
        token, referer = config.config("token").strip(), config.config("referer").strip()
        return FixedToken(_checked(token, config), referer, portals)
    if method == OAUTH_KIND:
        return GivenToken(_token_source(config), portals)
    if method in CERTIFICATE_KINDS:
        return CertificateSignIn(portals)
    return _by_headers(config, portals)


def needs_person(auth_config_id: str) -> bool:
    """Whether using these sign-in details now would, or might, want somebody at the computer.

    To enter the master password, or to sign in by a browser. Asks nobody.
    """
    if not auth_config_id:
        return False
    manager = QgsApplication.authManager()
    if manager.isDisabled() or not manager.masterPasswordIsSet():
        return True
    is_loaded, config = manager.loadAuthenticationConfig(
        auth_config_id, QgsAuthMethodConfig(), True
    )
    if not is_loaded or config.method() != OAUTH_KIND:
        return False
    return _oauth_settings(config).get("grantFlow") not in _NO_PERSON_GRANTS


def trusted_portals(auth_config_id: str) -> tuple[str, ...]:
    """Addresses of the portals that may be given what these details hold.

    Raises SignInUnusable, MasterPasswordNeeded.
    """
    return _trusted_portals(loaded(auth_config_id))


def loaded(auth_config_id: str) -> QgsAuthMethodConfig:
    """The sign-in details with that id. Raises SignInUnusable, MasterPasswordNeeded."""
    manager = QgsApplication.authManager()
    is_loaded, config = manager.loadAuthenticationConfig(
        auth_config_id, QgsAuthMethodConfig(), True
    )
    if is_loaded:
        return config
    if not (manager.isDisabled() or manager.masterPasswordIsSet()):
        raise MasterPasswordNeeded(auth_config_id)
    raise SignInUnusable(auth_config_id, "")


def signed_request(config: QgsAuthMethodConfig) -> QNetworkRequest:
    """A request as QGIS signs it by these details. Not of kind OAuth 2, for which QGIS may wait.

    Raises SignInUnusable.
    """
    request = QNetworkRequest(QUrl("https://localhost/"))
    is_signed, signed = QgsApplication.authManager().updateNetworkRequest(request, config.id())
    if not is_signed:
        raise _unusable(config)
    return signed


def _by_headers(config: QgsAuthMethodConfig, portals: tuple[str, ...]) -> SignIn:
    """Of QGIS's API headers, or of a kind that is not known here: the headers that QGIS sets.

    Raises SignInUnusable.
    """
    if config.method() in _REQUEST_KINDS:
        raise _unusable(config)
    request = signed_request(config)
    headers = {
        bytes(name).decode("latin-1"): bytes(request.rawHeader(name)).decode("latin-1").strip()
        for name in request.rawHeaderList()
    }
    if not headers or request.url().hasQuery() or not all(map(_can_be_sent, headers.items())):
        raise _unusable(config)
    token = _esri_token(headers)
    return FixedToken(token, "", portals) if token else HeaderSignIn(headers, portals)


def _esri_token(headers: Mapping[str, str]) -> str:
    """The token that `headers` are there to send, as Esri writes it; "" where they do more."""
    for name, value in headers.items():
        kind, _, token = value.partition(" ")
        if len(headers) == 1 and name.lower() == _ESRI_HEADER and kind.lower() == "bearer":
            return token.strip()
    return ""


def _can_be_sent(header: tuple[str, str]) -> bool:
    name, value = header
    return bool(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value))


def _token_source(config: QgsAuthMethodConfig) -> Callable[[bool], str]:
    """What gives the token of OAuth 2 details, in any thread. Raises SignInUnusable."""
    given = _oauth_settings(config)
    config_id, name, url = config.id(), _name(config), _token_url(given)
    is_ready_made = config.hasConfig("definedid")
    if given.get("accessMethod") == _BY_FORM or not (url or is_ready_made):
        raise _unusable(config)
    thread = _token_thread()

    def get(is_refused: bool) -> str:
        # where what is done here was cancelled, that is raised
        token = thread.token(config_id, is_refused=is_refused)
        if not _TOKEN.fullmatch(token):
            raise SignInFailed(url, SignInProblem.NOTHING_GIVEN, name)
        return token

    return get


def _trusted_portals(config: QgsAuthMethodConfig) -> tuple[str, ...]:
    """Those that the user trusted here, and those that the details themselves name."""
    named = [*settings.trusted_portals(config.id()), public_address(config.uri())]
    if config.method() == OAUTH_KIND:
        portal, at_sharing, _ = _token_url(_oauth_settings(config)).partition("/sharing/")
        named.append(portal if at_sharing else "")
    return tuple(dict.fromkeys(each for each in named if _is_url(each)))


def _oauth_settings(config: QgsAuthMethodConfig) -> dict[str, object]:
    """QGIS's own settings of OAuth 2 details, {} where they cannot be read."""
    try:
        found = json.loads(config.config("oauth2config") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _token_url(oauth_settings: Mapping[str, object]) -> str:
    return public_address(str(oauth_settings.get("tokenUrl") or ""))


def _checked(token: str, config: QgsAuthMethodConfig) -> str:
    if not _TOKEN.fullmatch(token):
        raise _unusable(config)
    return token


def _unusable(config: QgsAuthMethodConfig) -> SignInUnusable:
    return SignInUnusable(_name(config), config.method())


def _name(config: QgsAuthMethodConfig) -> str:
    return config.name() or config.id()


def _is_url(text: str) -> bool:
    try:
        scheme, host, _port = origin_of(text)
    except ValueError:
        return False
    return scheme in ("http", "https") and bool(host) and " " not in text and text.isprintable()


_THREADS: list[TokenThread] = []


def _token_thread() -> TokenThread:
    """The one of this process, made when it is first needed."""
    if not _THREADS:
        _THREADS.append(TokenThread())
    return _THREADS[0]
