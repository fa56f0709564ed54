"""Others who recreate bundles for an update, on this computer or elsewhere, and what they are told.

Tasks and what came of them travel as JSON: a worker may have another version of numpy, and runs
nothing that a message holds.
"""

from __future__ import annotations

import base64
import inspect
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from enum import Enum
from typing import Any

import numpy as np

from .. import errors
from ..errors import SourceError, TileCacheError
from ..request import TileFilter, UpdateMode
from ..storage.store import Bools, TileStore
from ..tiling import BUNDLE_TILES, Level, TileRange
from .bundle_run import BundleDone
from .bundle_work import BundleTask
from .run_record import UNREADABLE, Entry, entry_line, read_entry
from .source import TileSource


class Crew(ABC):
    """Recreates bundles of one cache for one update. Used off the main thread; closed at the end.

    All see the cache in a folder that they share. Who dies is replaced; a bundle may then be done
    twice, and its tiles are the same.
    """

    @abstractmethod
    def start(self, store: TileStore, source: TileSource, stopped: Callable[[], bool]) -> None:
        """Get ready to draw what `source`, which has started, draws, into the cache of `store`.

        Gives up waiting once `stopped`. Raises ClusterUnusable, WorkerUnfit, NotForCluster,
        StorageError.
        """

    @abstractmethod
    def done(
        self, tasks: Iterator[BundleTask], stopped: Callable[[], bool]
    ) -> Generator[tuple[BundleTask, BundleDone], None, None]:
        """Have `tasks`, asked for one by one and in this thread, done; give them as they finish.

        Once `stopped` no more are begun, and those that are on come to an early end.
        Raises ClusterUnusable, WorkerUnfit, and what `recreate_bundle` does.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of everything; also where it was never started."""


def task_text(task: BundleTask) -> str:
    """A task as it travels."""
    return json.dumps(
        {
            "level": asdict(task.level),
            "block": asdict(task.block),
            "mask": _packed(task.mask),
            "side": task.side,
            "mode": task.mode.value,
            "tile_filter": asdict(task.tile_filter),
            "limit": None if task.limit is None else asdict(task.limit),
            "before": [_entry_text(entry) for entry in task.before],
        }
    )


def read_task(text: str) -> BundleTask:
    """The task in `text`."""
    found = json.loads(text)
    limit = found["limit"]
    return BundleTask(
        level=Level(**found["level"]),
        block=TileRange(**found["block"]),
        mask=_unpacked(found["mask"]),
        side=found["side"],
        mode=UpdateMode(found["mode"]),
        tile_filter=TileFilter(**found["tile_filter"]),
        limit=None if limit is None else TileRange(**limit),
        before=tuple(_read_entry(each) for each in found["before"]),
    )


def done_text(done: BundleDone) -> str:
    """What came of a task as it travels back."""
    return json.dumps(
        {
            "entries": [_entry_text(entry) for entry in done.entries],
            "before": [_entry_text(entry) for entry in done.before],
            "skipped": done.skipped,
            "untouched": done.untouched,
            "remarks": [error_text(error) for error in done.remarks],
            "error": None if done.error is None else error_text(done.error),
            "is_whole": done.is_whole,
        }
    )


def read_done(text: str) -> BundleDone:
    """What came of a task."""
    found = json.loads(text)
    error = found["error"]
    return BundleDone(
        entries=tuple(_read_entry(each) for each in found["entries"]),
        before=tuple(_read_entry(each) for each in found["before"]),
        skipped=found["skipped"],
        untouched=found["untouched"],
        remarks=tuple(read_error(each) for each in found["remarks"]),
        error=None if error is None else read_error(error),
        is_whole=found["is_whole"],
    )


def error_text(error: TileCacheError) -> str:
    """An error as it travels: its class, and the values it was made from."""
    kind = type(error)
    values = {name: _plain(getattr(error, name, None)) for name in _names(kind)}
    return json.dumps({"kind": kind.__name__, "text": str(error), "values": values}, default=str)


def read_error(text: str) -> TileCacheError:
    """The error in `text`; a SourceError that says the same where it cannot be made again."""
    found = json.loads(text)
    kind = getattr(errors, found["kind"], None)
    if isinstance(kind, type) and issubclass(kind, TileCacheError):
        with suppress(*UNREADABLE):
            return kind(**{name: _read_plain(value) for name, value in found["values"].items()})
    return SourceError(found["kind"], found["text"])


def _entry_text(entry: Entry) -> list[str]:
    """An entry as in the journal, and its error, of which the journal keeps less."""
    return [entry_line(entry), *([] if entry.error is None else [error_text(entry.error)])]


def _read_entry(texts: list[str]) -> Entry:
    entry = read_entry(json.loads(texts[0]))
    return entry if len(texts) == 1 else replace(entry, error=read_error(texts[1]))


def _names(kind: type[TileCacheError]) -> list[str]:
    """What an error of that class is made from."""
    if kind.__init__ is Exception.__init__:
        return []
    return [name for name in inspect.signature(kind.__init__).parameters if name != "self"]


def _plain(value: Any) -> Any:
    return {"enum": type(value).__name__, "name": value.name} if isinstance(value, Enum) else value


def _read_plain(value: Any) -> Any:
    if isinstance(value, dict) and "enum" in value:
        return getattr(errors, value["enum"])[value["name"]]
    return tuple(value) if isinstance(value, list) else value


def _packed(mask: Bools) -> str:
    return base64.b64encode(np.packbits(mask).tobytes()).decode()


def _unpacked(text: str) -> Bools:
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8))
    return bits.astype(np.bool_).reshape(BUNDLE_TILES, BUNDLE_TILES)
