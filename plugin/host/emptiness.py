"""Where the map is empty for certain, so that it need not be drawn there.

Two ways tell, both for layers of files and of memory alone. QGIS draws a feature only where its
data source gives it for the extent that is drawn: where it gives none, a layer leaves no mark, in
whatever style, as long as that only draws what is given. And where lines and polygons have plain
symbols, what is drawn lies on their outlines, as wide as the pens are: then their vertices tell,
which says more. Everything else is taken for not empty.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureRequest,
    QgsFeatureSource,
    QgsGeometry,
    QgsLineString,
    QgsMapLayer,
    QgsMapSettings,
    QgsRectangle,
    QgsRenderContext,
    QgsVectorLayer,
    QgsWkbTypes,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QPainter

from ..core.tiling import Extent, Level
from .layer_checks import has_features, trace_of
from .outlines import Floats, Outlines, Shapes, UnknownShape
from .reach import has_effect, lies_on_features, pen_reach, reach_of
from .rendering import LayerCopies

MOST_FEATURES = 100_000
MOST_VERTICES = 2_000_000
"""Of larger layers the outlines are not read: about 50 MB, and a second or two."""

MOST_READS = 3
"""A layer whose file is written again and again meanwhile is asked rather than read each time."""

FEATURES_PER_QUESTION = 1000
"""To read so many features costs about as much as to draw an empty picture. So outlines are read
once that many questions were asked: a small update does not wait for a large layer."""

MOST_UNSORTED = 10_000
"""Of a layer without a spatial index, so many features may be gone through for each question."""

SLACK = 16
"""Pixels around a square that must be empty, too, for what is drawn to be sure not to reach in:
antialiasing, rounding, simplified outlines."""

FLOAT32 = 2.0**-20
"""Indexes of files hold boxes in single precision: so much wider, relative to the coordinates."""

_PROVIDERS = ("ogr", "memory", "spatialite", "delimitedtext")
_RENDERERS = ("singleSymbol", "categorizedSymbol", "graduatedSymbol", "RuleRenderer", "nullSymbol")
_WORLDWIDE = {"EPSG:4326", "OGC:CRS84", "EPSG:3857"}
_FARTHEST = 540  # degrees east or west: PROJ transforms nothing beyond ten radians
_WORLD = QgsRectangle(-180, -89.9, 180, 89.9)
_LARGEST = 1e300  # beyond it, differences are infinite
_ROUNDING = 1e-6  # of scales
_REVERSE = QgsCoordinateTransform.ReverseTransform  # elsewhere in versions since


@dataclass(frozen=True)
class _Scales:
    """Denominators between which a layer is drawn, 0: without a limit."""

    smallest: float
    largest: float


def can_tell(layer: QgsMapLayer) -> bool:
    """Whether `layer` may tell of places where it leaves no mark."""
    if not isinstance(layer, QgsVectorLayer) or layer.providerType() not in _PROVIDERS:
        return False
    return layer.isSpatial() and "/vsi" not in layer.source()


class Emptiness:
    """Tells of squares of a map, drawn as `settings` say, whether they are empty.

    `drawn`: what is drawn. `copies`: other copies of those that `can_tell`, in the same order, for
    whichever thread asks. Made off the main thread.
    """

    def __init__(self, drawn: LayerCopies, copies: LayerCopies, settings: QgsMapSettings) -> None:
        self._copies = copies
        self._settings = settings
        self._asked = 0
        self._reaches: dict[int, int] = {}
        with drawn.here():
            self._unknown = [_scales(each) for each in drawn.layers if not can_tell(each)]
        with copies.here():
            self._layers = [
                _Layer(layer, copies, settings.layerTransform(layer)) for layer in copies.layers
            ]
            self._unknown += [each.scales for each in self._layers if not each.is_understood]

    def holds(
        self, level: Level, square: Extent, size: tuple[int, int], *, is_picture: bool
    ) -> bool:
        """Whether `square`, `size` pixels, is empty for certain.

        `is_picture`: it is drawn at once. Otherwise it is as empty as all that are drawn in it.
        """
        self._asked += 1
        settings = QgsMapSettings(self._settings)
        settings.setExtent(QgsRectangle(*square.bounds))
        settings.setOutputSize(QSize(*size))
        in_degrees = settings.destinationCrs().isGeographic()
        # in degrees the scale depends on the latitude, and on the version of QGIS
        scale = None if in_degrees else settings.scale()
        if any(_is_drawn(scales, scale) for scales in self._unknown):
            return False
        layers = [each for each in self._layers if _is_drawn(each.scales, scale)]
        if any(each.waits(self._asked) for each in layers):
            return False
        with self._copies.here():
            if in_degrees or level.id not in self._reaches:
                self._reaches[level.id] = reach_of(self._copies.layers, settings)
            view = _View(settings, self._reaches[level.id], is_picture)
            return not any(layer.meets(view) for layer in layers)


class _View:
    """A square that is asked for. `reach`: of its picture, in pixels, as of `reach_of`."""

    def __init__(self, settings: QgsMapSettings, reach: int, is_picture: bool) -> None:
        self.context = QgsRenderContext.fromMapSettings(settings)
        self.is_picture = is_picture
        self.pixel = settings.mapUnitsPerPixel()
        self.reach = reach
        self.in_degrees = settings.destinationCrs().isGeographic()
        self._square = settings.extent()

    def grown(self, pixels: float) -> QgsRectangle:
        """The square and so many pixels around it."""
        return self._square.buffered(pixels * self.pixel)


class _Layer:
    """A layer that may tell where it leaves no mark. Used in the thread that has the copies."""

    def __init__(
        self, layer: QgsVectorLayer, copies: LayerCopies, transform: QgsCoordinateTransform
    ) -> None:
        self.scales = _scales(layer)
        self._layer = layer
        self._file = copies.files[layer.id()]
        self._is_filled = layer.id() in copies.filled
        self._transform = transform
        self._is_moved = _moves(transform)
        self._count = int(layer.featureCount())
        self._outlines: Outlines | None = None
        self.is_understood = _draws_what_is_given(layer) and (
            not self._is_moved or _is_worldwide(transform)
        )
        can_read = 0 <= self._count <= MOST_FEATURES and lies_on_features(layer)
        if can_read and self._is_moved:
            can_read = not QgsWkbTypes.hasZ(layer.wkbType())  # drawn in three dimensions
        self._reads_left = MOST_READS if can_read else 0
        self._is_read = False
        self._trace: tuple[object, object] = None, None
        sorted_ = (
            layer.hasSpatialIndex() == QgsFeatureSource.SpatialIndexPresence.SpatialIndexPresent
        )
        self._can_be_asked = sorted_ or 0 <= self._count <= MOST_UNSORTED

    def waits(self, asked: int) -> bool:
        """Whether it is too early, after so many questions, to read it."""
        is_to_be_read = self._reads_left > 0 and not self._is_read
        return is_to_be_read and self._count > asked * FEATURES_PER_QUESTION

    def meets(self, view: _View) -> bool:
        """Whether it leaves a mark in `view`; also where it may."""
        traces = self._traces()
        if self._file is not None and traces[0] is None:
            return True  # who draws will tell
        if not self._is_read or traces != self._trace:  # as they are drawn from now on
            self._read(traces)
        if self._outlines is None:
            return not self._can_be_asked or self._gives_any(view)
        # a pen's mitre reaches out for four times half of its width
        around = view.grown(SLACK + view.reach + 4 * pen_reach(self._layer, view.context))
        return self._outlines.meet(
            Extent(around.xMinimum(), around.yMinimum(), around.xMaximum(), around.yMaximum())
        )

    def _read(self, traces: tuple[object, object]) -> None:
        """Read the outlines, unless that was done too often."""
        self._is_read, self._trace, self._outlines = True, traces, None
        if self._reads_left:
            self._reads_left -= 1
            self._outlines = _outlines(self._layer, self._transform, self._count)

    def _traces(self) -> tuple[object, object]:
        """What changes with its file; and with what SQLite writes before that."""
        if self._file is None:
            return None, None
        return trace_of(self._file), trace_of(self._file.with_name(f"{self._file.name}-wal"))

    def _gives_any(self, view: _View) -> bool:
        """Whether QGIS may get a feature for `view`."""
        if not view.is_picture and view.in_degrees:
            return True  # sizes may differ from one latitude to the other
        extent = self._extent(view)
        if extent is None:
            return True
        request = QgsFeatureRequest(extent).setLimit(1).setNoAttributes()
        request.setFlags(QgsFeatureRequest.Flag.NoGeometry)
        if any(True for _ in self._layer.getFeatures(request)):
            return True
        return self._is_filled and not has_features(self._layer)

    def _extent(self, view: _View) -> QgsRectangle | None:
        """All for which QGIS asks the layer to draw `view`; None: nobody knows.

        As in QgsMapRendererJob::reprojectToLayerExtent, whose every way out is not known here.
        """
        wanted = view.grown(view.reach)
        if not self._is_moved:
            return _wider(wanted, 0)
        if view.in_degrees and not _WORLD.contains(wanted):
            return None
        transform = QgsCoordinateTransform(self._transform)
        transform.setBallparkTransformsAreAppropriate(True)
        try:
            extent = transform.transformBoundingBox(wanted, _REVERSE)
            back = transform.transformBoundingBox(extent)
        except QgsCsException:
            return None
        if not extent.isFinite() or not _are_near(back, wanted):
            return None
        return _wider(extent, 0.05)


def _moves(transform: QgsCoordinateTransform) -> bool:
    return bool(transform.isValid() and not transform.isShortCircuited())


def _is_worldwide(transform: QgsCoordinateTransform) -> bool:
    """Whether both CRS have a place for everything, and squares of one are rectangles in the other.

    QGIS 3.22 may crash over points that PROJ cannot transform, so only places are asked for that
    it can.
    """
    return {transform.sourceCrs().authid(), transform.destinationCrs().authid()} <= _WORLDWIDE


def _draws_what_is_given(layer: QgsVectorLayer) -> bool:
    """Whether nothing is drawn of `layer` where its data source gives no feature.

    An effect on the whole layer is drawn there, too, and not always invisible.
    """
    renderer = layer.renderer()
    return (
        renderer is not None
        and renderer.type() in _RENDERERS
        and not has_effect(renderer)
        and layer.blendMode() == QPainter.CompositionMode.CompositionMode_SourceOver
    )


def _outlines(
    layer: QgsVectorLayer, transform: QgsCoordinateTransform, count: int
) -> Outlines | None:
    """The outlines of all of the `count` features; None: they are not all known.

    QGIS cuts a geometry some way off the picture, then transforms what is left of it. So an edge is
    drawn along its line in the layer's CRS where the picture is small, straight from end to end
    where it is large; in between in either. And a vertex that has no place on the map is left out
    of large pictures, while small ones show what leads there.
    """
    shapes = Shapes()
    given = 0
    try:
        for feature in layer.getFeatures(QgsFeatureRequest().setNoAttributes()):
            given += 1
            if feature.hasGeometry():
                shapes.add(bytes(feature.geometry().asWkb()))
            if shapes.vertices > MOST_VERTICES:
                return None
    except UnknownShape:
        return None
    if given != count:  # the file is gone, or its server
        return None
    points, lengths, are_rings = shapes.arrays()
    moved = _moved(points, transform)
    if not (np.abs(moved) < _LARGEST).all():
        return None
    return Outlines(moved, lengths, are_rings, are_bent=_moves(transform))


def _moved(points: Floats, transform: QgsCoordinateTransform) -> Floats:
    """`points` by `transform`; not finite where they have no place. All at once: the fastest."""
    if not len(points) or not _moves(transform):
        return points
    if transform.sourceCrs().isGeographic():
        has_place = (np.abs(points) <= (_FARTHEST, 90)).all(axis=1)
    else:
        has_place = np.isfinite(points).all(axis=1)
    points = np.where(has_place[:, None], points, 0)
    geometry = QgsGeometry()
    geometry.fromWkb(struct.pack("<BII", 1, 2, len(points)) + points.astype("<f8").tobytes())
    line = geometry.constGet().asQPolygonF()
    with suppress(QgsCsException):  # then some are not finite
        transform.transformPolygon(line)
    moved = bytes(QgsLineString.fromQPolygonF(line).asWkb())
    found = np.frombuffer(moved, "<f8", offset=9).reshape(-1, 2)
    return np.where(has_place[:, None], found, np.nan)


def _scales(layer: QgsMapLayer) -> _Scales:
    if not layer.hasScaleBasedVisibility():
        return _Scales(0, 0)
    return _Scales(layer.minimumScale(), layer.maximumScale())


def _is_drawn(scales: _Scales, scale: float | None) -> bool:
    """Whether a layer may be drawn at `scale`, None: at one that nobody knows."""
    if scale is None:
        return True
    is_too_small = 0 < scales.smallest * (1 + _ROUNDING) < scale
    return not is_too_small and not scale < scales.largest * (1 - _ROUNDING)


def _are_near(back: QgsRectangle, wanted: QgsRectangle) -> bool:
    """Whether they differ by less than QGIS allows, a fifth of their size; here a tenth."""
    width, height = wanted.width() / 10, wanted.height() / 10
    return (
        abs(back.xMinimum() - wanted.xMinimum()) < width
        and abs(back.xMaximum() - wanted.xMaximum()) < width
        and abs(back.yMinimum() - wanted.yMinimum()) < height
        and abs(back.yMaximum() - wanted.yMaximum()) < height
    )


def _wider(extent: QgsRectangle, part: float) -> QgsRectangle:
    """`extent` and `part` of its size around it, and as much as single precision may add."""
    corners = extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()
    margin = max(map(abs, corners)) * FLOAT32 + part * max(extent.width(), extent.height())
    return extent.buffered(margin)
