"""Jobs on the site: submitted, and followed to their end, whatever happens on the way."""

from __future__ import annotations

import time
from typing import Any

import pytest
from scripted_site import SITE, AnsweringSite, Recorder, answer, error, html, quick_client

from tile_cache_manager.plugin.core.arcgis.jobs import (
    Job,
    JobPhase,
    JobState,
    Pace,
    follow,
    parse_job,
    submit_job,
)
from tile_cache_manager.plugin.core.arcgis.submissions import may_have_arrived
from tile_cache_manager.plugin.core.errors import (
    CancelUnconfirmed,
    JobFailed,
    JobLost,
    NotAllowed,
    NotArcGIS,
    SignInNeeded,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
)

JOB = "/rest/services/System/CachingControllers/GPServer/T/jobs/j1"
CANCEL = f"{JOB}/cancel"
TASK = f"{SITE}/rest/services/System/CachingControllers/GPServer/T"
PACE = Pace(first=0.001, longest=0.004, patience=30, cancel_patience=30)
IMPATIENT = Pace(first=0.001, longest=0.004, patience=0.08, cancel_patience=0.08)


def line(text: Any, kind: str = "Informative") -> dict[str, Any]:
    return {"type": f"esriJobMessageType{kind}", "description": text}


def running(*messages: str, **more: Any) -> dict[str, Any]:
    return {
        "jobId": "j1",
        "jobStatus": "esriJobExecuting",
        "messages": [line(text) for text in messages],
        **more,
    }


def ended(status: str, *messages: str, **more: Any) -> dict[str, Any]:
    return {**running(*messages, **more), "jobStatus": f"esriJob{status}"}


def job_on(site: AnsweringSite) -> Job:
    return Job(f"{SITE}{JOB}", "j1", quick_client(site))


def followed(site: AnsweringSite, recorder: Recorder, pace: Pace = PACE) -> JobState | None:
    return follow(job_on(site), recorder.feedback, pace, lambda state: state.percent)


# --- submitting ------------------------------------------------------------------------------


def test_submitting() -> None:
    path = TASK[len(SITE) :] + "/submitJob"
    site = AnsweringSite({path: {"jobId": "j1", "jobStatus": "esriJobSubmitted"}})

    job = submit_job(quick_client(site), TASK, {"levels": "500"})

    assert (job.job_id, job.url) == ("j1", f"{TASK}/jobs/j1")
    assert site.asked == [(path, {"f": "json", "levels": "500"})]


def test_submitting_without_a_job() -> None:
    reply = {"jobId": "", "jobStatus": "esriJobFailed"}
    site = AnsweringSite({TASK[len(SITE) :] + "/submitJob": reply})

    with pytest.raises(JobFailed) as caught:
        submit_job(quick_client(site), TASK, {})

    assert caught.value.message == "esriJobFailed"


@pytest.mark.parametrize("reply", [{}, {"jobId": None}, {"jobId": 5}, {"a": 1}], ids=str)
def test_an_answer_that_tells_nothing_of_a_job_may_have_begun_one(reply: dict[str, Any]) -> None:
    site = AnsweringSite({TASK[len(SITE) :] + "/submitJob": reply})

    with pytest.raises(NotArcGIS) as caught:
        submit_job(quick_client(site), TASK, {})

    assert may_have_arrived(caught.value)


def test_a_submission_that_may_have_arrived_is_not_repeated() -> None:
    path = TASK[len(SITE) :] + "/submitJob"
    site = AnsweringSite({path: Unreachable.TIMEOUT})

    with pytest.raises(SiteUnreachable):
        submit_job(quick_client(site), TASK, {})

    assert site.times(path) == 1


# --- following -------------------------------------------------------------------------------


def test_messages_are_told_once_and_in_order() -> None:
    recorder = Recorder()
    site = AnsweringSite(
        {
            JOB: [
                running(),
                running("a"),
                running("a"),
                running("a", "b", "c"),
                ended("Succeeded", "a", "b", "c", "d"),
            ]
        }
    )

    state = followed(site, recorder)

    assert state.phase is JobPhase.SUCCEEDED
    assert recorder.texts == ["a", "b", "c", "d"]
    assert [message.text for message in state.messages] == ["a", "b", "c", "d"]


def test_percent_is_told_and_100_at_the_end() -> None:
    recorder = Recorder()
    pages = [
        running(),
        running(progress={"percentage": 5}),
        running(progress={"percentage": 60}),
        ended("Succeeded"),
    ]

    followed(AnsweringSite({JOB: pages}), recorder)

    assert recorder.percents == [5, 60, 100]


