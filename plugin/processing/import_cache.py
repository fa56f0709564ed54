"""`tilecache:importcache`: put tiles of a package or cache into another cache, or into a service.

Names and keywords are those of the ArcGIS tool "Import Map Server Cache", as far as it has them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import BadCacheOption
from ..core.export.importing import ImportRequest, run_import
from ..core.export.request import Overwrite
from ..core.request import Outcome
from ..host import messages
from ..host.tile_pixels import TilePixels
from . import area_values
from . import export_parameters as given
from .algorithm import Words
from .texts_export import IMPORT_CACHE_HELP
from .tile_algorithm import TileAlgorithm
from .values import advanced, cache_parameter, core_feedback, local_cache
from .work_told import tell_work


class ImportCache(TileAlgorithm):
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

    values = given.ExportValues
    extent = IMPORT_EXTENT

    # CacheAlgorithm interface

    def words(self) -> Words:
        return Words(
            name="importcache",
            title=_tr("Import cache tiles"),
            tags=_tr("tiles,cache,import,merge,package,tpk,tpkx,mbtiles,arcgis,map service"),
            summary=_tr(
                "Puts tiles of a package or cache into a cache on this computer, or into a service"
            ),
            help=_tr(IMPORT_CACHE_HELP),
        )

    # QgsProcessingAlgorithm interface

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

    # TileAlgorithm interface

    def check(self, values: given.ExportValues) -> None:
        values.scales()
        values.overwrite()
        for name in (given.CLIP, self.UPLOAD_DATA):
            values.truth(name)

    def work(self, values: given.ExportValues, feedback: QgsProcessingFeedback) -> dict[str, Any]:
        address = values.text(self.INPUT_SERVICE)
        description = self.describe(address, feedback)
        path, is_uploaded = values.text(self.SOURCE_CACHE), values.truth(self.UPLOAD_DATA)
        if description.is_local and not is_uploaded:
            allowed = _tr("true, or an address of a service for INPUT_SERVICE")
            raise BadCacheOption(self.UPLOAD_DATA, "false", allowed)
        if not is_uploaded and values.is_nothing(self.SOURCE_CACHE):
            raise BadCacheOption(self.SOURCE_CACHE, path, _tr("a path that the server sees"))
        levels = description.levels_of(values.scales())
        request = ImportRequest(
            scheme=description.scheme,
            levels=levels,
            areas=self.areas_of(description, levels, feedback),
            source=local_cache(path) if is_uploaded else Path(path),
            overwrite=values.overwrite(),
            is_clipped=values.truth(given.CLIP),
            server_path="" if is_uploaded else path,
        )
        tell_work(description, levels, request.areas, feedback, is_stored_here=description.is_local)
        if description.is_local:
            self.changed = Path(description.address)
        report = run_import(
            address,
            request,
            core_feedback(feedback),
            pixels=TilePixels(),
            sign_in=self.sign_in,
            transport=self.transport,
        )
        tell = feedback.pushWarning if report.outcome is Outcome.PARTIAL else feedback.pushInfo
        tell(messages.import_report_sentence(report))
        return {
            self.OUTPUT_CACHE: report.target,
            self.TILES: report.total("planned"),
            self.MADE: report.total("made"),
            self.REPLACED: report.total("replaced"),
            self.FAILED: report.total("failed"),
        }


def _overwriting() -> list[Any]:
    """As for an export, but to merge is what ArcGIS does here unless told otherwise."""
    overwrite, clip = given.how()
    overwrite.setDefaultValue(Overwrite.MERGE.value)
    return [overwrite, clip]


def _tr(text: str) -> str:
    return QCoreApplication.translate("ImportCache", text)
