"""Our own folder beside a cache: locks, the record of updates, what the cache is drawn from.

Other programs know nothing of it and lose nothing without it. In a folder cache it lies inside, for
a package beside the file; its name begins with a dot, so that file lists leave it out.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..errors import StorageError
from ..esri_json import text
from .files import write_whole
from .small_files import read_small

NAME = ".tile_cache_manager"
SETTINGS = "settings.json"

_LARGEST = 1024 * 1024  # bytes of the settings


@dataclass(frozen=True)
class CacheSettings:
    """What a cache is drawn from and how, as far as its own files have no place for it.

    `source`: see `host/sources`, "" for the project. `background`: `#rrggbb`, or "" for the
    default of the tile format: transparent where it can be, else the project's own colour.
    `levels`: ids of the levels that were chosen when it was created, of those its scheme lists;
    empty: all. They belong to the cache and stay when other settings change, so they count for
    nothing where settings are compared.
    """

    source: str = ""
    background: str = ""
    levels: tuple[int, ...] = field(default=(), compare=False)


def work_folder(path: Path) -> Path:
    """Our folder for the cache at `path` (a folder, or the file of a package); it may not exist."""
    is_package = path.is_file() or (path.suffix != "" and not path.is_dir())
    return path.parent / f".{path.name}{NAME}" if is_package else path / NAME


def read_settings(path: Path) -> CacheSettings:
    """The settings of the cache at `path`; the defaults where there are none, or none readable."""
    return read_settings_in(work_folder(path))


def read_settings_in(work: Path) -> CacheSettings:
    """The settings that lie in our folder `work`."""
    try:
        found = json.loads(read_small(work / SETTINGS, _LARGEST))
    except (StorageError, ValueError, RecursionError):
        return CacheSettings()
    if not isinstance(found, dict):
        return CacheSettings()
    levels = found.get("levels")
    listed = levels if isinstance(levels, list) else []
    return CacheSettings(
        source=text(found.get("source")),
        background=text(found.get("background")),
        levels=tuple(sorted({each for each in listed if _is_id(each)})),
    )


def _is_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def write_settings(path: Path, settings: CacheSettings) -> None:
    """Keep `settings` for the cache at `path`; its levels as they are unless some are given.

    Raises StorageError.
    """
    write_settings_in(work_folder(path), settings)


def write_settings_in(work: Path, settings: CacheSettings) -> None:
    """Keep `settings` in our folder `work`. Raises StorageError."""
    kept = replace(settings, levels=settings.levels or read_settings_in(work).levels)
    write_whole(work / SETTINGS, json.dumps(asdict(kept)).encode())
