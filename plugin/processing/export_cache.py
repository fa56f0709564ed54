"""`tilecache:exportcache`: copy tiles of a service or cache into a cache or package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterString,
    QgsProject,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.cache import open_cache
from ..core.errors import RequestError, TileCacheError
from ..core.export.request import ExportReport, ExportRequest
from ..core.export.run import estimate_export, run_export
from ..core.export.server_side import export_on_server
from ..core.local.source import TileSource
from ..core.request import LevelEstimate, Outcome
from ..core.storage.opening import find_cache, local_path
from ..core.storage.sidecar import read_settings
from ..host import messages, network, shown_layers, sign_in, sources, tasks
from ..host.tile_pixels import TilePixels
from . import area_values
from . import export_parameters as given
from .algorithm import CacheAlgorithm, on_one_line
from .texts_export import EXPORT_CACHE_HELP
from .values import advanced, core_feedback


class ExportCache(CacheAlgorithm):
    """Copy tiles of a service or cache, at chosen scales, inside an area or one for each scale."""

    OUTPUT_CACHE = "OUTPUT_CACHE"
    TILES = "TILES"
    MADE = "MADE"
    REPLACED = "REPLACED"
    GAPS = "GAPS"
    FAILED = "FAILED"
    SIZE = "SIZE"
    JOBS = "JOBS"

    # QgsProcessingAlgorithm interface

    def name(self) -> str:
        return "exportcache"

    def displayName(self) -> str:
        return _tr("Export cache tiles")

    def tags(self) -> list[str]:
        return _tr(
            "tiles,cache,export,package,tpk,tpkx,mbtiles,geopackage,offline,arcgis,map service"
        ).split(",")

    def shortDescription(self) -> str:
        return _tr(
            "Copies tiles of a service or cache into a package or cache, at chosen scales, in an"
            " area or one for each scale"
        )

    def shortHelpString(self) -> str:
        return on_one_line(_tr(EXPORT_CACHE_HELP))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(
            QgsProcessingParameterString(
                given.INPUT_SERVICE,
                _tr("Tiles of (address of a service, or path of a folder or package)"),
            )
        )
        self.addParameter(
            QgsProcessingParameterFileDestination(
                given.TARGET,
                _tr("Export to (a file, or a folder for a cache dataset)"),
                _tr(
                    "Tile package (*.tpkx *.tpk);;MBTiles (*.mbtiles);;GeoPackage (*.gpkg);;"
                    "Folder of a cache (*)"
                ),
            )
        )
        for parameter in (
            *given.as_what(),
            QgsProcessingParameterString(
                given.SCALES, _tr("Scales (empty: all cached ones)"), optional=True
            ),
            *area_values.parameters(given.EXPORT_EXTENT, _tr("Export extent")),
            *given.how(),
            *given.signing_in(),
            *given.from_where(),
            *_more(),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(self.OUTPUT_CACHE, _tr("Cache or package")))
        for name, label in (
            (self.TILES, _tr("Tiles in the area")),
            (self.MADE, _tr("New tiles")),
            (self.REPLACED, _tr("Tiles replaced")),
            (self.GAPS, _tr("Tiles that the service does not have")),
            (self.FAILED, _tr("Tiles that failed")),
            (self.SIZE, _tr("Size in bytes")),
            (self.JOBS, _tr("Jobs on the site")),
        ):
            self.addOutput(QgsProcessingOutputNumber(name, label))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        values = given.ExportValues(self, parameters, context)
        try:
            area_values.check(values, given.EXPORT_EXTENT)
            values.scales()
            values.storage()
            values.overwrite()
            values.way()
            for name in (given.CLIP, given.TILES_ARE_MINE, given.DRAW_MISSING, given.ESTIMATE_ONLY):
                values.truth(name)
        except RequestError as error:
            return False, messages.sentence(error)
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """On the main thread: sign-in, proxies, a snapshot of the area, copies of what is drawn.

        What goes wrong is raised when the work begins: of what is raised here, `processing.run`
        tells a script nothing but that there were errors.
        """
        self._problem: TileCacheError | None = None
        self._drawing: TileSource | None = None
        self._target: Path | None = None
        project = context.project()
        self._reloading = None if project is None else shown_layers.Reloading(project)
        values = given.ExportValues(self, parameters, context)
        try:
            self._sign_in = sign_in.credentials(
                values.text(given.AUTH_CONFIG), values.text(given.PORTAL_URL)
            )
            self._transport = network.transport()
            self._area = area_values.area(values, given.EXPORT_EXTENT)
            self._is_copied = values.keyword(given.COPY_DATA, [given.DO_COPY, given.DO_NOT_COPY])
            self._storage = values.storage()
            if self._is_copied == given.DO_COPY:
                self._target = values.target(self._storage)
            self._drawing = _drawing_source(values, project)
        except TileCacheError as error:
            self._problem = error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        values = given.ExportValues(self, parameters, context)
        try:
            with tasks.closed_unless_used(self._drawing):
                if self._problem is not None:
                    raise self._problem
                if self._target is None:
                    return self._on_server(values, feedback)
                request = self._request(values, self._target, feedback)
                if values.truth(given.ESTIMATE_ONLY):
                    return self._estimated(values, request, feedback)
            report = run_export(
                values.text(given.INPUT_SERVICE),
                request,
                core_feedback(feedback),
                pixels=TilePixels(),
                sign_in=self._sign_in,
                transport=self._transport,
                drawing=self._drawing,
            )
        except area_values.Cancelled:
            return {}
        except TileCacheError as error:
            raise QgsProcessingException(messages.sentence(error)) from error
        finally:
            self._drawing = None  # closed by now, while this algorithm may live on
        tell(report, feedback)
        return self._results(report)

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """On the main thread: what draws the target in the project draws its new tiles."""
        if self._reloading is not None and self._target is not None:
            self._reloading.ask(self._target)
        return {}

    # own

    def _request(
        self, values: given.ExportValues, target: Path, feedback: QgsProcessingFeedback
    ) -> ExportRequest:
        address = values.text(given.INPUT_SERVICE)
        cache = open_cache(address, self._sign_in, self._transport, feedback.isCanceled)
        description = cache.describe()
        feedback.pushInfo(messages.summary(description))
        return ExportRequest(
            scheme=description.scheme,
            levels=description.levels_of(values.scales()),
            areas=area_values.resolve(self._area, description, feedback.isCanceled),
            target=target,
            storage=self._storage,
            overwrite=values.overwrite(),
            is_clipped=values.truth(given.CLIP),
            way=values.way(),
            is_owner=values.truth(given.TILES_ARE_MINE),
            draws_missing=values.truth(given.DRAW_MISSING),
        )

    def _estimated(
        self, values: given.ExportValues, request: ExportRequest, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        estimates = estimate_export(
            values.text(given.INPUT_SERVICE),
            request,
            core_feedback(feedback),
            sign_in=self._sign_in,
            transport=self._transport,
        )
        if self._drawing is not None:
            self._drawing.close()
        for line in messages.export_estimate_lines(estimates):
            feedback.pushInfo(line)
        return {self.TILES: _sum(estimates, "tiles"), self.SIZE: _sum(estimates, "bytes")}

    def _on_server(
        self, values: given.ExportValues, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Have the site write the tiles where it can, at a path that it alone sees."""
        path = values.text(given.TARGET)
        request = self._request(values, Path(path), feedback)
        report = export_on_server(
            values.text(given.INPUT_SERVICE),
            request,
            path,
            core_feedback(feedback),
            sign_in=self._sign_in,
            transport=self._transport,
        )
        tell(report, feedback)
        return self._results(report)

    def _results(self, report: ExportReport) -> dict[str, Any]:
        return {
            self.OUTPUT_CACHE: report.target,
            self.TILES: report.total("planned"),
            self.MADE: report.total("made"),
            self.REPLACED: report.total("replaced"),
            self.GAPS: report.total("gaps"),
            self.FAILED: report.total("failed"),
            self.SIZE: report.size,
            self.JOBS: report.jobs,
        }


