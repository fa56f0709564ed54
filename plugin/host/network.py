"""How the plugin reaches the network: as QGIS does."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from qgis.core import QgsNetworkAccessManager
from qgis.PyQt.QtNetwork import QNetworkProxy

from ..core.arcgis.transport import RequestsTransport

_HTTP_PROXIES = (
    QNetworkProxy.ProxyType.HttpProxy,
    QNetworkProxy.ProxyType.HttpCachingProxy,
)


def transport() -> RequestsTransport:
    """A transport that goes through the proxy of QGIS's network options. Main thread.

    The options are read once; a later change holds for the next transport.
    """
    return RequestsTransport(proxies())


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
