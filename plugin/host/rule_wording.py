"""Rules of areas by scale in words. Plain text."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QLocale

from ..core.tiling import Level
from .area_rules import AreaRule, RuleArea, RuleAreaKind
from .text import listed, number_text, plain, scale_text, tr

FILTER_LETTERS = 30
"""So many letters of a filter are told."""

LEVELS_NAMED = 6
"""So many scales are named, of more it is said how many there are."""


def rule_area_text(area: RuleArea) -> str:
    """The area of a rule in a few words: `Parcels, "use" = 'forest', + 10 km`."""
    texts = {
        RuleAreaKind.FULL: tr("Full extent"),
        RuleAreaKind.LAYER: plain(area.layer_name) or tr("Polygon layer"),
        RuleAreaKind.CANVAS: tr("Map canvas"),
        RuleAreaKind.COUNTRY: tr("Countries"),
        RuleAreaKind.GEOMETRY: tr("Drawn area"),
    }
    text = texts[area.kind]
    if area.kind is RuleAreaKind.FULL:
        return text
    if area.kind is RuleAreaKind.COUNTRY and area.base is not None:
        text = tr("Countries of: {area}").format(area=rule_area_text(area.base))
    facts = [text]
    if area.kind is RuleAreaKind.LAYER and area.selected_only:
        facts.append(tr("selected"))
    if area.kind is RuleAreaKind.LAYER and area.expression.strip():
        facts.append(_filter_text(area.expression))
    if area.buffer_metres > 0:
        facts.append(tr("+ {distance}").format(distance=_distance(area.buffer_metres)))
    return listed(facts)


def _filter_text(expression: str) -> str:
    """A filter, or its beginning, in one line."""
    text = plain(" ".join(expression.split()))
    return text if len(text) <= FILTER_LETTERS else f"{text[:FILTER_LETTERS].rstrip()}…"


def rule_text(rule: AreaRule) -> str:
    """A rule in one line: its scales, its area."""
    text = tr("All scales: {area}")
    if rule.from_scale is not None and rule.to_scale is not None:
        text = tr("{coarsest} to {finest}: {area}")
    elif rule.from_scale is not None:
        text = tr("{coarsest} and finer: {area}")
    elif rule.to_scale is not None:
        text = tr("{finest} and coarser: {area}")
    return text.format(
        coarsest="" if rule.from_scale is None else scale_text(rule.from_scale),
        finest="" if rule.to_scale is None else scale_text(rule.to_scale),
        area=rule_area_text(rule.area),
    )


def gaps_text(levels: Sequence[Level]) -> str:
    """That these levels are in no rule, in one sentence; "" for none."""
    if not levels:
        return ""
    text = tr("No rule holds {scales}: add one, or nothing is done there.")
    return text.format(scales=_scales(levels))


def left_out_text(service: str, levels: Sequence[Level]) -> str:
    """That these levels of `service` are left out, as no rule holds them, in one sentence."""
    text = tr("{service}: no rule holds {scales}, so nothing is done there.")
    return text.format(service=plain(service), scales=_scales(levels))


def overlaps_text(levels: Sequence[Level]) -> str:
    """That these levels are in more than one rule, in one sentence; "" for none."""
    if not levels:
        return ""
    text = tr("More than one rule holds {scales}: the first of them counts.")
    return text.format(scales=_scales(levels))


def _scales(levels: Sequence[Level]) -> str:
    named = [scale_text(level.scale) for level in levels[:LEVELS_NAMED]]
    if len(levels) > LEVELS_NAMED:
        more = tr("and {count} more")
        named.append(more.format(count=number_text(len(levels) - LEVELS_NAMED)))
    return listed(named)


def _distance(metres: float) -> str:
    """So many metres as people say them: `250 m`, `10 km`."""
    if metres < 1000:
        return tr("{number} m").format(number=QLocale().toString(float(metres), "g", 4))
    return tr("{number} km").format(number=QLocale().toString(metres / 1000, "g", 6))
