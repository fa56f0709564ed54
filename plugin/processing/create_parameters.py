"""The parameters of `tilecache:createcache`, and how those of a run are read."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingParameterAuthConfig,
    QgsProcessingParameterColor,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
    QgsProject,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import BadCacheOption, NothingToDraw
from ..core.storage.creation import SUFFIXES
from ..core.storage.profile import StorageFormat, TileFormat
from ..host import schemes, sources
from .reading import Values
from .values import advanced, number_of

TARGET = "TARGET"
STORAGE_FORMAT = "STORAGE_FORMAT"
TILING_SCHEME = "TILING_SCHEME"
SCALES = "SCALES"
TILE_FORMAT = "TILE_FORMAT"
COMPRESSION_QUALITY = "COMPRESSION_QUALITY"
TILE_SIZE = "TILE_SIZE"
DPI = "DPI"
SOURCE = "SOURCE"
BACKGROUND = "BACKGROUND"
AUTH_CONFIG = "AUTH_CONFIG"
PORTAL_URL = "PORTAL_URL"

FORMATS = tuple(each for each in StorageFormat if each.can_be_written)
FORMAT_OF_ENDING = {ending: storage for storage, ending in SUFFIXES.items()}
OTHER_PACKAGES = (".zip", ".7z", ".vtpk", ".pmtiles", ".mbtile", ".slpk")
"""Endings that nobody means a folder by."""

TILE_SIZES = ("256", "512")
MOST_DPI = 2400


def what() -> list[QgsProcessingParameterDefinition]:
    """Where the cache is made, and as what."""
    return [
        QgsProcessingParameterFileDestination(
            TARGET,
            _tr("New cache (a folder, or a .tpkx, .tpk, .mbtiles or .gpkg file)"),
            _tr(
                "Folder of a cache (*);;Tile package (*.tpkx *.tpk);;MBTiles (*.mbtiles);;"
                "GeoPackage (*.gpkg)"
            ),
        ),
        QgsProcessingParameterEnum(
            STORAGE_FORMAT,
            _tr(
                "Storage format ({values}; empty: by the ending of the name, else COMPACT_V2)"
            ).format(values=", ".join(each.value for each in FORMATS)),
            options=[each.value for each in FORMATS],
            optional=True,
            usesStaticStrings=True,
        ),
        QgsProcessingParameterString(
            TILING_SCHEME,
            _tr("Tiling scheme (WEB_MERCATOR, WGS84, PROJECT, or a cache or service that has one)"),
            defaultValue=schemes.WEB_MERCATOR,
        ),
        QgsProcessingParameterString(
            SCALES, _tr("Scales (empty: all of the tiling scheme)"), optional=True
        ),
    ]


def tiles() -> list[QgsProcessingParameterDefinition]:
    """What its tiles are."""
    return [
        QgsProcessingParameterEnum(
            TILE_FORMAT,
            _tr("Tile format ({values})").format(
                values=", ".join(each.value for each in TileFormat)
            ),
            options=[each.value for each in TileFormat],
            defaultValue=TileFormat.PNG32.value,
            usesStaticStrings=True,
        ),
        QgsProcessingParameterNumber(
            COMPRESSION_QUALITY,
            _tr("Compression quality (JPEG and MIXED)"),
            QgsProcessingParameterNumber.Type.Integer,
            75,
            minValue=0,
            maxValue=100,
        ),
        QgsProcessingParameterEnum(
            TILE_SIZE,
            _tr("Tile size in pixels ({values})").format(values=", ".join(TILE_SIZES)),
            options=list(TILE_SIZES),
            defaultValue=TILE_SIZES[0],
            usesStaticStrings=True,
        ),
        QgsProcessingParameterNumber(
            DPI,
            _tr("Dots per inch"),
            QgsProcessingParameterNumber.Type.Integer,
            96,
            minValue=1,
            maxValue=MOST_DPI,
        ),
    ]


def drawing() -> list[QgsProcessingParameterDefinition]:
    """What it is drawn from."""
    background = QgsProcessingParameterColor(
        BACKGROUND, _tr("Background colour"), opacityEnabled=False, optional=True
    )
    return [
        QgsProcessingParameterString(SOURCE, _tr("Draw from (empty: the project)"), optional=True),
        *advanced(background),
    ]


def signing_in() -> list[QgsProcessingParameterDefinition]:
    """What a service is asked with whose tiling scheme is taken."""
    text = _tr("Sign-in (for the service that the tiling scheme is taken from)")
    return advanced(
        QgsProcessingParameterAuthConfig(AUTH_CONFIG, text, optional=True),
        QgsProcessingParameterString(
            PORTAL_URL, _tr("Portal that the site of that service belongs to"), optional=True
        ),
    )


class CreateValues(Values):
    """The values of one run. `target`: where the cache is to be."""

    def __init__(
        self,
        algorithm: QgsProcessingAlgorithm,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
    ) -> None:
        super().__init__(algorithm, parameters, context)
        endings = {storage.value: ending for ending, storage in FORMAT_OF_ENDING.items()}
        self.target = self.output_path(TARGET, endings.get(self.text(STORAGE_FORMAT), ""))

    def check(self) -> None:
        """Raises BadCacheOption, BadScales."""
        self.storage()
        self.scales()
        self.tile_format()
        self.quality()
        self.tile_size()
        self.dpi()
        self.source()
        self.background()

    def missing_source(self, project: QgsProject) -> NothingToDraw | None:
        """Why `project` has nothing to draw for SOURCE just now; it may have by the time it must.

        Raises BadCacheOption.
        """
        text = self.source()
        if not text.startswith((sources.THEME, sources.LAYERS)):
            return None
        return sources.missing_in(text, project)

    def storage(self) -> StorageFormat:
        """The storage format; the ending of the name tells where none was given.

        Raises BadCacheOption where the two contradict each other.
        """
        ending = PurePath(self.target).suffix.lower()
        if ending in OTHER_PACKAGES:
            allowed = _tr("a name that ends in .tpkx, .tpk, .mbtiles or .gpkg, or that of a folder")
            raise BadCacheOption(TARGET, self.target, allowed)
        told = FORMAT_OF_ENDING.get(ending)
        if not self.is_given(STORAGE_FORMAT):
            return told or StorageFormat.COMPACT_V2
        storage = StorageFormat(self.keyword(STORAGE_FORMAT, [each.value for each in FORMATS]))
        if told is not None and storage is not told:
            allowed = _tr("{format} for a name that ends in {ending}, or another name")
            text = allowed.format(format=told.value, ending=ending)
            raise BadCacheOption(STORAGE_FORMAT, storage.value, text)
        if storage.is_package and told is None:
            allowed = _tr("a name that ends in .{ending} for {format}")
            text = allowed.format(format=storage.value, ending=storage.value.lower())
            raise BadCacheOption(TARGET, self.target, text)
        return storage

    def tiling_scheme(self) -> str:
        """What the tiling scheme is taken from."""
        return self.text(TILING_SCHEME).strip()

    def tile_format(self) -> TileFormat:
        """The format of the tiles. Raises BadCacheOption."""
        return TileFormat(self.keyword(TILE_FORMAT, [each.value for each in TileFormat]))

    def quality(self) -> int:
        """0 to 100. Raises BadCacheOption."""
        return self._number(COMPRESSION_QUALITY, 0, 100)

    def tile_size(self) -> int:
        """In pixels. Raises BadCacheOption."""
        return int(self.keyword(TILE_SIZE, list(TILE_SIZES)))

    def dpi(self) -> int:
        """Dots per inch. Raises BadCacheOption."""
        return self._number(DPI, 1, MOST_DPI)

    def source(self) -> str:
        """What the cache is drawn from; "" for the project. Raises BadCacheOption."""
        text = self.text(SOURCE)
        if self.is_given(SOURCE) and not text.strip():
            raise BadCacheOption(SOURCE, text, _tr("project, theme:NAME, layers:ID or a path"))
        return sources.plain_text(text.strip())

    def background(self) -> str:
        """`#rrggbb`, or "" for the default of the tile format. Raises BadCacheOption."""
        if not self.is_given(BACKGROUND):
            return ""
        colour = self.algorithm.parameterAsColor(self.parameters, BACKGROUND, self.context)
        if not colour.isValid():
            raise BadCacheOption(BACKGROUND, self.text(BACKGROUND), _tr("a colour as #rrggbb"))
        return str(colour.name())

    def _number(self, name: str, least: int, most: int) -> int:
        """Raises BadCacheOption: QGIS would take the default for a number it cannot read."""
        allowed = _tr("a whole number from {least} to {most}").format(least=least, most=most)
        text = self.text(name)
        number = number_of(text)
        if number is None or not least <= number <= most or number != int(number):
            raise BadCacheOption(name, text, allowed)
        return int(number)


def _tr(text: str) -> str:
    return QCoreApplication.translate("CreateCache", text)
