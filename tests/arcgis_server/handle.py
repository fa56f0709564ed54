"""Starts the stand-in sites for a test or the demo, and words their control in Python.

Only the standard library is needed here, so the handle can be used inside QGIS.
"""

from __future__ import annotations

import json
import math
import os
import select
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any

from .bundles import StoredTile, read_cache
from .certificates import Certificates, make_certificates

CONTROL_PATH = "/__control"
EVERY_SITE = "every-site"
ELSEWHERE_PATH = "/__elsewhere"
LOGIN_PATH = "/__login"
CONTEXTS = {
    "classic": "/arcgis",
    "old": "/ArcGIS",
    "hosted": "/hosted",
    "gaps": "/gaps",
    "wkt": "/wkt",
    "othernames": "/server",
    "secured": "/secured",
    "portal": "/portal",
    "agol": "",
    "federated": "/fed",
    "fedportal": "/fed2",
    "online": "/tiles/Zz0rgStandIn/arcgis",
    "webtier": "/webtier",
    "webtoken": "/webtoken",
    "ntlm": "/ntlm",
    "v103": "/arcgis103",
    "v111": "/arcgis111",
}
PORTALS = {"portal": "portal", "agol": "agol", "federated": "portal", "fedportal": "portal"}
PORTALS["online"] = "agol"
"""The portals, and which portal owns a site."""
SERVER_HOST = "127.0.0.1"
PORTAL_HOST = "localhost"
"""Portals stand on another origin than what they own, as they mostly do."""
_START_SECONDS = 30.0
_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Account:
    """A user that every site with security knows. These are test words, no secrets."""

    name: str
    password: str


PUBLISHER = Account("publisher", "publish-the-map")
"""May read everything and manage caches."""
VIEWER = Account("viewer", "read-the-map")
"""May read; the System folder answers 403."""
API_KEY = "AAPKstandin0key0that0is0no0secret0" + "0" * 32
"""A token that both portals always know as the publisher's."""
OAUTH_CLIENT = ("standin-app", "standin-app-word")
"""Id and secret of an application that is registered with both portals."""
ACCOUNTS = {account.name: account.password for account in (PUBLISHER, VIEWER)}


class ControlFailed(RuntimeError):
    """The sites did not start, or refused a control action; the text says why."""


