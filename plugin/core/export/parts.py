"""The record of an export in parts: what was asked of the site, and which packages lie here.

It lies, with the packages, in a folder beside the target, which need not exist yet:

    parts.json      of which export it is, by a digest, and its parts: levels, area, tiles
    <part>.json     how far a part is: its job, and its files with their sizes and checksums
    <part>-<n>      a file of a part. The site's own names of files are not used.

Each is written whole. So whatever kills an export, the next one of just the same goes on with what
is here; one of anything else begins anew.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from shapely import wkb

from ..coverage import Area
from ..errors import StorageError
from ..esri_json import text
from ..local.journal import OLDEST_COPY
from ..storage.files import make_folders, storage_errors, write_whole
from ..storage.locks import locked
from ..storage.sidecar import NAME
from ..storage.small_files import read_small
from ..tiling import Extent, TilingScheme
from .split import Part

PARTS = "parts.json"
LOCK = "lock"
VERSION = 1
OLDEST = OLDEST_COPY

_LARGEST = 512 * 1024 * 1024  # bytes of parts.json
_LARGEST_STATE = 1024 * 1024
_MOMENT = 0.5  # seconds to wait for another export to the same target
_CHUNK = 1 << 20
_UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)


class PartStep(Enum):
    """How far a part is: each step has what those before have."""

    PLANNED = "planned"
    ASKED = "asked"
    DOWNLOADED = "downloaded"
    CHECKED = "checked"
    ONE_BY_ONE = "one by one"


@dataclass(frozen=True)
class PartFile:
    """A file of a part: its `name` in the folder, `size` in bytes, `sha256` as hex digits."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class PartState:
    """How far a part is. `job_url`: the job that it was asked of. `files`: what came of it.

    `announced`, `announced_bytes`: tiles and bytes that the site estimated. CHECKED without files:
    there is no tile in it. ONE_BY_ONE: no package of it can be had.
    """

    step: PartStep = PartStep.PLANNED
    job_url: str = ""
    announced: int | None = None
    announced_bytes: int | None = None
    files: tuple[PartFile, ...] = ()


def export_folder(target: Path) -> Path:
    """Where an export to `target` keeps its packages until they are merged; it may not exist.

    Beside the target, and not in our folder there: a target is only made once all of them are here.
    """
    return target.parent / f".{target.name}{NAME}_export"


def discard_export(target: Path) -> None:
    """Forget what an interrupted export to `target` got; the target stays as it is. Blocks.

    Raises CacheInUse (an export to it is on), StorageError.
    """
    folder = export_folder(target)
    if not folder.exists():
        return
    with locked(folder / LOCK, _MOMENT), storage_errors(folder):
        # All but the lock, which Windows does not delete while it is held.
        for each in folder.iterdir():
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            elif each.name != LOCK:
                each.unlink()
    with suppress(OSError):  # unless another export has begun there this very moment
        folder.joinpath(LOCK).unlink()
        folder.rmdir()


def digest_of(service: str, scheme: TilingScheme, areas: Mapping[int, Area], how: str) -> str:
    """What tells one export from another: service, scheme, the area of each level, and `how`."""
    found = {
        "service": service,
        "scheme": asdict(scheme),
        "areas": [[level_id, _area_text(area)] for level_id, area in sorted(areas.items())],
        "how": how,
    }
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


