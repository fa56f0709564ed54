"""Runs in QGIS as its Python starts, before plugins load: writes QGIS's message log to a file."""

import json
import os
from pathlib import Path

from qgis.core import Qgis, QgsApplication

_FILE = Path(json.loads(os.environ["TILE_CACHE_DESKTOP"])["folder"]) / "messages.log"
_WORDS = {
    Qgis.MessageLevel.Info: "info",
    Qgis.MessageLevel.Warning: "warning",
    Qgis.MessageLevel.Critical: "critical",
    Qgis.MessageLevel.Success: "success",
}


def _write(message, tag, level):
    text = message.strip().replace("\n", "\n    ")
    with _FILE.open("a", encoding="utf-8") as log:
        log.write(f"{tag} | {_WORDS.get(level, level)} | {text}\n")


# QGIS 3.22 runs its start-up file twice.
if not _FILE.exists():
    _FILE.touch()
    QgsApplication.messageLog().messageReceived.connect(_write)
