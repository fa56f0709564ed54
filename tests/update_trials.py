"""Tries drawn updates on the stand-in site, and judges what came of each by the site itself."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arcgis_server.bundles import BUNDLE_SIDE
from arcgis_server.coverage import tiles_of
from arcgis_server.handle import ELSEWHERE_PATH, PORTALS, PUBLISHER, RunningSite
from arcgis_server.profiles import Service
from arcgis_server.schemes import Lod
from drawn_updates import Bundle, Draw
from secrets_search import Secrets
from shapely.geometry import box

from tile_cache_manager.plugin.core.arcgis.address import service_of
from tile_cache_manager.plugin.core.arcgis.cache import ArcGISCache
from tile_cache_manager.plugin.core.arcgis.client import Client, Repeats
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport
from tile_cache_manager.plugin.core.carrying_on import carry_on
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    JobFailed,
    JobLost,
    SubmissionUnclear,
    TileCacheError,
)
from tile_cache_manager.plugin.core.jobs import JobRecord
from tile_cache_manager.plugin.core.level_areas import LevelArea
from tile_cache_manager.plugin.core.request import (
    Feedback,
    Message,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.site_update import PartState, SiteUpdate

PATIENCE = 0.8
PACE = Pace(first=0.01, longest=0.03, patience=PATIENCE, cancel_patience=PATIENCE)
REPEATS = Repeats(times=2, first_seconds=0.002, longest_seconds=0.01)
LIMIT_SECONDS = 20.0
"""Of an update without faults; some milliseconds are the rule, but the machine may be busy."""
LIMIT_PER_FAULT = 4 * PATIENCE

Tiles = dict[int, dict[tuple[int, int], str]]
"""What a cache holds: by level, the digest of each tile's bytes by row and column."""


@dataclass(frozen=True)
class Target:
    """A service on which updates are tried, as its publisher sees it."""

    site: RunningSite
    key: str
    service: Service
    sign_in: Any
    description: CacheDescription

    @property
    def keys(self) -> tuple[str, ...]:
        """The site, and the portal that signs people in for it."""
        return tuple(dict.fromkeys((self.key, PORTALS.get(self.key, self.key))))

    @property
    def url(self) -> str:
        return self.site.service_url(self.key, self.service.name, self.service.kind)

    def tiles(self) -> Tiles:
        """What lies in its bundles."""
        found = self.site.read_cache(self.key, self.service.name)
        return {
            level: {tile: stored.sha1 for tile, stored in tiles.items()}
            for level, tiles in found.items()
            if tiles
        }


def target(site: RunningSite, key: str, service: Service, sign_in: Any) -> Target:
    """The service of site `key`, described while nothing is wrong."""
    address = service_of(site.service_url(key, service.name, service.kind))
    with closing(RequestsTransport()) as transport:
        client = Client(transport, address.site_url, sign_in, repeats=REPEATS)
        description = ArcGISCache(address, client, PACE).describe()
    return Target(site, key, service, sign_in, description)


