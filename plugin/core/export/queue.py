"""Exports of several services, one after the other; run again, only what is not done yet is done.

What is done is written down in `.tile_cache_manager/exports.json` of the folder of the targets: for
each target a digest of what was exported into it, and its size. Nothing secret goes there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..arcgis.address import public_address
from ..arcgis.credentials import SignIn
from ..arcgis.transport import Transport
from ..cache import open_cache
from ..coverage import Area
from ..description import CacheDescription
from ..errors import StorageError, TileCacheError
from ..level_areas import area_at
from ..request import Feedback, Message, Outcome, Severity
from ..storage.files import storage_errors, write_whole
from ..storage.sidecar import NAME
from ..storage.small_files import read_small
from .copying import size_of
from .package_names import target_names as target_names
from .parts import digest_of
from .request import ExportReport, ExportRequest, Pixels, QueueItemReport, QueueReport
from .run import run_export

RECORD = "exports.json"
VERSION = 1

_LARGEST = 16 * 1024 * 1024  # bytes of the record
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class _Done:
    """What was exported into a target, by its `digest`, and how many bytes that then had."""

    digest: str
    size: int


@dataclass(frozen=True)
class QueueItem:
    """One export of a queue: of the cache at `address`, to `target`.

    `make_request`: what to export, once the cache has described itself; its own target does not
    count. Called off the main thread; may raise TileCacheError. `sign_in`: for its site.
    """

    address: str
    target: Path
    make_request: Callable[[CacheDescription], ExportRequest]
    sign_in: SignIn | None = field(default=None, repr=False)


def run_queue(
    items: Sequence[QueueItem],
    folder: Path,
    feedback: Feedback,
    *,
    pixels: Pixels,
    transport: Transport | None = None,
) -> QueueReport:
    """Carry out `items`, one after the other, and keep in `folder` which of them are done.

    The error of one does not stop the others; it is in its report, and told. What an earlier run
    finished, just so, and lies there still, is not done again. Cancelled, it keeps what is done.
    Raises StorageError where `folder` cannot be written.
    """
    return _Queue(items, folder, feedback, pixels, transport).run()


class _Queue:
    """One run of a queue."""

    def __init__(
        self,
        items: Sequence[QueueItem],
        folder: Path,
        feedback: Feedback,
        pixels: Pixels,
        transport: Transport | None,
    ) -> None:
        self._items, self._feedback = items, feedback
        self._pixels, self._transport = pixels, transport
        self._folder, self._file = folder, folder / NAME / RECORD
        self._done = _read(self._file)

    def run(self) -> QueueReport:
        # Before anything is fetched, for a folder that cannot be written is of no use.
        self._write()
        reports: list[QueueItemReport] = []
        for index, item in enumerate(self._items):
            if self._stopped():
                return QueueReport(tuple(reports), is_cancelled=True)
            report = self._run_item(index, item)
            reports.append(report)
            if report.report is not None and report.report.outcome is Outcome.CANCELLED:
                return QueueReport(tuple(reports), is_cancelled=True)
            self._feedback.progress(100.0 * (index + 1) / len(self._items))
        return QueueReport(tuple(reports))

    def _run_item(self, index: int, item: QueueItem) -> QueueItemReport:
        address, target = public_address(item.address), str(item.target)
        try:
            report = self._export(index, item)
        except StorageError as error:
            if error.path.startswith(str(self._file.parent)):
                raise  # of our own record, not of the target
            return self._failed(address, target, error)
        except TileCacheError as error:
            return self._failed(address, target, error)
        is_before = report is None
        return QueueItemReport(address, target, report=report, is_done_before=is_before)

    def _failed(self, address: str, target: str, error: TileCacheError) -> QueueItemReport:
        if not self._stopped():
            self._feedback.message(Message("", Severity.ERROR, error))
        return QueueItemReport(address, target, error=error)

    def _export(self, index: int, item: QueueItem) -> ExportReport | None:
        """The report of an export; None where it was done before. Raises TileCacheError."""
        cache = open_cache(item.address, item.sign_in, self._transport, self._stopped)
        description = cache.describe()
        request = replace(item.make_request(description), target=item.target)
        digest = _digest(description, request)
        if self._is_done(item, digest):
            return None
        self._feedback.message(Message(description.name))
        self._remember(self._key(item), None)
        report = run_export(
            item.address,
            request,
            self._within(index),
            pixels=self._pixels,
            sign_in=item.sign_in,
            transport=self._transport,
        )
        if report.outcome is Outcome.DONE:
            self._remember(self._key(item), _Done(digest, report.size))
        return report

    def _is_done(self, item: QueueItem, digest: str) -> bool:
        """Whether an earlier run did just that, and nothing of it has gone since."""
        done = self._done.get(self._key(item))
        if done is None or done.digest != digest or not item.target.exists():
            return False
        with storage_errors(item.target):
            return size_of(item.target) >= done.size

    def _key(self, item: QueueItem) -> str:
        """How the record calls a target: as seen from the folder, which may be moved."""
        try:
            return item.target.relative_to(self._folder).as_posix()
        except ValueError:
            return str(item.target)

    def _within(self, index: int) -> Feedback:
        """The feedback for one of the exports, whose percents are part of the queue's."""
        first, share = 100.0 * index / len(self._items), 1.0 / len(self._items)
        whole = self._feedback
        return replace(whole, progress=lambda percent: whole.progress(first + percent * share))

    def _stopped(self) -> bool:
        return self._feedback.cancelled() or self._feedback.abandoned()

    def _remember(self, target: str, done: _Done | None) -> None:
        """Write down that the target is done; or, without that, that it is not."""
        if self._done.get(target) == done:
            return
        # Another queue may have written meanwhile.
        self._done = {**_read(self._file), **self._done}
        self._done.pop(target, None)
        if done is not None:
            self._done[target] = done
        self._write()

    def _write(self) -> None:
        done = {target: asdict(each) for target, each in self._done.items()}
        content = {"version": VERSION, "done": done}
        write_whole(self._file, json.dumps(content, indent=1, sort_keys=True).encode())


def _read(file: Path) -> dict[str, _Done]:
    """By name of the target, what was exported into it; nothing where that is unreadable."""
    try:
        found = json.loads(read_small(file, _LARGEST))
        if found["version"] != VERSION:
            return {}
        return {
            str(name): _Done(str(each["digest"]), int(each["size"]))
            for name, each in found["done"].items()
        }
    except (StorageError, *_UNREADABLE):
        return {}


def _digest(description: CacheDescription, request: ExportRequest) -> str:
    """What tells this export from any other."""
    how: Mapping[str, object] = {
        "storage": request.storage.value,
        "overwrite": request.overwrite.value,
        "is_clipped": request.is_clipped,
        "draws_missing": request.draws_missing,
        "levels": [level.id for level in request.levels],
        "extent": None if description.extent is None else asdict(description.extent),
        "image_format": description.image_format,
    }
    areas: dict[int, Area] = {}
    for level in request.levels:
        area = area_at(request.areas, level)
        if area is not None:
            areas[level.id] = area
    return digest_of(description.address, request.scheme, areas, json.dumps(how))
