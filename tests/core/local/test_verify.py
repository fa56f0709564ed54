"""Verifying caches: what is found in caches spoilt on purpose, and what mending leaves."""

from __future__ import annotations

import json
import sqlite3
import struct
import zipfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from arcgis_server import bundles
from made_caches import WORLD, make_compact, profile, write_metadata
from tile_bytes import SIDE, chunk, tile

from tile_cache_manager.plugin.core.errors import NotACache, ReadOnlyCache, ReadOnlyReason
from tile_cache_manager.plugin.core.local.verify import MOST_FINDINGS, verify
from tile_cache_manager.plugin.core.request import Feedback
from tile_cache_manager.plugin.core.storage.mbtiles import create_mbtiles
from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.pictures import PictureFacts, picture_facts
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.store import NO_LEVEL, Fault, Finding
from tile_cache_manager.plugin.core.storage.tpkx import TpkxStore, create_tpkx

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "cache-samples"
KEYS = [(0, 0, 0), (1, 1, 0), (8, 3, 5), (8, 130, 5), (8, 130, 6), (8, 130, 255), (9, 511, 511)]
COUNTS = {0: 1, 1: 1, 8: 4, 9: 1}
BUNDLE = Path("_alllayers", "L08", "R0080C0000.bundle")
JPEG = (
    b"\xff\xd8"
    + struct.pack(">BBHBHHB", 0xFF, 0xC0, 11, 8, SIDE, SIDE, 1)
    + b"\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00pixels\xff\xd9"
)


@pytest.fixture
def cache(tmp_path) -> Path:
    return make_compact(tmp_path / "Übersicht Nord" / "Layers", KEYS)


def patch(file: Path, offset: int, content: bytes) -> None:
    with file.open("r+b") as stream:
        stream.seek(offset)
        stream.write(content)


def faults(report) -> list[tuple[Fault, int, tuple[int, int] | None, bool]]:
    return [(f.fault, f.level_id, f.tile, f.can_be_mended) for f in report.findings]


def offset_of(cache: Path, row: int, col: int) -> int:
    return bundles.read_cache(cache)[8][row, col].offset


# --- one thing wrong -------------------------------------------------------------------------


def nothing(cache):
    pass


def half_a_picture(cache):
    bundles.write_tile(cache, 8, 130, 6, tile(8, 130, 6)[:-30])


def no_picture(cache):
    bundles.write_tile(cache, 8, 130, 6, b"<html>403 Forbidden</html>")


def a_bit(cache):
    patch(cache / BUNDLE, offset_of(cache, 130, 6) + 70, b"\x99")


def another_size(cache):
    bundles.write_tile(cache, 8, 130, 6, tile(8, 130, 6, side=SIDE * 2))


def a_jpeg(cache):
    bundles.write_tile(cache, 8, 130, 6, JPEG)


def an_entry_outside(cache):
    patch(cache / BUNDLE, 64 + 8 * (2 * 128 + 6), struct.pack("<Q", 99 << 40 | 1 << 30))


def a_wrong_size(cache):
    patch(cache / BUNDLE, offset_of(cache, 130, 6) - 4, b"\1\2\3\4")


def a_stale_header(cache):
    patch(cache / BUNDLE, 24, struct.pack("<Q", 131136))


def no_bundle(cache):
    (cache / BUNDLE).write_bytes(b"x" * 200_000)


def a_bundle_cut(cache):
    (cache / BUNDLE).write_bytes((cache / BUNDLE).read_bytes()[:5000])


def a_header_zeroed(cache):
    patch(cache / BUNDLE, 0, bytes(64))


def an_unknown_level(cache):
    bundles.write_tile(cache, 12, 1, 1, tile(12, 1, 1))


def a_tile_beyond_the_world(cache):
    bundles.write_tile(cache, 8, 255, 256, tile(8, 255, 256))


