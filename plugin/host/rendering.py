"""Drawing maps off the main thread: copies of layers, and one picture at a time from each copy.

Layers belong to one thread. So each worker has copies of its own, made on the main thread and left
without a thread: who draws takes them into its own and leaves them without one again. Expressions
in styles may ask for a layer in its thread while it is drawn; so the wait for the picture is an
event loop, which also lets Python go on elsewhere.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from qgis import core as qgis_core
from qgis.core import (
    Qgis,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsGeometry,
    QgsLabelingEngineSettings,
    QgsMapLayer,
    QgsMapLayerStyle,
    QgsMapRendererCustomPainterJob,
    QgsMapRendererJob,
    QgsMapSettings,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QCoreApplication, QEventLoop, QObject, QSize, QTimer
from qgis.PyQt.QtGui import QImage, QPainter

from ..core.errors import LayerFailed
from ..core.tiling import Extent
from .canvas import blank, clear
from .fingerprints import state_of
from .layer_checks import data_file, has_features, is_gone, trace_of
from .network_layers import NetworkLayer, forget_failure, network_layer
from .network_watch import NetworkWatch
from .reach import label_margin, reach_of
from .text import plain

Cancelled = Callable[[], bool]

ASK_MILLISECONDS = 50
"""How often a drawing that goes on asks whether it is cancelled."""


@dataclass
class LayerCopies:
    """Copies of layers, in the order of drawing, topmost first, for one thread at a time.

    `names`: the layers' names by the copies' ids. `hidden`: copies that are needed, not drawn.
    `files`: where their data lie. `filled`: ids of those that have features.
    """

    layers: list[QgsMapLayer] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    hidden: list[QgsMapLayer] = field(default_factory=list)
    files: dict[str, Path | None] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)
    _seen: dict[str, object] = field(default_factory=dict)

    @contextmanager
    def here(self) -> Iterator[None]:
        """Have the copies in this thread, then in none. Whoever made them must have let go."""
        layers = (*self.layers, *self.hidden)
        here = QObject().thread()
        for layer in layers:
            layer.moveToThread(here)
        try:
            yield
        finally:
            for layer in layers:
                layer.moveToThread(None)

    def look(self) -> bool:
        """Note which layers have features; whether any has. In the thread that has the copies."""
        self.filled.update(layer.id() for layer in self.layers if has_features(layer))
        return bool(self.filled)

    def forget_failures(self) -> None:
        """Let what failed be fetched anew. In the thread that has the copies."""
        for layer in (*self.layers, *self.hidden):
            forget_failure(layer)

    def states(self) -> list[str]:
        """What tells how each layer looks. Whoever made the copies must have let go."""
        with self.here():
            return [state_of(layer, self.files[layer.id()]) for layer in self.layers]

    def network_layers(self) -> list[NetworkLayer]:
        """Those that are fetched over the network. In the thread that has the copies."""
        layers = (*self.layers, *self.hidden)
        found = (network_layer(each, self.names.get(each.id(), each.name())) for each in layers)
        return [layer for layer in found if layer is not None]

    def loss(self) -> LayerFailed | None:
        """Of which layer the data have gone, if any. In the thread that has the copies."""
        for layer in self.layers:
            file = self.files[layer.id()]
            if is_gone(file) or not self._gives_what_it_has(layer, file):
                return LayerFailed(self.names[layer.id()], str(file or ""))
        return None

    def _gives_what_it_has(self, layer: QgsMapLayer, file: Path | None) -> bool:
        """Whether `layer` still gives features if it has any; those of a file that is as before."""
        if layer.id() not in self.filled:
            return True
        trace = trace_of(file)
        if trace is not None and self._seen.get(layer.id()) == trace:
            return True
        if not has_features(layer):
            return False
        self._seen[layer.id()] = trace
        return True

    def drop(self) -> None:
        """Let the main thread delete the copies, once it gets to it. Any thread.

        QGIS tells the main thread of a layer that goes. Were it gone by then, another one could be
        in its place, and Python would take that for the one deleted.
        """
        for layer in (*self.layers, *self.hidden):
            leave_to_main_thread(layer)
        self.layers.clear()
        self.hidden.clear()


def leave_to_main_thread(layer: QgsMapLayer) -> None:
    """Have `layer`, of this thread or of none, in the main thread, which deletes it in the end."""
    layer.moveToThread(QObject().thread())
    layer.moveToThread(QCoreApplication.instance().thread())


def copies_of(layers: Sequence[QgsMapLayer], styles: Mapping[str, str]) -> LayerCopies:
    """Copies of `layers`, with the style of `styles` where it has one for the id. Main thread.

    Raises LayerFailed for a layer that is not there (a file gone, a server down).
    """
    copies = LayerCopies()
    try:
        copies.layers.extend(_copy(layer, styles, copies) for layer in layers)
    except LayerFailed:
        copies.drop()
        raise
    for copy in (*copies.layers, *copies.hidden):
        copy.moveToThread(None)
    return copies


def _copy(layer: QgsMapLayer, styles: Mapping[str, str], copies: LayerCopies) -> QgsMapLayer:
    """A copy of `layer`; what else it needs goes into the hidden ones of `copies`."""
    if not layer.isValid():
        raise LayerFailed(layer.name(), _problem(layer))
    copy = layer.clone()
    if copy is None or not copy.isValid():
        problem, copy = _problem(copy or layer), None  # no error keeps a layer
        raise LayerFailed(layer.name(), problem)
    if layer.id() in styles:
        QgsMapLayerStyle(styles[layer.id()]).writeToLayer(copy)
    if hasattr(copy, "setId"):  # since QGIS 3.38: masks name the layers that they hide
        copy.setId(layer.id())
    if isinstance(copy, QgsVectorLayer):
        _copy_joined(copy, copies)
    group = getattr(qgis_core, "QgsGroupLayer", None)  # since QGIS 3.24
    if group is not None and isinstance(copy, group):
        children = [_copy(child, styles, copies) for child in layer.childLayers()]
        copies.hidden.extend(children)
        copy.setChildLayers(children)
    copies.names[copy.id()] = layer.name()
    copies.files[copy.id()] = data_file(layer)
    if copies.files[copy.id()] and isinstance(layer, QgsVectorLayer) and layer.featureCount() > 0:
        copies.filled.add(copy.id())
    return copy


def _copy_joined(copy: QgsVectorLayer, copies: LayerCopies) -> None:
    """Let `copy` join copies: the joined layers themselves stay on the main thread."""
    for join in copy.vectorJoins():
        joined = join.joinLayer()
        if joined is None or not joined.isValid():
            continue
        twin = joined.clone()
        copies.hidden.append(twin)
        join_id = join.joinLayerId()
        join.setJoinLayer(twin)
        copy.removeJoin(join_id)
        copy.addJoin(join)


def _problem(layer: QgsMapLayer) -> str:
    """What QGIS has to say of an unusable layer, else where its data should be."""
    provider = layer.dataProvider()
    errors = [layer.error(), provider.error()] if provider else [layer.error()]
    # the summary of an empty error ends QGIS
    # and providers may add the URI with all that is in it
    texts = [error.summary().split(" (provider:")[0] for error in errors if not error.isEmpty()]
    return _without_secrets(next(filter(None, texts), layer.publicSource()))


def _without_secrets(text: str) -> str:
    """`text` fit to be written down beside the cache: URLs in it may hold tokens and passwords."""
    return plain(unquote(text))


def project_settings(project: QgsProject) -> QgsMapSettings:
    """How `project` draws maps, without layers, extent and size. Main thread."""
    settings = QgsMapSettings()
    settings.setTransformContext(project.transformContext())
    settings.setEllipsoid(project.ellipsoid())
    settings.setPathResolver(project.pathResolver())
    settings.setOutputImageFormat(QImage.Format.Format_ARGB32_Premultiplied)
    flags = QgsMapSettings.Flag
    for flag, is_on in (
        (flags.Antialiasing, True),
        (flags.DrawLabeling, True),
        (flags.UseAdvancedEffects, True),
        (flags.RenderMapTile, True),
        (flags.DrawSelection, False),
        (flags.DrawEditingInfo, False),
    ):
        settings.setFlag(flag, is_on)
    labels = project.labelingEngineSettings()
    # a label that only partly fits would be cut at the edge of the picture
    labels.setFlag(QgsLabelingEngineSettings.Flag.UsePartialCandidates, False)
    settings.setLabelingEngineSettings(labels)
    context = QgsExpressionContext()
    context.appendScope(QgsExpressionContextUtils.globalScope())
    context.appendScope(QgsExpressionContextUtils.projectScope(project))
    settings.setExpressionContext(context)
    if hasattr(settings, "setScaleMethod"):  # since QGIS 3.40: degrees have one scale everywhere
        settings.setScaleMethod(Qgis.ScaleCalculationMethod.AtEquator)
    return settings


class MapDrawer:
    """Draws pictures of the map; as many threads at a time as there are `copies`.

    Raises LayerFailed where a layer's features cannot be fetched.
    """

    def __init__(self, copies: Sequence[LayerCopies], settings: QgsMapSettings) -> None:
        self._settings = settings
        self._free: queue.SimpleQueue[LayerCopies] = queue.SimpleQueue()
        # By thread; not threading.local, whose content goes when a thread of Qt's lets go of
        # Python, which ends QGIS where it is a picture.
        self._canvases: dict[int, QImage] = {}
        self._watch = NetworkWatch(())
        for each in copies:
            with each.here():
                self._watch = NetworkWatch(each.network_layers())  # the same for all
                looked = self._watch.checked(each.look, lambda: False)
            if isinstance(looked, LayerFailed):
                raise looked
            self._free.put(each)

    def draw(
        self,
        extent: Extent,
        width: int,
        height: int,
        cancelled: Cancelled,
        *,
        is_whole: bool = False,
    ) -> QImage | None:
        """The picture of `extent`, `width` x `height` pixels; None once cancelled. Any thread.

        `is_whole`: there is nothing outside of it. Else features there are drawn too as far as
        their symbols reach in, and no label is cut at its edges.
        Raises LayerFailed.
        """
        copies = self._free.get()
        try:
            with copies.here():
                outcome = self._watch.checked(
                    lambda: self._outcome(copies, extent, (width, height), cancelled, is_whole),
                    cancelled,
                )
                if isinstance(outcome, LayerFailed):
                    copies.forget_failures()
        finally:
            self._free.put(copies)
        if isinstance(outcome, LayerFailed):
            raise outcome
        return outcome

    def background(self, width: int, height: int) -> QImage:
        """The picture of no layers at all. Any thread."""
        settings = self._for(LayerCopies(), Extent(0, 0, width, height), width, height)
        image = blank(settings)
        _drawn(settings, image, lambda: False)
        return image

    def _outcome(
        self,
        copies: LayerCopies,
        extent: Extent,
        size: tuple[int, int],
        cancelled: Cancelled,
        is_whole: bool,
    ) -> QImage | LayerFailed | None:
        """The picture, None once cancelled, or what failed.

        That is not raised: an error keeps what its frames hold, layers and a job among it, for any
        thread to delete that happens to drop it.
        """
        settings = self._for(copies, extent, *size)
        if not is_whole:
            _respect_edges(settings)
        image = self._blank(settings)
        errors = _drawn(settings, image, cancelled)
        if errors is None:
            return None
        for error in errors:
            name = copies.names.get(error.layerID, error.layerID)
            return LayerFailed(name, _without_secrets(error.message))
        # not a copy, unless it is still in use when the next picture is drawn
        return copies.loss() or QImage(image)

    def _blank(self, settings: QgsMapSettings) -> QImage:
        """A picture to draw on, the same again for each thread: new memory costs its time."""
        thread = threading.get_ident()
        image = self._canvases.get(thread)
        if image is None or image.size() != settings.outputSize():
            image = self._canvases[thread] = blank(settings)
        else:
            clear(image)
        return image

    def _for(self, copies: LayerCopies, extent: Extent, width: int, height: int) -> QgsMapSettings:
        settings = QgsMapSettings(self._settings)
        settings.setLayers(copies.layers)
        settings.setExtent(QgsRectangle(*extent.bounds))
        settings.setOutputSize(QSize(width, height))
        context = settings.expressionContext()
        context.appendScope(QgsExpressionContextUtils.mapSettingsScope(settings))
        settings.setExpressionContext(context)
        return settings


def _respect_edges(settings: QgsMapSettings) -> None:
    """Let nothing be broken at the edges of the map, beyond which other pictures go on."""
    pixel, scale = settings.mapUnitsPerPixel(), settings.scale()
    layers = [layer for layer in settings.layers() if layer.isInScaleRange(scale)]
    settings.setExtentBuffer(reach_of(layers, settings) * pixel)
    margin = label_margin(layers, settings) * pixel
    if margin:
        room = settings.visibleExtent().buffered(-margin)
        settings.setLabelBoundaryGeometry(QgsGeometry.fromRect(room))


def _drawn(
    settings: QgsMapSettings, image: QImage, cancelled: Cancelled
) -> list[QgsMapRendererJob.Error] | None:
    """Draw on `image`; what went wrong with which layer. None once cancelled."""
    painter = QPainter(image)
    try:
        job = QgsMapRendererCustomPainterJob(settings, painter)
        return list(job.errors()) if _finished(job, cancelled) else None
    finally:
        painter.end()


def _finished(job: QgsMapRendererJob, cancelled: Cancelled) -> bool:
    """Run `job` to its end; whether it was not cancelled."""
    loop, timer = QEventLoop(), QTimer()
    was_cancelled = False

    def ask() -> None:
        nonlocal was_cancelled
        if not was_cancelled and cancelled():
            was_cancelled = True
            job.cancelWithoutBlocking()

    job.finished.connect(loop.quit)
    timer.timeout.connect(ask)
    timer.start(ASK_MILLISECONDS)
    job.start()
    while job.isActive():
        loop.exec()
    timer.stop()
    return not was_cancelled
