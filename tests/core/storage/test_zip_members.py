"""Reading zip files: against Python's own zipfile, and against files made to do harm."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib

import numpy as np
import pytest

from tile_cache_manager.plugin.core.errors import (
    DamagedCache,
    DiskFull,
    HostileFile,
    NotACache,
    StorageError,
)
from tile_cache_manager.plugin.core.storage import zip_members
from tile_cache_manager.plugin.core.storage.zip_members import ZipMembers

GIB = 1 << 30


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.zip"


def zipped(path, members, method=zipfile.ZIP_STORED, prefix=b"", **options):
    """A zip file of (name or ZipInfo, content), by Python's own zipfile."""
    memory = io.BytesIO(prefix)
    memory.seek(len(prefix))
    with zipfile.ZipFile(memory, "w", method, **options) as package:
        for name, content in members:
            package.writestr(name, content)
    path.write_bytes(memory.getvalue())
    return path


def raw_zip(path, entries, comment=b""):
    """A zip file by hand: entries as dicts of what its headers say, over sound values."""
    body, directory = b"", b""
    for entry in entries:
        said = {
            "content": b"",
            "method": 0,
            "flags": 0,
            "made_by": 20,
            "attributes": 0,
            "extra": b"",
            **entry,
        }
        content, name = said["content"], said["name"]
        crc = said.get("crc", zlib.crc32(content))
        packed, size = said.get("packed", len(content)), said.get("size", len(content))
        at = said.get("at", len(body))
        versions = (20, said["flags"], said["method"], 0, 0)
        body += struct.pack("<4s5H3L2H", b"PK\3\4", *versions, crc, packed, size, len(name), 0)
        body += name + content
        directory += struct.pack(
            "<4s6H3L5H2L",
            b"PK\1\2",
            said["made_by"],
            *versions,
            crc,
            packed,
            size,
            len(name),
            len(said["extra"]),
            0,
            0,
            0,
            said["attributes"],
            at,
        )
        directory += name + said["extra"]
    count = len(entries)
    end = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), len(comment)
    )
    path.write_bytes(body + directory + end + comment)
    return path


def everything(path):
    """All members and their bytes, as read here."""
    members = ZipMembers(path)
    try:
        return {m.name: b"".join(members.pieces(m)) for m in members.by_name.values()}
    finally:
        members.close()


CONTENTS = [
    ("root.json", b"{}"),
    ("tile/L00/R0000C0000.bundle", os.urandom(3_000_000)),
    ("tile/L00/R0080C0000.bundle", bytes(131136)),
    ("Karte Größe/東京.bundle", b"x" * 70_000),
    ("empty", b""),
]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("prefix", [b"", b"#!/bin/sh a program in front\n" * 9])
def test_what_zipfile_writes_is_read(path, method, prefix):
    zipped(path, CONTENTS, method, prefix)

    assert everything(path) == dict(CONTENTS)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_parts_are_read_in_place_or_where_they_were_unpacked_to(path, method):
    zipped(path, CONTENTS, method)
    name, content = CONTENTS[1]
    members = ZipMembers(path)
    part = members.part(members.find(name.upper()))

    assert part.size == len(content)
    assert part.read(1000, 5000) == content[1000:6000]
    assert part.read(part.size - 5, 100) == content[-5:]
    is_unpacked = part.file.path != path
    assert is_unpacked == (method == zipfile.ZIP_DEFLATED)
    where = part.file.path
    members.close()
    assert where.exists() == (not is_unpacked)  # nothing stays behind


def test_streamed_zips_whose_sizes_stand_behind(path):
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.content = b""

        def writable(self):
            return True

        def write(self, data):
            self.content += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in CONTENTS:
            package.writestr(name, content)
    path.write_bytes(pipe.content)

    assert everything(path) == dict(CONTENTS)


def test_more_members_than_16_bits_can_count(path):
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as package:
        for number in range(66_000):
            package.writestr(zipfile.ZipInfo(f"{number:x}"), b"")
    path.write_bytes(memory.getvalue())
    members = ZipMembers(path)
    assert len(members.by_name) == 66_000
    members.close()


def test_members_beyond_4_gib(path):
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("first", b"1")
    # A hole of 5 GiB that takes no room on the disk, then a member whose place needs 64 bits
    far = 5 * GIB
    name, content = b"far", b"far away"
    local = struct.pack(
        "<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 0, zlib.crc32(content), 8, 8, len(name), 0
    )
    extra = struct.pack("<2HQ", 1, 8, far)
    directory = (
        struct.pack(
            "<4s6H3L5H2L",
            b"PK\1\2",
            *(45, 45, 0, 0, 0, 0),
            *(zlib.crc32(content), 8, 8),
            *(len(name), len(extra), 0, 0, 0),
            *(0, 0xFFFFFFFF),
        )
        + name
        + extra
    )
    at = far + len(local) + len(name) + len(content)
    end_64 = struct.pack(
        "<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(directory), at
    ) + struct.pack("<4sLQL", b"PK\6\7", 0, at + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, len(directory), 0xFFFFFFFF, 0)
    with path.open("wb") as file:
        file.seek(far)
        file.write(local + name + content + directory + end_64 + end)

    assert everything(path) == {"far": b"far away"}
    assert zipfile.ZipFile(path).read("far") == b"far away"  # so it is a zip file indeed


# Files made to do harm


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    "name",
    [
        b"/etc/passwd",
        b"../outside",
        b"tile/../../outside",
        b"tile\\L00\\R0000C0000.bundle",
        b"..\\outside",
        b"C:/windows/system.ini",
        b"c:evil",
        b"tile/\0evil",
        b"",
        b"tile/..",
    ],
)
def test_names_that_lead_elsewhere(path, name):
    raw_zip(path, [{"name": b"root.json"}, {"name": name}])

    with pytest.raises(HostileFile):
        ZipMembers(path)


