"""`tilecache:exportcache`: copy tiles of a service or cache into a cache or package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
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

from ..core.errors import BadCacheOption, ExportNotAllowed
from ..core.export.request import ExportReport, ExportRequest
from ..core.export.run import estimate_export, run_export
from ..core.export.server_side import export_on_server
from ..core.export.ways import ways_of
from ..core.local.source import TileSource
from ..core.request import LevelEstimate, Outcome
from ..core.storage.opening import find_cache, local_path
from ..core.storage.profile import StorageFormat
from ..core.storage.sidecar import read_settings
from ..host import messages, sources, tasks
from ..host.tile_pixels import TilePixels
from . import area_values
from . import export_parameters as given
from .algorithm import Words
from .texts_export import EXPORT_CACHE_HELP
from .tile_algorithm import TileAlgorithm
from .values import advanced, core_feedback
from .work_told import tell_work

_COPYING = [given.DO_COPY, given.DO_NOT_COPY]


class ExportCache(TileAlgorithm):
    """Copy tiles of a service or cache, at chosen scales, inside an area or one for each scale."""

    OUTPUT_CACHE = "OUTPUT_CACHE"
    TILES = "TILES"
    MADE = "MADE"
    REPLACED = "REPLACED"
    GAPS = "GAPS"
    FAILED = "FAILED"
    SIZE = "SIZE"
    JOBS = "JOBS"

    values = given.ExportValues
    extent = given.EXPORT_EXTENT

    # CacheAlgorithm interface

    def words(self) -> Words:
        return Words(
            name="exportcache",
            title=_tr("Export cache tiles"),
            tags=_tr(
                "tiles,cache,export,package,tpk,tpkx,mbtiles,geopackage,offline,arcgis,map service"
            ),
            summary=_tr(
                "Copies tiles of a service or cache into a package or cache, at chosen scales, in"
                " an area or one for each scale"
            ),
            help=_tr(EXPORT_CACHE_HELP),
        )

    # QgsProcessingAlgorithm interface

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

    # TileAlgorithm interface

    def check(self, values: given.ExportValues) -> None:
        values.scales()
        values.storage()
        values.overwrite()
        values.way()
        for name in (given.CLIP, given.TILES_ARE_MINE, given.DRAW_MISSING, given.ESTIMATE_ONLY):
            values.truth(name)
        if values.keyword(given.COPY_DATA, _COPYING) == given.DO_NOT_COPY:
            _check_server_writes(values)

    def prepare(self, values: given.ExportValues, project: QgsProject | None) -> None:
        is_copied = values.keyword(given.COPY_DATA, _COPYING)
        self._storage = values.storage()
        self._is_copied = is_copied == given.DO_COPY
        if self._is_copied:
            self._target = values.target(self._storage)
        else:
            _check_server_writes(values)
            self._target = Path(values.server_path())
        self.drawing = _drawing_source(values, project)

    def work(self, values: given.ExportValues, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        with tasks.closed_unless_used(self.drawing):
            request = self._request(values, feedback)
            if values.truth(given.ESTIMATE_ONLY):
                return self._estimated(values, request, feedback)
            tell_work(
                self._description,
                request.levels,
                request.areas,
                feedback,
                is_stored_here=self._is_copied,
            )
            if not self._is_copied:
                return self._on_server(values, request, feedback)
        self.changed = self._target
        report = run_export(
            values.text(given.INPUT_SERVICE),
            request,
            core_feedback(feedback),
            pixels=TilePixels(),
            sign_in=self.sign_in,
            transport=self.transport,
            drawing=self.drawing,
        )
        _tell(report, feedback)
        return self._results(report)

    # own

    def _request(
        self, values: given.ExportValues, feedback: QgsProcessingFeedback
    ) -> ExportRequest:
        self._description = description = self.describe(values.text(given.INPUT_SERVICE), feedback)
        levels = description.levels_of(values.scales())
        return ExportRequest(
            scheme=description.scheme,
            levels=levels,
            areas=self.areas_of(description, levels, feedback),
            target=self._target,
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
            sign_in=self.sign_in,
            transport=self.transport,
            drawing=self.drawing,
        )
        self._tell_refusal(request, feedback)
        for line in messages.export_estimate_lines(estimates):
            feedback.pushInfo(line)
        return {self.TILES: _sum(estimates, "tiles"), self.SIZE: _sum(estimates, "bytes")}

    def _tell_refusal(self, request: ExportRequest, feedback: QgsProcessingFeedback) -> None:
        """Say that an export would not be allowed, as far as that is known without asking."""
        if self._description.is_local or not self._is_copied:
            return
        try:
            ways_of(request, self._description, lambda: self.sign_in is not None)
        except ExportNotAllowed as error:
            feedback.pushWarning(messages.sentence(error))

    def _on_server(
        self, values: given.ExportValues, request: ExportRequest, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Have the site write the tiles where it can, at a path that it alone sees."""
        report = export_on_server(
            values.text(given.INPUT_SERVICE),
            request,
            values.server_path(),
            core_feedback(feedback),
            sign_in=self.sign_in,
            transport=self.transport,
        )
        _tell(report, feedback)
        return self._results(report)

    def _results(self, report: ExportReport) -> dict[str, Any]:
        is_none = report.outcome is Outcome.CANCELLED and report.has_nothing
        made = {} if is_none else dict.fromkeys((given.TARGET, self.OUTPUT_CACHE), report.target)
        return {
            **made,
            self.TILES: report.total("planned"),
            self.MADE: report.total("made"),
            self.REPLACED: report.total("replaced"),
            self.GAPS: report.total("gaps"),
            self.FAILED: report.total("failed"),
            self.SIZE: report.size,
            self.JOBS: report.jobs,
        }


def _tell(report: ExportReport, feedback: QgsProcessingFeedback) -> None:
    """Say what came of an export. Raises QgsProcessingException where no tile could be got."""
    if report.has_failed:
        raise QgsProcessingException(messages.export_report_sentence(report))
    said = feedback.pushWarning if report.outcome is Outcome.PARTIAL else feedback.pushInfo
    said(messages.export_report_sentence(report))


def _check_server_writes(values: given.ExportValues) -> None:
    """Raises BadCacheOption for what the site's own tool cannot write."""
    if values.storage() in (StorageFormat.MBTILES, StorageFormat.GEOPACKAGE):
        allowed = _tr("CACHE_DATASET, TILE_PACKAGE or TILE_PACKAGE_TPKX, or COPY_DATA")
        raise BadCacheOption(given.EXPORT_TYPE, values.text(given.EXPORT_TYPE), allowed)
    if values.truth(given.CLIP):
        raise BadCacheOption(given.CLIP, "true", _tr("false, or COPY_DATA"))


def _more() -> list[Any]:
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
                _COPYING,
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
