"""Sentences about caches on this computer, word by word; that each error has one is tested for all.

See `test_messages.py` for the rules that every sentence follows.
"""

from __future__ import annotations

import pytest
from host.sentence_rules import american, assert_is_one_sentence  # noqa: F401
from qgis.PyQt.QtCore import QDir

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.request import (
    FailedTile,
    Message,
    Outcome,
    UpdateMode,
    UpdateReport,
)
from tile_cache_manager.plugin.host import messages

pytestmark = pytest.mark.usefixtures("qgis_app", "american")

SECRET = "hunter2"
PATH = "/maps/Über all/World"

SENTENCES = [
    (errors.DiskFull(PATH, 88080384, 2048),
     f"There is too little room on the disk of {PATH}, 84.0 MB are needed and 2.0 kB are free: make"
     " room, or choose fewer scales or a smaller area."),
    (errors.DiskFull(PATH, 88080384, 2048, is_at_least=True),
     f"There is too little room on the disk of {PATH}, at least 84.0 MB are needed and 2.0 kB are"
     " free: make room, or choose fewer scales or a smaller area."),
    (errors.DiskFull(PATH),
     f"The disk of {PATH} is full: make room and try again, an update then goes on where it"
     " stopped."),
    (errors.LayerFailed("Roads", "connection lost."),
     "Layer “Roads” could not be drawn (connection lost): mend the layer's source or leave it out"
     " of what is drawn, then run the update again."),
    (errors.NothingToDraw("", errors.NothingToDrawReason.NO_LAYERS),
     "“the project” has no visible layers to draw: switch some on, or choose another source."),
    (errors.BadCacheOption("TILE_SIZE", "300", "256 or 512"),
     "“300” cannot be taken for the tile size: give 256 or 512."),
    (errors.BadCacheOption("RESUME", "later", "AUTO or NEW"),
     "“later” cannot be taken for RESUME: give AUTO or NEW."),
    (errors.NothingToDraw("", errors.NothingToDrawReason.NO_THEME),
     "No map theme is named to draw the tiles from: give one as theme:NAME."),
    (errors.NothingToDraw("", errors.NothingToDrawReason.NO_LAYER),
     "No layer is named to draw the tiles from: give some as layers:ID,ID."),
    (errors.NotACache("/maps/World.PMTiles", errors.NotACacheReason.VECTOR),
     "/maps/World.PMTiles is no file of a tile cache: choose a .tpkx, .tpk, .mbtiles or .gpkg file,"
      " or the folder of a cache."),
    (errors.HostileFile(PATH, "unpacks into more than it says"),
     f"{PATH} was not opened, for it is damaged or made to do harm (unpacks into more than it"
     " says): take it anew from where you can trust it."),
    (errors.EmptyArea(),
     "The area of interest has no surface, or lies where the coordinates of the cache do not reach,"
     " or none was given and nobody knows how large the cache is: draw or choose a polygon."),
    (errors.AddressError("https://a.test/arcgis/rest/services/Roads/FeatureServer",
                         "https://a.test/arcgis/rest/services"),
     "“https://a.test/arcgis/rest/services/Roads/FeatureServer” is the address of a service of"
     " another kind, which has no tiles: give that of a map or image service, it ends in /MapServer"
     " or /ImageServer."),
    (errors.ExportNotAllowed("Roads", is_owner=True),
     "The own export of Roads is switched off, whoever the tiles belong to: choose another way to"
     " get them."),
    (errors.TileTooLarge(PATH, 88080384),
     f"A tile of 84.0 MB is more than {PATH} can hold: choose a tile format that compresses more."),
]  # fmt: skip


@pytest.mark.parametrize(("error", "expected"), SENTENCES)
def test_sentences_word_by_word(error: Exception, expected: str) -> None:
    assert messages.sentence(error) == expected
    assert_is_one_sentence(expected)


def test_a_layer_that_fails_amid_an_update_can_be_retried() -> None:
    failed = errors.LayerFailed("Roads", "connection lost.")
    expected = (
        "Layer “Roads” could not be drawn (connection lost), so its tiles were left as they were:"
        " mend the layer's source, then retry the failed tiles."
    )
    report = UpdateReport(
        Outcome.PARTIAL, UpdateMode.RECREATE_ALL, (), PATH, is_local=True,
        failed_tiles=(FailedTile(0, 0, 0, failed),),
    )  # fmt: skip
    assert messages.message_text(Message("", error=failed)) == expected
    assert messages.failure_sentences(report) == [expected]
    assert_is_one_sentence(expected)


def test_a_check_sends_nobody_to_the_check() -> None:
    damaged = errors.DamagedCache(f"{PATH}/conf.xml", "not XML.")
    assert messages.check_problem_sentence(damaged) == (
        f"{PATH}/conf.xml is damaged (not XML), so the cache cannot be checked: take it from a"
        " backup, or create the cache anew."
    )
    other = errors.CacheInUse(PATH)
    assert messages.check_problem_sentence(other) == messages.sentence(other)


PATHS = [
    ("/maps/two  blanks", "/maps/two  blanks"),
    ("/maps/" + "x" * 400, "/maps/" + "x" * 400),
    ("/maps/<b>bold</b>", "/maps/bold"),
    ("/maps/left\u202eright\nline", "/maps/left right line"),
    (f"https://anna:{SECRET}@site.test/arcgis?token={SECRET}", "https://site.test/arcgis"),
]


@pytest.mark.parametrize(("path", "shown"), PATHS)
def test_paths_are_shown_whole_and_plain(path: str, shown: str) -> None:
    shown = shown if "://" in shown else str(QDir.toNativeSeparators(shown))
    assert f" {shown} " in " " + messages.sentence(errors.CacheInUse(path))
