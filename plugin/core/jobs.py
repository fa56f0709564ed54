"""The record of updates on sites, which survives restarts: one JSON file, shared by processes.

    {"version": 1, "updates": [{"version": 1, "auth_config_id": "...", "update": {...}}, ...]}

The newest stand first. It is written whole and then renamed, under a lock. A file that cannot be
read is set aside as `<name>.damaged`, an entry that a newer version of the plugin wrote is kept as
it stands. Nothing secret is in it: URLs without query, and the id of an authentication
configuration.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from .errors import (
    CacheInUse,
    FollowedElsewhere,
    HostileFile,
    NotACache,
    NotACacheReason,
    StorageError,
    UnknownJob,
)
from .esri_json import items, mapping, text
from .site_update import SiteUpdate
from .site_update_json import UNREADABLE, read_update, update_json
from .storage.files import replacing, storage_errors
from .storage.locks import locked
from .storage.small_files import read_small

VERSION = 1
MOST_ENDED = 200
"""Updates that have ended and are kept; those that ended first go first."""
MOST_ENDED_BYTES = 16 * 1024 * 1024
"""So large they are together, for an area can have as many corners as it likes."""

_LARGEST = 512 * 1024 * 1024  # bytes
_PATIENCE = 10.0  # seconds to wait for another process that writes
_MOMENT = 0.05
_Entry = dict[str, Any]


@dataclass(frozen=True)
class RecordedUpdate:
    """An update in the record, and the id of QGIS's configuration that it is signed in with."""

    update: SiteUpdate
    auth_config_id: str = ""


class JobRecord:
    """The record in the file at `path`, which need not exist. For any thread. Its methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def all(self) -> tuple[RecordedUpdate, ...]:
        """The updates, the newest first. Raises StorageError where the file cannot be read."""
        found = (_read(entry) for entry in self._entries())
        return tuple(sorted((each for each in found if each), key=_age))

    def find(self, job_url_or_key: str) -> RecordedUpdate:
        """The update with that key, or that a job belongs to. Raises UnknownJob, StorageError."""
        wanted = job_url_or_key.strip()
        plain = wanted.split("?")[0].split("#")[0].rstrip("/")
        for each in self.all():
            jobs = (*each.update.job_urls, *each.update.earlier_job_urls)
            if wanted == each.update.key or plain in jobs:
                return each
        raise UnknownJob(plain)

    def keep(self, update: SiteUpdate, auth_config_id: str = "") -> None:
        """Write down `update`, in place of what was known of it. Raises StorageError."""
        entry = {
            "version": VERSION,
            "auth_config_id": auth_config_id,
            "update": update_json(update),
        }
        with self._writing() as entries:
            others = [each for each in entries if _key_of(each) != update.key]
            entries[:] = _bounded([entry, *others])

    def remove(self, key: str) -> None:
        """Forget the update of that key; on the site, nothing changes. Raises StorageError."""
        with self._writing() as entries:
            entries[:] = [each for each in entries if _key_of(each) != key]

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Be the only one, of all processes and threads, to see to the update of that key.

        Raises FollowedElsewhere at once where somebody else does, StorageError.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self._lock_of(key), _MOMENT))
            except CacheInUse:
                raise FollowedElsewhere(self._job_url_of(key)) from None
            yield

    def _job_url_of(self, key: str) -> str:
        """The last job of the update of that key, as far as it can be told."""
        try:
            update = self.find(key).update
        except (StorageError, UnknownJob):
            return ""
        return update.job_urls[-1] if update.job_urls else update.address

    def _lock_of(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()[:24]
        return self._path.with_name(f"{self._path.name}.locks") / name

    @contextmanager
    def _writing(self) -> Iterator[list[_Entry]]:
        """The entries, which are written as the block leaves them."""
        with locked(self._path.with_name(f"{self._path.name}.lock"), _PATIENCE):
            content = self._content(sets_aside=True)
            before = [_key_of(entry) for entry in content["updates"]]
            yield content["updates"]
            written = json.dumps(content, indent=1).encode()
            if len(written) > _LARGEST:
                # what is not read any more would be lost as a whole
                raise HostileFile(str(self._path), f"more than {_LARGEST} bytes")
            with replacing(self._path, is_locked=True) as part:
                part.write_bytes(written)
            for key in {*before} - {_key_of(entry) for entry in content["updates"]}:
                self._forget_lock(key)

    def _entries(self) -> list[_Entry]:
        entries: list[_Entry] = self._content()["updates"]
        return entries

    def _content(self, *, sets_aside: bool = False) -> dict[str, Any]:
        """What stands in the file; no updates where there is none, or it is damaged."""
        empty: dict[str, Any] = {"version": VERSION, "updates": []}
        try:
            content = json.loads(read_small(self._path, _LARGEST))
            entries = [dict(entry) for entry in content["updates"]]
        except NotACache as error:
            if error.reason is NotACacheReason.MISSING:
                return empty
            raise
        except (StorageError, *UNREADABLE):
            if sets_aside:
                self._set_aside()
            return empty
        return {**content, "updates": entries}

    def _forget_lock(self, key: str) -> None:
        """Take away the lock of an update that is recorded no more, unless somebody holds it."""
        lock = self._lock_of(key)
        with suppress(StorageError, OSError):
            with locked(lock, 0):
                pass
            lock.unlink()

    def _set_aside(self) -> None:
        """Let the file be found under another name, and not be lost under what is written next."""
        name = f"{self._path.name}.damaged"
        aside = self._path.with_name(name)
        if aside.exists():  # one of an earlier time, which nobody may have looked at yet
            aside = self._path.with_name(f"{name}.{time.time_ns()}")
        with storage_errors(self._path):
            self._path.replace(aside)


def _read(entry: _Entry) -> RecordedUpdate | None:
    """The update of an entry; None where it is damaged, or of another version."""
    if entry.get("version") != VERSION:
        return None
    try:
        return RecordedUpdate(read_update(entry["update"]), text(entry.get("auth_config_id")))
    except UNREADABLE:
        return None


def _age(recorded: RecordedUpdate) -> float:
    return -recorded.update.started


def _key_of(entry: _Entry) -> str:
    return text(mapping(entry.get("update")).get("key"))


def _bounded(entries: list[_Entry]) -> list[_Entry]:
    """`entries` without those that ended first, where they are too many or too large."""
    ended = []
    for entry in entries:
        recorded = _read(entry)
        if recorded is not None and recorded.update.has_ended:
            update = recorded.update
            ended.append((update.changed, update.started, _key_of(entry), _size_of(entry)))
    ended.sort(reverse=True)
    sizes = accumulate(size for *_, size in ended)
    gone = {
        key
        for at, ((*_, key, _size), so_far) in enumerate(zip(ended, sizes))
        if at >= MOST_ENDED or (at and so_far > MOST_ENDED_BYTES)
    }
    return [entry for entry in entries if _key_of(entry) not in gone]


def _size_of(entry: _Entry) -> int:
    """About how many bytes it takes: as good as all of it is in what jobs are asked for with."""
    parts = items(mapping(entry["update"]).get("parts"))
    forms = (mapping(mapping(part).get("form")).values() for part in parts)
    return sum(len(text(value)) for values in forms for value in values)
