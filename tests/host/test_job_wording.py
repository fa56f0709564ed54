"""What is said of updates on sites, as the record has them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from host.sentence_rules import american, assert_is_one_sentence
from scripted_jobs import LEVELS, TASK_URL, an_update

from tile_cache_manager.plugin.core.request import FailedPlace
from tile_cache_manager.plugin.core.site_update import PartState, TakeUp
from tile_cache_manager.plugin.host import messages

pytestmark = pytest.mark.usefixtures("qgis_app", "american")
__all__ = ["american"]


@pytest.mark.parametrize("state", PartState)
def test_every_state_has_its_sentences(state: PartState) -> None:
    update = an_update("World", state)
    end, advice = messages.job_end_sentence(update), messages.job_advice(update)
    assert_is_one_sentence(end)
    assert_is_one_sentence(advice)
    assert "World" in end
    assert "“Recreate All Tiles”" in end
    assert messages.job_state_text(update)


def test_states_and_their_sentences_differ() -> None:
    for said in (messages.job_state_text, messages.job_advice, messages.job_end_sentence):
        assert len({said(an_update("World", state)) for state in PartState}) == len(PartState)


@pytest.mark.parametrize("count", [1, 2, 1234])
def test_several_jobs_are_told_in_one_sentence(count: int) -> None:
    assert_is_one_sentence(messages.jobs_waiting_sentence(count))
    assert_is_one_sentence(messages.jobs_ended_sentence(count))


SCALES = [
    (LEVELS, "1:1,000,000 to 1:250,000 (3)"),
    (tuple(reversed(LEVELS)), "1:1,000,000 to 1:250,000 (3)"),
    (LEVELS[1:2], "1:500,000"),
    ((), ""),
]


@pytest.mark.parametrize(("levels", "text"), SCALES)
def test_scales(levels: tuple, text: str) -> None:
    update = replace(an_update("World", PartState.DONE), levels=levels)
    assert messages.job_scales_text(update) == text


def test_all_lines_of_an_update() -> None:
    update = an_update("World", PartState.DONE, PartState.FAILED, PartState.WAITING)
    parts = list(update.parts)
    parts[1] = replace(parts[1], detail="All server contexts failed.")
    update = replace(
        update,
        parts=tuple(parts),
        failed_places=(
            FailedPlace(LEVELS[2], 0, 0, 7, 7, "disk full"),
            FailedPlace(LEVELS[1], 1, 3, 2, 2, "disk full"),
        ),
    )
    title, address, scales, _times, advice, *rest = messages.job_lines(update)
    assert title == "World: Recreate All Tiles"
    assert address == "https://site.test/arcgis/rest/services/World/MapServer"
    assert scales == "1:1,000,000 to 1:250,000 (3); 63 tiles in the area"
    assert advice == messages.job_advice(update)
    assert rest == [
        f"Part 1: Done: {TASK_URL}/jobs/jWorld0",
        f"Part 2: Failed: All server contexts failed: {TASK_URL}/jobs/jWorld1",
        "Part 3: Not Begun",
        "Failed at 1:250,000: bundle in row 0, column 7: disk full",
        "Failed at 1:500,000: bundles in rows 1 to 3, column 2: disk full",
    ]


def test_of_very_many_parts_the_first_are_told() -> None:
    lines = messages.job_lines(an_update("World", *[PartState.DONE] * 1234))
    assert lines[-2].startswith("Part 50: Done")
    assert lines[-1] == "… and 1,184 more"


def test_parts_that_others_stand_for_are_not_told() -> None:
    update = an_update("World", PartState.FAILED, PartState.DONE, PartState.DONE)
    split = replace(update.parts[0], is_split=True)
    lines = messages.job_lines(replace(update, parts=(split, *update.parts[1:])))
    assert [line[:12] for line in lines if line.startswith("Part")] == [
        "Part 1: Done",
        "Part 2: Done",
    ]
    assert "42 tiles in the area" in lines[2]


def test_nothing_secret_or_invisible_is_said() -> None:
    update = an_update("World", PartState.FAILED)
    part = replace(
        update.parts[0], detail="<b>x</b> token=abc", job_url=f"{TASK_URL}/jobs/j?token=abc"
    )
    bad = replace(
        update, name="<i>W</i>\u202e", address=f"{update.address}?token=abc", parts=(part,)
    )
    said = [
        *messages.job_lines(bad),
        messages.job_end_sentence(bad),
        messages.job_address_text(bad),
    ]
    for text in said:
        assert "abc" not in text
        assert "<" not in text
        assert "\u202e" not in text


def test_ways_to_take_a_job_up_are_told_apart() -> None:
    assert [messages.take_up_text(how) for how in TakeUp] == ["Resume", "Fix", "Complete"]
    assert len({messages.take_up_help(how) for how in TakeUp}) == len(TakeUp)
