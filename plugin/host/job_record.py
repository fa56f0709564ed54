"""The record of updates on sites, in the QGIS profile: kept while they run, and told to the dialog.

Reads and writes files, so it is for tasks and algorithms; what is on show listens to `news`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QObject, pyqtSignal

from ..core.errors import FollowedElsewhere, StorageError
from ..core.jobs import JobRecord
from ..core.request import Severity
from ..core.site_update import SiteUpdate
from . import messages

RETRY_SECONDS = 0.1
"""So often it is tried again to be the one who follows an update."""


class News(QObject):
    """Tells of updates that this QGIS keeps in the record; emitted from any thread.

    `kept` carries the SiteUpdate and the id of its sign-in. `begun` and `ended` carry the key of an
    update that somebody here follows from now on, and does not follow any more; `progressed`
    between these how far it is, in percent.
    """

    kept = pyqtSignal(object, str)
    begun = pyqtSignal(str)
    progressed = pyqtSignal(str, float)
    ended = pyqtSignal(str)


_NEWS = News()


def news() -> News:
    """The one teller of this QGIS."""
    return _NEWS


def record_path() -> Path:
    """Where the record lies in the profile."""
    return Path(QgsApplication.qgisSettingsDirPath()) / "tile_cache_manager" / "jobs.json"


def record() -> JobRecord:
    """The record in the profile."""
    return JobRecord(record_path())


class Keeping:
    """What `Feedback.keep` of one update calls; a context manager around the work on it.

    From its first call, or from `hold`, to the end of the block no other program goes on with the
    update. A record that cannot be written is logged once; the update goes on all the same, for the
    site works anyway. `is_look`: it only looks how the update is, and follows it no further.
    `update`: the last one that was kept.
    """

    def __init__(self, auth_config_id: str, *, is_look: bool = False) -> None:
        self._auth_config_id = auth_config_id
        self._is_look = is_look
        self._held = ExitStack()
        self._key = ""
        self._has_complained = False
        self.update: SiteUpdate | None = None

    def __enter__(self) -> Keeping:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __call__(self, update: SiteUpdate) -> None:
        """Keep `update` as it is now."""
        self.update = update
        try:
            if not self._key:
                self.hold(update.key)
            record().keep(update, self._auth_config_id)
        except (FollowedElsewhere, StorageError, OSError) as error:
            self._complain(error)
        _NEWS.kept.emit(update, self._auth_config_id)

    def tell_progress(self, percent: float) -> None:
        """The update is so far."""
        if self._key and not self._is_look:
            _NEWS.progressed.emit(self._key, percent)

    def hold(
        self, key: str, seconds: float = 0.0, cancelled: Callable[[], bool] = lambda: False
    ) -> None:
        """Be the one who follows the update with that `key`; try so for `seconds`.

        Raises FollowedElsewhere, StorageError.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                self._held.enter_context(record().hold(key))
                break
            except FollowedElsewhere:
                if cancelled() or time.monotonic() >= until:
                    raise
            time.sleep(RETRY_SECONDS)
        self._key = key
        if not self._is_look:
            _NEWS.begun.emit(key)

    def close(self) -> None:
        """Let others go on with it."""
        self._held.close()
        key, self._key = self._key, ""
        if key and not self._is_look:
            _NEWS.ended.emit(key)

    def _complain(self, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            messages.log(messages.sentence(error), Severity.WARNING)


def keep_in_record(auth_config_id: str = "") -> Keeping:
    """`with keep_in_record(id) as keep:` around an update on a site: `keep` is Feedback.keep."""
    return Keeping(auth_config_id)
