"""Jobs that export tiles of a cache into packages and folders, and that estimate their size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import shapely.geometry

from .bundles import has_tile, read_bytes, tiles_present
from .cache_files import COMPACT_V2
from .coverage import Tile
from .export_plan import ExportPlan
from .job_plan import JobRefused
from .jobs import Job
from .on_demand import draw_missing
from .packages import open_writer, pack
from .profiles import Service
from .quick_coverage import count_tiles, covered_tiles
from .schemes import Box, Lod, Scheme
from .tile_maker import TileMaker

if TYPE_CHECKING:
    from .state import SiteState

DIRECTORY = "rest/directories/arcgisoutput"
SPOILS = ("truncated", "scheme", "fewer", "foreign")
"""What control can make wrong with a package; ``handle.spoil_next_package`` says what each is."""
_EACH_LEFT_OUT = 3  # of a package with "fewer" tiles one in three is missing, the second first
_TRIED_SIZE = 3000  # bytes of a tile, where there is none to measure


class EstimateJob(Job):
    """One ``estimateExportTilesSize``."""

    ID_END = "_et"
    CHANGES_CACHE = False

    def __init__(
        self, state: SiteState, task: str, form: dict[str, str], plan: Callable[[], ExportPlan]
    ) -> None:
        super().__init__(state, task, form)
        self._read_plan = plan
        self._value: dict[str, int] = {}

    def output(self, base: str) -> Any:
        return self._value

    def _work(self) -> None:
        plan = self._read_plan()
        self._gate()
        size = number = 0
        for lod in plan.lods:
            tiles = count_tiles(plan.service, lod, plan.area)
            number += tiles
            size += round(tiles * _mean_size(self._state, plan, lod))
        self._value = {"totalSize": size, "totalTilesToExport": number}


def _mean_size(state: SiteState, plan: ExportPlan, lod: Lod) -> float:
    """Return the mean size of a level's tiles, a few being drawn where that is usual."""
    folder = state.cache_folder(plan.service)
    sizes = tiles_present(folder, lod.level).values()
    if not sizes and not plan.area.is_empty and plan.service.scheme is not None:
        middle = plan.area.representative_point()
        row, col, _, _ = plan.service.scheme.range_of(lod, middle.bounds)
        draw_missing(state, plan.service, lod, [(row, col)])
        sizes = tiles_present(folder, lod.level).values()
    return sum(sizes) / len(sizes) if sizes else _TRIED_SIZE


