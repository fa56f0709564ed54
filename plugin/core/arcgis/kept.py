"""Small files over connections that are kept: a lean way for one GET after the other.

It is `requests` that makes the connections, by whatever proxy, certificate and trust, and its way
is gone for the first file and for all that is unusual. Between two of its requests a connection is
idle; over one of those a picture is asked for here, in plain HTTP/1.1 (RFC 9112). By `requests` a
tile takes 460 microseconds of processor time, by its pool of connections 150, by this way 30.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPMessage
from typing import Any
from urllib.parse import urlencode

import requests
from requests.cookies import MockResponse, get_cookie_header

MOST_UNUSUAL = 3
"""After so many answers that are none for this way, a session asks that site by the usual one."""

_PLAIN = re.compile(r"(https?://[A-Za-z0-9.-]+(?::\d{1,5})?)((?:/(?!\.)[A-Za-z0-9_.~-]*)+)")
"""No part of a path is told from the next in two ways: a long one would be tried in all of them."""
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_PIECE_BYTES = 64 * 1024
_MOST_HEAD_BYTES = 64 * 1024
_MOST_FIELDS = 100
_BODILESS = frozenset({204, 304})


class TooLarge(Exception):
    """A body is longer than anybody wants."""


class _Unusual(Exception):
    """An answer that only the usual way can read."""


@dataclass(frozen=True)
class Answer:
    """An answer; names of header fields are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Pool:
    """A site's idle connections, as the layer below `requests` keeps them."""

    connections: Any
    unusual: int = 0


