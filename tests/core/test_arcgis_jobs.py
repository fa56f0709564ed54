"""What the answers of jobs mean: phases, percent, messages, results."""

from __future__ import annotations

from typing import Any

import pytest

from tile_cache_manager.plugin.core.arcgis.jobs import JobPhase, parse_job
from tile_cache_manager.plugin.core.request import Severity

PHASES = [
    ("esriJobNew", JobPhase.RUNNING),
    ("esriJobSubmitted", JobPhase.RUNNING),
    ("esriJobWaiting", JobPhase.RUNNING),
    ("esriJobExecuting", JobPhase.RUNNING),
    ("esriJobCancelling", JobPhase.RUNNING),
    ("esriJobSomethingNewer", JobPhase.RUNNING),
    ("", JobPhase.RUNNING),
    ("esriJobSucceeded", JobPhase.SUCCEEDED),
    ("ESRIJOBSUCCEEDED", JobPhase.SUCCEEDED),
    ("esriJobPartialSucceeded", JobPhase.PARTIAL),
    ("esriJobFailed", JobPhase.FAILED),
    ("esriJobTimedOut", JobPhase.FAILED),
    ("esriJobDeleting", JobPhase.DELETED),
    ("esriJobDeleted", JobPhase.DELETED),
    ("error", JobPhase.FAILED),
    ("esriJobCancelled", JobPhase.CANCELLED),
]


def line(text: Any, kind: str = "Informative") -> dict[str, Any]:
    return {"type": f"esriJobMessageType{kind}", "description": text}


@pytest.mark.parametrize(("status", "phase"), PHASES)
def test_phases(status: str, phase: JobPhase) -> None:
    state = parse_job({"jobId": "j1", "jobStatus": status})

    assert (state.job_id, state.status, state.phase) == ("j1", status, phase)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"status": "esriJobSucceeded"}, "esriJobSucceeded"),
        ({"jobStatus": "esriJobFailed", "status": "other"}, "esriJobFailed"),
        ({"jobStatus": None, "status": "esriJobFailed"}, "esriJobFailed"),
        ({}, ""),
    ],
)
def test_where_the_status_stands(body: dict[str, Any], status: str) -> None:
    assert parse_job(body, "j7").status == status
    assert parse_job(body, "j7").job_id == "j7"


@pytest.mark.parametrize(
    ("progress", "percent"),
    [
        ({"type": "default", "message": "x", "percentage": 12.5}, 12.5),
        ({"percent": 40}, 40),
        ({"percentage": "40"}, 40),
        ({"percentage": 0}, 0),
        ({"percentage": 140}, 100),
        ({"percentage": -1}, 0),
        ({"percentage": "NaN"}, None),
        ({"percentage": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_percent(progress: object, percent: float | None) -> None:
    assert parse_job({"jobStatus": "esriJobExecuting", "progress": progress}).percent == percent


def test_messages_and_severities() -> None:
    state = parse_job(
        {
            "messages": [
                line("Submitted."),
                line("Slow.", "Warning"),
                line("Broken.", "Error"),
                line("Stop.", "Abort"),
                line("Nothing.", "Empty"),
                line(""),
                line(None),
                "no object",
                {"description": "Plain."},
            ]
        }
    )

    assert [(message.text, message.severity) for message in state.messages] == [
        ("Submitted.", Severity.INFO),
        ("Slow.", Severity.WARNING),
        ("Broken.", Severity.ERROR),
        ("Stop.", Severity.ERROR),
        ("Nothing.", Severity.INFO),
        ("Plain.", Severity.INFO),
    ]
    assert state.failure == "Broken."


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([line("A"), line("B", "Error"), line("Failed at noon.")], "B"),
        ([line("A"), line("ERROR 1: B", "Error"), line("Failed at noon.", "Error")], "ERROR 1: B"),
        ([line("A"), line("B")], "B"),
        ([], "esriJobFailed"),
    ],
)
def test_the_message_of_a_failure(messages: list[object], told: str) -> None:
    assert parse_job({"jobStatus": "esriJobFailed", "messages": messages}).failure == told


@pytest.mark.parametrize(
    ("texts", "percent"),
    [
        (["Finished 12 percent."], 12),
        (["Finished 12%.", "Finished 61.7 %: level 3 of 9"], 61.7),
        (["Finished 12%.", "Level 4."], 12),
        (["30% of level 1, 10 Percent in all"], 10),
        (["Finished 12%.", "Quality 250%"], 12),
        (["500 tiles"], None),
        (["percentile 12"], None),
        ([], None),
    ],
)
def test_percent_in_messages(texts: list[str], percent: float | None) -> None:
    state = parse_job({"messages": [line(text) for text in texts]})

    assert state.percent_in_messages == percent


def test_results() -> None:
    state = parse_job(
        {
            "results": {
                "out_service_url": {"paramUrl": "results/out_service_url"},
                "nothing": {},
                "odd": None,
            }
        }
    )

    assert state.results == {"out_service_url": "results/out_service_url"}
