"""Errors about what was asked."""

from __future__ import annotations

from enum import Enum

from .root import TileCacheError


class RequestError(TileCacheError):
    """What was asked cannot be done."""


class NoLevels(RequestError):
    """No scale was chosen."""


class LevelsWithoutArea(RequestError):
    """The rules of areas by scale give the scales 1:`scales` no area."""

    def __init__(self, scales: tuple[float, ...]) -> None:
        super().__init__(f"no area for scales {scales}")
        self.scales = scales


class UnknownScale(RequestError):
    """1:`scale` is none of the scales that can be asked for, which are `known` (denominators)."""

    def __init__(self, scale: float, known: tuple[float, ...]) -> None:
        super().__init__(f"no scale 1:{scale}")
        self.scale = scale
        self.known = known


class BadScales(RequestError):
    """`text` is not a list of scale denominators joined by semicolons."""

    def __init__(self, text: str) -> None:
        super().__init__(f"not a list of scales: {text!r}")
        self.text = text


class ServiceChanged(RequestError):
    """`service` has another tiling scheme by now than the one the request was made for."""

    def __init__(self, service: str) -> None:
        super().__init__(f"{service} has changed")
        self.service = service


class ModeNotOffered(RequestError):
    """`service` does not offer the update mode with keyword `mode`."""

    def __init__(self, service: str, mode: str) -> None:
        super().__init__(f"{service} does not offer {mode}")
        self.service = service
        self.mode = mode


class BadInstances(RequestError):
    """`instances` is neither -1 nor at least 1."""

    def __init__(self, instances: int) -> None:
        super().__init__(f"{instances} instances")
        self.instances = instances


class EmptyArea(RequestError):
    """The area of interest has no surface."""


class AreaOutside(RequestError):
    """The area of interest does not meet the cache of `service`.

    `scales`: of which it is the area, where others have another one; () where it is that of all.
    """

    def __init__(self, service: str, scales: tuple[float, ...] = ()) -> None:
        super().__init__(f"area outside {service}")
        self.service = service
        self.scales = scales


class TooManyJobs(RequestError):
    """The area takes more than `limit` rectangles, a job each, of the hosted layer `service`."""

    def __init__(self, service: str, limit: int) -> None:
        super().__init__(f"{service}: more than {limit} jobs")
        self.service = service
        self.limit = limit


class BadExtent(RequestError):
    """`text` is not four numbers `xmin ymin xmax ymax` with minima below maxima."""

    def __init__(self, text: str) -> None:
        super().__init__(f"not an extent: {text!r}")
        self.text = text


class BadAreaReason(Enum):
    """Why something cannot serve as an area of interest."""

    NO_POLYGONS = "no polygons"
    NOTHING_SELECTED = "no selected feature"
    NO_CRS = "no CRS"
    NOT_TRANSFORMABLE = "cannot be transformed into the cache's CRS"
    NO_LAYERS = "no layer with an extent"
    NO_OVERLAP = "the layers' extents do not overlap"
    BAD_FILTER = "its filter is no expression, or names a field that it has not"
    NOTHING_MATCHED = "no polygon matches the filter"
    LAYER_GONE = "not in the project, and not where it was"
    NO_CANVAS = "there is no map canvas"
    NO_WORLD_MAP = "QGIS's world map, of which countries are taken, is not there"
    NO_COUNTRY = "touches no country"


class BadArea(RequestError):
    """`name` (a layer, the canvas, the project) cannot serve as an area of interest."""

    def __init__(self, name: str, reason: BadAreaReason) -> None:
        super().__init__(f"{name}: {reason.value}")
        self.name = name
        self.reason = reason


class BadRules(RequestError):
    """The file `name` holds no rules of areas by scale that can be read.

    `detail`: what is wrong, a key or what the system says.
    """

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name
        self.detail = detail


class BadSchemeReason(Enum):
    """Why something gives no tiling scheme."""

    MISSING = "nothing there that has a tiling scheme"
    NO_LEVELS = "no scales"
    NO_CRS = "no CRS"
    TOO_FINE = "more tiles than a cache can number"
    TOO_COARSE = "a tile far larger than the world"


class BadScheme(RequestError):
    """`name` (a path, a URL, the project) gives no tiling scheme that can be used, for `reason`."""

    def __init__(self, name: str, reason: BadSchemeReason) -> None:
        super().__init__(f"{name}: {reason.value}")
        self.name = name
        self.reason = reason


class BadCacheOption(RequestError):
    """`value` cannot be taken for `option` (its Processing keyword); `allowed` says what can."""

    def __init__(self, option: str, value: str, allowed: str) -> None:
        super().__init__(f"{option}: {value!r}, not {allowed}")
        self.option = option
        self.value = value
        self.allowed = allowed


class NothingToResume(RequestError):
    """The cache at `path` has no unfinished update, or no failed tiles, to go on with."""

    def __init__(self, path: str) -> None:
        super().__init__(f"nothing to resume: {path}")
        self.path = path
