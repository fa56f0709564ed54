"""A web server on loopback that speaks TLS and tells who asked it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from arcgis_server.certificates import Certificates, context_of


@dataclass
class TlsServer:
    """`names`: the certificate's name of who asked, request by request; "" for none."""

    port: int
    names: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"


@contextmanager
def tls_server(
    certificates: Certificates, kind: str, *, wants: bool = False
) -> Iterator[TlsServer]:
    """A server with the certificate of that `kind`, see `arcgis_server.certificates`.

    `wants`: it takes a client's certificate, but goes without.
    """
    context = context_of(certificates, kind)
    # With TLS 1.3 who has no certificate learns so after he has asked, if at all: this server ends
    # the connection on what it has not read, and that can be all that arrives.
    context.maximum_version = (
        ssl.TLSVersion.TLSv1_2 if kind == "client" else context.maximum_version
    )
    if wants:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(certificates.authority)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as server:
        told = TlsServer(server.server_port)
        server.names = told.names
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield told
        server.shutdown()
        thread.join()


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        shown = self.connection.getpeercert() or {}
        names = dict(pair for part in shown.get("subject", ()) for pair in part)
        self.server.names.append(names.get("commonName", ""))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass
