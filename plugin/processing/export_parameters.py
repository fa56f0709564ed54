"""The parameters of `tilecache:exportcache` and `exportcaches`, and how those of a run are read.

Names and keywords are those of the ArcGIS tool "Export Map Server Cache", as far as it has them.
"""

from __future__ import annotations

from pathlib import Path, PurePath

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterAuthConfig,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterString,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import BadCacheOption
from ..core.export.request import ExportWay, Overwrite
from ..core.storage.addresses import local_path
from ..core.storage.creation import SUFFIXES
from ..core.storage.profile import StorageFormat
from .reading import Values
from .values import advanced

INPUT_SERVICE = "INPUT_SERVICE"
TARGET = "TARGET"
EXPORT_TYPE = "EXPORT_TYPE"
STORAGE_FORMAT = "STORAGE_FORMAT"
COPY_DATA = "COPY_DATA"
SCALES = "SCALES"
AREA_OF_INTEREST = "AREA_OF_INTEREST"
EXPORT_EXTENT = "EXPORT_EXTENT"
AREA_RULES = "AREA_RULES"
OVERWRITE = "OVERWRITE"
CLIP = "CLIP"
WAY = "WAY"
TILES_ARE_MINE = "TILES_ARE_MINE"
DRAW_MISSING = "DRAW_MISSING"
ESTIMATE_ONLY = "ESTIMATE_ONLY"
ANEW = "ANEW"
AUTH_CONFIG = "AUTH_CONFIG"
PORTAL_URL = "PORTAL_URL"

DATASET = "CACHE_DATASET"
EXPORT_TYPES = {
    DATASET: None,
    "TILE_PACKAGE": StorageFormat.TPK,
    "TILE_PACKAGE_TPKX": StorageFormat.TPKX,
    "MBTILES": StorageFormat.MBTILES,
    "GEOPACKAGE": StorageFormat.GEOPACKAGE,
}
"""What is made, by its keyword; of a cache dataset STORAGE_FORMAT says in which format."""

DATASET_FORMATS = {
    "COMPACT": StorageFormat.COMPACT_V1,
    "COMPACT_V2": StorageFormat.COMPACT_V2,
    "EXPLODED": StorageFormat.EXPLODED,
}
DO_COPY, DO_NOT_COPY = "COPY_DATA", "DO_NOT_COPY"


def as_what() -> list[QgsProcessingParameterDefinition]:
    """What is made of the tiles."""
    return [
        enum(EXPORT_TYPE, _tr("Export type ({values})"), list(EXPORT_TYPES), "TILE_PACKAGE_TPKX"),
        enum(
            STORAGE_FORMAT,
            _tr("Storage format of a cache dataset ({values})"),
            list(DATASET_FORMATS),
            "COMPACT_V2",
        ),
    ]


def how() -> list[QgsProcessingParameterDefinition]:
    """What becomes of tiles that are there, and at the area's edge."""
    return [
        enum(
            OVERWRITE,
            _tr("Tiles that the target has ({values})"),
            [each.value for each in Overwrite],
            Overwrite.OVERWRITE.value,
        ),
        QgsProcessingParameterBoolean(
            CLIP, _tr("Clip tiles at the edge of the area"), defaultValue=False
        ),
    ]


def from_where() -> list[QgsProcessingParameterDefinition]:
    """How the tiles are got."""
    return advanced(
        enum(
            WAY,
            _tr("How tiles are got from a service ({values})"),
            [each.value for each in ExportWay],
            ExportWay.AUTO.value,
        )
    )


def signing_in() -> list[QgsProcessingParameterDefinition]:
    """Who asks the site."""
    return [
        QgsProcessingParameterAuthConfig(AUTH_CONFIG, _tr("Sign-in"), optional=True),
        *advanced(
            QgsProcessingParameterString(
                PORTAL_URL, _tr("Portal that the site belongs to"), optional=True
            )
        ),
    ]


class ExportValues(Values):
    """The values of one run that both algorithms have."""

    def storage(self) -> StorageFormat:
        """Format of what is made. Raises BadCacheOption."""
        kind = self.keyword(EXPORT_TYPE, list(EXPORT_TYPES))
        dataset = self.keyword(STORAGE_FORMAT, list(DATASET_FORMATS))
        return EXPORT_TYPES[kind] or DATASET_FORMATS[dataset]

    def overwrite(self) -> Overwrite:
        """What becomes of tiles that are there. Raises BadCacheOption."""
        return Overwrite(self.keyword(OVERWRITE, [each.value for each in Overwrite]))

    def way(self) -> ExportWay:
        """How tiles are got. Raises BadCacheOption."""
        return ExportWay(self.keyword(WAY, [each.value for each in ExportWay]))

    def target(self, storage: StorageFormat) -> Path:
        """The path of what is made, whose name ends as `storage` wants it. Raises BadCacheOption.

        To be asked once; see `output_path`.
        """
        ending = SUFFIXES.get(storage, "")
        target = PurePath(self.output_path(TARGET, ending))
        if not str(target).strip() or not target.name:
            raise BadCacheOption(TARGET, str(target), _tr("the path of a file or folder"))
        if ending and target.suffix.lower() != ending:
            allowed = _tr("a name that ends in {ending}").format(ending=ending)
            raise BadCacheOption(TARGET, str(target), allowed)
        if not ending and target.suffix.lower() in SUFFIXES.values():
            allowed = _tr("the name of a folder, or another EXPORT_TYPE")
            raise BadCacheOption(TARGET, str(target), allowed)
        return at_home(str(target))

    def server_path(self) -> str:
        """The same as a path that the site sees. Raises BadCacheOption."""
        path = self.text(TARGET).strip()
        is_temporary = self.parameters.get(TARGET) == QgsProcessing.TEMPORARY_OUTPUT
        if self.is_nothing(TARGET) or is_temporary or not path:
            raise BadCacheOption(TARGET, path, _tr("a path that the server sees"))
        return path


def at_home(text: str) -> Path:
    """The path that `text` is, where `~` begins the one of somebody's home."""
    return (local_path(text) if text.startswith("~") else None) or Path(text)


def enum(
    name: str, label: str, options: list[str], default: str
) -> QgsProcessingParameterDefinition:
    return QgsProcessingParameterEnum(
        name,
        label.format(values=", ".join(options)),
        options=options,
        defaultValue=default,
        usesStaticStrings=True,
    )


def _tr(text: str) -> str:
    return QCoreApplication.translate("ExportCache", text)
