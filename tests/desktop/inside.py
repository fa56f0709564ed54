"""Runs in QGIS once its window is there (`--code`): starts the script that launch.py names."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(os.environ["PYQGIS_STARTUP"]).parents[1]))

from desktop.driver import perform

perform(json.loads(os.environ["TILE_CACHE_DESKTOP"]))
