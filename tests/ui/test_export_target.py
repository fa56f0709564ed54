"""Naming what tiles are exported to, and what is there already."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tile_cache_manager.plugin.core.storage.profile import StorageFormat


def choose_format(person: Any, storage: StorageFormat) -> None:
    combo = person.find("format_combo")
    combo.setCurrentIndex(combo.findData(storage))


def type_path(person: Any, text: str) -> Any:
    """Type `text` and leave the field."""
    edit = person.find("target_edit")
    edit.clear()
    edit.insert(text)
    edit.editingFinished.emit()
    return edit


# format, what is typed below the folder, what forbids the export
WRONG_NAMES = [
    (StorageFormat.TPKX, "new/", "Type a file name"),
    (StorageFormat.TPKX, ".tpkx", "Type a file name"),
    (StorageFormat.TPKX, "folder", "is a folder: name a file in it"),
    (StorageFormat.TPKX, "folder/", "is a folder: name a file in it"),
    (StorageFormat.COMPACT_V2, "letter.txt", "is a file: name a folder"),
    (StorageFormat.COMPACT_V2, "letter.txt/cache", "is a file: choose another folder"),
    (StorageFormat.TPKX, "letter.txt/cache", "is a file: choose another folder"),
    (StorageFormat.TPKX, "belg.tpk", "ends like"),
    (StorageFormat.MBTILES, "belg.tpkx", "ends like"),
    (StorageFormat.COMPACT_V2, "belg.gpkg", "ends like"),
]


@pytest.mark.parametrize(("storage", "name", "words"), WRONG_NAMES)
def test_a_name_that_cannot_be_is_refused_before_anything_is_got(
    exportable: Any, exporter: Any, tmp_path: Path, storage: StorageFormat, name: str, words: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "letter.txt").write_text("x")
    choose_format(exporter, storage)
    edit = type_path(exporter, f"{tmp_path}/{name}")

    assert words in exporter.find("run_button").toolTip()
    assert not exporter.find("run_button").isEnabled()
    assert words in exporter.shows("target_note_label")
    if words != "is a file: choose another folder":
        assert edit.text() == f"{tmp_path}/{name}"  # nothing is hung on to it


def test_an_ending_that_is_appended_is_seen(exportable: Any, exporter: Any, tmp_path: Path) -> None:
    edit = type_path(exporter, str(tmp_path / "my tiles"))
    assert edit.text() == str(tmp_path / "my tiles.tpkx")
    assert exporter.find("run_button").isEnabled()


def mbtiles(path: Path) -> None:
    """A database that has what MBTiles 1.3 asks for."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE metadata (name text, value text)")
        database.execute(
            "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer,"
            " tile_data blob)"
        )
        database.execute("INSERT INTO metadata VALUES ('name', 'x'), ('format', 'png')")
        database.execute("INSERT INTO tiles VALUES (0, 0, 0, x'89504e470d0a1a0a')")
    database.close()


def test_what_is_no_package_is_refused(exportable: Any, exporter: Any, tmp_path: Path) -> None:
    (tmp_path / "there.mbtiles").write_text("a letter")
    choose_format(exporter, StorageFormat.MBTILES)
    type_path(exporter, str(tmp_path / "there.mbtiles"))

    button = exporter.find("run_button")
    exporter.wait_until(lambda: "is no cache" in button.toolTip(), what="a look at the file")
    assert "is no cache" in exporter.shows("target_note_label")


def test_a_package_of_another_format_is_refused(
    exportable: Any, exporter: Any, tmp_path: Path
) -> None:
    mbtiles(tmp_path / "there.tpkx")
    type_path(exporter, str(tmp_path / "there.tpkx"))

    button = exporter.find("run_button")
    exporter.wait_until(lambda: "another format" in button.toolTip(), what="a look at the file")
    assert "MBTiles" in button.toolTip()


def test_a_package_of_this_format_is_added_to(
    exportable: Any, exporter: Any, tmp_path: Path
) -> None:
    mbtiles(tmp_path / "there.tpkx")
    type_path(exporter, str(tmp_path / "there.tpkx"))
    button = exporter.find("run_button")
    exporter.wait_until(lambda: "another format" in button.toolTip(), what="a look at the file")

    (tmp_path / "there.tpkx").rename(tmp_path / "there.mbtiles")
    choose_format(exporter, StorageFormat.MBTILES)
    looked = exporter.find("target_note_label")
    exporter.wait_until(lambda: exporter.dialog.export_panel.target._found, what="a look")
    assert "The file exists" in looked.text()
    assert button.isEnabled()
