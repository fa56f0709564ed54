"""Reads the arrows between the rooms of the plugin: which file imports what."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Where the rooms lie, as paths below the root without `.py`.
ROOMS = {
    "plugin/core": "core",
    "plugin/host": "host",
    "plugin/processing": "processing",
    "plugin/registration": "registration",
    "ui": "ui",
}
# Which room may import which other.
ARROWS = {
    "registration": {"ui", "processing", "host"},
    "ui": {"host", "core"},
    "processing": {"host", "core"},
    "host": {"core"},
    "core": set(),
}
# Rooms within core, and which of the others of them each may import.
CORE_ROOMS = {
    "plugin/core/storage": set(),
    "plugin/core/local": {"plugin/core/storage"},
    "plugin/core/arcgis": {"plugin/core/storage"},
    "plugin/core/export": {"plugin/core/storage", "plugin/core/local", "plugin/core/arcgis"},
}
# Other people's packages.
NOWHERE = {"PyQt5", "PyQt6", "qgis._core", "qgis._gui", "qgis._analysis", "tile_cache_manager"}
CORE_MAY_USE = {*sys.stdlib_module_names, "numpy", "shapely", "requests"}
# What only one place may know: the names, that place, and how to say it.
RESERVED = [
    (
        {"requests", "urllib3", "http.client", "urllib.request", "socket", "ssl"},
        ("plugin/core/arcgis/",),
        "only core/arcgis speaks HTTP",
    ),
    (
        {"qgis.core.QgsSettings", "qgis.PyQt.QtCore.QSettings"},
        ("plugin/host/settings.py",),
        "only host/settings knows setting keys",
    ),
    (
        {"qgis.gui", "qgis.PyQt.QtWidgets"},
        ("ui/", "plugin/registration.py"),
        "widgets belong to ui",
    ),
    (
        {"threading", "concurrent", "multiprocessing", "qgis.PyQt.QtCore.QThread"},
        # rendering takes copies of layers from thread to thread, and network_watch lets threads
        # wait for one another; they start none. token_thread is one, for QGIS's OAuth 2
        (
            "plugin/core/",
            "plugin/host/tasks.py",
            "plugin/host/rendering.py",
            "plugin/host/network_watch.py",
            "plugin/host/token_thread.py",
        ),
        "only core, host/tasks and host/rendering know threads",
    ),
]


@dataclass(frozen=True)
class Import:
    """`file` (relative to the root, with slashes) imports `target` at `line`.

    `target` is a dotted name for packages of others, a path below the root for our own files.
    """

    file: str
    line: int
    target: str
    ours: bool


def room_of(path: str) -> str | None:
    """The room a path below the root lies in; None for what belongs to no room."""
    for prefix, room in ROOMS.items():
        if f"{path.removesuffix('.py')}/".startswith(f"{prefix}/"):
            return room
    return None


def imports_of(root: Path, file: Path) -> Iterator[Import]:
    """Every import in `file`, wherever it stands; relative ones resolved below `root`."""
    name = file.relative_to(root).as_posix()
    package = file.relative_to(root).parent.parts
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(name, node.lineno, alias.name, ours=False)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                yield Import(name, node.lineno, f"{node.module}.{alias.name}", ours=False)
        elif isinstance(node, ast.ImportFrom):
            kept = package[: len(package) - (node.level - 1)]
            base = [*kept, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield Import(name, node.lineno, "/".join([*base, alias.name]), ours=True)


def plugin_files(root: Path) -> list[Path]:
    """The Python files that are part of the plugin, in order."""
    files = [root / "__init__.py"] if (root / "__init__.py").exists() else []
    for folder in ("plugin", "ui"):
        files += sorted((root / folder).rglob("*.py"))
    return files


def wrong_arrows(root: Path) -> list[str]:
    """One sentence for every import below `root` that the design forbids."""
    wrong = []
    for file in plugin_files(root):
        for found in imports_of(root, file):
            complaint = _own_complaint(found) if found.ours else _other_complaint(found)
            if complaint:
                wrong.append(f"{found.file}:{found.line}: {complaint}")
    return wrong


def _own_complaint(found: Import) -> str | None:
    complaint = _core_complaint(found)
    if complaint:
        return complaint
    here, there = room_of(found.file), room_of(found.target)
    if here is None or there is None or here == there or there in ARROWS[here]:
        return None
    return f"{here} must not import {there} ({found.target})"


def _core_complaint(found: Import) -> str | None:
    def core_room(path: str) -> str | None:
        return next((room for room in CORE_ROOMS if path.startswith(f"{room}/")), None)

    here, there = core_room(found.file), core_room(f"{found.target}/")
    if here is None or there is None or here == there or there in CORE_ROOMS[here]:
        return None
    return f"{here} must not import {there} ({found.target})"


def _other_complaint(found: Import) -> str | None:
    top = found.target.split(".")[0]
    if _within(found.target, NOWHERE):
        return f"{found.target} must be imported nowhere in the plugin"
    if top in ("plugin", "ui"):
        return f"{found.target}: imports between our own files are relative"
    if room_of(found.file) == "core" and top not in CORE_MAY_USE:
        return f"core must not import {found.target}"
    for names, homes, rule in RESERVED:
        if _within(found.target, names) and not found.file.startswith(homes):
            return f"{rule} ({found.target})"
    return None


def _within(target: str, names: set[str]) -> bool:
    return any(target == name or target.startswith(name + ".") for name in names)
