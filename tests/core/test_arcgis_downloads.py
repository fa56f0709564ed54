"""Downloads from a small server on loopback that breaks off, forgets ranges, changes files."""

from __future__ import annotations

import gc
import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from scripted_site import SITE, AnsweringSite, answer, error, html, quick_client

from tile_cache_manager.plugin.core.arcgis import download_limit, downloads, transport
from tile_cache_manager.plugin.core.arcgis.client import Client, Repeats
from tile_cache_manager.plugin.core.arcgis.credentials import FixedToken
from tile_cache_manager.plugin.core.arcgis.downloads import download
from tile_cache_manager.plugin.core.arcgis.remote_files import RemoteFile
from tile_cache_manager.plugin.core.arcgis.transport import HttpResponse, RequestsTransport
from tile_cache_manager.plugin.core.errors import (
    BadPackage,
    BadPackageReason,
    DiskFull,
    NotAllowed,
    NotArcGIS,
    NotFound,
    SignInNeeded,
    SiteUnreachable,
    TargetProblem,
    Unreachable,
)
from tile_cache_manager.plugin.core.request import Feedback

QUICK = Repeats(times=2, first_seconds=0.001, longest_seconds=0.002)
CONTENT = b"PK\x03\x04" + random.Random(1).randbytes(300_000)
OTHER = b"PK\x03\x04" + random.Random(2).randbytes(200_000)