def test_a_job_that_failed() -> None:
    recorder = Recorder()
    page = ended("Failed", "Submitted.")
    page["messages"].append(line("ERROR 001470: no cache.", "Error"))
    page["messages"].append(line("Failed at noon."))

    with pytest.raises(JobFailed) as caught:
        followed(AnsweringSite({JOB: [running(), page]}), recorder)

    assert caught.value.message == "ERROR 001470: no cache."
    assert caught.value.job_url == f"{SITE}{JOB}"
    assert recorder.texts == ["Submitted.", "ERROR 001470: no cache.", "Failed at noon."]
    assert 100 not in recorder.percents


def test_unknown_states_are_waited_for() -> None:
    pages = [ended("Dreaming"), {"jobId": "j1"}, ended("Succeeded")]

    assert followed(AnsweringSite({JOB: pages}), Recorder()).phase is JobPhase.SUCCEEDED


# --- cancelling ------------------------------------------------------------------------------


def test_cancel_is_passed_on_once_and_waited_for() -> None:
    recorder = Recorder(cancel_after_messages=1)
    site = AnsweringSite(
        {
            JOB: [running("a"), *[ended("Cancelling", "a")] * 4, ended("Cancelled", "a", "b")],
            CANCEL: {"jobId": "j1", "jobStatus": "esriJobCancelling"},
        }
    )

    state = followed(site, recorder)

    assert state.phase is JobPhase.CANCELLED
    assert site.times(CANCEL) == 1
    assert recorder.texts == ["a", "b"]
    assert 100 not in recorder.percents


def test_cancel_wakes_a_long_pause() -> None:
    recorder = Recorder(cancel_after_messages=1)
    site = AnsweringSite({JOB: [running("a"), ended("Cancelled")], CANCEL: {}})
    started = time.monotonic()

    followed(site, recorder, Pace(first=60, longest=60))

    assert time.monotonic() - started < 5


def test_cancelled_before_the_first_look() -> None:
    site = AnsweringSite({JOB: [ended("Cancelled")], CANCEL: {}})

    assert followed(site, Recorder(cancel_after_messages=0)).phase is JobPhase.CANCELLED
    assert [path for path, _ in site.asked] == [CANCEL, JOB]


def test_a_job_that_ended_before_the_cancel_came() -> None:
    """The site refuses the cancel; what counts is how the job ended."""
    recorder = Recorder(cancel_after_messages=1)
    site = AnsweringSite(
        {JOB: [running("a"), ended("Succeeded", "a")], CANCEL: error(400, "Job has ended.")}
    )

    assert followed(site, recorder).phase is JobPhase.SUCCEEDED
    assert [type(trouble) for trouble in recorder.troubles] == [SiteRefused]
    assert site.times(CANCEL) == 1


def test_a_cancel_that_the_site_does_not_confirm() -> None:
    site = AnsweringSite({JOB: running("a"), CANCEL: {}})

    with pytest.raises(CancelUnconfirmed) as caught:
        followed(site, Recorder(cancel_after_messages=1), IMPATIENT)

    assert (caught.value.job_url, caught.value.seconds) == (f"{SITE}{JOB}", 0.08)
    assert site.times(CANCEL) == 1


NOT_HEARD = [error(503, "Busy."), html(200), html(502), error(498, "Invalid token."), html(429)]


@pytest.mark.parametrize("reply", NOT_HEARD, ids=str)
def test_a_cancel_that_was_not_heard_is_sent_again(reply: Any) -> None:
    site = AnsweringSite({JOB: [*[running("a")] * 20, ended("Cancelled")], CANCEL: [reply, {}]})

    state = followed(site, Recorder(cancel_after_messages=1))

    assert state is not None
    assert state.phase is JobPhase.CANCELLED
    assert site.times(CANCEL) == 2


def test_a_cancel_that_did_not_get_through_is_sent_again() -> None:
    recorder = Recorder(cancel_after_messages=1)
    lost = [Unreachable.REFUSED]
    pages = [running("a"), running("a"), ended("Cancelled", "a")]
    site = AnsweringSite({JOB: pages, CANCEL: [*lost, {"jobStatus": "esriJobCancelling"}]})

    assert followed(site, recorder).phase is JobPhase.CANCELLED
    assert site.times(CANCEL) == 2
    assert len(recorder.troubles) == 1


