"""`tilecache:verifycache`: check every tile of a cache on this computer, and mend what can be."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import BadCacheOption, TileCacheError
from ..core.local.verify import VerifyReport, verify
from ..host import messages
from ..host.pictures import check_picture
from .algorithm import CacheAlgorithm, Words
from .texts import VERIFY_CACHE_HELP
from .values import cache_parameter, core_feedback, local_cache, truth_of

FINDINGS_TOLD = 100
"""So many findings are told one by one; the rest is in the numbers."""


class VerifyCache(CacheAlgorithm):
    """Check every tile of a cache on this computer."""

    INPUT_CACHE = "INPUT_CACHE"
    MEND = "MEND"
    TILES = "TILES"
    FAULTS = "FAULTS"
    MENDED = "MENDED"

    # CacheAlgorithm interface

    def words(self) -> Words:
        return Words(
            name="verifycache",
            title=_tr("Verify cache"),
            tags=_tr("tiles,cache,check,verify,repair,mend,bundle,tpkx,mbtiles"),
            summary=_tr(
                "Checks every tile of a cache on this computer, and mends what can be mended"
            ),
            help=_tr(VERIFY_CACHE_HELP),
        )

    # QgsProcessingAlgorithm interface

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        self.addParameter(cache_parameter(self.INPUT_CACHE, _tr("Cache")))
        self.addParameter(
            QgsProcessingParameterBoolean(
                self.MEND, _tr("Repair what can be repaired"), defaultValue=False
            )
        )
        self.addOutput(QgsProcessingOutputNumber(self.TILES, _tr("Tiles checked")))
        self.addOutput(QgsProcessingOutputNumber(self.FAULTS, _tr("Faults found")))
        self.addOutput(QgsProcessingOutputNumber(self.MENDED, _tr("Faults mended")))

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        try:
            report = verify(
                local_cache(self.parameterAsString(parameters, self.INPUT_CACHE, context)),
                core_feedback(feedback),
                mend=self._mend(parameters, context),
                check_picture=check_picture,
            )
        except TileCacheError as error:
            raise QgsProcessingException(messages.check_problem_sentence(error)) from error
        faults = sum(report.count_of.values())
        _tell(report, faults, feedback)
        return {
            self.TILES: sum(report.tiles.values()),
            self.FAULTS: faults,
            self.MENDED: report.mended,
        }

    # own

    def _mend(self, parameters: dict[str, Any], context: QgsProcessingContext) -> bool:
        """Raises BadCacheOption."""
        text = self.parameterAsString(parameters, self.MEND, context)
        mend = truth_of(text)
        if mend is None:
            raise BadCacheOption(self.MEND, text, _tr("true or false"))
        return mend


def _tell(report: VerifyReport, faults: int, feedback: QgsProcessingFeedback) -> None:
    """Faults are what was asked for, no failure of the algorithm."""
    told = report.findings[:FINDINGS_TOLD]
    for finding in told:
        feedback.pushWarning(messages.finding_text(finding))
    if faults > len(told):
        more = _tr("… and {count} more.")
        feedback.pushWarning(more.format(count=messages.number_text(faults - len(told))))
    tell = feedback.pushWarning if faults else feedback.pushInfo
    tell(messages.verify_sentence(report))


def _tr(text: str) -> str:
    return QCoreApplication.translate("VerifyCache", text)
