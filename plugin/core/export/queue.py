"""Exports of several services, one after the other; run again, only what is not done yet is done.

What is done is written down in `.tile_cache_manager/exports.json` of the folder of the targets: for
each target the address of its service, a digest of what was exported into it, its size, and when it
was changed last. Nothing secret goes there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Optional

from ..arcgis.address import public_address
from ..arcgis.credentials import SignIn
from ..arcgis.transport import Transport
from ..cache import open_cache
from ..coverage import Area
from ..description import CacheDescription
from ..errors import StorageError, TargetExists, TileCacheError
from ..level_areas import area_at
from ..request import Feedback, Message, Outcome
from ..storage.files import storage_errors, write_whole
from ..storage.opening import open_store
from ..storage.sidecar import NAME, work_folder
from ..storage.small_files import read_small
from .package_names import target_names as target_names
from .parts import digest_of
from .request import ExportReport, ExportRequest, Pixels, QueueItemReport, QueueReport
from .run import run_export

RECORD = "exports.json"
VERSION = 2

_SAME_TIME = 2.0  # seconds; no disk in use keeps times coarser than that
_LARGEST = 16 * 1024 * 1024  # bytes of the record
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


Told = Callable[[int, Optional[QueueItemReport]], None]
"""Hears of an item of a queue that begins, without a report, or has ended."""


@dataclass(frozen=True)
class _Done:
    """What is in a target: tiles of the service at `address`, which has no secrets in it.

    `digest`: of the export that came to its end there, "" where none did. `size`: bytes that the
    target had then; `changed`: when it was changed last, in seconds since 1970.
    """

    address: str
    digest: str = ""
    size: int = 0
    changed: float = 0.0


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
    anew: bool = False,
    told: Told = lambda index, report: None,
) -> QueueReport:
    """Carry out `items`, one after the other, and keep in `folder` which of them are done.

    The error of one does not stop the others; it is in its report. What an earlier run finished,
    just so, and lies there still as it was left, is not done again, unless `anew`. A target with
    tiles of another service is left alone: TargetExists. Cancelled, it keeps what is done.
    `told`: of each, by its index in `items`, as it begins (None), and what came of it.
    Raises StorageError where `folder` cannot be written.
    """
    return _Queue(items, folder, feedback, pixels, transport, anew, told).run()


class _Queue:
    """One run of a queue."""

    def __init__(
        self,
        items: Sequence[QueueItem],
        folder: Path,
        feedback: Feedback,
        pixels: Pixels,
        transport: Transport | None,
        anew: bool,
        told: Told,
    ) -> None:
        self._items, self._feedback = items, feedback
        self._anew, self._told = anew, told
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
            self._told(index, None)
            report = self._run_item(index, item)
            self._told(index, report)
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
            return QueueItemReport(address, target, error=error)
        except TileCacheError as error:
            return QueueItemReport(address, target, error=error)
        is_before = report is None
        return QueueItemReport(address, target, report=report, is_done_before=is_before)

    def _export(self, index: int, item: QueueItem) -> ExportReport | None:
        """The report of an export; None where it was done before. Raises TileCacheError."""
        begun = _Done(public_address(item.address))
        self._refuse_other(item, begun.address)
        cache = open_cache(item.address, item.sign_in, self._transport, self._stopped)
        description = cache.describe()
        request = replace(item.make_request(description), target=item.target)
        digest = _digest(description, request)
        if not self._anew and self._is_done(item, digest):
            return None
        self._feedback.message(Message(description.name))
        self._remember(self._key(item), begun)
        report = run_export(
            item.address,
            request,
            self._within(index),
            pixels=self._pixels,
            sign_in=item.sign_in,
            transport=self._transport,
        )
        if report.outcome is Outcome.DONE:
            size, changed = _state(item.target)
            self._remember(
                self._key(item), replace(begun, digest=digest, size=size, changed=changed)
            )
        return report

    def _refuse_other(self, item: QueueItem, address: str) -> None:
        """Raise TargetExists where the target has, or may have, tiles of another service."""
        known = self._done.get(self._key(item))
        if known is not None and known.address != address and item.target.exists():
            raise TargetExists(str(item.target))

    def _is_done(self, item: QueueItem, digest: str) -> bool:
        """Whether an earlier run did just that, and its target is as it was left."""
        done = self._done.get(self._key(item))
        if done is None or done.digest != digest or not item.target.exists():
            return False
        size, changed = _state(item.target)
        if size != done.size or abs(changed - done.changed) > _SAME_TIME:
            return False
        try:
            open_store(item.target).close()
        except StorageError:
            return False
        return True

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

    def _remember(self, target: str, done: _Done) -> None:
        """Write down what is in a target."""
        if self._done.get(target) != done:
            # Another queue may have written meanwhile.
            self._done = {**_read(self._file), **self._done, target: done}
            self._write()

    def _write(self) -> None:
        done = {target: asdict(each) for target, each in self._done.items()}
        content = {"version": VERSION, "targets": done}
        write_whole(self._file, json.dumps(content, indent=1, sort_keys=True).encode())


def _read(file: Path) -> dict[str, _Done]:
    """By name of the target, what was exported into it; nothing where that is unreadable."""
    try:
        found = json.loads(read_small(file, _LARGEST))
        if found["version"] != VERSION:
            return {}
        return {
            str(name): _Done(
                str(each["address"]),
                str(each["digest"]),
                int(each["size"]),
                float(each["changed"]),
            )
            for name, each in found["targets"].items()
        }
    except (StorageError, *_UNREADABLE):
        return {}


def _state(target: Path) -> tuple[int, float]:
    """Bytes of the cache at `target`, and when it was changed last; without our own folder.

    Raises StorageError.
    """
    with storage_errors(target):
        if target.is_file():
            found = target.stat()
            return found.st_size, found.st_mtime
        own, size, changed = work_folder(target).name, 0, 0.0
        for folder, folders, names in os.walk(target):
            if own in folders:
                folders.remove(own)
            for name in names:
                with suppress(FileNotFoundError):
                    found = Path(folder, name).stat()
                    size, changed = size + found.st_size, max(changed, found.st_mtime)
        return size, changed


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
