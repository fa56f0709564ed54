"""Real TLS on loopback: whom QGIS has us trust, and the user's own certificate."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.certificates import (
    CLIENT_P12_PASSWORD,
    Certificates,
    key_of,
    make_certificates,
)
from qgis.core import QgsApplication, QgsAuthConfigSslServer, QgsAuthManager
from qgis.PyQt.QtCore import QCryptographicHash
from qgis.PyQt.QtNetwork import QSsl, QSslCertificate, QSslError, QSslKey, QSslSocket
from tls_server import TlsServer, tls_server

from tile_cache_manager.plugin.core.arcgis.credentials import CertificateSignIn
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, Transport
from tile_cache_manager.plugin.core.errors import SiteUnreachable, Unreachable
from tile_cache_manager.plugin.host import messages, network, settings, sign_in

pytestmark = [
    pytest.mark.usefixtures("qgis_app", "master_password", "no_environment"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]

KEY_PASSWORD = "geheim"
SELF_SIGNED = QSslError.SslError.SelfSignedCertificate
_SHA1 = QCryptographicHash.Algorithm.Sha1


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def master_password(qgis_app: Any) -> None:
    manager = QgsApplication.authManager()
    assert manager.masterPasswordIsSet() or manager.setMasterPassword("master", True)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(made: Certificates, qgis_app: Any) -> Iterator[None]:
    """QGIS trusts the authority of the certificates, as the user had it do."""
    manager = QgsApplication.authManager()
    (authority,) = QSslCertificate.fromPath(str(made.authority))
    assert manager.storeCertAuthority(authority)
    _refresh(manager)
    yield
    manager.removeCertAuthority(authority)
    _refresh(manager)


def _refresh(manager: QgsAuthManager) -> None:
    manager.rebuildCaCertsCache()
    manager.rebuildTrustedCaCertsCache()


@pytest.fixture
def accept(qgis_app: Any) -> Iterator[Callable[..., None]]:
    """`accept(certificate, "host:port", *ignored)`: an exception as QGIS's own dialog stores it."""
    manager, stored = QgsApplication.authManager(), []

    def store(
        path: Path,
        host_port: str,
        *ignored: QSslError.SslError,
        mode: Any = QSslSocket.PeerVerifyMode.VerifyPeer,
    ) -> None:
        (certificate,) = QSslCertificate.fromPath(str(path))
        config = QgsAuthConfigSslServer()
        config.setSslCertificate(certificate)
        config.setSslHostPort(host_port)
        config.setSslIgnoredErrorEnums(list(ignored))
        config.setSslPeerVerifyMode(mode)
        assert manager.storeSslCertCustomConfig(config)
        stored.append((config, certificate))

    yield store
    for config, certificate in stored:
        digest = bytes(certificate.digest(_SHA1)).hex()
        manager.removeSslCertCustomConfig(digest, config.sslHostPort())


def get(transport: Transport, server: TlsServer) -> None:
    transport.send(HttpRequest("GET", f"{server.url}/arcgis/rest/info"))


def refused(transport: Transport, server: TlsServer) -> SiteUnreachable:
    with pytest.raises(SiteUnreachable) as caught:
        get(transport, server)
    return caught.value


# Whom QGIS has us trust


@pytest.mark.parametrize("kind", ["authority", "self_signed", "wrong_host"])
def test_an_unknown_certificate_is_refused_with_what_to_do(made: Certificates, kind: str) -> None:
    with tls_server(made, kind) as server:
        error = refused(network.transport(), server)
    assert error.reason is Unreachable.CERTIFICATE
    assert "Settings > Options > Authentication > Manage Certificates" in messages.sentence(error)
    assert server.names == []


def test_a_certificate_of_an_authority_that_qgis_trusts(made: Certificates, trusted: None) -> None:
    with tls_server(made, "authority") as server:
        get(network.transport(), server)
    with tls_server(made, "wrong_host") as server:
        assert refused(network.transport(), server).reason is Unreachable.CERTIFICATE


@pytest.mark.parametrize("kind", ["self_signed", "wrong_host", "authority"])
def test_an_exception_is_for_one_server_and_one_certificate(
    made: Certificates, accept: Callable[..., None], kind: str
) -> None:
    certificate = {
        "self_signed": made.self_signed,
        "wrong_host": made.wrong_host,
        "authority": made.server,
    }[kind]
    with tls_server(made, kind) as server, tls_server(made, kind) as another:
        accept(certificate, f"127.0.0.1:{server.port}", SELF_SIGNED)
        transport = network.transport()
        get(transport, server)
        assert refused(transport, another).reason is Unreachable.CERTIFICATE
    assert (server.names, another.names) == ([""], [])


