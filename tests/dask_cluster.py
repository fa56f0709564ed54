"""A Dask scheduler and workers in processes of their own, all on this computer, for tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE = 40.0  # seconds for processes to start, or end, on a busy machine


@dataclass
class Cluster:
    """`address`: of the scheduler. `logs`: what the processes say, by their names."""

    address: str
    folder: Path
    stack: ExitStack
    scheduler: subprocess.Popen[bytes] | None = None
    logs: dict[str, Path] = field(default_factory=dict)

    def add_worker(
        self, name: str, *options: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a worker as the documentation says, but on the loopback interface."""
        local = self.folder / name
        return self._start(
            name,
            *("worker", self.address, "--host", "127.0.0.1", "--name", name),
            *("--local-directory", str(local), "--no-dashboard"),
            *(options or ("--nthreads", "1")),
            environment=environment,
        )

    def wait_for_workers(self, count: int) -> list[str]:
        """Once there are so many workers: their addresses."""
        from distributed import Client

        with Client(self.address, set_as_default=False, timeout=PATIENCE) as client:
            client.wait_for_workers(count, timeout=PATIENCE)
            return sorted(client.nthreads())

    def ask_workers(self, question: Any) -> dict[str, Any]:
        """What `question()` gives in each worker."""
        from distributed import Client

        with Client(self.address, set_as_default=False, timeout=PATIENCE) as client:
            return dict(client.run(question))

    def _start(
        self, name: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        log = self.logs[name] = self.folder / f"{name}.log"
        output = self.stack.enter_context(log.open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": "", **(environment or {})},
            cwd=self.folder,
        )
        self.stack.callback(_end, process)
        return process


@contextmanager
def cluster(folder: Path, profile: Path) -> Iterator[Cluster]:
    """A scheduler without workers; what is started ends with the block.

    `profile`: the folder that stands for the QGIS profile of all workers' user.
    """
    about = folder / "scheduler.json"
    os.environ["QGIS_CUSTOM_CONFIG_PATH"] = str(profile)
    with ExitStack() as stack:
        made = Cluster("", folder, stack)
        made.scheduler = made._start(
            "scheduler",
            *("scheduler", "--host", "127.0.0.1", "--port", "0"),
            *("--scheduler-file", str(about), "--no-dashboard"),
        )
        end = time.monotonic() + PATIENCE
        while not made.address:
            assert time.monotonic() < end, made.logs["scheduler"].read_text()
            try:
                made.address = json.loads(about.read_text())["address"]
            except (OSError, ValueError):
                time.sleep(0.05)
        yield made


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
