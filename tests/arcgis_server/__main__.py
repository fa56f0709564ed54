"""Runs the stand-in sites: ``python -m arcgis_server --folder DIR``.

Prints one JSON line with the address when it is ready. It ends on SIGTERM, or when its standard
input closes, so that it never outlives the test that started it.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .app import CLOCK_SKEW, Sites, make_app
from .certificates import KINDS, Certificates, context_of
from .drawing import Painter, PlainPainter


class _Handler(WSGIRequestHandler):
    """Keeps connections open between requests, and leaves the log to the application."""

    protocol_version = "HTTP/1.1"

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time by the clock of the site that answers."""
        moment = time.time() if timestamp is None else timestamp
        return super().date_time_string(moment + self.environ.get(CLOCK_SKEW, 0.0))

    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    options = _options()
    sites = Sites(options.folder.resolve(), _painter(options.drawing), options.tiles_per_second)
    app = make_app(sites)
    server = make_server("127.0.0.1", options.port, app, threaded=True, request_handler=_Handler)
    secure = _secure_servers(app, options.tls) if options.tls else {}
    _end_on_signal(server)
    if not options.stay:
        _end_with_standard_input(server)
    ready = {
        "url": f"http://127.0.0.1:{server.server_port}",
        "tls": {kind: f"https://127.0.0.1:{s.server_port}" for kind, s in secure.items()},
    }
    print(json.dumps(ready), flush=True)
    try:
        server.serve_forever()
    finally:
        for other in (*secure.values(), server):
            other.server_close()
        sites.close()


def _secure_servers(app: Flask, folder: Path) -> dict[str, BaseWSGIServer]:
    """Start a listener for each kind of certificate, in a thread of its own."""
    servers = {}
    for kind in KINDS:
        context = context_of(Certificates(folder), kind)
        server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Handler)
        # The handshake is done by the thread that answers: one who is slow keeps nobody waiting.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        server.ssl_context = context
        servers[kind] = server
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return servers


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="arcgis_server", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="caches and log go here")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--tiles-per-second", type=float, help="slows the caching jobs down")
    parser.add_argument("--drawing", choices=("qgis", "plain"), default="qgis")
    parser.add_argument("--tls", type=Path, help="speak TLS as well, with the certificates here")
    parser.add_argument("--stay", action="store_true", help="do not end with standard input")
    return parser.parse_args()


def _painter(drawing: str) -> Painter:
    if drawing == "plain":
        return PlainPainter()
    from .drawing_qgis import QgisPainter

    return QgisPainter()


def _end_on_signal(server: BaseWSGIServer) -> None:
    def end(number: int, frame: FrameType | None) -> None:
        # shutdown waits for the serving loop, which runs in this thread: another has to ask.
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)


def _end_with_standard_input(server: BaseWSGIServer) -> None:
    def watch() -> None:
        sys.stdin.buffer.read()
        server.shutdown()

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    main()