SPOILT = [
    (nothing, None),
    (half_a_picture, (Fault.PICTURE, 8, (130, 6), True)),
    (no_picture, (Fault.PICTURE, 8, (130, 6), True)),
    (a_bit, (Fault.PICTURE, 8, (130, 6), True)),
    (another_size, (Fault.PICTURE_SIZE, 8, (130, 6), False)),
    (a_jpeg, (Fault.PICTURE_FORMAT, 8, (130, 6), False)),
    (an_entry_outside, (Fault.OUTSIDE, 8, (130, 6), True)),
    (a_wrong_size, (Fault.SIZE, 8, (130, 6), True)),
    (a_stale_header, (Fault.HEADER, 8, None, True)),
    (no_bundle, (Fault.NOT_A_BUNDLE, 8, None, True)),
    (a_bundle_cut, (Fault.CUT, 8, None, True)),
    (a_header_zeroed, (Fault.HEADER, 8, None, True)),
    (an_unknown_level, (Fault.LEVEL, 12, None, False)),
    (a_tile_beyond_the_world, (Fault.STRAY, 8, (255, 256), False)),
]


@pytest.mark.parametrize(("spoil", "found"), SPOILT, ids=lambda case: getattr(case, "__name__", ""))
def test_one_thing_wrong(spoil, found, cache):
    spoil(cache)
    before = {file: file.read_bytes() for file in cache.rglob("*") if file.is_file()}

    report = verify(cache, Feedback())

    assert faults(report) == ([found] if found else [])
    assert report.count_of == ({found[0]: 1} if found else {})
    assert report.is_complete
    assert report.mended == 0
    after = {file: file.read_bytes() for file in cache.rglob("*") if file.is_file()}
    assert after == before, "without mending nothing is written"


LOST = {
    half_a_picture: {(130, 6)},
    no_picture: {(130, 6)},
    a_bit: {(130, 6)},
    an_entry_outside: {(130, 6)},
    a_wrong_size: set(),
    a_stale_header: set(),
    a_header_zeroed: set(),
    a_bundle_cut: {(130, 5), (130, 6), (130, 255)},
    no_bundle: {(130, 5), (130, 6), (130, 255)},
}


@pytest.mark.parametrize(
    ("spoil", "lost"), LOST.items(), ids=lambda case: getattr(case, "__name__", "")
)
def test_mending(spoil, lost, cache):
    if spoil in (a_bundle_cut, no_bundle):
        lost = {tile for tile in lost if tile[1] < 128}
    spoil(cache)

    report = verify(cache, Feedback(), mend=True)

    assert report.mended == sum(report.count_of.values()) == 1
    assert report.is_complete
    again = verify(cache, Feedback())
    assert again.findings == ()
    wanted = {(row, col) for level_id, row, col in KEYS if level_id == 8} - lost
    assert set(bundles.tiles_present(cache, 8)) == wanted
    for row, col in wanted:
        assert bundles.read_bytes(cache, 8, row, col) == tile(8, row, col)


@pytest.mark.parametrize("spoil", [a_bundle_cut, no_bundle])
def test_what_cannot_be_read_is_set_aside_and_made_anew(spoil, cache):
    """Recreating what is empty then makes the tiles; without mending nothing gets another name."""
    spoil(cache)
    content = (cache / BUNDLE).read_bytes()
    assert verify(cache, Feedback()).set_aside == ()

    report = verify(cache, Feedback(), mend=True)

    assert report.set_aside == (BUNDLE.as_posix(),)
    assert cache.joinpath(f"{BUNDLE}.damaged").read_bytes() == content
    with open_store(cache, for_writing=True) as store:
        store.write(8, {(130, 6): tile(8, 130, 6)})
    assert bundles.read_bytes(cache, 8, 130, 6) == tile(8, 130, 6)


def test_mending_leaves_what_readers_can_show(cache):
    """A picture of another size or format, and a tile beyond the world, are not ours to drop."""
    another_size(cache)
    a_tile_beyond_the_world(cache)

    report = verify(cache, Feedback(), mend=True)

    assert report.mended == 0
    assert bundles.read_bytes(cache, 8, 130, 6) == tile(8, 130, 6, side=SIDE * 2)
    assert bundles.read_bytes(cache, 8, 255, 256) is not None


def test_all_at_once(cache):
    for spoil in (half_a_picture, a_tile_beyond_the_world, an_unknown_level):
        spoil(cache)
    patch(cache / "_alllayers" / "L01" / "R0000C0000.bundle", 0, b"\7")

    report = verify(cache, Feedback())

    wanted = {Fault.PICTURE: 1, Fault.STRAY: 1, Fault.LEVEL: 1, Fault.HEADER: 1}
    assert report.count_of == wanted
    assert report.tiles == {0: 1, 8: 5, 9: 1, 12: 1}


