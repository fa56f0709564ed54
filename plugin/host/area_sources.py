"""Areas of interest as people choose them.

An area source is made on the main thread and is a snapshot: it holds copies, so it can be resolved
in any thread, later, when layers, project and canvas may be gone or different.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Union

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

from ..core.errors import BadArea, BadAreaReason
from .geometries import polygons_of

IsCancelled = Callable[[], bool]


class Cancelled(Exception):
    """The work was cancelled before its result was there."""


def _project_context() -> QgsCoordinateTransformContext:
    return QgsCoordinateTransformContext(QgsProject.instance().transformContext())


@dataclass(frozen=True)
class FullExtent:
    """The whole cache."""

    name: str = ""


@dataclass(frozen=True)
class TypedExtent:
    """Four numbers `xmin ymin xmax ymax` in the CRS of the cache, as typed."""

    text: str
    name: str = ""


@dataclass(frozen=True)
class DrawnArea:
    """A polygon drawn on the canvas."""

    geometry: QgsGeometry
    crs: QgsCoordinateReferenceSystem
    name: str = ""
    context: QgsCoordinateTransformContext = field(default_factory=_project_context, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "geometry", QgsGeometry(self.geometry))


@dataclass(frozen=True)
class RectangleArea:
    """A rectangle: the canvas's, a layer's, the project's."""

    name: str
    rectangle: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext = field(default_factory=_project_context, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rectangle", QgsRectangle(self.rectangle))


@dataclass(frozen=True)
class LayerArea:
    """The polygons of a layer, dissolved; make it with `of` or `of_source`."""

    name: str
    features: QgsAbstractFeatureSource | QgsProcessingFeatureSource
    selected: tuple[int, ...] | None
    count: int
    rectangle: QgsRectangle
    crs: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext = field(default_factory=_project_context, repr=False)

    @classmethod
    def of(cls, layer: QgsVectorLayer | None, selected_only: bool) -> LayerArea:
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
        return cls(
            name=name,
            features=QgsVectorLayerFeatureSource(layer),
            selected=selected,
            count=layer.featureCount() if selected is None else len(selected),
            rectangle=layer.extent() if selected is None else layer.boundingBoxOfSelected(),
            crs=layer.crs(),
        )

    @classmethod
    def of_source(cls, source: QgsProcessingFeatureSource | None) -> LayerArea:
        """The features that a Processing parameter stands for: selected, filtered, limited.

        Invalid ones are welcome, whatever the person's setting: they are made valid here. Main
        thread. Raises BadArea: no such layer, no polygons, no CRS.
        """
        if source is None:
            raise BadArea("", BadAreaReason.NO_LAYERS)
        name, crs = source.sourceName(), source.sourceCrs()
        _check_polygons(name, QgsWkbTypes.geometryType(source.wkbType()), crs)
        source.setInvalidGeometryCheck(QgsFeatureRequest.InvalidGeometryCheck.GeometryNoCheck)
        return cls(name, source, None, source.featureCount(), source.sourceExtent(), crs)

    def polygons(self, cancelled: IsCancelled) -> Iterator[BaseGeometry]:
        """The polygons feature by feature, read as they are asked for. Raises Cancelled."""
        for feature in self.features.getFeatures(self._request()):
            if cancelled():
                raise Cancelled()
            polygons = polygons_of(feature.geometry())
            if not polygons.is_empty:
                yield polygons

    def outlines(self, detail: float) -> Iterator[BaseGeometry]:
        """The same, without what is smaller than `detail` in units of `crs`: for drawing."""
        for feature in self.features.getFeatures(self._request()):
            yield polygons_of(feature.geometry().simplify(detail))

    def _request(self) -> QgsFeatureRequest:
        request = QgsFeatureRequest().setSubsetOfAttributes([])
        return request if self.selected is None else request.setFilterFids(list(self.selected))


def _check_polygons(
    name: str, kind: QgsWkbTypes.GeometryType, crs: QgsCoordinateReferenceSystem
) -> None:
    kinds = (QgsWkbTypes.GeometryType.PolygonGeometry, QgsWkbTypes.GeometryType.UnknownGeometry)
    if kind not in kinds:
        raise BadArea(name, BadAreaReason.NO_POLYGONS)
    if not crs.isValid():
        raise BadArea(name, BadAreaReason.NO_CRS)


AreaSource = Union[FullExtent, TypedExtent, DrawnArea, RectangleArea, LayerArea]
