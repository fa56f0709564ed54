"""A site that goes away while something is got from it: told soon, and over after a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable

import pytest

from tile_cache_manager.plugin.core.arcgis.client import Client, Repeats
from tile_cache_manager.plugin.core.arcgis.downloads import download
from tile_cache_manager.plugin.core.arcgis.jobs import Job, Pace, follow
from tile_cache_manager.plugin.core.arcgis.patience import PatientTransport
from tile_cache_manager.plugin.core.arcgis.remote_files import RemoteFile
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport
from tile_cache_manager.plugin.core.errors import (
    JobLost,
    SiteSilent,
    SiteUnreachable,
    Unreachable,
)
from tile_cache_manager.plugin.core.request import Feedback, Message

PATIENCE, TELL_AFTER = 1.5, 0.2
REPEATS = Repeats(times=3, first_seconds=0.01, longest_seconds=0.02)


class _Stuck(BaseHTTPRequestHandler):
    """Takes requests, and answers none of them until told to."""

    def do_GET(self) -> None:
        self.server.speak.wait()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def stuck() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stuck)
    server.daemon_threads = True
    server.speak = threading.Event()  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.speak.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


class Listener:
    """Keeps messages, and when the first of them came."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.messages: list[Message] = []
        self.first = 0.0

    def hear(self, message: Message) -> None:
        self.first = self.first or time.monotonic() - self.begun
        self.messages.append(message)

    @property
    def silences(self) -> list[SiteSilent]:
        return [each.error for each in self.messages if isinstance(each.error, SiteSilent)]


def client_of(server: Any, listener: Listener) -> Client:
    transport = PatientTransport(RequestsTransport(), listener.hear, PATIENCE, TELL_AFTER)
    return Client(transport, f"http://127.0.0.1:{server.server_port}/arcgis", repeats=REPEATS)


def a_job(client: Client, folder: Path) -> None:
    job = Job(f"{client.own_url('/jobs/j1')}", "j1", client)
    follow(job, Feedback(), Pace(first=0.01, longest=0.02, patience=PATIENCE), lambda state: None)


def a_download(client: Client, folder: Path) -> None:
    url = client.own_url("/arcgis/directories/out.tpkx")
    download(client, RemoteFile(url, "out.tpkx", None, "Streets"), folder / "out.tpkx")


def a_tile(client: Client, folder: Path) -> None:
    client.fetch(client.own_url("/arcgis/rest/services/A/MapServer/tile/1/0/0"))


@pytest.mark.parametrize("got", [a_job, a_download, a_tile])
def test_a_site_that_says_nothing_is_told_at_once_and_over_after_a_while(
    got: Callable[[Client, Path], None], stuck: Any, tmp_path: Path
) -> None:
    listener = Listener()

    with pytest.raises((SiteUnreachable, JobLost)):
        got(client_of(stuck, listener), tmp_path)

    assert 0 < listener.first < PATIENCE
    assert len(listener.silences) == 1
    assert listener.silences[0].patience == PATIENCE
    assert time.monotonic() - listener.begun < 3 * PATIENCE


def test_tiles_of_a_site_that_is_gone_fail_without_waiting_once_patience_is_over(
    stuck: Any, tmp_path: Path
) -> None:
    listener = Listener()
    client = client_of(stuck, listener)
    failures = 0
    while time.monotonic() - listener.begun < PATIENCE + 0.5:
        with pytest.raises(SiteUnreachable):
            a_tile(client, tmp_path)
        failures += 1

    before = time.monotonic()
    with pytest.raises(SiteUnreachable):
        a_tile(client, tmp_path)
    assert time.monotonic() - before < PATIENCE / 3
    assert len(listener.silences) == 1


def test_a_site_that_refuses_is_told_and_one_that_speaks_again_is_heard(stuck: Any) -> None:
    listener, tries = Listener(), []

    class Flaky:
        def send(self, request: Any) -> Any:
            tries.append(request.url)
            if len(tries) in (1, 3):
                raise SiteUnreachable(request.url, Unreachable.REFUSED)
            return RequestsTransport().send(request)

    stuck.speak.set()
    transport = PatientTransport(Flaky(), listener.hear, PATIENCE, TELL_AFTER)
    site = f"http://127.0.0.1:{stuck.server_port}/arcgis"
    client = Client(transport, site, repeats=REPEATS)
    client.read(f"{site}/rest")
    client.read(f"{site}/rest")

    assert len(tries) == 4
    assert [each.cause.reason for each in listener.silences] == [Unreachable.REFUSED] * 2