# --- trouble ---------------------------------------------------------------------------------

PASSING = [
    Unreachable.REFUSED,
    Unreachable.TIMEOUT,
    Unreachable.CERTIFICATE,
    html(),
    html(500),
    html(503),
    answer(""),
    error(500, "Error performing operation"),
    error(503, "Wait time of the request exceeded"),
    answer("", 307, {"location": "ftp://[nowhere"}),
]


@pytest.mark.parametrize("trouble", PASSING, ids=str)
def test_passing_trouble_is_told_once_and_borne(trouble: Any) -> None:
    """Ten bad answers, each of which the client itself repeats where it may."""
    recorder = Recorder()
    pages = [running("a"), *[trouble] * 10, ended("Succeeded", "a", "b")]

    state = followed(AnsweringSite({JOB: pages}), recorder)

    assert state.phase is JobPhase.SUCCEEDED
    assert recorder.texts == ["a", "b"]
    assert len(recorder.troubles) == 1


def test_each_silence_is_told() -> None:
    recorder = Recorder()
    gone = [Unreachable.REFUSED] * 4
    pages = [running(), *gone, running(), *gone, ended("Succeeded")]

    followed(AnsweringSite({JOB: pages}), recorder)

    assert len(recorder.troubles) == 2


@pytest.mark.parametrize("trouble", PASSING, ids=str)
def test_patience_has_an_end(trouble: Any) -> None:
    started = time.monotonic()

    with pytest.raises(JobLost) as caught:
        followed(AnsweringSite({JOB: [running("a"), trouble]}), Recorder(), IMPATIENT)

    assert time.monotonic() - started >= IMPATIENT.patience
    assert caught.value.seconds > IMPATIENT.patience
    assert caught.value.job_url == f"{SITE}{JOB}"
    assert caught.value.cause.url == f"{SITE}{JOB}"
    assert isinstance(caught.value.cause, (SiteUnreachable, NotArcGIS, SiteRefused))


def test_every_answer_starts_patience_anew() -> None:
    pages: list[Any] = []
    for _ in range(8):
        pages += [running(), *[Unreachable.CERTIFICATE] * 4]
    slow = Pace(first=0.02, longest=0.02, patience=0.6)
    started = time.monotonic()

    followed(AnsweringSite({JOB: [*pages, ended("Succeeded")]}), Recorder(), slow)

    assert time.monotonic() - started > slow.patience


UNKNOWN = [
    error(404, "Job not found"),
    error(400, "Unable to complete operation.", details=["Job j1 does not exist."]),
    {"error": {"message": "Unknown job."}},
]


@pytest.mark.parametrize("reply", UNKNOWN, ids=str)
def test_a_job_that_the_site_has_forgotten(reply: Any) -> None:
    site = AnsweringSite({JOB: [running(), reply]})

    with pytest.raises(JobLost) as caught:
        followed(site, Recorder())

    assert caught.value.seconds == 0
    assert isinstance(caught.value.cause, SiteRefused)
    # not believed at once
    assert site.times(JOB) > 3


@pytest.mark.parametrize("reply", [*UNKNOWN, error(404), html(404)], ids=str)
def test_a_site_that_starts_again_is_not_one_that_has_forgotten(reply: Any) -> None:
    site = AnsweringSite(
        {JOB: [running("a"), reply, reply, running("a"), reply, ended("Succeeded")]}
    )

    state = followed(site, Recorder())

    assert state is not None
    assert state.phase is JobPhase.SUCCEEDED


@pytest.mark.parametrize("reply", [error(404), html(404)], ids=str)
def test_an_answer_without_words_is_borne_as_long_as_silence(reply: Any) -> None:
    with pytest.raises(JobLost) as caught:
        followed(AnsweringSite({JOB: [running(), reply]}), Recorder(), IMPATIENT)

    assert caught.value.seconds > IMPATIENT.patience


def test_a_job_that_is_deleted_by_our_cancel_is_cancelled() -> None:
    site = AnsweringSite({JOB: [running("a"), ended("Deleting"), ended("Deleted")], CANCEL: {}})

    state = followed(site, Recorder(cancel_after_messages=1))

    assert state is not None
    assert state.phase is JobPhase.DELETED


