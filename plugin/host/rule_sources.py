"""From rules of areas by scale to areas, and the rules that suggest themselves. Main thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsGeometry,
    QgsMapSettings,
    QgsPointXY,
    QgsProject,
)

from ..core.description import CacheDescription
from ..core.errors import BadArea, BadAreaReason, BadRules
from ..core.tiling import Level
from . import countries
from .area_rules import AreaRule, RuleArea, RuleAreaKind
from .area_sources import (
    AreasByScale,
    BufferedArea,
    CountriesArea,
    DrawnArea,
    FullExtent,
    LayerArea,
    PlacedArea,
    RectangleArea,
    ScaleArea,
    project_context,
)
from .geometries import polygons_of
from .rule_layers import layer_area, layer_of, opened_layer, without_secrets
from .rule_wording import rule_area_text
from .text import tr

__all__ = [
    "CanvasView",
    "canvas_area",
    "drawn_area",
    "layer_area",
    "layer_of",
    "make_areas",
    "suggested_rules",
    "without_secrets",
]

WORLD_SCALES = 9_000_000.0
"""Scales coarser than this are overviews: the tiles of the whole world are some thousands."""

COUNTRY_SCALES = 1_000_000.0
"""Scales from WORLD_SCALES down to this one show countries."""

NEIGHBOURHOOD_SCALES = 100_000.0
"""Scales from COUNTRY_SCALES down to this one show the surroundings of a place."""

NEIGHBOURHOOD = 10_000.0
"""How far these surroundings reach, in metres, unless said otherwise: a screen at 1:50,000."""


@dataclass(frozen=True)
class CanvasView:
    """What a map canvas shows: a polygon, maybe a rotated rectangle, in the canvas's CRS."""

    polygon: QgsGeometry
    crs: QgsCoordinateReferenceSystem

    @classmethod
    def of(cls, settings: QgsMapSettings) -> CanvasView:
        """What is seen with the map settings of a canvas; nothing where it has no extent yet."""
        if settings.extent().isEmpty():  # whose corners would be some, about (0, 0)
            polygon = QgsGeometry()
        elif settings.rotation() == 0:
            polygon = QgsGeometry.fromRect(settings.visibleExtent())
        else:
            corners = [QgsPointXY(corner) for corner in settings.visiblePolygon()]
            polygon = QgsGeometry.fromPolygonXY([corners])
        return cls(polygon, settings.destinationCrs())


def canvas_area(
    view: CanvasView, name: str, context: QgsCoordinateTransformContext
) -> RectangleArea | DrawnArea:
    """What a canvas shows, called `name`; of a rotated one the extent would be more than that."""
    rectangle = view.polygon.boundingBox()
    if QgsGeometry.fromRect(rectangle).equals(view.polygon):
        return RectangleArea(name, rectangle, view.crs, context)
    return DrawnArea(view.polygon, view.crs, context)


def drawn_area(
    geometry: QgsGeometry, crs: QgsCoordinateReferenceSystem, buffer_metres: float = 0.0
) -> RuleArea:
    """The area of a rule that is a polygon, drawn or otherwise given, in `crs`."""
    return RuleArea(
        RuleAreaKind.GEOMETRY,
        buffer_metres=buffer_metres,
        wkt=geometry.asWkt(),
        crs=crs.authid() or crs.toWkt(QgsCoordinateReferenceSystem.WktVariant.WKT2_2019),
    )


def make_areas(
    rules: Sequence[AreaRule],
    project: QgsProject | None,
    canvas: CanvasView | None,
    context: QgsCoordinateTransformContext | None = None,
) -> AreasByScale:
    """The areas that `rules` name, with copies of all they are made of.

    `context`: how coordinates are transformed, where it is not the project's business.
    Raises BadArea, BadRules (there are none).
    """
    if not rules:
        raise BadRules("", tr("no rules"))
    if context is None:
        known = project is not None
        context = project_context(project) if known else QgsCoordinateTransformContext()
    sources = _Sources(project, canvas, context)
    return AreasByScale(
        tuple(
            ScaleArea(
                rule.from_scale, rule.to_scale, sources.of(rule.area), rule_area_text(rule.area)
            )
            for rule in rules
        )
    )


