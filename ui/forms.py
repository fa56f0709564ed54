"""Loading Designer's forms, each of which lies beside the class that uses it."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt import uic


def load_form(python_file: str) -> type:
    """The form `name.ui` beside `name.py`, as a class whose `setupUi` fills a widget."""
    form, _base = uic.loadUiType(str(Path(python_file).with_suffix(".ui")))
    return form
