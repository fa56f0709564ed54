"""The record of an export's parts: found again after a kill, forgotten where it is of another."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from shapely.geometry import Polygon

from tile_cache_manager.plugin.core.errors import CacheInUse, TargetProblem
from tile_cache_manager.plugin.core.export.parts import (
    OLDEST,
    PartState,
    PartStep,
    digest_of,
    discard_export,
    export_folder,
    open_record,
)
from tile_cache_manager.plugin.core.export.split import Part
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

LEVELS = tuple(Level(i, 1000.0 / 2**i, 4e6 / 2**i) for i in range(5))
SCHEME = TilingScheme(0.0, 0.0, 256, 256, 96.0, SpatialReference(25832), LEVELS)
PLACE = Polygon([(10.5, -20.25), (3000.125, -40), (2000, -2999.0625)])
PARTS = (Part(LEVELS[:3], Extent(0.5, -2.5, 1.25, 0.0), 5), Part(LEVELS[3:4], PLACE, 40))
DIGEST = digest_of("https://here/Streets", SCHEME, {0: PLACE}, "")


def begun(target, digest=DIGEST):
    with open_record(target, SCHEME, digest) as record:
        record.plan(PARTS)
        record.set("00001", PartState(PartStep.ASKED, "https://here/jobs/j1", 5, 999))
        path = record.path("00002", 0, ".tpkx")
        path.write_bytes(b"package")
        record.keep("00002", [path])
    return path


def test_what_is_written_down_is_found_again(tmp_path):
    path = begun(tmp_path / "Streets.tpkx")
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        assert record.parts["00001"] == PARTS[0]
        assert record.parts["00002"].area.equals(PLACE)
        assert record.parts["00002"].levels == PARTS[1].levels
        assert record.state("00001") == PartState(PartStep.ASKED, "https://here/jobs/j1", 5, 999)
        assert record.state("00002").step is PartStep.DOWNLOADED
        assert record.paths("00002") == (path,)
        assert [file.size for file in record.state("00002").files] == [7]


@pytest.mark.parametrize(
    "other",
    [
        digest_of("https://there/Streets", SCHEME, {0: PLACE}, ""),
        digest_of("https://here/Streets", replace(SCHEME, origin_x=1.0), {0: PLACE}, ""),
        digest_of("https://here/Streets", SCHEME, {0: PLACE.buffer(1)}, ""),
        digest_of("https://here/Streets", SCHEME, {1: PLACE}, ""),
        digest_of("https://here/Streets", SCHEME, {0: PLACE}, "TPK"),
    ],
)
def test_another_export_begins_anew(tmp_path, other):
    path = begun(tmp_path / "Streets.tpkx")
    with open_record(tmp_path / "Streets.tpkx", SCHEME, other) as record:
        assert record.parts == {}
        assert not path.exists()


def test_an_old_record_begins_anew(tmp_path, monkeypatch):
    begun(tmp_path / "Streets.tpkx")
    later = time.time() + OLDEST + 60
    monkeypatch.setattr(time, "time", lambda: later)
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        assert record.parts == {}


def test_an_export_that_goes_on_is_the_one_that_was_begun(tmp_path, monkeypatch):
    now = [1e9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    target = tmp_path / "Streets.tpkx"
    begun(target)
    for _run in range(3):
        now[0] += OLDEST / 3 - 1
        with open_record(target, SCHEME, DIGEST) as record:
            assert record.begun == 1e9
            record.plan([PARTS[0]], instead_of=next(iter(record.parts)))
    now[0] += OLDEST / 3
    with open_record(target, SCHEME, DIGEST) as record:
        assert record.begun == now[0]
        assert record.parts == {}


def changed(path):
    path.write_bytes(b"packagE")


def cut(path):
    path.write_bytes(b"pack")


@pytest.mark.parametrize("harm", [changed, cut, lambda path: path.unlink()])
def test_a_file_that_is_not_what_it_was_counts_as_not_downloaded(tmp_path, harm):
    harm(begun(tmp_path / "Streets.tpkx"))
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        assert record.state("00002").step is PartStep.PLANNED
        assert record.state("00001").step is PartStep.ASKED


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b'{"version": 1}',
        json.dumps({"version": 1, "digest": DIGEST, "begun": time.time(), "next": 2}).encode(),
        json.dumps(
            {
                "version": 1,
                "digest": DIGEST,
                "begun": time.time(),
                "next": 2,
                "parts": [{"name": "../../x", "levels": [0], "area": [0, 0, 1, 1], "tiles": 1}],
            }
        ).encode(),
    ],
    # the moment is no part of the names: they are the same in every process
    ids=["empty", "a list", "cut off", "a version", "no parts", "a part elsewhere"],
)
def test_a_record_that_cannot_be_read_begins_anew(tmp_path, content):
    begun(tmp_path / "Streets.tpkx")
    (export_folder(tmp_path / "Streets.tpkx") / "parts.json").write_bytes(content)
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        assert record.parts == {}
        record.plan(PARTS)
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        assert len(record.parts) == 2


@pytest.mark.parametrize("name", ["../00002-0.tpkx", "/etc/passwd", "..", "a\\b", ".x", ""])
def test_a_file_outside_of_the_folder_is_none_of_a_part(tmp_path, name):
    begun(tmp_path / "Streets.tpkx")
    state = export_folder(tmp_path / "Streets.tpkx") / "00002.json"
    found = json.loads(state.read_text())
    found["files"][0]["name"] = name
    state.write_text(json.dumps(found))
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        assert record.state("00002") == PartState()


def test_a_part_that_is_split_further_leaves_nothing(tmp_path):
    path = begun(tmp_path / "Streets.tpkx")
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(b"x")
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        record.plan(PARTS[:1], instead_of="00002")
        assert list(record.parts) == ["00001", "00003"]
    assert not path.exists()
    assert not partial.exists()
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        assert list(record.parts) == ["00001", "00003"]
        assert record.state("00003") == PartState()


def test_a_part_that_is_asked_for_again_keeps_what_was_announced(tmp_path):
    begun(tmp_path / "Streets.tpkx")
    with open_record(tmp_path / "Streets.tpkx", SCHEME, DIGEST) as record:
        record.again("00001")
        assert record.state("00001") == PartState(announced=5, announced_bytes=999)


def test_one_export_to_a_target_at_a_time(tmp_path):
    target = tmp_path / "Streets.tpkx"
    with open_record(target, SCHEME, DIGEST):
        with pytest.raises(CacheInUse), open_record(target, SCHEME, DIGEST):
            pass
        with pytest.raises(CacheInUse):
            discard_export(target)


def test_where_nothing_can_be_written_it_is_the_target_that_is_named(tmp_path):
    (tmp_path / "file").write_text("no folder")
    target = tmp_path / "file" / "Streets.tpkx"
    with pytest.raises(TargetProblem) as caught, open_record(target, SCHEME, DIGEST):
        pass
    assert caught.value.path == str(target)


def test_what_is_discarded_is_gone(tmp_path):
    target = tmp_path / "Streets.tpkx"
    discard_export(target)
    begun(target)
    discard_export(target)
    assert list(tmp_path.iterdir()) == []
