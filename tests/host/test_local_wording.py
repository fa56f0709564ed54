"""Caches on this computer in words: what they are, what came of an update, a check, a repair."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest
from host.samples import WEB_MERCATOR_LEVELS, web_mercator
from host.sentence_rules import american  # noqa: F401
from qgis.PyQt.QtCore import QLocale, Qt

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.description import (
    CacheDescription,
    LevelStatus,
    UnfinishedRun,
)
from tile_cache_manager.plugin.core.request import (
    FailedTile,
    LevelEstimate,
    LevelReport,
    Message,
    Outcome,
    Pace,
    Resume,
    UpdateMode,
    UpdateReport,
)
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.core.storage.store import NO_LEVEL, Fault, Finding
from tile_cache_manager.plugin.host import messages

pytestmark = pytest.mark.usefixtures("qgis_app", "american")

PATH = "/maps/my  caches/World"
EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE


def local(**changes: object) -> CacheDescription:
    values = {"address": PATH, "kind": "COMPACT_V2", "version": "", "is_local": True}
    return replace(web_mercator(), **{**values, **changes})


def test_the_summary_of_a_folder() -> None:
    status = (LevelStatus(0, 1, 1), LevelStatus(12, 12000))
    lines = messages.summary(local(image_format="PNG32", status=status)).split("\n")
    assert lines == [
        "World, Compact cache (V2)",
        "4 cached scales from 1:591,657,528 to 1:144,448, PNG32 tiles of 256 x 256 pixels",
        "WGS 84 / Pseudo-Mercator (EPSG:3857); x from -20,037,508 to 20,037,508,"
        " y from -20,037,508 to 20,037,508",
        "12,001 tiles exist",
    ]


@pytest.mark.parametrize("storage", StorageFormat, ids=lambda storage: storage.value)
def test_every_format_has_a_name_of_its_own(storage: StorageFormat) -> None:
    name = messages.storage_text(storage.value)
    assert name != storage.value
    assert [messages.storage_text(each.value) for each in StorageFormat].count(name) == 1
    assert ("read only" in name) == (not storage.can_be_written)


def test_nothing_about_a_site_is_said_of_a_folder() -> None:
    barred = local(modes=(DELETE,), cached_levels=WEB_MERCATOR_LEVELS[:1])
    texts = [
        messages.summary(barred),
        messages.unavailable_reason(barred, ALL),
        messages.uncached_reason(barred, WEB_MERCATOR_LEVELS[1]),
        *(messages.report_sentence(report(ALL, outcome)) for outcome in Outcome),
    ]
    for text in texts:
        assert text
        assert "site" not in text.lower()
        assert "service" not in text.lower()


def test_why_a_mode_or_scale_of_a_folder_cannot_be_chosen() -> None:
    assert messages.unavailable_reason(local(), ALL) == ""
    old = errors.ReadOnlyCache(PATH, errors.ReadOnlyReason.FORMAT)
    barred = local(modes=(), modes_problem=old, cached_levels=WEB_MERCATOR_LEVELS[:1])
    assert messages.unavailable_reason(barred, ALL) == messages.sentence(old)
    assert messages.uncached_reason(barred, WEB_MERCATOR_LEVELS[0]) == ""
    assert messages.uncached_reason(barred, WEB_MERCATOR_LEVELS[1]) == (
        "World has 1:295,828,764 in its tiling scheme but keeps no tiles for it."
    )


def report(mode: UpdateMode, outcome: Outcome = Outcome.DONE, **counts: int | None) -> UpdateReport:
    known = {"made": 0, "replaced": 0, "deleted": 0, "skipped": 0, "failed": 0}
    level = LevelReport(WEB_MERCATOR_LEVELS[0], counts.pop("planned", 1500), **{**known, **counts})
    return UpdateReport(outcome, mode, (level,), PATH, is_local=True)


REPORTS = [
    (report(EMPTY, made=1200, skipped=300),
     f"Update of {PATH} done: 1,500 tiles in the area, 1,200 made, 300 left as they were."),
    (report(ALL, replaced=1500),
     f"Update of {PATH} done: 1,500 tiles in the area, 0 made, 1,500 replaced."),
    (report(DELETE, deleted=7), f"Update of {PATH} done: 1,500 tiles in the area, 7 deleted."),
    (report(DELETE, planned=1), f"Update of {PATH} done: 1 tile in the area, 0 deleted."),
    (report(ALL, Outcome.PARTIAL, made=1490, failed=10),
     f"Update of {PATH} done, but some tiles failed (1,500 tiles in the area, 1,490 made, 10"
     " failed): mend what the messages name, then retry the failed tiles."),
    (report(ALL, made=900, failed=0, gaps=600),
     f"Update of {PATH} done: 1,500 tiles in the area, 900 made, 600 left out, nothing is there."),
    (report(ALL, Outcome.CANCELLED, made=3, replaced=4),
     f"Update of {PATH} cancelled, what was done until then is kept and the rest can be resumed:"
     " 1,500 tiles in the area, 3 made, 4 replaced."),
    (report(ALL, Outcome.CANCELLED), f"Update of {PATH} cancelled before anything was changed."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), REPORTS)
def test_reports_tell_numbers_and_the_path(given: UpdateReport, expected: str) -> None:
    assert messages.report_sentence(given) == expected


def test_each_reason_for_failed_tiles_is_told_once_the_most_frequent_first() -> None:
    roads, parks = errors.LayerFailed("Roads", "gone"), errors.LayerFailed("Parks", "gone")
    failed = tuple(FailedTile(3, 0, col, error) for col, error in enumerate([parks, roads, roads]))
    given = replace(report(ALL), failed_tiles=failed)
    told = [messages.message_text(Message("", error=error)) for error in (roads, parks)]
    assert messages.failure_sentences(given) == told
    assert "“Roads”" in told[0]
    many = tuple(FailedTile(3, 0, col, errors.LayerFailed(str(col), "")) for col in range(50))
    assert len(messages.failure_sentences(replace(report(ALL), failed_tiles=many))) == 5


@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name)
def test_every_fault_has_its_text(fault: Fault) -> None:
    text = messages.finding_text(Finding(fault, 3, "L03/R0000C0080.bundle", (5, 130)))
    assert text.startswith("L03/R0000C0080.bundle, level 3, row 5, column 130: ")
    assert text.endswith(".")
    assert not Qt.mightBeRichText(text)
    texts = [messages.finding_text(Finding(each, 3, "f")) for each in Fault]
    assert len(set(texts)) == len(texts)


def test_a_finding_tells_whether_it_can_be_mended() -> None:
    finding = Finding(Fault.HEADER, 3, "L03/R0000C0080.bundle", can_be_mended=True)
    assert messages.finding_text(finding) == (
        "L03/R0000C0080.bundle, level 3: the header differs from the file, can be mended."
    )
    useless = Finding(Fault.CUT, 3, "a.bundle", can_be_mended=True, by_setting_aside=True)
    assert messages.finding_text(useless) == (
        "a.bundle, level 3: the file is cut off, can be mended, the file is set aside then."
    )


def test_a_file_of_the_whole_cache_is_of_no_level() -> None:
    text = messages.finding_text(Finding(Fault.UNREADABLE, NO_LEVEL, "conf.cdi"))
    assert text == "conf.cdi: the file cannot be read."


@dataclass
class Verified:
    tiles: dict = field(default_factory=lambda: {0: 1, 12: 1200})
    findings: tuple = ()
    count_of: dict = field(default_factory=dict)
    mended: int = 0
    is_complete: bool = True
    set_aside: tuple = ()


FAULTS = {Fault.HEADER: 1, Fault.PICTURE: 2}
FOUND = "3 faults found (the tile is no whole picture, 2 times; the header differs from the file)"
VERIFIED = [
    (Verified(), "1,201 tiles checked, all sound."),
    (Verified({0: 1}), "1 tile checked, all sound."),
    (Verified(count_of={Fault.HEADER: 1}),
     "1,201 tiles checked, 1 fault found (the header differs from the file): repair the cache,"
     " then make the missing tiles with Recreate Empty Tiles."),
    (Verified(count_of=FAULTS, mended=1),
     f"1,201 tiles checked, {FOUND}, 1 of them mended: make the tiles in question anew with"
     " Recreate All Tiles."),
    (Verified(count_of=FAULTS, mended=3),
     f"1,201 tiles checked, {FOUND} and mended: make the tiles that are missing now with Recreate"
     " Empty Tiles."),
    (Verified(count_of={Fault.CUT: 1}, mended=1, set_aside=("L03/a.bundle",)),
     "1,201 tiles checked, 1 fault found (the file is cut off) and mended: make the tiles that are"
     " missing now with Recreate Empty Tiles. Set aside under names that end in"
     " .damaged, since not all in them can be read: L03/a.bundle."),
    (Verified(is_complete=False), "1,201 tiles checked and sound when the check was cancelled."),
    (Verified(count_of=FAULTS, is_complete=False),
     "1,201 tiles checked when the check was cancelled, 3 faults found until then (the tile is no"
     " whole picture, 2 times; the header differs from the file), 0 of them mended: run it again"
     " for the rest."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), VERIFIED)
def test_what_a_check_found(given: Verified, expected: str) -> None:
    assert messages.verify_sentence(given) == expected


@dataclass
class Defragmented:
    files: int
    before: int
    after: int
    skipped: tuple = ()
    is_complete: bool = True


MB = 1024 * 1024
DEFRAGMENTED = [
    (Defragmented(0, 5 * MB, 5 * MB),
     "There was nothing to win, no file has holes: 5.0 MB in use."),
    (Defragmented(1, 5 * MB, 3 * MB),
     "1 file written anew, 2.0 MB won, from 5.0 MB to 3.0 MB."),
    (Defragmented(12, 5 * MB, 3 * MB, ("a", "b", "c", "d", "e")),
     "12 files written anew, 2.0 MB won, from 5.0 MB to 3.0 MB. Left as they were, for another"
     " program uses them: a, b, c, and 2 more. Run it again later."),
    (Defragmented(2, 5 * MB, 3 * MB, is_complete=False),
     "2 files written anew, 2.0 MB won, from 5.0 MB to 3.0 MB. It was cancelled: run it again for"
     " the rest."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), DEFRAGMENTED)
def test_what_defragmenting_won(given: Defragmented, expected: str) -> None:
    assert messages.defragment_sentence(given) == expected


def estimate(tiles: int | None, size: int | None = None, seconds: float | None = None) -> object:
    return LevelEstimate(WEB_MERCATOR_LEVELS[0], tiles, size, seconds)


ESTIMATES = [
    ([estimate(12000, 80 * MB, 150.0), estimate(345, 4 * MB, 30.0)],
     "about 12,300 tiles, 84.0 MB, 3 minutes"),
    ([estimate(1, 2048, 0.2)], "about 1 tile, 2.0 kB, a second"),
    ([estimate(12345678, None, 864000.0)], "about 12,300,000 tiles, 10 days"),
    ([estimate(10, 2048, 5.0), estimate(20, None, 7200.0)], "about 30 tiles, 2 hours"),
    ([estimate(5)], "about 5 tiles"),
    ([estimate(0, 0, 0.0)], "about 0 tiles, 0 bytes, a second"),
    ([estimate(None)], ""),
    ([], ""),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), ESTIMATES)
def test_estimates_tell_what_is_known(given: list, expected: str) -> None:
    assert messages.estimate_text(given) == expected


PACES = [
    (Pace(WEB_MERCATOR_LEVELS[3], 1200, 50000, 351.6, 130.0),
     "1:144,448: 1,200 of 50,000 tiles, 352 tiles a second, about 2 minutes left"),
    (Pace(WEB_MERCATOR_LEVELS[3], 0, 50000, 0.0, None),
     "1:144,448: 0 of 50,000 tiles, 0 tiles a second"),
]  # fmt: skip


@pytest.mark.parametrize(("pace", "expected"), PACES)
def test_how_an_update_gets_on(pace: Pace, expected: str) -> None:
    assert messages.message_text(Message("", pace=pace)) == expected


def test_whose_check_and_repair_it_was() -> None:
    assert messages.verify_sentence(Verified(), "World") == "World: 1,201 tiles checked, all sound."
    told = messages.defragment_sentence(Defragmented(0, MB, MB), "World")
    assert told == "World: There was nothing to win, no file has holes: 1.0 MB in use."


STARTED = datetime(2026, 11, 20, 14, 5).timestamp()
UNFINISHED = [
    (UnfinishedRun(ALL, (1, 2), STARTED, 43, 100, 0, True),
     "An update (Recreate All Tiles) was interrupted after 43 %, begun on 11/20/26 2:05 PM: resume"
     " it to do the rest."),
    (UnfinishedRun(ALL, (1, 2), STARTED, 1, 3, 1, True),
     "An update (Recreate All Tiles) was interrupted after 33 %, begun on 11/20/26 2:05 PM, and 1"
     " tile failed until then: resume it to do the rest."),
    (UnfinishedRun(EMPTY, (1, 2), STARTED, 3, 3, 1200, False),
     "1,200 tiles failed in the last update (Recreate Empty Tiles) of 11/20/26 2:05 PM: retry the"
     " failed tiles once their reason is mended."),
    (UnfinishedRun(DELETE, (1, 2), STARTED, 0, 0, 0, True),
     "An update (Delete Tiles) was interrupted after 0 %, begun on 11/20/26 2:05 PM: resume it to"
     " do the rest."),
]  # fmt: skip


GOING_ON = [
    (Resume.AUTO, True, "it goes on there if this is the same update."),
    (Resume.CONTINUE, True, "it goes on there."),
    (Resume.NEW, True, "this one begins anew."),
    (Resume.FAILED, True, "the failed tiles are tried again now."),
    (Resume.AUTO, False, "retry the failed tiles once their reason is mended."),
]


@pytest.mark.parametrize(("resume", "is_interrupted", "expected"), GOING_ON)
def test_what_becomes_of_an_unfinished_update_once_another_begins(
    resume: Resume, is_interrupted: bool, expected: str
) -> None:
    run = UnfinishedRun(ALL, (1, 2), STARTED, 1, 3, 1, is_interrupted)
    assert messages.unfinished_text(run, resume).split(": ")[-1] == expected


@pytest.mark.parametrize(("given", "expected"), UNFINISHED)
def test_what_the_last_update_left_to_do(given: UnfinishedRun, expected: str) -> None:
    # Qt 6 parts the time from AM by a narrow blank.
    assert messages.unfinished_text(given).replace("\u202f", " ") == expected


def test_sizes_follow_the_user_s_locale() -> None:
    QLocale.setDefault(QLocale(QLocale.Language.German, QLocale.Country.Germany))
    assert messages.bytes_text(88080384) == "84,0 MB"
