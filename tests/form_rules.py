"""Reads Qt Designer forms for what breaks on another Qt, or for another user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# Widgets that only hold or describe others: nothing in the code needs to name them.
PASSIVE = {"QWidget", "QFrame", "QGroupBox", "QLabel", "QSplitter", "QDialog", "Line"}
PASSIVE |= {"QgsCollapsibleGroupBox"}
FIXED_LOOKS = {"styleSheet", "palette"}


def complaints(form: str, code: str) -> list[str]:
    """One sentence for every rule that the form breaks; `code` is its Python twin."""
    root = ElementTree.fromstring(form)
    return [
        *_headers(root),
        *_long_enums(root),
        *_connections(root),
        *_names(root, code),
        *_fixed_looks(root),
    ]


def _headers(root: ElementTree.Element) -> Iterator[str]:
    for widget in root.iter("customwidget"):
        name, header = widget.findtext("class", ""), widget.findtext("header", "")
        if name.startswith("Qgs") and header != "qgis.gui":
            yield f"{name}: header {header}, not qgis.gui"


def _long_enums(root: ElementTree.Element) -> Iterator[str]:
    """PyQt5's reader of forms knows `Qt::Horizontal`, not `Qt::Orientation::Horizontal`."""
    for tag in ("enum", "set"):
        for value in root.iter(tag):
            for name in (value.text or "").split("|"):
                if name.count("::") > 1:
                    yield f"{name}: write the short form"


def _connections(root: ElementTree.Element) -> Iterator[str]:
    for connection in root.iter("connection"):
        yield f"{connection.findtext('sender')} is connected in the form: connect in Python"


def _names(root: ElementTree.Element, code: str) -> Iterator[str]:
    top = root.find("widget")
    for widget in root.iter("widget"):
        kind, name = widget.get("class", ""), widget.get("name", "")
        if widget is top:
            continue
        if not SNAKE_CASE.fullmatch(name):
            yield f"{name}: names are snake_case"
        elif kind not in PASSIVE and not re.search(rf"\b{name}\b", code):
            yield f"{name}: a {kind} that its Python file never uses"


def _fixed_looks(root: ElementTree.Element) -> Iterator[str]:
    """Colours and sizes in pixels break dark themes and dense screens."""
    for prop in root.iter("property"):
        if prop.get("name") in FIXED_LOOKS:
            yield f"property {prop.get('name')} breaks other themes"
    for tag in ("color", "pointsize", "pixelsize"):
        for _ in root.iter(tag):
            yield f"a fixed {tag} breaks other themes"
