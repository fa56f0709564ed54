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
    QgsExpression,
    QgsExpressionContext,
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
from .area_rules import ScaleRange
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
    can take seconds, and these are made on the main thread. `expression`: only the features for
    which it is true, in `variables`; "": all.
    """

    name: str
    features: QgsAbstractFeatureSource | QgsProcessingFeatureSource
    selected: tuple[int, ...] | None
    crs: QgsCoordinateReferenceSystem
    context: QgsCoordinateTransformContext = field(repr=False)
    expression: str = ""
    variables: QgsExpressionContext | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(
        cls,
        layer: QgsVectorLayer | None,
        selected_only: bool,
        context: QgsCoordinateTransformContext,
        expression: str = "",
    ) -> LayerArea:
        """A snapshot of `layer`, edits that are not saved yet among them. Main thread.

        Raises BadArea: no layer, no polygons, no CRS, nothing selected though `selected_only`, an
        `expression` that is none or names a field that is not there.
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
        variables = None
        if expression.strip():
            _check_filter(name, expression, layer)
            variables = layer.createExpressionContext()
        features = QgsVectorLayerFeatureSource(layer)
        return cls(name, features, selected, layer.crs(), context, expression.strip(), variables)

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
        chosen = None
        if self.expression:
            # A request asks either by an expression or by ids: the other one is asked here.
            chosen = None if self.selected is None else frozenset(self.selected)
            request.setFilterExpression(self.expression)
            request.setExpressionContext(QgsExpressionContext(self.variables))
        elif self.selected is not None:
            request.setFilterFids(list(self.selected))
        for feature in self.features.getFeatures(request):
            if cancelled():
                raise Cancelled()
            if chosen is None or feature.id() in chosen:
                yield feature.geometry()

    @property
    def reason_for_nothing(self) -> BadAreaReason:
        """Why there is no polygon, where none is read."""
        return BadAreaReason.NOTHING_MATCHED if self.expression else BadAreaReason.NO_POLYGONS

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


def _check_filter(name: str, expression: str, layer: QgsVectorLayer) -> None:
    """Raises BadArea where QGIS would quietly find no feature, or fail at each."""
    parsed = QgsExpression(expression)
    if parsed.hasParserError():
        raise BadArea(name, BadAreaReason.BAD_FILTER)
    named = parsed.referencedColumns() - {QgsFeatureRequest.ALL_ATTRIBUTES}
    fields = layer.fields()
    if any(fields.lookupField(field) < 0 for field in named):
        raise BadArea(name, BadAreaReason.BAD_FILTER)


@dataclass(frozen=True)
class BufferedArea:
    """`source` made wider by `metres` on the ground."""

    source: PlacedArea
    metres: float

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def context(self) -> QgsCoordinateTransformContext:
        return self.source.context


@dataclass(frozen=True)
class CountriesArea:
    """The countries that `source` touches, and `source` itself, for coasts are drawn roughly."""

    source: PlacedArea

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def context(self) -> QgsCoordinateTransformContext:
        return self.source.context


PlacedArea = Union[DrawnArea, RectangleArea, LayerArea, BufferedArea, CountriesArea]
"""An area with a shape of its own, whatever the cache."""


@dataclass(frozen=True)
class ScaleArea(ScaleRange):
    """The area of a range of scales; `title` says it to people."""

    source: FullExtent | PlacedArea
    title: str


@dataclass(frozen=True)
class AreasByScale:
    """An area for each range of scales; the first of `rules` that holds a scale says its area.

    Rules that share their area share the very same source.
    """

    rules: tuple[ScaleArea, ...]


AreaSource = Union[
    FullExtent,
    TypedExtent,
    DrawnArea,
    RectangleArea,
    LayerExtents,
    LayerArea,
    BufferedArea,
    CountriesArea,
    AreasByScale,
]