@dataclass
class Trial:
    """One drawn update: what was said and kept while it ran, and how it ended."""

    draw: Draw
    target: Target
    record: Path
    messages: list[Message] = field(default_factory=list)
    kept: list[SiteUpdate] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    report: UpdateReport | None = None
    error: BaseException | None = None
    seconds: float = 0.0
    hangs: bool = False
    before: Tiles = field(default_factory=dict)
    submissions: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: list[dict[str, Any]] = field(default_factory=list)
    heard_urls: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    struck: Counter[str] = field(default_factory=Counter)
    _asked: int = 0

    @property
    def limit(self) -> float:
        """Seconds within which it must have ended."""
        return LIMIT_SECONDS + LIMIT_PER_FAULT * len(self.draw.faults)

    @property
    def end(self) -> str:
        """How it ended, in a word."""
        if self.hangs:
            return "hangs"
        if self.report is not None:
            return self.report.outcome.value
        return type(self.error).__name__

    def run(self) -> None:
        """Put the site into its state, and carry the update out on it."""
        site, draw, service = self.target.site, self.draw, self.target.service
        for key in self.target.keys:
            site.controls(key, ("reset", {}))
        if draw.filled:
            site.fill(draw.key, service.task_name, draw.filled)
        site.set_revision(draw.key, 2)
        self.before = self.target.tiles()
        for key in self.target.keys:
            site.controls(key, *self._settings(key))
        self._break(draw.broken)
        self._within_limit(self._update)

    def calm(self) -> None:
        """Take away what is wrong with the site."""
        calm: dict[str, dict[str, Any]] = {
            "clear_faults": {},
            "clock_skew": {"seconds": 0},
            "token_lifetime": {"seconds": 3600},
            "speed": {"tiles_per_second": None},
        }
        for key in self.target.keys:
            self.target.site.controls(key, *calm.items())
        self._break(None)

    def _break(self, bundle: Bundle | None) -> None:
        """Let the site fail at a bundle; None: at none any more."""
        broken = self.draw.broken
        if broken is None:
            return
        self.target.site.fail_bundles(
            self.draw.key,
            self.target.service.task_name,
            broken.level_id,
            [] if bundle is None else [(bundle.row, bundle.col)],
            self.draw.stops,
        )

    def look(self) -> None:
        """See what the site has to tell now."""
        wanted = ("submissions", "jobs", "heard_urls", "issued_tokens", "struck")
        told: dict[str, list[Any]] = {}
        for key in self.target.keys:
            for answer in self.target.site.controls(key, *((name, {}) for name in wanted)):
                for name, values in answer.items():
                    told.setdefault(name, []).extend(values)
        self.submissions = {each["jobId"]: each for each in told["submissions"]}
        self.jobs = [job for job in told["jobs"] if job["jobId"] in self.submissions]
        self.heard_urls, self.tokens = told["urls"], told["tokens"]
        self.struck = Counter(told["struck"])

    def wait_for_jobs(self) -> None:
        """Return when no job of it is at work on the site any more."""
        deadline = time.monotonic() + LIMIT_SECONDS
        while any(not _is_over(job) for job in self.jobs):
            assert time.monotonic() < deadline, f"{self.draw.seed}: jobs go on: {self.jobs}"
            time.sleep(0.005)
            self.look()

    def carry_on(self) -> None:
        """Carry on what was kept of it last; `report` and `error` are then of that."""
        self.report, self.error = None, None
        feedback = Feedback(message=self.messages.append, keep=self.kept.append)

        def carried_on() -> UpdateReport:
            with closing(RequestsTransport()) as transport:
                return carry_on(
                    self.kept[-1],
                    feedback,
                    sign_in=self.target.sign_in,
                    transport=transport,
                    pace=PACE,
                )

        self._within_limit(carried_on)

    def _settings(self, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
        site, draw = self.target.site, self.draw
        yield "speed", {"tiles_per_second": draw.tiles_per_second}
        if draw.lifetime is not None:
            yield "token_lifetime", {"seconds": draw.lifetime}
        if draw.skew:
            yield "clock_skew", {"seconds": draw.skew}
        if draw.failure is not None:
            yield "fail_next", {"message": "The disk is full.", "after": draw.failure}
        elsewhere = site.elsewhere_url("/rest")
        if key != draw.key:  # for a portal, the origin of its site is another one
            elsewhere = f"{site.url}{ELSEWHERE_PATH}/rest"
        where = {"elsewhere": elsewhere, "login": site.login_url}
        for fault in draw.faults:
            yield (
                "fault",
                {
                    **fault.values,
                    "pattern": fault.pattern,
                    "kind": fault.kind,
                    "count": fault.count,
                    "location": where.get(fault.where, ""),
                },
            )

    def _within_limit(self, work: Callable[[], UpdateReport]) -> None:
        def run() -> None:
            try:
                self.report = work()
            except BaseException as error:  # whatever it is, it is judged
                self.error = error

        thread = threading.Thread(target=run, name=self.draw.seed, daemon=True)
        started = time.monotonic()
        with _Logged(self.draw.seed, self.logged):
            thread.start()
            thread.join(self.limit)
            self.hangs = thread.is_alive()
            self.seconds = time.monotonic() - started
            if self.hangs:
                self.calm()
                self._asked = 1_000_000
                thread.join(60)

    def _update(self) -> UpdateReport:
        address = service_of(self.target.url)
        feedback = Feedback(
            cancelled=lambda: self._reached(self.draw.cancel_after),
            abandoned=lambda: self._reached(self.draw.let_go_after),
            message=self.messages.append,
            keep=self.kept.append,
        )
        with closing(RequestsTransport()) as transport:
            client = Client(
                transport,
                address.site_url,
                self.target.sign_in,
                repeats=REPEATS,
                cancelled=lambda: feedback.cancelled() or feedback.abandoned(),
            )
            return ArcGISCache(address, client, PACE).update(self.request(), feedback)

    def _reached(self, mark: int | None) -> bool:
        self._asked += 1
        return mark is not None and self._asked > mark

    def request(self) -> UpdateRequest:
        """What the plugin is asked for."""
        draw, scheme = self.draw, self.target.description.scheme
        levels = tuple(
            level for group in draw.groups for level in scheme.levels if level.id in group.level_ids
        )
        area: Any = draw.groups[0].area
        if len(draw.groups) > 1:
            area = tuple(LevelArea(group.level_ids, group.area) for group in draw.groups)
        return UpdateRequest.of(
            self.target.description,
            levels,
            UpdateMode(draw.mode),
            area,
            wait=draw.wait,
            isolates_failures=draw.isolates,
        )

    def touched(self) -> dict[int, set[tuple[int, int]]]:
        """The tiles that it is about, by level: every tile tried with shapely."""
        service = self.target.service
        found = {}
        for group in self.draw.groups:
            area = box(*service.full_extent) if group.area is None else group.area
            for level in group.level_ids:
                lod = service.scheme.lod(level)
                found[level] = set(tiles_of(service, lod, area))
                if self.target.description.is_hosted:
                    found[level] = _whole_bundles(found[level], service, lod)
        return found


def _whole_bundles(tiles: set[Any], service: Service, lod: Lod) -> set[Any]:
    """All tiles of the bundles that some are in, as far as the service reaches."""
    bundles = {(row // BUNDLE_SIDE, col // BUNDLE_SIDE) for row, col in tiles}
    return {
        (row, col)
        for row, col in tiles_of(service, lod, box(*service.full_extent))
        if (row // BUNDLE_SIDE, col // BUNDLE_SIDE) in bundles
    }


def _is_over(job: dict[str, Any]) -> bool:
    return job["jobStatus"].lower() not in {
        *("esrijobsubmitted", "esrijobwaiting", "esrijobexecuting", "esrijobcancelling"),
        *("submitted", "inprogress", "running", "processing"),
    }


class _Logged(logging.Handler):
    """Collects what a thread logs, at every level."""

    def __init__(self, thread_name: str, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._thread_name, self._lines = thread_name, lines

    def emit(self, record: logging.LogRecord) -> None:
        if record.threadName == self._thread_name:
            self._lines.append(self.format(record))

    def __enter__(self) -> _Logged:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)


# --- verdicts: each gives what is wrong, in words ----------------------------------------------


def verdicts(trial: Trial, sentence: Callable[[Exception], str] | None) -> list[str]:
    """What is wrong with a trial that has run; nothing may be."""
    if trial.hangs:
        return [f"did not end within {trial.limit:.0f} s"]
    trial.look()
    found = [*_of_the_end(trial, sentence), *_of_the_record(trial), *_of_work_done_twice(trial)]
    return [*found, *_of_tiles(trial), *_of_secrets(trial, sentence)]


def verdicts_on_carrying_on(trial: Trial, sentence: Callable[[Exception], str] | None) -> list[str]:
    """What is wrong once an update was carried on, on a site that works well again."""
    found = verdicts(trial, sentence)
    if trial.hangs or not trial.kept:
        return found
    states = [part.state for part in trial.kept[-1].parts]
    if isinstance(trial.error, SubmissionUnclear):
        begun = {job["jobId"] for job in trial.jobs}
        known = {url.rpartition("/")[2] for url in trial.kept[-1].job_urls}
        # where nobody could tell which jobs there were before, none is taken for ours
        if begun - known and not trial.draw.hides_jobs:
            found.append(f"did not find {begun - known} among the jobs of the site")
    elif not trial.kept[-1].has_ended:
        found.append(f"is kept as {[state.value for state in states]} after its end")
    elif PartState.LOST in states and not trial.draw.forgets:
        found.append("is lost, though the site knows it")
    elif trial.error is not None and not isinstance(trial.error, (JobFailed, JobLost)):
        found.append(f"raised {trial.error!r}")
    return found


def _of_the_end(trial: Trial, sentence: Callable[[Exception], str] | None) -> list[str]:
    error = trial.error
    if error is None:
        return _of_the_report(trial)
    if not isinstance(error, TileCacheError):
        trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        return [f"raised what nobody foresaw:\n{trace}"]
    if sentence is not None:
        words = sentence(error)
        if "unexpected" in words or len(words) < 20:
            return [f"has no clear sentence for {type(error).__name__}: {words!r}"]
    return []


def _of_the_report(trial: Trial) -> list[str]:
    report = trial.report
    if report is None:
        return ["gave no report"]
    running = [job["jobId"] for job in trial.jobs if not _is_over(job)]
    if report.outcome is not Outcome.SUBMITTED and running:
        return [f"is {report.outcome.value}, but {running} go on"]
    told = {url.rpartition("/")[2] for url in (*report.earlier_job_urls, report.job_url) if url}
    if told != set(trial.submissions):
        return [f"tells of the jobs {sorted(told)}, but begun are {sorted(trial.submissions)}"]
    return []


def _of_the_record(trial: Trial) -> list[str]:
    """Every job that the site has begun can be found again: by the record, or it is ended."""
    begun = set(trial.submissions)
    if not begun:
        return []
    if not trial.kept:
        return [f"kept nothing, but the site has begun {sorted(begun)}"]
    recorded = JobRecord(trial.record)
    recorded.keep(trial.kept[-1], "signin1")
    for url in trial.kept[-1].job_urls:
        if recorded.find(url).update != trial.kept[-1]:
            return [f"is not found in the record by {url}"]
    parts = trial.kept[-1].parts
    known = {part.job_url.rpartition("/")[2] for part in parts if part.job_url}
    unclear = [part for part in parts if part.state is PartState.UNCLEAR]
    if len(begun - known) > len(unclear):
        states = [part.state.value for part in parts]
        return [f"lost sight of {sorted(begun - known)}: kept {states} of {sorted(known)}"]
    return []


def _of_work_done_twice(trial: Trial) -> list[str]:
    """No area is asked for twice, as far as the site heard."""
    forms = Counter(
        json.dumps(
            {
                "task": each["task"],
                **{k: v for k, v in each["form"].items() if k not in ("token", "f")},
            },
            sort_keys=True,
        )
        for each in trial.submissions.values()
    )
    return [f"asked the site {n} times for {form}" for form, n in forms.items() if n > 1]


def _of_tiles(trial: Trial) -> list[str]:
    """What is outside stays; done is done to the tile; reports count right."""
    after, before, touched = trial.target.tiles(), trial.before, trial.touched()
    found = []
    for level in sorted({*after, *before}):
        inside = touched.get(level, set())
        was, now = before.get(level, {}), after.get(level, {})
        changed = {t for t in was.keys() | now.keys() if was.get(t) != now.get(t)}
        if changed - inside:
            found.append(f"level {level}: changed outside of its area: {_few(changed - inside)}")
    if trial.report is not None and trial.report.outcome is Outcome.DONE:
        for level, inside in touched.items():
            was, now = before.get(level, {}), after.get(level, {})
            found += _of_a_done_level(trial, level, inside, was, now)
    if trial.report is not None and trial.report.outcome is Outcome.PARTIAL:
        for level, inside in touched.items():
            wrong = _undone(trial.draw.mode, inside, before.get(level, {}), after.get(level, {}))
            wrong = {tile for tile in wrong if not _has_failed(trial, level, *tile)}
            found += [f"level {level}: not done, nor told to have failed: {_few(wrong)}"] * bool(
                wrong
            )
    return found


def _has_failed(trial: Trial, level: int, row: int, col: int) -> bool:
    """Whether a tile could not be made, or is told so."""
    row, col = row // BUNDLE_SIDE, col // BUNDLE_SIDE
    return trial.draw.broken == Bundle(level, row, col) or any(
        place.level.id == level
        and place.first_row <= row <= place.last_row
        and place.first_col <= col <= place.last_col
        for place in trial.report.failed_places
    )


def _undone(mode: str, inside: set[Any], was: dict[Any, str], now: dict[Any, str]) -> set[Any]:
    """Tiles that are not what they are to be once an update in that mode is done."""
    if mode == "DELETE_TILES":
        return inside & now.keys()
    if mode == "RECREATE_ALL_TILES":
        return {tile for tile in inside if now.get(tile) in (None, was.get(tile))}
    return {tile for tile in inside if tile not in now or now[tile] != was.get(tile, now[tile])}


def _of_a_done_level(
    trial: Trial, level: int, inside: set[Any], was: dict[Any, str], now: dict[Any, str]
) -> list[str]:
    mode = trial.draw.mode
    there = inside & was.keys()
    wrong = _undone(mode, inside, was, now)
    if mode == "DELETE_TILES":
        truth = {"made": 0, "replaced": 0, "skipped": 0, "deleted": len(there)}
    elif mode == "RECREATE_ALL_TILES":
        truth = {"made": len(inside - there), "replaced": len(there), "skipped": 0, "deleted": 0}
    else:
        truth = {"made": len(inside - there), "replaced": 0, "skipped": len(there), "deleted": 0}
    found = [f"level {level}: done, but not {_few(wrong)}"] if wrong else []
    told = next(each for each in trial.report.levels if each.level.id == level)
    for name, number in {**truth, "planned": len(inside)}.items():
        if getattr(told, name) not in (None, number):
            found.append(f"level {level}: {name} {getattr(told, name)}, in truth {number}")
    return found


def _of_secrets(trial: Trial, sentence: Callable[[Exception], str] | None) -> list[str]:
    secrets = Secrets(PUBLISHER.password, *trial.tokens)
    secrets.add_basic(PUBLISHER.name, PUBLISHER.password)
    places = {
        "an address": "\n".join(trial.heard_urls),
        "the log": "\n".join(trial.logged),
        "a message": "\n".join(_words_of(message, sentence) for message in trial.messages),
        "what is kept": "\n".join(map(_all_of, trial.kept)),
        "the record": trial.record.read_text("utf-8") if trial.record.exists() else "",
        "the report": repr(trial.report),
        "the error": _words_of_error(trial.error, sentence),
    }
    return [
        f"a secret can be read in {place}"
        for place, words in places.items()
        if secrets.found_in(words)
    ]


def _all_of(update: SiteUpdate) -> str:
    """All that is in it, what its repr leaves out as well."""
    return repr(update) + repr([dict(part.form) for part in update.parts])


def _words_of(message: Message, sentence: Callable[[Exception], str] | None) -> str:
    return f"{message!r} {_words_of_error(message.error, sentence)}"


def _words_of_error(
    error: BaseException | None, sentence: Callable[[Exception], str] | None
) -> str:
    if error is None:
        return ""
    words = [repr(error), str(error), repr(vars(error))]
    words += traceback.format_exception(type(error), error, error.__traceback__)
    if sentence is not None and isinstance(error, Exception):
        words.append(sentence(error))
    return "\n".join(words)


def _few(tiles: set[Any]) -> str:
    return f"{len(tiles)} tiles: {sorted(tiles)[:4]}"
