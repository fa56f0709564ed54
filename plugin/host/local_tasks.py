"""The dialog's work on caches on this computer, in QGIS's task manager; see `tasks`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import pyqtSignal

from ..core.arcgis.credentials import SignIn
from ..core.cache import open_cache
from ..core.description import CacheDescription
from ..core.level_areas import Areas
from ..core.local.defragment import defragment
from ..core.local.journal import discard_unfinished
from ..core.local.source import TileSource
from ..core.local.verify import verify
from ..core.request import Feedback, TileFilter, UpdateMode, UpdateRequest
from ..core.storage.creation import create_cache
from ..core.storage.profile import CacheProfile
from ..core.storage.sidecar import CacheSettings
from ..core.tiling import Level
from . import messages, schemes
from .pictures import check_picture
from .tasks import Task, closed_unless_used


class SchemeTask(Task):
    """Makes the tiling scheme that a text stands for; tells scheme and extent (or None).

    `credentials`: for a service that the text names.
    """

    made = pyqtSignal(object)

    def __init__(
        self,
        text: str,
        facts: schemes.ProjectFacts,
        *,
        tile_size: int,
        dpi: int,
        scales: tuple[float, ...] = (),
        credentials: SignIn | None = None,
    ) -> None:
        super().__init__(messages.tr("Reading the tiling scheme"))
        self._credentials = credentials
        self._text = text
        self._facts = facts
        self._tile_size = tile_size
        self._dpi = dpi
        self._scales = tuple(scales)

    def work(self) -> tuple[Any, object]:
        made = schemes.read_scheme(
            self._text,
            self._facts,
            self._tile_size,
            self._dpi,
            self._scales,
            self._credentials,
            self.isCanceled,
        )
        self._stop_if_cancelled()
        return self.made, made


class CreateTask(Task):
    """Creates an empty cache; tells its path."""

    created = pyqtSignal(object)

    def __init__(self, path: Path, profile: CacheProfile, settings: CacheSettings) -> None:
        title = messages.tr("Creating {name}").format(name=path.name)
        super().__init__(title, is_quiet=False)
        self._path = path
        self._profile = profile
        self._settings = settings

    def work(self) -> tuple[Any, object]:
        self._stop_if_cancelled()
        create_cache(self._path, self._profile, self._settings)
        return self.created, self._path


class EstimateTask(Task):
    """Estimates what an update would make, how many bytes and how long; tells LevelEstimates.

    Draws a few tiles of `source`, made on the main thread for this task alone.
    """

    estimated = pyqtSignal(object)

    def __init__(
        self,
        description: CacheDescription,
        *,
        levels: tuple[Level, ...],
        mode: UpdateMode,
        area: Areas,
        source: TileSource | None,
        tile_filter: TileFilter | None = None,
    ) -> None:
        super().__init__(messages.tr("Estimating the update"))
        self._description = description
        self._levels = tuple(levels)
        self._mode = mode
        self._area = area
        self._source = source
        self._tile_filter = tile_filter

    def let_go_unused(self) -> None:
        if self._source is not None:
            self._source.close()

    def work(self) -> tuple[Any, object]:
        with closed_unless_used(self._source):
            request = UpdateRequest.of(
                self._description,
                levels=self._levels,
                mode=self._mode,
                area=self._area,
                tile_filter=self._tile_filter,
            )
            self._stop_if_cancelled()
            cache = open_cache(self._description.address, source=self._source)
        feedback = Feedback(progress=self.setProgress, cancelled=self.isCanceled)
        estimates = cache.estimate(request, feedback)
        self._stop_if_cancelled()
        return self.estimated, estimates


class DiscardTask(Task):
    """Forgets what earlier updates of a cache left undone; tells the cache's path."""

    discarded = pyqtSignal(object)

    def __init__(self, path: Path) -> None:
        super().__init__(messages.tr("Discarding the record of the update"))
        self._path = path

    def work(self) -> tuple[Any, object]:
        discard_unfinished(self._path)
        return self.discarded, self._path


class CareTask(Task):
    """What checking and defragmenting share: a path and progress."""

    def __init__(self, title: str, path: Path) -> None:
        super().__init__(title, is_quiet=False)
        self._path = path

    def _feedback(self) -> Feedback:
        return Feedback(progress=self.setProgress, cancelled=self.isCanceled)


class VerifyTask(CareTask):
    """Checks a cache, every tile of it, and mends what can be where asked; tells a VerifyReport.

    A check that is cancelled ends in `verified` too: its report says that it is not complete.
    """

    verified = pyqtSignal(object)

    def __init__(self, title: str, path: Path, *, mend: bool) -> None:
        super().__init__(title, path)
        self._mend = mend

    def work(self) -> tuple[Any, object]:
        self._stop_if_cancelled()
        report = verify(self._path, self._feedback(), mend=self._mend, check_picture=check_picture)
        return self.verified, report


class DefragmentTask(CareTask):
    """Writes files with holes anew; tells a DefragmentReport, also of what a cancel left of it."""

    defragmented = pyqtSignal(object)

    def __init__(self, title: str, path: Path, *, least_share: float = 0.0) -> None:
        super().__init__(title, path)
        self._least_share = least_share

    def work(self) -> tuple[Any, object]:
        self._stop_if_cancelled()
        report = defragment(self._path, self._feedback(), least_share=self._least_share)
        return self.defragmented, report
