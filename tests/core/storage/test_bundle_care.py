"""Findings, mending, holes and defragmenting of single bundles, made by hand from the white paper.

What comes out is read by an independent reader, and by the team's checker where it is.
"""

from __future__ import annotations

import importlib.util
import os
import random
import re
import struct
import subprocess
import sys
import types
import zipfile
import zlib
from pathlib import Path

import pytest
from arcgis_server import bundles

from tile_cache_manager.plugin.core.errors import DamagedCache, DiskFull
from tile_cache_manager.plugin.core.storage.bundle_care import (
    defragment_bundle,
    findings_of,
    holes_of,
    mend_bundle,
)
from tile_cache_manager.plugin.core.storage.bundle_care_v1 import findings_of_v1, mend_bundle_v1
from tile_cache_manager.plugin.core.storage.bundle_v1 import BundleV1
from tile_cache_manager.plugin.core.storage.bundle_v2 import BundleV2
from tile_cache_manager.plugin.core.storage.store import Fault, Finding

SHARED = Path(__file__).resolve().parents[4] / "shared"
CHECKER = SHARED / "tools" / "bundle_check.py"
FIXED = 64 + 16384 * 8
PAPER = {
    "version": 3,
    "records": 16384,
    "largest": None,
    "offset_bytes": 5,
    "slack": 0,
    "file_size": None,
    "user_at": 40,
    "user_size": 131092,
    "legacy_44": 3,
    "legacy_48": 16,
    "legacy_52": 16384,
    "legacy_56": 5,
    "index_size": 131072,
}
NAME = "R0080C0100.bundle"
FIRST = (0x80, 0x100)


