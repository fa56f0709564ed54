"""`tilecache:defragmentcache`: win back the room that replaced and deleted tiles left behind."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterNumber,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import BadCacheOption, TileCacheError
from ..core.local.defragment import defragment
from ..host import messages
from .algorithm import CacheAlgorithm, Words
from .texts import DEFRAGMENT_CACHE_HELP
from .values import cache_parameter, core_feedback, local_cache, number_of


class DefragmentCache(CacheAlgorithm):
    """Write the files of a cache on this computer anew, without holes."""

    INPUT_CACHE = "INPUT_CACHE"
    LEAST_SHARE = "LEAST_SHARE"
    FILES = "FILES"
    BYTES_WON = "BYTES_WON"

    # CacheAlgorithm interface

    def words(self) -> Words:
        return Words(
            name="defragmentcache",
            title=_tr("Defragment cache"),
            tags=_tr("tiles,cache,defragment,compact,shrink,bundle,tpkx,mbtiles"),
            summary=_tr(
                "Makes a cache on this computer smaller: wins back what old tiles still take up"
            ),
            help=_tr(DEFRAGMENT_CACHE_HELP),
        )

    # QgsProcessingAlgorithm interface

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(cache_parameter(self.INPUT_CACHE, _tr("Cache")))
        self.addParameter(
            QgsProcessingParameterNumber(
                self.LEAST_SHARE,
                _tr("Least share of holes, in percent of a file"),
                QgsProcessingParameterNumber.Type.Double,
                0.0,
                minValue=0.0,
                maxValue=100.0,
            )
        )
        self.addOutput(QgsProcessingOutputNumber(self.FILES, _tr("Files written anew")))
        self.addOutput(QgsProcessingOutputNumber(self.BYTES_WON, _tr("Bytes won")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        try:
            report = defragment(
                local_cache(self.parameterAsString(parameters, self.INPUT_CACHE, context)),
                core_feedback(feedback),
                least_share=self._least_share(parameters, context),
            )
        except TileCacheError as error:
            raise QgsProcessingException(messages.sentence(error)) from error
        tell = feedback.pushWarning if report.skipped else feedback.pushInfo
        tell(messages.defragment_sentence(report))
        return {self.FILES: report.files, self.BYTES_WON: report.before - report.after}

    # own

    def _least_share(self, parameters: dict[str, Any], context: QgsProcessingContext) -> float:
        """As a part of 1. Raises BadCacheOption."""
        text = self.parameterAsString(parameters, self.LEAST_SHARE, context)
        percent = number_of(text)
        if percent is None or not 0 <= percent <= 100:
            raise BadCacheOption(self.LEAST_SHARE, text, _tr("a percentage from 0 to 100"))
        return percent / 100


def _tr(text: str) -> str:
    return QCoreApplication.translate("DefragmentCache", text)
