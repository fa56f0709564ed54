"""How the plugin reaches the network: through QGIS's proxy, trusting whom QGIS trusts."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote, urlsplit

import certifi
from qgis.core import QgsApplication, QgsAuthConfigSslServer, QgsNetworkAccessManager
from qgis.PyQt.QtCore import QCryptographicHash, QDateTime
from qgis.PyQt.QtNetwork import QNetworkProxy, QSslError, QSslSocket

from ..core.arcgis.address import origin_and_path
from ..core.arcgis.transport import (
    ClientCertificate,
    HttpRequest,
    HttpResponse,
    Receive,
    RequestsTransport,
    Transport,
)
from ..core.errors import AddressError
from . import sign_in
from .client_certificates import certificate_of

_HTTP_PROXIES = (
    QNetworkProxy.ProxyType.HttpProxy,
    QNetworkProxy.ProxyType.HttpCachingProxy,
)
_UNVERIFIED = (QSslSocket.PeerVerifyMode.VerifyNone, QSslSocket.PeerVerifyMode.QueryPeer)
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_OTHER_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Environment variables that name the authorities to trust, in the order `requests` reads them."""


def transport(auth_config_id: str = "", *for_urls: str) -> RequestsTransport:
    """A transport that uses the proxy, authorities and exceptions of QGIS's options. Main thread.

    The options are read once; a later change of them holds for the next transport.
    Where the sign-in details with that id hold a certificate, it is shown to the hosts of
    `for_urls`, the addresses that will be asked, and of the portals trusted with the details.
    Raises SignInUnusable, MasterPasswordNeeded.
    """
    certificate, more = _certificate(auth_config_id, for_urls) if auth_config_id else (None, "")
    return RequestsTransport(
        proxies(), authorities(more), certificate=certificate, exceptions=exceptions()
    )


def transport_for(asked: Iterable[tuple[str, str]], *for_urls: str) -> Transport:
    """A transport for several sites, each by the id of its sign-in details and its address.

    Main thread. Each of the users' certificates is shown where it is meant for, and there alone.
    `for_urls`: as for `transport`, of whatever details. Raises as that.
    """
    by_details: dict[str, list[str]] = {}
    for auth_config_id, url in asked:
        held = auth_config_id if _holds_certificate(auth_config_id) else ""
        by_details.setdefault(held, []).append(url)
    made = {held: transport(held, *urls, *for_urls) for held, urls in by_details.items()}
    if len(made) == 1:
        return next(iter(made.values()))
    ways = {
        _origin(url): made[held]
        for held, urls in by_details.items()
        if held
        for url in (*for_urls, *urls, *sign_in.trusted_portals(held))
    }
    return _SeveralWays(ways, made.get("") or transport())


class _SeveralWays:
    """A transport that goes another way for each of some origins."""

    def __init__(self, ways: dict[str, RequestsTransport], usual: RequestsTransport) -> None:
        self._ways = ways
        self._usual = usual

    def send(self, request: HttpRequest) -> HttpResponse:
        return self._way(request).send(request)

    def download(self, request: HttpRequest, receive: Receive) -> HttpResponse:
        return self._way(request).download(request, receive)

    def _way(self, request: HttpRequest) -> RequestsTransport:
        return self._ways.get(_origin(request.url), self._usual)


def _holds_certificate(auth_config_id: str) -> bool:
    if not auth_config_id:
        return False
    return sign_in.loaded(auth_config_id).method() in sign_in.CERTIFICATE_KINDS


def _certificate(
    auth_config_id: str, for_urls: Iterable[str]
) -> tuple[ClientCertificate | None, str]:
    """The certificate of the user's own that is shown, and authorities it brings along, as PEM."""
    config = sign_in.loaded(auth_config_id)
    if config.method() not in sign_in.CERTIFICATE_KINDS:
        return None, ""
    request = sign_in.signed_request(config)
    load = certificate_of(request)
    if load is None:
        raise sign_in.SignInUnusable(config.name() or auth_config_id, config.method())
    asked = (*map(_origin, for_urls), *sign_in.trusted_portals(auth_config_id))
    shown = ClientCertificate(tuple(filter(None, asked)), load)
    if config.config("addcas") != "true":
        return shown, ""
    brought = request.sslConfiguration().caCertificates()
    return shown, "\n".join(bytes(each.toPem()).decode("ascii") for each in brought)


def _origin(url: str) -> str:
    """Whom `url` will be asked of, which a person may have typed; "" where it is none."""
    try:
        return origin_and_path(url)[0]
    except AddressError:
        return ""