# --- formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_format", "content", "is_right"),
    [
        ("PNG", tile(0, 0, 0), True),
        ("PNG8", tile(0, 0, 0), True),
        ("PNG24", tile(0, 0, 0), True),
        ("MIXED", tile(0, 0, 0), True),
        ("MIXED", JPEG, True),
        ("JPEG", JPEG, True),
        ("JPEG", tile(0, 0, 0), False),
        ("PNG24", JPEG, False),
        ("LERC", b"Lerc2 elevations", True),
        ("LERC", b"anything", True),
    ],
)
def test_format_of_pictures(image_format, content, is_right, tmp_path):
    write_metadata(tmp_path, profile(image_format=image_format))
    bundles.write_tile(tmp_path, 3, 1, 1, content)

    report = verify(tmp_path, Feedback())

    assert report.count_of == ({} if is_right else {Fault.PICTURE_FORMAT: 1})


@pytest.mark.parametrize("mend", [False, True])
def test_a_decoder_has_the_last_word(mend, cache):
    def decode(content: bytes) -> PictureFacts | None:
        return None if content == tile(8, 130, 5) else picture_facts(content)

    report = verify(cache, Feedback(), mend=mend, check_picture=decode)

    assert faults(report) == [(Fault.PICTURE, 8, (130, 5), True)]
    assert report.mended == mend
    assert (bundles.read_bytes(cache, 8, 130, 5) is None) == mend


def test_exploded(tmp_path):
    write_metadata(tmp_path, profile(StorageFormat.EXPLODED))
    contents = {
        "L03/R00000001/C00000002.png": tile(3, 1, 2),
        "L03/R00000001/C00000003.png": tile(3, 1, 3)[:-5],
        "L03/R00000001/C00000004.png": b"",
        "L03/R00000001/C00000009.png": tile(3, 1, 9),
    }
    for name, content in contents.items():
        path = tmp_path / "_alllayers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    report = verify(tmp_path, Feedback())

    found = {(finding.fault, finding.tile) for finding in report.findings}
    wanted = {(Fault.PICTURE, (1, 3)), (Fault.CUT, (1, 4)), (Fault.STRAY, (1, 9))}
    assert found == wanted
    assert verify(tmp_path, Feedback(), mend=True).mended == 2
    left = sorted(path.name for path in tmp_path.rglob("C*.png"))
    assert left == ["C00000002.png", "C00000009.png"]


# --- files beside the tiles -------------------------------------------------------------------


def edges(conf_cdi: Path) -> list[float]:
    root = ElementTree.fromstring(conf_cdi.read_bytes())
    return [float(root.findtext(name, "")) for name in ("XMin", "YMin", "XMax", "YMax")]


@pytest.mark.parametrize("storage", [StorageFormat.COMPACT_V2, StorageFormat.EXPLODED])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[:100],
        lambda content: bytes(len(content)),
        lambda content: content[::-1],
        lambda content: content.replace(b"<XMax>", b"<XMax>x"),
        lambda content: b"<EnvelopeN/>",
    ],
    ids=["empty", "cut", "zeroed", "garbled", "no number", "nothing in it"],
)
def test_an_extent_that_cannot_be_read_is_written_anew(spoil, storage, tmp_path):
    write_metadata(tmp_path, profile(storage))
    with open_store(tmp_path, for_writing=True) as store:
        store.write(3, {(2, 5): tile(3, 2, 5)})
    path = tmp_path / "conf.cdi"
    path.write_bytes(spoil(path.read_bytes()))
    found = Finding(Fault.UNREADABLE, NO_LEVEL, "conf.cdi")
    before = path.read_bytes()
    assert verify(tmp_path, Feedback()).findings == (found,)
    assert path.read_bytes() == before

    report = verify(tmp_path, Feedback(), mend=True)

    assert report.findings == (replace(found, can_be_mended=True),)
    assert report.mended == 1
    assert verify(tmp_path, Feedback()).findings == ()
    side = WORLD.xmax / 4
    assert edges(path) == pytest.approx([side, side, 2 * side, 2 * side])


