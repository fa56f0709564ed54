"""How far a download may fill the disk, whatever the site goes on sending."""

from __future__ import annotations

from pathlib import Path

from ..errors import DiskFull
from ..storage.files import free_bytes, reserve_of

_BYTES = 8 * 1024 * 1024
"""So many are written at most between two looks at the disk."""


class DownloadLimit:
    """Watches the room on the disk of `target` while a file is downloaded there."""

    def __init__(self, target: Path) -> None:
        self._target, self._reserve = target, reserve_of(target)
        self._unseen = 0

    def check_room(self, missing: int) -> None:
        """Before a file of which so many bytes are `missing`. Raises DiskFull."""
        free = free_bytes(self._target) - self._reserve
        if missing > free:
            raise DiskFull(str(self._target), missing, max(0, free))

    def look(self, written: int) -> None:
        """After `written` bytes more. Raises DiskFull where what is to be left free is used up."""
        self._unseen += written
        if self._unseen < _BYTES:
            return
        self._unseen = 0
        free = free_bytes(self._target)
        if free < self._reserve:
            raise DiskFull(str(self._target), needed=self._reserve, free=free)
