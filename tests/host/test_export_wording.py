"""What is said of exports, imports and queues."""

from __future__ import annotations

from dataclasses import replace

import pytest
from host.sentence_rules import american, assert_is_one_sentence

from tile_cache_manager.plugin.core.errors import ExportNotAllowed, SiteUnreachable, Unreachable
from tile_cache_manager.plugin.core.export.request import (
    ExportReport,
    ExportWay,
    Overwrite,
    QueueItemReport,
    QueueReport,
)
from tile_cache_manager.plugin.core.request import LevelEstimate, LevelReport, Outcome
from tile_cache_manager.plugin.core.tiling import Level
from tile_cache_manager.plugin.host import messages

pytestmark = pytest.mark.usefixtures("qgis_app", "american")
__all__ = ["american"]

COARSE, FINE = Level(7, 10.0, 40000.0), Level(8, 5.0, 20000.0)
ADDRESS = "https://maps.test/arcgis/rest/services/Streets/MapServer"


def report(outcome: Outcome = Outcome.DONE, size: int = 0, **counts: int) -> ExportReport:
    numbers = dict.fromkeys(("made", "replaced", "skipped", "failed", "gaps"), 0)
    first = LevelReport(COARSE, 1000, **{**numbers, **counts})
    last = LevelReport(FINE, 234, **numbers)
    return ExportReport(
        outcome, "Streets", ADDRESS, "/maps/Wälder.tpkx", (first, last), received=1, size=size
    )


REPORTS = [
    (report(made=1000),
     "Tiles of Streets are in /maps/Wälder.tpkx: 1,234 tiles in the area, 1,000 new."),
    (report(made=1000, gaps=4, size=2048),
     "Tiles of Streets are in /maps/Wälder.tpkx: 1,234 tiles in the area, 1,000 new, 4 that the"
     " source does not have, 2.0 kB in all."),
    (report(Outcome.PARTIAL, made=1, failed=3),
     "Tiles of Streets are in /maps/Wälder.tpkx, but some are missing (1,234 tiles in the area, 1"
     " new, 3 failed): export them again, only the missing ones are asked for."),
    (report(Outcome.CANCELLED, replaced=7),
     "Export of Streets to /maps/Wälder.tpkx cancelled, what was got until then is kept and the"
     " same export goes on from there: 1,234 tiles in the area, 0 new, 7 replaced."),
    (report(Outcome.PARTIAL, failed=1000),
     "No tile of Streets could be got for /maps/Wälder.tpkx (1,234 tiles in the area, 0 new, 1,000"
     " failed): mend what the messages name, then export them again."),
    (report(gaps=1000),
     "Streets has no tiles there, so none are in /maps/Wälder.tpkx: 1,234 tiles in the area, 0 new,"
     " 1,000 that the source does not have."),
    (replace(report(Outcome.CANCELLED), received=0),
     "Export of Streets to /maps/Wälder.tpkx cancelled before anything was got."),
]  # fmt: skip


@pytest.mark.parametrize(("said_of", "text"), REPORTS)
def test_exports(said_of: ExportReport, text: str) -> None:
    assert messages.export_report_sentence(said_of) == text


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_a_sentence(outcome: Outcome) -> None:
    texts = {
        messages.export_report_sentence(report(outcome, made=1)),
        messages.import_report_sentence(report(outcome, made=1)),
    }

    assert len(texts) == 2
    for text in texts:
        assert text.endswith(".")
        assert "{" not in text
        assert "/maps/Wälder.tpkx" in text


def item(number: int, **rest: object) -> QueueItemReport:
    return QueueItemReport(f"{ADDRESS}?token=abc", f"/maps/{number}.tpkx", **rest)


DONE = item(1, report=report(made=1))
FAILED = item(2, error=ExportNotAllowed("Streets"))
PARTIAL = item(4, report=report(Outcome.PARTIAL, made=1, failed=1))
BEFORE = item(3, is_done_before=True)
NOTHING_GOT = item(5, report=report(Outcome.PARTIAL, failed=1))
EMPTY = item(6, report=report(gaps=3))

QUEUES = [
    (QueueReport((DONE,)), "Services: 1 exported."),
    (QueueReport((DONE, BEFORE)), "Services: 1 exported, 1 done before."),
    (QueueReport((DONE, FAILED)), "Services: 1 exported, 1 failed; run it again for the rest."),
    (QueueReport((DONE, PARTIAL)),
     "Services: 1 exported, 1 incomplete; run it again for the rest."),
    (QueueReport((DONE, PARTIAL, FAILED)),
     "Services: 1 exported, 1 incomplete, 1 failed; run it again for the rest."),
    (QueueReport((DONE, NOTHING_GOT)),
     "Services: 1 exported, 1 failed; run it again for the rest."),
    (QueueReport((DONE, EMPTY)), "Services: 1 exported, 1 with nothing there."),
    (QueueReport((DONE, item(7, report=report(Outcome.CANCELLED, made=1))), is_cancelled=True),
     "Cancelled; services: 1 exported; run it again for the rest."),
    (QueueReport((DONE,), is_cancelled=True),
     "Cancelled; services: 1 exported; run it again for the rest."),
]  # fmt: skip


@pytest.mark.parametrize(("queue", "text"), QUEUES)
def test_queues(queue: QueueReport, text: str) -> None:
    assert messages.queue_sentence(queue) == text


def test_every_service_of_a_queue_has_a_line_without_secrets() -> None:
    unreachable = item(4, error=SiteUnreachable(ADDRESS, Unreachable.TIMEOUT))
    lines = messages.queue_lines(QueueReport((DONE, FAILED, BEFORE, unreachable)))

    assert len(lines) == 4
    assert "export" in lines[1]
    assert lines[2] == f"{ADDRESS}: done before, in /maps/3.tpkx."
    assert not any("token" in line for line in lines)


def test_estimates() -> None:
    estimates = (
        LevelEstimate(COARSE, 1200, 2048, 3.0),
        LevelEstimate(FINE, 34, None, None),
    )

    lines = messages.export_estimate_lines(estimates)

    assert lines[0] == "1:40,000: 1,200 tiles, about 2.0 kB, about 3 s"
    assert lines[1] == "1:20,000: 34 tiles"
    assert lines[2].startswith("All together: ")


@pytest.mark.parametrize("choice", [*ExportWay, *Overwrite])
def test_choices_have_a_name_and_a_help(choice: ExportWay | Overwrite) -> None:
    if isinstance(choice, ExportWay):
        name, text = messages.way_text(choice), messages.way_help(choice)
    else:
        name, text = messages.overwrite_text(choice), messages.overwrite_help(choice)

    assert name
    assert_is_one_sentence(text)
