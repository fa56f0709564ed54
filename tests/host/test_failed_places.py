"""What is said of bundles that a site could not make."""

from __future__ import annotations

import pytest

from tile_cache_manager.plugin.core.request import (
    FailedPlace,
    LevelReport,
    Outcome,
    UpdateMode,
    UpdateReport,
)
from tile_cache_manager.plugin.core.tiling import Level
from tile_cache_manager.plugin.host import messages

pytestmark = pytest.mark.qgis

LEVEL = Level(9, 305.74811314055756, 1155581.108577)
URL = "https://site.test/arcgis/rest/services/World/MapServer"
REASON = "All server contexts failed."


def report(*places: FailedPlace) -> UpdateReport:
    levels = (LevelReport(LEVEL, planned=65536, made=49152),)
    return UpdateReport(
        Outcome.PARTIAL, UpdateMode.RECREATE_EMPTY, levels, URL, failed_places=places
    )


def place(row: int, col: int, last_row: int, last_col: int, reason: str = REASON) -> FailedPlace:
    return FailedPlace(LEVEL, row, last_row, col, last_col, reason)


@pytest.mark.parametrize(
    ("places", "lines", "fact"),
    [
        (
            [place(2, 3, 2, 3)],
            ["Failed at 1:1,155,581: bundle in row 2, column 3: All server contexts failed."],
            "1 bundle failed",
        ),
        (
            [place(0, 1, 1, 3)],
            [
                "Failed at 1:1,155,581: bundles in rows 0 to 1, columns 1 to 3: "
                "All server contexts failed."
            ],
            "6 bundles failed",
        ),
        (
            [place(row, 0, row, 0) for row in range(7)],
            [
                *(
                    f"Failed at 1:1,155,581: bundle in row {row}, column 0: {REASON}"
                    for row in range(5)
                ),
                "… and 2 more",
            ],
            "7 bundles failed",
        ),
        ([], [], "49,152 made"),
    ],
    ids=["one", "a block", "many", "none"],
)
def test_failed_bundles_are_listed_and_counted(
    places: list[FailedPlace], lines: list[str], fact: str
) -> None:
    assert messages.failure_sentences(report(*places)) == lines
    assert fact in messages.report_sentence(report(*places))


def test_what_the_site_says_is_plain_text() -> None:
    (line,) = messages.failure_sentences(report(place(0, 0, 0, 0, "<b>no</b>\n\tdisk\x07")))

    assert "\n" not in line
    assert line.isprintable()