class RunningSite:
    """The running sites. ``site`` is everywhere one of the keys of ``CONTEXTS``."""

    def __init__(
        self,
        url: str,
        folder: Path,
        tls_urls: Mapping[str, str] | None = None,
        control_url: str = "",
    ) -> None:
        self.url = url
        self.folder = folder
        self._tls_urls = dict(tls_urls or {})
        self._control_url = control_url or url

    @property
    def certificates(self) -> Certificates:
        """The certificates of a site that was started with ``tls``."""
        return Certificates(self.folder / "certificates")

    def over_tls(self, kind: str = "authority") -> RunningSite:
        """Return the same sites at a listener that speaks TLS; ``kind``: of ``KINDS``."""
        url = self._tls_urls[kind]
        return RunningSite(url, self.folder, self._tls_urls, self._control_url)

    def site_url(self, site: str) -> str:
        """Return the address of a site with its context path: ``http://host/arcgis``."""
        if PORTALS.get(site) == site:
            return f"{self.url.replace(SERVER_HOST, PORTAL_HOST)}{CONTEXTS[site]}"
        return f"{self.url}{CONTEXTS[site]}"

    def portal_url(self, site: str) -> str:
        """Return the address of the portal that owns a site."""
        return self.site_url(PORTALS[site])

    def services_url(self, site: str) -> str:
        """Return the address of the catalogue."""
        return f"{self.site_url(site)}/rest/services"

    def service_url(self, site: str, name: str, kind: str = "MapServer") -> str:
        """Return the address of a service; ``name`` holds the folder where there is one."""
        return f"{self.services_url(site)}/{name}/{kind}"

    def cache_folder(self, site: str, name: str) -> Path:
        """Return where the cache of a service lies on disk."""
        return self.folder / site / name

    def read_cache(self, site: str, name: str) -> dict[int, dict[tuple[int, int], StoredTile]]:
        """Return the tiles of a service by level and (row, column), from its bundles."""
        return read_cache(self.cache_folder(site, name))

    def control(self, site: str, action: str, **values: Any) -> dict[str, Any]:
        """Do one of the actions of ``control.py``.

        Raises:
            ControlFailed: the action is unknown or a value is wrong.
        """
        return self._post(f"/{site}/{action}", values)

    def controls(self, site: str, *actions: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Do several actions of ``control.py`` in one request; each is (name, values).

        Raises:
            ControlFailed: an action is unknown or a value is wrong; those before it are done.
        """
        return list(self.control(site, "several", actions=list(actions))["answers"])

    def _post(self, path: str, values: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self._control_url}{CONTROL_PATH}{path}",
            data=json.dumps(values).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request) as response:
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            raise ControlFailed(f"{path}: {error.read().decode()}") from error
        return answer

    def reset(self, *sites: str) -> None:
        """Empty caches, forget jobs, tokens, faults and settings of these sites, or of all."""
        for site in sites:
            self.control(site, "reset")
        if not sites:
            self.control(EVERY_SITE, "reset")

    def set_revision(self, site: str, revision: int) -> None:
        """Change the data of the maps: tiles drawn from now on look different."""
        self.control(site, "revision", revision=revision)

    def set_speed(self, site: str, tiles_per_second: float | None) -> None:
        """Slow the jobs of a site down; None lets them run."""
        self.control(site, "speed", tiles_per_second=tiles_per_second)

    def pause_after(self, site: str, tiles: int) -> None:
        """Let every job of the site stand still after this many tiles, until ``release``.

        A job that is cancelled meanwhile ends with exactly these tiles made.
        """
        self.control(site, "pause_after", tiles=tiles)

    def release(self, site: str) -> None:
        """Let paused jobs go on, and pause none any more."""
        self.control(site, "release")

    def fail_next(self, site: str, message: str, after: int = 0) -> None:
        """Let the next job fail with a message once it has made ``after`` tiles."""
        self.control(site, "fail_next", message=message, after=after)

    def expire_tokens(self, site: str) -> None:
        """Make all tokens issued so far invalid."""
        self.control(site, "expire_tokens")

    def set_token_lifetime(self, site: str, seconds: float) -> None:
        """Cap the validity of tokens issued from now on."""
        self.control(site, "token_lifetime", seconds=seconds)

    def fail_bundles(
        self,
        site: str,
        service: str,
        level: int,
        bundles: Sequence[tuple[int, int]],
        stops: bool = True,
    ) -> None:
        """Let these bundles of ``World:MapServer`` fail: "All server contexts failed".

        ``bundles``: rows and columns counted in bundles (tile // 128); none: all work again.
        ``stops``: the first failure ends the job; else it does the rest and fails at its end. A
        hosted job always does the rest.
        """
        self.control(
            site,
            "fail_bundles",
            service=service,
            level=level,
            bundles=[list(bundle) for bundle in bundles],
            stops=stops,
        )

    def stall(self, site: str, after: int, seconds: float) -> None:
        """Let each job of the site stand still once, for so long, after that many tiles."""
        self.control(site, "stall", after=after, seconds=seconds)

    def items(self, portal: str) -> list[dict[str, Any]]:
        """Return all items of a portal."""
        return list(self.control(portal, "items")["items"])

    def add_items(self, portal: str, items: Sequence[dict[str, Any]]) -> None:
        """Give a portal more items; keys that are not given are as they mostly are."""
        self.control(portal, "add_items", items=list(items))

    def allow_exchange(self, portal: str, allowed: bool) -> None:
        """Let a portal give server tokens for its own, or no longer."""
        self.control(portal, "exchange", allowed=allowed)

    def take_portal_tokens(self, site: str, taken: bool) -> None:
        """Let a federated site take its portal's tokens as they are, or no longer."""
        self.control(site, "portal_tokens", taken=taken)

    def fault(self, site: str, pattern: str, kind: str, count: int = 1, **values: Any) -> None:
        """Let the next requests whose path matches fail; see ``faults.Fault``."""
        self.control(site, "fault", pattern=pattern, kind=kind, count=count, **values)

    def cut(self, site: str, pattern: str, after: int, count: int = 1) -> None:
        """Let the next ``count`` answers whose path matches break off.

        The head is right and promises the whole length; after ``after`` bytes of the body the
        connection is closed. An answer to a range breaks off after ``after`` bytes of the range.
        """
        self.fault(site, pattern, "cut", count, after=after)

    def delay(self, site: str, pattern: str, seconds: float, count: int = 1) -> None:
        """Let the next ``count`` answers come late."""
        self.fault(site, pattern, "delay", count, seconds=seconds)

    def lose_answer(self, site: str, pattern: str, count: int = 1) -> None:
        """Let the next ``count`` requests be carried out, and their answers be lost."""
        self.fault(site, pattern, "lost", count)

    def busy(
        self,
        site: str,
        pattern: str,
        code: int = 503,
        retry_after: float | None = None,
        as_date: bool = False,
        count: int = 1,
    ) -> None:
        """Refuse the next ``count`` requests for the moment, with 503, 429, ...

        ``retry_after``: the seconds that Retry-After names, rounded up; ``as_date``: as a date.
        """
        header = ""
        if retry_after is not None:
            moment = math.ceil(time.time() + retry_after)
            header = formatdate(moment, usegmt=True) if as_date else str(math.ceil(retry_after))
        self.fault(site, pattern, "status", count, code=code, retry_after=header)

    def redirect(
        self, site: str, pattern: str, location: str, code: int = 302, count: int = 1
    ) -> None:
        """Send the next ``count`` requests to another address; "" sends them in a circle."""
        self.fault(site, pattern, "redirect", count, location=location, code=code)

    def forget_jobs(self, site: str) -> None:
        """Stop all jobs where they are; the site knows nothing of them any more."""
        self.control(site, "forget_jobs")

    def restart(self, site: str, away: int = 3) -> None:
        """Forget jobs and tokens, and refuse the next ``away`` requests with 503."""
        self.control(site, "restart", away=away)

    def clock_skew(self, site: str, seconds: float) -> None:
        """Put the site's clock ahead; its tokens live as long as before."""
        self.control(site, "clock_skew", seconds=seconds)

    def heard_urls(self, site: str) -> list[str]:
        """Return the whole address of each request since the reset, with its query."""
        return list(self.control(site, "heard_urls")["urls"])

    def issued_tokens(self, site: str) -> list[str]:
        """Return every token that the site gave since the reset."""
        return list(self.control(site, "issued_tokens")["tokens"])

    def elsewhere_url(self, path: str = "") -> str:
        """Return an address on another origin, which keeps what it hears."""
        return f"{self.url.replace('127.0.0.1', 'localhost')}{ELSEWHERE_PATH}{path}"

    @property
    def login_url(self) -> str:
        """The page of a proxy that wants a sign-in: HTML under HTTP 200."""
        return f"{self.url}{LOGIN_PATH}"

    def elsewhere(self) -> list[dict[str, Any]]:
        """Return method, url, headers and form of what came elsewhere since the last call."""
        return list(self._post(ELSEWHERE_PATH, {})["heard"])

    def set_export_limit(self, site: str, service: str, tiles: int) -> None:
        """Let an export of ``Streets:MapServer`` ask for so many tiles and no more."""
        self.control(site, "export_limit", service=service, tiles=tiles)

    def set_export_allowed(self, site: str, service: str, allowed: bool) -> None:
        """Let a service such as ``Streets:MapServer`` export tiles, or no longer."""
        self.control(site, "export_allowed", service=service, allowed=allowed)

    def spoil_next_package(self, site: str, how: str) -> None:
        """Let the next export of a site give something wrong; several calls queue up.

        ``truncated``: the package breaks off after two thirds (of a folder its largest file does);
        ``scheme``: root.json or conf.xml name another origin and other levels; ``fewer``: every
        third tile is left out; ``foreign``: the tiles stand where others should, half the world
        away.
        """
        self.control(site, "spoil_next_package", how=how)

    def republish(self, site: str, service: str, **values: Any) -> None:
        """Publish a service such as ``Streets:MapServer`` with another tiling scheme.

        ``values`` may hold ``origin`` (x, y), ``tile_size``, ``resolutions`` (of levels 0, 1, ...),
        ``levels`` (ids of the first and last cached one) and ``tile_format``. With another scheme
        the cache is empty.
        """
        self.control(site, "republish", service=service, **values)

    def server_share(self, site: str) -> Path:
        """Return the folder of the server's disk that its caching tasks may read and write.

        Export Cache and ImportCache take paths in it, absolute or relative to it.
        """
        return self.folder / site / "server_shares"

    def clear_faults(self, site: str) -> None:
        """Take all faults away; requests held in silence are answered."""
        self.control(site, "clear_faults")

    def fill(self, site: str, service: str, levels: Sequence[int], **values: Any) -> dict[str, Any]:
        """Make tiles at once, without a client; ``service`` as ``World:MapServer``.

        ``values`` may hold ``mode``, ``extent`` and ``area`` as the caching task takes them.
        Returns the job's status, counts and messages.
        """
        return self.control(site, "fill", service=service, levels=list(levels), **values)

    def jobs(self, site: str) -> list[dict[str, Any]]:
        """Return jobId, jobStatus, paused, done and total of each job, in order."""
        return list(self.control(site, "jobs")["jobs"])

    def wait_until_paused(self, site: str, seconds: float = 30.0) -> None:
        """Return when a job of the site stands still at the mark of ``pause_after``.

        Raises:
            ControlFailed: none does within the time.
        """
        deadline = time.monotonic() + seconds
        while not any(job["paused"] for job in self.jobs(site)):
            if time.monotonic() > deadline:
                raise ControlFailed(f"no job of {site} was paused within {seconds} seconds")
            time.sleep(0.01)

    def submissions(self, site: str) -> list[dict[str, Any]]:
        """Return jobId and form (without token) of each submitted job, in order."""
        return list(self.control(site, "submissions")["submissions"])

    def requests(self, site: str) -> dict[str, int]:
        """Return how often each path was asked for."""
        return dict(self.control(site, "requests")["requests"])


@contextmanager
def running_site(
    folder: Path | str,
    tiles_per_second: float | None = None,
    drawing: str = "qgis",
    python: str = sys.executable,
    tls: bool = False,
) -> Iterator[RunningSite]:
    """Run all sites in a process of their own, for as long as the block lasts.

    Args:
        folder: where caches and the request log go; made where it is missing.
        tiles_per_second: the pace of the jobs at the start; None: as fast as they can.
        drawing: ``qgis`` or, without need of QGIS, ``plain``.
        python: an interpreter with Flask and shapely; inside QGIS this one may not be it.
        tls: speak TLS as well (see ``RunningSite.over_tls``); needs the program ``openssl``.

    Raises:
        ControlFailed: the sites did not start in time.
    """
    command = [python, "-m", _PACKAGE.name, "--folder", str(folder), "--drawing", drawing]
    if tiles_per_second is not None:
        command += ["--tiles-per-second", str(tiles_per_second)]
    if tls:
        command += ["--tls", str(make_certificates(Path(folder).resolve() / "certificates").folder)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "PATH": f"/usr/bin:/bin:{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(_PACKAGE.parent),
            "QT_QPA_PLATFORM": "offscreen",
        },
    )
    try:
        ready = _ready(process)
        yield RunningSite(ready["url"], Path(folder).resolve(), ready["tls"])
    finally:
        _stop(process)


def _ready(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    output = process.stdout
    if output is None:
        raise ControlFailed("the stand-in site has no output")
    ready, _, _ = select.select([output], [], [], _START_SECONDS)
    line = output.readline() if ready else b""
    if not line:
        raise ControlFailed(f"the stand-in site did not start (exit code {process.poll()})")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
