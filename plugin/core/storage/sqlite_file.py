"""SQLite files as tile sets use them: how to open them, and what SQLite's errors mean.

SQLite's objects belong to threads, so there is one connection for each. The journal is the
rollback journal, not the write-ahead log: that one leaves files beside, which readers need and
whoever copies the file forgets (https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Callable
from urllib.parse import quote

from ..errors import (
    CacheInUse,
    DamagedCache,
    DiskFull,
    NotACache,
    NotACacheReason,
    ReadOnlyCache,
    ReadOnlyReason,
    TargetProblem,
)
from .files import free_bytes

PATIENCE = 30.0
"""Seconds to wait for another program that holds the file."""

_ASK_EVERY = 100_000  # steps of SQLite's machine between two questions whether to go on
_WAL_MARK = b"\x02\x02"  # bytes 18 and 19 of a file with a write-ahead log (SQLite file format)


class SqliteFile:
    """The SQLite file at `path`, for several threads at once.

    The methods raise what `sqlite_errors` does.
    """

    def __init__(self, path: Path, is_writable: bool = False) -> None:
        """Opens nothing yet."""
        self._path = path
        self._is_writable = is_writable
        self._turn = threading.Condition()
        self._busy = 0
        self._connections: dict[int, sqlite3.Connection] = {}
        self._identity: tuple[int, int] | None = None

    def rows(
        self, query: str, *values: Any, cancelled: Callable[[], bool] | None = None
    ) -> list[Any]:
        """All rows that `query` gives; none once `cancelled`."""
        with sqlite_errors(self._path), self._mine() as connection:
            if cancelled is None:
                return connection.execute(query, values).fetchall()
            stopped = cancelled
            connection.set_progress_handler(lambda: int(stopped()), _ASK_EVERY)
            try:
                return connection.execute(query, values).fetchall()
            except sqlite3.OperationalError:
                if stopped():
                    return []
                raise
            finally:
                connection.set_progress_handler(None, 0)

    def readable_rows(self, query: str, *values: Any) -> list[Any]:
        """The rows that `query` gives, up to the first that cannot be read."""
        found: list[Any] = []
        with sqlite_errors(self._path), self._mine() as connection:
            try:
                found.extend(connection.execute(query, values))
            except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
                if "locked" in str(error):
                    raise
        return found

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: durable at the end of the block, undone by an error in it."""
        with sqlite_errors(self._path, is_writing=True), self._mine() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep all other writers out during the block; nothing is written in it."""
        with sqlite_errors(self._path, is_writing=True), self._mine() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")

    def follow(self) -> None:
        """Go over to the file that lies at the path now, where another one took its place."""
        if self._identity not in (None, _identity(self._path)):
            self.close()

    def close(self) -> None:
        """Close the file once all threads are done; who asks again opens it again."""
        with self._turn:
            self._turn.wait_for(lambda: not self._busy)
            for connection in self._connections.values():
                connection.close()
            self._connections.clear()
            self._identity = None

    @contextmanager
    def _mine(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, which stays open during the block."""
        thread = threading.get_ident()
        with self._turn:
            connection = self._connections.get(thread)
            if connection is None:
                connection = self._connections[thread] = _opened(self._path, self._is_writable)
                self._identity = self._identity or _identity(self._path)
            self._busy += 1
        try:
            yield connection
        finally:
            with self._turn:
                self._busy -= 1
                self._turn.notify_all()


@contextmanager
def sqlite_errors(path: Path, *, is_writing: bool = False) -> Iterator[None]:
    """Turn SQLite's errors into errors about `path`.

    Raises NotACache, DamagedCache, CacheInUse, DiskFull, ReadOnlyCache, TargetProblem.
    """
    # By texts: their codes came to Python with 3.11. They stand in SQLite's sqlite3ErrStr.
    try:
        yield
    except UnicodeDecodeError as error:  # a text in the file, which was to be part of an error's
        raise DamagedCache(str(path), "texts that are none") from error
    except (sqlite3.Error, sqlite3.Warning) as error:
        name, text = str(path), str(error)
        if "locked" in text:
            raise CacheInUse(name) from error
        if "is full" in text:
            raise DiskFull(name, free=free_bytes(path)) from error
        if "readonly" in text:
            raise ReadOnlyCache(name, ReadOnlyReason.RIGHTS) from error
        if "unable to open" in text:
            raise _not_opened(path, is_writing) from error
        if "disk I/O" in text and is_writing:
            raise TargetProblem(name, text) from error
        raise DamagedCache(name, text) from error


def create(path: Path) -> sqlite3.Connection:
    """A connection to a new file, in autocommit."""
    return _connected(path, "rwc")


def _not_opened(path: Path, is_writing: bool) -> Exception:
    """Why SQLite could not open the file, or its journal beside it."""
    if not path.exists():
        return NotACache(str(path), NotACacheReason.MISSING)
    if is_writing:
        return ReadOnlyCache(str(path), ReadOnlyReason.RIGHTS)
    return NotACache(str(path), NotACacheReason.NOT_READABLE)


def _opened(path: Path, is_writable: bool) -> sqlite3.Connection:
    try:
        return _connected(path, "rw" if is_writable else "ro")
    except sqlite3.OperationalError:
        if is_writable or not path.exists():
            raise
        if _beside(path, "-journal").exists():
            # A writer died; only who may write can undo what it had begun.
            with closing(_connected(path, "rw")):
                return _connected(path, "ro")
        if _has_log(path) and not _beside(path, "-wal").exists():
            # Read-only folders have no room for the log's index; without a log nothing is missed.
            return _connected(path, "ro&immutable=1")
        raise


def _connected(path: Path, mode: str) -> sqlite3.Connection:
    # isolation_level None: transactions begin and end where we say. Closing from another thread
    # is all that check_same_thread is set aside for.
    connection = sqlite3.connect(
        f"{_uri(path)}?mode={mode}",
        timeout=PATIENCE,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )
    try:
        connection.text_factory = _text
        connection.execute("PRAGMA trusted_schema = OFF")  # views run no functions with effects
        if mode.startswith("rw"):
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("PRAGMA synchronous = FULL")
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _uri(path: Path) -> str:
    """`path` for SQLite, whatever letters its name holds (https://www.sqlite.org/uri.html)."""
    # Its own form of UNC paths: file:////server/share
    text = os.fsencode(path.resolve().as_posix())
    safe = "/:"  # a drive's colon stays
    if _is_unc(text):
        return f"file://{quote(text, safe)}"
    return f"file:///{quote(text.lstrip(b'/'), safe)}"


def _is_unc(path: bytes) -> bool:
    return os.name == "nt" and path.startswith(b"//")


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells the file from another at the same path; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _has_log(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(20)[18:] == _WAL_MARK


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