def test_an_extent_without_tiles_is_that_of_the_world(tmp_path):
    write_metadata(tmp_path, profile())
    (tmp_path / "conf.cdi").write_bytes(b"")

    assert verify(tmp_path, Feedback(), mend=True).mended == 1

    assert edges(tmp_path / "conf.cdi") == pytest.approx(WORLD.bounds)


def test_no_extent_is_no_fault(cache):
    (cache / "conf.cdi").unlink()

    assert verify(cache, Feedback(), mend=True).findings == ()
    assert not (cache / "conf.cdi").exists()


def flip(path: Path, name: str) -> None:
    """Another last byte in a stored member of a zip, without a word to its checksum."""
    with zipfile.ZipFile(path) as package:
        entry = package.getinfo(name)
    with path.open("r+b") as file:
        file.seek(entry.header_offset + 26)
        around = sum(struct.unpack("<2H", file.read(4)))
        file.seek(entry.header_offset + 30 + around + entry.file_size - 1)
        last = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([last ^ 0x20]))


@pytest.mark.parametrize("name", ["iteminfo.json", "thumbnail.png", "tile/L03/R0000C0000.bundle"])
def test_a_wrong_checksum_in_a_package(name, tmp_path):
    path = tmp_path / "a package.tpkx"
    create_tpkx(path, profile(StorageFormat.TPKX))
    with TpkxStore(path, for_writing=True) as store:
        store.write(3, {(1, 1): tile(3, 1, 1), (1, 2): tile(3, 1, 2)})
        store.delete(3, [(1, 2)])
        store.commit()
    flip(path, name)
    with zipfile.ZipFile(path) as package:
        assert package.testzip() == name
    before = path.read_bytes()

    found = verify(path, Feedback()).findings

    assert found[0] == Finding(Fault.UNREADABLE, NO_LEVEL, name)
    assert path.read_bytes() == before
    report = verify(path, Feedback(), mend=True)
    assert report.mended == len(report.findings) == len(found)
    with zipfile.ZipFile(path) as package:
        assert package.testzip() is None
        json.loads(package.read("iteminfo.json"))
    assert verify(path, Feedback()).findings == ()


def test_a_wrong_checksum_of_what_nobody_can_judge_stays_as_it_is(tmp_path):
    path = tmp_path / "a package.tpkx"
    create_tpkx(path, profile(StorageFormat.TPKX))
    with zipfile.ZipFile(path, "a") as package:
        package.writestr("esriinfo/notes.txt", "of somebody else")
    flip(path, "esriinfo/notes.txt")
    before = path.read_bytes()

    report = verify(path, Feedback(), mend=True)

    assert report.findings == (Finding(Fault.UNREADABLE, NO_LEVEL, "esriinfo/notes.txt"),)
    assert report.mended == 0
    assert path.read_bytes() == before


@pytest.mark.parametrize("page", [5, 12, 30])
def test_mending_mbtiles_with_damaged_pages_saves_the_others(page, tmp_path):
    path = tmp_path / "a.mbtiles"
    made = profile(StorageFormat.MBTILES)
    create_mbtiles(path, made)
    contents = {(r, c): tile(7, r, c) for r in range(20) for c in range(20)}
    with open_store(path, for_writing=True) as store:
        store.write(7, contents)
        store.commit()
    patch(path, page * 4096, b"\x07" * 4096)
    broken = path.read_bytes()
    assert verify(path, Feedback()).count_of[Fault.UNREADABLE] >= 1
    assert path.read_bytes() == broken

    report = verify(path, Feedback(), mend=True)

    assert report.set_aside == ("a.mbtiles",)
    assert path.with_name("a.mbtiles.damaged").read_bytes() == broken
    assert verify(path, Feedback()).findings == ()
    with open_store(path) as store:
        left = {place for place in contents if store.read(7, *place) == contents[place]}
        assert store.counts() == {7: len(left)}
    assert len(left) >= 360


# --- read-only caches, cancelling, progress ----------------------------------------------------


def test_mending_a_format_that_is_only_read(tmp_path):
    path = tmp_path / "a.mbtiles"
    create_mbtiles(path, profile(StorageFormat.MBTILES))
    with closing(sqlite3.connect(path)) as file:
        file.execute("ALTER TABLE tiles RENAME TO others")
        file.execute("CREATE VIEW tiles AS SELECT * FROM others")

    with pytest.raises(ReadOnlyCache) as caught:
        verify(path, Feedback(), mend=True)

    assert caught.value.reason is ReadOnlyReason.FORMAT


