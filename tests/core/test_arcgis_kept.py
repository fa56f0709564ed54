"""Pictures over kept connections: the same answers as by the usual way, whatever a server does."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.certificates import context_of, make_certificates

from tile_cache_manager.plugin.core.arcgis import kept as kept_module
from tile_cache_manager.plugin.core.arcgis import transport as transport_module
from tile_cache_manager.plugin.core.arcgis.address import origin_of
from tile_cache_manager.plugin.core.arcgis.kept import MOST_UNUSUAL
from tile_cache_manager.plugin.core.arcgis.transport import (
    HttpRequest,
    HttpResponse,
    RequestsTransport,
)
from tile_cache_manager.plugin.core.errors import SiteUnreachable, Unreachable

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
FINE = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n" % len(PICTURE)


class Server:
    """Answers over connections that it keeps: each with what `says` has for the path, byte by byte.

    `heads`: what was asked, by connection. A path of which nothing is said gets the picture.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.says: dict[str, Any] = {}
        self.heads: list[list[str]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def asked(self) -> list[str]:
        return [head.split(" ")[1] for heads in self.heads for head in heads]

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                heads: list[str] = []
                self.heads.append(heads)
                args = (connection, heads)
                threading.Thread(target=self._speak, args=args, daemon=True).start()

    def _speak(self, connection: socket.socket, heads: list[str]) -> None:
        if self._context is not None:
            try:
                connection = self._context.wrap_socket(connection, server_side=True)
            except OSError:  # it is not trusted
                connection.close()
                return
        with connection, suppress(OSError):
            got = b""
            while True:
                while b"\r\n\r\n" not in got:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    got += piece
                head, _, got = got.partition(b"\r\n\r\n")
                heads.append(head.decode())
                path = heads[-1].split(" ")[1].partition("?")[0]
                said = self.says.get(path, FINE + PICTURE)
                said = said.pop(0) if isinstance(said, list) and len(said) > 1 else said
                said = said[0] if isinstance(said, list) else said
                if said is None:
                    return
                for piece in said if isinstance(said, tuple) else (said,):
                    if isinstance(piece, float):
                        time.sleep(piece)
                    else:
                        connection.sendall(piece)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def warm(server: Server, **fields: Any) -> Iterator[RequestsTransport]:
    """A transport that has asked once, so that it has a connection."""
    transport = RequestsTransport(**fields)
    assert get(transport, f"{server.url}/first").body == PICTURE
    yield transport
    transport.close()


def get(transport: RequestsTransport, url: str, **fields: Any) -> HttpResponse:
    return transport.send(HttpRequest("GET", url, is_picture=True, **fields))


def usual(url: str) -> HttpResponse:
    """What the usual way gives."""
    transport = RequestsTransport()
    try:
        return transport.send(HttpRequest("GET", url))
    finally:
        transport.close()


def said(status: str, body: bytes = b"", *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
ANSWERS = {
    "a picture": FINE + PICTURE,
    "in pieces": (FINE[:9], 0.02, FINE[9:-2], 0.02, FINE[-2:], 0.02, PICTURE[:7], PICTURE[7:]),
    "an error of a page": said("404 Not Found", b"<html>", "Content-Type: text/html"),
    "an error of ArcGIS": said("200 OK", b'{"error": {"code": 498}}'),
    "busy": said("503 Busy", b"", "Retry-After: 7"),
    "elsewhere": said("302 Found", b"", "Location: https://other.example/"),
    "nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "without a phrase": b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok",
    "closed afterwards": (said("200 OK", b"ok", "Connection: close"),),
    "in chunks": CHUNKED,
    "packed": said("200 OK", gzip.compress(b"hello"), "Content-Encoding: gzip"),
    "not yet": b"HTTP/1.1 100 Continue\r\n\r\n" + said("200 OK", b"ok"),
    "folded": b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok",
    "a field twice": said("200 OK", b"ok", "X-A: 1", "X-A: 2"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_the_same_answer(kind: str, server: Server) -> None:
    server.says["/it"] = ANSWERS[kind]
    expected = usual(f"{server.url}/it")

    with warm(server) as transport:
        for _ in range(MOST_UNUSUAL + 2):
            assert get(transport, f"{server.url}/it") == expected
        assert get(transport, f"{server.url}/last").body == PICTURE


def test_the_same_question(server: Server) -> None:
    """Line for line what the usual way sends, over one connection."""
    fields: dict[str, Any] = {
        "params": {"blankTile": "false", "q": "a b&c=ä"},
        "headers": {"X-Esri-Authorization": "Bearer t0k", "Referer": "https://x/"},
    }
    with warm(server) as transport:
        transport.send(HttpRequest("GET", f"{server.url}/a/9/5/7", **fields))
        get(transport, f"{server.url}/a/9/5/7", **fields)

    (heads,) = server.heads
    _, expected, found = (sorted(head.splitlines()) for head in heads)
    assert [line.lower() for line in found] == [line.lower() for line in expected]
    assert "t0k" not in heads[-1].splitlines()[0]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ([None, None], Unreachable.BROKEN),
        ([FINE + PICTURE[:50], None], None),
        (FINE + PICTURE[:50], Unreachable.TIMEOUT),
        (FINE[:20], Unreachable.TIMEOUT),
        (said("200 OK", bytes(300_000)), Unreachable.TOO_LARGE),
        (b"who is there?\r\n\r\n", Unreachable.BROKEN),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Word: o\r\n" * 1000 + b"\r\n", Unreachable.BROKEN),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", None),
    ],
)
def test_no_answer(
    reply: Any, expected: Unreachable | None, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told is what the usual way tells, and the next picture comes."""
    monkeypatch.setattr(transport_module, "READ_SECONDS", 0.2)
    monkeypatch.setattr(transport_module, "MAX_BODY_BYTES", 200_000)
    server.says["/it"] = reply

    with warm(server) as transport:
        with pytest.raises(SiteUnreachable) as caught:
            get(transport, f"{server.url}/it", params={"token": "t0ps3cret"})
        assert caught.value.reason is (expected or caught.value.reason)
        assert "t0ps3cret" not in f"{caught.value} {vars(caught.value)} {caught.value.__cause__}"
        assert get(transport, f"{server.url}/last").body == PICTURE


def test_an_answer_that_drips(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read brings something: the deadline ends it."""
    monkeypatch.setattr(transport_module, "TOTAL_SECONDS", 0.3)
    server.says["/it"] = (FINE, *(each for _ in range(100) for each in (b"x", 0.05)))

    with warm(server) as transport:
        begun = time.monotonic()
        with pytest.raises(SiteUnreachable) as caught:
            get(transport, f"{server.url}/it")
        assert caught.value.reason is Unreachable.TIMEOUT
        assert time.monotonic() - begun < 2
        assert get(transport, f"{server.url}/last").body == PICTURE


def test_a_connection_that_was_let_go_of_is_made_anew(server: Server) -> None:
    server.says["/it"] = [FINE + PICTURE, None]
    with warm(server) as transport:
        assert get(transport, f"{server.url}/it").body == PICTURE
        with pytest.raises(SiteUnreachable):
            get(transport, f"{server.url}/it")
        server.says["/it"] = FINE + PICTURE
        assert get(transport, f"{server.url}/it").body == PICTURE


@pytest.mark.parametrize("late", [0.0, 0.1])
def test_what_comes_unasked_is_no_answer(late: float, server: Server) -> None:
    """Bytes behind an answer, at once or later, are never taken for the next one."""
    false = said("200 OK", b"false")
    server.says["/it"] = (FINE + PICTURE, late, false) if late else FINE + PICTURE + false
    with warm(server) as transport:
        assert get(transport, f"{server.url}/it").body == PICTURE
        time.sleep(3 * late)
        assert get(transport, f"{server.url}/next").body == PICTURE
    assert len(server.heads) == 2


def test_cookies_go_back_to_the_site_that_set_them(server: Server) -> None:
    """Sites behind several servers keep a visitor at one of them by a cookie."""
    server.says["/it"] = [
        said("200 OK", b"", "Set-Cookie: AWSALB=one; Path=/", "Set-Cookie: b=2; Path=/"),
        said("200 OK", b"", "Set-Cookie: AWSALB=two; Path=/"),
        said("200 OK", b""),
    ]
    with warm(server) as transport:
        for _ in range(3):
            get(transport, f"{server.url}/it")

    cookies = [line for head in server.heads[0] for line in head.splitlines() if "Cookie" in line]
    assert [set(line.partition(": ")[2].split("; ")) for line in cookies] == [
        {"AWSALB=one", "b=2"},
        {"AWSALB=two", "b=2"},
    ]


def test_a_proxy_of_http_is_asked_as_ever(server: Server) -> None:
    """Through it, addresses are sent whole."""
    with_proxy = RequestsTransport({"http": server.url})
    for number in range(3):
        assert get(with_proxy, f"http://far.example/{number}").body == PICTURE
    with_proxy.close()

    assert server.asked == [f"http://far.example/{number}" for number in range(3)]


def test_only_pictures_go_this_way(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("asked over a kept connection")

    with warm(server) as transport:
        monkeypatch.setattr(kept_module, "_exchange", never)
        transport.send(HttpRequest("GET", f"{server.url}/a"))
        transport.send(HttpRequest("POST", f"{server.url}/a", is_picture=True))
        with pytest.raises(AssertionError):
            get(transport, f"{server.url}/a")


@pytest.mark.parametrize("path", ["/a/../b", "/..", "/a/./b", "/a%2Fb", "/a" * 40 + "/%20"])
def test_paths_that_need_care_go_the_usual_way(path: str, server: Server) -> None:
    """Dots are resolved there. To see that takes no time, however long the path that a site names:
    it was doubled by each of its parts."""
    with warm(server) as transport:
        begun = time.process_time()
        assert get(transport, server.url + path).body == PICTURE
        assert time.process_time() - begun < 1
    expected = usual(server.url + path)
    assert expected.body == PICTURE
    assert server.asked[-2] == server.asked[-1]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
def test_over_tls_nobody_is_trusted_who_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A site that an authority vouches for, one taken by its own certificate, and strangers."""
    lean = []
    exchange = kept_module._exchange
    monkeypatch.setattr(kept_module, "_exchange", lambda *a: lean.append(a) or exchange(*a))
    certificates = make_certificates(tmp_path)
    der = ssl.PEM_cert_to_DER_cert(certificates.self_signed.read_text())
    vouched, alone = (Server(context_of(certificates, kind)) for kind in ("server", "self_signed"))
    authority = str(certificates.authority)
    taken = {("127.0.0.1", alone.port): hashlib.sha256(der).hexdigest()}
    other = {("127.0.0.1", alone.port): hashlib.sha256(b"another").hexdigest()}
    for site, transport in (
        (vouched, RequestsTransport(authorities=authority)),
        (alone, RequestsTransport(authorities=authority, exceptions=taken)),
    ):
        for number in range(4):
            assert get(transport, f"{site.url}/{number}").body == PICTURE
        transport.close()
        assert len(site.heads) == 1
    assert len(lean) == 6
    for site, transport in (
        (vouched, RequestsTransport()),
        (vouched, RequestsTransport(exceptions=taken)),
        (alone, RequestsTransport(authorities=authority)),
        (alone, RequestsTransport(exceptions=other)),
    ):
        for _ in range(2):
            with pytest.raises(SiteUnreachable) as caught:
                get(transport, f"{site.url}/x")
            assert caught.value.reason is Unreachable.CERTIFICATE
        assert "/x" not in site.asked
    assert len(lean) == 6
    vouched.close()
    alone.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.example/x", ("http", "a.example", 80)),
        ("https://a.example/x@b.example/", ("https", "a.example", 443)),
        ("https://a.example:8443/x", ("https", "a.example", 8443)),
        ("https://a.example@b.example/x", ("https", "b.example", 443)),
        ("https://A.Example/x", ("https", "a.example", 443)),
        ("https://a.example:0/x", ("https", "a.example", 443)),
        ("https://a.example:59999/", ("https", "a.example", 59999)),
        ("https://a.example:65535/", ("https", "a.example", 65535)),
        ("https://a.example?/x", ("https", "a.example", 443)),
        ("https://a.example:99999/", None),
        ("https://a.example\\@b.example/x", None),
    ],
)
def test_origins(url: str, expected: tuple[str, str, int] | None) -> None:
    if expected is None:
        with pytest.raises(ValueError, match=r"[Pp]ort|backslash"):
            origin_of(url)
    else:
        assert origin_of(url) == expected
