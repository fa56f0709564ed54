"""The list of jobs on sites: what it shows, and what can be done from it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qgis.core import Qgis, QgsApplication, QgsTask
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QMessageBox, QPushButton
from scripted_jobs import TASK_URL, ScriptedJobs, an_update, in_state

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.jobs import JobRecord
from tile_cache_manager.plugin.core.request import Message, Outcome, Severity
from tile_cache_manager.plugin.core.site_update import PartState, TakeUp
from tile_cache_manager.plugin.host import job_record, job_tasks

WAITING, UNCLEAR, RUNNING = PartState.WAITING, PartState.UNCLEAR, PartState.RUNNING
DONE, PARTIAL, CANCELLED = PartState.DONE, PartState.PARTIAL, PartState.CANCELLED
FAILED, LOST = PartState.FAILED, PartState.LOST
SERVICE, UPDATE, SCALES, BEGUN, STATE, PROGRESS = range(6)


@pytest.fixture
def jobs_site(monkeypatch: pytest.MonkeyPatch, qgis_app: Any) -> Iterator[ScriptedJobs]:
    """The site behind all recorded updates."""
    scripted = ScriptedJobs()
    for name in ("look_at", "carry_on", "cancel_update", "take_up", "take_ups"):
        monkeypatch.setattr(job_tasks, name, getattr(scripted, name))
    yield scripted
    scripted.go_on.set()


@pytest.fixture
def record(job_file: Path) -> JobRecord:
    """The record in the profile."""
    return JobRecord(job_file)


class Reader:
    """Somebody who looks at the list."""

    def __init__(self, person: Any) -> None:
        self.person = person
        self.dialog = person.dialog
        self.wait_until = person.wait_until

    def open(self) -> None:
        self.person.find("update_tabs").setCurrentIndex(1)

    def rows(self) -> list[list[str]]:
        model = self.person.find("jobs_view").model()
        columns = range(model.columnCount())
        return [
            [model.index(row, column).data() for column in columns]
            for row in range(model.rowCount())
        ]

    def row(self, name: str) -> list[str]:
        return next(row for row in self.rows() if row[SERVICE] == name)

    def wait_for_state(self, name: str, state: str) -> None:
        def is_so() -> bool:
            return any(row[SERVICE] == name and row[STATE] == state for row in self.rows())

        self.wait_until(is_so, what=f"{name} to be {state}")

    def look(self) -> None:
        """Have the sites looked at once more, as time does."""
        watch = self.dialog._jobs._watch
        self.wait_until(lambda: not watch._task.is_running, what="the end of an earlier look")
        watch._look()

    def select(self, name: str) -> None:
        at = [row[SERVICE] for row in self.rows()].index(name)
        self.person.find("jobs_view").selectRow(at)

    def text(self) -> str:
        return self.person.find("job_text_view").toPlainText()


@pytest.fixture
def reader(jobs_site: ScriptedJobs, record: JobRecord, person: Any) -> Reader:
    return Reader(person)


def opened(reader: Reader, record: JobRecord, *updates: Any) -> Reader:
    """The list, open, with these updates in the record."""
    for update in updates:
        record.keep(update)
    reader.open()
    reader.wait_until(lambda: len(reader.rows()) == len(updates), what="the list")
    return reader


# What it shows

STATES = [
    ((DONE,), {}, "Done", "100 %"),
    ((DONE, PARTIAL), {"percent": 100.0}, "Done, with Failures", "100 %"),
    ((CANCELLED,), {"percent": 12.4}, "Cancelled", "12 %"),
    ((FAILED,), {}, "Failed", ""),
    ((LOST,), {}, "Not Found", ""),
    ((UNCLEAR,), {}, "Unclear", ""),
    ((WAITING, WAITING), {}, "Not Begun", ""),
    ((DONE, WAITING), {"percent": 50.0}, "Not Finished", "50 %"),
    ((DONE, RUNNING, WAITING), {"percent": 41.6}, "Running", "42 %"),
]


@pytest.mark.parametrize(("states", "changes", "state", "percent"), STATES)
def test_a_row_says_how_an_update_is(
    reader: Reader, record: JobRecord, states: Any, changes: Any, state: str, percent: str
) -> None:
    opened(reader, record, an_update("World", *states, **changes))
    reader.wait_for_state("World", state)
    row = reader.row("World")
    assert row[UPDATE] == "Recreate All Tiles"
    assert row[SCALES] == "1:1,000,000 to 1:250,000 (3)"
    assert row[PROGRESS] == percent


def test_the_newest_stands_first_and_is_selected(reader: Reader, record: JobRecord) -> None:
    old = an_update("Old", DONE)
    opened(reader, record, old, an_update("New", DONE, started=old.started + 9))
    assert [row[SERVICE] for row in reader.rows()] == ["New", "Old"]
    assert reader.text().startswith("New: Recreate All Tiles\n")


def test_an_empty_list_says_what_it_is_for(reader: Reader) -> None:
    reader.open()
    label = reader.person.find("no_jobs_label")
    assert label.isVisible()
    assert "There is no job yet." in label.text()
    assert not reader.person.find("jobs_view").isVisible()


def test_the_tab_says_how_many_have_not_ended(reader: Reader, record: JobRecord) -> None:
    tabs = reader.person.find("update_tabs")
    assert tabs.tabText(1) == "Jobs"
    opened(reader, record, an_update("A", RUNNING), an_update("B", DONE), an_update("C", WAITING))
    assert tabs.tabText(1) == "Jobs (2)"


def test_run_belongs_to_the_page_with_the_form(reader: Reader) -> None:
    reader.open()
    assert not reader.person.find("run_button").isVisible()
    reader.person.find("update_tabs").setCurrentIndex(0)
    assert reader.person.find("run_button").isVisible()


def test_services_of_the_same_name_are_told_apart_by_their_sites(
    reader: Reader, record: JobRecord
) -> None:
    here = an_update("World", DONE)
    there = replace(here, key="there", address=here.address.replace("site.test", "other.test"))
    opened(reader, record, here, there, an_update("Roads", DONE))
    assert {row[SERVICE] for row in reader.rows()} == {
        "World (site.test/arcgis)",
        "World (other.test/arcgis)",
        "Roads",
    }

    reader.select("World (other.test/arcgis)")
    reader.person.click("remove_button")
    reader.wait_until(lambda: len(reader.rows()) == 2, what="the shorter list")
    assert {row[SERVICE] for row in reader.rows()} == {"World", "Roads"}


def test_what_a_site_says_is_no_mark_up(reader: Reader, record: JobRecord) -> None:
    bad = replace(an_update("World", FAILED), name="<b>World</b>\u202e")
    part = replace(bad.parts[0], detail="<img src='x'>disk full?token=abc&x=1")
    opened(reader, record, replace(bad, parts=(part,)))
    model = reader.person.find("jobs_view").model()
    tip = model.index(0, SERVICE).data(Qt.ItemDataRole.ToolTipRole)
    assert tip == f"<span>{bad.address}</span>"
    for text in (reader.rows()[0][SERVICE], reader.text()):
        assert "<" not in text
        assert "\u202e" not in text
        assert "abc" not in text
    assert "disk full" in reader.text()


# Looking, with nobody following


def test_what_runs_is_looked_at_off_the_main_thread(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs
) -> None:
    update = an_update("World", RUNNING)
    jobs_site.now["World"] = in_state(update, RUNNING, percent=64.0)
    opened(reader, record, update, an_update("Roads", DONE), an_update("Lakes", WAITING))
    reader.wait_until(lambda: reader.row("World")[PROGRESS] == "64 %", what="the look")
    assert set(jobs_site.looked) == {"World"}
    assert jobs_site.carried_on == []
    assert threading.get_ident() not in jobs_site.threads
    assert record.find("World").update.percent == 64.0


TROUBLES = [
    (
        errors.SiteUnreachable("https://site.test", errors.Unreachable.TIMEOUT),
        "Running, No Answer",
        True,
    ),
    (
        errors.SignInFailed("https://site.test", errors.SignInProblem.REFUSED),
        "Running, Sign-In Refused",
        False,
    ),
]


@pytest.mark.parametrize(("error", "state", "is_asked_again"), TROUBLES)
def test_a_site_that_does_not_tell(
    reader: Reader,
    record: JobRecord,
    jobs_site: ScriptedJobs,
    error: Exception,
    state: str,
    is_asked_again: bool,
) -> None:
    jobs_site.now["World"] = error
    opened(reader, record, an_update("World", RUNNING))
    reader.wait_for_state("World", state)
    assert record.find("World").update.state is RUNNING
    jobs_site.looked.clear()
    reader.look()
    manager = QgsApplication.taskManager()
    reader.wait_until(lambda: manager.countActiveTasks() == 0, what="another look")
    assert bool(jobs_site.looked) == is_asked_again


def test_an_end_that_nobody_followed_is_told_in_qgis(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, qgis_bar: Any
) -> None:
    update = an_update("World", RUNNING)
    jobs_site.now["World"] = in_state(update, DONE)
    opened(reader, record, update)
    reader.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")
    assert qgis_bar.currentItem().text() == ("The site has finished “Recreate All Tiles” of World.")
    assert qgis_bar.currentItem().level() == Qgis.MessageLevel.Success
    assert record.find("World").update.state is DONE


def test_one_that_stands_still_raises_an_alarm_once(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, qgis_bar: Any
) -> None:
    opened(reader, record, an_update("World", RUNNING, percent=3.0, alarm_seconds=0.0))
    reader.wait_for_state("World", "Running, Stands Still")
    assert "No tile more has come of the job" in qgis_bar.currentItem().text()
    assert "No tile more has come of the job" in reader.text()


def test_where_a_password_would_be_asked_for_nobody_looks(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_tasks, "is_locked", lambda _recorded: True)
    monkeypatch.setattr(job_tasks, "door_to", pytest.fail)
    opened(reader, record, an_update("World", RUNNING))
    reader.wait_for_state("World", "Running, Sign-In Locked")
    assert "press Follow" in reader.text()
    assert reader.person.find("follow_button").isEnabled()
    assert jobs_site.looked == []


def test_one_that_another_qgis_follows_is_left_to_it(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs
) -> None:
    update = an_update("World", RUNNING, WAITING)
    with record.hold("World"):
        opened(reader, record, update)
        reader.wait_for_state("World", "Running, in Another QGIS")
    assert jobs_site.looked == []
    reader.look()
    reader.wait_for_state("World", "Running")


# Following


def follow(reader: Reader, jobs_site: ScriptedJobs) -> None:
    reader.person.click("follow_button")
    reader.wait_until(lambda: "6 of 16 tiles" in reader.text(), what="the message")


@pytest.mark.parametrize("states", [(RUNNING,), (DONE, WAITING), (UNCLEAR,)])
def test_follow(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, qgis_bar: Any, states: Any
) -> None:
    opened(reader, record, an_update("World", *states))
    follow(reader, jobs_site)
    assert reader.row("World")[PROGRESS] == "40 %"
    assert reader.row("World")[STATE].endswith(", Followed")
    (task,) = QgsApplication.taskManager().activeTasks()
    assert task.description() == "World: Recreate All Tiles"
    assert task.flags() & QgsTask.Flag.CancelWithoutPrompt
    for name in ("follow_button", "remove_button", "report_button"):
        assert not reader.person.find(name).isEnabled()

    jobs_site.go_on.set()
    reader.wait_for_state("World", "Done")
    assert " done: 21 tiles in the area, 20 made, 1 replaced." in qgis_bar.currentItem().text()
    assert " done: 21 tiles in the area, 20 made, 1 replaced." in reader.text()
    assert threading.get_ident() not in jobs_site.threads


def test_a_failure_is_told(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, qgis_bar: Any
) -> None:
    jobs_site.ending = errors.JobFailed(f"{TASK_URL}/jobs/j1", "Disk quota exceeded")
    opened(reader, record, an_update("World", RUNNING))
    jobs_site.go_on.set()
    reader.person.click("follow_button")
    reader.wait_until(lambda: "Disk quota exceeded" in reader.text(), what="the failure")
    assert "Disk quota exceeded" in qgis_bar.currentItem().text()
    assert reader.person.find("follow_button").isEnabled()


@pytest.mark.parametrize("by", ["the task manager", "unloading"])
def test_qgis_leaves_what_it_follows_to_the_site(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, opener: Any, by: str
) -> None:
    opened(reader, record, an_update("World", RUNNING))
    follow(reader, jobs_site)
    if by == "unloading":
        opener.unload()
    else:
        QgsApplication.taskManager().cancelAll()
    reader.wait_until(lambda: jobs_site.endings, what="the end of following")
    assert jobs_site.endings == [Outcome.SUBMITTED]
    assert jobs_site.cancelled == []
    assert record.find("World").update.state is RUNNING
    with record.hold("World"):
        pass


# Cancelling


def test_cancel_what_is_followed(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs
) -> None:
    opened(reader, record, an_update("World", RUNNING))
    follow(reader, jobs_site)
    reader.person.click("cancel_job_button")
    reader.wait_for_state("World", "Cancelled")
    assert jobs_site.endings == [Outcome.CANCELLED]


@pytest.mark.parametrize("states", [(RUNNING,), (DONE, WAITING), (UNCLEAR,)])
def test_cancel_what_nobody_follows(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, states: Any
) -> None:
    opened(reader, record, an_update("World", *states))
    reader.person.click("cancel_job_button")
    reader.wait_for_state("World", "Cancelled")
    assert jobs_site.cancelled == ["World"]
    assert record.find("World").update.state is CANCELLED


def test_cancel_what_another_part_of_qgis_follows(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs
) -> None:
    reader.open()
    with job_record.keep_in_record("") as keep:
        keep(an_update("World", RUNNING))
        reader.wait_for_state("World", "Running, Followed")
        reader.person.click("cancel_job_button")
        reader.wait_until(lambda: jobs_site.cancelled == ["World"], what="the cancel")
        reader.wait_for_state("World", "Cancelled")
        # how it ended, who follows it keeps
        assert record.find("World").update.state is RUNNING
        keep(in_state(keep.update, CANCELLED))
    assert record.find("World").update.state is CANCELLED


# Ended ones


def test_take_up_where_it_is_offered(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs
) -> None:
    jobs_site.offered = (TakeUp.RESUME, TakeUp.COMPLETE)
    opened(reader, record, an_update("World", CANCELLED))
    button = reader.person.find("take_up_button")
    reader.wait_until(button.isEnabled, what="the site's offer")
    offered = [action for action in button.menu().actions() if action.isVisible()]
    assert [action.text() for action in offered] == ["Resume", "Complete"]
    offered[0].trigger()
    reader.wait_for_state("World", "Running, Followed")
    assert jobs_site.taken_up == [("World", TakeUp.RESUME)]
    assert not button.isEnabled()


@pytest.mark.parametrize(
    "offered", [(), errors.SiteUnreachable("https://site.test", errors.Unreachable.TIMEOUT)]
)
def test_where_it_is_not_offered_it_says_so(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, offered: Any
) -> None:
    jobs_site.offered = offered
    opened(reader, record, an_update("World", FAILED))
    button = reader.person.find("take_up_button")
    said = "The site does not offer that for this job."
    reader.wait_until(lambda: said in button.toolTip(), what="the answer")
    assert not button.isEnabled()


def test_report(reader: Reader, record: JobRecord) -> None:
    opened(reader, record, an_update("World", DONE))
    reader.person.click("report_button")
    expected = " done: 21 tiles in the area, 20 made, 1 replaced."
    reader.wait_until(lambda: expected in reader.text(), what="the report")


def test_copy_the_addresses(reader: Reader, record: JobRecord) -> None:
    opened(reader, record, an_update("World", DONE, RUNNING, WAITING))
    reader.person.click("copy_button")
    expected = f"{TASK_URL}/jobs/jWorld0\n{TASK_URL}/jobs/jWorld1"
    assert QgsApplication.clipboard().text() == expected


@pytest.mark.parametrize("way", ["button", "key"])
def test_remove_what_has_ended(reader: Reader, record: JobRecord, way: str) -> None:
    opened(reader, record, an_update("World", DONE), an_update("Roads", DONE))
    reader.select("World")
    if way == "key":
        QTest.keyClick(reader.person.find("jobs_view"), Qt.Key.Key_Delete)
    else:
        reader.person.click("remove_button")
    reader.wait_until(lambda: len(reader.rows()) == 1, what="the row to go")
    assert [each.update.key for each in record.all()] == ["Roads"]
    assert reader.text().startswith("Roads")


@pytest.mark.parametrize(("answer", "left"), [("No", 1), ("Yes", 0)])
def test_remove_asks_where_it_has_not_ended(
    reader: Reader, record: JobRecord, answer: str, left: int
) -> None:
    opened(reader, record, an_update("World", RUNNING))
    reader.person.click("remove_button")
    question = reader.dialog.findChild(QMessageBox, "remove_question")
    assert (
        question.text()
        == "Remove World: Recreate All Tiles from the list, though it has not ended?"
    )
    button = question.button(getattr(QMessageBox.StandardButton, answer))
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    reader.wait_until(lambda: len(record.all()) == left, what="the record")
    reader.wait_until(lambda: len(reader.rows()) == left, what="the row")


# What is begun while the list is open, and at QGIS's start


def test_what_is_begun_elsewhere_in_qgis_is_listed_at_once(reader: Reader) -> None:
    reader.open()
    with job_record.keep_in_record("") as keep:
        keep(an_update("World", RUNNING))
        reader.wait_for_state("World", "Running, Followed")
        keep(in_state(an_update("World", RUNNING), RUNNING, percent=9.0))
        reader.wait_until(lambda: reader.row("World")[PROGRESS] == "9 %", what="the progress")
    reader.wait_for_state("World", "Running")


def test_a_record_that_cannot_be_written_does_not_end_the_update(
    reader: Reader, job_file: Path
) -> None:
    job_file.parent.mkdir()
    job_file.mkdir()  # a folder in its place
    with job_record.keep_in_record("") as keep:
        keep(an_update("World", RUNNING))
        reader.wait_for_state("World", "Running, Followed")


def test_after_a_run_that_is_not_waited_for_qgis_offers_the_list(
    reader: Reader, loaded: Any, cache: Any, qgis_bar: Any
) -> None:
    cache.ending = Outcome.SUBMITTED
    reader.person.find("wait_check").setChecked(False)
    reader.person.click("run_button")
    reader.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")
    assert "/jobs/j1" in qgis_bar.currentItem().text()
    reader.person.click("close_button")
    button = qgis_bar.currentItem().findChild(QPushButton, "show_jobs_button")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert loaded.isVisible()
    assert reader.person.find("update_tabs").currentIndex() == 1


NEEDS_SOMEBODY = "An update on a site has not ended, and waits for you in the list of jobs."
STARTS = [
    ("has ended", (DONE,), False, ""),
    ("runs, with more to be asked for", (DONE, RUNNING, WAITING), True, ""),
    ("waits", (DONE, WAITING), False, NEEDS_SOMEBODY),
    ("is unclear", (UNCLEAR,), False, NEEDS_SOMEBODY),
]


@pytest.mark.parametrize(
    ("states", "is_looked_at", "said"), [each[1:] for each in STARTS], ids=[e[0] for e in STARTS]
)
def test_qgis_s_start_has_a_site_do_nothing_new(
    reader: Reader,
    record: JobRecord,
    jobs_site: ScriptedJobs,
    qgis_bar: Any,
    states: Any,
    is_looked_at: bool,
    said: str,
) -> None:
    record.keep(an_update("World", *states))
    jobs = reader.dialog._jobs
    jobs.begin()
    jobs.begin()
    reader.wait_until(lambda: jobs.model.rows, what="the record")
    manager = QgsApplication.taskManager()
    reader.wait_until(lambda: manager.countActiveTasks() == 0, what="the looks")
    assert jobs_site.looked == (["World"] if is_looked_at else [])
    assert jobs_site.carried_on == []
    item = qgis_bar.currentItem()
    assert (item.text() if item is not None else "") == said


def test_what_still_runs_at_qgis_s_start_is_followed_again(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs, qgis_bar: Any
) -> None:
    record.keep(an_update("World", DONE, RUNNING))
    reader.dialog._jobs.begin()
    reader.wait_until(lambda: jobs_site.carried_on, what="the job to be followed")
    assert jobs_site.looked == ["World"]
    (task,) = QgsApplication.taskManager().activeTasks()
    assert task.flags() & QgsTask.Flag.CancelWithoutPrompt
    if hasattr(QgsTask.Flag, "Hidden"):
        assert task.flags() & QgsTask.Flag.Hidden
    reader.open()
    reader.wait_for_state("World", "Running, Followed")
    reader.wait_until(lambda: "6 of 16 tiles" in reader.text(), what="the message")
    assert qgis_bar.currentItem() is None
    jobs_site.go_on.set()
    reader.wait_for_state("World", "Done")
    assert " done: 21 tiles in the area" in qgis_bar.currentItem().text()


def test_a_site_that_is_away_at_qgis_s_start_is_followed_once_it_is_back(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs
) -> None:
    away = errors.SiteUnreachable("https://site.test", errors.Unreachable.TIMEOUT)
    jobs_site.now["World"] = away
    record.keep(an_update("World", RUNNING))
    jobs = reader.dialog._jobs
    jobs.begin()
    reader.wait_for_state("World", "Running, No Answer")
    assert jobs_site.carried_on == []
    del jobs_site.now["World"]
    reader.look()
    reader.wait_for_state("World", "Running, Followed")
    assert jobs_site.carried_on == ["World"]


def test_one_that_qgis_was_told_to_let_go_of_is_not_followed_again_by_itself(
    reader: Reader, record: JobRecord, jobs_site: ScriptedJobs
) -> None:
    record.keep(an_update("World", RUNNING))
    jobs = reader.dialog._jobs
    jobs.begin()
    reader.wait_for_state("World", "Running, Followed")
    QgsApplication.taskManager().activeTasks()[0].cancel()
    reader.wait_for_state("World", "Running")
    reader.look()
    reader.wait_until(lambda: len(jobs_site.looked) == 2, what="another look")
    assert jobs_site.carried_on == ["World"]


def test_two_qgis_that_start_at_once_do_not_quarrel(
    reader: Reader,
    record: JobRecord,
    jobs_site: ScriptedJobs,
    qgis_bar: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def followed_by_now(*_given: object, **_door: object) -> None:
        raise errors.FollowedElsewhere(f"{TASK_URL}/jobs/jWorld0")

    monkeypatch.setattr(job_tasks, "carry_on", followed_by_now)
    record.keep(an_update("World", RUNNING))
    reader.dialog._jobs.begin()
    reader.wait_for_state("World", "Running, in Another QGIS")
    assert qgis_bar.currentItem() is None


def test_how_far_an_update_is_that_the_form_has_begun(reader: Reader, record: JobRecord) -> None:
    opened(reader, record)
    update = an_update("World", RUNNING)
    with job_record.keep_in_record() as keep:
        keep(update)
        reader.wait_until(lambda: reader.rows(), what="the row")
        keep.tell_progress(37.4)
        reader.wait_until(lambda: reader.row("World")[PROGRESS] == "37 %", what="the percentage")


def test_an_alarm_is_told_in_qgis(loaded: Any, person: Any, cache: Any, qgis_bar: Any) -> None:
    stalled = errors.JobStalled(f"{TASK_URL}/jobs/j1", 600, 12.5)
    cache.first_message = Message("", Severity.WARNING, stalled)
    cache.go_on.clear()
    person.click("run_button")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="the alarm")
    assert "No tile more has come of the job" in qgis_bar.currentItem().text()
    assert "12.5 tiles a second" in person.messages()
    cache.go_on.set()
    person.wait_for_end()
    assert " done: " in qgis_bar.currentItem().text()
