"""The export dialog before real caches and the stand-in ArcGIS site, nothing faked between them."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from dialog_person import Person
from made_caches import make_compact
from qgis.core import QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QPushButton
from tile_bytes import tile

from tile_cache_manager.plugin.core.storage.opening import open_store
from tile_cache_manager.plugin.core.storage.profile import StorageFormat
from tile_cache_manager.plugin.host import gdal_reading, shown_layers
from tile_cache_manager.plugin.host.settings import Settings

SERVICE, MINE, RESULT = range(3)
# Levels 0, 1 and 2 of the ArcGIS Online scheme, the whole world.
KEYS = [
    (level, row, col) for level in range(3) for row in range(2**level) for col in range(2**level)
]


@pytest.fixture
def traveller(export_opener: Any, wait_until: Any, tmp_path: Path) -> Person:
    """Somebody who uses the export dialog with nothing scripted behind it."""
    (tmp_path / "out").mkdir()
    Settings().export_folder = str(tmp_path / "out")
    return Person(export_opener.open(), wait_until)


def load(person: Person, address: str, scales: int) -> None:
    """Load it and tick its coarsest scales."""
    person.load(address)
    person.wait_until(person.ticked, 20, "the scales")
    person.find("range_from_combo").setCurrentIndex(0)
    person.find("range_to_combo").setCurrentIndex(scales - 1)
    person.click("range_button")
    person.wait_for_count()


def choose_format(person: Person, storage: StorageFormat) -> None:
    combo = person.find("format_combo")
    combo.setCurrentIndex(combo.findData(storage))


def run(person: Person) -> str:
    person.click("run_button")
    person.wait_for_end()
    return person.shows("progress_label")


def tiles_at(path: Path) -> dict[tuple[int, int, int], bytes]:
    with open_store(path, for_writing=False) as store:
        read = {key: store.read(*key) for key in KEYS}
    return {key: content for key, content in read.items() if content is not None}


def tiles_of(url: str) -> dict[tuple[int, int, int], bytes]:
    """As the service hands them out."""
    found = {}
    for level, row, col in KEYS:
        with urllib.request.urlopen(f"{url}/tile/{level}/{row}/{col}") as answer:
            found[level, row, col] = answer.read()
    return found


@pytest.mark.parametrize(
    ("storage", "name"),
    [
        (StorageFormat.TPKX, "World.tpkx"),
        (StorageFormat.COMPACT_V2, "World"),
        (StorageFormat.EXPLODED, "World"),
        (StorageFormat.GEOPACKAGE, "World.gpkg"),
    ],
)
def test_a_cache_is_copied_byte_by_byte(
    traveller: Person, tmp_path: Path, storage: StorageFormat, name: str
) -> None:
    cache = make_compact(tmp_path / "World", KEYS)
    load(traveller, str(cache), 3)
    choose_format(traveller, storage)
    traveller.click("estimate_button")
    label = traveller.find("tile_count_label")
    traveller.wait_until(lambda: "Estimated: about 21 tiles" in label.text(), 20, "the estimate")

    assert "21 tiles in the area, 21 new" in run(traveller)
    assert tiles_at(tmp_path / "out" / name) == {key: tile(*key) for key in KEYS}

    assert "21 replaced" in run(traveller)  # into what is there by now


@pytest.mark.parametrize(
    ("storage", "name"),
    [(StorageFormat.COMPACT_V2, "World"), (StorageFormat.GEOPACKAGE, "World.gpkg")],
)
def test_what_was_exported_is_put_on_the_map(
    traveller: Person, tmp_path: Path, project: Any, storage: StorageFormat, name: str
) -> None:
    cache = make_compact(tmp_path / "World", KEYS)
    load(traveller, str(cache), 3)
    choose_format(traveller, storage)
    run(traveller)
    line = traveller.find("message_bar").currentItem()
    line.findChild(QPushButton, "add_to_map_button").click()

    (layer,) = project.mapLayers().values()
    assert shown_layers.draws_cache(layer, tmp_path / "out" / name)


@pytest.mark.skipif(gdal_reading.version() < 3080000, reason="GDAL reads TPKX from 3.8 on")
def test_a_package_is_put_on_the_map(traveller: Person, tmp_path: Path, project: Any) -> None:
    cache = make_compact(tmp_path / "World", KEYS)
    load(traveller, str(cache), 3)
    run(traveller)
    line = traveller.find("message_bar").currentItem()
    line.findChild(QPushButton, "add_to_map_button").click()

    (layer,) = project.mapLayers().values()
    assert layer.isValid()


def test_a_service_is_exported_byte_by_byte(
    traveller: Person, tmp_path: Path, fresh_site: Any
) -> None:
    url = f"{fresh_site.services_url('classic')}/Streets/MapServer"
    load(traveller, url, 3)

    assert "21 tiles in the area, 21 new" in run(traveller)
    assert tiles_at(tmp_path / "out" / "Streets.tpkx") == tiles_of(url)


def test_a_queue_goes_on_after_a_failure_and_does_the_rest_when_run_again(
    traveller: Person, tmp_path: Path, fresh_site: Any, project: Any
) -> None:
    urls = {
        name: f"{fresh_site.services_url('classic')}/{name}/MapServer"
        for name in ("Streets", "Places")
    }
    fresh_site.set_export_allowed("classic", "Places:MapServer", False)
    for name, url in urls.items():
        source = f"type=xyz&url={url}/tile/%7Bz%7D/%7By%7D/%7Bx%7D&zmin=0&zmax=2"
        project.addMapLayer(QgsRasterLayer(source, name, "wms"))
    traveller.find("services_tabs").setCurrentIndex(1)
    view = traveller.find("services_view")
    traveller.wait_until(lambda: view.topLevelItemCount() == 2, what="the list")
    traveller.click("all_services_button")
    traveller.find("finest_widget").setScaleString("1:147914382")

    def row(name: str) -> Any:
        return view.findItems(name, Qt.MatchFlag.MatchExactly, SERVICE)[0]

    def run_queue() -> dict[str, str]:
        traveller.click("run_button")
        traveller.answer("Yes")
        traveller.wait_for_end()
        return {name: row(name).text(RESULT) for name in urls}

    assert run_queue() == {"Streets": "Exported", "Places": "Failed"}
    assert tiles_at(tmp_path / "out" / "Streets.tpkx") == tiles_of(urls["Streets"])

    row("Places").setCheckState(MINE, Qt.CheckState.Checked)
    assert run_queue() == {"Streets": "Done before", "Places": "Exported"}
    assert tiles_at(tmp_path / "out" / "Places.tpkx") == tiles_of(urls["Places"])