def test_another_certificate_at_the_same_server_is_refused(
    made: Certificates, accept: Callable[..., None]
) -> None:
    """Somebody who has put himself in between shows one of his own."""
    with tls_server(made, "self_signed") as server:
        accept(made.wrong_host, f"127.0.0.1:{server.port}", SELF_SIGNED)
        assert refused(network.transport(), server).reason is Unreachable.CERTIFICATE
    assert server.names == []


def test_a_server_that_is_known_but_not_excepted(
    made: Certificates, accept: Callable[..., None]
) -> None:
    """QGIS keeps other settings of servers in the same place."""
    with tls_server(made, "self_signed") as server:
        accept(made.self_signed, f"127.0.0.1:{server.port}")
        assert refused(network.transport(), server).reason is Unreachable.CERTIFICATE


def test_verification_switched_off_holds_for_the_certificate_it_was_switched_off_for(
    made: Certificates, accept: Callable[..., None]
) -> None:
    off = QSslSocket.PeerVerifyMode.VerifyNone
    with tls_server(made, "self_signed") as server, tls_server(made, "wrong_host") as another:
        accept(made.self_signed, f"127.0.0.1:{server.port}", mode=off)
        accept(made.self_signed, f"127.0.0.1:{another.port}", mode=off)
        get(network.transport(), server)
        assert refused(network.transport(), another).reason is Unreachable.CERTIFICATE


def test_exceptions_as_the_core_is_given_them(
    made: Certificates, accept: Callable[..., None]
) -> None:
    (certificate,) = QSslCertificate.fromPath(str(made.self_signed))
    digest = bytes(certificate.digest(QCryptographicHash.Algorithm.Sha256)).hex()
    accept(made.self_signed, "GIS.test:6443", SELF_SIGNED)
    accept(made.self_signed, "nowhere", SELF_SIGNED)
    assert network.exceptions() == {("gis.test", 6443): digest}


# The user's own certificate


@pytest.fixture
def store_kind(
    made: Certificates, store_sign_in: Callable[..., str], tmp_path: Path
) -> Callable[[str], str]:
    """Stores the client's certificate as one of QGIS's kinds; gives the id of the details."""

    def encrypted_key() -> str:
        text = made.client_key.read_bytes()
        key = QSslKey(text, QSsl.KeyAlgorithm.Rsa, QSsl.EncodingFormat.Pem)
        path = tmp_path / "client.key"
        path.write_bytes(bytes(key.toPem(KEY_PASSWORD.encode())))
        return str(path)

    def store(kind: str) -> str:
        if kind == "PKI-Paths":
            return store_sign_in(
                kind,
                certpath=str(made.client_certificate),
                keypath=encrypted_key(),
                keypass=KEY_PASSWORD,
            )
        if kind == "PKI-PKCS#12":
            return store_sign_in(
                kind, bundlepath=str(made.client_p12), bundlepass=CLIENT_P12_PASSWORD
            )
        manager = QgsApplication.authManager()
        (certificate,) = QSslCertificate.fromPath(str(made.client_certificate))
        text = made.client_key.read_bytes()
        key = QSslKey(text, QSsl.KeyAlgorithm.Rsa, QSsl.EncodingFormat.Pem)
        identity = bytes(certificate.digest(_SHA1)).hex()
        if identity not in manager.certIdentityIds():
            assert manager.storeCertIdentity(certificate, key)
        return store_sign_in(kind, certid=identity)

    return store


@pytest.fixture
def no_files_left() -> Iterator[None]:
    """No file with a key is in the folder for temporary files afterwards."""
    before = set(_keys())
    yield
    assert set(_keys()) <= before


def _keys() -> Iterator[Path]:
    for folder in Path(tempfile.gettempdir()).glob("tile_cache_manager_*"):
        yield from (path for path in folder.glob("*") if path.name != "authorities.pem")


KINDS = sign_in.CERTIFICATE_KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_is_shown_to_the_site_that_is_asked(
    made: Certificates,
    trusted: None,
    store_kind: Callable[[str], str],
    no_files_left: None,
    kind: str,
) -> None:
    config_id = store_kind(kind)
    assert sign_in.credentials(config_id) == CertificateSignIn()
    with tls_server(made, "client") as server, tls_server(made, "authority", wants=True) as other:
        transport = network.transport(config_id, f"{server.url}/arcgis/rest/services/X/MapServer")
        get(transport, server)
        get(transport, other)
        # and not without
        assert refused(network.transport(), server).reason is Unreachable.CLIENT_CERTIFICATE
    assert server.names == ["publisher"]
    assert other.names == [""]  # where it is not for, it is not shown


