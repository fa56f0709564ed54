"""What the export of one of several services takes."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import TileCacheError
from ..core.request import LevelEstimate


@dataclass(frozen=True)
class ServiceEstimate:
    """What the service at `address` takes, by level; or the `error` that an export would meet."""

    address: str
    levels: tuple[LevelEstimate, ...] = ()
    error: TileCacheError | None = None
