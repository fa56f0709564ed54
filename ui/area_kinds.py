"""The kinds of area a person can choose between."""

from __future__ import annotations

from enum import Enum

from ..plugin.host.messages import tr


class AreaKind(Enum):
    """How an area of interest is given; the values are what is remembered."""

    FULL = "full_extent"
    POLYGON = "drawn_polygon"
    RECTANGLE = "drawn_rectangle"
    LAYER = "polygon_layer"
    CANVAS = "canvas_extent"
    LAYER_EXTENT = "layer_extent"
    UNION = "project_union"
    INTERSECTION = "project_intersection"
    TYPED = "typed_extent"
    RULES = "area_rules"

    @property
    def takes_layer(self) -> bool:
        """Whether a layer has to be chosen as well."""
        return self in (AreaKind.LAYER, AreaKind.LAYER_EXTENT)


def kind_texts() -> dict[AreaKind, str]:
    """What a person reads for each kind, in the order of the list."""
    return {
        AreaKind.FULL: tr("Full Extent"),
        AreaKind.RULES: tr("Areas by Scale"),
        AreaKind.POLYGON: tr("Draw Polygon"),
        AreaKind.RECTANGLE: tr("Draw Rectangle"),
        AreaKind.LAYER: tr("Polygon Layer"),
        AreaKind.CANVAS: tr("Canvas Extent"),
        AreaKind.LAYER_EXTENT: tr("Layer Extent"),
        AreaKind.UNION: tr("Extents of All Layers (Union)"),
        AreaKind.INTERSECTION: tr("Extents of All Layers (Intersection)"),
        AreaKind.TYPED: tr("Typed Extent"),
    }
