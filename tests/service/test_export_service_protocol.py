"""Exports and imports of the stand-in site, as far as the protocol goes: jobs, files, tiles.

Which tiles an area touches is found by trying every tile with shapely; packages are unzipped, and
their bundles and the site's read by the stand-in's own reader.
"""

from __future__ import annotations

import hashlib
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arcgis_server.bundles import LAYERS_FOLDER, read_cache
from arcgis_server.handle import PUBLISHER, VIEWER, Account
from scripted_site import Recorder
from shapely.geometry import Polygon, box
from site_caches import QUICK, levels_of, open_on, sign_in, touched

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.client import Client, Repeats
from tile_cache_manager.plugin.core.arcgis.downloads import download
from tile_cache_manager.plugin.core.arcgis.export_cache import ExportCache
from tile_cache_manager.plugin.core.arcgis.export_tiles import ExportTiles, exceeded_limit
from tile_cache_manager.plugin.core.arcgis.import_cache import (
    ImportForm,
    ImportOutcome,
    import_into_service,
    takes_packages,
)
from tile_cache_manager.plugin.core.arcgis.remote_files import RemoteFile
from tile_cache_manager.plugin.core.arcgis.tile_reader import TileReader
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    CachingUnavailable,
    JobFailed,
    SignInNeeded,
    SiteRefused,
    SiteUnreachable,
)
from tile_cache_manager.plugin.core.export.site_tiles import SiteTiles
from tile_cache_manager.plugin.core.local.source import Supertile
from tile_cache_manager.plugin.core.request import Feedback, Outcome
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat
from tile_cache_manager.plugin.core.tiling import TileRange

AREA = Polygon([(6e5, 5.9e6), (1.6e6, 6.1e6), (1.3e6, 7e6), (4e5, 6.6e6)])
"""About Germany, in Web Mercator metres."""
DEGREES = Polygon([(6.0, 47.0), (15.0, 48.0), (13.0, 55.0), (7.0, 54.0)])
TPKX = StorageFormat.TPKX


class Exports:
    """A service of the stand-in site, as somebody who exports from it sees it."""

    def __init__(
        self, site: Any, key: str, name: str, account: Account | None = None, times: int = 1
    ) -> None:
        self.site, self.key, self.name = site, key, name
        self.service = service_of(site.service_url(key, name))
        self.description: CacheDescription = open_on(site, key, name).describe()
        repeats = Repeats(times=times, first_seconds=0.01, longest_seconds=0.01)
        self.transport = RequestsTransport()
        self.client = Client(
            self.transport, self.service.site_url, sign_in(account), repeats=repeats
        )
        self.tiles = ExportTiles(self.client, self.service, QUICK)

    def expected(self, area: Any, *ids: int) -> dict[int, set[tuple[int, int]]]:
        """Tiles that the area touches, by level id."""
        levels = levels_of(self.description, *ids)
        return {level.id: touched(self.description, level, area) for level in levels}

    def export(self, area: Any, *ids: int, feedback: Feedback | None = None) -> Any:
        """Files that the service itself makes."""
        levels = levels_of(self.description, *ids)
        scheme = self.description.scheme
        return self.tiles.export(levels, area, scheme, TPKX, feedback or Feedback())

    def tiles_in(self, files: Any, folder: Path) -> dict[int, dict[tuple[int, int], str]]:
        """SHA-1 of each tile in the package that is to be downloaded, by level and place."""
        (file,) = files
        download(self.client, file, folder / file.name)
        return tiles_of(folder / file.name)


def tiles_of(package: Path) -> dict[int, dict[tuple[int, int], str]]:
    folder = package.with_suffix(".unzipped")
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)
    (folder / "tile").rename(folder / LAYERS_FOLDER)
    return {
        level: {place: tile.sha1 for place, tile in tiles.items()}
        for level, tiles in read_cache(folder).items()
    }


def tiles_on_disk(site: Any, key: str, name: str) -> dict[int, dict[tuple[int, int], str]]:
    return {
        level: {place: tile.sha1 for place, tile in tiles.items()}
        for level, tiles in site.read_cache(key, name).items()
    }


