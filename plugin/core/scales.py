"""Scales as people write them."""

from __future__ import annotations

import re

from .errors import BadScales

_RATIO = re.compile(r"1\s*:\s*")
_GROUPED = re.compile(
    r"(?P<whole>[1-9][0-9]{0,2}(?P<mark>[.,'\u2019 \u00a0\u2009\u202f])[0-9]{3}"
    r"(?:(?P=mark)[0-9]{3})*)(?:(?!(?P=mark))[.,](?P<rest>[0-9]+))?"
)


def parse_scales(text: str) -> tuple[float, ...]:
    """The scale denominators in `text`, joined by `;`, each also written `1:N`. None: ().

    One to three digits, then one mark and three digits again and again, are a number in groups:
    `25.000`, `25,000`, `25'000` and `25 000` are all 25000, and `1.500,5` is 1500.5. Any other
    point is a decimal one: `72223.819286`.

    Raises BadScales, also for separators without a number: they are no way to say "all".
    """
    if not text.strip():
        return ()
    parts = [part.strip() for part in text.split(";")]
    scales = tuple(_scale(part, text) for part in parts if part)
    if not scales:
        raise BadScales(text)
    return scales


def _scale(part: str, text: str) -> float:
    number = _RATIO.sub("", part)
    grouped = _GROUPED.fullmatch(number)
    if grouped is not None:
        digits = "".join(each for each in grouped["whole"] if each.isdigit())
        number = f"{digits}.{grouped['rest'] or 0}"
    try:
        scale = float(number)
    except ValueError:
        raise BadScales(text) from None
    if not 0 < scale < float("inf"):
        raise BadScales(text)
    return scale
