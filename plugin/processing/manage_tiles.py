"""`tilecache:managetiles`: update the tiles of a cache; parameters as ArcGIS users know them.

Names and keywords are those of the ArcGIS tool "Manage Map Server Cache Tiles".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProject,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.arcgis.address import public_address
from ..core.cache import open_cache
from ..core.description import CacheDescription
from ..core.errors import (
    BadCacheOption,
    NothingToDraw,
    NothingToDrawReason,
)
from ..core.local.crew import Crew
from ..core.local.source import TileSource
from ..core.planned import planned_tiles
from ..core.request import Outcome, Resume, TileFilter, UpdateMode, UpdateReport, UpdateRequest
from ..core.site_update import SiteUpdate
from ..core.storage.opening import find_cache, local_path
from ..core.storage.sidecar import CacheSettings, read_settings
from ..host import cluster, job_record, messages, sources, tasks
from . import manage_parameters as given
from .algorithm import Words
from .texts import MANAGE_TILES_HELP
from .tile_algorithm import TileAlgorithm
from .values import core_feedback
from .work_told import tell_work


class ManageTiles(TileAlgorithm):
    """Update the tiles of a cache, at chosen scales, inside an area."""

    OUTPUT_URL = "OUTPUT_URL"
    JOB_ID = "JOB_ID"
    JOB_URL = "JOB_URL"
    TILES = "TILES"
    MADE = "MADE"
    DELETED = "DELETED"
    FAILED = "FAILED"

    values = given.ManageValues
    extent = given.UPDATE_EXTENT

    # CacheAlgorithm interface

    def words(self) -> Words:
        return Words(
            name="managetiles",
            title=_tr("Manage cache tiles"),
            tags=_tr("tiles,cache,update,recreate,delete,seed,arcgis,map service"),
            summary=_tr(
                "Recreates or deletes the tiles of a web tile cache, at chosen scales, in an area"
            ),
            help=_tr(MANAGE_TILES_HELP),
        )

    # QgsProcessingAlgorithm interface

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        for parameters in (given.what, given.where, given.on_this_computer, given.on_a_site):
            for parameter in parameters():
                self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(self.OUTPUT_URL, _tr("Updated cache")))
        self.addOutput(QgsProcessingOutputString(self.JOB_ID, _tr("Job")))
        self.addOutput(QgsProcessingOutputString(self.JOB_URL, _tr("Address of the job")))
        self.addOutput(QgsProcessingOutputNumber(self.TILES, _tr("Tiles in the area")))
        self.addOutput(QgsProcessingOutputNumber(self.MADE, _tr("Tiles made or replaced")))
        self.addOutput(QgsProcessingOutputNumber(self.DELETED, _tr("Tiles deleted")))
        self.addOutput(QgsProcessingOutputNumber(self.FAILED, _tr("Tiles that failed")))

    # TileAlgorithm interface

    def check(self, values: given.ManageValues) -> None:
        values.scales()
        values.mode()
        values.waits()
        values.instances()
        values.source()
        values.resume()
        values.tile_filter()
        values.hosted()
        values.truth(given.ISOLATE_FAILURES)
        values.alarm_seconds()

    def prepare(self, values: given.ManageValues, project: QgsProject | None) -> None:
        self._crew: Crew | None = None
        drawn = _drawn(values)
        if drawn is None:
            return
        self.drawing = _tile_source(drawn, project)
        if values.cluster():
            self._crew = cluster.DaskCrew(
                values.cluster(), drawn.path, drawn.text, project, drawn.settings
            )

    def work(self, values: given.ManageValues, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        report = self._update(values, feedback)
        _tell(report, feedback)
        return {
            self.OUTPUT_URL: report.output_url,
            self.JOB_ID: report.job_id,
            self.JOB_URL: report.job_url,
            self.TILES: report.total("planned"),
            self.MADE: _made(report),
            self.DELETED: report.total("deleted"),
            self.FAILED: report.total("failed"),
        }

    # own

    def _update(self, values: given.ManageValues, feedback: QgsProcessingFeedback) -> UpdateReport:
        address = values.text(given.INPUT_SERVICE)
        with tasks.closed_unless_used(self.drawing), tasks.closed_unless_used(self._crew):
            description = self.describe(address, feedback)
            if description.unfinished is not None:
                feedback.pushInfo(messages.unfinished_text(description.unfinished, values.resume()))
            request = self._request(values, description, feedback)
            if request.resume not in (Resume.CONTINUE, Resume.FAILED):  # of which a part is left
                tell_work(
                    description,
                    request.levels,
                    request.areas,
                    feedback,
                    mode=request.mode,
                    is_stored_here=description.is_local,
                    count=planned_tiles,
                )
            cache = open_cache(
                address, self.sign_in, self.transport, feedback.isCanceled, self.drawing, self._crew
            )
        if description.is_local:
            self.changed = Path(description.address)
        sign_in_id = values.text(given.AUTH_CONFIG)
        portal_url = public_address(values.text(given.PORTAL_URL))
        with job_record.keep_in_record(sign_in_id) as keep:

            def keep_with_portal(update: SiteUpdate) -> None:
                keep(replace(update, portal_url=portal_url))

            return cache.update(request, replace(core_feedback(feedback), keep=keep_with_portal))

    def _request(
        self,
        values: given.ManageValues,
        description: CacheDescription,
        feedback: QgsProcessingFeedback,
    ) -> UpdateRequest:
        tile_filter, resume = values.tile_filter(), values.resume()
        levels = description.levels_of(values.scales())
        if not description.is_local:
            _refuse_local_choices(tile_filter, resume, values.cluster())
        if values.hosted().merges_bundles and not description.is_hosted:
            raise BadCacheOption(
                given.MERGE_BUNDLES, "true", _tr("false: only hosted layers merge")
            )
        return UpdateRequest.of(
            description,
            levels=levels,
            mode=values.mode(),
            area=self.areas_of(description, levels, feedback),
            instances=values.instances(),
            wait=values.waits(),
            tile_filter=tile_filter,
            resume=resume,
            hosted=values.hosted(),
            isolates_failures=values.truth(given.ISOLATE_FAILURES),
            alarm_seconds=values.alarm_seconds(),
        )


@dataclass(frozen=True)
class _Drawn:
    """The cache in `path` that is to be drawn from the source `text`; `settings`: what it keeps."""

    path: Path
    text: str
    settings: CacheSettings


def _drawn(values: given.ManageValues) -> _Drawn | None:
    """What is drawn on this computer, if anything is.

    The cache's own folder is looked into, for what it remembers, and nothing more.
    Raises StorageError, BadCacheOption.
    """
    path = local_path(values.text(given.INPUT_SERVICE))
    if path is None or values.mode() is UpdateMode.DELETE:
        return None
    cache = find_cache(path).path
    settings = read_settings(cache)
    chosen = values.source()
    return _Drawn(cache, settings.source if chosen is None else chosen, settings)


def _tile_source(drawn: _Drawn, project: QgsProject | None) -> TileSource:
    """What the cache is drawn from, with copies of it. Main thread, where layers are copied.

    Raises NothingToDraw.
    """
    if project is None and sources.needs_project(drawn.text):
        raise NothingToDraw("", NothingToDrawReason.NO_SOURCE)
    return sources.make_source(drawn.text, project or QgsProject(), drawn.settings, drawn.path)


def _refuse_local_choices(tile_filter: TileFilter, resume: Resume, scheduler: str) -> None:
    """A site would not know of them, and touch all tiles of the area. Raises BadCacheOption."""
    only_here = _tr("nothing, for a site updates all tiles of the area")
    if tile_filter.only_existing:
        raise BadCacheOption(given.ONLY_EXISTING, "true", only_here)
    if tile_filter.older_than is not None:
        raise BadCacheOption(given.OLDER_THAN, _tr("A date"), only_here)
    if resume in (Resume.CONTINUE, Resume.FAILED):
        raise BadCacheOption(given.RESUME, resume.name, only_here)
    if scheduler:
        nothing = _tr("nothing, for a site draws its tiles itself")
        raise BadCacheOption(given.CLUSTER, scheduler, nothing)


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
