"""`tilecache:importcache`: put tiles of a package or cache into another cache, or into a service.

Names and keywords are those of the ArcGIS tool "Import Map Server Cache", as far as it has them.
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
    QgsProcessingParameterBoolean,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.cache import open_cache
from ..core.errors import RequestError, TileCacheError
from ..core.export.importing import ImportRequest, run_import
from ..core.export.request import Overwrite
from ..core.request import Outcome
from ..core.storage.opening import local_path
from ..host import messages, network, shown_layers, sign_in
from ..host.tile_pixels import TilePixels
from . import area_values
from . import export_parameters as given
from .algorithm import CacheAlgorithm, on_one_line
from .texts_export import IMPORT_CACHE_HELP
from .values import advanced, cache_parameter, core_feedback, local_cache


class ImportCache(CacheAlgorithm):
    """Put tiles of a package or cache into a cache on this computer, or into a service."""

    INPUT_SERVICE = given.INPUT_SERVICE
    SOURCE_CACHE = "SOURCE_CACHE"
    IMPORT_EXTENT = "IMPORT_EXTENT"
    UPLOAD_DATA = "UPLOAD_DATA"
    OUTPUT_CACHE = "OUTPUT_CACHE"
    TILES = "TILES"
    MADE = "MADE"
    REPLACED = "REPLACED"
    FAILED = "FAILED"

    # QgsProcessingAlgorithm interface

    def name(self) -> str:
        return "importcache"

    def displayName(self) -> str:
        return _tr("Import cache tiles")

    def tags(self) -> list[str]:
        return _tr("tiles,cache,import,merge,package,tpk,tpkx,mbtiles,arcgis,map service").split(
            ","
        )

    def shortDescription(self) -> str:
        return _tr(
            "Puts tiles of a package or cache into a cache on this computer, or into a service"
        )

    def shortHelpString(self) -> str:
        return on_one_line(_tr(IMPORT_CACHE_HELP))

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        for parameter in (
            QgsProcessingParameterString(
                self.INPUT_SERVICE,
                _tr("Import into (path of a cache or package, or address of a service)"),
            ),
            cache_parameter(self.SOURCE_CACHE, _tr("Tiles of (package or cache)")),
            QgsProcessingParameterString(
                given.SCALES, _tr("Scales (empty: all cached ones)"), optional=True
            ),
            *area_values.parameters(self.IMPORT_EXTENT, _tr("Import extent")),
            *_overwriting(),
            *given.signing_in(),
            *advanced(
                QgsProcessingParameterBoolean(
                    self.UPLOAD_DATA,
                    _tr("Upload the package to the site (else the path is one that it sees)"),
                    defaultValue=True,
                ),
            ),
        ):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(self.OUTPUT_CACHE, _tr("Cache")))
        self.addOutput(QgsProcessingOutputNumber(self.TILES, _tr("Tiles in the area")))
        self.addOutput(QgsProcessingOutputNumber(self.MADE, _tr("New tiles")))
        self.addOutput(QgsProcessingOutputNumber(self.REPLACED, _tr("Tiles replaced")))
        self.addOutput(QgsProcessingOutputNumber(self.FAILED, _tr("Tiles that failed")))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        values = given.ExportValues(self, parameters, context)
        try:
            area_values.check(values, self.IMPORT_EXTENT)
            values.scales()
            values.overwrite()
            for name in (given.CLIP, self.UPLOAD_DATA):
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
        """On the main thread: sign-in, proxies, a snapshot of the area.

        What goes wrong is raised when the work begins: of what is raised here, `processing.run`
        tells a script nothing but that there were errors.
        """
        self._problem: TileCacheError | None = None
        project = context.project()
        self._reloading = None if project is None else shown_layers.Reloading(project)
        values = given.ExportValues(self, parameters, context)
        self._target = local_path(values.text(self.INPUT_SERVICE))
        try:
            self._sign_in = sign_in.credentials(
                values.text(given.AUTH_CONFIG), values.text(given.PORTAL_URL)
            )
            self._transport = network.transport()
            self._area = area_values.area(values, self.IMPORT_EXTENT)
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
            if self._problem is not None:
                raise self._problem
            report = run_import(
                values.text(self.INPUT_SERVICE),
                self._request(values, feedback),
                core_feedback(feedback),
                pixels=TilePixels(),
                sign_in=self._sign_in,
                transport=self._transport,
            )
        except area_values.Cancelled:
            return {}
        except TileCacheError as error:
            raise QgsProcessingException(messages.sentence(error)) from error
        tell = feedback.pushWarning if report.outcome is Outcome.PARTIAL else feedback.pushInfo
        tell(messages.import_report_sentence(report))
        return {
            self.OUTPUT_CACHE: report.target,
            self.TILES: report.total("planned"),
            self.MADE: report.total("made"),
            self.REPLACED: report.total("replaced"),
            self.FAILED: report.total("failed"),
        }

    def postProcessAlgorithm(
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """On the main thread: what draws the cache in the project draws its new tiles."""
        if self._reloading is not None and self._target is not None:
            self._reloading.ask(self._target)
        return {}

    # own

    def _request(
        self, values: given.ExportValues, feedback: QgsProcessingFeedback
    ) -> ImportRequest:
        address = values.text(self.INPUT_SERVICE)
        cache = open_cache(address, self._sign_in, self._transport, feedback.isCanceled)
        description = cache.describe()
        feedback.pushInfo(messages.summary(description))
        return ImportRequest(
            scheme=description.scheme,
            levels=description.levels_of(values.scales()),
            areas=area_values.resolve(self._area, description, feedback.isCanceled),
            source=self._source(values),
            overwrite=values.overwrite(),
            is_clipped=values.truth(given.CLIP),
        )

    def _source(self, values: given.ExportValues) -> Path:
        return local_cache(values.text(self.SOURCE_CACHE))


def _overwriting() -> list[Any]:
    """As for an export, but to merge is what ArcGIS does here unless told otherwise."""
    overwrite, clip = given.how()
    overwrite.setDefaultValue(Overwrite.MERGE.value)
    return [overwrite, clip]


def _tr(text: str) -> str:
    return QCoreApplication.translate("ImportCache", text)
