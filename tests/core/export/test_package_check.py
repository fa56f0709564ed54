"""Packages that a site sent: what is wrong with them is found before they replace anything."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import pytest
from shapely.geometry import box
from tile_packages import make_package, root_json

from tile_cache_manager.plugin.core.errors import BadPackage, BadPackageReason
from tile_cache_manager.plugin.core.export.package_check import check_package, is_empty
from tile_cache_manager.plugin.core.export.split import Part
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.opening import read_profile

TILES = {(2, row, col): f"tile {row} {col}".encode() * 40 for row in (1, 2) for col in (1, 2)}
AREA = box(-9e6, -9e6, 9e6, 9e6)  # the four tiles in the middle of level 2


def never(*_tile):
    raise AssertionError("asked after a tile")


@pytest.fixture
def like(tmp_path):
    """What the service says of itself."""
    profile = read_profile(make_package(tmp_path / "like.tpkx", TILES))
    return replace(profile, name="Streets")


@pytest.fixture
def part(like):
    return Part((like.scheme.level(2),), AREA, 4)


def reason_of(path, part, like, announced=None, is_there=never):
    with pytest.raises(BadPackage) as caught:
        check_package([path], part, like, announced, is_there)
    assert caught.value.service == "Streets"
    return caught.value.reason


def test_a_whole_package_is_good(tmp_path, like, part):
    path = make_package(tmp_path / "a.tpkx", TILES)
    assert check_package([path], part, like, 4, never) == 4


def test_several_packages_may_have_the_tiles_together(tmp_path, like, part):
    one, other = dict(list(TILES.items())[:3]), dict(list(TILES.items())[2:])
    paths = [make_package(tmp_path / f"{i}.tpkx", t) for i, t in enumerate((one, other))]
    assert check_package(paths, part, like, None, never) == 4


def test_tiles_beyond_the_area_do_no_harm(tmp_path, like, part):
    more = {**TILES, (2, 0, 0): b"more"}
    assert check_package([make_package(tmp_path / "a.tpkx", more)], part, like, 4, never) == 4


def cut(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def flip(path):
    """Another byte in the midst of a tile, which only the sum over its member tells."""
    content = bytearray(path.read_bytes())
    content[content.index(b"tile 1 2")] ^= 1
    path.write_bytes(bytes(content))


def other_file(path):
    path.write_bytes(b"<html>no package</html>")


def another_zip(path):
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("readme.txt", "hello")


@pytest.mark.parametrize("harm", [cut, flip, other_file, another_zip])
def test_damage_is_found(tmp_path, like, part, harm):
    path = make_package(tmp_path / "a.tpkx", TILES)
    harm(path)
    assert reason_of(path, part, like, 4) is BadPackageReason.DAMAGED


def test_no_file_is_missing(like, part):
    with pytest.raises(BadPackage) as caught:
        check_package([], part, like, 4, never)
    assert caught.value.reason is BadPackageReason.MISSING


def moved(root):
    root["tileInfo"]["origin"] = {"x": -20000000.0, "y": 20000000.0}


def larger(root):
    root["tileInfo"]["rows"] = root["tileInfo"]["cols"] = 512


def elsewhere(root):
    root["spatialReference"] = root["tileInfo"]["spatialReference"] = {"wkid": 25832}


def other_format(root):
    root["tileImageInfo"]["format"] = "LERC"


@pytest.mark.parametrize("change", [moved, larger, elsewhere, other_format])
def test_another_scheme_is_found(tmp_path, like, part, change):
    root = root_json(2, 2)
    change(root)
    path = make_package(tmp_path / "a.tpkx", TILES, root=root)
    assert reason_of(path, part, like) is BadPackageReason.SCHEME


def test_a_mixed_service_may_send_jpeg(tmp_path, like, part):
    root = root_json(2, 2)
    root["tileImageInfo"]["format"] = "JPEG"
    path = make_package(tmp_path / "a.tpkx", TILES, root=root)
    mixed = replace(like, image_format="MIXED")
    assert check_package([path], part, mixed, None, never) == 4


SOME = dict(list(TILES.items())[:3])


@pytest.mark.parametrize(
    ("announced", "there", "is_good"),
    [
        (3, None, True),  # as many as the site said, whatever that is
        (4, False, True),  # the site counts the area; the service has a gap
        (4, True, False),
        (4, None, False),  # nobody tells
        (None, True, False),
        (None, False, True),
        (None, None, True),  # nothing speaks against it
    ],
)
def test_missing_tiles_are_asked_after(tmp_path, like, part, announced, there, is_good):
    path = make_package(tmp_path / "a.tpkx", SOME)
    asked = []

    def is_there(*tile):
        asked.append(tile)
        return there

    if is_good:
        assert check_package([path], part, like, announced, is_there) == 3
    else:
        assert reason_of(path, part, like, announced, is_there) is BadPackageReason.TOO_FEW
    assert asked in ([], [(2, 2, 2)])
    assert bool(asked) is (announced != 3)


@pytest.mark.parametrize(
    "words", [b"<html>Error</html>", b' {"error": {"code": 498}}', b"\r\n<?xml?>"]
)
def test_words_in_place_of_tiles_are_damage(tmp_path, like, part, words):
    path = make_package(tmp_path / "a.tpkx", dict.fromkeys(TILES, words))
    assert reason_of(path, part, like, 4) is BadPackageReason.DAMAGED


def test_tiles_of_elsewhere_are_foreign(tmp_path, like, part):
    path = make_package(tmp_path / "a.tpkx", {(2, 0, 0): b"x", (2, 3, 3): b"y"})
    assert reason_of(path, part, like, 2) is BadPackageReason.FOREIGN


@pytest.mark.parametrize(("there", "is_good"), [(True, False), (False, True), (None, True)])
def test_tiles_beyond_the_area_make_up_for_none_that_is_missing(
    tmp_path, like, part, there, is_good
):
    others = {(2, 0, 0): b"more", (2, 3, 3): b"and more"}
    path = make_package(tmp_path / "a.tpkx", {**SOME, **others})
    if is_good:
        assert check_package([path], part, like, 4, lambda *tile: there) == 3
    else:
        assert reason_of(path, part, like, 4, lambda *tile: there) is BadPackageReason.TOO_FEW


def test_a_level_that_was_left_out_is_found_beside_one_with_gaps_all_over(tmp_path, like):
    root = root_json(2, 9)
    gaps = {(9, row, col): b"here" for row in range(512) for col in range(0, 512, 128)}
    path = make_package(tmp_path / "a.tpkx", gaps, root=root)
    service = replace(read_profile(path), name="Streets")
    levels = tuple(map(service.scheme.level, (2, 3, 9)))
    part = Part(levels, box(-2e7, -2e7, 2e7, 2e7), 262224)
    left_out = lambda level_id, row, col: level_id == 3  # noqa: E731
    assert reason_of(path, part, service, None, left_out) is BadPackageReason.TOO_FEW


def test_few_tiles_in_a_large_part_are_found(like):
    scheme = replace(like.scheme, levels=web_mercator(256, finest=10).levels)
    part = Part((scheme.level(10),), box(0, 0, 9e6, 9e6), 53000)
    there = lambda level_id, row, col: (col % 16, row % 2) == (5, 0)  # noqa: E731
    assert not is_empty(part, scheme, there)


def test_only_where_all_that_is_asked_after_is_a_gap_a_part_is_empty(like, part):
    scheme = like.scheme
    assert is_empty(part, scheme, lambda *tile: False)
    assert not is_empty(part, scheme, lambda *tile: None)
    assert not is_empty(part, scheme, lambda *tile: tile == (2, 1, 1))
