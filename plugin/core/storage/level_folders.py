"""Folders of levels: `L` and the level's id, decimal, in at least two digits."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from .byte_range import reading_errors

_NAME = re.compile(r"L(\d{2,})", re.IGNORECASE)


def level_folder_name(level_id: int) -> str:
    """The name of the folder of a level."""
    return f"L{level_id:02d}"


def level_of_folder(name: str) -> int | None:
    """The id of the level whose folder has that name, in any case; None: no level's."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What lies in `folder`, lazily, in no order; nothing where there is no such folder.

    Raises DamagedCache where it cannot be read.
    """
    with reading_errors(folder):
        try:
            entries = os.scandir(folder)
        except (FileNotFoundError, NotADirectoryError):
            return
        with entries:
            yield from entries


class LevelFolders:
    """The folders of levels in the folder `root`, also those with unusual names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._unusual: dict[int, str] | None = None

    def ids(self) -> tuple[int, ...]:
        """Ids of the levels there are, ascending. Raises DamagedCache."""
        found = (level_of_folder(entry.name) for entry in entries_of(self.root) if entry.is_dir())
        return tuple(sorted({level_id for level_id in found if level_id is not None}))

    def path(self, level_id: int) -> Path:
        """The folder of a level: the one there is, or would be. Raises DamagedCache."""
        usual = self.root / level_folder_name(level_id)
        unusual = self._unusual_names().get(level_id)
        return usual if unusual is None or usual.exists() else self.root / unusual

    def _unusual_names(self) -> dict[int, str]:
        if self._unusual is None:
            self._unusual = {}
            for entry in entries_of(self.root):
                level_id = level_of_folder(entry.name)
                if level_id is not None and entry.name != level_folder_name(level_id):
                    self._unusual[level_id] = entry.name
        return self._unusual
