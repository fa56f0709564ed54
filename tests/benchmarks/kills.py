"""300 updates killed at random moments, each taken up by the next: what is in the cache each time.

Every tile is read by an independent reader after every kill: whole, old or new, and new where it
was said to be stored. The updates that end have the same tiles as one that nobody disturbed.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from safety.kills import Broken, Trial

from tile_cache_manager.plugin.core.storage.profile import StorageFormat

from .results import Result

KILLS = {
    StorageFormat.COMPACT_V2: 300,
    StorageFormat.EXPLODED: 20,
    StorageFormat.MBTILES: 20,
    StorageFormat.TPKX: 20,
}
_FOLDER = Path(__file__).resolve().parents[2] / "build" / "bench_kills"


def measure() -> list[Result]:
    """Kills survived, for each format that is written."""
    return [_survived(storage, kills) for storage, kills in KILLS.items()]


def _survived(storage: StorageFormat, kills: int) -> Result:
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    start = time.monotonic()
    trial = Trial(_FOLDER, storage)
    complaint = ""
    try:
        trial.run(kills)
    except Broken as broken:
        complaint = str(broken)
    seconds = time.monotonic() - start
    print(
        f"kills, {storage.value}: {trial.kills} killed, {trial.midway} of them with a part of the"
        f" tiles stored; {trial.rounds} updates came to their end; {trial.checked} tiles checked;"
        f" {seconds:.0f} s {complaint}"
    )
    if not complaint:
        shutil.rmtree(_FOLDER)
    return Result(
        row=f"kills: {kills} SIGKILLs, {storage.value}, broken",
        against="an undisturbed update",
        ours="1" if complaint else "0",
        theirs="0",
        ratio=(trial.kills - bool(complaint)) / kills,
        goal="none, the same tiles in the end",
        met=not complaint and trial.kills == kills,
    )
