"""Files that are there whole or not at all, and what the system says."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.storage.files import (
    free_bytes,
    replacing,
    storage_errors,
    write_whole,
)


@pytest.mark.parametrize("name", ["conf.xml", "Große Karte.json", "x" * 250, "ü" * 125, ".hidden"])
def test_a_new_file_and_its_folders(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a b" / "ç" / name

    write_whole(path, b"first")
    write_whole(path, b"second")

    assert path.read_bytes() == b"second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows does not replace open files")
def test_who_reads_the_old_file_goes_on_with_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)

    with path.open("rb") as reader:
        write_whole(path, b"new content")
        assert reader.read() == b"old"

    assert path.read_bytes() == b"new content"
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, errors.TileTooLarge])
@pytest.mark.parametrize("is_locked", [True, False])
def test_an_error_on_the_way_leaves_all_as_it_was(
    tmp_path: Path, error: type[BaseException], is_locked: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail() -> None:
        with replacing(path, is_locked=is_locked) as part:
            part.write_bytes(b"half")
            raise error("x", 1)

    with pytest.raises(error):
        fail()

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_used_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with replacing(path, is_locked=True) as part:
        part.write_bytes(b"1")
    part.write_bytes(b"left behind by a killed writer, which was longer")

    with replacing(path, is_locked=True) as part:
        part.write_bytes(b"2")

    assert path.read_bytes() == b"2"
    assert list(tmp_path.iterdir()) == [path]


SAYINGS = [
    (errno.ENOSPC, errors.DiskFull),
    (errno.EDQUOT, errors.DiskFull),
    (errno.EACCES, errors.ReadOnlyCache),
    (errno.EPERM, errors.ReadOnlyCache),
    (errno.EROFS, errors.ReadOnlyCache),
    (errno.EBUSY, errors.CacheInUse),
    (errno.EIO, errors.TargetProblem),
    (errno.ENAMETOOLONG, errors.TargetProblem),
]


@pytest.mark.parametrize(("number", "error"), SAYINGS)
def test_what_the_system_says(
    tmp_path: Path, number: int, error: type[errors.StorageError]
) -> None:
    path = tmp_path / "not there" / "file"

    with pytest.raises(error) as raised, storage_errors(path):
        raise OSError(number, os.strerror(number))

    assert raised.value.path == str(path)
    if isinstance(raised.value, errors.TargetProblem):
        assert raised.value.detail == os.strerror(number)
    if isinstance(raised.value, errors.DiskFull):
        assert raised.value.free == pytest.approx(free_bytes(tmp_path), rel=0.1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk() -> None:
    with (
        pytest.raises(errors.DiskFull),
        storage_errors(Path("/dev/full")),
        Path("/dev/full").open("wb") as file,
    ):
        file.write(b"x")


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(errors.TargetProblem):
        write_whole(tmp_path / "file" / "inside", b"x")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(errors.ReadOnlyCache):
            write_whole(tmp_path / "file", b"x")
    finally:
        tmp_path.chmod(0o755)


def test_free_bytes_where_nothing_lies_yet(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)

    free = free_bytes(tmp_path / "not" / "there" / "yet")

    assert free == pytest.approx(disk.f_bavail * disk.f_frsize, rel=0.1)
