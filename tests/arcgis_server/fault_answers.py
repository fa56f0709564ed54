"""What a client gets where a fault strikes; some of it is sent below HTTP, on the socket itself."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Response, request

from .answers import EsriError
from .faults import Fault

if TYPE_CHECKING:
    from .state import SiteState

SIGN_IN_PAGE = "<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
_JSON = "application/json;charset=utf-8"
_ERROR_PAGE = "<html><body>Error</body></html>"
_HALF_AN_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
    b'{"currentVersion": 10.81, "services": ['
)
_WITHOUT_AN_END = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    b'{"currentVersion": 10.81, "services": ['
)
_MORE_OF_IT = b'{"name": "World", "type": "MapServer"},' * 4096
_DEPTH = 100_000

Usual = Callable[[], Response]
"""Carries the request out and gives the answer."""


def suffer(fault: Fault, cleared: threading.Event, state: SiteState, usual: Usual) -> Response:
    """Answer a request that a fault strikes."""
    if fault.kind == "expire":
        state.tokens.expire_all()
        return usual()
    if fault.kind == "forget":
        state.jobs.clear()
        return usual()
    if fault.kind == "silence":
        cleared.wait()
        return usual()
    if fault.kind == "delay":
        cleared.wait(fault.seconds)
        return usual()
    if fault.kind in _SENT_BADLY:
        return _SENT_BADLY[fault.kind](fault, usual(), cleared)
    if fault.kind in _BELOW_HTTP:
        return _BELOW_HTTP[fault.kind](cleared)
    return _instead(fault)


def _instead(fault: Fault) -> Response:
    """Return an answer that is sent as any other."""
    if fault.kind == "html":
        return Response(SIGN_IN_PAGE, content_type="text/html")
    if fault.kind == "status":
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        return Response(_ERROR_PAGE, fault.code or 500, headers, content_type="text/html")
    if fault.kind == "error":
        body = json.dumps(EsriError(fault.code or 500, fault.message).as_json())
        return Response(body, content_type=_JSON)
    if fault.kind == "redirect":
        location = fault.location or request.url
        return Response("", fault.code or 302, {"Location": location}, content_type="text/html")
    if fault.kind == "body":
        return Response(fault.body, fault.code or 200, content_type=fault.content_type)
    words = {
        "text": "The service is starting.",
        "empty": "",
        "list": "[1, 2, 3]",
        "deep": '{"services": ' + "[" * _DEPTH + "]" * _DEPTH + "}",
    }[fault.kind]
    return Response(words, content_type="text/plain" if fault.kind == "text" else _JSON)


def _drop(cleared: threading.Event) -> Response:
    return _hang_up()


def _truncate(cleared: threading.Event) -> Response:
    _connection().sendall(_HALF_AN_ANSWER)
    return _hang_up()


def _send_without_end(cleared: threading.Event) -> Response:
    connection = _connection()
    try:
        connection.sendall(_WITHOUT_AN_END)
        while not cleared.is_set():
            connection.sendall(_MORE_OF_IT)
    except OSError:  # the client has had enough
        return Response("")
    return _hang_up()


def _cut(fault: Fault, response: Response, cleared: threading.Event) -> Response:
    """Send the head of the answer and what there is to be of its body, and hang up."""
    head, body = _head_and_body(response)
    _connection().sendall(head + body[: fault.after])
    return _hang_up()


def _reset(fault: Fault, response: Response, cleared: threading.Event) -> Response:
    """Send as much, and reset the connection, as a proxy does that is killed."""
    head, body = _head_and_body(response)
    connection = _connection()
    connection.sendall(head + body[: fault.after])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # A reset is sent only by the last close, and the server's own objects hold the connection
    # open: so another, closed one takes its place under them.
    ours, theirs = socket.socketpair()
    theirs.close()
    os.dup2(ours.fileno(), connection.fileno())
    ours.close()
    return Response("")


def _lose(fault: Fault, response: Response, cleared: threading.Event) -> Response:
    return _hang_up()


def _drip(fault: Fault, response: Response, cleared: threading.Event) -> Response:
    head, body = _head_and_body(response)
    connection = _connection()
    try:
        connection.sendall(head)
        for place in range(len(body)):
            if cleared.wait(fault.seconds):
                break
            connection.sendall(body[place : place + 1])
    except OSError:  # the client has had enough
        return Response("")
    return _hang_up()


def _head_and_body(response: Response) -> tuple[bytes, bytes]:
    response.direct_passthrough = False
    body = response.get_data()
    response.headers["Content-Length"] = str(len(body))
    lines = [f"HTTP/1.1 {response.status}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    response.close()
    return "\r\n".join([*lines, "", ""]).encode("latin-1"), body


def _hang_up() -> Response:
    try:
        _connection().shutdown(socket.SHUT_RDWR)
    except OSError:  # the client was quicker
        return Response("")
    return Response("")


def _connection() -> socket.socket:
    connection: socket.socket = request.environ["werkzeug.socket"]
    return connection


_SENT_BADLY: dict[str, Callable[[Fault, Response, threading.Event], Response]] = {
    "cut": _cut,
    "reset": _reset,
    "lost": _lose,
    "drip": _drip,
}
_BELOW_HTTP: dict[str, Callable[[threading.Event], Response]] = {
    "drop": _drop,
    "truncate": _truncate,
    "endless": _send_without_end,
}
