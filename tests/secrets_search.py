"""Looks for secrets where none may be: as they are, and in the shapes in which they travel."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus


class Secrets:
    """Words that must never be read anywhere."""

    def __init__(self, *words: str) -> None:
        self._forms: dict[str, str] = {}
        for word in words:
            self.add(word)

    def add(self, word: str) -> None:
        """Look for `word` from now on."""
        for form in _forms_of(word):
            self._forms[form] = word

    def add_basic(self, user: str, password: str) -> None:
        """Look for what HTTP Basic makes of both from now on."""
        self.add(base64.b64encode(f"{user}:{password}".encode()).decode())

    def found_in(self, text: str) -> set[str]:
        """The words that can be read in `text`, in whatever shape."""
        return {word for form, word in self._forms.items() if form in text}


def _forms_of(word: str) -> set[str]:
    raw = word.encode()
    return {
        word,
        quote(word),
        quote(word, safe=""),
        quote_plus(word),
        html.escape(word),
        json.dumps(word)[1:-1],
        repr(word)[1:-1],
        raw.hex(),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    }
