"""Files beside the tiles, which are small: found in any case, read with a limit."""

from __future__ import annotations

from pathlib import Path

from ..errors import HostileFile, NotACache, NotACacheReason


def find_file(folder: Path, name: str) -> Path | None:
    """The file in `folder` with that name, in any case: ArcGIS itself writes `Conf.xml` too.

    None where there is none, or the folder cannot be listed.
    """
    exact = folder / name
    if exact.is_file():
        return exact
    try:
        return next(
            (e for e in folder.iterdir() if e.name.lower() == name.lower() and e.is_file()), None
        )
    except OSError:
        return None


def read_small(path: Path, largest: int) -> bytes:
    """The content of the file at `path`. Raises NotACache, HostileFile (more than `largest`)."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except FileNotFoundError as error:
        raise NotACache(str(path), NotACacheReason.MISSING) from error
    except OSError as error:
        raise NotACache(str(path), NotACacheReason.NOT_READABLE) from error
    if len(content) > largest:
        raise HostileFile(str(path), f"more than {largest} bytes")
    return content
