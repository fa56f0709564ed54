"""Locks that hold between processes and between threads."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

from ..errors import CacheInUse
from .files import storage_errors

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD = frozenset({errno.EACCES, errno.EAGAIN, errno.EDEADLK})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05  # seconds between two tries

# Within a process: on some network shares the system's locks belong to the process, so that its
# threads would all get them.
_threads_locks: dict[str, _ThreadsLock] = {}
_guard = threading.Lock()


class _ThreadsLock:
    """The lock between our own threads for one path, and how many have to do with it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0


@contextmanager
def locked(
    path: Path, timeout: float = 60, cancelled: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Hold the lock file `path` alone among all processes and threads while the block runs.

    The file is made where it is missing and stays: were it removed, one who waits for it would get
    the lock of a file that others no longer see. The lock itself ends with its process, however it
    dies. A thread must not ask twice for the same path.
    Raises CacheInUse once it has not been free for `timeout` seconds or `cancelled` while it is
    not; ReadOnlyCache, DiskFull, TargetProblem where the file cannot be made.
    """
    attempt = _Attempt(path, time.monotonic() + timeout, cancelled)
    key = os.path.realpath(path)
    with _guard:
        mine = _threads_locks.setdefault(key, _ThreadsLock())
        mine.users += 1
    try:
        attempt.until(lambda: mine.lock.acquire(blocking=False))
        try:
            with _locked_file(path, attempt):
                yield
        finally:
            mine.lock.release()
    finally:
        with _guard:
            mine.users -= 1
            if not mine.users:
                del _threads_locks[key]


class _Attempt:
    """Tries until it is had, up to a point in time or until cancelled."""

    def __init__(self, path: Path, end: float, cancelled: Callable[[], bool]) -> None:
        self._path, self._end, self._cancelled = path, end, cancelled

    def until(self, acquire: Callable[[], bool]) -> None:
        pause = _FIRST_PAUSE
        while not acquire():
            if time.monotonic() > self._end or self._cancelled():
                raise CacheInUse(str(self._path))
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


@contextmanager
def _locked_file(path: Path, attempt: _Attempt) -> Iterator[None]:
    with storage_errors(path):
        file = _open(path)
    try:
        with storage_errors(path):
            attempt.until(lambda: _try_lock(file))
        try:
            yield
        finally:
            _unlock(file)
    finally:
        os.close(file)


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


if sys.platform == "win32":

    def _try_lock(file: int) -> bool:
        os.lseek(file, 0, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise
        return True

    def _unlock(file: int) -> None:
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:

    def _try_lock(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _HELD:
                return False
            raise
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
