"""Eight processes store 7,200 tiles in the same 15 bundles: how many are there, and how fast.

The peer is MapProxy's own compact cache, in the same run on the same disk. One tile in a call is
where writers meet most often; an update of ours stores a supertile in a call, of 16 tiles here.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import readers
from safety.writers import Crowd, Written, make_empty_cache, write

from .results import Result

_FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench_writers"
_PEER = readers.PYTHONS["wheel"]


def measure() -> list[Result]:
    """Lost tiles and speed, for one and for 16 tiles in a call."""
    return [result for at_once in (1, 16) for result in _compared(Crowd(at_once=at_once))]


def _compared(crowd: Crowd) -> list[Result]:
    ours, theirs = _run(crowd, "plugin", sys.executable), None
    if Path(_PEER).exists():
        theirs = _run(crowd, "mapproxy", _PEER)
    name = f"writers: {crowd.writers} at once, {crowd.at_once} tiles a call"
    peer = "MapProxy 7" if theirs else "MapProxy (not installed)"
    speed = _speed(theirs) if theirs else float("nan")
    return [
        Result(
            row=f"{name}, there",
            against=peer,
            ours=f"{ours.right} of {ours.wanted}",
            theirs=f"{theirs.right} of {theirs.wanted}" if theirs else "-",
            ratio=ours.right / theirs.right if theirs and theirs.right else float("nan"),
            goal="all of them",
            met=not ours.lost,
        ),
        Result(
            row=f"{name}, speed",
            against=peer,
            ours=f"{_speed(ours):.0f} /s",
            theirs=f"{speed:.0f} /s",
            ratio=_speed(ours) / speed,
            goal="told, each write synced",
            met=True,
        ),
    ]


def _run(crowd: Crowd, who: str, python: str) -> Written:
    shutil.rmtree(_FOLDER, ignore_errors=True)
    try:
        return write(crowd, make_empty_cache(_FOLDER), who, python)
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


def _speed(written: Written) -> float:
    return written.wanted / written.seconds
