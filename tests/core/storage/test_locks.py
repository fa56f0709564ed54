"""Locks between processes and between threads."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tile_cache_manager.plugin.core.errors import CacheInUse, TargetProblem
from tile_cache_manager.plugin.core.storage.locks import locked

# Another program that holds the file the way the system means it, written without the plugin.
HOLDER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "L05-R0000C0000.lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input ends."""
    pytest.importorskip("fcntl", reason="a lock of POSIX systems")
    path.parent.mkdir()
    command = [sys.executable, "-c", HOLDER, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_file_is_made_and_stays(path: Path) -> None:
    for _ in range(2):
        with locked(path):
            assert path.exists()
        assert path.exists()


def test_an_error_in_the_block_lets_go(path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), locked(path):
        raise ValueError("inside")

    with locked(path, timeout=0):
        pass


def test_in_use_by_another_program(path: Path, holder: subprocess.Popen[str]) -> None:
    start = time.monotonic()

    with pytest.raises(CacheInUse) as raised, locked(path, timeout=0.2):
        pytest.fail("the lock is held by another program")

    assert raised.value.path == str(path)
    assert 0.2 <= time.monotonic() - start < 5


def test_cancelled_while_it_waits(path: Path, holder: subprocess.Popen[str]) -> None:
    asked: list[float] = []

    def cancelled() -> bool:
        asked.append(time.monotonic())
        return len(asked) == 3

    with pytest.raises(CacheInUse), locked(path, timeout=60, cancelled=cancelled):
        pytest.fail("the lock is held by another program")

    assert len(asked) == 3


def test_a_killed_holder_lets_go(path: Path, holder: subprocess.Popen[str]) -> None:
    threading.Timer(0.1, holder.kill).start()

    with locked(path, timeout=30):
        assert holder.wait(timeout=30) != 0


def test_keeps_other_programs_out(path: Path) -> None:
    pytest.importorskip("fcntl", reason="a lock of POSIX systems")
    code = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    command = [sys.executable, "-c", code, str(path)]

    with locked(path):
        inside = subprocess.run(command, capture_output=True, text=True, check=False)
    after = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "BlockingIOError" in inside.stderr
    assert after.returncode == 0


def count_up(path: Path, times: int) -> None:
    """Read a number, take a moment, write the next: goes wrong unless one does it at a time."""
    for _ in range(times):
        with locked(path):
            number = path.with_suffix(".number")
            value = int(number.read_text())
            time.sleep(0.0005)
            number.write_text(str(value + 1))


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_one_at_a_time_of_many_threads_and_processes(path: Path) -> None:
    path.parent.mkdir()
    path.with_suffix(".number").write_text("0")
    forks = multiprocessing.get_context("fork")
    workers = [forks.Process(target=count_up, args=(path, 40)) for _ in range(3)]
    for worker in workers:
        worker.start()
    workers += [threading.Thread(target=count_up, args=(path, 40)) for _ in range(3)]
    for thread in workers[3:]:
        thread.start()
    for worker in workers:
        worker.join(60)

    assert path.with_suffix(".number").read_text() == "240"


def test_no_place_for_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(TargetProblem), locked(tmp_path / "file" / "x.lock"):
        pytest.fail("a file cannot hold files")
