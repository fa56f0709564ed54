"""The caching tasks Export Cache and ImportCache: their forms, read, and their jobs."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from . import bundles_v1
from .bundles import LAYERS_FOLDER, has_tile, read_bytes, tiles_present
from .cache_files import COMPACT, COMPACT_V2, EXPLODED
from .coverage import BadArea, Tile, area_of_request
from .export_jobs import ExportJob
from .export_plan import STORAGE_OF_TASK, ExportPlan
from .job_plan import JobRefused, cached_service, check_instances, lod_of_scale
from .jobs import Job
from .profiles import Service
from .quick_coverage import covered_tiles
from .schemes import Lod
from .tile_maker import TileChange

if TYPE_CHECKING:
    from .state import SiteState

_SAME = 1e-9
_STEPS_TOLD = 10
_EXPLODED_NAME = re.compile(r"C([0-9a-f]{8})\.(png|jpg)")


class ExportCacheJob(ExportJob):
    """One run of Export Cache. ``form`` holds canonical names and texts."""

    ID_END = ""

    def __init__(self, state: SiteState, task: str, form: dict[str, str]) -> None:
        super().__init__(state, task, form, lambda: _export_plan(state, form))

    def output(self, base: str) -> Any:
        if _is_true(self.form, "copy_data_from_server"):
            return super().output(base)
        return str(self.made[0]) if self.made else ""


class ImportJob(Job):
    """One run of ImportCache. ``form`` holds canonical names and texts."""

    def _work(self) -> None:
        service = cached_service(self._state, self.form["service_url"])
        check_instances(self.form["thread_count"] or "-1")
        lods = _lods(service, self.form)
        area = _area(service, self.form, "import_extent")
        replaces = _is_true(self.form, "replace_existing_tiles")
        self._gate()
        folder = self._state.cache_folder(service)
        work_folder = self._state.folder / "arcgisjobs" / self.job_id
        try:
            tiles = CacheSource(_source_path(self._state, self.form), work_folder, service)
            wanted = [
                (lod, tile, data)
                for lod in lods
                for tile, data in _covered(tiles.read(lod), service, lod, area)
            ]
            self.total = len(wanted)
            step = max(1, self.total // _STEPS_TOLD)
            for lod, tile, data in wanted:
                self._gate()
                self._keep_pace()
                self._put(TileChange(folder, lod.level, tile, data), replaces)
                if self.done % step == 0:
                    self._tell(f"Imported {self.done} of {self.total} tiles.")
        finally:
            shutil.rmtree(work_folder, ignore_errors=True)

    def _put(self, change: TileChange, replaces: bool) -> None:
        if not replaces and has_tile(change.folder, change.level, *change.tile):
            self.copied += 1  # looked at, left as it is
        elif change.apply():
            self.replaced += 1
        else:
            self.created += 1

    def _account(self) -> str:
        return (
            f"Tiles created: {self.created}, replaced: {self.replaced}, "
            f"left as they were: {self.copied}."
        )


def _covered(
    tiles: dict[Tile, bytes], service: Service, lod: Lod, area: Any
) -> Iterator[tuple[Tile, bytes]]:
    for tile in covered_tiles(service, lod, area):
        if tile in tiles:
            yield tile, tiles[tile]


class CacheSource:
    """A cache folder or a package on the server's disk, whose scheme is that of the service.

    Raises:
        JobRefused: it is neither, or has another tiling scheme.
    """

    def __init__(self, path: Path, work_folder: Path, service: Service) -> None:
        folder = path
        if path.is_file():
            folder = work_folder
            try:
                with zipfile.ZipFile(path) as archive:
                    archive.extractall(folder)
            except zipfile.BadZipFile as error:
                raise JobRefused(f"ERROR: {path.name} is not a tile package.") from error
        documents = sorted([*folder.rglob("conf.xml"), *folder.rglob("root.json")])
        if not documents:
            raise JobRefused(f"ERROR 000732: {path} is not a tile cache.")
        document = documents[0]
        is_xml = document.suffix == ".xml"
        storage, size, origin, levels = (_of_xml if is_xml else _of_json)(document)
        self._storage = storage
        self._folder = document.parent
        if not is_xml:
            (self._folder / "tile").rename(self._folder / LAYERS_FOLDER)
        self._ids = _matched_levels(service, size, origin, levels)

    def read(self, lod: Lod) -> dict[Tile, bytes]:
        """Return the tiles of a level."""
        level = self._ids.get(lod.level)
        if level is None:
            return {}
        if self._storage == COMPACT_V2:
            return {
                tile: read_bytes(self._folder, level, *tile) or b""
                for tile in tiles_present(self._folder, level)
            }
        if self._storage == COMPACT:
            found = bundles_v1.read_tiles(self._folder)
            return {(row, col): data for at, row, col, data in found if at == level}
        return dict(self._exploded(level))

    def _exploded(self, level: int) -> Iterator[tuple[Tile, bytes]]:
        for path in (self._folder / LAYERS_FOLDER / f"L{level:02d}").glob("R*/C*"):
            name = _EXPLODED_NAME.fullmatch(path.name)
            if name:
                yield (int(path.parent.name[1:], 16), int(name[1], 16)), path.read_bytes()


_Scheme = tuple[str, int, tuple[float, float], dict[int, float]]
"""Storage format, tile size, origin, resolution by level id."""


def _of_xml(path: Path) -> _Scheme:
    root = ElementTree.parse(path).getroot()

    def text(place: str) -> str:
        return root.findtext(f".//{place}") or ""

    levels = {
        int(lod.findtext("LevelID") or ""): float(lod.findtext("Resolution") or "")
        for lod in root.iter("LODInfo")
    }
    origin = float(text("TileOrigin/X")), float(text("TileOrigin/Y"))
    return text("StorageFormat") or EXPLODED, int(text("TileCols")), origin, levels


def _of_json(path: Path) -> _Scheme:
    tile_info = json.loads(path.read_bytes())["tileInfo"]
    levels = {lod["level"]: lod["resolution"] for lod in tile_info["lods"]}
    origin = tile_info["origin"]
    return COMPACT_V2, tile_info["cols"], (origin["x"], origin["y"]), levels


def _matched_levels(
    service: Service, size: int, origin: tuple[float, float], levels: dict[int, float]
) -> dict[int, int]:
    """Return the source's level ids by the service's, which have the same resolutions."""
    scheme = service.scheme
    if scheme is None or size != scheme.tile_size or not _close(origin, scheme.origin):
        raise JobRefused("ERROR: The tiling scheme of the source is not that of the service.")
    matched = {
        lod.level: level
        for lod in scheme.lods
        for level, resolution in levels.items()
        if abs(resolution - lod.resolution) <= 1e-6 * lod.resolution
    }
    if not matched:
        raise JobRefused("ERROR: The tiling scheme of the source is not that of the service.")
    return matched


def _close(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(
        abs(a - b) <= _SAME * max(1.0, abs(a), abs(b)) for a, b in zip(one, other, strict=True)
    )


def _export_plan(state: SiteState, form: dict[str, str]) -> ExportPlan:
    service = cached_service(state, form["service_url"])
    check_instances(form["thread_count"])
    storage = STORAGE_OF_TASK[form["storage_format_type"]]
    is_package = _is_true(form, "tile_package")
    if is_package and storage == EXPLODED:
        raise JobRefused("ERROR: A tile package cannot be exploded.")
    folder = None
    if not _is_true(form, "copy_data_from_server"):
        if not form["target_cache"]:
            raise JobRefused("ERROR 000735: Target Cache Path: Value is required")
        folder = _server_path(state, form["target_cache"])
    return ExportPlan(
        service,
        _lods(service, form),
        _area(service, form, "export_extent"),
        storage,
        is_package,
        folder=folder,
        replaces=_is_true(form, "replace_existing_tiles"),
    )


def _source_path(state: SiteState, form: dict[str, str]) -> Path:
    item = form.get("upload_item", "")
    if item:
        try:
            item_id = str(json.loads(item)["itemID"])
        except (ValueError, TypeError, KeyError) as error:
            raise JobRefused(f"ERROR: '{item}' names no uploaded item.") from error
        if item_id not in state.uploads:
            raise JobRefused(f"ERROR: There is no uploaded item {item_id}.")
        return state.uploads[item_id]
    if not form["target_cache"]:
        raise JobRefused("ERROR 000735: Target Cache Path: Value is required")
    path = _server_path(state, form["target_cache"])
    if not path.exists():
        raise JobRefused(f"ERROR 000732: Target Cache Path: {path} does not exist.")
    return path


def _server_path(state: SiteState, text: str) -> Path:
    """Return a place below the folder that the caching tasks may use."""
    root = state.shares_folder.resolve()
    path = (root / text).resolve()
    if path != root and root not in path.parents:
        raise JobRefused(f"ERROR 000732: Target Cache Path: {text} does not exist.")
    return path


def _lods(service: Service, form: dict[str, str]) -> tuple[Lod, ...]:
    lods = {lod_of_scale(service, text) for text in form["levels"].split(";") if text.strip()}
    if not lods:
        raise JobRefused("ERROR: No scales were given.")
    return tuple(sorted(lods, key=lambda lod: lod.level))


def _area(service: Service, form: dict[str, str], extent: str) -> Any:
    try:
        return area_of_request(service, form["area_of_interest"], form[extent])
    except BadArea as error:
        raise JobRefused(f"ERROR: The area cannot be used: {error}.") from error


def _is_true(form: dict[str, str], name: str) -> bool:
    return form.get(name, "").lower() == "true"
