"""Whose certificates are trusted: those that QGIS trusts, and nobody less than before."""

from __future__ import annotations

import shutil
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from qgis.core import QgsApplication, QgsAuthManager
from qgis.PyQt.QtNetwork import QSslCertificate

from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest
from tile_cache_manager.plugin.core.errors import SiteUnreachable, Unreachable
from tile_cache_manager.plugin.host import network

pytestmark = [
    pytest.mark.usefixtures("qgis_app", "no_environment"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates"),
]


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of the computer 127.0.0.1, issued by itself."""
    folder = tmp_path_factory.mktemp("certificate")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=Our own authority", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


@pytest.fixture
def site(certificate: tuple[Path, Path]) -> Iterator[str]:
    """URL of an https server with that certificate."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def trust() -> Iterator[Callable[[Path], None]]:
    """A function that has QGIS trust an authority, as its authentication options do."""
    manager = QgsApplication.authManager()
    assert manager.masterPasswordIsSet() or manager.setMasterPassword("master", True)
    stored: list[QSslCertificate] = []

    def trust_it(path: Path) -> None:
        (authority,) = QSslCertificate.fromPath(str(path))
        assert manager.storeCertAuthority(authority)
        stored.append(authority)
        refresh(manager)

    yield trust_it
    for authority in stored:
        manager.removeCertAuthority(authority)
    refresh(manager)


def refresh(manager: QgsAuthManager) -> None:
    manager.rebuildCaCertsCache()
    manager.rebuildTrustedCaCertsCache()


def test_an_authority_that_the_user_added_to_qgis_is_trusted(
    site: str, certificate: tuple[Path, Path], trust: Callable[[Path], None]
) -> None:
    request = HttpRequest("GET", f"{site}/x")
    before = network.transport()
    with pytest.raises(SiteUnreachable) as caught:
        before.send(request)
    assert caught.value.reason is Unreachable.CERTIFICATE
    trust(certificate[0])
    assert network.transport().send(request).body == b"hello"


def blocks(text: str) -> set[str]:
    return {"".join(block.split()) for block in text.split("-----END CERTIFICATE-----")[:-1]}


def base64_only(blocks: set[str]) -> set[str]:
    return {block.split("-----BEGINCERTIFICATE-----")[1] for block in blocks}


def test_whom_requests_trusts_stays_trusted_each_once() -> None:
    ours = Path(network.authorities()).read_text("utf-8")
    theirs = base64_only(blocks(Path(requests.certs.where()).read_text("utf-8")))
    trusted = bytes(QgsApplication.authManager().trustedCaCertsPemText()).decode()
    assert len(theirs) > 50
    assert base64_only(blocks(ours)) == theirs | base64_only(blocks(trusted))
    assert ours.count("BEGIN CERTIFICATE") == len(base64_only(blocks(ours)))


def test_the_authorities_of_the_environment_stay_trusted(
    site: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    assert network.transport().send(HttpRequest("GET", site)).body == b"hello"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0].parent))
    assert network.authorities() is None  # a folder is left to requests


def test_one_private_file_for_the_whole_process(
    certificate: tuple[Path, Path], trust: Callable[[Path], None]
) -> None:
    path = Path(network.authorities())
    first = path.stat()
    assert stat.S_IMODE(first.st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Path(network.authorities()).stat().st_mtime_ns == first.st_mtime_ns
    trust(certificate[0])
    assert network.authorities() == str(path)
    assert blocks(certificate[0].read_text()) <= blocks(path.read_text())
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    shutil.rmtree(path.parent)  # as tidy systems do with old temporary files
    assert Path(network.authorities()).is_file()


def test_without_qgis_s_authentication_requests_trusts_whom_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Disabled:
        def isDisabled(self) -> bool:
            return True

    monkeypatch.setattr(network.QgsApplication, "authManager", staticmethod(Disabled))
    assert network.authorities() is None
