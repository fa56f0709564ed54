"""A file sent to a site as it is read: form fields and file in one body (RFC 7578)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..request import Feedback
from ..storage.files import storage_errors
from .client import Client
from .transport import Body

_BLOCK = 64 * 1024


def upload_file(client: Client, url: str, path: Path, feedback: Feedback) -> dict[str, Any] | None:
    """POST the file at `path` as the field `file`; the site's answer, None once stopped.

    Raises SiteError, StorageError.
    """
    with storage_errors(path), path.open("rb") as content:
        size = path.stat().st_size

        def body(fields: Mapping[str, str]) -> tuple[Body, str]:
            content.seek(0)
            boundary = secrets.token_hex(16)
            sent = MultipartBody(fields, path.name, content, size, boundary, feedback)
            return sent, f"multipart/form-data; boundary={boundary}"

        with suppress(_Stopped):
            return client.upload(url, {}, body)
    return None


class _Stopped(Exception):
    """Ends an upload."""


class MultipartBody:
    """Form `fields` and the file `content` of `size` bytes, put together as they are read."""

    def __init__(
        self,
        fields: Mapping[str, str],
        name: str,
        content: BinaryIO,
        size: int,
        boundary: str,
        feedback: Feedback,
    ) -> None:
        head = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        ]
        plain = "".join(each if each.isprintable() and each not in '"\\' else "_" for each in name)
        head.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{plain}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = "".join(head).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._content, self._size, self._feedback = content, size, feedback
        self._place = 0

    def __len__(self) -> int:
        """Bytes of all of it."""
        return len(self._head) + self._size + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        """The rest, block by block."""
        while block := self.read(_BLOCK):
            yield block

    def tell(self) -> int:
        """Bytes that have been read."""
        return self._place

    def read(self, size: int = -1) -> bytes:
        """The next `size` bytes at most."""
        if self._feedback.cancelled() or self._feedback.abandoned():
            raise _Stopped
        wanted = len(self) if size < 0 else size
        block = b""
        while len(block) < wanted and (piece := self._piece(wanted - len(block))):
            block += piece
            self._place += len(piece)
        return block

    def _piece(self, wanted: int) -> bytes:
        start = self._place
        if start < len(self._head):
            return self._head[start : start + wanted]
        start -= len(self._head)
        if start < self._size:
            # a file that has become shorter meanwhile sends less than was promised, and fails
            return self._content.read(min(wanted, self._size - start))
        start -= self._size
        return self._tail[start : start + wanted]