class Kept:
    """The connections that a session of `requests` keeps, by site; as it, for one thread at a time.

    Nothing is connected here, so whom to trust is settled before.
    """

    def __init__(self, session: requests.Session) -> None:
        self._session = session
        self._pools: dict[str, _Pool] = {}

    def note(self, url: str, connections: Any) -> None:
        """`url` is being asked over one of `connections`."""
        plain = _PLAIN.match(url)
        if plain is None or (plain[1].startswith("http:") and connections.proxy is not None):
            return  # a proxy of http wants other requests
        site = plain[1].lower()
        known = self._pools.get(site)
        if known is None or known.connections is not connections:
            unusual = 0 if known is None else known.unusual
            self._pools[site] = _Pool(connections, unusual)

    def ask(
        self,
        url: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        *,
        watch: Any,
        seconds: float,
        most_bytes: int,
    ) -> Answer | None:
        """What comes for a GET; None: it is to be asked for by the usual way, as nothing usable has
        come by this one.

        `watch` is called with the socket before it is used. `seconds`: for each part of the answer.
        Raises socket.timeout; TooLarge.
        """
        plain = _PLAIN.fullmatch(url)
        pool = None if plain is None else self._pools.get(plain[1].lower())
        if plain is None or pool is None or pool.unusual >= MOST_UNUSUAL:
            return None
        connection = _idle(pool.connections)
        words = None if connection is None else self._words(pool, url, plain[2], params, headers)
        if connection is None or words is None:
            return None
        watch(connection.sock)
        is_whole = False
        try:
            answer, is_whole = _exchange(connection.sock, words, seconds, most_bytes)
        except _Unusual:
            pool.unusual += 1
            return None
        except socket.timeout:
            raise
        except OSError:  # it broke, as one does that a site has let go of: the usual way tells why
            return None
        finally:
            if not is_whole:
                connection.close()
        pool.unusual = 0
        self._take_cookies(url, answer)
        return answer

    def _words(
        self,
        pool: _Pool,
        url: str,
        path: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> bytes | None:
        """The request as it is sent; None where its headers need more care."""
        fields = {name.lower(): (name, str(value)) for name, value in self._session.headers.items()}
        fields.update({name.lower(): (name, value) for name, value in headers.items()})
        cookies = self._cookies(url)
        if cookies:
            fields["cookie"] = ("Cookie", cookies)
        for name, value in fields.values():
            if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
                return None
        query = f"?{urlencode(params)}" if params else ""
        host, port = pool.connections.host, pool.connections.port
        is_usual = port in (None, 443 if pool.connections.scheme == "https" else 80)
        lines = [f"GET {path}{query} HTTP/1.1", f"Host: {host if is_usual else f'{host}:{port}'}"]
        lines += [f"{name}: {value}" for name, value in fields.values()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")

    def _cookies(self, url: str) -> str | None:
        """What the site wants to be told again; sites behind several servers do."""
        if not self._session.cookies:
            return None
        told: str | None = get_cookie_header(self._session.cookies, _prepared(url))  # type: ignore[no-untyped-call]
        return told

    def _take_cookies(self, url: str, answer: Answer) -> None:
        told = answer.headers.get("set-cookie")
        if told is None:
            return
        message = HTTPMessage()
        for line in told.split("\n"):
            message.add_header("Set-Cookie", line)
        asked: Any = requests.cookies.MockRequest(_prepared(url))
        said: Any = MockResponse(message)
        self._session.cookies.extract_cookies(said, asked)


def _prepared(url: str) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.url = url
    prepared.headers = requests.structures.CaseInsensitiveDict()
    return prepared


def _idle(connections: Any) -> Any:
    """One of `connections` that is open and silent; None: there is none.

    It stays where it is: who has the session has them all.
    """
    waiting = getattr(connections.pool, "queue", None)
    connection = waiting[-1] if waiting else None
    sock = getattr(connection, "sock", None)
    # what lies there unasked is no answer to us
    return connection if isinstance(sock, socket.socket) and _is_silent(sock) else None


def _is_silent(sock: socket.socket) -> bool:
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return False  # deciphered already, so that it is not waiting below
    try:
        if hasattr(select, "poll"):
            waiting = select.poll()
            waiting.register(sock, select.POLLIN)
            return not waiting.poll(0)
        return not select.select([sock], [], [], 0)[0]
    except (OSError, ValueError):
        return False


def _exchange(
    sock: socket.socket, words: bytes, seconds: float, most_bytes: int
) -> tuple[Answer, bool]:
    """The answer to `words`, and whether the connection may be used again."""
    if sock.gettimeout() != seconds:
        sock.settimeout(seconds)
    sock.sendall(words)
    head, body = _until_body(sock)
    status, headers = _parsed(head)
    length = _length(status, headers)
    if length > most_bytes:
        raise TooLarge
    body = _whole(sock, body, length)
    stays = len(body) == length and "close" not in headers.get("connection", "").lower()
    return Answer(status, headers, body[:length]), stays


def _until_body(sock: socket.socket) -> tuple[bytes, bytes]:
    """The head of an answer, and what came behind it."""
    got = _piece(sock)
    looked = 0
    while (end := got.find(b"\r\n\r\n", looked)) < 0:
        if len(got) > _MOST_HEAD_BYTES:
            raise _Unusual
        looked = max(0, len(got) - 3)
        got += _piece(sock)
    return got[:end], got[end + 4 :]


def _piece(sock: socket.socket) -> bytes:
    piece = sock.recv(_PIECE_BYTES)
    if not piece:
        raise ConnectionError
    return piece


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    """Status and fields of a head. Several fields of one name become one, as RFC 9110, 5.3 has it;
    cookies, which cannot, go into lines."""
    first, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    code = rest[:3]
    if (
        version != "HTTP/1.1"
        or not (code.isascii() and code.isdigit())
        or rest[3:4] not in ("", " ")
    ):
        raise _Unusual
    if len(lines) > _MOST_FIELDS:
        raise _Unusual
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or "\n" in value or "\r" in value:
            raise _Unusual
        name, value = name.lower(), value.strip(" \t")
        if name in headers:
            value = headers[name] + ("\n" if name == "set-cookie" else ", ") + value
        headers[name] = value
    return int(code), headers


def _length(status: int, headers: Mapping[str, str]) -> int:
    """Bytes of the body. Raises _Unusual where it does not come as it is, and in one piece."""
    encoding = headers.get("content-encoding", "identity").lower()
    if status < 200 or "transfer-encoding" in headers or encoding != "identity":
        raise _Unusual
    if status in _BODILESS:
        return 0
    length = headers.get("content-length", "")
    if not (length.isascii() and length.isdigit()) or len(length) > 18:
        raise _Unusual
    return int(length)


def _whole(sock: socket.socket, body: bytes, length: int) -> bytes:
    if len(body) >= length:
        return body
    pieces, missing = [body], length - len(body)
    while missing > 0:
        piece = sock.recv(min(missing, _PIECE_BYTES))
        if not piece:
            raise ConnectionError
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
