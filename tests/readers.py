"""Other programs that read tile caches: MapProxy, two GDALs, an independent checker of bundles.

Each runs in a process of its own, one for many tiles: rasterio's GDAL must never be loaded beside
QGIS's. Tests are skipped where a program is absent (`make setup` installs all but the checker).
"""

from __future__ import annotations

import base64
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tile_cache_manager.plugin.core.tiling import TilingScheme

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
CHECKER = SHARED / "tools" / "bundle_check.py"
SCRIPT = Path(__file__).with_name("readers_script.py")
PYTHONS = {"wheel": str(ROOT / ".venv-readers/bin/python"), "system": "/usr/bin/python3"}

Tile = tuple[int, int, int]
"""Level id, row, column."""


def mapproxy_tiles(
    folder: Path, tiles: Iterable[Tile], *, layout: str = "v2", suffix: str = "png"
) -> dict[Tile, bytes | None]:
    """What MapProxy reads of `tiles` in the cache or tiles folder `folder`, None: no tile.

    `layout`: v2, v1 or exploded, where `suffix` is that of its files; or gpkg, `folder` then being
    a GeoPackage of Web Mercator.
    """
    asked = list(tiles)
    found = _run(
        "wheel",
        task="mapproxy_read",
        folder=str(_tiles_folder(folder)),
        layout=layout,
        suffix=suffix,
        tiles=asked,
    )
    return {
        tile: None if content is None else base64.b64decode(content)
        for tile, content in zip(asked, found)
    }


def mapproxy_write(
    folder: Path, tiles: Mapping[Tile, bytes | None], *, layout: str = "v2", suffix: str = "png"
) -> None:
    """Let MapProxy store tiles in the tiles folder `folder`, and remove those given as None."""
    rows = [
        [*tile, None if content is None else base64.b64encode(content).decode()]
        for tile, content in tiles.items()
    ]
    arguments = {"folder": str(folder), "layout": layout, "suffix": suffix, "tiles": rows}
    assert _run("wheel", task="mapproxy_write", **arguments) == len(rows)


def mapproxy_defrag(folder: Path, *, layout: str = "v2") -> None:
    """Let MapProxy write the bundles of a tiles folder anew, whether it would see holes or not."""
    assert _run("wheel", task="mapproxy_defrag", folder=str(folder), layout=layout) is True


def gdal_pixels(
    path: Path | str,
    scheme: TilingScheme,
    tiles: Iterable[Tile],
    *,
    which: str = "wheel",
    options: Mapping[str, str] | None = None,
) -> dict[Tile, Any]:
    """Pixels (bands x rows x columns) of tiles, as GDAL reads them from the raster at `path`.

    `which`: "wheel", the GDAL of rasterio's wheel, or "system", that of the system's Python.
    `options`: to open it with. Each is read at its level's resolution: a raster without it fails
    the test.
    """
    asked = list(tiles)
    windows = []
    for number, (level_id, row, col) in enumerate(asked):
        level = scheme.level(level_id)
        bounds = scheme.tile_bounds(level, row, col)
        place = {"left": bounds.xmin, "top": bounds.ymax, "size": scheme.tile_width}
        windows.append({"key": str(number), "resolution": level.resolution, **place})
    arrays = _arrays(
        which, task="gdal_pixels", path=str(path), windows=windows, options=dict(options or {})
    )
    return dict(zip(asked, arrays))


class GdalSession:
    """A GDAL of either kind that keeps a raster open at one overview, as a running QGIS does."""

    def __init__(self, path: Path, overview: int, *, which: str = "wheel") -> None:
        _skip_unless_ready(which)
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [PYTHONS[which], str(SCRIPT), str(path), str(overview)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "open"

    def tile(self, row: int, col: int, size: int = 256) -> Any:
        """Pixels (bands x rows x columns) of a tile."""
        output = str(Path(self._folder.name) / "pixels.npy")
        assert self._process.stdin is not None
        self._process.stdin.write(f"{col * size} {row * size} {size} {output}\n")
        self._process.stdin.flush()
        assert self._answer() == "read"
        return np.load(output)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def __enter__(self) -> GdalSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)
        self._folder.cleanup()


def decoded(pictures: Iterable[bytes], *, which: str = "wheel") -> list[Any]:
    """Pixels (bands x rows x columns) of pictures, each read by GDAL as a file of its own."""
    texts = [base64.b64encode(picture).decode() for picture in pictures]
    return _arrays(which, task="decoded", pictures=texts)


def gdal_version(which: str = "wheel") -> tuple[int, ...]:
    """The version of that GDAL."""
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "pixels.npz")
        text = _run(which, task="decoded", pictures=[], output=output)["version"]
    return tuple(int(part) for part in text.split(".")[:3])


def bundle_check(path: Path, *options: str) -> str:
    """Let the independent checker read a bundle, cache or package; what it says.

    Fails the test where it finds an error.
    """
    if not CHECKER.exists():
        pytest.skip("the independent bundle checker is not beside this checkout")
    command = [sys.executable, str(CHECKER), *options, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def cache_sample(name: str) -> Path:
    """A cache made by others, of those beside this checkout; skips the test where they are not."""
    path = SHARED / "cache-samples" / name
    if not path.exists():
        pytest.skip("the sample caches are not beside this checkout")
    return path


def _tiles_folder(folder: Path) -> Path:
    inside = folder / "_alllayers"
    return inside if inside.is_dir() else folder


def _arrays(which: str, **asked: Any) -> list[Any]:
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "pixels.npz"
        _run(which, output=str(output), **asked)
        with np.load(output) as found:
            return [found[str(number)] for number in range(len(found.files))]


def _run(which: str, **asked: Any) -> Any:
    _skip_unless_ready(which)
    result = subprocess.run(
        [PYTHONS[which], str(SCRIPT)],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def _skip_unless_ready(which: str) -> None:
    if not _is_ready(which):
        pytest.skip("other readers of caches are not installed (make setup)")


@functools.cache
def _is_ready(which: str) -> bool:
    """Whether that Python is there and has what is needed of it."""
    module = {"wheel": "import mapproxy, rasterio", "system": "import numpy, osgeo.gdal"}[which]
    if not Path(PYTHONS[which]).exists():
        return False
    command = [PYTHONS[which], "-c", module]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
