"""The user's own certificates, out of QGIS's sign-in details, for the connections of the core."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from qgis.PyQt.QtNetwork import QNetworkRequest, QSslConfiguration


class TlsContext(Protocol):
    """What a certificate is put into: an `ssl.SSLContext`."""

    def load_cert_chain(
        self, certfile: str, keyfile: str | None = None, password: str | None = None
    ) -> None: ...


def certificate_of(request: QNetworkRequest) -> Callable[[TlsContext], None] | None:
    """What puts the certificate that `request` would show into a TLS context; None: it shows none.

    What is given may be called in any thread. Python reads keys from files only: the key lies in
    one while it is read, in a folder that only this user can read, encrypted with a password that
    nobody else knows. It raises OSError (`ssl.SSLError` is one) where it cannot be read.
    """
    shown = request.sslConfiguration()
    chain, key = _chain_text(shown), shown.privateKey()
    if not chain or key.isNull():
        return None
    password = secrets.token_urlsafe(32)
    encrypted = bytes(key.toPem(password.encode("ascii"))).decode("ascii")
    if "ENCRYPTED" not in encrypted:
        return None

    def load(context: TlsContext) -> None:
        with tempfile.TemporaryDirectory(prefix="tile_cache_manager_") as folder:
            path = Path(folder) / "certificate.pem"
            path.touch(mode=0o600)
            path.write_text(f"{chain}\n{encrypted}", encoding="ascii")
            context.load_cert_chain(str(path), password=password)

    return load


def _chain_text(shown: QSslConfiguration) -> str:
    """The certificate and those that vouch for it, as PEM; "" for none."""
    chain = shown.localCertificateChain() or [shown.localCertificate()]
    return "\n".join(
        bytes(each.toPem()).decode("ascii").strip() for each in chain if not each.isNull()
    )
