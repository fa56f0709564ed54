"""Imports into services of the stand-in site: of packages, of caches, of what does not fit."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arcgis_server.handle import PUBLISHER
from core.export.fakes import NoPixels, PlainPixels, make_cache, tiles_in
from made_pictures import png
from shapely.geometry import box
from site_caches import FEW_REPEATS, QUICK, open_on, sign_in

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.client import Client
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    CachesDiffer,
    CachingUnavailable,
    Differs,
    NothingToImport,
    ServiceChanged,
)
from tile_cache_manager.plugin.core.export.importing import ImportRequest
from tile_cache_manager.plugin.core.export.request import ExportReport, Overwrite
from tile_cache_manager.plugin.core.export.service_import import import_to_service
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import Extent

Key = tuple[int, int, int]
"""Level id, row, column."""


def content(level_id: int, row: int, col: int, side: int) -> bytes:
    """A PNG32 of one colour, which tells the tile."""
    pixel = (level_id * 9 + 1, row % 256, col % 256, 255)
    return png(fill(pixel, side))


def fill(pixel: tuple[int, ...], side: int) -> Any:
    return np.full((side, side, 4), pixel, np.uint8).transpose(2, 0, 1)


def cache_like(
    folder: Path,
    description: CacheDescription,
    keys: list[Key],
    storage: StorageFormat = StorageFormat.COMPACT_V2,
    **rest: Any,
) -> Path:
    """A cache with the scheme of the service."""
    given: dict[str, Any] = {
        "scheme": description.scheme,
        "image_format": description.image_format,
        "cached_ids": tuple(level.id for level in description.cached_levels),
        "extent": description.extent,
        "name": "Ours",
        **rest,
    }
    side = description.scheme.tile_width
    tiles = {key: content(*key, side) for key in keys}
    return make_cache(folder / "ours", CacheProfile(storage=storage, **given), tiles)


def run(
    site: Any, key: str, request: ImportRequest, feedback: Feedback | None = None, **rest: Any
) -> ExportReport:
    account = PUBLISHER if key in ("classic", "old", "secured") else None
    service = service_of(site.service_url(key, rest.pop("name", "World")))
    client = Client(RequestsTransport(), service.site_url, sign_in(account), repeats=FEW_REPEATS)
    pixels = rest.pop("pixels", NoPixels())
    return import_to_service(
        client, service, request, feedback or Feedback(), pixels=pixels, pace=QUICK
    )


def stored(site: Any, key: str, name: str = "World") -> dict[Key, str]:
    """The tiles of a service by their digests, read from its bundles apart from the plugin."""
    return {
        (level_id, *tile): found.sha1
        for level_id, tiles in site.read_cache(key, name).items()
        for tile, found in tiles.items()
    }


def digests(description: CacheDescription, keys: list[Key]) -> dict[Key, str]:
    side = description.scheme.tile_width
    return {
        key: hashlib.sha1(content(*key, side), usedforsecurity=False).hexdigest() for key in keys
    }


KEYS: list[Key] = [(2, row, col) for row in range(4) for col in range(3)] + [(3, 2, 2), (3, 2, 3)]


@pytest.mark.parametrize("key", ["othernames", "classic"])
@pytest.mark.parametrize(
    "storage", [StorageFormat.TPKX, StorageFormat.COMPACT_V2, StorageFormat.MBTILES]
)
def test_tiles_are_in_the_service_then(
    fresh_site: Any, tmp_path: Path, key: str, storage: StorageFormat
) -> None:
    description = open_on(fresh_site, key).describe()
    path = cache_like(tmp_path, description, KEYS, storage)
    levels = tuple(description.scheme.level(z) for z in (2, 3))
    report = run(fresh_site, key, ImportRequest(description.scheme, levels, None, path))
    assert stored(fresh_site, key) == digests(description, KEYS)
    assert (report.outcome, report.jobs) == (Outcome.DONE, 1)
    assert report.target == fresh_site.service_url(key, "World")
    assert [each.level.id for each in report.levels] == [2, 3]


def test_each_level_in_its_own_area(fresh_site: Any, tmp_path: Path) -> None:
    description = open_on(fresh_site, "othernames").describe()
    scheme = description.scheme
    path = cache_like(tmp_path, description, KEYS)
    bounds = scheme.tile_bounds(scheme.level(3), 2, 2)
    part = box(bounds.xmin + 9, bounds.ymin + 9, bounds.xmax - 9, bounds.ymax - 9)
    areas = (LevelArea((2,), None), LevelArea((3,), part))
    levels = (scheme.level(2), scheme.level(3))
    report = run(fresh_site, "othernames", ImportRequest(scheme, levels, areas, path))
    assert set(stored(fresh_site, "othernames")) == {key for key in KEYS if key != (3, 2, 3)}
    assert report.jobs == 2


@pytest.mark.parametrize("overwrite", list(Overwrite))
def test_what_is_there_is_replaced_only_where_asked(
    fresh_site: Any, tmp_path: Path, overwrite: Overwrite
) -> None:
    description = open_on(fresh_site, "othernames").describe()
    fresh_site.fill("othernames", "World:MapServer", [2])
    before = stored(fresh_site, "othernames")
    path = cache_like(tmp_path, description, KEYS)
    levels = tuple(description.scheme.level(z) for z in (2, 3))
    asked = ImportRequest(description.scheme, levels, None, path, overwrite)
    run(fresh_site, "othernames", asked)
    now, ours = stored(fresh_site, "othernames"), digests(description, KEYS)
    assert before.keys() & ours.keys()
    expected = {**before, **ours} if overwrite is Overwrite.OVERWRITE else {**ours, **before}
    assert now == expected


def test_a_site_that_takes_no_files_is_told_the_path(fresh_site: Any, tmp_path: Path) -> None:
    description = open_on(fresh_site, "wkt", "Europe").describe()
    share = fresh_site.server_share("wkt")
    share.mkdir(parents=True, exist_ok=True)
    level, whole = description.scheme.level(2), description.extent
    assert whole is not None
    middle = (whole.xmin + whole.xmax) / 2, (whole.ymin + whole.ymax) / 2
    keys = [(2, *description.scheme.tile_at(level, *middle))]
    path = cache_like(share, description, keys)
    asked = ImportRequest(description.scheme, (level,), None, path)
    report = run(fresh_site, "wkt", asked, name="Europe")
    assert report.outcome is Outcome.DONE
    assert stored(fresh_site, "wkt", "Europe") == digests(description, keys)


def test_a_cache_that_the_site_alone_sees_is_named_and_not_looked_at(
    fresh_site: Any, tmp_path: Path
) -> None:
    description = open_on(fresh_site, "othernames").describe()
    path = cache_like(Path(fresh_site.server_share("othernames")), description, KEYS)
    levels = tuple(level for level in description.cached_levels if level.id in (2, 3))
    here = tmp_path / "nothing here"

    report = run(
        fresh_site,
        "othernames",
        ImportRequest(description.scheme, levels, None, here, server_path=str(path)),
    )

    assert report.outcome is Outcome.DONE
    assert (report.address, report.jobs) == (str(path), 1)
    assert [each.planned for each in report.levels] == [16, 64]
    assert stored(fresh_site, "othernames") == digests(description, KEYS)


def test_pixels_outside_are_clipped_before_they_are_sent(fresh_site: Any, tmp_path: Path) -> None:
    description = open_on(fresh_site, "othernames").describe()
    scheme = description.scheme
    path = cache_like(tmp_path, description, [(2, 1, 1)], StorageFormat.TPKX)
    bounds = scheme.tile_bounds(scheme.level(2), 1, 1)
    half = Extent(bounds.xmin, bounds.ymin, (bounds.xmin + bounds.xmax) / 2, bounds.ymax)
    asked = ImportRequest(scheme, (scheme.level(2),), half, path, is_clipped=True)
    pixels = PlainPixels()
    run(fresh_site, "othernames", asked, pixels=pixels)
    found = stored(fresh_site, "othernames")
    assert set(found) == {(2, 1, 1)}
    assert found != digests(description, [(2, 1, 1)])
    assert pixels.calls == ["clipped"]


@pytest.mark.parametrize("what", ["scheme", "pictures", "nothing"])
def test_what_does_not_fit_is_told_before_anything_is_sent(
    fresh_site: Any, tmp_path: Path, what: str
) -> None:
    description = open_on(fresh_site, "othernames").describe()
    levels: Any = (description.scheme.level(2),)
    scheme, rest = description.scheme, {}
    if what == "pictures":
        rest["image_format"] = "JPEG"
    path = cache_like(tmp_path, description, KEYS, **rest)
    if what == "nothing":
        levels = (description.scheme.level(5),)
    if what == "scheme":
        scheme = open_on(fresh_site, "gaps").describe().scheme
        levels = scheme.levels[:1]
    error = {"scheme": ServiceChanged, "pictures": CachesDiffer, "nothing": NothingToImport}[what]
    with pytest.raises(error) as caught:
        run(fresh_site, "othernames", ImportRequest(scheme, levels, None, path))
    if what == "pictures":
        assert caught.value.differences == (Differs.TILE_FORMAT,)
        assert caught.value.path == fresh_site.service_url("othernames", "World")
    assert fresh_site.submissions("othernames") == []


def test_a_service_that_nobody_may_manage(fresh_site: Any, tmp_path: Path) -> None:
    description = open_on(fresh_site, "hosted", "World_Tiles").describe()
    path = cache_like(tmp_path, description, KEYS)
    asked = ImportRequest(description.scheme, (description.scheme.level(2),), None, path)
    with pytest.raises(CachingUnavailable):
        run(fresh_site, "hosted", asked, name="World_Tiles")


def test_cancelled_while_it_is_packed(fresh_site: Any, tmp_path: Path) -> None:
    description = open_on(fresh_site, "othernames").describe()
    path = cache_like(tmp_path, description, KEYS)
    before = tiles_in(path)
    feedback = Feedback(cancelled=lambda: True)
    asked = ImportRequest(description.scheme, (description.scheme.level(2),), None, path)
    report = run(fresh_site, "othernames", asked, feedback)
    assert report.outcome is Outcome.CANCELLED
    assert fresh_site.submissions("othernames") == []
    assert tiles_in(path) == before
