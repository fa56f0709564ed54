"""Reading the tiling scheme of a new cache, and which of its levels the pattern keeps."""

from __future__ import annotations

from typing import Any

from ..core.storage.addresses import local_path
from ..core.storage.opening import read_profile
from . import schemes
from .local_tasks import SchemeTask

NAMED = (schemes.WEB_MERCATOR, schemes.WGS84, schemes.PROJECT)


class PatternTask(SchemeTask):
    """As SchemeTask; `made` tells scheme, extent (or None) and the ids of the levels to start with.

    These are the levels that the other cache keeps; of a scheme that is no cache's, all.
    """

    def work(self) -> tuple[Any, object]:
        signal, found = super().work()
        scheme, extent = found
        path = None if self._text.strip() in NAMED else local_path(self._text.strip())
        kept = None if path is None else read_profile(path).cached_ids
        ids = tuple(each.id for each in scheme.levels if not kept or each.id in kept)
        return signal, (scheme, extent, ids)
