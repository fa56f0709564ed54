"""How far what is drawn of a feature reaches beyond it, and of a label beyond its place.

In a picture of some tiles, features outside of it matter only if their symbols reach in. They are
left out where they cannot: what is outside changes the order in which a data source gives its
features, and with it where outlines cross, so pictures would differ from those of QGIS's own tools
without need.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from qgis.core import (
    QgsMapLayer,
    QgsMapSettings,
    QgsMarkerSymbol,
    QgsRasterLayer,
    QgsRenderContext,
    QgsSimpleMarkerSymbolLayer,
    QgsSymbol,
    QgsSymbolLayerUtils,
    QgsTextFormat,
    QgsVectorLayer,
    QgsWkbTypes,
)

USUAL_REACH = 128
LARGEST_REACH = 1024

THIN = 2.0
"""Half an outline of so many pixels is not worth a gutter: at most a row of pixels lacks it, where
a feature ends just at the edge of the picture."""

LABEL_MARGIN = 2
"""Letters may reach so many pixels beyond the box that a label is placed by. No more than needed:
points that lie in the margin themselves get no label."""

DECORATED_MARGIN = 32
"""The same where labels have a background or a shadow, or a size that depends on the feature."""

_PENS = ("SimpleFill", "SimpleLine")
_NO_OFFSET = ("0", "0,0")
_UNIT_OF_PLACES = "RenderMetersInMapUnits"
"""Sizes in this unit differ from place to place."""

_SCALES, _ANY_SCALE = "map_unit_scale", "3x:0,0,0,0,0,0"
"""Sizes bounded by scales differ, in degrees, from place to place, too."""

_PLAIN_RENDERERS = ("singleSymbol", "categorizedSymbol", "graduatedSymbol", "RuleRenderer")
_PLAIN_SYMBOLS = ("SimpleFill", "SimpleLine", "GradientFill", "ShapeburstFill", "RasterFill")


def reach_of(layers: Iterable[QgsMapLayer], settings: QgsMapSettings) -> int:
    """So many pixels outside of the map of `settings` features may lie and still be seen in it."""
    context = QgsRenderContext.fromMapSettings(settings)
    farthest = max((_reach(layer, context) for layer in layers), default=0.0)
    if farthest <= THIN:
        return 0
    return int(min(max(USUAL_REACH, math.ceil(farthest)), LARGEST_REACH))


def label_margin(layers: Iterable[QgsMapLayer], settings: QgsMapSettings) -> int:
    """So many pixels from the edge labels must stay to be drawn whole."""
    context = QgsRenderContext.fromMapSettings(settings)
    formats = [text for layer in layers for text in _label_formats(layer)]
    return math.ceil(max((_margin(text, context) for text in formats), default=0.0))


def _reach(layer: QgsMapLayer, context: QgsRenderContext) -> float:
    """In pixels; USUAL_REACH where nobody can say."""
    if isinstance(layer, QgsRasterLayer):
        return 0.0
    if not isinstance(layer, QgsVectorLayer):
        return USUAL_REACH
    renderer = layer.renderer()
    if renderer is None:
        return 0.0
    symbols = renderer.symbols(context)
    reach = max((_symbol_reach(symbol, context) for symbol in symbols), default=0.0)
    is_plain = (
        renderer.type() in _PLAIN_RENDERERS
        and layer.geometryType() != QgsWkbTypes.GeometryType.PointGeometry
        and not has_effect(renderer)
        and all(map(_is_plain, symbols))
    )
    return reach if is_plain else max(reach, USUAL_REACH)


def _symbol_reach(symbol: QgsSymbol, context: QgsRenderContext) -> float:
    reach = float(QgsSymbolLayerUtils.estimateMaxSymbolBleed(symbol, context))
    if isinstance(symbol, QgsMarkerSymbol):
        reach = max(reach, symbol.size(context))
    if _has_buffer(symbol):
        buffer = symbol.bufferSettings()
        reach += context.convertToPainterUnits(
            buffer.size(), buffer.sizeUnit(), buffer.sizeMapUnitScale()
        )
    return reach


def _is_plain(symbol: QgsSymbol) -> bool:
    """Whether all of `symbol` lies on the feature, give or take half an outline."""
    if _has_buffer(symbol):
        return False
    for part in symbol.symbolLayers():
        if part.layerType() not in _PLAIN_SYMBOLS or has_effect(part):
            return False
        if part.dataDefinedProperties().hasActiveProperties():
            return False
    return True


def lies_on_features(layer: QgsVectorLayer) -> bool:
    """Whether all that is drawn of `layer` lies within `pen_reach` of its features.

    Of labels that is true, too: QGIS places them on that part of a feature that the map shows.
    """
    renderer = layer.renderer()
    if renderer is None or renderer.type() not in (*_PLAIN_RENDERERS, "nullSymbol"):
        return False
    if has_effect(renderer) or renderer.referenceScale() > 0 or layer.diagramsEnabled():
        return False
    is_point = layer.geometryType() == QgsWkbTypes.GeometryType.PointGeometry
    pens = ("SimpleMarker",) if is_point else _PENS
    symbols = renderer.symbols(QgsRenderContext())
    return all(_is_drawn_by(symbol, pens) for symbol in symbols) and _labels_lie_on(layer)


def pen_reach(layer: QgsVectorLayer, context: QgsRenderContext) -> float:
    """How far from its features something of `layer` is drawn at most, mitres aside; in pixels."""
    renderer = layer.renderer()
    symbols = renderer.symbols(context) if renderer is not None else []
    return max((_pen_reach(symbol, context) for symbol in symbols), default=0.0)


def _pen_reach(symbol: QgsSymbol, context: QgsRenderContext) -> float:
    reach = _symbol_reach(symbol, context)
    for part in symbol.symbolLayers():
        if isinstance(part, QgsSimpleMarkerSymbolLayer):  # whose size is that without its stroke
            scale = part.strokeWidthMapUnitScale()
            width = context.convertToPainterUnits(part.strokeWidth(), part.strokeWidthUnit(), scale)
            reach = max(reach, symbol.size(context) + width)
    return reach


def _is_drawn_by(symbol: QgsSymbol, pens: tuple[str, ...]) -> bool:
    """Whether `symbol` only consists of parts of the types `pens`, the same for each feature."""
    if symbol.dataDefinedProperties().hasActiveProperties() or _has_buffer(symbol):
        return False
    for part in symbol.symbolLayers():
        properties = part.properties()
        if part.layerType() not in pens or has_effect(part):
            return False
        if part.dataDefinedProperties().hasActiveProperties():
            return False
        if properties.get("offset", "0") not in _NO_OFFSET:
            return False
        if _UNIT_OF_PLACES in properties.values():
            return False
        if any(_SCALES in name and properties[name] != _ANY_SCALE for name in properties):
            return False
    return True


def _has_buffer(symbol: QgsSymbol) -> bool:
    """Whether something is drawn around `symbol`, as QGIS can since 3.40."""
    if not hasattr(symbol, "bufferSettings"):
        return False
    buffer = symbol.bufferSettings()
    return buffer is not None and bool(buffer.enabled())


def _labels_lie_on(layer: QgsVectorLayer) -> bool:
    """Whether labels of `layer` are only placed where the map shows part of their feature."""
    if not layer.labelsEnabled() or layer.labeling() is None:
        return True
    labeling = layer.labeling()
    for provider in labeling.subProviders():
        settings = labeling.settings(provider)
        if settings.dataDefinedProperties().hasActiveProperties():
            return False
        if settings.centroidWhole or settings.geometryGeneratorEnabled:
            return False
    return True


def has_effect(drawn: object) -> bool:
    """Whether a renderer or part of a symbol has an effect, such as a shadow."""
    effect = drawn.paintEffect()  # type: ignore[attr-defined]
    return effect is not None and effect.enabled() and effect.type() != "drawSource"


def _label_formats(layer: QgsMapLayer) -> list[QgsTextFormat | None]:
    """The formats of the labels of `layer`; None for one that depends on the feature."""
    if not isinstance(layer, QgsVectorLayer) or not layer.labelsEnabled():
        return []
    labeling = layer.labeling()
    if labeling is None:
        return []
    formats: list[QgsTextFormat | None] = []
    for provider in labeling.subProviders():
        settings = labeling.settings(provider)
        is_fixed = not settings.dataDefinedProperties().hasActiveProperties()
        formats.append(settings.format() if is_fixed else None)
    return formats


def _margin(text: QgsTextFormat | None, context: QgsRenderContext) -> float:
    if text is None or text.background().enabled() or text.shadow().enabled():
        return DECORATED_MARGIN
    buffer = text.buffer()
    if not buffer.enabled():
        return LABEL_MARGIN
    return LABEL_MARGIN + context.convertToPainterUnits(buffer.size(), buffer.sizeUnit())