class _Sources:
    """The sources of the areas of rules: one for each area, so that each is worked out once."""

    def __init__(
        self,
        project: QgsProject | None,
        canvas: CanvasView | None,
        context: QgsCoordinateTransformContext,
    ) -> None:
        self._project = project
        self._canvas = canvas
        self._context = context
        self._made: dict[RuleArea, FullExtent | PlacedArea] = {}

    def of(self, area: RuleArea) -> FullExtent | PlacedArea:
        """The source of `area`. Raises BadArea."""
        if area.kind is RuleAreaKind.FULL:
            area = RuleArea(RuleAreaKind.FULL)  # of which no other value matters
        if area not in self._made:
            self._made[area] = self._source(area)
        return self._made[area]

    def _source(self, area: RuleArea) -> FullExtent | PlacedArea:
        if area.kind is RuleAreaKind.FULL:
            return FullExtent()
        if area.buffer_metres > 0:
            return BufferedArea(self.of(replace(area, buffer_metres=0.0)), area.buffer_metres)
        if area.kind is RuleAreaKind.COUNTRY:
            if area.base is None or area.base.kind is RuleAreaKind.FULL:
                raise BadArea(rule_area_text(area), BadAreaReason.NO_POLYGONS)
            return CountriesArea(self.of(area.base))
        if area.kind is RuleAreaKind.LAYER:
            layer = opened_layer(area, self._project)
            return LayerArea.of(layer, area.selected_only, self._context, area.expression)
        if area.kind is RuleAreaKind.CANVAS:
            return self._canvas_source(area)
        return self._drawn_source(area)

    def _canvas_source(self, area: RuleArea) -> PlacedArea:
        name, canvas = rule_area_text(area), self._canvas
        if canvas is None:
            raise BadArea(name, BadAreaReason.NO_CANVAS)
        return canvas_area(canvas, name, self._context)

    def _drawn_source(self, area: RuleArea) -> PlacedArea:
        geometry = QgsGeometry.fromWkt(area.wkt)
        if polygons_of(geometry).is_empty:
            raise BadArea(rule_area_text(area), BadAreaReason.NO_POLYGONS)
        crs = QgsCoordinateReferenceSystem()
        if area.crs and not crs.createFromString(area.crs):
            crs = QgsCoordinateReferenceSystem.fromWkt(area.crs)
        if not crs.isValid():
            raise BadArea(rule_area_text(area), BadAreaReason.NO_CRS)
        return DrawnArea(geometry, crs, self._context)


def suggested_rules(
    area: RuleArea, description: CacheDescription, buffer_metres: float | None = None
) -> tuple[AreaRule, ...]:
    """Rules for the cached levels of `description` around `area`, which the finest have.

    The whole cache for scales coarser than 1:9,000,000, its countries to 1:1,000,000, the area and
    `buffer_metres` around it (10 km) to 1:100,000; and the area itself. Every cached level is in
    one rule, each rule holds some, and ends at their scales; the first and the last are open.
    Without QGIS's world map, the area with its surroundings takes the place of countries. () where
    there are no levels.
    """
    levels = description.cached_levels or description.scheme.levels
    wider = NEIGHBOURHOOD if buffer_metres is None else buffer_metres
    groups: list[tuple[RuleArea, list[Level]]] = []
    for level in sorted(levels, key=lambda each: -each.scale):
        suggested = _suggested(area, level.scale, wider)
        if groups and groups[-1][0] == suggested:
            groups[-1][1].append(level)
        else:
            groups.append((suggested, [level]))
    return tuple(_rules(groups))


def _suggested(area: RuleArea, scale: float, wider: float) -> RuleArea:
    """The area that suggests itself for 1:`scale`."""
    if scale > WORLD_SCALES or area.kind is RuleAreaKind.FULL:
        return RuleArea(RuleAreaKind.FULL)
    base = area.base if area.kind is RuleAreaKind.COUNTRY else replace(area, buffer_metres=0.0)
    if scale >= COUNTRY_SCALES and base is not None and countries.are_known():
        return RuleArea(RuleAreaKind.COUNTRY, base=base)
    if scale >= NEIGHBOURHOOD_SCALES:
        return replace(area, buffer_metres=area.buffer_metres + wider)
    return area


def _rules(groups: list[tuple[RuleArea, list[Level]]]) -> Iterator[AreaRule]:
    last = len(groups) - 1
    for index, (area, levels) in enumerate(groups):
        from_scale = None if index == 0 else levels[0].scale
        yield AreaRule(from_scale, None if index == last else levels[-1].scale, area)
