"""Reading and writing at given places of a file, from several threads at a time."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from ..errors import CacheInUse, DamagedCache, TargetProblem
from .files import storage_errors

_BINARY = getattr(os, "O_BINARY", 0)  # Windows: leave line ends alone
_HELD = frozenset({32, 33})  # Windows: ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION


class OpenFile:
    """A file, open for reading or, `for_writing`, for both; it is not made where it is missing.

    Errors are the system's: OSError.
    """

    def __init__(self, path: Path, *, for_writing: bool = False) -> None:
        self.path = path
        self._file = os.open(path, (os.O_RDWR if for_writing else os.O_RDONLY) | _BINARY)
        self._turn = threading.Lock()
        self._is_open = True

    @property
    def size(self) -> int:
        """Bytes in the file just now."""
        return os.fstat(self._file).st_size

    @property
    def modified(self) -> float:
        """When it was written last, seconds since 1970."""
        return os.fstat(self._file).st_mtime

    @property
    def is_at_its_path(self) -> bool:
        """Whether it is still the file at its path: not another one that took its place."""
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except OSError:
            return True  # it is gone, or nobody knows

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on, fewer where the file ends before."""
        parts: list[bytes] = []
        while count > 0:
            part = self._read_some(offset, count)
            if not part:
                break
            parts.append(part)
            offset, count = offset + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, offset: int, content: bytes) -> None:
        """Put `content` at `offset`, all of it."""
        rest = memoryview(content)
        while rest:
            written = self._write_some(offset, rest)
            offset, rest = offset + written, rest[written:]

    def truncate(self, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(self._file, size)

    def sync_content(self) -> None:
        """Wait until what was written is durable, as far as needed to read it again."""
        if sys.platform in ("win32", "darwin"):
            os.fsync(self._file)
        else:
            os.fdatasync(self._file)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._file)

    if sys.platform == "win32":

        def _read_some(self, offset: int, count: int) -> bytes:
            with self._turn:
                os.lseek(self._file, offset, os.SEEK_SET)
                return os.read(self._file, count)

        def _write_some(self, offset: int, content: memoryview) -> int:
            with self._turn:
                os.lseek(self._file, offset, os.SEEK_SET)
                return os.write(self._file, content)

    else:

        def _read_some(self, offset: int, count: int) -> bytes:
            return os.pread(self._file, count, offset)

        def _write_some(self, offset: int, content: memoryview) -> int:
            return os.pwrite(self._file, content, offset)

    def __enter__(self) -> OpenFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ByteRange:
    """`size` bytes of a file from `start` on, such as a member of a package; None: to its end."""

    def __init__(self, file: OpenFile, start: int = 0, size: int | None = None) -> None:
        self.file = file
        self._start = start
        self._size = size

    @property
    def size(self) -> int:
        """Bytes in the range, of a whole file those it has just now."""
        return self.file.size - self._start if self._size is None else self._size

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` in the range on, fewer where it ends before."""
        if self._size is not None:
            count = min(count, self._size - offset)
        return self.file.read(self._start + offset, count) if count > 0 else b""


@contextmanager
def reading_errors(path: Path) -> Iterator[None]:
    """Turn what the system says while `path` is read into errors; FileNotFoundError stays.

    Raises DamagedCache, CacheInUse.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if getattr(error, "winerror", None) in _HELD:
            raise CacheInUse(str(path)) from error
        raise DamagedCache(str(path), f"cannot be read: {error.strerror or error}") from error


def opened_file(path: Path, for_writing: bool = False) -> OpenFile:
    """The file at `path`, open.

    Raises FileNotFoundError; for reading as `reading_errors`, for writing as `storage_errors`.
    """
    if not for_writing:
        with reading_errors(path):
            return OpenFile(path)
    try:
        with storage_errors(path):
            return OpenFile(path, for_writing=True)
    except TargetProblem as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            raise problem.__cause__ from problem
        raise