def places(tiles: Any) -> dict[int, set[tuple[int, int]]]:
    return {level: set(of_level) for level, of_level in tiles.items()}


def log_of(site: Any) -> str:
    text: str = (site.folder / "requests.log").read_text(encoding="utf-8")
    return text


# exportTiles


def test_estimate_and_export_are_just_what_the_area_touches(
    fresh_site: Any, tmp_path: Path
) -> None:
    streets = Exports(fresh_site, "classic", "Streets")
    ids = (0, 4, 6, 8)
    expected = streets.expected(AREA, *ids)
    levels, scheme = levels_of(streets.description, *ids), streets.description.scheme

    estimate = streets.tiles.estimate(levels, AREA, scheme, TPKX)
    files = streets.export(AREA, *ids)
    tiles = streets.tiles_in(files, tmp_path)

    assert estimate is not None
    assert estimate.tiles == sum(map(len, expected.values())) > 20
    assert places(tiles) == expected
    assert files[0].size == (tmp_path / "Streets.tpkx").stat().st_size
    on_disk = tiles_on_disk(fresh_site, "classic", "Streets")
    assert all(tiles[level][place] == on_disk[level][place] for level in ids
               for place in tiles[level])  # fmt: skip


def test_a_rectangle_is_taken_without_slivers(fresh_site: Any, tmp_path: Path) -> None:
    """Its edges lie on edges of tiles: neighbours are not exported, at any of the scales."""
    streets = Exports(fresh_site, "classic", "Streets")
    scheme = streets.description.scheme
    block = scheme.tile_bounds(scheme.level(9), 170, 264)

    tiles = streets.tiles_in(
        streets.tiles.export(
            levels_of(streets.description, 9, 10, 11), block, scheme, TPKX, Feedback()
        ),
        tmp_path,
    )

    assert {level: len(found) for level, found in tiles.items()} == {9: 1, 10: 4, 11: 16}


def test_the_whole_cache(fresh_site: Any, tmp_path: Path) -> None:
    streets = Exports(fresh_site, "classic", "Streets")

    tiles = streets.tiles_in(streets.export(None, 0, 1, 2), tmp_path)

    assert {level: len(found) for level, found in tiles.items()} == {0: 1, 1: 4, 2: 16}


