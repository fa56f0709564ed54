"""`tilecache:managetiles`: update the tiles of a cache; parameters as ArcGIS users know them.

Names and keywords are those of the ArcGIS tool "Manage Map Server Cache Tiles".
"""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
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
from ..core.errors import BadInstances, BadScales, RequestError, TileCacheError
from ..core.request import (
    SITE_DECIDES,
    Feedback,
    Message,
    Outcome,
    Severity,
    UpdateMode,
    UpdateRequest,
    parse_scales,
)
from ..host import areas, messages, network, sign_in
from .extents import reversed_extent
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
        # QGIS shows a line break for each that stands in the source.
        return " ".join(_tr(MANAGE_TILES_HELP).split())

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
            self._scales(parameters, context)
            self._instances(parameters, context)
        except RequestError as error:
            return False, messages.sentence(error)
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """On the main thread: sign-in, proxies and a snapshot of the area.

        What goes wrong is raised when the work begins: of what is raised here, `processing.run`
        tells a script nothing but that there were errors.
        """
        self._problem: TileCacheError | None = None
        try:
            self._sign_in = sign_in.credentials(
                self.parameterAsString(parameters, self.AUTH_CONFIG, context),
                self.parameterAsString(parameters, self.PORTAL_URL, context),
            )
            self._transport = network.transport()
            self._area_source = self._source_of(parameters, context)
        except TileCacheError as error:
            self._problem = error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        address = self.parameterAsString(parameters, self.INPUT_SERVICE, context)
        try:
            if self._problem is not None:
                raise self._problem
            cache = open_cache(address, self._sign_in, self._transport, feedback.isCanceled)
            description = cache.describe()
            feedback.pushInfo(messages.summary(description))
            request = self._request(parameters, context, description, feedback)
            report = cache.update(request, core_feedback(feedback))
        except areas.Cancelled:
            return {}
        except TileCacheError as error:
            raise QgsProcessingException(messages.sentence(error)) from error
        tell = feedback.pushWarning if report.outcome is Outcome.PARTIAL else feedback.pushInfo
        tell(messages.report_sentence(report))
        return {
            self.OUTPUT_URL: report.output_url,
            self.JOB_ID: report.job_id,
            self.TILES: report.total("planned"),
        }

    # own

    def _source_of(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> areas.AreaSource:
        """What the area is made from; the polygons win over the extent.

        The whole cache only where neither is given. An empty layer, a NULL or an expression without
        result is given, and no word for "everywhere", where tiles may be deleted.
        """
        transforms = context.transformContext()
        if _is_given(parameters, self.AREA_OF_INTEREST):
            source = self.parameterAsSource(parameters, self.AREA_OF_INTEREST, context)
            return areas.LayerArea.of_source(source, transforms)
        if not _is_given(parameters, self.UPDATE_EXTENT):
            return areas.FullExtent()
        crs = self._extent_crs(parameters, context)
        text = self.parameterAsString(parameters, self.UPDATE_EXTENT, context)
        across = reversed_extent(text, crs, transforms)
        if across is not None:
            return across
        extent = self.parameterAsExtent(parameters, self.UPDATE_EXTENT, context)
        return areas.RectangleArea(self.UPDATE_EXTENT, extent, crs, transforms)

    def _extent_crs(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> QgsCoordinateReferenceSystem | None:
        """CRS of UPDATE_EXTENT; None, that of the cache, for numbers that nothing gives a CRS."""
        crs = self.parameterAsExtentCrs(parameters, self.UPDATE_EXTENT, context)
        is_layer = self.parameterAsLayer(parameters, self.UPDATE_EXTENT, context) is not None
        return crs if is_layer or crs.isValid() else None

    def _scales(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[float, ...]:
        """The scales asked for; () for all, only where none were given. Raises BadScales."""
        text = self.parameterAsString(parameters, self.SCALES, context)
        if not text.strip() and _is_given(parameters, self.SCALES):
            raise BadScales(text)
        return parse_scales(text)

    def _instances(self, parameters: dict[str, Any], context: QgsProcessingContext) -> int:
        """Raises BadInstances."""
        instances = self.parameterAsInt(parameters, self.NUM_OF_INSTANCES, context)
        if instances != SITE_DECIDES and instances < 1:
            raise BadInstances(instances)
        return instances

    def _request(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        description: CacheDescription,
        feedback: QgsProcessingFeedback,
    ) -> UpdateRequest:
        return UpdateRequest.of(
            description,
            levels=description.levels_of(self._scales(parameters, context)),
            mode=UpdateMode(self.parameterAsEnumString(parameters, self.UPDATE_MODE, context)),
            area=areas.resolve(self._area_source, description, feedback.isCanceled),
            instances=self._instances(parameters, context),
            wait=self.parameterAsEnumString(parameters, self.WAIT, context) == WAIT,
        )


def core_feedback(feedback: QgsProcessingFeedback) -> Feedback:
    """`feedback` of Processing as the core speaks to it."""

    def tell(message: Message) -> None:
        text = messages.message_text(message)
        if message.severity is Severity.INFO:
            feedback.pushInfo(text)
        elif message.severity is Severity.WARNING:
            feedback.pushWarning(text)
        else:
            feedback.reportError(text)

    return Feedback(feedback.setProgress, feedback.isCanceled, tell)


def _is_given(parameters: dict[str, Any], name: str) -> bool:
    """Whether a value was given, whatever it comes to; QGIS leaves None or "" for none."""
    value = parameters.get(name)
    return not (value is None or (isinstance(value, str) and value == ""))


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
