"""Our own folder beside a cache: locks, the record of updates, what the cache is drawn from.

Other programs know nothing of it and lose nothing without it. In a folder cache it lies inside, for
a package beside the file; its name begins with a dot, so that file lists leave it out.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from .files import write_whole

NAME = ".tile_cache_manager"
SETTINGS = "settings.json"


@dataclass(frozen=True)
class CacheSettings:
    """What a cache is drawn from and how, as far as its own files have no place for it.

    `source`: see `host/sources`, "" for the project. `background`: `#rrggbb`, or "" for the
    default of the tile format: transparent where it can be, else the project's own colour.
    """

    source: str = ""
    background: str = ""


def work_folder(path: Path) -> Path:
    """Our folder for the cache at `path` (a folder, or the file of a package); it may not exist."""
    return path.parent / f".{path.name}{NAME}" if path.suffix and not path.is_dir() else path / NAME


def read_settings(path: Path) -> CacheSettings:
    """The settings of the cache at `path`; the defaults where there are none, or none readable."""
    try:
        found = json.loads((work_folder(path) / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return CacheSettings()
    known = {each.name for each in fields(CacheSettings)}
    texts = found.items() if isinstance(found, dict) else ()
    return CacheSettings(**{k: v for k, v in texts if k in known and isinstance(v, str)})


def write_settings(path: Path, settings: CacheSettings) -> None:
    """Keep `settings` for the cache at `path`. Raises StorageError."""
    write_whole(work_folder(path) / SETTINGS, json.dumps(asdict(settings)).encode())