def exceptions() -> dict[tuple[str, int], str]:
    """Certificates that the user has QGIS accept though nobody vouches for them. Main thread.

    By host, in lower case, and port: the certificate's SHA-256 fingerprint. It is that certificate
    alone which is accepted, and there alone. One that has ended is, where that is accepted too.
    """
    manager = QgsApplication.authManager()
    if manager.isDisabled():
        return {}
    accepted = [each for each in manager.sslCertCustomConfigs() if _is_exception(each)]
    accepted.sort(key=lambda each: each.sslCertificate().effectiveDate())
    found = {}
    for each in accepted:  # of several for the same server, the newest
        host, _, port = each.sslHostPort().strip().lower().rpartition(":")
        if host and port.isdecimal():
            digest = each.sslCertificate().digest(QCryptographicHash.Algorithm.Sha256)
            found[host.strip("[]"), int(port)] = bytes(digest).hex()
    return found


def _is_exception(config: QgsAuthConfigSslServer) -> bool:
    certificate = config.sslCertificate()
    # of none, QGIS reads back that no error is ignored, as one of a list
    ignored = set(config.sslIgnoredErrorEnums()) - {QSslError.SslError.NoError}
    if config.isNull() or certificate.isNull():
        return False
    if config.sslPeerVerifyMode() in _UNVERIFIED:
        return True
    has_ended = certificate.expiryDate() < QDateTime.currentDateTime()
    return bool(ignored) and (QSslError.SslError.CertificateExpired in ignored or not has_ended)


def proxies() -> dict[str, str] | None:
    """QGIS's proxy as `requests` takes it; None: the system's proxy. Main thread.

    A host that is excluded from the proxy is so with all its paths. No proxy in QGIS means none at
    all, whatever the environment says.
    """
    manager = QgsNetworkAccessManager.instance()
    if manager.useSystemProxy():
        return None
    address = _address(manager.fallbackProxy())
    result = {"http": address, "https": address}
    for url in (*manager.excludeList(), *manager.noProxyList()):
        host = urlsplit(url if "//" in url else f"//{url}").hostname
        if host:
            result.update({f"http://{host}": "", f"https://{host}": ""})
    return result


def _address(proxy: QNetworkProxy) -> str:
    """URL of `proxy`, "" where it is none that can be used."""
    kind = proxy.type()
    if kind in _HTTP_PROXIES:
        scheme = "http"
    elif kind == QNetworkProxy.ProxyType.Socks5Proxy:
        scheme = "socks5h"
    else:
        return ""
    if not proxy.hostName():
        return ""
    user = quote(proxy.user(), safe="")
    if proxy.password():
        user += ":" + quote(proxy.password(), safe="")
    return f"{scheme}://{user + '@' if user else ''}{proxy.hostName()}:{proxy.port()}"


def authorities(more: str = "") -> str | None:
    """Path of a PEM file with the certificate authorities to trust. Main thread.

    They are those that QGIS trusts, the user's own and the system's among them, those that
    `requests` trusts anyway, and `more`, as PEM. None, those of `requests` alone: QGIS's
    authentication system is disabled, or the environment names a folder of authorities, which no
    file can be joined with.
    The file is one for the whole process and each `more`, brought up to date by each call.
    """
    manager = QgsApplication.authManager()
    own = _bundle_of_requests()
    if manager.isDisabled() or not own.is_file():
        return None
    trusted = bytes(manager.trustedCaCertsPemText()).decode("ascii", "replace") + more
    found = _CERTIFICATE.findall(trusted) + _CERTIFICATE.findall(own.read_text("utf-8", "replace"))
    # the same certificate can be wrapped in different ways
    different = {"".join(certificate.split()): certificate for certificate in found}
    bundle = _BUNDLES.setdefault(more, _Bundle())
    return str(bundle.hold("\n".join(different.values()) + "\n"))


def _bundle_of_requests() -> Path:
    """The authorities that `requests` would trust without being told any."""
    named = [os.environ.get(name, "") for name in _OTHER_BUNDLES]
    return Path(next(filter(None, named), certifi.where()))


class _Bundle:
    """A private file that lasts as long as the process: connections read it when they are made."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._text = ""

    def hold(self, text: str) -> Path:
        """Path of the file, which holds `text` from now on."""
        if self._path is None or not self._path.parent.is_dir():
            self._path = _private_folder() / "authorities.pem"
        if text != self._text or not self._path.is_file():
            # written whole beside it and then renamed: another thread may be reading the old one
            number, name = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(self._path)
            self._text = text
        return self._path


def _private_folder() -> Path:
    """A new folder that only this user can read, and that goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="tile_cache_manager_"))

    def remove() -> None:
        shutil.rmtree(folder, ignore_errors=True)

    # QGIS ends without ending Python, and a Python program without QGIS's loop has no such signal
    QgsApplication.instance().aboutToQuit.connect(remove)
    atexit.register(remove)
    return folder


_BUNDLES: dict[str, _Bundle] = {}
