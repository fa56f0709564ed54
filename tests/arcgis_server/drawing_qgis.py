"""A painter that lets QGIS draw, in a process of its own.

QGIS stays out of the server's process: the server goes on answering while a large picture is
being drawn, and a crash of the renderer fails one job, not the test session.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

from .drawing import DrawingFailed, Picture

_PACKAGE = Path(__file__).resolve().parent


class QgisPainter:
    """Hands pictures to a ``qgis_worker`` process, started with the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None

    def draw(self, picture: Picture) -> list[bytes]:
        with self._lock:
            try:
                return self._ask(picture)
            except (OSError, ValueError) as error:
                self._stop()
                raise DrawingFailed(f"the drawing process ended: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._stop()

    def _ask(self, picture: Picture) -> list[bytes]:
        worker = self._running()
        if worker.stdin is None or worker.stdout is None:
            raise OSError("no pipe")
        worker.stdin.write(json.dumps(asdict(picture)).encode() + b"\n")
        worker.stdin.flush()
        answer = json.loads(worker.stdout.readline())
        if "error" in answer:
            raise DrawingFailed(answer["error"])
        pieces = [worker.stdout.read(size) for size in answer["sizes"]]
        if [len(piece) for piece in pieces] != answer["sizes"]:
            raise OSError("it stopped in the middle of a picture")
        return pieces

    def _running(self) -> subprocess.Popen[bytes]:
        if self._worker is None or self._worker.poll() is not None:
            environment = {
                **os.environ,
                "PYTHONPATH": str(_PACKAGE.parent),
                "QT_QPA_PLATFORM": "offscreen",
                "CPL_LOG": os.devnull,  # the world map has dates that GDAL warns about
            }
            self._worker = subprocess.Popen(
                [sys.executable, "-m", f"{_PACKAGE.name}.qgis_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
            )
        return self._worker

    def _stop(self) -> None:
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.kill()
        worker.communicate()
