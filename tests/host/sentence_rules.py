"""What the tests of words share: a locale, and the rules that every sentence follows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from qgis.PyQt.QtCore import QLocale, Qt


@pytest.fixture
def american() -> Iterator[None]:
    """Numbers as written in the United States."""
    before = QLocale()
    QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedStates))
    yield
    QLocale.setDefault(before)


def assert_is_one_sentence(text: str) -> None:
    assert text.endswith(".")
    assert not text.endswith("..")
    assert "\n" not in text
    assert "{" not in text
    assert text.count(": ") <= 1
    assert not re.search(r"[.!?] [A-Z]", text), "more than one sentence"
    assert not Qt.mightBeRichText(text)
