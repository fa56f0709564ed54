"""QGIS's own sign-in details of every kind, from its database to the stand-in sites."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arcgis_server.certificates import CLIENT_P12_PASSWORD
from arcgis_server.handle import API_KEY, OAUTH_CLIENT, PUBLISHER, RunningSite, running_site

pytest.importorskip("qgis", reason="QGIS is not installed for this Python")

from qgis.core import QgsApplication, QgsAuthConfigSslServer
from qgis.PyQt.QtCore import QCryptographicHash
from qgis.PyQt.QtNetwork import QSslCertificate, QSslError

from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    SignInFailed,
    SignInProblem,
    SiteUnreachable,
    Unreachable,
)
from tile_cache_manager.plugin.host import network, settings, sign_in

pytestmark = pytest.mark.usefixtures("qgis_app")

BASIC = {"username": PUBLISHER.name, "password": PUBLISHER.password, "realm": ""}


def oauth(site: RunningSite, key: str, **changed: object) -> dict[str, str]:
    client, word = OAUTH_CLIENT
    portal = site.portal_url(key)
    return {
        "oauth2config": json.dumps(
            {
                "clientId": client,
                "clientSecret": word,
                "configType": 1,
                "grantFlow": 2,
                "password": PUBLISHER.password,
                "tokenUrl": f"{portal}/sharing/rest/oauth2/token",
                "username": PUBLISHER.name,
                **changed,
            }
        )
    }


def describe(address: str, config_id: str) -> CacheDescription:
    """As the dialog does: what QGIS holds is read here, the site asked in another thread."""
    credentials = sign_in.credentials(config_id)
    transport = network.transport(config_id, address)
    given: list[Any] = []

    def work() -> None:
        try:
            given.append(open_cache(address, credentials, transport).describe())
        except Exception as error:
            given.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        QgsApplication.processEvents()
        thread.join(0.01)
    transport.close()
    if isinstance(given[0], Exception):
        raise given[0]
    return given[0]


@pytest.mark.parametrize("key", ["secured", "webtier", "webtoken", "v103", "v111"])
def test_user_name_and_password(
    fresh_site: RunningSite, store_sign_in: Callable[..., str], key: str
) -> None:
    found = describe(fresh_site.service_url(key, "World"), store_sign_in("Basic", **BASIC))
    assert found.modes


@pytest.mark.parametrize("key", ["federated", "fedportal"])
def test_a_portal_is_told_by_name_before_it_gets_the_password(
    fresh_site: RunningSite, store_sign_in: Callable[..., str], key: str
) -> None:
    config_id = store_sign_in("Basic", **BASIC)
    address = fresh_site.service_url(key, "World")
    with pytest.raises(SignInFailed) as caught:
        describe(address, config_id)
    assert caught.value.reason is SignInProblem.OTHER_HOST
    assert caught.value.portal_url == fresh_site.portal_url(key)
    settings.trust_portal(config_id, caught.value.portal_url)
    assert describe(address, config_id).modes


@pytest.mark.parametrize("key", ["federated", "fedportal", "online"])
@pytest.mark.parametrize("sent", [{}, {"accessMethod": 2}], ids=["header", "query"])
def test_oauth_needs_no_question(
    fresh_site: RunningSite,
    store_sign_in: Callable[..., str],
    key: str,
    sent: dict[str, object],
) -> None:
    config_id = store_sign_in("OAuth2", **oauth(fresh_site, key, **sent))
    name = "World_Tiles" if key == "online" else "World"
    assert describe(fresh_site.service_url(key, name), config_id).modes


def test_oauth_tokens_that_end_in_the_midst_of_work(
    fresh_site: RunningSite, store_sign_in: Callable[..., str]
) -> None:
    fresh_site.set_token_lifetime("agol", 1)
    config_id = store_sign_in("OAuth2", **oauth(fresh_site, "online"))
    address = fresh_site.service_url("online", "Private_Tiles")
    for _ in range(3):
        assert describe(address, config_id).name


def test_an_api_key(fresh_site: RunningSite, store_sign_in: Callable[..., str]) -> None:
    address = fresh_site.service_url("online", "Private_Tiles")
    assert describe(address, store_sign_in("EsriToken", token=API_KEY)).modes
    if "APIHeader" in QgsApplication.authManager().authMethodsKeys():
        header = {"X-Esri-Authorization": f"Bearer {API_KEY}"}
        assert describe(address, store_sign_in("APIHeader", **header)).modes


# Over TLS


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificates")
    with running_site(tmp_path_factory.mktemp("tls_site"), drawing="plain", tls=True) as running:
        yield running


@pytest.fixture
def trusted(secure: RunningSite, qgis_app: Any) -> Iterator[None]:
    """QGIS trusts the sites' own authority."""
    manager = QgsApplication.authManager()
    assert manager.masterPasswordIsSet() or manager.setMasterPassword("master", True)
    (authority,) = QSslCertificate.fromPath(str(secure.certificates.authority))
    assert manager.storeCertAuthority(authority)
    for refresh in (manager.rebuildCaCertsCache, manager.rebuildTrustedCaCertsCache):
        refresh()
    yield
    manager.removeCertAuthority(authority)
    for refresh in (manager.rebuildCaCertsCache, manager.rebuildTrustedCaCertsCache):
        refresh()


def test_a_site_of_an_authority_that_qgis_trusts(
    secure: RunningSite, trusted: None, store_sign_in: Callable[..., str]
) -> None:
    address = secure.over_tls("authority").service_url("secured", "World")
    assert describe(address, store_sign_in("Basic", **BASIC)).modes


def test_a_self_signed_site_once_it_is_an_exception(
    secure: RunningSite, store_sign_in: Callable[..., str]
) -> None:
    site = secure.over_tls("self_signed")
    address, config_id = site.service_url("secured", "World"), store_sign_in("Basic", **BASIC)
    with pytest.raises(SiteUnreachable) as caught:
        describe(address, config_id)
    assert caught.value.reason is Unreachable.CERTIFICATE
    exception = QgsAuthConfigSslServer()
    (certificate,) = QSslCertificate.fromPath(str(secure.certificates.self_signed))
    exception.setSslCertificate(certificate)
    exception.setSslHostPort(address.split("/")[2])
    exception.setSslIgnoredErrorEnums([QSslError.SslError.SelfSignedCertificate])
    manager = QgsApplication.authManager()
    assert manager.storeSslCertCustomConfig(exception)
    try:
        assert describe(address, config_id).modes
    finally:
        digest = bytes(certificate.digest(QCryptographicHash.Algorithm.Sha1)).hex()
        assert manager.removeSslCertCustomConfig(digest, exception.sslHostPort())


def test_a_site_that_wants_a_certificate_of_ours(
    secure: RunningSite, trusted: None, store_sign_in: Callable[..., str]
) -> None:
    """Its certificate says who asks; its services take nobody else's word."""
    held = {"bundlepath": str(secure.certificates.client_p12), "bundlepass": CLIENT_P12_PASSWORD}
    address = secure.over_tls("client").service_url("classic", "World")
    assert describe(address, store_sign_in("PKI-PKCS#12", **held)).scheme.levels
    with pytest.raises(SiteUnreachable):
        describe(address, "")