def tell(report: ExportReport, feedback: QgsProcessingFeedback) -> None:
    """Say what came of an export."""
    said = feedback.pushWarning if report.outcome is Outcome.PARTIAL else feedback.pushInfo
    said(messages.export_report_sentence(report))


def _more() -> list[Any]:
    copying = [given.DO_COPY, given.DO_NOT_COPY]
    return [
        QgsProcessingParameterBoolean(
            given.ESTIMATE_ONLY, _tr("Estimate only"), defaultValue=False
        ),
        *advanced(
            QgsProcessingParameterBoolean(
                given.TILES_ARE_MINE,
                _tr("The tiles are mine to copy (for a service that does not allow export)"),
                defaultValue=False,
            ),
            QgsProcessingParameterBoolean(
                given.DRAW_MISSING,
                _tr("Draw tiles that a cache on this computer lacks from its source"),
                defaultValue=False,
            ),
            given.enum(
                given.COPY_DATA,
                _tr("Copy data from the server ({values}: the path is one of the server's)"),
                copying,
                given.DO_COPY,
            ),
        ),
    ]


def _drawing_source(values: given.ExportValues, project: QgsProject | None) -> TileSource | None:
    """What tiles are drawn from that a cache on this computer lacks, where that is asked for.

    Main thread, where layers are copied. Raises NothingToDraw, StorageError.
    """
    path = local_path(values.text(given.INPUT_SERVICE))
    if path is None or not values.truth(given.DRAW_MISSING):
        return None
    cache = find_cache(path).path
    settings = read_settings(cache)
    return sources.make_source(settings.source, project or QgsProject(), settings, cache)


def _sum(estimates: tuple[LevelEstimate, ...], what: str) -> int | None:
    numbers = [getattr(each, what) for each in estimates]
    return None if any(number is None for number in numbers) else int(sum(numbers))


def _tr(text: str) -> str:
    return QCoreApplication.translate("ExportCache", text)