def test_a_download_that_is_cut_ten_times(fresh_site: Any, tmp_path: Path) -> None:
    """The client repeats once; what brings bytes is no failure."""
    streets = Exports(fresh_site, "classic", "Streets")
    (file,) = streets.export(AREA, 6, 7, 8)
    assert file.size is not None
    fresh_site.cut("classic", r"/arcgisoutput/.*\.tpkx$", after=file.size // 12, count=10)

    received = download(streets.client, file, tmp_path / "cut.tpkx")
    whole = download(streets.client, file, tmp_path / "whole.tpkx")

    assert received == whole == file.size
    assert (tmp_path / "cut.tpkx").read_bytes() == (tmp_path / "whole.tpkx").read_bytes()
    path = file.url[len(fresh_site.url) :]
    assert fresh_site.requests("classic")[path] == 11 + 1


def test_a_later_run_goes_on_with_a_download(fresh_site: Any, tmp_path: Path) -> None:
    streets = Exports(fresh_site, "classic", "Streets", times=0)
    (file,) = streets.export(AREA, 7, 8)
    assert file.size is not None
    fresh_site.cut("classic", r"/arcgisoutput/.*\.tpkx$", after=5000, count=1)

    with pytest.raises(SiteUnreachable):
        download(streets.client, file, tmp_path / file.name)
    received = download(streets.client, file, tmp_path / file.name)

    assert received == file.size - 5000
    assert len(tiles_of(tmp_path / file.name)) == 2


def test_a_download_where_the_file_is_another_by_now(fresh_site: Any, tmp_path: Path) -> None:
    """If-Range: the server then sends all of the new one."""
    streets = Exports(fresh_site, "classic", "Streets", times=0)
    (file,) = streets.export(AREA, 7, 8)
    fresh_site.cut("classic", r"/arcgisoutput/.*\.tpkx$", after=5000, count=1)
    with pytest.raises(SiteUnreachable):
        download(streets.client, file, tmp_path / file.name)
    on_disk = next(fresh_site.folder.rglob(f"arcgisoutput/**/{file.name}"))
    on_disk.write_bytes(b"PK another")

    download(streets.client, replace(file, size=None), tmp_path / file.name)

    assert (tmp_path / file.name).read_bytes() == b"PK another"


@pytest.mark.parametrize("kind", ["html", "error", "status"])
def test_a_job_that_only_the_service_itself_knows(fresh_site: Any, kind: str) -> None:
    streets = Exports(fresh_site, "classic", "Streets")
    fresh_site.fault("classic", "/exportTiles/jobs/", kind, 10_000, code=404)

    files = streets.export(AREA, 3)

    assert [file.name for file in files] == ["Streets.tpkx"]
    asked = [path for path in fresh_site.requests("classic") if "/exportTiles/jobs/" in path]
    assert [fresh_site.requests("classic")[path] for path in asked] == [1]


def test_a_hosted_layer(fresh_site: Any, tmp_path: Path) -> None:
    """Its job tells the address of the package by itself."""
    city = Exports(fresh_site, "hosted", "City_Tiles")

    files = city.export(AREA, 5, 8)

    assert files[0].size is None
    assert places(city.tiles_in(files, tmp_path)) == city.expected(AREA, 5, 8)


def test_other_schemes(fresh_site: Any, tmp_path: Path) -> None:
    gaps = Exports(fresh_site, "gaps", "World")
    fresh_site.fill("gaps", "World:MapServer", [3, 5])

    tiles = gaps.tiles_in(gaps.export(DEGREES, 3, 5), tmp_path)

    assert places(tiles) == gaps.expected(DEGREES, 3, 5)


def test_the_limit(fresh_site: Any) -> None:
    fresh_site.set_export_limit("classic", "Streets:MapServer", 30)
    streets = Exports(fresh_site, "classic", "Streets")
    asked = len(streets.expected(AREA, 10)[10])

    with pytest.raises(JobFailed) as caught:
        streets.export(AREA, 10)

    assert exceeded_limit(caught.value) == (asked, 30)
    assert streets.description.max_export_tiles == 30


def test_export_that_is_not_allowed(fresh_site: Any) -> None:
    fresh_site.fill("classic", "Basemaps/Countries:MapServer", [2])
    countries = Exports(fresh_site, "classic", "Basemaps/Countries")

    assert not countries.description.export_tiles_allowed
    with pytest.raises(SiteRefused):
        countries.export(AREA, 2)


def test_a_job_that_fails(fresh_site: Any) -> None:
    streets = Exports(fresh_site, "classic", "Streets")
    fresh_site.fail_next("classic", "ERROR 000816: The tool failed.")

    with pytest.raises(JobFailed) as caught:
        streets.export(AREA, 5)

    assert "000816" in caught.value.message
    assert exceeded_limit(caught.value) is None


def test_a_job_that_is_cancelled(fresh_site: Any) -> None:
    streets = Exports(fresh_site, "classic", "Streets")
    fresh_site.pause_after("classic", 3)
    cancelled = threading.Event()
    ended: list[Any] = []
    feedback = Feedback(cancelled=cancelled.is_set)
    thread = threading.Thread(
        target=lambda: ended.append(streets.export(AREA, 8, feedback=feedback))
    )
    thread.start()
    fresh_site.wait_until_paused("classic")
    cancelled.set()
    thread.join(30)

    assert ended == [None]
    assert [job["jobStatus"] for job in fresh_site.jobs("classic")] == ["esriJobCancelled"]


def test_a_job_is_left_and_taken_up_again(fresh_site: Any, tmp_path: Path) -> None:
    streets = Exports(fresh_site, "classic", "Streets")
    levels, started = levels_of(streets.description, 6), []
    scheme = streets.description.scheme
    left = streets.tiles.export(
        levels, AREA, scheme, TPKX, Feedback(abandoned=lambda: True), started.append
    )

    files = streets.tiles.take_up(started[0], Feedback())

    assert left is None
    assert places(streets.tiles_in(files, tmp_path)) == streets.expected(AREA, 6)
    assert len(fresh_site.jobs("classic")) == 1


def test_progress_is_told(fresh_site: Any) -> None:
    streets = Exports(fresh_site, "classic", "Streets")
    recorder = Recorder()

    streets.export(AREA, 7, 8, feedback=recorder.feedback)

    assert recorder.percents[-1] == 100.0
    assert recorder.percents == sorted(recorder.percents)
    assert any("Exporting" in text for text in recorder.texts)


# A site that wants a sign-in


def test_a_secured_site(fresh_site: Any, tmp_path: Path) -> None:
    """Tokens end while files are got; none is ever in a URL."""
    before = len(log_of(fresh_site))
    streets = Exports(fresh_site, "secured", "Streets", PUBLISHER)

    files = streets.export(AREA, 6)
    fresh_site.expire_tokens("secured")
    tiles = streets.tiles_in(files, tmp_path)
    fresh_site.expire_tokens("secured")
    (row, col), sha1 = next(iter(tiles[6].items()))
    reader = TileReader(streets.client, streets.service, streets.description)
    tile = reader.read(6, row, col)

    assert places(tiles) == streets.expected(AREA, 6)
    assert tile is not None
    assert hashlib.sha1(tile).hexdigest() == sha1
    lines = [line.split(" ") for line in log_of(fresh_site)[before:].splitlines()]
    assert [line for line in lines if line[0] == "GET" and "token" in line[2].split(",")] == []


def test_nobody_signed_in(fresh_site: Any, tmp_path: Path) -> None:
    signed = Exports(fresh_site, "secured", "Streets", PUBLISHER)
    (file,) = signed.export(AREA, 4)
    nobody = Client(RequestsTransport(), signed.service.site_url)

    with pytest.raises(SignInNeeded):
        TileReader(nobody, signed.service, signed.description).read(3, 2, 4)
    with pytest.raises(SignInNeeded):
        ExportTiles(nobody, signed.service, QUICK).export(
            levels_of(signed.description, 4), AREA, signed.description.scheme, TPKX, Feedback()
        )
    with pytest.raises(SignInNeeded):
        download(nobody, file, tmp_path / "Streets.tpkx")
    assert list(tmp_path.iterdir()) == []


# Tiles one by one


def test_tiles_one_by_one(fresh_site: Any) -> None:
    """Those that the service has; of the others it says nothing, or that they are not there."""
    fresh_site.fill("classic", "World:MapServer", [4], extent="0 0 9000000 9000000")
    on_disk = tiles_on_disk(fresh_site, "classic", "World")[4]
    world = Exports(fresh_site, "classic", "World")
    reader = TileReader(world.client, world.service, world.description)
    source = SiteTiles(reader, world.description)
    source.start(CacheProfile(world.description.scheme, StorageFormat.COMPACT_V2, "PNG"))
    level = world.description.scheme.level(4)

    found = {}
    for row in range(0, 16, 4):
        for col in range(0, 16, 4):
            block = TileRange(row, row + 3, col, col + 3)
            tile = Supertile(level, block, np.ones((4, 4), dtype=np.bool_))
            found.update(source.draw(tile, lambda: False))
    source.close()

    assert {place: hashlib.sha1(tile).hexdigest() for place, tile in found.items()} == on_disk
    paths = fresh_site.requests("classic")
    root = "/arcgis/rest/services/World/MapServer"
    # the service has a tile map, so only tiles that are there were asked for
    assert sum(path.startswith(f"{root}/tile/") for path in paths) == len(on_disk) > 8
    assert reader.read(4, 15, 0) is None


@pytest.mark.parametrize(("key", "name", "level_id"), [("classic", "World", 4),
                                                       ("hosted", "World_Tiles", 3)])  # fmt: skip
def test_tile_maps(fresh_site: Any, key: str, name: str, level_id: int) -> None:
    fresh_site.fill(key, f"{name}:MapServer", [level_id], extent="0 0 9000000 9000000")
    on_disk = tiles_on_disk(fresh_site, key, name)[level_id]
    world = Exports(fresh_site, key, name)
    reader = TileReader(world.client, world.service, world.description)

    for block in (TileRange(0, 7, 0, 7), TileRange(2, 9, 1, 12), TileRange(0, 300, 0, 40)):
        found = reader.exists(level_id, block)
        assert found is not None
        inside = {
            (row - block.min_row, col - block.min_col)
            for row, col in on_disk
            if block.min_row <= row <= block.max_row and block.min_col <= col <= block.max_col
        }
        assert set(zip(*(axis.tolist() for axis in np.nonzero(found)))) == inside


def test_a_placeholder_is_no_tile(fresh_site: Any) -> None:
    """A hosted layer sends a picture where it has no tile, unless it is asked not to."""
    world = Exports(fresh_site, "hosted", "World_Tiles")

    reader = TileReader(world.client, world.service, world.description)

    assert reader.read(5, 3, 3) is None


# The caching tools


@pytest.mark.parametrize("key", ["classic", "othernames"])
def test_export_cache(fresh_site: Any, key: str, tmp_path: Path) -> None:
    fresh_site.fill(key, "World:MapServer", [2, 4])
    world = Exports(fresh_site, key, "World", PUBLISHER if key == "classic" else None)
    tool = ExportCache(world.client, world.service, QUICK)
    levels, scheme = levels_of(world.description, 2, 4), world.description.scheme

    files = tool.export(levels, AREA, scheme, TPKX, Feedback())

    tiles = world.tiles_in(files, tmp_path)
    on_disk = tiles_on_disk(fresh_site, key, "World")
    assert places(tiles) == world.expected(AREA, 2, 4)
    assert all(tiles[level][place] == on_disk[level][place] for level in (2, 4)
               for place in tiles[level])  # fmt: skip


@pytest.mark.parametrize("key", ["classic", "othernames"])
def test_export_cache_on_the_server(fresh_site: Any, key: str) -> None:
    fresh_site.fill(key, "World:MapServer", [2, 4])
    world = Exports(fresh_site, key, "World", PUBLISHER if key == "classic" else None)
    tool = ExportCache(world.client, world.service, QUICK)
    levels, scheme = levels_of(world.description, 2, 4), world.description.scheme
    target = fresh_site.server_share(key) / "out"

    said = tool.export_on_server(
        str(target), levels, AREA, scheme, StorageFormat.COMPACT_V2, Feedback()
    )

    assert said is not None
    assert Path(said).is_relative_to(target)
    # below the folder of the service, the cache's own one
    cache = next(target.rglob(LAYERS_FOLDER)).parent
    assert places(read_cache(cache)) == world.expected(AREA, 2, 4)


def test_export_cache_that_one_has_no_right_to(fresh_site: Any) -> None:
    world = Exports(fresh_site, "classic", "World", VIEWER)

    with pytest.raises(CachingUnavailable):
        ExportCache(world.client, world.service, QUICK).export(
            levels_of(world.description, 3), None, world.description.scheme, TPKX, Feedback()
        )


def import_into(world: Exports, *ids: int, area: Any = None, **more: Any) -> ImportOutcome:
    form = ImportForm(
        levels_of(world.description, *ids), area, world.description.scheme, True, **more
    )
    return import_into_service(world.client, world.service, form, Feedback(), QUICK)


@pytest.mark.parametrize("key", ["classic", "othernames"])
def test_import_of_an_uploaded_package(fresh_site: Any, key: str, tmp_path: Path) -> None:
    """What was exported comes back just as it was."""
    account = PUBLISHER if key == "classic" else None
    fresh_site.fill(key, "World:MapServer", [2, 4])
    world = Exports(fresh_site, key, "World", account)
    (file,) = world.export(AREA, 2, 4)
    package = tmp_path / 'a "b" ü.tpkx'
    download(world.client, file, package)
    before = tiles_of(package)
    fresh_site.fill(key, "World:MapServer", [2, 4], mode="DELETE_TILES")

    assert takes_packages(world.client, world.service)
    outcome = import_into(world, 2, 4, package=package)

    assert outcome.outcome is Outcome.DONE
    assert outcome.job_url.startswith(world.service.site_url)
    assert tiles_on_disk(fresh_site, key, "World") == before


def test_import_of_a_part_of_a_folder_that_the_server_sees(fresh_site: Any) -> None:
    fresh_site.fill("classic", "World:MapServer", [2, 4])
    world = Exports(fresh_site, "classic", "World", PUBLISHER)
    levels, scheme = levels_of(world.description, 2, 4), world.description.scheme
    path = ExportCache(world.client, world.service, QUICK).export_on_server(
        "out", levels, None, scheme, StorageFormat.COMPACT_V2, Feedback()
    )
    before = tiles_on_disk(fresh_site, "classic", "World")
    fresh_site.fill("classic", "World:MapServer", [2, 4], mode="DELETE_TILES")
    assert path is not None

    outcome = import_into(world, 4, area=AREA, server_path=path)

    found = tiles_on_disk(fresh_site, "classic", "World")
    assert outcome.outcome is Outcome.DONE
    assert places(found) == world.expected(AREA, 4)
    assert all(before[4][place] == sha1 for place, sha1 in found[4].items())


def test_import_where_no_files_can_be_uploaded(fresh_site: Any, tmp_path: Path) -> None:
    europe = Exports(fresh_site, "wkt", "Europe")
    package = tmp_path / "a.tpkx"
    package.write_bytes(b"PK")

    assert not takes_packages(europe.client, europe.service)
    with pytest.raises(CachingUnavailable):
        import_into(europe, 1, package=package)


def test_an_import_that_is_cancelled_while_it_is_sent(fresh_site: Any, tmp_path: Path) -> None:
    package = tmp_path / "large.tpkx"
    with package.open("wb") as file:
        file.truncate(300_000_000)
    world = Exports(fresh_site, "othernames", "World")
    form = ImportForm(
        levels_of(world.description, 3), None, world.description.scheme, True, package=package
    )
    asked = []

    def is_cancelled() -> bool:
        asked.append(1)
        return len(asked) > 50

    outcome = import_into_service(
        world.client, world.service, form, Feedback(cancelled=is_cancelled), QUICK
    )

    assert outcome == ImportOutcome(Outcome.CANCELLED)
    assert fresh_site.jobs("othernames") == []


def test_an_import_of_what_is_no_package(fresh_site: Any, tmp_path: Path) -> None:
    world = Exports(fresh_site, "othernames", "World")
    package = tmp_path / "a.tpkx"
    package.write_bytes(b"no package")

    with pytest.raises(JobFailed):
        import_into(world, 3, package=package)


def test_a_file_of_another_host_is_got_without_a_token(fresh_site: Any, tmp_path: Path) -> None:
    """The other host is another name of the stand-in: another origin all the same."""
    streets = Exports(fresh_site, "classic", "Streets", PUBLISHER)
    (file,) = streets.export(AREA, 5)
    elsewhere = RemoteFile(file.url.replace("127.0.0.1", "localhost"), file.name, file.size)
    sent: list[Any] = []
    original = streets.transport.download

    def note(request: Any, receive: Any) -> Any:
        sent.append(request)
        return original(request, receive)

    streets.transport.download = note  # type: ignore[method-assign]
    download(streets.client, elsewhere, tmp_path / "there.tpkx")
    download(streets.client, file, tmp_path / "here.tpkx")

    signed = ["X-Esri-Authorization" in request.headers for request in sent
              if request.url.endswith(".tpkx")]  # fmt: skip
    assert signed == [False, True]
    assert (tmp_path / "there.tpkx").read_bytes() == (tmp_path / "here.tpkx").read_bytes()


def test_an_area_at_the_edge_of_the_world(fresh_site: Any, tmp_path: Path) -> None:
    streets = Exports(fresh_site, "classic", "Streets")
    area = box(19e6, -20e6, 30e6, -19e6)

    tiles = streets.tiles_in(streets.export(area, 4), tmp_path)

    assert places(tiles) == {
        4: {place for place in streets.expected(area, 4)[4] if max(place) < 16}
    }
