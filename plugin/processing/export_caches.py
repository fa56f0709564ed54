"""`tilecache:exportcaches`: copy tiles of several services, each into its own package or cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsMapLayer,
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProject,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.arcgis.address import service_of
from ..core.description import CacheDescription
from ..core.errors import BadCacheOption
from ..core.export.queue import QueueItem, run_queue, target_names
from ..core.export.request import ExportRequest, QueueItemReport, QueueReport
from ..core.request import Outcome
from ..core.storage.creation import SUFFIXES
from ..host import areas, connections, export_tasks, messages, sign_in
from ..host.tile_pixels import TilePixels
from . import area_values
from . import export_parameters as given
from .algorithm import Words
from .texts_export import EXPORT_CACHES_HELP
from .tile_algorithm import TileAlgorithm
from .values import advanced, core_feedback
from .work_told import tell_work


class ExportCaches(TileAlgorithm):
    """Copy tiles of several services, one after the other, below one folder."""

    LAYERS = "LAYERS"
    SERVICES = "SERVICES"
    FOLDER = "FOLDER"
    COARSEST_SCALE = "COARSEST_SCALE"
    FINEST_SCALE = "FINEST_SCALE"
    OWNED = "OWNED"
    DONE = "DONE"
    DONE_BEFORE = "DONE_BEFORE"
    INCOMPLETE = "INCOMPLETE"
    FAILED = "FAILED"

    values = given.ExportValues
    extent = given.EXPORT_EXTENT

    # CacheAlgorithm interface

    def words(self) -> Words:
        return Words(
            name="exportcaches",
            title=_tr("Export cache tiles of several services"),
            tags=_tr("tiles,cache,export,package,tpk,tpkx,offline,arcgis,project,queue"),
            summary=_tr(
                "Copies tiles of every cached service in the project, or of chosen ones, each into"
                " its own package below one folder"
            ),
            help=_tr(EXPORT_CACHES_HELP),
        )

    # QgsProcessingAlgorithm interface

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        for parameter in (
            QgsProcessingParameterMultipleLayers(
                self.LAYERS,
                _tr("Layers of services (none here and below: all of the project)"),
                QgsProcessing.SourceType.TypeRaster,
                optional=True,
            ),
            QgsProcessingParameterString(
                self.SERVICES,
                _tr("Addresses of services (one in a line)"),
                multiLine=True,
                optional=True,
            ),
            QgsProcessingParameterFolderDestination(self.FOLDER, _tr("Folder of the packages")),
            *given.as_what(),
            _scale(self.COARSEST_SCALE, _tr("Coarsest scale (1 : …; empty: as cached)")),
            _scale(self.FINEST_SCALE, _tr("Finest scale (1 : …; empty: as cached)")),
            *area_values.parameters(given.EXPORT_EXTENT, _tr("Export extent")),
            *given.how(),
            *given.signing_in(),
            *given.from_where(),
            *advanced(
                QgsProcessingParameterString(
                    self.OWNED,
                    _tr("Services whose tiles are mine to copy (addresses, one in a line)"),
                    multiLine=True,
                    optional=True,
                ),
                QgsProcessingParameterBoolean(
                    given.ANEW, _tr("Export again what was done before"), defaultValue=False
                ),
            ),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputNumber(self.DONE, _tr("Services exported")))
        self.addOutput(QgsProcessingOutputNumber(self.DONE_BEFORE, _tr("Services done before")))
        self.addOutput(
            QgsProcessingOutputNumber(self.INCOMPLETE, _tr("Services of which tiles are missing"))
        )
        self.addOutput(QgsProcessingOutputNumber(self.FAILED, _tr("Services that failed")))

    # TileAlgorithm interface

    def check(self, values: given.ExportValues) -> None:
        values.storage()
        values.overwrite()
        values.way()
        values.truth(given.CLIP)
        values.truth(given.ANEW)
        self._folder_of(values)
        _addresses(values, self.OWNED)
        _addresses(values, self.SERVICES)

    def asked(self, values: given.ExportValues) -> tuple[tuple[str, str], ...]:
        usual = values.text(given.AUTH_CONFIG)
        return tuple((each.auth_config_id or usual, each.url) for each in self._services(values))

    def prepare(self, values: given.ExportValues, project: QgsProject | None) -> None:
        _check_crs(self.area, values)
        self._choices = self._chosen(values)
        self._folder = self._folder_of(values)
        self._entries = self._queued(values, self._folder)

    def work(self, values: given.ExportValues, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        items = export_tasks.queue_items(self._entries, self._choices, feedback.isCanceled)
        report = run_queue(
            [replace(item, make_request=self._telling(item, feedback)) for item in items],
            self._folder,
            core_feedback(feedback),
            pixels=TilePixels(),
            transport=self.transport,
            anew=values.truth(given.ANEW),
            told=lambda index, item: _tell_item(item, feedback),
        )
        text = messages.queue_sentence(report)
        if report.items and all(item.has_failed for item in report.items):
            raise QgsProcessingException(text)
        failed = sum(1 for item in report.items if item.has_failed)
        incomplete = _ended(report, Outcome.PARTIAL)
        (feedback.pushWarning if failed or incomplete else feedback.pushInfo)(text)
        return {
            self.FOLDER: str(self._folder),
            self.DONE: _ended(report, Outcome.DONE),
            self.DONE_BEFORE: sum(1 for item in report.items if item.is_done_before),
            self.INCOMPLETE: incomplete,
            self.FAILED: failed + sum(1 for item in report.items if item.is_incomplete),
        }

    # own

    def _telling(
        self, item: QueueItem, feedback: QgsProcessingFeedback
    ) -> Callable[[CacheDescription], ExportRequest]:
        """The request of an item, of which is told how much it is about and what it leaves out."""

        def make_request(description: CacheDescription) -> ExportRequest:
            request = item.make_request(description)
            wanted = self._choices.wanted(description)
            left_out = [level for level in wanted if level not in request.levels]
            if left_out:
                feedback.pushWarning(messages.left_out_text(description.name, left_out))
            tell_work(description, request.levels, request.areas, feedback)
            return request

        return make_request

    def _chosen(self, values: given.ExportValues) -> export_tasks.QueueChoices:
        return export_tasks.QueueChoices(
            area=self.area,
            storage=values.storage(),
            coarsest=self._scale(values, self.COARSEST_SCALE),
            finest=self._scale(values, self.FINEST_SCALE),
            overwrite=values.overwrite(),
            is_clipped=values.truth(given.CLIP),
            way=values.way(),
            owned=frozenset(_addresses(values, self.OWNED)),
        )

    def _folder_of(self, values: given.ExportValues) -> Path:
        """Where the packages are made. Raises BadCacheOption: QGIS would take where it runs."""
        folder = self.parameterAsString(values.parameters, self.FOLDER, values.context)
        if values.is_nothing(self.FOLDER) or not folder.strip():
            raise BadCacheOption(self.FOLDER, folder, _tr("the path of a folder"))
        return given.at_home(folder)

    def _scale(self, values: given.ExportValues, name: str) -> float | None:
        """Raises BadCacheOption."""
        if values.parameters.get(name) is None:
            return None
        number = float(self.parameterAsDouble(values.parameters, name, values.context))
        if values.is_nothing(name) or number <= 0:
            raise BadCacheOption(name, values.text(name), _tr("a number above 0"))
        return number

    def _queued(
        self, values: given.ExportValues, folder: Path
    ) -> tuple[export_tasks.QueueEntry, ...]:
        """The queue. Raises BadCacheOption where no service is in it."""
        services = self._services(values)
        ending = SUFFIXES.get(self._choices.storage, "")
        names = target_names([service_of(each.url).name for each in services], ending)
        usual, portal = values.text(given.AUTH_CONFIG), values.text(given.PORTAL_URL)
        return tuple(
            export_tasks.QueueEntry(
                service.url,
                folder / name,
                sign_in.credentials(service.auth_config_id or usual, portal),
            )
            for service, name in zip(services, names)
        )

    def _services(self, values: given.ExportValues) -> tuple[connections.NamedService, ...]:
        """What is to be exported. Raises BadCacheOption where there is nothing."""
        services = connections.services_of(self._layers(values))
        known = {service.url for service in services}
        typed = [
            connections.NamedService(service_of(url).name, url, "")
            for url in _addresses(values, self.SERVICES)
            if url not in known
        ]
        services = (*services, *typed)
        if not services:
            allowed = _tr("layers of map or image services, or addresses of some")
            raise BadCacheOption(self.LAYERS, _tr("no service"), allowed)
        return services

    def _layers(self, values: given.ExportValues) -> list[QgsMapLayer]:
        """The chosen layers; all of the project where neither layers nor addresses are given.

        Raises BadCacheOption where one of them is not there: QGIS would quietly leave it out.
        """
        named = values.parameters.get(self.LAYERS)
        if named is not None:
            layers = list(self.parameterAsLayerList(values.parameters, self.LAYERS, values.context))
            if isinstance(named, (list, tuple)) and len(layers) < len(named):
                allowed = _tr("layers that are there; some of these are not")
                raise BadCacheOption(self.LAYERS, "; ".join(map(_name, named)), allowed)
            return layers
        project = values.context.project()
        if values.is_given(self.SERVICES) or project is None:
            return []
        return [node.layer() for node in project.layerTreeRoot().findLayers() if node.layer()]


def _scale(name: str, label: str) -> QgsProcessingParameterNumber:
    return QgsProcessingParameterNumber(
        name, label, QgsProcessingParameterNumber.Type.Double, optional=True, minValue=0.0
    )


def _addresses(values: given.ExportValues, name: str) -> list[str]:
    """Addresses of services, as they are written in descriptions, each once. Raises AddressError.

    Nothing between separators is no address.
    """
    lines = values.text(name).replace(";", "\n").splitlines()
    return list(dict.fromkeys(service_of(line.strip()).url for line in lines if line.strip()))


def _name(layer: object) -> str:
    return layer.name() if isinstance(layer, QgsMapLayer) else str(layer)


def _check_crs(area: areas.AreaSource, values: given.ExportValues) -> None:
    """Raises BadCacheOption for numbers that would lie elsewhere in the CRS of each service."""
    if isinstance(area, areas.RectangleArea) and area.crs is None:
        allowed = _tr(
            "xmin,xmax,ymin,ymax [EPSG:code], with the code, for services may differ in their CRS"
        )
        raise BadCacheOption(given.EXPORT_EXTENT, values.text(given.EXPORT_EXTENT), allowed)


def _ended(report: QueueReport, outcome: Outcome) -> int:
    """How many exports ended so."""
    ends = [item.report.outcome for item in report.items if item.report is not None]
    return ends.count(outcome)


def _tell_item(item: QueueItemReport | None, feedback: QgsProcessingFeedback) -> None:
    if item is None:
        return  # it begins, and is told by its name
    tell = feedback.pushInfo
    if item.has_failed:
        tell = feedback.reportError
    elif item.is_incomplete:
        tell = feedback.pushWarning
    tell(messages.queue_line(item))


def _tr(text: str) -> str:
    return QCoreApplication.translate("ExportCaches", text)
