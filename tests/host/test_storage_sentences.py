"""Sentences about caches on this computer, word by word; that each error has one is tested for all.

See `test_messages.py` for the rules that every sentence follows.
"""

from __future__ import annotations

import pytest
from host.sentence_rules import american, assert_is_one_sentence  # noqa: F401
from qgis.PyQt.QtCore import QDir

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.host import messages

pytestmark = pytest.mark.usefixtures("qgis_app", "american")

SECRET = "hunter2"
PATH = "/maps/Über all/World"

SENTENCES = [
    (errors.DiskFull(PATH, 88080384, 2048),
     f"There is too little room on the disk of {PATH}, 84.0 MB are needed and 2.0 kB are free: make"
     " room, or choose fewer scales or a smaller area."),
    (errors.DiskFull(PATH),
     f"The disk of {PATH} is full: make room and run the update again, which then goes on."),
    (errors.LayerFailed("Roads", "connection lost."),
     "Layer “Roads” could not be drawn (connection lost), so its tiles were left as they were: mend"
     " the layer's source, then retry the failed tiles."),
    (errors.NothingToDraw("", errors.NothingToDrawReason.NO_LAYERS),
     "“the project” has no visible layers to draw: switch some on, or choose another source."),
    (errors.BadCacheOption("TILE_SIZE", "300", "256 or 512"),
     "“300” cannot be taken for TILE_SIZE: give 256 or 512."),
    (errors.TileTooLarge(PATH, 88080384),
     f"A tile of 84.0 MB is more than {PATH} can hold: choose a tile format that compresses more."),
]  # fmt: skip


@pytest.mark.parametrize(("error", "expected"), SENTENCES)
def test_sentences_word_by_word(error: Exception, expected: str) -> None:
    assert messages.sentence(error) == expected
    assert_is_one_sentence(expected)


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
