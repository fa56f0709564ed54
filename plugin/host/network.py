"""How the plugin reaches the network: through QGIS's proxy, trusting whom QGIS trusts."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote, urlsplit

import certifi
from qgis.core import QgsApplication, QgsNetworkAccessManager
from qgis.PyQt.QtNetwork import QNetworkProxy

from ..core.arcgis.transport import RequestsTransport

_HTTP_PROXIES = (
    QNetworkProxy.ProxyType.HttpProxy,
    QNetworkProxy.ProxyType.HttpCachingProxy,
)
_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_OTHER_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Environment variables that name the authorities to trust, in the order `requests` reads them."""


def transport() -> RequestsTransport:
    """A transport that uses the proxy and the authorities of QGIS's options. Main thread.

    The options are read once; a later change of the proxy holds for the next transport.
    """
    return RequestsTransport(proxies(), authorities())


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


def authorities() -> str | None:
    """Path of a PEM file with the certificate authorities to trust. Main thread.

    They are those that QGIS trusts, the user's own and the system's among them, and those that
    `requests` trusts anyway. None, just the latter: QGIS's authentication system is disabled, or
    the environment names a folder of authorities, which no file can be joined with.
    The file is one for the whole process, brought up to date by each call.
    """
    manager = QgsApplication.authManager()
    own = _bundle_of_requests()
    if manager.isDisabled() or not own.is_file():
        return None
    trusted = bytes(manager.trustedCaCertsPemText()).decode("ascii", "replace")
    found = _CERTIFICATE.findall(trusted) + _CERTIFICATE.findall(own.read_text("utf-8", "replace"))
    # the same certificate can be wrapped in different ways
    different = {"".join(certificate.split()): certificate for certificate in found}
    return str(_BUNDLE.hold("\n".join(different.values()) + "\n"))


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


_BUNDLE = _Bundle()
