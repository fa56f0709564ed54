"""`tilecache:createcache`: make an empty cache on this computer.

Names are those of the ArcGIS tool "Create Map Server Cache", as far as it has them.
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

from ..core.arcgis.credentials import SignIn
from ..core.coverage import count_tiles
from ..core.errors import TileCacheError
from ..core.schemes import area_of
from ..core.storage.creation import create_cache
from ..core.storage.profile import CacheProfile
from ..core.storage.sidecar import CacheSettings
from ..host import gdal_reading, messages, schemes, sign_in
from . import create_parameters as given
from .algorithm import CacheAlgorithm, Words
from .texts import CREATE_CACHE_HELP
from .values import local_cache


class CreateCache(CacheAlgorithm):
    """Make an empty cache, which `tilecache:managetiles` fills."""

    OUTPUT_CACHE = "OUTPUT_CACHE"
    LEVELS = "LEVELS"

    # CacheAlgorithm interface

    def words(self) -> Words:
        return Words(
            name="createcache",
            title=_tr("Create cache"),
            tags=_tr("tiles,cache,create,new,bundle,tpkx,mbtiles,tiling scheme"),
            summary=_tr(
                "Creates an empty tile cache in a folder or package, to be filled from a project"
            ),
            help=_tr(CREATE_CACHE_HELP),
        )

    # QgsProcessingAlgorithm interface

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        for parameters in (given.what, given.tiles, given.drawing, given.signing_in):
            for parameter in parameters():
                self.addParameter(parameter)
        self.addOutput(QgsProcessingOutputString(self.OUTPUT_CACHE, _tr("Cache")))
        self.addOutput(QgsProcessingOutputNumber(self.LEVELS, _tr("Number of scales")))

    def checkParameterValues(
        self, parameters: dict[str, Any], context: QgsProcessingContext
    ) -> tuple[bool, str]:
        try:
            given.CreateValues(self, parameters, context).check()
        except TileCacheError as error:
            return False, messages.sentence(error)
        return super().checkParameterValues(parameters, context)

    def prepareAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> bool:
        """On the main thread: what of the project a tiling scheme may be made from, the sign-in.

        What goes wrong is raised when the work begins, see ManageTiles.
        """
        self._sign_in: SignIn | None = None
        self._problem: TileCacheError | None = None
        self._missing: TileCacheError | None = None
        auth_config_id = self.parameterAsString(parameters, given.AUTH_CONFIG, context)
        try:
            values = given.CreateValues(self, parameters, context)
            self._missing = values.missing_source(context.project() or QgsProject())
            portal_url = values.text(given.PORTAL_URL)
            self._sign_in = sign_in.credentials(auth_config_id, portal_url)
            self._facts = schemes.ProjectFacts.of(
                context.project() or QgsProject(),
                auth_config_id,
                values.tiling_scheme(),
                portal_url,
            )
        except TileCacheError as error:
            self._problem = error
        return True

    def processAlgorithm(
        self,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
        feedback: QgsProcessingFeedback,
    ) -> dict[str, Any]:
        values = given.CreateValues(self, parameters, context)
        try:
            if self._problem is not None:
                raise self._problem
            path, profile, settings = self._new_cache(values, feedback)
            create_cache(path, profile, settings)
        except TileCacheError as error:
            raise QgsProcessingException(messages.sentence(error)) from error
        text = _tr("{path} created, with {count} scales and no tiles yet.")
        levels = len(profile.cached_ids)
        shown = messages.path_text(str(path))
        feedback.pushInfo(text.format(path=shown, count=messages.number_text(levels)))
        _tell_size(profile, feedback)
        self._warn(profile, feedback)
        return {given.TARGET: str(path), self.OUTPUT_CACHE: str(path), self.LEVELS: levels}

    # own

    def _warn(self, profile: CacheProfile, feedback: QgsProcessingFeedback) -> None:
        """Say what may be meant otherwise, or cannot be seen here."""
        if self._missing is not None:
            text = _tr("The cache cannot be filled from this project as it is. {reason}")
            feedback.pushWarning(text.format(reason=messages.sentence(self._missing)))
        for reason in (gdal_reading.crash_reason(profile), gdal_reading.grey_reason(profile)):
            if reason:
                feedback.pushWarning(reason)

    def _new_cache(
        self, values: given.CreateValues, feedback: QgsProcessingFeedback
    ) -> tuple[Path, CacheProfile, CacheSettings]:
        """Raises TileCacheError."""
        values.check()
        path = local_cache(values.target)
        scheme, extent = schemes.read_scheme(
            values.tiling_scheme(),
            self._facts,
            values.tile_size(),
            values.dpi(),
            values.scales(),
            self._sign_in,
            feedback.isCanceled,
        )
        tile_format = values.tile_format()
        profile = CacheProfile(
            scheme=scheme,
            storage=values.storage(),
            image_format=tile_format.value,
            compression_quality=values.quality() if tile_format.has_quality else 0,
            cached_ids=tuple(level.id for level in scheme.levels),
            extent=extent,
            name=path.stem if values.storage().is_package else path.name,
        )
        return path, profile, CacheSettings(values.source(), values.background())


def _tell_size(profile: CacheProfile, feedback: QgsProcessingFeedback) -> None:
    """Say how many tiles the cache would hold, where they are so many that nobody may want them."""
    area = profile.extent or area_of(profile.scheme)
    tiles = sum(count_tiles(profile.scheme, profile.cached_levels, area).values())
    if messages.are_very_many(tiles):
        text = _tr("All of its tiles would be {tiles}: name scales or an area when you fill it.")
        feedback.pushInfo(text.format(tiles=messages.number_text(tiles)))


def _tr(text: str) -> str:
    return QCoreApplication.translate("CreateCache", text)
