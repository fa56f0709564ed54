"""Whatever a site puts into its texts, what people are told is plain, short and one line."""

from __future__ import annotations

import unicodedata
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from host.samples import web_mercator
from host.test_messages import CASES
from hostile_texts import HOSTILE, LONG
from qgis.PyQt.QtCore import Qt

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.request import Message, Severity, UpdateMode
from tile_cache_manager.plugin.host import messages

pytestmark = pytest.mark.usefixtures("qgis_app")

ERRORS = [case.values[0] for case in CASES]
MOST_LETTERS = 3000
OUR_OWN = {"path", "source"}
"""What no site says: paths on this computer are told whole."""


def assert_is_plain(text: str, *, is_short: bool = True) -> None:
    # "&lt;", too, makes Qt read a text as mark-up, but then there is none in it
    assert not Qt.mightBeRichText(text.replace("&lt;", "")), text
    odd = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs")} - {"\n"}
    assert odd == set(), text
    assert len(text) < MOST_LETTERS or not is_short


def with_texts(value: Any, text: str, depth: int = 0) -> Any:
    """A copy of `value` with each text in it made another one; addresses get it at their end."""
    if isinstance(value, str):
        return f"{value}/{text}" if value.startswith("http") else text
    if isinstance(value, tuple):
        return tuple(with_texts(item, text, depth + 1) for item in value)
    if isinstance(value, errors.TileCacheError) and depth < 3:
        changed = type(value).__new__(type(value))
        for name, item in vars(value).items():
            if name not in OUR_OWN:
                item = with_texts(item, text, depth + 1)
            setattr(changed, name, item)
        return changed
    if is_dataclass(value) and not isinstance(value, type):
        texts = {f.name: getattr(value, f.name) for f in fields(value)}
        return replace(
            value, **{name: text for name, item in texts.items() if isinstance(item, str)}
        )
    return value


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_errors(text: str) -> None:
    for error in ERRORS:
        if hasattr(error, "storage"):  # these name kinds of storage, which no site words
            continue
        told = messages.sentence(with_texts(error, text))
        # names of layers and files are told whole
        assert_is_plain(told, is_short=type(error).__module__.endswith((".site", ".job")))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_messages_of_jobs(text: str) -> None:
    for severity in Severity:
        told = messages.message_text(Message(text, severity))
        assert_is_plain(told)
        assert "\n" not in told


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:30]))
def test_services(text: str) -> None:
    for description in (web_mercator(), replace(web_mercator(), is_hosted=True)):
        problem = errors.SiteRefused("https://site.test", 500, text, (text,))
        odd = with_texts(replace(description, modes=(), modes_problem=problem), text)
        assert_is_plain(messages.summary(odd))
        for mode in UpdateMode:
            assert_is_plain(messages.unavailable_reason(odd, mode))


def test_long_texts_are_cut() -> None:
    assert len(messages.message_text(Message(LONG))) < 400
