"""The kinds of area a person can choose between."""

from __future__ import annotations

from enum import Enum


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

    @property
    def takes_layer(self) -> bool:
        """Whether a layer has to be chosen as well."""
        return self in (AreaKind.LAYER, AreaKind.LAYER_EXTENT)
