"""Downloads of any size that survive broken connections, and go on in a later run.

HTTP ranges (RFC 9110, 14): `Range` asks for the rest, `If-Range` for all of it where the file has
changed meanwhile; a server that knows no ranges sends all of it anyway.
"""

from __future__ import annotations

import json
import queue
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Union

from ..errors import (
    BadPackage,
    BadPackageReason,
    NotArcGIS,
    SiteError,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
)
from ..esri_json import mapping, text, whole
from ..request import Feedback
from ..storage.files import make_folders, put_in_place, storage_errors, write_whole
from .client import Client, wait
from .download_limit import DownloadLimit
from .envelope import NOT_IN_RANGE, is_busy
from .remote_files import RemoteFile
from .transport import HttpResponse, Taker

PART = ".part"
"""What is put behind the target's name until it is whole."""
ABOUT = ".part.json"
"""And for what is known of the file: by that, a later run goes on."""

_TEXTS = (".json", ".xml", ".cdi", ".txt", ".html", ".htm")
"""Files that may well begin as an error in place of a file does."""
_SIZE = r"\d{1,18}"
_CONTENT_RANGE = re.compile(rf"bytes\s+(?:({_SIZE})-({_SIZE})|\*)/(?:({_SIZE})|\*)", re.ASCII)
_LISTEN = 0.1  # seconds between two looks whether the download was cancelled
_QUEUED = 64  # chunks that wait to be written
_PASSING = frozenset(
    {Unreachable.NAME, Unreachable.REFUSED, Unreachable.TIMEOUT, Unreachable.BROKEN}
)


def download(
    client: Client,
    file: RemoteFile,
    target: Path,
    feedback: Feedback | None = None,
    told: Callable[[int], None] = lambda done: None,
) -> int:
    """Download `file` to `target`, which is there whole or not at all; give the bytes received.

    These came over the network in this call. `told`: how many bytes of the file are here by now.
    What an earlier call left of the same file is gone on with. A broken connection is tried again
    as the client repeats requests, and each time from the start of the count where it brought
    bytes. Once cancelled or abandoned, it ends within a moment, without `target`.

    Raises SiteUnreachable, SiteRefused, NotArcGIS (words in place of the file), SignInFailed,
    BadPackage (another size than told), DiskFull, ReadOnlyCache, TargetProblem.
    """
    make_folders(target.parent)
    return _Download(client, file, target, feedback or Feedback(), told).run()


