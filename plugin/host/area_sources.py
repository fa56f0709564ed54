"""Areas of interest as people choose them.

An area source is made on the main thread and is a snapshot: it holds copies, so it can be resolved
in any thread, later, when layers, project and canvas may be gone or different.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Union

from qgis.core import (
    QgsAbstractFeatureSource,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransformContext,
    QgsFeatureRequest,
    QgsGeometry,
    QgsProcessingFeatureSource,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorLayerFeatureSource,
    QgsWkbTypes,
)
from qgis.PyQt import sip
from shapely.geometry.base import BaseGeometry

from ..core.errors import BadArea, BadAreaReason, BadExtent
from .geometries import polygons_of

IsCancelled = Callable[[], bool]


class Cancelled(Exception):
    """The work was cancelled before its result was there."""


class BadRectangle(BadExtent):
    """`text` is not an extent as QGIS writes them, `xmin,xmax,ymin,ymax`, minima below maxima."""


class UnknownCrs(BadExtent):
    """`text`, behind the numbers of an extent, is no CRS that QGIS knows."""


def project_context(project: QgsProject) -> QgsCoordinateTransformContext:
    """How `project` wants coordinates transformed, as it is now. Main thread."""
    return QgsCoordinateTransformContext(project.transformContext())


@dataclass(frozen=True)
class FullExtent:
    """The whole cache."""


@dataclass(frozen=True)
class TypedExtent:
    """Four numbers `xmin ymin xmax ymax` in the CRS of the cache, as typed."""

    text: str


@dataclass(frozen=True)
class DrawnArea:
    """A polygon drawn on the canvas."""

    geometry: QgsGeometry
    crs: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext = field(repr=False)
    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "geometry", QgsGeometry(self.geometry))


@dataclass(frozen=True)
class RectangleArea:
    """A rectangle: the canvas's, a layer's, the project's. `crs` None: that of the cache."""

    name: str
    rectangle: QgsRectangle
    crs: QgsCoordinateReferenceSystem | None
    context: QgsCoordinateTransformContext = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rectangle", QgsRectangle(self.rectangle))


@dataclass(frozen=True)
class LayerExtents:
    """The extents of layers: their union or, else, their intersection, in the CRS of the cache.

    Not in the project's CRS: that may be one that half of the layers do not fit into.
    """

    name: str
    is_union: bool
    extents: tuple[RectangleArea, ...]
    context: QgsCoordinateTransformContext = field(repr=False)


@dataclass(frozen=True)
class LayerArea:
    """The polygons of a layer, dissolved; make it with `of` or `of_source`.

    How many and how large they are is only known once they are read: asking a layer's provider
    can take seconds, and these are made on the main thread.
    """

    name: str
    features: QgsAbstractFeatureSource | QgsProcessingFeatureSource
    selected: tuple[int, ...] | None
    crs: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext = field(repr=False)

    @classmethod
    def of(
        cls,
        layer: QgsVectorLayer | None,
        selected_only: bool,
        context: QgsCoordinateTransformContext,
    ) -> LayerArea:
        """A snapshot of `layer`, edits that are not saved yet among them. Main thread.

        Raises BadArea: no layer, no polygons, no CRS, nothing selected though `selected_only`.
        """
        if layer is None or sip.isdeleted(layer):
            raise BadArea("", BadAreaReason.NO_LAYERS)
        name = layer.name()
        if not layer.isValid():
            raise BadArea(name, BadAreaReason.NO_POLYGONS)
        _check_polygons(name, layer.geometryType(), layer.crs())
        selected = tuple(layer.selectedFeatureIds()) if selected_only else None
        if selected == ():
            raise BadArea(name, BadAreaReason.NOTHING_SELECTED)
        features = QgsVectorLayerFeatureSource(layer)
        return cls(name, features, selected, layer.crs(), context)

    @classmethod
    def of_source(
        cls,
        source: QgsProcessingFeatureSource | None,
        selected_only: bool,
        context: QgsCoordinateTransformContext,
    ) -> LayerArea:
        """The features that a Processing parameter stands for: selected, filtered, limited.

        `selected_only`: whether it is about selected ones.

        Invalid ones are welcome, whatever the person's setting: they are made valid here. Main
        thread. Raises BadArea: no such layer, no polygons, no CRS, nothing selected.
        """
        if source is None:
            raise BadArea("", BadAreaReason.NO_POLYGONS)
        name, crs = source.sourceName(), source.sourceCrs()
        _check_polygons(name, QgsWkbTypes.geometryType(source.wkbType()), crs)
        if selected_only and source.featureCount() == 0:
            raise BadArea(name, BadAreaReason.NOTHING_SELECTED)
        source.setInvalidGeometryCheck(QgsFeatureRequest.InvalidGeometryCheck.GeometryNoCheck)
        return cls(name, source, None, crs, context)

    def geometries(self, cancelled: IsCancelled) -> Iterator[QgsGeometry]:
        """The geometries feature by feature, read as they are asked for. Raises Cancelled."""
        request = QgsFeatureRequest().setSubsetOfAttributes([])
        if self.selected is not None:
            request.setFilterFids(list(self.selected))
        for feature in self.features.getFeatures(request):
            if cancelled():
                raise Cancelled()
            yield feature.geometry()

    def polygons(self, cancelled: IsCancelled) -> Iterator[BaseGeometry]:
        """The polygons feature by feature. Raises Cancelled."""
        for geometry in self.geometries(cancelled):
            polygons = polygons_of(geometry)
            if not polygons.is_empty:
                yield polygons


def _check_polygons(
    name: str, kind: QgsWkbTypes.GeometryType, crs: QgsCoordinateReferenceSystem
) -> None:
    kinds = (QgsWkbTypes.GeometryType.PolygonGeometry, QgsWkbTypes.GeometryType.UnknownGeometry)
    if kind not in kinds:
        raise BadArea(name, BadAreaReason.NO_POLYGONS)
    if not crs.isValid():
        raise BadArea(name, BadAreaReason.NO_CRS)


AreaSource = Union[FullExtent, TypedExtent, DrawnArea, RectangleArea, LayerExtents, LayerArea]
