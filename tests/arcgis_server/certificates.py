"""Certificates for the stand-in's TLS listeners, made when tests run; nothing of them is secret."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

CLIENT_P12_PASSWORD = "open-the-box"
KINDS = ("authority", "self_signed", "client", "wrong_host")
"""By which certificate a listener shows itself; ``client`` also wants one of who asks."""
_DAYS = "30"
_HERE = "subjectAltName=DNS:localhost,IP:127.0.0.1"
_ELSEWHERE = "subjectAltName=DNS:elsewhere.invalid"


@dataclass(frozen=True)
class Certificates:
    """Where the certificates lie, as PEM files, keys beside them."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The authority that servers and clients have their certificates from."""
        return self.folder / "authority.pem"

    @property
    def server(self) -> Path:
        return self.folder / "server.pem"

    @property
    def self_signed(self) -> Path:
        return self.folder / "self_signed.pem"

    @property
    def wrong_host(self) -> Path:
        """A server's certificate from the authority, for another host."""
        return self.folder / "wrong_host.pem"

    @property
    def client_certificate(self) -> Path:
        return self.folder / "client.pem"

    @property
    def client_key(self) -> Path:
        return key_of(self.client_certificate)

    @property
    def client_p12(self) -> Path:
        """Certificate, key and authority in one file; see ``CLIENT_P12_PASSWORD``."""
        return self.folder / "client.p12"

    @property
    def other_client_certificate(self) -> Path:
        """A client's certificate that no authority of the sites has given."""
        return self.folder / "other_client.pem"

    @property
    def other_client_key(self) -> Path:
        return key_of(self.other_client_certificate)


def key_of(certificate: Path) -> Path:
    """Return the file of the key that belongs to a certificate."""
    return certificate.with_suffix(".key")


def make_certificates(folder: Path) -> Certificates:
    """Make all certificates with the program ``openssl``.

    Raises:
        FileNotFoundError: there is no such program.
    """
    if shutil.which("openssl") is None:
        raise FileNotFoundError("openssl")
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder)
    _make_authority(made.authority)
    _make_signed(made.server, made.authority, "/CN=127.0.0.1", _HERE, "serverAuth")
    _make_signed(made.wrong_host, made.authority, "/CN=elsewhere.invalid", _ELSEWHERE, "serverAuth")
    _make_signed(made.client_certificate, made.authority, "/CN=publisher", "", "clientAuth")
    _make_self_signed(made.self_signed, "/CN=127.0.0.1", _HERE)
    _make_self_signed(made.other_client_certificate, "/CN=publisher", "")
    _run(
        *("pkcs12", "-export", "-name", "publisher", "-passout", f"pass:{CLIENT_P12_PASSWORD}"),
        *("-in", str(made.client_certificate), "-inkey", str(made.client_key)),
        *("-certfile", str(made.authority), "-out", str(made.client_p12)),
    )
    return made


def context_of(made: Certificates, kind: str) -> ssl.SSLContext:
    """Return how a listener of that kind speaks TLS."""
    certificate = {"self_signed": made.self_signed, "wrong_host": made.wrong_host}.get(
        kind, made.server
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key_of(certificate))
    if kind == "client":
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(made.authority)
    return context


def _make_authority(path: Path) -> None:
    _run(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS),
        *("-subj", "/CN=Stand-in Authority", "-keyout", str(key_of(path)), "-out", str(path)),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )


def _make_self_signed(path: Path, subject: str, names: str) -> None:
    extra = ("-addext", names) if names else ()
    _run(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", _DAYS, "-subj", subject),
        *("-keyout", str(key_of(path)), "-out", str(path), *extra),
    )


def _make_signed(path: Path, authority: Path, subject: str, names: str, use: str) -> None:
    request, extensions = path.with_suffix(".csr"), path.with_suffix(".ext")
    lines = ["basicConstraints=CA:FALSE", f"extendedKeyUsage={use}", *([names] if names else [])]
    extensions.write_text("\n".join(lines), encoding="ascii")
    _run(
        *("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", subject),
        *("-keyout", str(key_of(path)), "-out", str(request)),
    )
    _run(
        *("x509", "-req", "-in", str(request), "-days", _DAYS, "-CAcreateserial"),
        *("-CA", str(authority), "-CAkey", str(key_of(authority))),
        *("-extfile", str(extensions), "-out", str(path)),
    )


def _run(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
