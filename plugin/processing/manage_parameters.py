"""The parameters of `tilecache:managetiles`, and how those of a run are read."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingParameterAuthConfig,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import BadCacheOption, BadInstances, BadScales
from ..core.request import SITE_DECIDES, Resume, TileFilter, UpdateMode, parse_scales
from ..host import areas
from .extents import check_crs, reversed_extent
from .values import advanced, comes_to_nothing, is_given, is_there, truth_of

INPUT_SERVICE = "INPUT_SERVICE"
SCALES = "SCALES"
UPDATE_MODE = "UPDATE_MODE"
NUM_OF_INSTANCES = "NUM_OF_INSTANCES"
AREA_OF_INTEREST = "AREA_OF_INTEREST"
UPDATE_EXTENT = "UPDATE_EXTENT"
WAIT = "WAIT"
PORTAL_URL = "PORTAL_URL"
AUTH_CONFIG = "AUTH_CONFIG"
SOURCE = "SOURCE"
ONLY_EXISTING = "ONLY_EXISTING"
OLDER_THAN = "OLDER_THAN"
RESUME = "RESUME"

DO_WAIT, DO_NOT_WAIT = "WAIT", "DO_NOT_WAIT"

Parameters = dict[str, Any]


def what() -> list[QgsProcessingParameterDefinition]:
    """Which cache, which of its scales, and what happens to the tiles."""
    return [
        QgsProcessingParameterString(
            INPUT_SERVICE, _tr("Cache (address of the service, or path of a folder or package)")
        ),
        QgsProcessingParameterString(SCALES, _tr("Scales (empty: all cached ones)"), optional=True),
        QgsProcessingParameterEnum(
            UPDATE_MODE,
            _tr("Update mode ({values})").format(
                values=", ".join(mode.value for mode in UpdateMode)
            ),
            options=[mode.value for mode in UpdateMode],
            defaultValue=UpdateMode.RECREATE_EMPTY.value,
            usesStaticStrings=True,
        ),
    ]


def where() -> list[QgsProcessingParameterDefinition]:
    """The area."""
    return [
        QgsProcessingParameterFeatureSource(
            AREA_OF_INTEREST,
            _tr("Area of interest"),
            [QgsProcessing.SourceType.TypeVectorPolygon],
            optional=True,
        ),
        QgsProcessingParameterExtent(
            UPDATE_EXTENT,
            _tr("Update extent (where no area of interest is given)"),
            optional=True,
        ),
    ]


def on_this_computer() -> list[QgsProcessingParameterDefinition]:
    """What only a cache on this computer knows."""
    return [
        QgsProcessingParameterString(
            SOURCE,
            _tr("Draw from (empty: what the cache remembers, else the project)"),
            optional=True,
        ),
        *advanced(
            QgsProcessingParameterBoolean(
                ONLY_EXISTING, _tr("Only tiles that exist already"), defaultValue=False
            ),
            QgsProcessingParameterDateTime(
                OLDER_THAN, _tr("Only tiles stored before"), optional=True
            ),
            QgsProcessingParameterEnum(
                RESUME,
                _tr("What to start from ({values})").format(
                    values=", ".join(each.name for each in Resume)
                ),
                options=[each.name for each in Resume],
                defaultValue=Resume.AUTO.name,
                usesStaticStrings=True,
            ),
        ),
    ]


def on_a_site() -> list[QgsProcessingParameterDefinition]:
    """What only an ArcGIS site knows."""
    return [
        QgsProcessingParameterEnum(
            WAIT,
            _tr("Wait for the job ({values})").format(values=f"{DO_WAIT}, {DO_NOT_WAIT}"),
            options=[DO_WAIT, DO_NOT_WAIT],
            defaultValue=DO_WAIT,
            usesStaticStrings=True,
        ),
        QgsProcessingParameterAuthConfig(AUTH_CONFIG, _tr("Sign-in"), optional=True),
        *advanced(
            QgsProcessingParameterNumber(
                NUM_OF_INSTANCES,
                _tr("Number of caching instances (-1: the site decides)"),
                QgsProcessingParameterNumber.Type.Integer,
                SITE_DECIDES,
                minValue=SITE_DECIDES,
            ),
            QgsProcessingParameterString(
                PORTAL_URL, _tr("Portal that the site belongs to"), optional=True
            ),
        ),
    ]


class ManageValues:
    """The values of one run, as `algorithm` reads them; nothing given never means everything."""

    def __init__(
        self,
        algorithm: QgsProcessingAlgorithm,
        parameters: Parameters,
        context: QgsProcessingContext,
    ) -> None:
        self._algorithm = algorithm
        self._parameters = parameters
        self._context = context

    def text(self, name: str) -> str:
        """The value as text."""
        return str(self._algorithm.parameterAsString(self._parameters, name, self._context))

    def mode(self) -> UpdateMode:
        """What happens to the tiles."""
        return UpdateMode(self._keyword(UPDATE_MODE))

    def waits(self) -> bool:
        """Whether the job is followed to its end."""
        return self._keyword(WAIT) == DO_WAIT

    def resume(self) -> Resume:
        """What the run starts from. Raises BadCacheOption."""
        text = "" if self._is_nothing(RESUME) else self.text(RESUME)
        names = [each.name for each in Resume]
        if text not in names:
            raise BadCacheOption(RESUME, text, ", ".join(names))
        return Resume[text]

    def scales(self) -> tuple[float, ...]:
        """The scales asked for; () for all, only where none were given. Raises BadScales."""
        text = self.text(SCALES)
        if not text.strip() and is_given(self._parameters, SCALES):
            raise BadScales(text)
        return parse_scales(text)

    def instances(self) -> int:
        """The caching instances. Raises BadInstances."""
        instances = self._algorithm.parameterAsInt(
            self._parameters, NUM_OF_INSTANCES, self._context
        )
        if instances != SITE_DECIDES and instances < 1:
            raise BadInstances(instances)
        return int(instances)

    def source(self) -> str | None:
        """The text of the source; None where none is given. Raises BadCacheOption."""
        if not is_given(self._parameters, SOURCE):
            return None
        text = self.text(SOURCE).strip()
        if not text:
            raise BadCacheOption(SOURCE, text, _tr("project, theme:NAME, layers:ID or a path"))
        return text

    def tile_filter(self) -> TileFilter:
        """Which tiles of the area are left alone.

        Raises BadCacheOption for a value that comes to nothing: it is no word for "all".
        """
        text = "" if self._is_nothing(ONLY_EXISTING) else self.text(ONLY_EXISTING)
        only_existing = truth_of(text)
        if only_existing is None:
            raise BadCacheOption(ONLY_EXISTING, text, _tr("true or false"))
        return TileFilter(only_existing, self._older_than())

    def area(self) -> areas.AreaSource:
        """What the area is made from; the polygons win over the extent. Main thread.

        The whole cache only where neither is given. An empty layer, a NULL or an expression without
        result is given, and no word for "everywhere", where tiles may be deleted.
        """
        self.check_area()
        transforms = self._context.transformContext()
        if is_there(self._parameters, AREA_OF_INTEREST):
            source = self._algorithm.parameterAsSource(
                self._parameters, AREA_OF_INTEREST, self._context
            )
            return areas.LayerArea.of_source(source, self._selected_only(), transforms)
        if not is_there(self._parameters, UPDATE_EXTENT):
            return areas.FullExtent()
        check_crs(self.text(UPDATE_EXTENT))
        crs = self._extent_crs()
        across = reversed_extent(self.text(UPDATE_EXTENT), crs, transforms)
        if across is not None:
            return across
        extent = self._algorithm.parameterAsExtent(self._parameters, UPDATE_EXTENT, self._context)
        return areas.RectangleArea(UPDATE_EXTENT, extent, crs, transforms)

    def check_area(self) -> None:
        """Raises BadCacheOption for an area or extent that was given as nothing."""
        polygons = _tr("a layer of polygons, or leave it out for the whole cache")
        extent = _tr("xmin,xmax,ymin,ymax [EPSG:code], or leave it out for the whole cache")
        for name, allowed in ((AREA_OF_INTEREST, polygons), (UPDATE_EXTENT, extent)):
            if self._is_nothing(name):
                raise BadCacheOption(name, "", allowed)

    def _selected_only(self) -> bool:
        value = self._parameters[AREA_OF_INTEREST]
        is_definition = isinstance(value, QgsProcessingFeatureSourceDefinition)
        return is_definition and bool(value.selectedFeaturesOnly)

    def _older_than(self) -> float | None:
        if not is_there(self._parameters, OLDER_THAN):
            return None
        moment = self._algorithm.parameterAsDateTime(self._parameters, OLDER_THAN, self._context)
        if not moment.isValid():
            allowed = _tr("a date and time such as 2026-01-31T18:00:00")
            raise BadCacheOption(OLDER_THAN, self.text(OLDER_THAN), allowed)
        return float(moment.toMSecsSinceEpoch() / 1000)

    def _extent_crs(self) -> Any:
        """CRS of UPDATE_EXTENT; None, that of the cache, for numbers that nothing gives a CRS."""
        given = (self._parameters, UPDATE_EXTENT, self._context)
        crs = self._algorithm.parameterAsExtentCrs(*given)
        is_layer = self._algorithm.parameterAsLayer(*given) is not None
        return crs if is_layer or crs.isValid() else None

    def _is_nothing(self, name: str) -> bool:
        return comes_to_nothing(self._parameters, name, self._context)

    def _keyword(self, name: str) -> str:
        return str(self._algorithm.parameterAsEnumString(self._parameters, name, self._context))


def _tr(text: str) -> str:
    return QCoreApplication.translate("ManageTiles", text)
