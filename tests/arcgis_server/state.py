"""What a running site remembers: its caches, tokens, jobs, and what control has set."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from collections import Counter, OrderedDict, deque
from pathlib import Path
from typing import Any

from flask import request

from .cache_files import make_cache_folder
from .coverage import Tile
from .drawing import Painter
from .faults import FaultBox
from .jobs import JobBoard
from .oauth import OAuth
from .profiles import Service, Site
from .tokens import TokenOffice

_PICTURES_KEPT = 32
_ADDRESSES_KEPT = 100_000


def site_address(state: SiteState) -> str:
    """Return the address of the site as the present request reached it, with its context path."""
    return f"{request.host_url.rstrip('/')}{state.profile.context}"


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
        self.drawing = threading.Lock()  # who draws tiles on demand
        self.services = profile.services
        self.tokens = TokenOffice(profile.referer_tokens_only, bool(profile.portal_kind))
        self.oauth = OAuth(self.tokens)
        self.portal: SiteState | None = None  # that owns this site
        self.owned: tuple[Site, ...] = ()  # where this is a portal
        self.more_items: list[dict[str, Any]] = []
        self.portal_tokens = profile.portal_tokens
        self.exchanges = True
        self.touched = False  # whether anybody has asked for anything since it started
        self.failing: dict[tuple[str, int], frozenset[Tile]] = {}
        self.failing_stops = True
        self.faults = FaultBox()
        self.jobs = JobBoard(self)
        self.requests: Counter[str] = Counter()
        self.heard: deque[str] = deque(maxlen=_ADDRESSES_KEPT)  # addresses with their queries
        self.submissions: list[dict[str, Any]] = []
        self.pictures: OrderedDict[str, tuple[str, bytes]] = OrderedDict()
        self.uploads: dict[str, Path] = {}
        self.spoils: list[str] = []  # what is to be wrong with the next packages
        self.revision = 1
        self.tiles_per_second = tiles_per_second
        self._make_caches()

    @property
    def output_folder(self) -> Path:
        """What stands at ``rest/directories/arcgisoutput``: what jobs have made."""
        return self.folder / "arcgisoutput"

    @property
    def shares_folder(self) -> Path:
        """The folder of the server's own disk that caching tasks may read and write."""
        return self.folder / "server_shares"

    def cache_folder(self, service: Service) -> Path:
        return self.folder / service.name

    def service(self, name: str, kind: str) -> Service | None:
        """Return the service of that name and kind; names are compared as they stand."""
        found = (s for s in self.services if (s.name, s.kind) == (name, kind))
        return next(found, None)

    def service_named(self, task_name: str) -> Service | None:
        """Return the service a task calls ``[Folder/]Name:Type``."""
        return next((s for s in self.services if s.task_name == task_name), None)

    def fails_at(self, service: Service, level: int, bundle: Tile) -> bool:
        """Return whether no tile of a bundle (row and column of bundles) can be made now."""
        return bundle in self.failing.get((service.task_name, level), frozenset())

    def has_changed(self, service: Service) -> bool:
        """Return whether a service has another tiling scheme now than it had there."""
        now = self.service_named(service.task_name)
        return now is None or now.scheme != service.scheme

    def change_service(self, task_name: str, **changes: Any) -> Service:
        """Publish a service anew with these fields of ``Service`` changed.

        Its cache stays as it is, unless it gets another tiling scheme: then it begins empty.

        Raises:
            ValueError: there is no such service.
        """
        with self.lock:
            old = self.service_named(task_name)
            if old is None:
                raise ValueError(f"no service {task_name}")
            new = dataclasses.replace(old, **changes)
            self.services = tuple(new if s is old else s for s in self.services)
        if new.scheme != old.scheme:
            with self.drawing:
                shutil.rmtree(self.cache_folder(old), ignore_errors=True)
                self._make_cache(new)
        return new

    def reset(self) -> None:
        """Bring the site back to how it started: empty caches, no jobs, no faults."""
        self.faults.clear()
        self.faults.struck.clear()
        self.jobs.clear()
        self.tokens.reset()
        self.oauth.clear()
        with self.lock:
            self.more_items.clear()
            self.portal_tokens = self.profile.portal_tokens
            self.exchanges = True
            self.failing.clear()
            self.failing_stops = True
            self.requests.clear()
            self.heard.clear()
            self.submissions.clear()
            self.pictures.clear()
            self.spoils.clear()
            self.uploads.clear()
            self.services = self.profile.services
            self.revision = 1
            self.tiles_per_second = self._started_with
        self._make_caches()
        self.touched = False

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
        self.shares_folder.mkdir(parents=True)
        for service in self.services:
            self._make_cache(service)

    def _make_cache(self, service: Service) -> None:
        if service.cached and service.scheme is not None:
            make_cache_folder(self.cache_folder(service), service, service.scheme)