@dataclass(frozen=True)
class _About:
    """What is known of the file of which a part is here. `size` in bytes of all of it."""

    address: str
    size: int | None = None
    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, file: RemoteFile, head: HttpResponse, size: int | None) -> _About:
        etag = head.headers.get("etag", "")
        modified = head.headers.get("last-modified", "")
        return cls(file.address, size, "" if etag.startswith("W/") else etag, modified)

    @classmethod
    def read(cls, path: Path) -> _About | None:
        try:
            body = mapping(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None
        return cls(
            text(body.get("address")),
            whole(body.get("size")),
            text(body.get("etag")),
            text(body.get("modified")),
        )

    def write(self, path: Path) -> None:
        write_whole(path, json.dumps(vars(self)).encode())


class _Download:
    """One call of `download`."""

    def __init__(
        self,
        client: Client,
        file: RemoteFile,
        target: Path,
        feedback: Feedback,
        told: Callable[[int], None],
    ) -> None:
        self._client, self._file, self._target = client, file, target
        self._feedback, self._told = feedback, told
        self._part = target.with_name(target.name + PART)
        self._about_path = target.with_name(target.name + ABOUT)
        self._about: _About | None = None
        self._limit = DownloadLimit(target)
        self._url = file.url
        self._received = 0
        self._has_answered = False
        self._moved_for: SiteUnreachable | None = None

    def run(self) -> int:
        self._take_up()
        farthest, attempt = self._here(), 0
        while not self._is_stopped():
            error = self._try()
            if error is None or self._is_stopped():
                break
            if self._here() > farthest:
                farthest, attempt = self._here(), 0
            if not _is_passing(error) or attempt >= self._client.repeats.times:
                raise error
            wait(self._client.repeats.pause_after(attempt, None), self._is_stopped)
            attempt += 1
        return self._received

    def _try(self) -> SiteError | None:
        """One try to get what is missing; why it failed, None where all is here, or stopped."""
        try:
            if self._is_whole() or self._get():
                self._finish()
                return None
            return self._broken()
        except (SiteUnreachable, SiteRefused, NotArcGIS) as error:
            if self._moved_for is not None and not self._has_answered:
                # where the site said the file was is what people should hear of, and may yet be
                self._url = self._file.url
                return self._moved_for
            if isinstance(error, SiteUnreachable) and self._may_move():
                self._moved_for = error
                return self._try()
            return error

    def _broken(self) -> SiteUnreachable:
        return SiteUnreachable(self._file.address, Unreachable.BROKEN)

    def _take_up(self) -> None:
        """Go on with what an earlier call left, where it is of the same file."""
        about = _About.read(self._about_path)
        size = self._file.size
        if about is not None and about.address == self._file.address:
            is_alike = size is None or about.size is None or about.size == size
            self._about = about if is_alike else None
        self._told(self._here())

    def _here(self) -> int:
        """Bytes of the file that are here."""
        if self._about is None:
            return 0
        try:
            return self._part.stat().st_size
        except OSError:
            return 0

    def _is_whole(self) -> bool:
        """Whether nothing is left to be got; not where nobody told how much there is."""
        return self._about is not None and self._here() == self._about.size

    def _is_stopped(self) -> bool:
        return self._feedback.cancelled() or self._feedback.abandoned()

    def _may_move(self) -> bool:
        """Turn to the site itself where it told a host that nobody reaches."""
        own = self._client.own_url(self._url)
        if self._has_answered or self._client.is_own(self._url) or own == self._url:
            return False
        self._url = own
        return True

    def _get(self) -> bool:
        """Get what is missing; whether all is here then. Raises SiteError, StorageError."""
        start = self._here()
        with ExitStack() as stack, storage_errors(self._target):
            flow = _Flow(self._client, self._url, self._headers(start), self._is_binary)
            stack.callback(flow.stop)
            output: BinaryIO | None = None
            for item in flow.pieces(self._is_stopped):
                if isinstance(item, HttpResponse):
                    output = stack.enter_context(self._opened(item, start))
                elif output is not None:
                    output.write(item)
                    self._received += len(item)
                    self._told(output.tell())
                    self._check_here(output.tell())
                    self._limit.look(len(item))
        return self._judge_end(flow.end)

    @property
    def _is_binary(self) -> bool:
        return not self._file.name.lower().endswith(_TEXTS)

    def _headers(self, start: int) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity"}  # offsets in what is packed are none in the file
        if start and self._about is not None:
            headers["Range"] = f"bytes={start}-"
            unchanged = self._about.etag or self._about.modified
            if unchanged:
                headers["If-Range"] = unchanged
        return headers

    def _opened(self, head: HttpResponse, start: int) -> BinaryIO:
        """The part's file, ready to take what comes behind `head`. Raises BadPackage."""
        self._has_answered = True
        if head.headers.get("content-encoding", "identity").lower() != "identity":
            damaged = BadPackageReason.DAMAGED
            raise BadPackage(self._file.service, damaged, "compressed on its way")
        begin, size = _place(head)
        self._check_size(size)
        self._limit.check_room((size or self._file.size or 0) - begin)
        if head.status == 206 and self._about is not None:
            known = self._about.size
            if begin != start or (None not in (known, size) and known != size):
                # not the rest of what is here
                self._forget()
                raise self._broken()
            return self._part.open("ab")
        about = _About.of(self._file, head, size if size is not None else self._file.size)
        output = self._part.open("wb")
        try:
            about.write(self._about_path)
        except BaseException:
            output.close()
            raise
        self._about = about
        return output

    def _judge_end(self, head: HttpResponse | None) -> bool:
        """Whether the file is whole, after an answer that came to its end, or was stopped."""
        if head is None:
            return False
        here, size = self._here(), self._about.size if self._about else None
        if head.status == NOT_IN_RANGE:
            # what is here is not the beginning of what is there; unless it is all of that
            there = _place(head)[1]
            self._check_size(there)
            if here and there == here and size in (None, here):
                return True
            self._forget()
            return False
        if self._about is None:
            self._begin_empty(head)
            here, size = 0, self._file.size
        self._check_here(here)
        return size is None or here == size

    def _check_here(self, here: int) -> None:
        """Raises BadPackage where more is here than the file was told to have."""
        size = self._about.size if self._about else None
        if size is not None and here > size:
            self._forget()
            raise BadPackage(self._file.service, BadPackageReason.SIZE, f"{here} bytes, not {size}")

    def _check_size(self, size: int | None) -> None:
        """Raises BadPackage where the file has another `size` than was told before."""
        told = self._file.size
        if size is not None and told is not None and size != told:
            detail = f"{size} bytes, not {told}"
            raise BadPackage(self._file.service, BadPackageReason.SIZE, detail)

    def _begin_empty(self, head: HttpResponse) -> None:
        """A file of no bytes has no piece that begins it."""
        with storage_errors(self._target), self._opened(head, 0):
            return

    def _forget(self) -> None:
        """Begin anew."""
        self._about = None
        for path in (self._about_path, self._part):
            with suppress(OSError):
                path.unlink()

    def _finish(self) -> None:
        put_in_place(self._part, self._target)
        with storage_errors(self._target):
            self._about_path.unlink()


_Piece = Union[HttpResponse, bytes]


@dataclass(frozen=True)
class _End:
    """The download's end: its `head`, or the `error` that ended it."""

    head: HttpResponse | None = None
    error: BaseException | None = None


class _Stopped(Exception):
    """Ends a download in its own thread."""


class _Flow:
    """One answer, read in a thread of its own: whoever waits for it can still be cancelled.

    A thread that waits for a site that says nothing is left to itself, until the time-out.
    """

    def __init__(
        self, client: Client, url: str, headers: Mapping[str, str], is_binary: bool
    ) -> None:
        self._client, self._url, self._headers, self._is_binary = client, url, headers, is_binary
        self._queue: queue.Queue[_Piece | _End] = queue.Queue(_QUEUED)
        self._stop = threading.Event()
        self.end: HttpResponse | None = None

    def pieces(self, is_stopped: Callable[[], bool]) -> Iterator[_Piece]:
        """Head, then pieces of the body; `end` is set once all have come.

        Ends early once stopped. Raises SiteError.
        """
        threading.Thread(target=self._run, name="download", daemon=True).start()
        while not is_stopped():
            try:
                item = self._queue.get(timeout=_LISTEN)
            except queue.Empty:
                continue
            if not isinstance(item, _End):
                yield item
                continue
            if item.error is not None:
                raise item.error
            self.end = item.head
            return

    def stop(self) -> None:
        """Have the thread end as soon as it can."""
        self._stop.set()

    def _run(self) -> None:
        try:
            head = self._client.download(
                self._url, self._receive, self._headers, is_binary=self._is_binary
            )
        except _Stopped:
            return
        except BaseException as error:  # raised where it is waited for
            self._put_end(_End(error=error))
        else:
            self._put_end(_End(head))

    def _receive(self, head: HttpResponse) -> Taker:
        self._put(head)
        return self._put

    def _put(self, item: _Piece | _End) -> None:
        while not self._stop.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=_LISTEN)
                return
        raise _Stopped

    def _put_end(self, end: _End) -> None:
        with suppress(_Stopped):
            self._put(end)


def _place(head: HttpResponse) -> tuple[int, int | None]:
    """Where in the file an answer begins, and how long that is: in bytes, None: not told."""
    if head.status == 200:
        length = head.headers.get("content-length", "")
        return 0, int(length) if re.fullmatch(_SIZE, length, re.ASCII) else None
    found = _CONTENT_RANGE.fullmatch(head.headers.get("content-range", "").strip().lower())
    if found is None:
        return -1, None
    begin, _, size = found.groups()
    return int(begin) if begin else 0, int(size) if size else None


def _is_passing(error: SiteError) -> bool:
    if isinstance(error, SiteUnreachable):
        return error.reason in _PASSING
    return isinstance(error, SiteRefused) and is_busy(error)
