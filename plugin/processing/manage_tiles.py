"""`tilecache:managetiles`: update the tiles of a cache; parameters as ArcGIS users know them.

Names and keywords are those of the ArcGIS tool "Manage Map Server Cache Tiles".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProject,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.cache import Cache, open_cache
from ..core.coverage import count_tiles
from ..core.description import CacheDescription
from ..core.errors import (
    BadCacheOption,
    NothingToDraw,
    NothingToDrawReason,
    RequestError,
    TileCacheError,
)
from ..core.level_areas import by_area
from ..core.local.source import TileSource
from ..core.local.space import USUAL_TILE
from ..core.request import Outcome, Resume, TileFilter, UpdateMode, UpdateReport, UpdateRequest
from ..core.schemes import area_of
from ..core.storage.opening import find_cache, local_path
from ..core.storage.sidecar import read_settings
from ..host import areas, messages, network, shown_layers, sign_in, sources, tasks
from . import manage_parameters as given
from .algorithm import CacheAlgorithm, on_one_line
from .texts import MANAGE_TILES_HELP
from .values import core_feedback


class ManageTiles(CacheAlgorithm):
    """Update the tiles of a cache, at chosen scales, inside an area."""

    OUTPUT_URL = "OUTPUT_URL"
    JOB_ID = "JOB_ID"
    TILES = "TILES"
    MADE = "MADE"
    DELETED = "DELETED"
    FAILED = "FAILED"

    # QgsProcessingAlgorithm interface

    def name(self) -> str:
        return "managetiles"

    def displayName(self) -> str:
        return _tr("Manage cache tiles")

    def tags(self) -> list[str]:
        return _tr("tiles,cache,update,recreate,delete,seed,arcgis,map service").split(",")

    def shortDescription(self) -> str:
        return _tr(
            "Recreates or deletes the tiles of a web tile cache, at chosen scales, in an area"
        )

    def shortHelpString(self) -> str:
        return on_one_line(_tr(MANAGE_TILES_HELP))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        for parameters in (given.what, given.where, given.on_this_computer, given.on_a_site):
            for parameter in parameters():
                self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(self.OUTPUT_URL, _tr("Updated cache")))
        self.addOutput(QgsProcessingOutputString(self.JOB_ID, _tr("Job")))
        self.addOutput(QgsProcessingOutputNumber(self.TILES, _tr("Tiles in the area")))
        self.addOutput(QgsProcessingOutputNumber(self.MADE, _tr("Tiles made or replaced")))
        self.addOutput(QgsProcessingOutputNumber(self.DELETED, _tr("Tiles deleted")))
        self.addOutput(QgsProcessingOutputNumber(self.FAILED, _tr("Tiles that failed")))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        values = given.ManageValues(self, parameters, context)
        try:
            values.check_area()
            values.scales()
            values.instances()
            values.source()
            values.resume()
            values.tile_filter()
        except RequestError as error:
            return False, messages.sentence(error)
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """On the main thread: sign-in, proxies, copies of what is drawn, a snapshot of the area.

        What goes wrong is raised when the work begins: of what is raised here, `processing.run`
        tells a script nothing but that there were errors.
        """
        self._problem: TileCacheError | None = None
        self._source: TileSource | None = None
        self._updated: Path | None = None
        project = context.project()
        self._reloading = None if project is None else shown_layers.Reloading(project)
        values = given.ManageValues(self, parameters, context)
        try:
            self._sign_in = sign_in.credentials(
                values.text(given.AUTH_CONFIG), values.text(given.PORTAL_URL)
            )
            self._transport = network.transport()
            self._area_source = values.area()
            self._source = _tile_source(values, context.project())
        except TileCacheError as error:
            self._problem = error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        values = given.ManageValues(self, parameters, context)
        try:
            if self._problem is not None:
                raise self._problem
            report = self._update(values, feedback)
        except areas.Cancelled:
            return {}
        except TileCacheError as error:
            if self._updated is not None and self._reloading is not None:
                # What was stored until then is to be seen; QGIS asks for nothing more after errors.
                self._reloading.ask(self._updated)
            raise QgsProcessingException(messages.sentence(error)) from error
        finally:
            self._source = None  # closed by now, while this algorithm may live on
        _tell(report, feedback)
        return {
            self.OUTPUT_URL: report.output_url,
            self.JOB_ID: report.job_id,
            self.TILES: report.total("planned"),
            self.MADE: _made(report),
            self.DELETED: report.total("deleted"),
            self.FAILED: report.total("failed"),
        }

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """On the main thread: what draws the cache in the project draws its new tiles."""
        if self._reloading is not None and self._updated is not None:
            self._reloading.ask(self._updated)
        return {}

    # own

    def _update(self, values: given.ManageValues, feedback: QgsProcessingFeedback) -> UpdateReport:
        with tasks.closed_unless_used(self._source):
            cache = self._cache(values, feedback)
            description = cache.describe()
            feedback.pushInfo(messages.summary(description))
            if description.unfinished is not None:
                feedback.pushInfo(messages.unfinished_text(description.unfinished, values.resume()))
            request = self._request(values, description, feedback)
            _tell_work(request, description, feedback)
        if description.is_local:
            self._updated = Path(description.address)
        return cache.update(request, core_feedback(feedback))

    def _cache(self, values: given.ManageValues, feedback: QgsProcessingFeedback) -> Cache:
        address = values.text(given.INPUT_SERVICE)
        return open_cache(
            address, self._sign_in, self._transport, feedback.isCanceled, self._source
        )

    def _request(
        self,
        values: given.ManageValues,
        description: CacheDescription,
        feedback: QgsProcessingFeedback,
    ) -> UpdateRequest:
        tile_filter, resume = values.tile_filter(), values.resume()
        if not description.is_local:
            _refuse_local_choices(tile_filter, resume)
        return UpdateRequest.of(
            description,
            levels=description.levels_of(values.scales()),
            mode=values.mode(),
            area=areas.resolve(self._area_source, description, feedback.isCanceled),
            instances=values.instances(),
            wait=values.waits(),
            tile_filter=tile_filter,
            resume=resume,
        )


def _tile_source(values: given.ManageValues, project: QgsProject | None) -> TileSource | None:
    """What a cache on this computer is drawn from, with copies of it; None where nothing is drawn.

    Main thread, where layers are copied; so the cache's own folder is looked into here, for what it
    remembers, and nothing more. Raises NothingToDraw, StorageError.
    """
    path = local_path(values.text(given.INPUT_SERVICE))
    if path is None or values.mode() is UpdateMode.DELETE:
        return None
    cache = find_cache(path).path
    settings = read_settings(cache)
    chosen = values.source()
    text = settings.source if chosen is None else chosen
    if project is None and sources.needs_project(text):
        raise NothingToDraw("", NothingToDrawReason.NO_SOURCE)
    return sources.make_source(text, project or QgsProject(), settings, cache)


def _refuse_local_choices(tile_filter: TileFilter, resume: Resume) -> None:
    """A site would not know of them, and touch all tiles of the area. Raises BadCacheOption."""
    only_here = _tr("nothing, for a site updates all tiles of the area")
    if tile_filter.only_existing:
        raise BadCacheOption(given.ONLY_EXISTING, "true", only_here)
    if tile_filter.older_than is not None:
        raise BadCacheOption(given.OLDER_THAN, _tr("A date"), only_here)
    if resume in (Resume.CONTINUE, Resume.FAILED):
        raise BadCacheOption(given.RESUME, resume.name, only_here)


def _tell_work(
    request: UpdateRequest, description: CacheDescription, feedback: QgsProcessingFeedback
) -> None:
    """Say how many tiles there are before the work begins, for none but that question is asked."""
    if request.resume in (Resume.CONTINUE, Resume.FAILED):
        return  # of which a part is left
    tiles = 0
    for levels, place in by_area(request.areas, request.levels):
        area = description.extent if place is None else place
        if area is None and description.is_local:
            area = area_of(description.scheme)
        if area is None:
            return
        tiles += sum(count_tiles(description.scheme, levels, area).values())
    size = tiles * USUAL_TILE if description.is_local else None
    text = messages.work_sentence(tiles, len(request.levels), request.mode, size)
    tell = feedback.pushWarning if messages.are_very_many(tiles) else feedback.pushInfo
    tell(text)


def _tell(report: UpdateReport, feedback: QgsProcessingFeedback) -> None:
    for text in messages.failure_sentences(report):
        feedback.pushWarning(text)
    tell = feedback.pushWarning if report.outcome is Outcome.PARTIAL else feedback.pushInfo
    tell(messages.report_sentence(report))


def _made(report: UpdateReport) -> int | None:
    """Tiles made or replaced; None where that is not told."""
    made, replaced = report.total("made"), report.total("replaced")
    if report.mode is UpdateMode.RECREATE_EMPTY:
        return made
    return None if made is None or replaced is None else made + replaced


def _tr(text: str) -> str:
    return QCoreApplication.translate("ManageTiles", text)