def test_it_is_shown_to_portals_that_are_trusted_with_it(
    made: Certificates, trusted: None, store_kind: Callable[[str], str]
) -> None:
    config_id = store_kind("PKI-Paths")
    with tls_server(made, "client") as server, tls_server(made, "client") as portal:
        assert refused(network.transport(config_id, server.url), portal)
        settings.trust_portal(config_id, f"{portal.url}/portal")
        transport = network.transport(config_id, server.url)
        get(transport, server)
        get(transport, portal)


def test_of_several_each_site_is_shown_its_own(
    made: Certificates,
    trusted: None,
    store_kind: Callable[[str], str],
    store_sign_in: Callable[..., str],
) -> None:
    other = store_sign_in(
        "PKI-Paths",
        certpath=str(made.other_client_certificate),
        keypath=str(key_of(made.other_client_certificate)),
    )
    basic = store_sign_in("Basic", username="anna", password="hunter2")
    with (
        tls_server(made, "client") as server,
        tls_server(made, "client") as strange,
        tls_server(made, "authority", wants=True) as without,
    ):
        asked = [(store_kind("PKI-PKCS#12"), server.url), (other, strange.url)]
        transport = network.transport_for([*asked, (basic, without.url)])
        get(transport, server)
        assert refused(transport, strange)  # its authority does not know that one
        get(transport, without)
    assert (server.names, strange.names, without.names) == (["publisher"], [], [""])


def test_of_several_the_portal_of_all_is_shown_it_as_well(
    made: Certificates,
    trusted: None,
    store_kind: Callable[[str], str],
    store_sign_in: Callable[..., str],
) -> None:
    basic = store_sign_in("Basic", username="anna", password="hunter2")
    with (
        tls_server(made, "client") as server,
        tls_server(made, "authority", wants=True) as without,
        tls_server(made, "client") as portal,
    ):
        asked = [(store_kind("PKI-Paths"), server.url), (basic, without.url)]
        transport = network.transport_for(asked, f"{portal.url}/portal")
        for each in (server, without, portal):
            get(transport, each)
    assert (server.names, without.names, portal.names) == (["publisher"], [""], ["publisher"])


def test_a_certificate_and_an_exception_at_the_same_server(
    made: Certificates, accept: Callable[..., None], store_kind: Callable[[str], str]
) -> None:
    config_id = store_kind("PKI-Paths")
    with tls_server(made, "client") as server:
        accept(made.server, f"127.0.0.1:{server.port}", SELF_SIGNED)
        get(network.transport(config_id, server.url), server)
    assert server.names == ["publisher"]


def test_authorities_that_a_bundle_brings_are_trusted_for_its_own_requests_alone(
    made: Certificates, store_sign_in: Callable[..., str]
) -> None:
    config_id = store_sign_in(
        "PKI-PKCS#12",
        bundlepath=str(made.client_p12),
        bundlepass=CLIENT_P12_PASSWORD,
        addcas="true",
        addrootca="true",
    )
    with tls_server(made, "client") as server:
        get(network.transport(config_id, server.url), server)
        assert refused(network.transport(), server).reason is Unreachable.CERTIFICATE


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("PKI-Paths", {"certpath": "/nowhere.pem", "keypath": "/nowhere.key"}),
        ("PKI-PKCS#12", {"bundlepath": "/nowhere.p12", "bundlepass": "geheim"}),
        ("Identity-Cert", {"certid": "deadbeef"}),
    ],
)
def test_a_certificate_that_cannot_be_read(
    store_sign_in: Callable[..., str], kind: str, held: dict[str, str]
) -> None:
    config_id = store_sign_in(kind, **held)
    with pytest.raises(sign_in.SignInUnusable) as caught:
        network.transport(config_id, "https://gis.test/arcgis")
    sentence = messages.sentence(caught.value)
    assert f"my {kind}" in sentence
    assert "geheim" not in sentence


@pytest.mark.parametrize("url", ["", "gis", "/data/cache", "https://", "http://[::1"])
def test_what_is_no_address_is_shown_nothing(store_kind: Callable[[str], str], url: str) -> None:
    assert network.transport(store_kind("PKI-Paths"), url) is not None