class _Site(ThreadingHTTPServer):
    """Serves `content` below any path. `cuts`: how many bytes each answer brings; then all of it.

    `etag`, `modified`: validators, "" for none. `has_ranges`; `tells_length`; `is_stuck`: says
    nothing after the cut. `seen`: headers of each request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.etag, self.modified = CONTENT, '"a"', ""
        self.cuts: list[int] = []
        self.has_ranges = self.tells_length = True
        self.is_stuck = False
        self.speak = threading.Event()
        self.seen: list[dict[str, str]] = []
        self.lines: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/arcgis"

    @property
    def ranges(self) -> list[str]:
        """What the requests asked for."""
        return [headers.get("Range", "all") for headers in self.seen]

    def handle_error(self, *args: Any) -> None:
        """A client that goes away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Site

    def do_GET(self) -> None:
        site = self.server
        site.seen.append(dict(self.headers))
        site.lines.append(self.requestline)
        begin = self._begin()
        if begin is not None and begin >= len(site.content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(site.content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._head(begin)
        body = site.content[begin or 0 :]
        cut = site.cuts.pop(0) if site.cuts else len(body)
        self.wfile.write(body[:cut])
        self.wfile.flush()
        if site.is_stuck:
            site.speak.wait(20)
        self.close_connection = True

    def _begin(self) -> int | None:
        """Where the part that is asked for begins; None for all."""
        asked, unless = self.headers.get("Range"), self.headers.get("If-Range")
        is_changed = unless not in (None, self.server.etag, self.server.modified)
        if not asked or is_changed or not self.server.has_ranges:
            return None
        return int(asked[len("bytes=") : -1])

    def _head(self, begin: int | None) -> None:
        size = len(self.server.content)
        self.send_response(200 if begin is None else 206)
        if begin is not None:
            self.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        if self.server.tells_length:
            self.send_header("Content-Length", str(size - (begin or 0)))
        for name, value in (("ETag", self.server.etag), ("Last-Modified", self.server.modified)):
            if value:
                self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Site]:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with _Site() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.speak.set()
        running.shutdown()
        thread.join()


@pytest.fixture
def client(site: _Site) -> Iterator[Client]:
    made = RequestsTransport()
    yield Client(made, site.url, repeats=QUICK)
    made.close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "packages" / "Town.tpkx"


def file_of(site: _Site, **fields: Any) -> RemoteFile:
    return RemoteFile(
        **{"url": f"{site.url}/out/Town.tpkx", "name": "Town.tpkx", "service": "Town", **fields}
    )


def beside(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_all_at_once(site: _Site, client: Client, target: Path) -> None:
    told: list[int] = []

    received = download(client, file_of(site, size=len(CONTENT)), target, None, told.append)

    assert target.read_bytes() == CONTENT
    assert received == told[-1] == len(CONTENT)
    assert told == sorted(told)
    assert beside(target) == ["Town.tpkx"]
    assert site.seen[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("etag", ['"a"', ""])
@pytest.mark.parametrize("modified", ["Wed, 21 Oct 2015 07:28:00 GMT", ""])
def test_cut_ten_times(etag: str, modified: str, site: _Site, client: Client, target: Path) -> None:
    """Each try brings some bytes, so that two tries without any are never reached."""
    site.etag, site.modified = etag, modified
    site.cuts = [1, 30_000, 20_000, 5, 16_384, 16_385, 40_000, 1000, 50_000, 7]

    received = download(client, file_of(site), target)

    assert target.read_bytes() == CONTENT
    assert received == len(CONTENT)
    starts, here = ["all"], 0
    for cut in [1, 30_000, 20_000, 5, 16_384, 16_385, 40_000, 1000, 50_000, 7]:
        here += cut
        starts.append(f"bytes={here}-")
    assert site.ranges == starts
    assert [headers.get("If-Range", "") for headers in site.seen[1:]] == [etag or modified] * 10


def test_a_line_that_brings_nothing(site: _Site, client: Client, target: Path) -> None:
    site.cuts = [1000, 0, 0, 0, 0]

    with pytest.raises(SiteUnreachable) as caught:
        download(client, file_of(site), target)

    assert caught.value.reason is Unreachable.BROKEN
    # the one that brought bytes is followed by as many repeats as the client makes, and no more
    assert site.ranges == ["all", "bytes=1000-", "bytes=1000-"]
    assert beside(target) == ["Town.tpkx.part", "Town.tpkx.part.json"]


def test_a_later_run_goes_on(site: _Site, client: Client, target: Path) -> None:
    site.cuts = [123_456, 0, 0, 0]
    with pytest.raises(SiteUnreachable):
        download(client, file_of(site), target)
    site.cuts, site.seen = [], []

    received = download(client, file_of(site), target)

    assert target.read_bytes() == CONTENT
    assert received == len(CONTENT) - 123_456
    assert site.ranges == ["bytes=123456-"]


@pytest.mark.parametrize("changed", ["address", "etag", "size", "record"])
def test_a_later_run_finds_another_file(
    changed: str, site: _Site, client: Client, target: Path
) -> None:
    site.cuts = [123_456, 0, 0, 0]
    with pytest.raises(SiteUnreachable):
        download(client, file_of(site), target)
    site.cuts, site.content = [], OTHER
    file = file_of(site)
    if changed == "address":
        file = replace(file, url=f"{site.url}/later/Town.tpkx")
    elif changed == "etag":
        site.etag = '"b"'
    elif changed == "size":
        file = replace(file, size=len(OTHER))
    else:
        (target.parent / "Town.tpkx.part.json").write_text("[", encoding="utf-8")

    assert download(client, file, target) == len(OTHER)
    assert target.read_bytes() == OTHER


def test_another_file_with_no_sign_of_it_but_its_size(
    site: _Site, client: Client, target: Path
) -> None:
    site.etag = ""
    site.cuts = [50_000, 0, 0, 0]
    with pytest.raises(SiteUnreachable):
        download(client, file_of(site), target)
    site.cuts, site.content = [], OTHER

    download(client, file_of(site), target)

    assert target.read_bytes() == OTHER
    assert site.ranges[-2:] == ["bytes=50000-", "all"]


def test_a_server_without_ranges(site: _Site, client: Client, target: Path) -> None:
    site.has_ranges = False
    site.cuts = [1000, 200_000, 250_000]

    received = download(client, file_of(site), target)

    assert target.read_bytes() == CONTENT
    assert received == 451_000 + len(CONTENT)


def test_a_server_without_ranges_that_always_breaks_there(
    site: _Site, client: Client, target: Path
) -> None:
    """Bytes that came before are none that bring it forward."""
    site.has_ranges = False
    site.cuts = [1000] * 20

    with pytest.raises(SiteUnreachable):
        download(client, file_of(site), target)

    assert len(site.seen) == 1 + QUICK.times


def test_no_length_told(site: _Site, client: Client, target: Path) -> None:
    site.tells_length = False

    download(client, file_of(site), target)

    assert target.read_bytes() == CONTENT


def test_no_length_told_and_cut(site: _Site, client: Client, target: Path) -> None:
    """Then the listing's size tells that it is not all."""
    site.tells_length = False
    site.cuts = [1000, 2000]

    download(client, file_of(site, size=len(CONTENT)), target)

    assert target.read_bytes() == CONTENT
    assert site.ranges == ["all", "bytes=1000-", "bytes=3000-"]


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1])
@pytest.mark.parametrize("tells_length", [True, False])
def test_another_size_than_listed(
    size: int, tells_length: bool, site: _Site, client: Client, target: Path
) -> None:
    site.tells_length = tells_length
    site.etag = ""

    with pytest.raises(BadPackage) as caught:
        download(client, file_of(site, size=size), target)

    assert (caught.value.reason, caught.value.service) == (BadPackageReason.SIZE, "Town")
    assert not target.exists()


def test_all_was_here_but_its_name(site: _Site, client: Client, target: Path) -> None:
    """As after a run that was killed at the last moment."""
    file = file_of(site)
    target.parent.mkdir()
    (target.parent / "Town.tpkx.part").write_bytes(CONTENT)
    about = {"address": file.address, "size": len(CONTENT), "etag": '"a"', "modified": ""}
    (target.parent / "Town.tpkx.part.json").write_text(json.dumps(about), encoding="utf-8")

    assert download(client, file, target) == 0
    assert (target.read_bytes(), site.seen) == (CONTENT, [])


@pytest.mark.parametrize(("extra", "asked"), [(b"", 1), (b"more", 2)])
def test_more_is_asked_for_than_there_is(
    extra: bytes, asked: int, site: _Site, client: Client, target: Path
) -> None:
    """HTTP 416: the part is all of the file, or none of it."""
    file = file_of(site)
    target.parent.mkdir()
    (target.parent / "Town.tpkx.part").write_bytes(CONTENT + extra)
    about = {"address": file.address, "size": None, "etag": '"a"', "modified": ""}
    (target.parent / "Town.tpkx.part.json").write_text(json.dumps(about), encoding="utf-8")

    download(client, file, target)

    assert (target.read_bytes(), len(site.seen)) == (CONTENT, asked)


@pytest.mark.parametrize("size", ["9" * 5000, "-3", "1.5", "\u0663"])
def test_a_size_that_is_none(size: str) -> None:
    whole = HttpResponse("https://x/a.tpkx", 200, {"content-length": size}, b"")
    rest = HttpResponse("https://x/a.tpkx", 206, {"content-range": f"bytes 5-9/{size}"}, b"")
    assert downloads._place(whole) == (0, None)
    assert downloads._place(rest) == (-1, None)


def test_an_empty_file(site: _Site, client: Client, target: Path) -> None:
    site.content = b""

    assert download(client, file_of(site), target) == 0
    assert target.read_bytes() == b""


def test_what_was_there_is_replaced_at_the_end_only(
    site: _Site, client: Client, target: Path
) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    site.cuts = [1000, 0, 0, 0]
    with pytest.raises(SiteUnreachable):
        download(client, file_of(site), target)
    assert target.read_bytes() == b"old"

    download(client, file_of(site), target)

    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("how", ["cancelled", "abandoned"])
def test_stopped_while_the_site_says_nothing(
    how: str, site: _Site, client: Client, target: Path
) -> None:
    site.cuts, site.is_stuck = [100_000], True
    told: list[int] = []
    stopped: list[float] = []

    def is_stopped() -> bool:
        if told and told[-1] >= 98_304:
            stopped[:] = stopped or [time.monotonic()]
        return bool(stopped)

    feedback = Feedback(**{how: is_stopped})
    received = download(client, file_of(site), target, feedback, told.append)

    assert time.monotonic() - stopped[0] < 0.2
    assert 98_304 <= received <= 100_000
    assert beside(target) == ["Town.tpkx.part", "Town.tpkx.part.json"]


def test_a_site_that_falls_silent(
    site: _Site, client: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each part of the answer has its time, not the whole of it; and then it goes on."""
    monkeypatch.setattr(transport, "READ_SECONDS", 0.2)
    site.cuts, site.is_stuck = [100_000], True
    original = downloads.wait

    def speak(*args: Any) -> None:
        site.is_stuck = False
        original(*args)

    monkeypatch.setattr(downloads, "wait", speak)

    download(client, file_of(site), target)

    assert target.read_bytes() == CONTENT


def test_memory_does_not_hold_it(
    site: _Site, client: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer is read whole, however large it is."""
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 1000)

    download(client, file_of(site), target)

    assert target.read_bytes() == CONTENT


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk(site: _Site, client: Client, target: Path) -> None:
    target.parent.mkdir()
    (target.parent / "Town.tpkx.part").symlink_to("/dev/full")

    with pytest.raises(DiskFull):
        download(client, file_of(site), target)


def test_a_record_that_cannot_be_written_leaves_no_file_open(
    site: _Site, client: Client, target: Path
) -> None:
    (target.parent / "Town.tpkx.part.json").mkdir(parents=True)

    with pytest.raises(TargetProblem):
        download(client, file_of(site), target)

    gc.collect()  # would tell of it
    assert not target.exists()


# What comes in place of a file; these sites answer from memory


def got(reply: Any, tmp_path: Path, sign_in: Any = None, name: str = "Town.tpkx") -> bytes:
    script = AnsweringSite({f"/out/{name}": reply})
    file = RemoteFile(f"{SITE}/out/{name}", name, service="Town")
    download(quick_client(script, sign_in), file, tmp_path / name)
    return (tmp_path / name).read_bytes()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (html(), NotArcGIS),
        (answer("  \n<!DOCTYPE html><html>"), NotArcGIS),
        (answer("\ufeff<html>"), NotArcGIS),
        (html(404), NotFound),
        (html(500), NotArcGIS),
        (error(404, "no such file"), NotFound),
        (error(499, "Token Required"), SignInNeeded),
        (error(403, "no"), SignInNeeded),
        (answer("", 403), SignInNeeded),
        (answer({"a": 1}), NotArcGIS),
        (answer("{ no JSON"), NotArcGIS),
    ],
)
def test_words_in_place_of_a_file(reply: Any, expected: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(expected):
        got(reply, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_right_to_a_file(tmp_path: Path) -> None:
    with pytest.raises(NotAllowed):
        got(answer("", 403), tmp_path, FixedToken("t0ps3cret"))


def test_files_that_begin_as_words_do(tmp_path: Path) -> None:
    assert got(answer("<CacheInfo/>"), tmp_path, name="conf.xml") == b"<CacheInfo/>"
    assert got(answer('{"version": 1}'), tmp_path, name="root.json") == b'{"version": 1}'


def test_a_busy_site_is_asked_again(tmp_path: Path) -> None:
    assert got([error(503, "busy"), answer("", 429), answer("PK")], tmp_path) == b"PK"


def test_compressed_on_its_way(tmp_path: Path) -> None:
    with pytest.raises(BadPackage) as caught:
        got(answer("PK", headers={"content-encoding": "gzip"}), tmp_path)
    assert caught.value.reason is BadPackageReason.DAMAGED


# A site behind another name than it knows itself


class _TwoHosts(AnsweringSite):
    """The site, and an inner name of it that nobody outside can reach."""

    def send(self, request: Any) -> Any:
        if request.url.startswith("https://inner"):
            self.asked.append((request.url, dict(request.headers)))
            raise SiteUnreachable(request.url, Unreachable.NAME)
        self.asked.append((request.url, dict(request.headers)))
        return super().send(request)


@pytest.mark.parametrize("context", ["/arcgis", "/server"])
def test_a_host_that_only_the_site_itself_reaches(context: str, tmp_path: Path) -> None:
    path = "/rest/directories/out/Town.tpkx"
    script = _TwoHosts({path: answer("PK")})
    file = RemoteFile(f"https://inner:6443{context}{path}", "Town.tpkx", service="Town")

    download(quick_client(script, FixedToken("t0ps3cret")), file, tmp_path / "Town.tpkx")

    assert (tmp_path / "Town.tpkx").read_bytes() == b"PK"
    (inner, headers), (own, own_headers) = script.asked[:2]
    assert inner == file.url
    assert "t0ps3cret" not in json.dumps(headers)
    assert own == SITE + path
    assert own_headers["X-Esri-Authorization"] == "Bearer t0ps3cret"


def test_a_host_that_nobody_reaches(tmp_path: Path) -> None:
    """The site does not have it either: people hear of the host that it named."""
    file = RemoteFile("https://inner/out/Town.tpkx", "Town.tpkx", service="Town")

    with pytest.raises(SiteUnreachable) as caught:
        download(quick_client(_TwoHosts({})), file, tmp_path / "Town.tpkx")

    assert caught.value.url == file.url


def test_a_host_that_nobody_reaches_just_now(tmp_path: Path) -> None:
    """Once the site has shown that it does not have the file itself, the other host is it."""

    class Passing(_TwoHosts):
        def send(self, request: Any) -> Any:
            if len(self.asked) > 2 and request.url.startswith("https://inner"):
                return answer("PK")
            return super().send(request)

    file = RemoteFile("https://inner/out/Town.tpkx", "Town.tpkx", service="Town")
    download(quick_client(Passing({})), file, tmp_path / "Town.tpkx")

    assert (tmp_path / "Town.tpkx").read_bytes() == b"PK"


def test_a_file_that_would_fill_the_disk_is_not_begun(
    site: _Site, client: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_limit, "reserve_of", lambda path: 1000)
    monkeypatch.setattr(download_limit, "free_bytes", lambda path: len(CONTENT) + 999)

    with pytest.raises(DiskFull) as caught:
        download(client, file_of(site), target)

    assert (caught.value.needed, caught.value.free) == (len(CONTENT), len(CONTENT) - 1)
    assert not target.exists()
    assert not (target.parent / "Town.tpkx.part").exists()


def test_a_file_without_an_end_leaves_room_on_the_disk(
    site: _Site, client: Client, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not told to have a size may have any."""
    site.tells_length, site.content = False, bytes(4_000_000)
    part = target.parent / "Town.tpkx.part"
    monkeypatch.setattr(download_limit, "_BYTES", 100_000)
    monkeypatch.setattr(download_limit, "reserve_of", lambda path: 1000)
    monkeypatch.setattr(
        download_limit,
        "free_bytes",
        lambda path: 1_001_000 - part.stat().st_size if part.exists() else 1_001_000,
    )

    with pytest.raises(DiskFull):
        download(client, file_of(site, size=None), target)

    assert not target.exists()
    assert part.stat().st_size <= 1_100_000


def test_more_than_was_told_is_not_taken(site: _Site, client: Client, target: Path) -> None:
    site.tells_length, site.content = False, bytes(4_000_000)
    received: list[int] = []

    with pytest.raises(BadPackage) as caught:
        download(client, file_of(site, size=100_000), target, told=received.append)

    assert caught.value.reason is BadPackageReason.SIZE
    assert max(received) < 200_000
    assert not target.exists()
