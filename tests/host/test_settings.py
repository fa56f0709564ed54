"""What is remembered, and what QGIS remembers: the form, connections, sign-in details, proxies."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from qgis.core import (
    Qgis,
    QgsApplication,
    QgsNetworkAccessManager,
    QgsOwsConnection,
    QgsRasterLayer,
    QgsSettings,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkProxy, QNetworkProxyQuery

from tile_cache_manager.plugin.core.arcgis.credentials import Credentials, FixedToken
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest
from tile_cache_manager.plugin.core.request import UpdateMode
from tile_cache_manager.plugin.host import connections, network, sign_in
from tile_cache_manager.plugin.host.connections import LayerService, SavedConnection
from tile_cache_manager.plugin.host.settings import Settings
from tile_cache_manager.plugin.host.sign_in import (
    MasterPasswordNeeded,
    PortalAddressError,
    SignInUnusable,
)

pytestmark = pytest.mark.usefixtures("qgis_app", "empty_settings")

SITE = "https://site.test/arcgis/rest/services"
WORLD = f"{SITE}/World/MapServer"


@pytest.fixture
def empty_settings(qgis_app: object) -> Iterator[None]:
    """No setting of ours or of ArcGIS connections before and after."""
    roots = ("plugins/tile_cache_manager", "qgis/connections-arcgisfeatureserver",
             "qgis/ARCGISFEATURESERVER", "connections/arcgisfeatureserver", "proxy")  # fmt: skip
    for root in roots:
        QgsSettings().remove(root)
    yield
    for root in roots:
        QgsSettings().remove(root)


REMEMBERED = [
    ("address", "", WORLD),
    ("auth_config_id", "", "abc1234"),
    ("area_kind", "", "layer"),
    ("typed_extent", "", "1 2 3 4"),
    ("update_mode", UpdateMode.RECREATE_EMPTY, UpdateMode.DELETE),
    ("instances", -1, 4),
    ("wait", True, False),
]


@pytest.mark.parametrize(("name", "first", "value"), REMEMBERED)
def test_values_are_remembered_with_their_type(name: str, first: object, value: object) -> None:
    assert getattr(Settings(), name) == first
    setattr(Settings(), name, value)
    QgsSettings().sync()
    kept = getattr(Settings(), name)
    assert kept == value
    assert type(kept) is type(value)


@pytest.mark.parametrize(("name", "first"), [case[:2] for case in REMEMBERED[4:]])
@pytest.mark.parametrize("garbage", ["garbage", "", ["a", "b"], {"a": 1}], ids=str)
def test_garbage_under_a_key_is_as_if_never_set(name: str, first: object, garbage: object) -> None:
    QgsSettings().setValue(f"plugins/tile_cache_manager/{name}", garbage)
    kept = getattr(Settings(), name)
    assert type(kept) is type(first)
    if name != "wait":  # any text is true or false to Qt
        assert kept == first


def test_the_last_ten_addresses_are_kept_newest_first() -> None:
    settings = Settings()
    assert settings.recent_addresses == ()
    for number in range(12):
        settings.remember_address(f"{SITE}/S{number}/MapServer")
    settings.remember_address(f"{SITE}/S5/MapServer")
    settings.remember_address("  ")
    names = [address.split("/")[-2] for address in settings.recent_addresses]
    assert names == ["S5", "S11", "S10", "S9", "S8", "S7", "S6", "S4", "S3", "S2"]


def test_no_secret_of_an_address_is_kept() -> None:
    settings = Settings()
    settings.address = f"https://anna:hunter2@site.test/arcgis?token=hunter2#{WORLD}"
    settings.remember_address(f"{WORLD}?f=json&token=hunter2")
    assert settings.address == "https://site.test/arcgis"
    assert settings.recent_addresses == (WORLD,)
    values = [str(QgsSettings().value(key)) for key in QgsSettings().allKeys()]
    assert not [value for value in values if "hunter2" in value]


SECRETIVE = [
    ("an @ in the password", "https://jane:s3cr@t-pw@gis.test/arcgis", "https://gis.test/arcgis"),
    ("no scheme", "jane:s3cr@t-pw@gis.test/arcgis", "gis.test/arcgis"),
    ("blanks around", "  https://jane:s3cr@gis.test/arcgis ", "https://gis.test/arcgis"),
    ("a token", "gis.test/arcgis?token=s3cr", "gis.test/arcgis"),
    ("an @ in the path", "https://gis.test/arcgis/@home", "https://gis.test/arcgis/@home"),
]


@pytest.mark.parametrize(
    ("typed", "kept"), [case[1:] for case in SECRETIVE], ids=[case[0] for case in SECRETIVE]
)
def test_user_info_is_cut_off_whatever_it_holds(typed: str, kept: str) -> None:
    settings = Settings()
    settings.address = typed
    settings.remember_address(typed)
    QgsSettings().setValue("connections/arcgisfeatureserver/items/Town hall/url", typed)
    assert settings.address == kept
    assert settings.recent_addresses == (kept,)
    assert connections.saved_connections()[0].url == kept


def test_connections_of_qgis_before_3_30() -> None:
    settings = QgsSettings()
    settings.setValue("qgis/connections-arcgisfeatureserver/Town hall/url", SITE)
    settings.setValue("qgis/ARCGISFEATURESERVER/Town hall/authcfg", "abc1234")
    settings.setValue("qgis/connections-arcgisfeatureserver/another/url", f"{WORLD}?token=x")
    settings.setValue("qgis/connections-arcgisfeatureserver/without address/url", "")
    assert connections.saved_connections() == [
        SavedConnection("another", WORLD, ""),
        SavedConnection("Town hall", SITE, "abc1234"),
    ]


@pytest.mark.skipif(Qgis.QGIS_VERSION_INT >= 33000, reason="QGIS 3.30 reads them elsewhere")
def test_qgis_itself_reads_the_old_places() -> None:
    settings = QgsSettings()
    settings.setValue("qgis/connections-arcgisfeatureserver/Town hall/url", SITE)
    settings.setValue("qgis/ARCGISFEATURESERVER/Town hall/authcfg", "abc1234")
    uri = QgsOwsConnection("ARCGISFEATURESERVER", "Town hall").uri()
    (ours,) = connections.saved_connections()
    assert (uri.param("url"), uri.authConfigId()) == (ours.url, ours.auth_config_id)


def test_connections_of_qgis_from_3_30_on_win_over_old_ones() -> None:
    settings = QgsSettings()
    settings.setValue("qgis/connections-arcgisfeatureserver/Town hall/url", "https://old.test")
    settings.setValue("connections/arcgisfeatureserver/items/Town hall/url", SITE)
    settings.setValue("connections/arcgisfeatureserver/items/Town hall/authcfg", "abc1234")
    assert connections.saved_connections() == [SavedConnection("Town hall", SITE, "abc1234")]


@pytest.mark.skipif(Qgis.QGIS_VERSION_INT < 33000, reason="QGIS 3.30 brought the settings tree")
def test_qgis_itself_writes_the_new_places() -> None:
    from qgis.core import QgsSettingsTree

    node = QgsSettingsTree.node("connections").childNode("arcgisfeatureserver")
    node.childSetting("url").setValue(SITE, ["Town hall"])
    node.childSetting("authcfg").setValue("abc1234", ["Town hall"])
    assert connections.saved_connections() == [SavedConnection("Town hall", SITE, "abc1234")]


def arcgis_layer(source: str) -> QgsRasterLayer:
    return QgsRasterLayer(source, "World", "arcgismapserver")


def test_the_service_of_a_layer() -> None:
    source = f"crs='EPSG:3857' format='PNG32' layer='0' url='{WORLD}'"
    assert connections.of_layer(arcgis_layer(source)) == LayerService(WORLD, "")
    with_sign_in = arcgis_layer(f"{source} authcfg=abc1234")
    assert connections.of_layer(with_sign_in) == LayerService(WORLD, "abc1234")
    assert connections.of_layer(arcgis_layer("crs='EPSG:3857'")) is None
    assert connections.of_layer(QgsVectorLayer("None", "table", "memory")) is None
    assert connections.of_layer(None) is None


def test_sign_in_details_that_can_be_used(store_sign_in: object) -> None:
    assert sign_in.credentials("") is None
    basic = store_sign_in("Basic", username="anna", password="hunter2", realm="")
    assert sign_in.credentials(basic) == Credentials("anna", "hunter2")
    portal = "https://portal.test/portal"
    assert sign_in.credentials(basic, portal) == Credentials("anna", "hunter2", portal)
    assert "hunter2" not in repr(sign_in.credentials(basic))
    assert sign_in.credentials(store_sign_in("EsriToken", token="hunter3")) == FixedToken("hunter3")


def test_sign_in_details_behind_a_master_password_that_was_not_given(
    store_sign_in: object,
) -> None:
    manager = QgsApplication.authManager()
    basic = store_sign_in("Basic", username="anna", password="hunter2", realm="")
    manager.clearMasterPassword()
    try:
        with pytest.raises(MasterPasswordNeeded) as caught:
            sign_in.credentials(basic)
        assert not manager.setMasterPassword("wrong", True)
        with pytest.raises(MasterPasswordNeeded):
            sign_in.credentials(basic)
    finally:
        assert manager.setMasterPassword("master", True)
    assert caught.value.name == basic


def test_sign_in_details_that_cannot_be_used(store_sign_in: object) -> None:
    with pytest.raises(SignInUnusable) as caught:
        sign_in.credentials(store_sign_in("OAuth2", oauth2config="{}"))
    assert (caught.value.name, caught.value.method) == ("my OAuth2", "OAuth2")
    with pytest.raises(SignInUnusable) as caught:
        sign_in.credentials("zzzzzzz")
    assert (caught.value.name, caught.value.method) == ("zzzzzzz", "")


@pytest.mark.parametrize("stored", ["  hunter3 ", "hunter3\n", "\r\nhunter3\r\n"])
def test_a_token_is_taken_without_the_blanks_around_it(store_sign_in: object, stored: str) -> None:
    sign = sign_in.credentials(store_sign_in("EsriToken", token=stored))
    assert sign == FixedToken("hunter3")


@pytest.mark.parametrize(
    "stored", ["", "  ", "hunter\n3", "hunter 3", "hunter\u20223", "hunt\xe93"]
)
def test_what_no_header_takes_is_no_token(store_sign_in: object, stored: str) -> None:
    with pytest.raises(SignInUnusable) as caught:
        sign_in.credentials(store_sign_in("EsriToken", token=stored))
    assert (caught.value.name, caught.value.method) == ("my EsriToken", "EsriToken")


@pytest.mark.parametrize(
    "text",
    ["portal.test/portal", "portal", "ftp://portal.test", "https://", "https:///portal",
     "https://portal.test:https/portal", "https://portal test", "https://anna:hunter2@"],
)  # fmt: skip
def test_what_is_no_address_of_a_portal(text: str) -> None:
    with pytest.raises(PortalAddressError) as caught:
        sign_in.credentials("", text)
    assert "hunter2" not in caught.value.address


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (" https://portal.test ", "https://portal.test"),
        ("HTTPS://portal.test:7443/portal", "HTTPS://portal.test:7443/portal"),
        ("https://anna:hunter2@portal.test/portal?f=json", "https://portal.test/portal"),
    ],
)
def test_addresses_of_portals(store_sign_in: object, given: str, taken: str) -> None:
    sign = sign_in.credentials(store_sign_in("Basic", username="a", password="b"), given)
    assert sign.portal_url == taken


HTTP, SOCKS = "http://proxy.test:3128", "socks5h://proxy.test:3128"
PROXIES = [
    ("none", {}, {"http": "", "https": ""}),
    ("switched off", {"proxyEnabled": False, "proxyType": "HttpProxy", "proxyHost": "proxy.test"},
     {"http": "", "https": ""}),
    ("the system's", {"proxyEnabled": True, "proxyType": "DefaultProxy"}, None),
    ("HTTP", {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.test",
              "proxyPort": "3128"}, {"http": HTTP, "https": HTTP}),
    ("caching", {"proxyEnabled": True, "proxyType": "HttpCachingProxy", "proxyHost": "proxy.test",
                 "proxyPort": "3128"}, {"http": HTTP, "https": HTTP}),
    ("SOCKS", {"proxyEnabled": True, "proxyType": "Socks5Proxy", "proxyHost": "proxy.test",
               "proxyPort": "3128"}, {"http": SOCKS, "https": SOCKS}),
    ("with a password", {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.test",
                         "proxyPort": "3128", "proxyUser": "anna", "proxyPassword": "p@ss:/"},
     {"http": "http://anna:p%40ss%3A%2F@proxy.test:3128",
      "https": "http://anna:p%40ss%3A%2F@proxy.test:3128"}),
    ("with exceptions", {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.test",
                         "proxyPort": "3128",
                         "noProxyUrls": ["https://site.test/arcgis", "inside"]},
     {"http": HTTP, "https": HTTP, "http://site.test": "", "https://site.test": "",
      "http://inside": "", "https://inside": ""}),
]  # fmt: skip


@pytest.fixture
def proxy_settings() -> Iterator[object]:
    """A function that makes QGIS take up proxy settings; afterwards it has none again."""
    manager = QgsNetworkAccessManager.instance()

    def take_up(values: dict) -> None:
        for key, value in values.items():
            QgsSettings().setValue(f"proxy/{key}", value)
        manager.setupDefaultProxyAndCache()

    yield take_up
    QgsSettings().remove("proxy")
    manager.setupDefaultProxyAndCache()


@pytest.mark.parametrize(
    ("values", "expected"), [case[1:] for case in PROXIES], ids=[case[0] for case in PROXIES]
)
def test_proxies_of_qgis(values: dict, expected: dict | None, proxy_settings: object) -> None:
    proxy_settings(values)
    assert network.proxies() == expected


def test_qgis_takes_the_same_way(proxy_settings: object) -> None:
    proxy_settings(PROXIES[-1][1])
    manager = QgsNetworkAccessManager.instance()
    for url, through in (("https://other.test/x", True), ("https://site.test/arcgis/rest", False)):
        (proxy, *_) = manager.proxyFactory().queryProxy(_query(url))
        is_proxied = proxy.type() == QNetworkProxy.ProxyType.HttpProxy
        assert is_proxied == through
        host = QUrl(url).host()
        ours = network.proxies().get(f"https://{host}", network.proxies()["https"])
        assert bool(ours) == through


@pytest.fixture
def loopback() -> Iterator[str]:
    """Address of a server that answers every GET with its path."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_requests_go_the_way_of_qgis_whatever_the_environment_says(
    proxy_settings: object, loopback: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = QUrl(loopback).port()
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens on "discard"
    answer = network.transport().send(HttpRequest("GET", f"{loopback}/direct"))
    assert answer.body == b"/direct"
    proxy_settings({"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "127.0.0.1",
                    "proxyPort": str(port)})  # fmt: skip
    answer = network.transport().send(HttpRequest("GET", "http://far.test/through"))
    assert answer.body == b"http://far.test/through"  # what a proxy is asked


def _query(url: str) -> object:
    return QNetworkProxyQuery(QUrl(url))
