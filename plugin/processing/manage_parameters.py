"""The parameters of `tilecache:managetiles`, and how those of a run are read."""

from __future__ import annotations

import math

from qgis.core import (
    QgsProcessingParameterAuthConfig,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDateTime,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import BadCacheOption, BadInstances
from ..core.request import (
    ALARM_SECONDS,
    SITE_DECIDES,
    HostedOptions,
    Resume,
    TileFilter,
    UpdateMode,
)
from ..host import areas
from . import area_values
from .reading import Values
from .values import advanced, is_given, is_there, number_of, truth_of

INPUT_SERVICE = "INPUT_SERVICE"
SCALES = "SCALES"
UPDATE_MODE = "UPDATE_MODE"
NUM_OF_INSTANCES = "NUM_OF_INSTANCES"
UPDATE_EXTENT = "UPDATE_EXTENT"
WAIT = "WAIT"
PORTAL_URL = "PORTAL_URL"
AUTH_CONFIG = "AUTH_CONFIG"
SOURCE = "SOURCE"
ONLY_EXISTING = "ONLY_EXISTING"
OLDER_THAN = "OLDER_THAN"
RESUME = "RESUME"
CLUSTER = "CLUSTER"
MERGE_BUNDLES = "MERGE_BUNDLES"
REPLACE_TILES = "REPLACE_TILES"
ISOLATE_FAILURES = "ISOLATE_FAILURES"
ALARM_MINUTES = "ALARM_MINUTES"

SHORTEST_ALARM = 0.1
"""In minutes. Below that, the pauses between two looks at a job would pass for a standstill."""

DO_WAIT, DO_NOT_WAIT = "WAIT", "DO_NOT_WAIT"


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
    label = _tr("Update extent (where no area of interest is given)")
    return area_values.parameters(UPDATE_EXTENT, label)


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
            QgsProcessingParameterString(
                CLUSTER, _tr("Dask scheduler (empty: this computer draws)"), optional=True
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
            QgsProcessingParameterBoolean(
                MERGE_BUNDLES,
                _tr("Hosted layer: merge new tiles into the bundles that exist"),
                defaultValue=False,
            ),
            QgsProcessingParameterBoolean(
                REPLACE_TILES,
                _tr("Hosted layer: replace tiles that exist when merging"),
                defaultValue=False,
            ),
            QgsProcessingParameterBoolean(
                ISOLATE_FAILURES,
                _tr("Find the bundles that make a job fail"),
                defaultValue=False,
            ),
            QgsProcessingParameterNumber(
                ALARM_MINUTES,
                _tr("Warn when no tile has come for (minutes)"),
                QgsProcessingParameterNumber.Type.Double,
                ALARM_SECONDS / 60,
                minValue=SHORTEST_ALARM,
            ),
        ),
    ]


class ManageValues(Values):
    """The values of one run; nothing given never means everything."""

    def mode(self) -> UpdateMode:
        """What happens to the tiles. Raises BadCacheOption."""
        return UpdateMode(self.keyword(UPDATE_MODE, [mode.value for mode in UpdateMode]))

    def waits(self) -> bool:
        """Whether the job is followed to its end. Raises BadCacheOption."""
        return self.keyword(WAIT, [DO_WAIT, DO_NOT_WAIT]) == DO_WAIT

    def resume(self) -> Resume:
        """What the run starts from. Raises BadCacheOption."""
        text = "" if self.is_nothing(RESUME) else self.text(RESUME)
        names = [each.name for each in Resume]
        if text not in names:
            raise BadCacheOption(RESUME, text, ", ".join(names))
        return Resume[text]

    def instances(self) -> int:
        """The caching instances. Raises BadInstances."""
        instances = self.algorithm.parameterAsInt(self.parameters, NUM_OF_INSTANCES, self.context)
        if instances != SITE_DECIDES and instances < 1:
            raise BadInstances(instances)
        return int(instances)

    def hosted(self) -> HostedOptions:
        """How a hosted layer takes new tiles. Raises BadCacheOption."""
        merges, replaces = self.truth(MERGE_BUNDLES), self.truth(REPLACE_TILES)
        if replaces and not merges:
            raise BadCacheOption(
                REPLACE_TILES, "true", _tr("MERGE_BUNDLES as well: without it, all are replaced")
            )
        if merges and self.mode() is UpdateMode.DELETE:
            whole = _tr("false: a hosted layer deletes every bundle that the area touches")
            raise BadCacheOption(MERGE_BUNDLES, "true", whole)
        return HostedOptions(merges, replaces)

    def alarm_seconds(self) -> float:
        """After how long without a tile more there is a warning. Raises BadCacheOption."""
        text = "" if self.is_nothing(ALARM_MINUTES) else self.text(ALARM_MINUTES)
        minutes = number_of(text)
        if minutes is None or not SHORTEST_ALARM <= minutes < math.inf:
            raise BadCacheOption(ALARM_MINUTES, text, _tr("a number of minutes, 0.1 or more"))
        return minutes * 60

    def source(self) -> str | None:
        """The text of the source; None where none is given. Raises BadCacheOption."""
        if not is_given(self.parameters, SOURCE):
            return None
        text = self.text(SOURCE).strip()
        if not text:
            raise BadCacheOption(SOURCE, text, _tr("project, theme:NAME, layers:ID or a path"))
        return text

    def cluster(self) -> str:
        """The address of the scheduler whose workers draw; "": this computer does."""
        return "" if self.is_nothing(CLUSTER) else self.text(CLUSTER).strip()

    def tile_filter(self) -> TileFilter:
        """Which tiles of the area are left alone.

        Raises BadCacheOption for a value that comes to nothing: it is no word for "all".
        """
        text = "" if self.is_nothing(ONLY_EXISTING) else self.text(ONLY_EXISTING)
        only_existing = truth_of(text)
        if only_existing is None:
            raise BadCacheOption(ONLY_EXISTING, text, _tr("true or false"))
        return TileFilter(only_existing, self._older_than())

    def area(self) -> areas.AreaSource:
        """What the area is made from. Main thread. Raises RequestError."""
        return area_values.area(self, UPDATE_EXTENT)

    def check_area(self) -> None:
        """Raises BadCacheOption, BadRules for an area that was given as nothing, or badly."""
        area_values.check(self, UPDATE_EXTENT)

    def _older_than(self) -> float | None:
        if not is_there(self.parameters, OLDER_THAN):
            return None
        moment = self.algorithm.parameterAsDateTime(self.parameters, OLDER_THAN, self.context)
        if not moment.isValid():
            allowed = _tr("a date and time such as 2026-01-31T18:00:00")
            raise BadCacheOption(OLDER_THAN, self.text(OLDER_THAN), allowed)
        return float(moment.toMSecsSinceEpoch() / 1000)


def _tr(text: str) -> str:
    return QCoreApplication.translate("ManageTiles", text)
