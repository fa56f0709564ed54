"""The parts of an update as jobs of a site's caching task."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

from ..coverage import Area, count_tiles
from ..description import CacheDescription
from ..errors import NotTakenUp, SiteError, TakeUpProblem, UnknownJob
from ..planned import planned_of
from ..request import FailedPlace, UpdateMode, UpdateRequest
from ..site_update import PartState, TakeUp, UpdatePart
from ..tiling import Level
from .address import ServiceAddress, public_address
from .caching import (
    CachingTask,
    Input,
    caching_task_at,
    may_be_same_place,
    narrowed_form,
    place_asked,
    take_up_form,
    update_form,
)
from .client import Client
from .isolation import bundles, pieces
from .jobs import Followed, Job, JobState, submit_job
from .lost_jobs import find_lost, listed
from .site_jobs import Reporter
from .status import open_reporter

OUTPUT = "out_service_url"
"""The caching task's result: address of the updated service."""


class CachingTaskJobs:
    """The jobs of `service` at the caching task at `task_url`; see `PartJobs`.

    `task`: what the task lists, where that was read already.
    """

    is_hosted = False

    def __init__(
        self,
        client: Client,
        service: ServiceAddress,
        task_url: str,
        task: CachingTask | None = None,
    ) -> None:
        self._client, self._service, self.submit_url = client, service, task_url
        # No cached_property: before Python 3.12 all objects of a class share its lock, and a site
        # that keeps silent would hold up the updates on all others.
        self._known_task = task
        self._known_reporter: tuple[Reporter | None] | None = None

    @property
    def _task(self) -> CachingTask:
        if self._known_task is None:
            self._known_task = caching_task_at(self._client, self.submit_url)
        return self._known_task

    @property
    def modes(self) -> tuple[UpdateMode, ...]:
        return tuple(self._task.modes)

    @property
    def reporter(self) -> Reporter | None:
        if self._known_reporter is None:
            self._known_reporter = (self._open_reporter(),)
        return self._known_reporter[0]

    def _open_reporter(self) -> Reporter | None:
        try:
            return open_reporter(self._client, self._service.site_url, self._service.caching_name)
        except SiteError:
            return None

    def parts(
        self, request: UpdateRequest, description: CacheDescription
    ) -> tuple[UpdatePart, ...]:
        """One part for each area of `request`."""
        found = []
        for each in request.by_area():
            form = update_form(self._task, self._service.caching_name, each)
            ids = tuple(level.id for level in each.levels)
            planned = planned_of(description, each.areas, each.levels)
            found.append(UpdatePart(ids, form, planned))
        return tuple(found)

    def submit(self, part: UpdatePart) -> Followed:
        return submit_job(self._client, self.submit_url, part.form)

    def reopen(self, part: UpdatePart) -> Followed:
        job_id = part.job_url.rpartition("/jobs/")[2]
        if not job_id or "/" in job_id or not self._client.is_own(part.job_url):
            raise UnknownJob(public_address(part.job_url))
        return Job(part.job_url, job_id, self._client)

    def listed(self, since: float) -> tuple[str, ...] | None:
        return listed(self._client, self.submit_url, since)

    def find_lost(self, part: UpdatePart, since: float, known: frozenset[str]) -> str | None:
        names = self._task.names
        words = {part.form.get(names[Input.MODE], ""), *self._task.take_ups.values()}
        scales = _numbers(part.form.get(names[Input.LEVELS], ""))
        asked = {
            names[Input.SERVICE]: lambda value: value == self._service.caching_name,
            names[Input.MODE]: lambda value: value in words,
            names[Input.LEVELS]: lambda value: _numbers(value) == scales,
        }
        places = {
            names[key]: partial(may_be_same_place, part.form.get(names[key], ""))
            for key in (Input.AREA, Input.EXTENT)
            if key in names
        }
        return find_lost(self._client, self.submit_url, asked, places, since, known)

    def take_ups(self) -> tuple[TakeUp, ...]:
        return tuple(how for how in TakeUp if how in self._task.take_ups)

    def take_up(self, part: UpdatePart, how: TakeUp) -> Followed:
        if how not in self._task.take_ups:
            raise NotTakenUp(part.job_url, TakeUpProblem.NOT_OFFERED, how.value)
        job_id = part.job_url.rpartition("/jobs/")[2]
        form = take_up_form(self._task, part.form, how, job_id)
        return submit_job(self._client, self.submit_url, form)

    def split(self, part: UpdatePart, description: CacheDescription) -> tuple[UpdatePart, ...]:
        levels, area = _levels_of(part, description), self._area_of(part, description)
        if area is None:
            return ()
        scheme = description.scheme
        return tuple(
            replace(
                part,
                level_ids=tuple(level.id for level in some),
                form=narrowed_form(self._task, part.form, scheme, some, piece),
                planned=count_tiles(scheme, some, piece),
                state=PartState.WAITING,
                job_url="",
                detail="",
                asked_at=0.0,
            )
            for some, piece in pieces(scheme, levels, area)
        )

    def places(
        self, part: UpdatePart, description: CacheDescription, message: str
    ) -> tuple[FailedPlace, ...]:
        area = self._area_of(part, description)
        if area is None:
            return ()
        levels = _levels_of(part, description)
        found = ((level, bundles(description.scheme, level, area)) for level in levels)
        return tuple(
            FailedPlace(level, at.min_row, at.max_row, at.min_col, at.max_col, message)
            for level, at in found
            if at is not None
        )

    def output(self, job: Followed, state: JobState) -> str:
        try:
            value = job.result(state, OUTPUT) if isinstance(job, Job) else None
        except SiteError:
            # the update itself went well; the service's own address is as good
            value = None
        is_address = isinstance(value, str) and value.startswith("http")
        return public_address(str(value)) if is_address else ""

    def _area_of(self, part: UpdatePart, description: CacheDescription) -> Area | None:
        """The area of a part; None where nobody knows it."""
        try:
            place = place_asked(self._task, part.form)
        except (ValueError, json.JSONDecodeError):
            return None
        return description.extent if place is None else place


def _levels_of(part: UpdatePart, description: CacheDescription) -> tuple[Level, ...]:
    known = description.scheme.levels
    return tuple(level for level in known if level.id in part.level_ids)


def _numbers(scales: str) -> list[float]:
    """The scales of a form, in any order and spelling; [] where they are none."""
    try:
        return sorted(round(float(each), 3) for each in scales.split(";") if each.strip())
    except ValueError:
        return []