class ExportJob(Job):
    """One ``exportTiles``, or one run of the caching task Export Cache.

    ``plan`` reads what is asked for, in the job: what it raises is how the job fails.
    """

    ID_END = "_et"
    CHANGES_CACHE = False

    def __init__(
        self, state: SiteState, task: str, form: dict[str, str], plan: Callable[[], ExportPlan]
    ) -> None:
        super().__init__(state, task, form)
        self._read_plan = plan
        self.made: tuple[Path, ...] = ()

    @property
    def place(self) -> str:
        """The job's own folder below the output directory."""
        name, _, kind = self.service_name.rpartition(":")
        return f"{name}_{kind}/{self.job_id}"

    def output(self, base: str) -> Any:
        return f"{base}/{DIRECTORY}/{quote(self.place)}"

    def output_files(self, base: str) -> list[str]:
        """Return the addresses of the packages made."""
        return [f"{self.output(base)}/{quote(path.name)}" for path in self.made]

    def _work(self) -> None:
        plan = self._read_plan()
        asked = sum(count_tiles(plan.service, lod, plan.area) for lod in plan.lods)
        if plan.limit is not None and asked > plan.limit:
            name = plan.service.task_name.rpartition("/")[2]
            raise JobRefused(
                f"ERROR 001564: Requested tile count({asked}) exceeds the maximum allowed number "
                f"of tiles({plan.limit}) to be exported for service {name}."
            )
        work = [(lod, self._tiles(plan, lod)) for lod in plan.lods]
        self.total = sum(len(tiles) for _, tiles in work)
        self._gate()
        if not self.total:
            raise JobRefused("ERROR: There are no tiles to export in the area.")
        with self._state.lock:
            spoil = self._state.spoils.pop(0) if self._state.spoils else ""
        folder = plan.folder or self._state.output_folder / self.place
        target = folder / plan.file_name
        self._make(plan, work, target, spoil)
        self.made = (target,)

    def _tiles(self, plan: ExportPlan, lod: Lod) -> list[Tile]:
        covered = covered_tiles(plan.service, lod, plan.area)
        if plan.service.on_demand:
            return covered
        present = tiles_present(self._state.cache_folder(plan.service), lod.level)
        return [tile for tile in covered if tile in present]

    def _make(
        self, plan: ExportPlan, work: list[tuple[Lod, list[Tile]]], target: Path, spoil: str
    ) -> None:
        service, scheme = plan.service, plan.service.scheme
        if scheme is None:
            raise JobRefused(f"ERROR 001470: The service {service.task_name} has no tile cache.")
        extent = _extent(plan)
        told = _other_scheme(scheme) if spoil == "scheme" else scheme
        cache = target / "Layers"
        if plan.is_package:
            cache = target.with_name(f"{target.name}.{self.job_id}")
        _check_target(plan, target)
        writer = open_writer(cache, service, told, plan.storage, extent)
        for number, (lod, tile, data) in enumerate(self._copies(plan, work), 1):
            if spoil == "fewer" and number % _EACH_LEFT_OUT == 2:
                continue
            place = _elsewhere(service, lod, tile) if spoil == "foreign" else tile
            if plan.replaces or not has_tile(cache, lod.level, *place):
                writer.write(lod.level, *place, data)
        writer.close()
        if plan.is_package:
            levels = [lod.level for lod in plan.lods]
            pack(cache, target, service, told, extent, (min(levels), max(levels)))
        if spoil == "truncated":
            _cut(target)

    def _copies(
        self, plan: ExportPlan, work: list[tuple[Lod, list[Tile]]]
    ) -> Iterator[tuple[Lod, Tile, bytes]]:
        """Yield the tiles at the job's pace, with their bytes."""
        folder = self._state.cache_folder(plan.service)
        maker = TileMaker(self._state, plan.service, "RECREATE_EMPTY_TILES")
        step = max(1, self.total // 10)
        for lod, tiles in work:
            self._tell(f"Exporting scale 1:{lod.scale:.6f}: {len(tiles)} tiles.")
            for batch in maker.batches(tuple(tiles)):
                draw_missing(self._state, plan.service, lod, batch)
                for tile in batch:
                    self._gate()
                    if self._state.has_changed(plan.service):
                        raise JobRefused(f"ERROR: {plan.service.task_name} has been restarted.")
                    self._keep_pace()
                    data = read_bytes(folder, lod.level, *tile)
                    if data is not None:
                        yield lod, tile, data
                    self.copied += 1
                    if self.copied % step == 0:
                        self._tell(f"Exported {self.copied} of {self.total} tiles.")

    def _account(self) -> str:
        return f"Tiles exported: {self.copied}."


def _check_target(plan: ExportPlan, target: Path) -> None:
    """Refuse to mix an export into what it cannot be mixed into; make the folder around it."""
    if target.exists() and (plan.is_package or plan.storage != COMPACT_V2):
        raise JobRefused(f"ERROR 000725: {target.name} already exists.")
    target.parent.mkdir(parents=True, exist_ok=True)


def _extent(plan: ExportPlan) -> Box:
    limits = plan.area.intersection(shapely.geometry.box(*plan.service.full_extent)).bounds
    xmin, ymin, xmax, ymax = limits
    return xmin, ymin, xmax, ymax


def _other_scheme(scheme: Scheme) -> Scheme:
    """Return a scheme of other levels that begins elsewhere."""
    lods = tuple(Lod(lod.level, lod.resolution * 1.5, lod.scale * 1.5) for lod in scheme.lods)
    x, y = scheme.origin
    return dataclasses.replace(scheme, origin=(x - 1000.0, y + 1000.0), lods=lods)


def _elsewhere(service: Service, lod: Lod, tile: Tile) -> Tile:
    """Return the tile half the world away, down and to the right."""
    if service.scheme is None:
        return tile
    top, left, bottom, right = service.scheme.range_of(lod, service.full_extent)
    high, wide = bottom - top, right - left
    row, col = tile
    return top + (row - top + high // 2) % high, left + (col - left + wide // 2) % wide


def _cut(target: Path) -> None:
    """Leave two thirds of a package, or of the largest file of a folder."""
    path = target
    if target.is_dir():
        path = max(
            (found for found in target.rglob("*") if found.is_file()),
            key=lambda found: found.stat().st_size,
        )
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)