class PartRecord:
    """The parts of an export to `target`; see the top of this file. For one thread.

    `begun`: when the first run of the export began, in seconds since 1970.
    Use `open_record`, which holds the folder while the export is on.
    """

    def __init__(self, folder: Path, scheme: TilingScheme, digest: str) -> None:
        self.folder, self.digest, self._scheme = folder, digest, scheme
        self.parts: dict[str, Part] = {}
        self._states: dict[str, PartState] = {}
        self._next = 1
        self.begun = time.time()
        try:
            self._read()
        except (StorageError, *_UNREADABLE):
            self.parts, self._next, self.begun = {}, 1, time.time()
        if not self.parts:
            self._empty()

    def state(self, name: str) -> PartState:
        """How far the part called `name` is."""
        return self._states.get(name, PartState())

    def set(self, name: str, state: PartState) -> None:
        """Write down how far a part is. Raises StorageError."""
        content = {**asdict(state), "step": state.step.value}
        write_whole(self.folder / f"{name}.json", json.dumps(content).encode())
        self._states[name] = state

    def plan(self, parts: Iterable[Part], instead_of: str = "") -> None:
        """Write down parts to get, `instead_of` the one of that name. Raises StorageError."""
        known = dict(self.parts)
        if instead_of:
            del known[instead_of]
        for part in parts:
            known[f"{self._next:05d}"] = part
            self._next += 1
        self.parts = known
        if instead_of:
            self._forget(instead_of)
        self._write()

    def again(self, name: str) -> None:
        """Let a part be asked for once more: its files go. Raises StorageError."""
        state = self.state(name)
        self._forget(name)
        self.set(name, PartState(PartStep.PLANNED, "", state.announced, state.announced_bytes))

    def path(self, name: str, number: int, suffix: str) -> Path:
        """Where file `number` of a part lies, or is to lie."""
        return self.folder / f"{name}-{number}{suffix}"

    def paths(self, name: str) -> tuple[Path, ...]:
        """The files of a part that was downloaded."""
        return tuple(self.folder / file.name for file in self.state(name).files)

    def keep(self, name: str, paths: Iterable[Path]) -> None:
        """Write down that these are the files of a part. Raises StorageError."""
        files = tuple(_file_of(path) for path in paths)
        self.set(name, replace(self.state(name), step=PartStep.DOWNLOADED, files=files))

    @property
    def has_begun(self) -> bool:
        """Whether there is anything that another run could go on with."""
        return any(self.state(name).step is not PartStep.PLANNED for name in self.parts)

    def _forget(self, name: str) -> None:
        """Take away what there is of a part."""
        self._states.pop(name, None)
        with storage_errors(self.folder):
            for each in [self.folder / f"{name}.json", *self.folder.glob(f"{name}-*")]:
                each.unlink(missing_ok=True)
            for each in self.folder.glob(f".{name}-*"):
                each.unlink(missing_ok=True)

    def _read(self) -> None:
        file = self.folder / PARTS
        found = json.loads(read_small(file, _LARGEST))
        is_same = found["version"] == VERSION and found["digest"] == self.digest
        if not is_same or abs(time.time() - float(found["begun"])) > OLDEST:
            return
        self.begun = float(found["begun"])
        self.parts = {_name(each["name"]): self._part(each) for each in found["parts"]}
        self._next = int(found["next"])
        for name in self.parts:
            self._states[name] = self._read_state(name)

    def _part(self, found: dict[str, Any]) -> Part:
        levels = tuple(self._scheme.level(int(each)) for each in found["levels"])
        return Part(levels, _read_area(found["area"]), int(found["tiles"]))

    def _read_state(self, name: str) -> PartState:
        """How far the part is; its files are looked at anew."""
        try:
            found = json.loads(read_small(self.folder / f"{name}.json", _LARGEST_STATE))
            files = tuple(
                PartFile(_name(each["name"]), int(each["size"]), str(each["sha256"]))
                for each in found["files"]
            )
            state = PartState(
                step=PartStep(found["step"]),
                job_url=text(found["job_url"]),
                announced=_number(found["announced"]),
                announced_bytes=_number(found["announced_bytes"]),
                files=files,
            )
        except (StorageError, *_UNREADABLE):
            return PartState()
        is_here = all(_is_whole(self.folder, file) for file in files)
        is_missing = state.step is PartStep.DOWNLOADED and not files
        if is_missing or not is_here:
            return PartState(PartStep.PLANNED, "", state.announced, state.announced_bytes)
        return state

    def _write(self) -> None:
        listed = [
            {
                "name": name,
                "levels": [level.id for level in part.levels],
                "area": _area_text(part.area),
                "tiles": part.tiles,
            }
            for name, part in self.parts.items()
        ]
        content = {"version": VERSION, "digest": self.digest, "begun": self.begun}
        whole = {**content, "next": self._next, "parts": listed}
        write_whole(self.folder / PARTS, json.dumps(whole).encode())

    def _empty(self) -> None:
        """Take away what another export left here."""
        self._states = {}
        with storage_errors(self.folder):
            for each in self.folder.iterdir():
                if each.name != LOCK and each.is_file():
                    each.unlink()


@contextmanager
def open_record(target: Path, scheme: TilingScheme, digest: str) -> Iterator[PartRecord]:
    """The record of the export to `target` with that `digest`, held while the block runs.

    Raises CacheInUse (another export to the same target is on), StorageError.
    """
    folder = export_folder(target)
    with ExitStack() as stack:
        try:
            make_folders(folder)
            stack.enter_context(locked(folder / LOCK, _MOMENT))
            record = PartRecord(folder, scheme, digest)
        except StorageError as error:
            error.path = str(target)  # which people know
            raise
        yield record


def sha256_of(path: Path) -> str:
    """The checksum of a file, as hex digits. Raises StorageError."""
    found = hashlib.sha256()
    with storage_errors(path), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _file_of(path: Path) -> PartFile:
    with storage_errors(path):
        size = path.stat().st_size
    return PartFile(path.name, size, sha256_of(path))


def _is_whole(folder: Path, file: PartFile) -> bool:
    """Whether the file is as it was written down."""
    path = folder / file.name
    try:
        return path.stat().st_size == file.size and sha256_of(path) == file.sha256
    except (OSError, StorageError):
        return False


def _name(value: object) -> str:
    """A name of a part, or file, that is one of ours. Raises ValueError."""
    name = str(value)
    plain = name.replace("-", "").replace(".", "")
    if not plain.isalnum() or not plain.isascii() or name.startswith("."):
        raise ValueError(name)
    return name


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _area_text(area: Area) -> Any:
    """An area as JSON: four numbers, or a polygon as WKB in hex digits."""
    if isinstance(area, Extent):
        return [float(number) for number in area.bounds]
    return wkb.dumps(area, hex=True)


def _read_area(found: Any) -> Area:
    if isinstance(found, list):
        xmin, ymin, xmax, ymax = (float(number) for number in found)
        return Extent(xmin, ymin, xmax, ymax)
    try:
        return wkb.loads(found, hex=True)
    except Exception as error:  # shapely 1.8 and 2 raise errors of their own, without a common root
        raise ValueError(found) from error
