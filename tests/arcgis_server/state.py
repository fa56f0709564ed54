"""What a running site remembers: its caches, tokens, jobs, and what control has set."""

from __future__ import annotations

import shutil
import threading
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

from .cache_files import make_cache_folder
from .drawing import Painter
from .faults import FaultBox
from .jobs import JobBoard
from .profiles import Service, Site
from .tokens import DEFAULT_LIFETIME, TokenOffice

_PICTURES_KEPT = 32


class SiteState:
    """One site at work. ``folder`` holds its caches, one folder per service."""

    def __init__(
        self, profile: Site, folder: Path, painter: Painter, tiles_per_second: float | None
    ) -> None:
        self.profile = profile
        self.folder = folder
        self.painter = painter
        self._started_with = tiles_per_second
        self.lock = threading.Lock()
        self.tokens = TokenOffice(profile.referer_tokens_only)
        self.faults = FaultBox()
        self.jobs = JobBoard(self)
        self.requests: Counter[str] = Counter()
        self.submissions: list[dict[str, Any]] = []
        self.pictures: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self.revision = 1
        self.tiles_per_second = tiles_per_second
        self._make_caches()

    def cache_folder(self, service: Service) -> Path:
        return self.folder / service.name

    def reset(self) -> None:
        """Bring the site back to how it started: empty caches, no jobs, no faults."""
        self.faults.clear()
        self.jobs.clear()
        self.tokens.expire_all()
        self.tokens.lifetime = DEFAULT_LIFETIME
        with self.lock:
            self.requests.clear()
            self.submissions.clear()
            self.pictures.clear()
            self.revision = 1
            self.tiles_per_second = self._started_with
        self._make_caches()

    def close(self) -> None:
        """Let go of whatever waits, so that the process can end."""
        self.faults.clear()
        self.jobs.clear()

    def keep_picture(self, name: str, kind: str, data: bytes) -> None:
        """Keep an exported picture for a while, as a server's output directory does."""
        with self.lock:
            self.pictures[name] = (kind, data)
            while len(self.pictures) > _PICTURES_KEPT:
                self.pictures.popitem(last=False)

    def _make_caches(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for service in self.profile.services:
            if service.cached and service.scheme is not None:
                make_cache_folder(self.cache_folder(service), service, service.scheme)
