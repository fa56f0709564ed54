"""``importTiles`` of hosted layers: the tiles of a package, bundle by bundle."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .cache_transfers import CacheSource
from .coverage import Tile
from .hosted_jobs import BundleTask, HostedJob
from .profiles import Service
from .schemes import Lod
from .tile_maker import TileChange

if TYPE_CHECKING:
    from .state import SiteState

IMPORT = "ImportTiles"


class ImportTilesJob(HostedJob):
    """One ``importTiles``: only bundles that the package has tiles for are touched."""

    def __init__(
        self, state: SiteState, service: Service, form: dict[str, str], package: Path
    ) -> None:
        super().__init__(state, IMPORT, service, form)
        self._package = package
        self._tiles: dict[int, dict[Tile, bytes]] = {}

    def _planned(self) -> Iterator[BundleTask]:
        folder = self._state.folder / "arcgisjobs" / self.job_id
        try:
            source = CacheSource(self._package, folder, self.service)
            scheme = self.service.scheme
            self._tiles = {lod.level: source.read(lod) for lod in (scheme.lods if scheme else ())}
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return super()._planned()

    def _tasks_of(self, lod: Lod, bundles: dict[Tile, list[Tile]]) -> Iterator[BundleTask]:
        given = self._tiles[lod.level]
        for bundle, covered in bundles.items():
            tiles = tuple(tile for tile in covered if tile in given)
            if tiles:
                yield BundleTask(lod, bundle, tiles)

    def _changes(self, task: BundleTask) -> Iterator[TileChange]:
        folder = self._state.cache_folder(self.service)
        given = self._tiles[task.lod.level]
        for tile in task.tiles:
            yield TileChange(folder, task.lod.level, tile, given[tile])
