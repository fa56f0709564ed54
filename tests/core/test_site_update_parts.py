"""An update in parts, by jobs that are made up: what is asked for, kept and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from scripted_site import Recorder

from tile_cache_manager.plugin.core.arcgis import site_updates
from tile_cache_manager.plugin.core.arcgis.jobs import JobPhase, JobState, Pace
from tile_cache_manager.plugin.core.arcgis.site_updates import UpdateRun
from tile_cache_manager.plugin.core.arcgis.update_reports import report_of
from tile_cache_manager.plugin.core.description import CacheDescription
from tile_cache_manager.plugin.core.errors import (
    CancelUnconfirmed,
    JobFailed,
    JobLost,
    NotAllowed,
    NotArcGIS,
    NotFound,
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteRefused,
    SiteUnreachable,
    SubmissionUnclear,
    TileCacheError,
    Unreachable,
)
from tile_cache_manager.plugin.core.request import (
    FailedPlace,
    Feedback,
    Outcome,
    UpdateMode,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.site_update import PartState, SiteUpdate, TakeUp, UpdatePart
from tile_cache_manager.plugin.core.tiling import Level

WAITING, UNCLEAR, RUNNING, DONE, PARTIAL, CANCELLED, FAILED, LOST = PartState
PACE = Pace(first=0.0005, longest=0.001, patience=0.05, cancel_patience=0.05)
LEVELS = (Level(7, 10.0, 40000.0), Level(8, 5.0, 20000.0), Level(9, 2.5, 10000.0))
ADMIN = "https://maps.example/arcgis/task"
BROKEN = SiteUnreachable(ADMIN, Unreachable.BROKEN)


def state(phase: JobPhase, percent: float | None = None) -> JobState:
    status = {JobPhase.RUNNING: "esriJobExecuting"}.get(phase, phase.value)
    return JobState("j", status, phase, percent, (), {})


class MadeUpJob:
    """A job whose `states` are told one after the other, the last one for ever; or raised."""

    def __init__(self, url: str, states: list[Any]) -> None:
        self.url, self._states = url, states
        self.cancels = 0

    def state(self) -> JobState:
        found = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        if isinstance(found, Exception):
            raise found
        return found

    def cancel(self) -> None:
        self.cancels += 1
        self._states[:] = [state(JobPhase.CANCELLED)]


class MadeUpJobs:
    """`PartJobs` whose part n is answered by `answers[n]`: states of a job, or an error.

    `found`: what is told of lost ones. `asked`: (what, part's form) of each request that changes
    something.
    """

    is_hosted = False
    submit_url = ADMIN
    modes = tuple(UpdateMode)
    reporter = None

    def __init__(self, *answers: Any, found: str | None = None) -> None:
        self._answers = list(answers)
        self.found = found
        self.others: Any = ()
        self.asked: list[tuple[str, str]] = []
        self.jobs: dict[str, MadeUpJob] = {}
        self.looks = 0

    def parts(self, request: UpdateRequest, description: CacheDescription) -> Any:
        raise NotImplementedError

    def listed(self, since: float) -> Any:
        if isinstance(self.others, Exception):
            raise self.others
        return self.others

    def submit(self, part: UpdatePart) -> MadeUpJob:
        self.asked.append(("submit", part.form["name"]))
        return self._next()

    def take_up(self, part: UpdatePart, how: TakeUp) -> MadeUpJob:
        self.asked.append((how.value, part.form["name"]))
        return self._next()

    def reopen(self, part: UpdatePart) -> MadeUpJob:
        return self.jobs.setdefault(part.job_url, MadeUpJob(part.job_url, [done()]))

    def find_lost(self, part: UpdatePart, since: float, known: frozenset[str]) -> str | None:
        self.looks += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found if self.found not in known else None

    def take_ups(self) -> tuple[TakeUp, ...]:
        return tuple(TakeUp)

    def split(self, part: UpdatePart, description: Any) -> tuple[UpdatePart, ...]:
        """Names of one letter are one bundle, longer ones are cut in the middle."""
        name = part.form["name"]
        middle = len(name) // 2
        pieces = (name[:middle], name[middle:]) if middle else ()
        return tuple(one(each, part.level_ids) for each in pieces)

    def places(self, part: UpdatePart, description: Any, message: str) -> Any:
        first, last = ord(part.form["name"][0]), ord(part.form["name"][-1])
        return (FailedPlace(LEVELS[0], first, last, 0, 0, message),)

    def output(self, job: Any, state: JobState) -> str:
        return ""

    def _next(self) -> MadeUpJob:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        job = MadeUpJob(f"{ADMIN}/jobs/j{len(self.jobs) + 1}", answer)
        self.jobs[job.url] = job
        return job


def done() -> JobState:
    return state(JobPhase.SUCCEEDED)


def one(name: str, ids: tuple[int, ...] = (7,), **more: Any) -> UpdatePart:
    return UpdatePart(ids, {"name": name}, dict.fromkeys(ids, 10), **more)


def update(*parts: UpdatePart, **more: Any) -> SiteUpdate:
    return SiteUpdate(
        key="k",
        address="https://maps.example/arcgis/rest/services/Town/MapServer",
        name="Town",
        mode=UpdateMode.RECREATE_ALL,
        levels=LEVELS[: len({key for part in parts for key in part.level_ids})],
        submit_url=ADMIN,
        parts=parts,
        started=5.0,
        changed=5.0,
        **more,
    )


class Run:
    """A run, and what was heard of it."""

    def __init__(self, jobs: MadeUpJobs, begun: SiteUpdate, **more: Any) -> None:
        self.kept: list[SiteUpdate] = []
        self.recorder = Recorder()
        self.cancelled: Callable[[], bool] = lambda: False
        self.abandoned: Callable[[], bool] = lambda: False
        feedback = Feedback(
            self.recorder.percents.append,
            lambda: self.cancelled(),
            self.recorder.messages.append,
            lambda: self.abandoned(),
            self.kept.append,
        )
        pace = more.pop("pace", PACE)
        self.run = UpdateRun(begun, jobs, feedback, pace, lambda: None, **more)  # type: ignore[arg-type, return-value]

    def error(self, follows: bool = True) -> TileCacheError | None:
        try:
            self.run.run(follows=follows)
        except TileCacheError as error:
            return error
        return None

    @property
    def states(self) -> list[PartState]:
        return [part.state for part in self.run.update.parts]


TWO = (one("a"), one("b", (8,)))


# --- what an answer to a submission means --------------------------------------------------------

PAGE = NotArcGIS(ADMIN, 200, "text/html;charset=utf-8")
# the answer to the first of two parts; error, states afterwards
FIRST_ANSWERS: list[tuple[Exception, type[Exception], list[PartState]]] = [
    (SiteUnreachable(ADMIN, Unreachable.REFUSED), SiteUnreachable, [FAILED, CANCELLED]),
    (SiteUnreachable(ADMIN, Unreachable.NAME), SiteUnreachable, [FAILED, CANCELLED]),
    (SiteUnreachable(ADMIN, Unreachable.CERTIFICATE), SiteUnreachable, [FAILED, CANCELLED]),
    (SiteUnreachable(ADMIN, Unreachable.BROKEN), SubmissionUnclear, [UNCLEAR, WAITING]),
    (SiteUnreachable(ADMIN, Unreachable.TIMEOUT), SubmissionUnclear, [UNCLEAR, WAITING]),
    (SiteUnreachable(ADMIN, Unreachable.TOO_LARGE), SubmissionUnclear, [UNCLEAR, WAITING]),
    (NotArcGIS(ADMIN, 200, "application/json"), SubmissionUnclear, [UNCLEAR, WAITING]),
    (NotArcGIS(ADMIN, 500, "text/html"), SubmissionUnclear, [UNCLEAR, WAITING]),
    (PAGE, NotArcGIS, [FAILED, CANCELLED]),
    (SiteRefused(ADMIN, 502, ""), SubmissionUnclear, [UNCLEAR, WAITING]),
    (SiteRefused(ADMIN, 504, ""), SubmissionUnclear, [UNCLEAR, WAITING]),
    (SiteRefused(ADMIN, 503, ""), SiteRefused, [FAILED, CANCELLED]),
    (SiteRefused(ADMIN, 500, "No."), SiteRefused, [FAILED, CANCELLED]),
    (NotAllowed(ADMIN, 403, "No."), NotAllowed, [FAILED, CANCELLED]),
    (SignInNeeded(ADMIN, 499, "Token"), SignInNeeded, [FAILED, CANCELLED]),
    (SignInFailed(ADMIN, SignInProblem.REFUSED), SignInFailed, [FAILED, CANCELLED]),
    (JobFailed(ADMIN, "no jobId"), JobFailed, [FAILED, CANCELLED]),
]


@pytest.mark.parametrize(("answer", "error", "states"), FIRST_ANSWERS, ids=str)
def test_answers_to_the_first_submission(
    answer: Exception, error: type[Exception], states: list[PartState]
) -> None:
    jobs = MadeUpJobs(answer)
    run = Run(jobs, update(*TWO))

    assert type(run.error()) is error
    assert run.states == states
    assert run.kept[-1] == run.run.update
    assert jobs.asked == [("submit", "a")]


# what can be tried again later leaves a later part waiting
LATER_ANSWERS: list[tuple[Exception, list[PartState]]] = [
    (SiteUnreachable(ADMIN, Unreachable.CERTIFICATE), [DONE, WAITING]),
    (SignInNeeded(ADMIN, 498, "Token"), [DONE, WAITING]),
    (SignInFailed(ADMIN, SignInProblem.REFUSED), [DONE, WAITING]),
    (PAGE, [DONE, WAITING]),
    (SiteRefused(ADMIN, 400, "No."), [DONE, FAILED]),
    (JobFailed(ADMIN, "no jobId"), [DONE, FAILED]),
    (BROKEN, [DONE, UNCLEAR]),
]


@pytest.mark.parametrize(("answer", "states"), LATER_ANSWERS, ids=str)
def test_answers_to_a_later_submission(answer: Exception, states: list[PartState]) -> None:
    jobs = MadeUpJobs([done()], answer, [done()])
    run = Run(jobs, update(*TWO))

    assert run.error() is not None
    assert run.states == states
    again = Run(jobs, run.kept[-1])
    if states[1] is WAITING:
        assert again.error() is None
        assert again.states == [DONE, DONE]
    else:
        asked = list(jobs.asked)
        again.error()
        assert jobs.asked == asked


NO_ROOM = [
    SiteUnreachable(ADMIN, Unreachable.REFUSED),
    SiteUnreachable(ADMIN, Unreachable.NAME),
    SiteUnreachable(ADMIN, Unreachable.PROXY),
    SiteRefused(ADMIN, 503, ""),
    SiteRefused(ADMIN, 429, ""),
]


@pytest.mark.parametrize("answer", NO_ROOM, ids=str)
def test_a_site_without_room_for_a_later_part_is_asked_again(answer: Exception) -> None:
    jobs = MadeUpJobs([done()], answer, answer, answer, [done()])
    run = Run(jobs, update(*TWO))

    assert run.error() is None
    assert run.states == [DONE, DONE]
    assert jobs.asked == [("submit", "a"), *[("submit", "b")] * 4]
    assert [message.error for message in run.recorder.messages] == [answer]


@pytest.mark.parametrize("answer", NO_ROOM, ids=str)
def test_whoever_does_not_wait_hears_at_once_that_there_is_no_room(answer: Exception) -> None:
    jobs = MadeUpJobs([done()], answer)
    run = Run(jobs, update(*TWO))

    assert run.error(follows=False) is answer
    assert run.states == [RUNNING, WAITING]


def test_waiting_for_room_has_an_end() -> None:
    busy = SiteRefused(ADMIN, 503, "")
    jobs = MadeUpJobs([done()], *[busy] * 10_000)
    run = Run(jobs, update(*TWO), pace=replace(PACE, patience=0.05))

    assert run.error() is busy
    assert run.states == [DONE, WAITING]


@pytest.mark.parametrize(
    ("how", "states"), [("cancelled", [DONE, CANCELLED]), ("abandoned", [DONE, WAITING])]
)
def test_waiting_for_room_can_be_stopped(how: str, states: list[PartState]) -> None:
    jobs = MadeUpJobs([done()], *[SiteRefused(ADMIN, 503, "")] * 10_000)
    run = Run(jobs, update(*TWO))
    setattr(run, how, lambda: len(jobs.asked) > 3)

    assert run.error() is None
    assert run.states == states
    assert run.kept[-1] == run.run.update


@pytest.mark.parametrize("answer", [BROKEN, NotArcGIS(ADMIN, 200, "text/plain"), PAGE], ids=str)
def test_a_lost_answer_is_looked_for_first(answer: Exception) -> None:
    jobs = MadeUpJobs(answer, [done()], found=f"{ADMIN}/jobs/lost")
    run = Run(jobs, update(*TWO))

    assert run.error() is None
    assert run.states == [DONE, DONE]
    assert run.run.update.job_urls == (f"{ADMIN}/jobs/lost", f"{ADMIN}/jobs/j2")
    assert jobs.asked == [("submit", "a"), ("submit", "b")]


@pytest.mark.parametrize("others", [None, BROKEN], ids=str)
def test_nothing_is_looked_for_where_nobody_told_what_was_there(others: Any) -> None:
    jobs = MadeUpJobs(BROKEN, found=f"{ADMIN}/jobs/earlier")
    jobs.others = others

    assert isinstance(Run(jobs, update(*TWO)).error(), SubmissionUnclear)
    assert jobs.looks == 0


def test_looking_for_a_lost_one_has_an_end() -> None:
    jobs = MadeUpJobs(BROKEN, found=BROKEN)  # type: ignore[arg-type]

    assert isinstance(Run(jobs, update(*TWO)).error(), SubmissionUnclear)
    assert jobs.looks == site_updates.LOOKS_FOR_LOST


# --- ends ----------------------------------------------------------------------------------------

FORGOTTEN = NotFound(ADMIN, 404, "No such job.")
# states that the first of two jobs tells, error, states of the parts afterwards
ENDS: list[tuple[list[Any], type[Exception] | None, list[PartState]]] = [
    ([state(JobPhase.RUNNING), done()], None, [DONE, DONE]),
    ([state(JobPhase.PARTIAL)], None, [PARTIAL, DONE]),
    ([state(JobPhase.FAILED)], JobFailed, [FAILED, CANCELLED]),
    ([state(JobPhase.DELETED)], JobFailed, [FAILED, CANCELLED]),
    ([state(JobPhase.CANCELLED)], None, [CANCELLED, CANCELLED]),
    ([FORGOTTEN], JobLost, [LOST, CANCELLED]),
    ([BROKEN], JobLost, [RUNNING, WAITING]),
    ([SignInFailed(ADMIN, SignInProblem.REFUSED)], JobLost, [RUNNING, WAITING]),
    ([NotAllowed(ADMIN, 403, "No.")], JobLost, [RUNNING, WAITING]),
]


@pytest.mark.parametrize(("told", "error", "states"), ENDS, ids=str)
def test_ends(told: list[Any], error: type[Exception] | None, states: list[PartState]) -> None:
    run = Run(MadeUpJobs(list(told), [done()]), update(*TWO))

    found = run.error()

    assert (None if found is None else type(found)) is error
    assert run.states == states
    assert run.kept[-1] == run.run.update


def test_of_several_that_run_all_are_followed_before_one_that_failed_is_told() -> None:
    begun = update(
        *(
            one(name, (7,), state=RUNNING, job_url=f"{ADMIN}/jobs/{name}", asked_at=1.0)
            for name in "abc"
        )
    )
    jobs = MadeUpJobs()
    jobs.jobs[f"{ADMIN}/jobs/a"] = MadeUpJob(f"{ADMIN}/jobs/a", [state(JobPhase.FAILED)])
    jobs.jobs[f"{ADMIN}/jobs/b"] = MadeUpJob(f"{ADMIN}/jobs/b", [FORGOTTEN])
    run = Run(jobs, begun)

    error = run.error()

    assert isinstance(error, JobFailed)
    assert error.job_url.endswith("/a")
    assert run.states == [FAILED, LOST, DONE]


def test_a_cancellation_that_is_not_confirmed() -> None:
    class Stubborn(MadeUpJob):
        def cancel(self) -> None:
            self.cancels += 1

    jobs = MadeUpJobs()
    url = f"{ADMIN}/jobs/a"
    jobs.jobs[url] = Stubborn(url, [state(JobPhase.RUNNING)])
    run = Run(jobs, update(one("a", state=RUNNING, job_url=url, asked_at=1.0), one("b", (8,))))
    run.cancelled = lambda: True

    assert isinstance(run.error(), CancelUnconfirmed)
    assert run.states == [RUNNING, CANCELLED]


def test_cancelled_before_anything_nothing_is_kept() -> None:
    jobs = MadeUpJobs()
    run = Run(jobs, update(*TWO))
    run.cancelled = lambda: True

    assert run.error() is None
    assert jobs.asked == run.kept == []
    assert report_of(run.run.update, {}).outcome is Outcome.CANCELLED


def test_cancelled_while_all_is_submitted_what_runs_is_cancelled_too() -> None:
    jobs = MadeUpJobs([state(JobPhase.RUNNING)], [state(JobPhase.RUNNING)])
    run = Run(jobs, update(*TWO))
    run.cancelled = lambda: len(jobs.asked) >= 1

    assert run.error(follows=False) is None
    assert run.states == [CANCELLED, CANCELLED]
    assert [job.cancels for job in jobs.jobs.values()] == [1]


def test_without_following_all_is_submitted() -> None:
    jobs = MadeUpJobs([state(JobPhase.RUNNING)], [state(JobPhase.RUNNING)])
    run = Run(jobs, update(*TWO))

    assert run.error(follows=False) is None
    assert run.states == [RUNNING, RUNNING]
    report = report_of(run.run.update, {})
    assert report.outcome is Outcome.SUBMITTED
    assert (report.job_id, report.earlier_job_urls) == ("j2", (f"{ADMIN}/jobs/j1",))


# --- taking up -----------------------------------------------------------------------------------


def test_each_take_up_is_one_request() -> None:
    begun = update(
        one("a", state=CANCELLED, job_url=f"{ADMIN}/jobs/old", asked_at=1.0),
        one("b", (8,), state=DONE, job_url=f"{ADMIN}/jobs/fine", asked_at=2.0),
        one("c", (9,), state=WAITING),
    )
    jobs = MadeUpJobs([done()], [done()])
    run = Run(jobs, begun, take_ups={0: TakeUp.RESUME})

    assert run.error() is None
    assert jobs.asked == [("RESUME_JOB", "a"), ("submit", "c")]
    assert run.states == [DONE, DONE, DONE]
    assert f"{ADMIN}/jobs/old" not in run.run.update.job_urls


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        (SiteUnreachable(ADMIN, Unreachable.REFUSED), CANCELLED),
        (SiteRefused(ADMIN, 400, "No."), CANCELLED),
        (BROKEN, UNCLEAR),
    ],
    ids=str,
)
def test_a_take_up_that_does_not_arrive_changes_nothing(
    answer: Exception, after: PartState
) -> None:
    begun = update(one("a", state=CANCELLED, job_url=f"{ADMIN}/jobs/old", asked_at=1.0))
    run = Run(MadeUpJobs(answer), begun, take_ups={0: TakeUp.RESUME})

    assert run.error() is not None
    assert run.states == [after]
    if after is CANCELLED:
        assert run.run.update.parts == begun.parts


# --- isolating -----------------------------------------------------------------------------------


class Failing(MadeUpJobs):
    """Jobs that fail where one of the letters in `bad` is among what they are about."""

    def __init__(self, bad: str, words: str = "All server contexts failed") -> None:
        super().__init__()
        self.bad, self.words = bad, words

    def submit(self, part: UpdatePart) -> MadeUpJob:
        name = part.form["name"]
        self.asked.append(("submit", name))
        fails = JobState("j", self.words, JobPhase.FAILED, None, (), {})
        url = f"{ADMIN}/jobs/{name}"
        self.jobs[url] = MadeUpJob(url, [fails if set(name) & set(self.bad) else done()])
        return self.jobs[url]


EVERY = "abcdefghijklmnop"


@pytest.mark.parametrize("bad", ["a", "p", "h", "ap", "aceg", "hi"])
def test_what_fails_is_found(bad: str) -> None:
    jobs = Failing(bad)
    run = Run(jobs, update(one(EVERY), isolates_failures=True))

    assert run.error() is None
    places = run.run.update.failed_places
    assert sorted(chr(place.first_row) for place in places) == sorted(bad)
    assert all(place.first_row == place.last_row for place in places)
    succeeded = {
        letter
        for part in run.run.update.parts
        if part.state is DONE
        for letter in part.form["name"]
    }
    assert succeeded == set(EVERY) - set(bad)
    names = [name for _, name in jobs.asked]
    assert len(names) == len(set(names))
    assert report_of(run.run.update, {}).outcome is Outcome.PARTIAL
    assert run.recorder.percents == sorted(run.recorder.percents)


def test_what_was_only_a_moment_of_weakness_ends_well() -> None:
    jobs = Failing("a")
    begun = update(one("ab"), isolates_failures=True)
    run = Run(jobs, begun)
    jobs_submit = jobs.submit

    def once(part: UpdatePart) -> MadeUpJob:
        job = jobs_submit(part)
        jobs.bad = ""
        return job

    jobs.submit = once  # type: ignore[method-assign]

    assert run.error() is None
    assert report_of(run.run.update, {}).outcome is Outcome.DONE
    assert run.run.update.state is DONE
    assert run.run.update.failed_places == ()


def test_a_single_bundle_that_fails_is_listed() -> None:
    run = Run(Failing("a"), update(one("a"), isolates_failures=True))

    assert run.error() is None
    assert len(run.run.update.failed_places) == 1


@pytest.mark.parametrize(
    "words",
    ["Failed to execute. Parameters are not valid.", "ERROR 000800: The value is not a member of"],
)
def test_a_request_that_is_refused_is_not_split(words: str) -> None:
    jobs = Failing("a", words)
    run = Run(jobs, update(one(EVERY), isolates_failures=True))

    assert isinstance(run.error(), JobFailed)
    assert jobs.asked == [("submit", EVERY)]
    assert run.states == [FAILED]


def test_where_everything_fails_it_is_given_up() -> None:
    name = "".join(chr(0x4E00 + number) for number in range(256))
    jobs = Failing(name)
    run = Run(jobs, update(one(name), isolates_failures=True))

    assert isinstance(run.error(), JobFailed)
    assert len(jobs.asked) < 20
    assert run.run.update.state is FAILED
    covered = {
        row
        for place in run.run.update.failed_places
        for row in range(place.first_row, place.last_row + 1)
    }
    assert covered == {ord(letter) for letter in name}


def test_isolating_goes_on_in_another_run() -> None:
    jobs = Failing("c")
    run = Run(jobs, update(one(EVERY), isolates_failures=True))
    run.abandoned = lambda: len(jobs.asked) >= 3
    assert run.error() is None

    again = Run(jobs, run.kept[-1])

    assert again.error() is None
    assert [chr(place.first_row) for place in again.run.update.failed_places] == ["c"]
    names = [name for _, name in jobs.asked]
    assert len(names) == len(set(names))


def test_one_that_was_split_counts_once() -> None:
    split = replace(one("ab"), state=FAILED, is_split=True, job_url=f"{ADMIN}/jobs/ab")
    ended = update(
        split,
        replace(one("a"), state=DONE, job_url=f"{ADMIN}/jobs/a"),
        replace(one("b"), state=DONE, job_url=f"{ADMIN}/jobs/b"),
    )

    report = report_of(ended, {})

    assert report.outcome is Outcome.DONE
    assert report.total("planned") == 20
    assert len(report.earlier_job_urls) == 2


@pytest.mark.parametrize("isolates", [False, True])
@pytest.mark.parametrize(
    ("phase", "end"), [(JobPhase.FAILED, FAILED), (JobPhase.PARTIAL, PARTIAL)], ids=str
)
def test_what_is_to_be_isolated_is_left_to_who_follows(
    isolates: bool, phase: JobPhase, end: PartState
) -> None:
    jobs = MadeUpJobs()
    begun = replace(one("ab"), state=RUNNING, job_url=f"{ADMIN}/jobs/j1", asked_at=1.0)
    jobs.jobs[begun.job_url] = MadeUpJob(begun.job_url, [state(phase)])

    seen = Run(jobs, update(begun, isolates_failures=isolates)).run.look()

    assert seen.parts[0].state is (RUNNING if isolates else end)
