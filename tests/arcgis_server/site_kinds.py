"""What a stand-in site and its services are made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from .schemes import Box, Reference, Scheme

WORLD: Box = (-20037507.0, -19971868.0, 20037507.0, 19971868.0)
"""A little inside the Web Mercator square, as the extents of real world maps are."""
WORLD_DEGREES: Box = (-180.0, -90.0, 180.0, 90.0)
EUROPE_METRES: Box = (2426378.0, 1528101.0, 7293974.0, 5446513.0)
EUROPE_MERCATOR: Box = (-1500000.0, 4000000.0, 4500000.0, 9000000.0)

TILES_TASK = "Manage Map Cache Tiles"
STATUS_TASK = "ReportCacheStatus"
EXPORT_TASK = "Export Cache"
IMPORT_TASK = "ImportCache"


@dataclass(frozen=True)
class Service:
    """A map or image service; ``scheme`` is None where no tile cache is defined.

    ``on_demand``: a tile that is not there is drawn and stored the first time it is asked for.
    ``private``: every request needs a token. ``max_export_tiles``: how many tiles one
    ``exportTiles`` may ask for.
    """

    name: str
    kind: str
    reference: Reference
    full_extent: Box
    scheme: Scheme | None = None
    levels: tuple[int, int] = (0, 0)
    tile_format: str = "PNG"
    quality: int = 0
    capabilities: str = "Map,Query,Data"
    fused: bool = True
    theme: str = "map"
    on_demand: bool = False
    private: bool = False
    export_allowed: bool = False
    max_export_tiles: int = 100_000

    @property
    def cached(self) -> bool:
        """Whether tiles are served: a scheme alone does not make a cache."""
        return self.scheme is not None and self.fused

    @property
    def has_tilemap(self) -> bool:
        return "Tilemap" in self.capabilities.split(",")

    @property
    def tiles_only(self) -> bool:
        return "TilesOnly" in self.capabilities.split(",")

    @property
    def task_name(self) -> str:
        """How caching tasks call the service: ``[Folder/]Name:MapServer``."""
        return f"{self.name}:{self.kind}"


@dataclass(frozen=True)
class Tasks:
    """What the ``System`` folder offers and how its tasks behave.

    ``uploads``: files may be handed over, and ImportCache takes them.
    """

    folders: tuple[str, ...] = ("CachingControllers", "CachingTools", "ReportingTools")
    names: dict[str, str] = field(default_factory=dict)
    modes: tuple[str, ...] = (
        "RECREATE_EMPTY_TILES",
        "RECREATE_ALL_TILES",
        "DELETE_TILES",
        "COMPLETE_JOB",
        "FIX_JOB",
        "RESUME_JOB",
    )
    progress: bool = True
    percent_in_messages: bool = False
    status_as_text: bool = False
    uploads: bool = True


@dataclass(frozen=True)
class Site:
    """One ArcGIS site.

    ``security`` says what needs a token: nothing (``open``), the System folder (``system``) or
    all but ``rest/info`` and the token service (``all``).

    ``portal``: the key of the portal that owns the site; ``portal_tokens``: it takes that portal's
    tokens as they are; ``exchanges``: the portal gives server tokens for it. ``web_tier``: the
    HTTP schemes that the web server before the site wants, whoever asks for whatever.
    ``tile_admin``: hosted layers are managed below ``rest/admin/services``. ``portal_kind``:
    ``enterprise`` or ``online`` where this is no server but a portal. ``prefixes``: what of the
    context path is this site's.
    """

    key: str
    context: str
    version: float
    full_version: str
    services: tuple[Service, ...]
    tasks: Tasks | None = None
    security: str = "open"
    token_in_header: bool = True
    referer_tokens_only: bool = False
    modern_root: bool = True
    hosted: bool = False
    portal: str = ""
    portal_tokens: bool = False
    exchanges: bool = True
    web_tier: tuple[str, ...] = ()
    tile_admin: bool = False
    portal_kind: str = ""
    prefixes: tuple[str, ...] = ("",)
