"""`tilecache:managetiles`: update the tiles of a cache; parameters as ArcGIS users know them.

Names and keywords are those of the ArcGIS tool "Manage Map Server Cache Tiles".
"""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterAuthConfig,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.cache import open_cache
from ..core.description import CacheDescription
from ..core.errors import TileCacheError
from ..core.request import SITE_DECIDES, Feedback, Message, Severity, UpdateMode, UpdateRequest
from ..core.tiling import Extent, Level
from ..host import areas, messages, network, sign_in
from .texts import MANAGE_TILES_HELP

WAIT, DO_NOT_WAIT = "WAIT", "DO_NOT_WAIT"


class ManageTiles(QgsProcessingAlgorithm):
    """Update the tiles of a cache, at chosen scales, inside an area."""

    INPUT_SERVICE = "INPUT_SERVICE"
    SCALES = "SCALES"
    UPDATE_MODE = "UPDATE_MODE"
    NUM_OF_INSTANCES = "NUM_OF_INSTANCES"
    AREA_OF_INTEREST = "AREA_OF_INTEREST"
    UPDATE_EXTENT = "UPDATE_EXTENT"
    WAIT = "WAIT"
    PORTAL_URL = "PORTAL_URL"
    AUTH_CONFIG = "AUTH_CONFIG"
    OUTPUT_URL = "OUTPUT_URL"
    JOB_ID = "JOB_ID"
    TILES = "TILES"

    # QgsProcessingAlgorithm interface

    def createInstance(self) -> ManageTiles:
        return ManageTiles()

    def name(self) -> str:
        return "managetiles"

    def displayName(self) -> str:
        return _tr("Manage cache tiles")

    def group(self) -> str:
        return _tr("Tile caches")

    def groupId(self) -> str:
        return "tilecaches"

    def tags(self) -> list[str]:
        return _tr("tiles,cache,update,recreate,delete,seed,arcgis,map service").split(",")

    def shortDescription(self) -> str:
        return _tr(
            "Recreates or deletes the tiles of a web tile cache, at chosen scales, in an area"
        )

    def shortHelpString(self) -> str:
        return _tr(MANAGE_TILES_HELP)

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        for parameter in (*_what(), *_where(), *_how()):
            self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(self.OUTPUT_URL, _tr("Updated service")))
        self.addOutput(QgsProcessingOutputString(self.JOB_ID, _tr("Job")))
        self.addOutput(QgsProcessingOutputNumber(self.TILES, _tr("Tiles in the area")))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        try:
            parse_scales(self.parameterAsString(parameters, self.SCALES, context))
        except ValueError as error:
            return False, str(error)
        if self.parameterAsInt(parameters, self.NUM_OF_INSTANCES, context) == 0:
            return False, _tr(
                "NUM_OF_INSTANCES is 0: give -1 to let the site decide, or 1 or more."
            )
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """On the main thread: sign-in, proxies and a snapshot of the area."""
        try:
            self._sign_in = sign_in.credentials(
                self.parameterAsString(parameters, self.AUTH_CONFIG, context),
                self.parameterAsString(parameters, self.PORTAL_URL, context),
            )
            self._transport = network.transport()
            self._area_source = self._source_of(parameters, context)
        except TileCacheError as error:
            raise QgsProcessingException(messages.sentence(error)) from error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        address = self.parameterAsString(parameters, self.INPUT_SERVICE, context)
        try:
            cache = open_cache(address, self._sign_in, self._transport)
            description = cache.describe()
            feedback.pushInfo(messages.summary(description))
            request = self._request(parameters, context, description)
            report = cache.update(request, core_feedback(feedback))
        except TileCacheError as error:
            raise QgsProcessingException(messages.sentence(error)) from error
        feedback.pushInfo(messages.report_sentence(report))
        return {
            self.OUTPUT_URL: report.output_url,
            self.JOB_ID: report.job_id,
            self.TILES: report.total("planned"),
        }

    # own

    def _source_of(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> areas.AreaSource:
        """What the area is made from; the polygons win over the extent."""
        if parameters.get(self.AREA_OF_INTEREST) not in (None, ""):
            source = self.parameterAsSource(parameters, self.AREA_OF_INTEREST, context)
            return areas.LayerArea.of_source(source)
        extent = self.parameterAsExtent(parameters, self.UPDATE_EXTENT, context)
        if extent.isNull():
            return areas.FullExtent()
        crs = self.parameterAsExtentCrs(parameters, self.UPDATE_EXTENT, context)
        return areas.RectangleArea(self.UPDATE_EXTENT, extent, crs)

    def _request(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        description: CacheDescription,
    ) -> UpdateRequest:
        area = areas.resolve(self._area_source, description)
        scales = parse_scales(self.parameterAsString(parameters, self.SCALES, context))
        return UpdateRequest(
            levels=levels_of(scales, description),
            mode=UpdateMode(self.parameterAsEnumString(parameters, self.UPDATE_MODE, context)),
            area=None if isinstance(area, Extent) else area,
            extent=area if isinstance(area, Extent) else None,
            instances=self.parameterAsInt(parameters, self.NUM_OF_INSTANCES, context),
            wait=self.parameterAsEnumString(parameters, self.WAIT, context) == WAIT,
        )


def parse_scales(text: str) -> tuple[float, ...]:
    """Scale denominators of `text`, joined by `;`, each also as `1:N`. Raises ValueError."""
    scales = []
    for part in (part.strip() for part in text.split(";")):
        if not part:
            continue
        try:
            scale = float(part[2:] if part.startswith("1:") else part)
        except ValueError:
            scale = 0.0
        if not 0 < scale < float("inf"):
            raise ValueError(
                _tr(
                    "SCALES holds “{part}”, which is no scale: "
                    "give denominators joined by “;”, such as 500000;250000."
                ).format(part=part)
            )
        scales.append(scale)
    return tuple(scales)


def levels_of(scales: tuple[float, ...], description: CacheDescription) -> tuple[Level, ...]:
    """The service's own levels of `scales`, coarsest first; none given: all cached ones.

    Raises UnknownScale.
    """
    if not scales:
        return description.cached_levels
    wanted = {description.scheme.level_of_scale(scale) for scale in scales}
    return tuple(level for level in description.scheme.levels if level in wanted)


def core_feedback(feedback: QgsProcessingFeedback) -> Feedback:
    """`feedback` of Processing as the core speaks to it."""

    def tell(message: Message) -> None:
        text = message.text if message.error is None else messages.sentence(message.error)
        if message.severity is Severity.INFO:
            feedback.pushInfo(text)
        elif message.severity is Severity.WARNING:
            feedback.pushWarning(text)
        else:
            feedback.reportError(text)

    return Feedback(feedback.setProgress, feedback.isCanceled, tell)


def _what() -> list[QgsProcessingParameterDefinition]:
    return [
        QgsProcessingParameterString(
            ManageTiles.INPUT_SERVICE, _tr("Address of the map or image service")
        ),
        QgsProcessingParameterString(
            ManageTiles.SCALES, _tr("Scales (empty: all cached ones)"), optional=True
        ),
        QgsProcessingParameterEnum(
            ManageTiles.UPDATE_MODE,
            _tr("Update mode"),
            options=[mode.value for mode in UpdateMode],
            defaultValue=UpdateMode.RECREATE_EMPTY.value,
            usesStaticStrings=True,
        ),
    ]


def _where() -> list[QgsProcessingParameterDefinition]:
    return [
        QgsProcessingParameterFeatureSource(
            ManageTiles.AREA_OF_INTEREST,
            _tr("Area of interest"),
            [QgsProcessing.SourceType.TypeVectorPolygon],
            optional=True,
        ),
        QgsProcessingParameterExtent(
            ManageTiles.UPDATE_EXTENT,
            _tr("Update extent (where no area of interest is given)"),
            optional=True,
        ),
    ]


def _how() -> list[QgsProcessingParameterDefinition]:
    advanced = [
        QgsProcessingParameterNumber(
            ManageTiles.NUM_OF_INSTANCES,
            _tr("Number of caching instances (-1: the site decides)"),
            QgsProcessingParameterNumber.Type.Integer,
            SITE_DECIDES,
            minValue=SITE_DECIDES,
        ),
        QgsProcessingParameterString(
            ManageTiles.PORTAL_URL, _tr("Portal that the site belongs to"), optional=True
        ),
    ]
    for parameter in advanced:
        parameter.setFlags(parameter.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return [
        QgsProcessingParameterEnum(
            ManageTiles.WAIT,
            _tr("Wait for the job"),
            options=[WAIT, DO_NOT_WAIT],
            defaultValue=WAIT,
            usesStaticStrings=True,
        ),
        QgsProcessingParameterAuthConfig(ManageTiles.AUTH_CONFIG, _tr("Sign-in"), optional=True),
        *advanced,
    ]


def _tr(text: str) -> str:
    return QCoreApplication.translate("ManageTiles", text)
