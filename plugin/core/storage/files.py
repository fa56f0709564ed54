"""Files that are there whole or not at all, and what the system says when they cannot be."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import CacheInUse, DiskFull, ReadOnlyCache, ReadOnlyReason, TargetProblem

PART = ".part"
"""How the names of files end that are being written; they begin with a dot."""

RESERVE = 50 * 1024 * 1024
"""Bytes that work on a disk leaves free, so that the rest of the computer goes on."""

RESERVE_SHARE = 0.02
"""Part of a disk that is left free where that is less than RESERVE."""

_LONGEST_STEM = 180  # bytes of a name that leave room for what is put around it
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_RIGHT = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_HELD = frozenset({32, 33})  # Windows: ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
_BUSY = frozenset({errno.ETXTBSY, errno.EBUSY})
_REPLACE_PATIENCE = 2.0  # seconds; on Windows virus scanners hold fresh files for moments


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the system says into errors about `path`.

    Raises DiskFull, CacheInUse, ReadOnlyCache, TargetProblem.
    """
    try:
        yield
    except OSError as error:
        name = str(path)
        if error.errno in _FULL:
            raise DiskFull(name, free=_free_or_none(path)) from error
        if error.errno in _BUSY or getattr(error, "winerror", None) in _HELD:
            raise CacheInUse(name) from error
        if error.errno in _NO_RIGHT:
            raise ReadOnlyCache(name, ReadOnlyReason.RIGHTS) from error
        raise TargetProblem(name, error.strerror or str(error)) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, so that there is either what was before or all of it.

    Makes the folders it lies in. Durable against loss of power once it returns.
    Raises DiskFull, CacheInUse, ReadOnlyCache, TargetProblem.
    """
    make_folders(path.parent)
    with replacing(path) as part:
        part.write_bytes(content)


@contextmanager
def replacing(path: Path, *, is_locked: bool = False, is_durable: bool = True) -> Iterator[Path]:
    """Give the path of a new file beside `path`, which takes its place at the end of the block.

    Whoever reads the old one goes on with it. After an error in the block the new file is removed
    and the old one is as it was. `is_locked`: nobody else writes `path` at the same time; then the
    new file always has the same name, so that killed writers leave one behind at most.
    `is_durable`: also against loss of power, once it returns; else only against a killed process.
    Raises DiskFull, CacheInUse (on Windows, while another program keeps the old one open),
    ReadOnlyCache, TargetProblem.
    """
    part = _part_of(path, "" if is_locked else secrets.token_hex(4))
    with storage_errors(path):
        try:
            yield part
            if path.exists():
                shutil.copymode(path, part)
            if is_durable:
                sync_file(part)
            _replace(part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        if is_durable:
            sync_folder(path.parent)


def put_in_place(part: Path, path: Path) -> None:
    """Give `part`, a file that is whole, the name `path` in the same folder, durably.

    Raises DiskFull, CacheInUse, ReadOnlyCache, TargetProblem.
    """
    with storage_errors(path):
        sync_file(part)
        _replace(part, path)
        sync_folder(path.parent)


def make_folders(path: Path) -> None:
    """Make the folder `path` and those it lies in, durably, where they are missing.

    Raises DiskFull, ReadOnlyCache, TargetProblem.
    """
    with storage_errors(path):
        missing = [each for each in (path, *path.parents) if not each.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for each in missing:
            sync_folder(each.parent)


def sync_file(path: Path) -> None:
    """Make the bytes of a file durable."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make names that came to or went from the folder durable, where the system can."""
    if os.name == "nt":
        return  # Windows opens no folders; NTFS keeps its own journal of names
    try:
        folder = os.open(path, os.O_RDONLY)
    except OSError:
        return  # a folder that may be written but not listed
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno in _FULL or error.errno == errno.EIO:
            raise
        # else a network share that knows no such thing
    finally:
        os.close(folder)


def free_bytes(path: Path) -> int:
    """Bytes free for us where `path` lies or would lie. Raises TargetProblem."""
    with storage_errors(path):
        existing = next((each for each in (path, *path.parents) if each.exists()), path)
        return shutil.disk_usage(existing).free


def reserve_of(path: Path) -> int:
    """Bytes that stay free on the disk of `path`."""
    existing = next((each for each in (path, *path.parents) if each.exists()), None)
    if existing is None:
        return RESERVE
    return min(RESERVE, int(shutil.disk_usage(existing).total * RESERVE_SHARE))


def _free_or_none(path: Path) -> int | None:
    """Bytes free at `path`, None where even that cannot be told."""
    try:
        return free_bytes(path)
    except TargetProblem:
        return None


def _part_of(path: Path, mark: str) -> Path:
    """The name `path` is written under first, in the same folder."""
    stem = path.name.encode()[:_LONGEST_STEM].decode(errors="ignore")
    return path.with_name(f".{stem}.{mark}{PART}" if mark else f".{stem}{PART}")


def _replace(part: Path, path: Path) -> None:
    """Rename, patiently on Windows. Raises CacheInUse where a program keeps `path` open."""
    if os.name != "nt":
        part.replace(path)
        return
    end = time.monotonic() + _REPLACE_PATIENCE
    while True:
        try:
            part.replace(path)
        except PermissionError as error:
            if time.monotonic() > end:
                raise CacheInUse(str(path)) from error
            time.sleep(0.05)
        else:
            return
