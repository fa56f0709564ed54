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
        and not _has_effect(renderer)
        and all(map(_is_plain, symbols))
    )
    return reach if is_plain else max(reach, USUAL_REACH)


def _symbol_reach(symbol: QgsSymbol, context: QgsRenderContext) -> float:
    reach = float(QgsSymbolLayerUtils.estimateMaxSymbolBleed(symbol, context))
    return max(reach, symbol.size(context)) if isinstance(symbol, QgsMarkerSymbol) else reach


def _is_plain(symbol: QgsSymbol) -> bool:
    """Whether all of `symbol` lies on the feature, give or take half an outline."""
    for part in symbol.symbolLayers():
        if part.layerType() not in _PLAIN_SYMBOLS or _has_effect(part):
            return False
        if part.dataDefinedProperties().hasActiveProperties():
            return False
    return True


def _has_effect(drawn: object) -> bool:
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
