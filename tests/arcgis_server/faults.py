"""Faults that control can switch on: the ways a site fails its clients."""

from __future__ import annotations

import json
import re
import socket
import threading
from dataclasses import dataclass

from flask import Response, request

from .answers import EsriError

_HALF_AN_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
    b'{"currentVersion": 10.81, "services": ['
)
KINDS = ("html", "status", "error", "drop", "truncate", "silence", "cut")


@dataclass
class Fault:
    """What happens to the next ``count`` requests whose path matches ``pattern``.

    ``html``: a page instead of JSON; ``status``: an HTTP status ``code``; ``error``: an Esri
    error envelope with ``code`` and ``message``; ``drop``: the connection is closed without an
    answer; ``truncate``: half of an answer; ``silence``: no answer until the fault is cleared;
    ``cut``: the right answer, which breaks off after ``after`` bytes of its body.
    """

    pattern: str
    count: int
    kind: str
    code: int = 500
    message: str = "Error performing operation"
    after: int = 0


@dataclass(frozen=True)
class Cut:
    """An answer breaks off after so many bytes of its body."""

    after: int

    def send(self, response: Response) -> Response:
        """Send the head of the answer and what there is to be of its body, and hang up."""
        response.direct_passthrough = False
        body = response.get_data()
        response.headers["Content-Length"] = str(len(body))
        lines = [f"HTTP/1.1 {response.status}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        connection = _connection()
        connection.sendall(head + body[: self.after])
        connection.shutdown(socket.SHUT_RDWR)
        response.close()
        return Response("")


class FaultBox:
    """The faults of one site, in the order they were set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._speak = threading.Event()

    def add(self, fault: Fault) -> None:
        """Set a fault.

        Raises:
            ValueError: of an unknown kind or with a pattern that is none.
        """
        if fault.kind not in KINDS:
            raise ValueError(f"unknown fault {fault.kind!r}; known are {', '.join(KINDS)}")
        try:
            re.compile(fault.pattern)
        except re.error as error:
            raise ValueError(f"{fault.pattern!r} is not a pattern: {error}") from error
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Take all faults away and answer those who wait."""
        with self._lock:
            self._faults.clear()
            self._speak.set()
            self._speak = threading.Event()

    def strike(self, path: str) -> Response | Cut | None:
        """Return the faulty answer to a request, or None where no fault is due.

        Of an answer that is to break off, where it does is returned.
        """
        with self._lock:
            fault = next((f for f in self._faults if re.search(f.pattern, path)), None)
            if fault is None:
                return None
            fault.count -= 1
            if fault.count <= 0:
                self._faults.remove(fault)
            speak = self._speak
        return _answer(fault, speak)


def _answer(fault: Fault, speak: threading.Event) -> Response | Cut | None:
    if fault.kind == "cut":
        return Cut(fault.after)
    if fault.kind == "html":
        text = "<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
        return Response(text, content_type="text/html")
    if fault.kind == "status":
        return Response("<html><body>Error</body></html>", fault.code, content_type="text/html")
    if fault.kind == "error":
        body = json.dumps(EsriError(fault.code, fault.message).as_json())
        return Response(body, content_type="application/json;charset=utf-8")
    if fault.kind == "silence":
        speak.wait()
        return None
    if fault.kind == "truncate":
        _connection().sendall(_HALF_AN_ANSWER)
    _connection().shutdown(socket.SHUT_RDWR)
    return Response("")


def _connection() -> socket.socket:
    connection: socket.socket = request.environ["werkzeug.socket"]
    return connection