def bomb(megabytes):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(1 << 20)
    return b"".join(packer.compress(piece) for _ in range(megabytes)) + packer.flush()


BOMB = bomb(100)

HOSTILE = {
    "the same name twice": [{"name": b"a"}, {"name": b"a"}],
    "the same name in two cases": [{"name": b"tile/A"}, {"name": b"TILE/a"}],
    "two members of the same bytes": [
        {"name": b"a", "content": b"x" * 50},
        {"name": b"b", "content": b"x" * 50, "at": 0},
    ],
    "a member within another": [
        {"name": b"a", "content": b"x" * 200},
        {"name": b"b", "content": b"x" * 50, "at": 60},
    ],
    "a bomb": [{"name": b"a", "content": BOMB, "method": 8, "size": 100 << 20, "crc": 0}],
    "a few bytes that say they are 10 GB": [
        {
            "name": b"a",
            "content": b"x" * 10_000,
            "method": 8,
            "size": 0xFFFFFFFF,
            "extra": struct.pack("<2HQ", 1, 8, 10 * GIB),
        }
    ],
    "more than a bundle can be": [
        {
            "name": b"a",
            "size": 0xFFFFFFFF,
            "packed": 0xFFFFFFFF,
            "extra": struct.pack("<2H2Q", 1, 16, 1 << 50, 1 << 50),
        }
    ],
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files(path, what):
    with pytest.raises(HostileFile):
        ZipMembers(raw_zip(path, HOSTILE[what]))


def test_links(path):
    with pytest.raises(HostileFile):
        ZipMembers(zipped(path, [("root.json", b""), (link("tile"), b"/etc")]))


def test_a_bomb_that_says_it_is_small_is_unpacked_no_further_than_it_says(path, tmp_path):
    raw_zip(path, [{"name": b"a", "content": BOMB, "method": 8, "size": 1000}])
    members = ZipMembers(path)
    member = members.find("a")

    unpacked = 0
    with pytest.raises(HostileFile):  # noqa: PT012 - how far it got is what matters
        for piece in members.pieces(member):
            unpacked += len(piece)
    assert unpacked == 0
    with pytest.raises(HostileFile):
        members.part(member)
    members.close()


def test_small_members_have_a_limit(path):
    members = ZipMembers(zipped(path, [("root.json", b"x" * 1001)]))
    assert members.content(members.find("ROOT.json"), 1001) == b"x" * 1001
    with pytest.raises(HostileFile):
        members.content(members.find("root.json"), 1000)
    members.close()


def test_the_room_to_unpack_is_looked_for_first(path, monkeypatch):
    zipped(path, [("a", bytes(1 << 20))], zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zip_members, "free_bytes", lambda _path: zip_members.ROOM_TO_LEAVE)
    members = ZipMembers(path)
    with pytest.raises(DiskFull) as caught:
        members.part(members.find("a"))
    assert (caught.value.needed, caught.value.free) == (1 << 20, zip_members.ROOM_TO_LEAVE)
    members.close()


# Damaged files

DAMAGED = {
    "encrypted": [{"name": b"a", "content": b"x" * 20, "flags": 1}],
    "packed in another way": [{"name": b"a", "content": b"x" * 20, "method": 14}],
    "two sizes": [{"name": b"a", "content": b"x" * 20, "size": 30}],
    "beyond the end": [{"name": b"a", "content": b"x" * 20, "packed": 9000, "size": 9000}],
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_directories(path, what):
    with pytest.raises(DamagedCache):
        ZipMembers(raw_zip(path, DAMAGED[what]))


@pytest.mark.parametrize(
    "entry",
    [
        {"name": b"a", "content": b"x" * 20, "crc": 7},
        {"name": b"a", "content": b"no deflated bytes", "method": 8, "size": 20},
        {"name": b"a", "content": zlib.compress(b"x" * 9)[2:-4], "method": 8, "size": 20},
        {"name": b"not where it says it is", "content": b"xx", "at": 3},
    ],
)
def test_damaged_members(path, entry):
    with pytest.raises(DamagedCache):
        everything(raw_zip(path, [entry, {"name": b"z", "content": b"y" * 90}]))


def test_no_zip_at_all(path):
    for content in (b"", b"PK", b"PK\5\6", b"x" * 70_000):
        path.write_bytes(content)
        with pytest.raises(DamagedCache):
            ZipMembers(path)
    path.unlink()
    with pytest.raises(NotACache):
        ZipMembers(path)


def test_a_comment_that_looks_like_an_end(path):
    raw_zip(path, [{"name": b"a", "content": b"right"}], comment=b"PK\5\6 and so on")

    assert everything(path) == {"a": b"right"}


def test_cut_off_or_flipped_anywhere_there_are_only_storage_errors(path):
    small = [(name, content[:3000]) for name, content in CONTENTS]
    random = np.random.default_rng(3)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        whole = zipped(path, small, method).read_bytes()
        for number in range(150):
            bad = bytearray(whole)
            if number % 2:
                del bad[int(random.integers(0, len(bad))) :]
            else:  # most of them in the directory, which lies at the end
                span = len(bad) if number % 4 else 500
                for at in random.integers(len(bad) - span, len(bad), 3):
                    bad[at] = int(random.integers(0, 256))
            path.write_bytes(bad)
            try:
                found = everything(path)
            except StorageError:
                continue
            # What is read without complaint has its right bytes, for their checksums are right.
            assert set(found.values()) <= {content for _, content in small}