def picture(number: int, noise: int = 40) -> bytes:
    """A grey PNG of 16 x 16 pixels, another for each number."""
    rng = random.Random(number)
    rows = b"".join(b"\0" + rng.randbytes(16) for _ in range(16))
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0))]
    parts += [(b"tEXt", rng.randbytes(noise)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


class Draft:
    """A bundle being put together by hand: bytes behind the index, entries, header."""

    def __init__(self) -> None:
        self.data = b""
        self.entries = [4] * 16384
        self.header = dict(PAPER)

    @property
    def end(self) -> int:
        return FIXED + len(self.data)

    def add(self, slot: int, tile: bytes, *, prefix: int | None = None) -> int:
        """Append a tile; where its picture begins."""
        self.data += struct.pack("<I", len(tile) if prefix is None else prefix)
        offset = self.end
        self.data += tile
        self.point(slot, offset, len(tile))
        return offset

    def point(self, slot: int, offset: int, size: int) -> None:
        self.entries[slot] = size << 40 | offset

    def save(self, folder: Path, cut: int | None = None) -> Path:
        header = dict(self.header)
        if header["largest"] is None:
            header["largest"] = max(entry >> 40 for entry in self.entries)
        if header["file_size"] is None:
            header["file_size"] = self.end
        content = struct.pack("<4I3Q6I", *header.values())
        content += struct.pack("<16384Q", *self.entries) + self.data
        path = folder / "_alllayers" / "L07" / NAME
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content[:cut])
        return path


def draft_of(*slots: int) -> Draft:
    draft = Draft()
    for slot in slots:
        draft.add(slot, picture(slot))
    return draft


def tile_of(slot: int) -> tuple[int, int]:
    return FIRST[0] + slot // 128, FIRST[1] + slot % 128


def found_in(path: Path) -> list[tuple[Fault, tuple[int, int] | None]]:
    with BundleV2(path) as bundle:
        found = list(findings_of(bundle, 7, path.name))
    assert all(finding.level_id == 7 and finding.file == NAME for finding in found)
    return [(finding.fault, finding.tile) for finding in found]


def mend_all(path: Path) -> bool:
    with BundleV2(path) as bundle:
        found = list(findings_of(bundle, 7, path.name))
    return all(mend_bundle(path, finding) for finding in found)


def tiles_in(path: Path) -> dict[int, bytes]:
    """Pictures by slot, as the independent reader finds them."""
    cache = path.parents[2]
    stored = bundles.tiles_present(cache, 7)
    slots = {(row - FIRST[0]) * 128 + col - FIRST[1]: (row, col) for row, col in stored}
    return {slot: bundles.read_bytes(cache, 7, *tile) for slot, tile in slots.items()}


def checker(path: Path) -> int:
    """Exit code of the team's checker; 0 for nothing to complain of."""
    if not CHECKER.exists():
        pytest.skip("the team's checker is not here")
    done = subprocess.run(
        [sys.executable, str(CHECKER), "--spec", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode


# --- what is wrong ---------------------------------------------------------------------------


def with_header(**values) -> Draft:
    draft = draft_of(0, 5, 16383)
    draft.header.update(values)
    return draft


def pointing(slot: int, offset: int, size: int) -> Draft:
    draft = draft_of(0, 5)
    draft.point(slot, offset, size)
    return draft


def shared() -> Draft:
    draft = draft_of(0)
    offset = draft.add(7, picture(7))
    draft.point(9000, offset, len(picture(7)))
    return draft


def overlapping() -> Draft:
    draft = draft_of(0)
    offset = draft.add(130, picture(130))
    draft.point(131, offset + 10, 60)
    return draft


FIRST_TILE, SIXTH, LAST = tile_of(0), tile_of(5), tile_of(16383)

CASES = {
    "as in the paper": (draft_of(0, 5, 16383), []),
    "no tile": (Draft(), []),
    "as ArcGIS writes it": (with_header(records=0, largest=131092, legacy_48=0), []),
    "emptied entries of others": (pointing(9, 0, 0), []),
    "emptied entry that keeps its offset": (pointing(9, FIXED + 4, 0), []),
    "two tiles of the same bytes": (shared(), []),
    "a stale file size": (with_header(file_size=FIXED), [(Fault.HEADER, None)]),
    "a largest size below the largest": (with_header(largest=3), [(Fault.HEADER, None)]),
    "another record count": (with_header(records=77), [(Fault.HEADER, None)]),
    "a file size beyond the end": (with_header(file_size=1 << 33), [(Fault.CUT, None)]),
    "version 4": (with_header(version=4), [(Fault.HEADER, None)]),
    "another index size": (with_header(index_size=99), [(Fault.HEADER, None)]),
    "in the index": (pointing(5, 900, 20), [(Fault.OUTSIDE, SIXTH)]),
    "its size in the index": (pointing(5, FIXED + 3, 20), [(Fault.OUTSIDE, SIXTH)]),
    "beyond the end": (pointing(16383, 1 << 39, 20), [(Fault.OUTSIDE, LAST)]),
    "across the end": (pointing(5, FIXED + 300, 99999), [(Fault.OUTSIDE, SIXTH)]),
    "all ones": (pointing(5, (1 << 40) - 1, (1 << 24) - 1), [(Fault.OUTSIDE, SIXTH)]),
    "overlapping": (overlapping(), [(Fault.OVERLAP, tile_of(131))]),
}
WRONG_SIZE = draft_of(0)
WRONG_SIZE.add(5, picture(5), prefix=77)
CASES["a wrong size in front"] = (WRONG_SIZE, [(Fault.SIZE, SIXTH)])


@pytest.mark.parametrize(("draft", "expected"), CASES.values(), ids=CASES.keys())
def test_findings(draft, expected, tmp_path):
    assert found_in(draft.save(tmp_path)) == expected


@pytest.mark.parametrize("length", [0, 10, 64, 5000, FIXED - 1])
def test_findings_of_a_file_too_short(length, tmp_path):
    path = draft_of(0, 5).save(tmp_path, cut=length)

    assert found_in(path) == [(Fault.CUT, None)]


def test_findings_of_a_file_cut_in_a_tile(tmp_path):
    path = draft_of(0, 5).save(tmp_path, cut=FIXED + 4 + len(picture(0)) + 20)

    assert found_in(path) == [(Fault.CUT, None), (Fault.OUTSIDE, SIXTH)]


def test_findings_of_many(tmp_path):
    """Random entries: those outside, and those that begin within another, by brute force."""
    rng = random.Random(3)
    draft = Draft()
    draft.data = bytes(30_000)
    slots = rng.sample(range(16384), 120)
    for slot in slots:
        draft.point(slot, rng.randrange(FIXED - 500, draft.end + 500), rng.randrange(1, 400))
    path = draft.save(tmp_path)

    spans = {s: ((e & (1 << 40) - 1) - 4, (e & (1 << 40) - 1) + (e >> 40)) for s, e in
             ((s, draft.entries[s]) for s in slots)}  # fmt: skip
    inside = {s: span for s, span in spans.items() if span[0] >= FIXED and span[1] <= draft.end}
    within = {
        s
        for s, (a, b) in inside.items()
        if any(c < a < d or (c == a and d < b) for c, d in inside.values())
    }
    found = found_in(path)
    by_fault = {f: {t for g, t in found if g is f} for f in (Fault.OUTSIDE, Fault.OVERLAP)}
    assert by_fault[Fault.OUTSIDE] == {tile_of(s) for s in spans.keys() - inside.keys()}
    assert by_fault[Fault.OVERLAP] == {tile_of(s) for s in within}


def old_bundle(folder: Path, offset: int | None = None, length: int | None = None, **odd) -> Path:
    """A bundle of version 1 with a tile in row 1, column 0; its index `offset` may be wrong."""
    tile = picture(1)
    start = 60 + 4 * 16384
    size = start + 4 + len(tile)
    rows, cols = odd.get("rows", (0x80, 0xFF)), (0x100, 0x17F)
    header = struct.pack("<4I3Q", 3, 16384, len(tile), 5, 4, odd.get("file_size", size), 40)
    header += struct.pack("<5I", 16, *rows, *cols)
    content = header + bytes(4 * 16384) + struct.pack("<I", len(tile)) + tile
    offsets = [60 + 4 * place for place in range(16384)]
    offsets[1] = start
    if offset is not None:
        offsets[3] = offset
    index = struct.pack("<4I", 3, 16, 16384, odd.get("offset_bytes", 5))
    index += b"".join(place.to_bytes(5, "little") for place in offsets)
    path = folder / NAME
    path.write_bytes(content[:length])
    path.with_suffix(".bundlx").write_bytes(index + struct.pack("<4I", 0, 16, 16, 0))
    return path


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, []),
        ({"offset": 0}, []),
        ({"offset": 1 << 38}, [(Fault.OUTSIDE, tile_of(3 * 128))]),
        ({"offset": 60 + 4 * 16384 + 1}, [(Fault.OUTSIDE, tile_of(3 * 128))]),
        ({"file_size": 99}, [(Fault.HEADER, None)]),
        ({"rows": (0, 127)}, [(Fault.HEADER, None)]),
        ({"rows": (0xFFFFFFFF, 127)}, [(Fault.HEADER, None)]),
        ({"offset_bytes": 4}, [(Fault.NOT_A_BUNDLE, None)]),
        ({"length": 100}, [(Fault.CUT, None)]),
        ({"length": 65650}, [(Fault.CUT, None), (Fault.OUTSIDE, tile_of(128))]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_findings_of_version_1(values, expected, tmp_path):
    with BundleV1(old_bundle(tmp_path, **values)) as bundle:
        found = list(findings_of_v1(bundle, 7, NAME))

    assert [(finding.fault, finding.tile) for finding in found] == expected
    is_useless = (
        expected and expected[0][0] in (Fault.NOT_A_BUNDLE, Fault.CUT) and len(expected) < 2
    )
    for finding in found:
        assert finding.can_be_mended
        assert finding.by_setting_aside is is_useless
        assert mend_bundle_v1(tmp_path / NAME, finding)
    if is_useless:
        names = sorted(each.name for each in tmp_path.iterdir())
        assert names == [f"{NAME}.damaged", f"{Path(NAME).stem}.bundlx.damaged"]
        return
    with BundleV1(tmp_path / NAME) as bundle:
        assert list(findings_of_v1(bundle, 7, NAME)) == []
        gone = (Fault.OUTSIDE, tile_of(128)) in expected
        assert (bundle.read(128) is None) is gone


def test_nothing_is_wrong_with_bundles_of_arcgis(tmp_path):
    package = SHARED / "cache-samples" / "consbio-tpkutils" / "tests" / "data" / "states_filled.tpk"
    if not package.exists():
        pytest.skip("the sample caches are not here")
    zipfile.ZipFile(package).extractall(tmp_path)
    paths = sorted(tmp_path.rglob("*.bundle"))
    assert len(paths) == 5
    for path in paths:
        with BundleV1(path) as bundle:
            assert list(findings_of_v1(bundle, 0, path.name)) == []


def load_checker():
    if not CHECKER.exists():
        pytest.skip("the team's checker is not here")
    spec = importlib.util.spec_from_file_location("bundle_check", CHECKER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("seed", range(12))
def test_the_checker_finds_the_same(seed, tmp_path, capsys):
    """In bundles of random tiles, replaced, deleted and spoilt at random: faults and holes."""
    rng = random.Random(seed)
    draft = Draft()
    slots = rng.sample(range(16384), 60)
    for slot in [*slots, *rng.sample(slots, 20)]:
        wrong = rng.random() < 0.1
        offset = draft.add(slot, picture(slot, rng.randrange(300)), prefix=5 if wrong else None)
        if rng.random() < 0.05:
            draft.point(slot, offset + rng.randrange(1, 50), 90)
    for slot in rng.sample(slots, 6):
        draft.entries[slot] = rng.choice([0, 4, 1 << 39 | 9 << 40, 5 << 40 | 77])
    path = draft.save(tmp_path)
    module = load_checker()
    complaints = []

    class Report(module.Report):
        def error(self, where, text, key=None):
            place = re.search(r" tile r(\d+) c(\d+)", where)
            complaints.append((key, place and (int(place[1]), int(place[2]))))

    report = Report(False)
    options = types.SimpleNamespace(spec=True, any_image=True, stale_header=False, v=False)
    blob = module.Blob(path.open("rb"), 0, path.stat().st_size)
    with blob.fh:
        module.check_v2(report, blob, path.name, 7, {}, options)

    names = {"outside": Fault.OUTSIDE, "prefix": Fault.SIZE, "overlap": Fault.OVERLAP}
    theirs = {(names[key], tile) for key, tile in complaints if key in names}
    ours = {each for each in found_in(path) if each[1]}
    assert ours <= theirs
    assert {tile for _, tile in ours} == {tile for _, tile in theirs}
    with BundleV2(path) as bundle:
        assert holes_of(bundle)[1] == report.levels[7]["hole"]


# --- mending ---------------------------------------------------------------------------------

MENDABLE = {name: case for name, case in CASES.items() if case[1]}


@pytest.mark.parametrize(("draft", "expected"), MENDABLE.values(), ids=MENDABLE.keys())
def test_mending_loses_no_whole_picture(draft, expected, tmp_path):
    path = draft.save(tmp_path)
    whole = {slot: tile for slot, tile in tiles_in(path).items() if tile == picture(slot)}

    assert mend_all(path)

    assert found_in(path) == []
    assert tiles_in(path) == whole
    assert checker(path) == 0


def test_mending_overlapping_tiles_that_are_both_whole(tmp_path):
    """A picture may lie in another one's text: both can be read, and stay."""
    draft = Draft()
    inner = picture(1)
    outer = picture(2, noise=400)
    where = outer.index(b"tEXt") + 10
    body = outer[outer.index(b"tEXt") :][: 4 + 400]
    changed = body[:6] + inner + body[6 + len(inner) :]
    outer = outer.replace(body + outer[outer.index(body) + 404 :][:4],
                          changed + struct.pack(">I", zlib.crc32(changed)))  # fmt: skip
    offset = draft.add(3, outer)
    draft.point(4, offset + where - 4, len(inner))
    path = draft.save(tmp_path)
    assert [fault for fault, _ in found_in(path)] == [Fault.OVERLAP]

    assert mend_all(path)

    assert tiles_in(path) == {3: outer, 4: inner}
    assert checker(path) == 0


def test_mending_a_tile_that_is_no_picture(tmp_path):
    draft = draft_of(0)
    elevations = b"Lerc2 " + bytes(90)
    draft.add(1, elevations, prefix=1)
    draft.add(2, b"neither picture nor elevations", prefix=1)
    path = draft.save(tmp_path)

    assert mend_all(path)

    assert tiles_in(path) == {0: picture(0), 1: elevations}


def test_mending_a_picture_drops_it(tmp_path):
    draft = draft_of(0)
    draft.add(5, picture(5)[4:])
    path = draft.save(tmp_path)

    assert mend_bundle(path, Finding(Fault.PICTURE, 7, NAME, SIXTH, can_be_mended=True))

    assert tiles_in(path) == {0: picture(0)}


def test_mending_what_was_put_right_in_the_meantime(tmp_path):
    path = draft_of(0, 5).save(tmp_path)
    before = path.read_bytes()

    assert mend_bundle(path, Finding(Fault.SIZE, 7, NAME, SIXTH, can_be_mended=True))

    assert path.read_bytes() == before


def test_a_file_too_short_is_set_aside(tmp_path):
    for text in (b"first", b"second"):
        path = Draft().save(tmp_path)
        path.write_bytes(text)
        assert mend_all(path)

    kept = sorted(file.read_bytes() for file in path.parent.iterdir())
    assert kept == [b"first", b"second"]
    assert not list(path.parent.glob("*.bundle"))


@pytest.mark.parametrize("header", [bytes(64), b"\xff" * 64, random.Random(1).randbytes(64)])
@pytest.mark.parametrize("slots", [(), (0, 5, 700, 16383)])
def test_a_header_of_garbage_is_written_anew(slots, header, tmp_path):
    path = draft_of(*slots).save(tmp_path)
    path.write_bytes(header + path.read_bytes()[64:])
    assert found_in(path) == [(Fault.HEADER, None)]

    assert mend_all(path)

    assert found_in(path) == []
    assert tiles_in(path) == {slot: picture(slot) for slot in slots}
    assert checker(path) == 0


def test_what_has_neither_header_nor_index_is_set_aside(tmp_path):
    path = draft_of(0, 5, 700).save(tmp_path)
    content = random.Random(1).randbytes(FIXED) + path.read_bytes()[FIXED:]
    path.write_bytes(content)
    with BundleV2(path) as bundle:
        (found,) = findings_of(bundle, 7, path.name)
    wanted = Finding(Fault.NOT_A_BUNDLE, 7, NAME, can_be_mended=True, by_setting_aside=True)
    assert found == wanted

    assert mend_bundle(path, found)

    assert [file.read_bytes() for file in path.parent.iterdir()] == [content]
    assert not path.exists()


def test_what_was_stored_anew_meanwhile_is_not_set_aside(tmp_path):
    path = draft_of(0, 5, 700).save(tmp_path)
    found = Finding(Fault.NOT_A_BUNDLE, 7, NAME, can_be_mended=True, by_setting_aside=True)

    assert mend_bundle(path, found)

    assert set(tiles_in(path)) == {0, 5, 700}


def test_a_bundle_of_version_1_among_others_is_left_alone(tmp_path):
    path = old_bundle(tmp_path)
    before = path.read_bytes()
    content = before + random.Random(1).randbytes(FIXED)
    path.write_bytes(content)

    assert found_in(path) == [(Fault.NOT_A_BUNDLE, None)]
    assert not mend_all(path)

    assert path.read_bytes() == content


# --- holes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("draft", "unused"),
    [
        (Draft(), FIXED),
        (draft_of(0, 5, 9), 0),
        (shared(), 0),
        (overlapping(), 0),
        (pointing(5, 0, 0), 4 + len(picture(5))),
        (pointing(5, 900, 20), 4 + len(picture(5))),
        (pointing(5, FIXED + 4, 3), 4 + len(picture(5))),
    ],
    ids=["no tile", "three", "shared", "overlapping", "deleted", "outside", "within another"],
)
def test_holes(draft, unused, tmp_path):
    path = draft.save(tmp_path)

    with BundleV2(path) as bundle:
        assert holes_of(bundle) == (path.stat().st_size, unused)


def test_holes_of_esris_sample():
    """136,540 bytes of the sample's finest level are unused, as the team's checker counts."""
    cache = SHARED / "cache-samples" / "esri-raster-tiles-compactcache" / "sample_cache"
    if not cache.exists():
        pytest.skip("the sample caches are not here")
    found = {}
    for path in sorted(cache.glob("_alllayers/L*/*.bundle")):
        with BundleV2(path) as bundle:
            found[path.parent.name] = holes_of(bundle)[1]
            assert list(findings_of(bundle, 0, path.name)) == []

    assert found == {"L00": 0, "L01": 0, "L02": 136540}


# --- defragmenting ---------------------------------------------------------------------------


def test_defragmenting(tmp_path):
    draft = draft_of(9, 300, 2)
    for slot in (9, 16383):
        draft.add(slot, picture(slot + 1))
    draft.point(44, 1 << 39, 20)
    path = draft.save(tmp_path)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    before = path.stat().st_size
    with path.open("rb") as reader:
        won = defragment_bundle(path)
        reader.seek(FIXED + 4)
        assert reader.read(len(picture(9))) == picture(9), "who reads the old file goes on with it"

    wanted = {2: picture(2), 9: picture(10), 300: picture(300), 16383: picture(16384)}
    assert tiles_in(path) == wanted
    assert won == 4 + len(picture(9)) == before - path.stat().st_size
    assert path.stat().st_size == FIXED + sum(4 + len(tile) for tile in wanted.values())
    assert path.stat().st_mtime == 1_000_000_000
    assert checker(path) == 0
    with BundleV2(path) as bundle:
        offsets = bundle.index().offsets[sorted(wanted)]
        assert list(offsets) == sorted(offsets), "row by row"
    assert [file.name for file in path.parent.iterdir()] == [NAME]


def test_defragmenting_keeps_shared_bytes_shared(tmp_path):
    path = shared().save(tmp_path)

    assert defragment_bundle(path) == 0

    assert tiles_in(path) == {0: picture(0), 7: picture(7), 9000: picture(7)}


@pytest.mark.parametrize("draft", [Draft(), pointing(0, 1, 1)], ids=["no tile", "one tile"])
def test_defragmenting_removes_a_bundle_without_tiles(draft, tmp_path):
    draft.entries[5] = 4
    path = draft.save(tmp_path)
    size = path.stat().st_size

    assert defragment_bundle(path) == size

    assert not path.exists()


def test_no_room_for_the_new_file(tmp_path, monkeypatch):
    draft = draft_of(9, 300)
    draft.add(9, picture(10))
    path = draft.save(tmp_path)
    before = path.read_bytes()

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        defragment_bundle(path)

    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [NAME]


@pytest.mark.parametrize("draft", [with_header(version=4)], ids=["version 4"])
def test_what_is_no_bundle_is_not_rewritten(draft, tmp_path):
    path = draft.save(tmp_path)
    before = path.read_bytes()

    with pytest.raises(DamagedCache):
        defragment_bundle(path)

    assert path.read_bytes() == before