def test_no_cache(tmp_path):
    with pytest.raises(NotACache):
        verify(tmp_path / "nothing", Feedback())


@pytest.mark.parametrize("after", [0, 3])
def test_cancelling(after, cache):
    half_a_picture(cache)
    looked: list[float] = []
    feedback = Feedback(progress=looked.append, cancelled=lambda: len(looked) >= after)

    report = verify(cache, feedback)

    assert not report.is_complete
    assert sum(report.tiles.values()) == after


def test_progress(cache):
    told: list[float] = []

    verify(cache, Feedback(progress=told.append))

    assert told == pytest.approx([100 * n / 7 for n in range(1, 8)])


def test_many_findings(tmp_path):
    write_metadata(tmp_path, profile())
    path = tmp_path / "_alllayers" / "L09" / "R0000C0000.bundle"
    path.parent.mkdir(parents=True)
    bundles.write_tile(tmp_path, 9, 0, 0, b"no picture")
    (offset,) = struct.unpack("<Q", path.read_bytes()[64:72])
    patch(path, 64, struct.pack("<Q", offset) * 1500)

    report = verify(tmp_path, Feedback())

    assert report.count_of == {Fault.PICTURE: 1500}
    assert len(report.findings) == MOST_FINDINGS
    assert report.tiles == {9: 1500}


# --- others' caches ----------------------------------------------------------------------------


def sample(*parts: str) -> Path:
    path = SAMPLES.joinpath(*parts)
    if not path.exists():
        pytest.skip("the sample caches are not here")
    return path


def test_esris_sample():
    report = verify(sample("esri-raster-tiles-compactcache", "sample_cache"), Feedback())

    assert report.tiles == {0: 1, 1: 4, 2: 16}
    assert report.findings == ()


@pytest.mark.parametrize(
    ("name", "tiles"),
    [
        ("states_filled.tpk", {0: 1, 1: 1, 2: 2, 3: 4, 4: 16}),
        ("alt_root_name.tpk", {0: 1, 1: 1}),
        ("nonstandard_zoom_levels.tpk", {0: 2, 1: 4, 2: 16}),
    ],
)
def test_packages_of_arcgis(name, tiles):
    report = verify(sample("consbio-tpkutils", "tests", "data", name), Feedback())

    assert report.tiles == tiles
    assert report.findings == ()


def test_a_package_that_gdal_is_tested_with():
    data = ("gdal-autotest-esric", "autotest", "gdrivers", "data")

    report = verify(sample(*data, "esric", "Usa_lod5.tpkx"), Feedback())

    assert report.tiles == {5: 99}
    assert report.findings == ()
    assert verify(sample(*data, "mbtiles", "world_l1.mbtiles"), Feedback()).findings == ()


def test_four_bytes_missing_as_in_esris_own_package(cache):
    """`Usa.tpkx` of Esri has tiles whose size in front took the place of PNG's first bytes."""
    start = offset_of(cache, 130, 6)
    content = tile(8, 130, 6)
    patch(cache / BUNDLE, start - 4, struct.pack("<I", len(content)) + content[4:])

    assert faults(verify(cache, Feedback())) == [(Fault.PICTURE, 8, (130, 6), True)]


def test_a_package_is_written_anew_when_mended(tmp_path):
    path = tmp_path / "a package.tpkx"
    create_tpkx(path, profile(StorageFormat.TPKX))
    with TpkxStore(path, for_writing=True) as store:
        store.write(3, {(1, 1): tile(3, 1, 1), (1, 2): tile(3, 1, 2)[:-9] + chunk(b"junk")})
        store.commit()

    report = verify(path, Feedback(), mend=True)

    assert report.count_of == {Fault.PICTURE: 1}
    assert report.mended == 1
    assert verify(path, Feedback()).findings == ()
    zipfile.ZipFile(path).extractall(tmp_path / "unpacked")
    (bundle,) = (tmp_path / "unpacked").rglob("*.bundle")
    content = bundle.read_bytes()
    assert tile(3, 1, 1) in content
    entries = struct.unpack("<16384Q", content[64 : 64 + 131072])
    assert sum(1 for entry in entries if entry >> 40) == 1
