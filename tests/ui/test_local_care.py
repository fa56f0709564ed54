"""Verifying, repairing and defragmenting a cache from the dialog, and showing it on the map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from qgis.core import Qgis

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.local.defragment import DefragmentReport
from tile_cache_manager.plugin.core.local.verify import VerifyReport
from tile_cache_manager.plugin.core.storage.store import Fault, Finding

PATH = "/data/my caches/World"
WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
BROKEN = Finding(Fault.PICTURE, 2, "R0000C0000.bundle", (1, 3), can_be_mended=True)


class ScriptedCare:
    """Stands for the core's verifying and defragmenting: notes what is asked, answers as told."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.answer: Any = VerifyReport(tiles={1: 4, 2: 1234})

    def verify(self, path: Path, feedback: Any, *, mend: bool, check_picture: Any) -> Any:
        assert check_picture is not None
        return self._answer(path, mend, feedback)

    def defragment(self, path: Path, feedback: Any, *, least_share: float) -> Any:
        return self._answer(path, False, feedback)

    def _answer(self, path: Path, mend: bool, feedback: Any) -> Any:
        self.asked.append((str(path), mend))
        feedback.progress(40)
        if callable(self.answer):
            return self.answer(feedback)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def care(monkeypatch: pytest.MonkeyPatch, local_loaded: Any) -> ScriptedCare:
    from tile_cache_manager.plugin.host import local_tasks

    scripted = ScriptedCare()
    monkeypatch.setattr(local_tasks, "verify", scripted.verify)
    monkeypatch.setattr(local_tasks, "defragment", scripted.defragment)
    return scripted


@pytest.fixture
def choose(person: Any) -> Callable[[str], None]:
    """`choose(text)` takes an entry of the Care menu."""

    def choose(text: str) -> None:
        assert person.find("care_button").isEnabled()
        menu = person.find("care_button").menu()
        (action,) = [action for action in menu.actions() if action.text() == text]
        action.trigger()

    return choose


def test_only_a_cache_on_this_computer_is_looked_after(dialog: Any, person: Any) -> None:
    for name in ("care_button", "add_button"):
        assert not person.find(name).isEnabled()
        assert "Load a cache" in person.find(name).toolTip()
    person.load(WORLD_URL)
    for name in ("care_button", "add_button"):
        assert not person.find(name).isEnabled()
        assert "on a site" in person.find(name).toolTip()


def test_the_cache_of_another_address_is_not_looked_after(
    care: ScriptedCare, person: Any, cache: Any
) -> None:
    assert person.find("care_button").isEnabled()
    cache.answer = errors.SignInNeeded(WORLD_URL, 499, "Token Required")
    person.load(WORLD_URL)
    person.wait_for_error()

    assert "still of World" in person.shows("summary_label")
    for name in ("care_button", "add_button", "run_button"):
        assert not person.find(name).isEnabled()
        assert person.find(name).toolTip() == "The address has been changed: load it first."
    person.find("address_combo").setEditText(PATH)
    assert person.find("care_button").isEnabled()


def test_a_cache_that_cannot_be_written_is_only_verified(
    dialog: Any, person: Any, cache: Any, local: Any
) -> None:
    problem = errors.ReadOnlyCache(PATH, errors.ReadOnlyReason.FORMAT)
    cache.answer = replace(local, kind="COMPACT_V1", modes=(), modes_problem=problem)
    person.load(PATH)

    actions = person.find("care_button").menu().actions()
    assert [action.isEnabled() for action in actions] == [True, False, False]
    assert PATH in actions[2].toolTip()
    assert not person.find("add_button").isEnabled()
    assert "no reader" in person.find("add_button").toolTip()


def test_verifying_tells_what_it_found(
    care: ScriptedCare, choose: Any, person: Any, qgis_bar: Any
) -> None:
    choose("Verify")
    person.wait_for_end()

    assert care.asked == [(PATH, False)]
    assert person.shows("progress_label") == "World: Verify: 1,238 tiles checked, all sound."
    assert qgis_bar.currentItem().level() == Qgis.MessageLevel.Success
    assert person.find("progress_bar").value() == 100
    assert person.find("run_button").isEnabled()