def test_a_job_that_somebody_deletes_has_failed() -> None:
    with pytest.raises(JobFailed):
        followed(AnsweringSite({JOB: [running(), ended("Deleted")]}), Recorder())


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (error(499, "Token Required"), SignInNeeded),
        (error(498, "Invalid token."), SignInNeeded),
        (html(401), SignInNeeded),
    ],
)
def test_sign_in_lost_in_mid_job(reply: Any, kind: type[Exception]) -> None:
    """The job may go on; it is waited for as for a site that is silent, and no longer."""
    recorder = Recorder()
    with pytest.raises(JobLost) as caught:
        followed(AnsweringSite({JOB: [running(), reply]}), recorder, IMPATIENT)

    assert (type(caught.value.cause), caught.value.seconds) == (kind, 0)
    assert len(recorder.troubles) == 1


@pytest.mark.parametrize("code", [498, 499])
def test_a_site_that_starts_again_may_take_no_token_for_a_while(code: int) -> None:
    refused = [error(code, "Invalid token.")] * 5

    state = followed(AnsweringSite({JOB: [running(), *refused, ended("Succeeded")]}), Recorder())

    assert state is not None
    assert state.phase is JobPhase.SUCCEEDED


def test_nobody_waits_where_sign_in_is_missing_from_the_beginning() -> None:
    patient = Pace(first=0.001, longest=0.001)

    with pytest.raises(JobLost):
        followed(AnsweringSite({JOB: error(499, "Token Required")}), Recorder(), patient)


def test_right_lost_in_mid_job() -> None:
    class Refusing:
        """A client that is signed in, for a site that says no."""

        def once(self) -> Refusing:
            return self

        def read(self, url: str, **_limits: float) -> dict[str, Any]:
            raise NotAllowed(url, 403, "No right")

    job = Job(f"{SITE}{JOB}", "j1", Refusing())  # type: ignore[arg-type]

    with pytest.raises(JobLost) as caught:
        follow(job, Recorder().feedback, PACE, lambda state: None)

    assert type(caught.value.cause) is NotAllowed


# --- answers that tell nothing of a job ----------------------------------------------------------

TELLING_NOTHING = [
    {},
    {"jobStatus": "esriJobNotInvented"},
    {"jobStatus": ["esriJobSucceeded"]},
    {"jobStatus": None, "messages": [{"description": "Welcome"}]},
]


@pytest.mark.parametrize("page", TELLING_NOTHING, ids=str)
def test_answers_that_tell_nothing_of_a_job_are_borne_so_long_as_silence(page: Any) -> None:
    recorder = Recorder()

    with pytest.raises(JobLost) as caught:
        followed(AnsweringSite({JOB: page}), recorder, IMPATIENT)

    assert caught.value.seconds > IMPATIENT.patience
    assert isinstance(caught.value.cause, NotArcGIS)
    assert len(recorder.troubles) == 1


def test_a_word_that_is_not_known_is_believed_while_the_job_gets_on() -> None:
    working = [{"jobStatus": "esriJobThinking", "progress": {"percentage": at}} for at in range(60)]
    slow = Pace(first=0.004, longest=0.004, patience=0.08, cancel_patience=0.08)

    state = followed(AnsweringSite({JOB: [*working, ended("Succeeded")]}), Recorder(), slow)

    assert state is not None
    assert state.phase is JobPhase.SUCCEEDED


@pytest.mark.parametrize(
    "word",
    [
        *("esriJobNew", "esriJobSubmitted", "esriJobWaiting", "esriJobExecuting"),
        *("esriJobCancelling", "SUBMITTED", "InProgress", "PROCESSING", "Running"),
    ],
)
def test_words_of_jobs_that_go_on(word: str) -> None:
    assert parse_job({"jobStatus": word}).is_understood


# --- what a site names becomes no other address --------------------------------------------------


@pytest.mark.parametrize(
    "job_id",
    ["..", "../../admin/x", "a?b", "a#b", "%2f", "a/b", "j1\n", "a b", "j" * 201, "é"],
)
def test_ids_that_are_none(job_id: object) -> None:
    site = AnsweringSite({JOB.replace("/jobs/j1", "/submitJob"): {"jobId": job_id}})

    with pytest.raises(JobFailed):
        submit_job(quick_client(site), TASK, {})


@pytest.mark.parametrize(
    "path",
    ["../../x", "https://elsewhere.example/x", "//elsewhere.example/x", "/x", "a?token=b", "a/b/c"],
)
def test_results_that_lie_elsewhere_are_not_read(path: str) -> None:
    site = AnsweringSite({})
    state = parse_job({"results": {"out": {"paramUrl": path}}})

    assert job_on(site).result(state, "out") is None
    assert site.asked == []
