"""Rules of areas by scale as a small text: JSON, with a version, made to be sent and kept.

    {"format": "tile_cache_manager areas by scale", "version": 1, "rules": [
        {"from_scale": 9000000, "to_scale": 1000000, "area": {"kind": "layer", ...}}, ...]}

`from_scale` and `to_scale` are denominators, null for an end that is open. What is not known is
refused, in rules and areas, as is a value that is no value of its key: a scale or filter that was
misspelt and passed over would make the area larger, and its tiles may be deleted. Other keys of an
area have their default where they are left out.
"""

from __future__ import annotations

import json
import math
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

from ..core.errors import BadRules
from ..core.storage.files import write_whole
from .area_rules import AreaRule, RuleArea, RuleAreaKind

FORMAT = "tile_cache_manager areas by scale"
VERSION = 1

MOST_BYTES = 20_000_000
"""A larger file is none of rules: the outline of a country has some megabytes."""

MOST_RULES = 1000

ENDS = ("from_scale", "to_scale")

BASE_KINDS = (RuleAreaKind.LAYER, RuleAreaKind.CANVAS, RuleAreaKind.GEOMETRY)
"""What countries may be touched by."""


def rules_text(rules: tuple[AreaRule, ...]) -> str:
    """`rules` as the text of their file."""
    described = {
        "format": FORMAT,
        "version": VERSION,
        "rules": [
            {
                "from_scale": rule.from_scale,
                "to_scale": rule.to_scale,
                "area": _described(rule.area),
            }
            for rule in rules
        ],
    }
    return json.dumps(described, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_rules(text: str, name: str = "") -> tuple[AreaRule, ...]:
    """The rules in `text`, the text of file `name`. Raises BadRules."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise BadRules(name, "JSON") from None
    found = _object(found, name, "JSON")
    if found.get("format") != FORMAT:
        raise BadRules(name, "format")
    if found.get("version") != VERSION or isinstance(found["version"], bool):
        raise BadRules(name, "version")
    listed = found.get("rules")
    if not isinstance(listed, list) or not listed or len(listed) > MOST_RULES:
        raise BadRules(name, "rules")
    return tuple(_rule(each, name, f"rules[{index}]") for index, each in enumerate(listed))


def save_rules(path: Path, rules: tuple[AreaRule, ...]) -> None:
    """Keep `rules` in the file at `path`, whole or not at all.

    Raises StorageError where it cannot be written; then what was there stays.
    """
    write_whole(path, rules_text(rules).encode())


def load_rules(path: Path) -> tuple[AreaRule, ...]:
    """The rules in the file at `path`. Raises BadRules."""
    try:
        with path.open("rb") as file:
            found = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadRules(str(path), reason) from error
    if len(found) > MOST_BYTES:
        raise BadRules(str(path), f"> {MOST_BYTES // 1_000_000} MB")
    try:
        text = found.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRules(str(path), "UTF-8") from None
    return read_rules(text, str(path))


def _described(area: RuleArea) -> dict[str, Any]:
    """`area` as JSON writes it, without what has its default."""
    described: dict[str, Any] = {"kind": area.kind.value}
    for each in _optional_fields():
        value = getattr(area, each.name)
        if value != each.default:
            described[each.name] = _described(value) if each.name == "base" else value
    return described


def _optional_fields() -> list[Field[Any]]:
    return [each for each in fields(RuleArea) if each.default is not MISSING]


def _rule(found: object, name: str, where: str) -> AreaRule:
    found = _object(found, name, where)
    _check_keys(found, (*ENDS, "area"), name, where)
    for key in (key for key in ENDS if key not in found):
        raise BadRules(name, f"{where}.{key}")
    ends = [_scale(found[key], name, f"{where}.{key}") for key in ENDS]
    return AreaRule(ends[0], ends[1], _area(found.get("area"), name, f"{where}.area"))


def _area(found: object, name: str, where: str, is_base: bool = False) -> RuleArea:
    found = _object(found, name, where)
    try:
        kind = RuleAreaKind(found.get("kind"))
    except ValueError:
        raise BadRules(name, f"{where}.kind") from None
    if is_base and kind not in BASE_KINDS:
        raise BadRules(name, f"{where}.kind")
    _check_keys(found, tuple(each.name for each in fields(RuleArea)), name, where)
    values = {
        each.name: _value(found[each.name], each.default, name, f"{where}.{each.name}")
        for each in _optional_fields()
        if each.name in found and each.name != "base"
    }
    if kind is RuleAreaKind.COUNTRY:
        values["base"] = _area(found.get("base"), name, f"{where}.base", is_base=True)
    return RuleArea(kind, **values)


def _check_keys(found: dict[str, Any], known: tuple[str, ...], name: str, where: str) -> None:
    """Raises BadRules for a key that is none of those that are `known`."""
    for key in found:
        if key not in known:
            raise BadRules(name, f"{where}.{key}")


def _value(found: object, default: object, name: str, where: str) -> Any:
    """The value of a key whose `default` says of what type it is. Raises BadRules."""
    if isinstance(default, float):
        number = _number(found, name, where)
        if number < 0:
            raise BadRules(name, where)
        return number
    if not isinstance(found, type(default)):
        raise BadRules(name, where)
    return found


def _scale(found: object, name: str, where: str) -> float | None:
    if found is None:
        return None
    scale = _number(found, name, where)
    if scale <= 0:
        raise BadRules(name, where)
    return scale


def _number(found: object, name: str, where: str) -> float:
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise BadRules(name, where)
    try:
        number = float(found)
    except OverflowError:
        raise BadRules(name, where) from None
    if not math.isfinite(number):
        raise BadRules(name, where)
    return number


def _object(found: object, name: str, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise BadRules(name, where)
    return found
