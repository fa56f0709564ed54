"""HTTP itself, against a small server on loopback: failures told apart, nothing sent unasked."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tile_cache_manager.plugin.core.arcgis import connections as connections_module
from tile_cache_manager.plugin.core.arcgis import transport as transport_module
from tile_cache_manager.plugin.core.arcgis.client import Client
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.arcgis.submissions import may_have_arrived
from tile_cache_manager.plugin.core.arcgis.transport import (
    HttpRequest,
    HttpResponse,
    RequestsTransport,
)
from tile_cache_manager.plugin.core.errors import SiteUnreachable, Unreachable

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


_BOMB = gzip.compress(bytes(20_000_000))


class _Server(ThreadingHTTPServer):
    """`seen`: method, path, headers and body of what came. `speak` lets silent answers go on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, dict[str, str], str]] = []
        self.speak = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode()
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        page = self.path.split("?")[0].rpartition("/")[2]
        getattr(self, f"_{page}", self._fine)()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Tests are quiet."""

    def _fine(self) -> None:
        self._answer(b'{"fine": true}')

    def _zipped(self) -> None:
        self._answer(gzip.compress(b'{"fine": true}'), ("Content-Encoding", "gzip"))

    def _elsewhere(self) -> None:
        self._answer(b"", ("Location", "http://other.example/"), status=302)

    def _gone(self) -> None:
        self._answer(b"<html>", ("Content-Type", "text/html"), status=404)

    def _large(self) -> None:
        self._answer(b"x" * 300_000)

    def _silent(self) -> None:
        self.server.speak.wait(10)
        self.close_connection = True

    def _half(self) -> None:
        self._start(b'{"fine": ', 4000)

    def _half_chunk(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{")
        self.close_connection = True

    def _half_then_silent(self) -> None:
        self._start(b'{"fine": ', 4000)
        self._silent()

    def _garbage(self) -> None:
        self.wfile.write(b"who is there?\r\n\r\n")
        self.close_connection = True

    def _dropped(self) -> None:
        self.close_connection = True

    def _badly_zipped(self) -> None:
        self._answer(b"no gzip", ("Content-Encoding", "gzip"))

    def _drip(self) -> None:
        self._start(b"{", 4000)
        self._go_on(b" ")

    def _drip_without_length(self) -> None:
        self.wfile.write(b'HTTP/1.0 200 OK\r\n\r\n{"fine": true}')
        self._go_on(b" ")

    def _drip_in_chunks(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._go_on(b"1\r\n \r\n")

    def _drip_head(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Word: ")
        self._go_on(b"o")

    def _drip_status(self) -> None:
        self._go_on(b"H")

    def _not_yet(self) -> None:
        self._go_on(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _many_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X-Word: o\r\n" * 1000 + b"\r\n")
        self.close_connection = True

    def _long_header(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Word: " + b"o" * 1_000_000 + b"\r\n\r\n")
        self.close_connection = True

    def _packed_bomb(self) -> None:
        self._answer(_BOMB, ("Content-Encoding", "gzip"))

    def _packed_twice(self) -> None:
        packed = gzip.compress(gzip.compress(bytes(1_000_000)))
        self._answer(packed, ("Content-Encoding", "gzip, gzip"))

    def _pieces(self) -> None:
        """A file that comes slowly, but comes: a piece and a bit each time."""
        self.send_response(200)
        self.send_header("Content-Length", str(6 * 20_000))
        self.end_headers()
        for _ in range(6):
            self.wfile.write(bytes(20_000))
            self.server.speak.wait(0.15)

    def _go_on(self, piece: bytes) -> None:
        """The same again and again, so often that no read times out; to no end."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            while not self.server.speak.wait(0.02):
                self.wfile.write(piece)

    def _answer(self, body: bytes, *headers: tuple[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _start(self, body: bytes, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.speak.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def transport() -> Iterator[RequestsTransport]:
    made = RequestsTransport()
    yield made
    made.close()


def get(transport: RequestsTransport, url: str, **fields: Any) -> HttpResponse:
    return transport.send(HttpRequest("GET", url, **fields))


def reason(transport: RequestsTransport, url: str) -> Unreachable:
    with pytest.raises(SiteUnreachable) as caught:
        get(transport, url, params={"token": "t0ps3cret"})
    told = f"{caught.value} {vars(caught.value)} {caught.value.__cause__}"
    assert "t0ps3cret" not in told
    assert caught.value.url == url
    return caught.value.reason


def test_get_and_post(server: _Server, transport: RequestsTransport) -> None:
    fields = {"params": {"f": "json", "q": "a b&c=ä"}, "headers": {"Referer": "https://x/"}}

    got = get(transport, f"{server.url}/a", **fields)
    posted = transport.send(HttpRequest("POST", f"{server.url}/a", **fields))

    assert got == HttpResponse(f"{server.url}/a", 200, got.headers, b'{"fine": true}')
    assert posted.body == got.body
    assert got.headers["content-length"] == "14"
    (method, path, headers, body), (method_2, path_2, headers_2, body_2) = server.seen
    assert (method, path, body) == ("GET", "/a?f=json&q=a+b%26c%3D%C3%A4", "")
    assert (method_2, path_2, body_2) == ("POST", "/a", "f=json&q=a+b%26c%3D%C3%A4")
    assert headers_2["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["Referer"] == headers_2["Referer"] == "https://x/"


def test_a_zipped_answer(server: _Server, transport: RequestsTransport) -> None:
    assert get(transport, f"{server.url}/zipped").body == b'{"fine": true}'
    assert "gzip" in server.seen[0][2]["Accept-Encoding"]


def test_redirects_are_not_followed(server: _Server, transport: RequestsTransport) -> None:
    found = get(transport, f"{server.url}/elsewhere")

    assert (found.status, found.headers["location"]) == (302, "http://other.example/")
    assert len(server.seen) == 1


def test_every_status_is_an_answer(server: _Server, transport: RequestsTransport) -> None:
    found = get(transport, f"{server.url}/gone")

    assert (found.status, found.headers["content-type"], found.body) == (
        404,
        "text/html",
        b"<html>",
    )


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("silent", Unreachable.TIMEOUT),
        ("half_then_silent", Unreachable.TIMEOUT),
        ("half", Unreachable.BROKEN),
        ("half_chunk", Unreachable.BROKEN),
        ("garbage", Unreachable.BROKEN),
        ("dropped", Unreachable.BROKEN),
        ("badly_zipped", Unreachable.BROKEN),
        ("large", Unreachable.TOO_LARGE),
        ("packed_bomb", Unreachable.TOO_LARGE),
        ("packed_twice", Unreachable.BROKEN),
        ("many_headers", Unreachable.BROKEN),
        ("long_header", Unreachable.BROKEN),
    ],
)
def test_no_answer(
    page: str,
    expected: Unreachable,
    server: _Server,
    transport: RequestsTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport_module, "READ_SECONDS", 0.2)
    monkeypatch.setattr(transport_module, "MAX_BODY_BYTES", 200_000)

    assert reason(transport, f"{server.url}/{page}") is expected


DRIPS = ["drip", "drip_without_length", "drip_in_chunks", "drip_head", "drip_status", "not_yet"]


@pytest.mark.parametrize("page", DRIPS)
def test_an_answer_that_takes_for_ever(
    page: str, server: _Server, transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each read brings something, and no time-out of a read helps."""
    monkeypatch.setattr(transport_module, "TOTAL_SECONDS", 0.4)
    started = time.monotonic()

    assert reason(transport, f"{server.url}/{page}") is Unreachable.TIMEOUT

    assert 0.3 < time.monotonic() - started < 5
    # the connection is not used again
    monkeypatch.setattr(transport_module, "TOTAL_SECONDS", 10.0)
    assert get(transport, f"{server.url}/a").body == b'{"fine": true}'


@pytest.mark.parametrize("page", ["drip", "drip_head", "not_yet"])
def test_an_answer_that_nobody_waits_for_any_more(
    page: str, server: _Server, transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "UNWANTED_SECONDS", 0.4)
    unwanted = threading.Event()
    told = threading.Timer(0.3, unwanted.set)
    started = time.monotonic()

    with connections_module.wanted_unless(unwanted.is_set):
        assert get(transport, f"{server.url}/a").body == b'{"fine": true}'
        told.start()
        assert reason(transport, f"{server.url}/{page}") is Unreachable.TIMEOUT
        assert 0.6 < time.monotonic() - started < 5
        # nor is anything else that is asked from then on
        assert reason(transport, f"{server.url}/{page}") is Unreachable.TIMEOUT
        assert time.monotonic() - started < 8

    assert get(transport, f"{server.url}/a").body == b'{"fine": true}'


def test_whoever_cannot_be_asked_waits_no_more(
    server: _Server, transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> bool:
        raise RuntimeError("wrapped C/C++ object of type Task has been deleted")

    monkeypatch.setattr(connections_module, "UNWANTED_SECONDS", 0.2)
    with connections_module.wanted_unless(gone):
        assert reason(transport, f"{server.url}/drip") is Unreachable.TIMEOUT

    # others are still looked after
    monkeypatch.setattr(transport_module, "TOTAL_SECONDS", 0.4)
    assert reason(transport, f"{server.url}/drip") is Unreachable.TIMEOUT


def test_a_download_that_takes_for_ever(
    server: _Server, transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "PIECE_SECONDS", 0.4)
    request = HttpRequest("GET", f"{server.url}/drip")

    with pytest.raises(SiteUnreachable) as caught:
        transport.download(request, lambda head: lambda piece: None)

    assert caught.value.reason is Unreachable.TIMEOUT


def test_a_download_may_take_longer_than_an_answer(
    server: _Server, transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as it goes on: its pieces count, not the whole."""
    monkeypatch.setattr(transport_module, "TOTAL_SECONDS", 0.5)
    monkeypatch.setattr(transport_module, "PIECE_SECONDS", 0.5)
    body = bytearray()
    started = time.monotonic()

    transport.download(HttpRequest("GET", f"{server.url}/pieces"), lambda head: body.extend)

    assert len(body) == 120_000
    assert time.monotonic() - started > 0.6


def test_one_thread_watches_and_goes_when_there_is_nothing_to_watch(
    server: _Server, transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def watching() -> int:
        return sum(thread.name == "deadlines" for thread in threading.enumerate())

    monkeypatch.setattr(connections_module, "_IDLE_SECONDS", 0.05)
    for _ in range(20):
        get(transport, f"{server.url}/a")
        assert watching() <= 1

    # one that has gone to rest before looks up after the usual while only
    until = time.monotonic() + 10
    while watching() and time.monotonic() < until:
        time.sleep(0.02)
    assert watching() == 0
    monkeypatch.setattr(transport_module, "TOTAL_SECONDS", 0.3)
    assert reason(transport, f"{server.url}/drip") is Unreachable.TIMEOUT


def test_nobody_listens(transport: RequestsTransport) -> None:
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        assert reason(transport, f"http://127.0.0.1:{kept.getsockname()[1]}/") is (
            Unreachable.REFUSED
        )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "h" * 64])
def test_no_such_host(host: str, transport: RequestsTransport) -> None:
    assert reason(transport, f"http://{host}/") is Unreachable.NAME


def test_http_where_https_is_asked_for(server: _Server, transport: RequestsTransport) -> None:
    """That is no matter of certificates."""
    assert reason(transport, server.url.replace("http:", "https:")) is Unreachable.BROKEN


def test_a_netrc_file_is_not_read(
    server: _Server,
    transport: RequestsTransport,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password t0ps3cret\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    get(transport, f"{server.url}/a")

    assert "Authorization" not in server.seen[0][2]


def test_proxies_of_the_environment(
    server: _Server, transport: RequestsTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)

    get(transport, "http://maps.example/a")

    assert server.seen[0][1] == "http://maps.example/a"


def test_given_proxies_win_over_the_environment(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9")

    through = RequestsTransport({"http": server.url})
    get(through, "http://maps.example/a")
    directly = RequestsTransport({})
    get(directly, f"{server.url}/b")

    assert [path for _, path, _, _ in server.seen] == ["http://maps.example/a", "/b"]
    through.close()
    directly.close()


def test_a_proxy_that_is_not_there() -> None:
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        proxy = f"http://127.0.0.1:{kept.getsockname()[1]}"
        transport = RequestsTransport({"http": proxy})
        assert reason(transport, "http://maps.example/a") is Unreachable.PROXY
        transport.close()


@pytest.mark.parametrize("resets", [False, True], ids=["closes", "resets"])
def test_a_proxy_that_breaks_off_may_have_passed_the_request_on(resets: bool) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def break_off() -> None:
            connection, _ = proxy.accept()
            with connection:
                heard.append(connection.recv(65536))
                if resets:
                    linger = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

        thread = threading.Thread(target=break_off)
        thread.start()
        transport = RequestsTransport({"http": f"http://127.0.0.1:{proxy.getsockname()[1]}"})
        with pytest.raises(SiteUnreachable) as caught:
            transport.send(HttpRequest("POST", "http://maps.example/submitJob", {"a": "b"}))
        thread.join()
        transport.close()

    assert b"POST http://maps.example/submitJob" in heard[0]
    assert caught.value.reason is Unreachable.BROKEN
    assert may_have_arrived(caught.value)


def test_a_token_is_never_in_the_request_line(
    server: _Server, transport: RequestsTransport
) -> None:
    signed = Client(transport, server.url, FixedToken("t0ps3cret", server.url))

    assert signed.read(f"{server.url}/rest/services", {"a": "1"}) == {"fine": True}

    (method, path, headers, body) = server.seen[0]
    assert (method, path) == ("POST", "/rest/services")
    assert "t0ps3cret" not in json.dumps(headers)
    assert "token=t0ps3cret" in body


def test_names_of_all_scripts_can_be_sent(server: _Server, transport: RequestsTransport) -> None:
    get(transport, f"{server.url}/rest/services/Łódź/MapServer")

    assert server.seen[0][1] == "/rest/services/%C5%81%C3%B3d%C5%BA/MapServer"
