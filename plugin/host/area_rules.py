"""An area for each range of scales: the rules as plain values, which levels they reach, their file.

A rule names its area: a layer and what of it, the canvas, the countries that something touches. It
holds nothing of QGIS and nothing secret, so that it can be kept in a form and in a file;
`rule_sources` makes areas of it. The file is `rule_file`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from ..core.tiling import SCALE_TOLERANCE, Level


class RuleAreaKind(Enum):
    """What the area of a rule is; the values stand in files."""

    FULL = "full extent"
    LAYER = "layer"
    CANVAS = "canvas"
    COUNTRY = "countries"
    GEOMETRY = "geometry"


@dataclass(frozen=True)
class RuleArea:
    """The area of a rule, by its name.

    LAYER: the polygons of the layer with `layer_id`, or of the one with `layer_name` and
    `layer_source` (without secrets) of `provider`; of its features those for which `expression` (as
    QGIS filters; "": all) is true; of these, where `selected_only`, what is selected. GEOMETRY: the
    polygons in `wkt`, in `crs` (an authority's code or WKT). COUNTRY: the countries that `base`
    touches, an area of another kind but FULL. `buffer_metres`: how much wider it is than that, on
    the ground; 0: not at all; FULL has none.
    """

    kind: RuleAreaKind
    layer_id: str = ""
    layer_name: str = ""
    layer_source: str = ""
    provider: str = ""
    expression: str = ""
    selected_only: bool = False
    buffer_metres: float = 0.0
    wkt: str = ""
    crs: str = ""
    base: RuleArea | None = None


@dataclass(frozen=True)
class ScaleRange:
    """From the coarser scale 1:`from_scale` to the finer 1:`to_scale`, both of them included.

    None: without an end on that side. Given the other way round, the two are exchanged.
    """

    from_scale: float | None
    to_scale: float | None

    def __post_init__(self) -> None:
        coarser, finer = self.from_scale, self.to_scale
        if coarser is not None and finer is not None and coarser < finer:
            object.__setattr__(self, "from_scale", finer)
            object.__setattr__(self, "to_scale", coarser)

    def holds(self, level: Level) -> bool:
        """Whether the scale of `level` lies in it, its ends within SCALE_TOLERANCE."""
        room = SCALE_TOLERANCE * level.scale
        is_too_coarse = self.from_scale is not None and level.scale - self.from_scale > room
        is_too_fine = self.to_scale is not None and self.to_scale - level.scale > room
        return not is_too_coarse and not is_too_fine


@dataclass(frozen=True)
class AreaRule(ScaleRange):
    """The scales from 1:`from_scale` to 1:`to_scale` have `area`."""

    area: RuleArea


Ranged = TypeVar("Ranged", bound=ScaleRange)


def rule_of(rules: Iterable[Ranged], level: Level) -> Ranged | None:
    """The rule that says the area of `level`: the first that holds its scale; None: none does."""
    return next((rule for rule in rules if rule.holds(level)), None)


def gaps(rules: Sequence[ScaleRange], levels: Iterable[Level]) -> tuple[Level, ...]:
    """Those of `levels` that no rule holds."""
    return tuple(level for level in levels if rule_of(rules, level) is None)


def overlaps(rules: Sequence[ScaleRange], levels: Iterable[Level]) -> tuple[Level, ...]:
    """Those of `levels` that more than one rule holds; the first of these rules says the area."""
    return tuple(level for level in levels if sum(rule.holds(level) for rule in rules) > 1)


def levels_of(
    rules: Sequence[ScaleRange], index: int, levels: Iterable[Level]
) -> tuple[Level, ...]:
    """Those of `levels` whose area the rule at `index` says, being the first that holds them."""
    return tuple(
        level
        for level in levels
        if rules[index].holds(level) and not any(rule.holds(level) for rule in rules[:index])
    )