def test_findings_are_listed(care: ScriptedCare, choose: Any, person: Any, qgis_bar: Any) -> None:
    care.answer = VerifyReport({2: 1234}, (BROKEN,), {Fault.PICTURE: 1})
    choose("Verify")
    person.wait_for_end()

    assert "R0000C0000.bundle, level 2, row 1, column 3" in person.messages()
    assert "1 fault found" in person.shows("progress_label")
    assert qgis_bar.currentItem().level() == Qgis.MessageLevel.Warning


def test_repairing_is_asked_for(care: ScriptedCare, choose: Any, person: Any, cache: Any) -> None:
    choose("Verify and Repair…")
    person.wait_until(person.question, what="the question")
    assert (
        person.question().text() == f"Verify the 1,238 tiles of {PATH} and repair what is broken?"
    )
    person.answer("No")
    assert care.asked == []

    care.answer = VerifyReport({2: 1234}, (BROKEN,), {Fault.PICTURE: 1}, mended=1)
    choose("Verify and Repair…")
    person.answer("Yes")
    person.wait_until(lambda: care.asked, what="the repair")
    person.wait_for_end()

    assert care.asked == [(PATH, True)]
    person.wait_until(lambda: len(cache.asked) == 2, what="the new numbers")


def test_defragmenting_says_what_was_won(
    care: ScriptedCare, choose: Any, person: Any, cache: Any
) -> None:
    care.answer = DefragmentReport(files=2, before=3 * 2**20, after=2**20)
    choose("Defragment")
    person.wait_for_end()

    assert "2 files written anew, 2.0 MB won" in person.shows("progress_label")
    person.wait_until(lambda: len(cache.asked) == 2, what="the new numbers")


def test_meanwhile_no_update_is_begun_and_cancel_is_obeyed(
    care: ScriptedCare, choose: Any, person: Any, gate: Any
) -> None:
    def until_cancelled(feedback: Any) -> VerifyReport:
        gate.reached.set()
        while not feedback.cancelled():
            gate.may_pass.wait(0.01)
        return VerifyReport({1: 2}, is_complete=False)

    care.answer = until_cancelled
    choose("Verify")
    person.wait_until(gate.reached.is_set, what="the check")
    assert not person.find("run_button").isEnabled()
    assert "looked after" in person.find("run_button").toolTip()
    assert not person.find("care_button").isEnabled()

    person.click("cancel_button")
    person.wait_for_end()

    assert "cancelled" in person.shows("progress_label")
    assert person.find("run_button").isEnabled()
    assert person.find("care_button").isEnabled()


def test_a_failure_is_said(care: ScriptedCare, choose: Any, person: Any, qgis_bar: Any) -> None:
    care.answer = errors.CacheInUse(PATH)
    choose("Defragment")
    person.wait_for_end()

    assert PATH in person.shows("progress_label")
    assert qgis_bar.currentItem().level() == Qgis.MessageLevel.Critical
    assert person.find("run_button").isEnabled()


def test_a_running_update_keeps_care_away(local_loaded: Any, person: Any, cache: Any) -> None:
    person.start_and_hold(cache)

    assert not person.find("care_button").isEnabled()
    assert "is running" in person.find("care_button").toolTip()


def test_unloading_stops_care(
    care: ScriptedCare, choose: Any, person: Any, gate: Any, opener: Any
) -> None:
    stopped: list[bool] = []

    def until_cancelled(feedback: Any) -> VerifyReport:
        gate.reached.set()
        while not feedback.cancelled():
            gate.may_pass.wait(0.01)
        stopped.append(True)
        return VerifyReport({1: 2}, is_complete=False)

    care.answer = until_cancelled
    choose("Verify")
    person.wait_until(gate.reached.is_set, what="the check")

    opener.unload()

    person.wait_until(lambda: stopped, what="the end of the check")
