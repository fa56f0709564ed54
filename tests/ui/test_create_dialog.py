"""Creating a cache on this computer from the dialog."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER
from dialog_person import Person
from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle, QgsReferencedRectangle
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QDialog, QWidget

from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.creation import create_cache
from tile_cache_manager.plugin.core.storage.opening import read_profile
from tile_cache_manager.plugin.core.storage.profile import CacheProfile, StorageFormat, TileFormat
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings, read_settings
from tile_cache_manager.plugin.core.tiling import Extent
from tile_cache_manager.plugin.host import settings

BERLIN = QgsReferencedRectangle(
    QgsRectangle(1_480_000, 6_880_000, 1_500_000, 6_900_000),
    QgsCoordinateReferenceSystem("EPSG:3857"),
)


class Maker(Person):
    """Somebody who uses the dialog in which a cache is created."""

    def error(self) -> str:
        bar = self.dialog.message_bar
        return bar.currentItem().text() if bar.currentItem() is not None else ""

    def find(self, name: str) -> Any:
        widget = self.dialog.findChild(QWidget, name)
        assert widget is not None, name
        return widget

    def wait_for_scheme(self) -> None:
        self.wait_until(lambda: not self.dialog.scheme.is_reading, what="the scheme")

    def name(self, folder: Path, name: str) -> None:
        self.find("folder_widget").setFilePath(str(folder))
        self.find("name_edit").setText(name)
        self.wait_for_scheme()

    def why_not(self) -> str:
        button = self.find("create_button")
        return "" if button.isEnabled() else button.toolTip()


@pytest.fixture
def maker(visitor: Person, project: Any, wait_until: Any) -> Maker:
    """The dialog as it opens from New Cache, nothing scripted behind it."""
    visitor.click("new_button")
    dialog = visitor.dialog.findChild(QDialog, "CreateDialog")
    return Maker(dialog, wait_until)


def test_it_says_what_is_missing(maker: Maker, tmp_path: Path) -> None:
    maker.find("folder_widget").setFilePath("")
    maker.wait_for_scheme()
    assert maker.why_not() == "Choose the folder in which the cache is made."
    maker.find("folder_widget").setFilePath(str(tmp_path))
    assert maker.why_not() == "Give the cache a name."
    maker.find("name_edit").setText("a/b")
    assert "may not hold" in maker.why_not()
    for name in ("World.", "nul", "Com1.tpkx"):
        maker.find("name_edit").setText(name)
        assert "Windows" in maker.why_not()
    maker.find("name_edit").setText("World")
    assert maker.why_not() == ""
    assert maker.shows("path_label") == f"Makes {tmp_path / 'World'}."
    maker.click("check_none_button")
    assert "Tick the scales" in maker.why_not()
    maker.choose("scheme_combo", "From a Service or Cache")
    assert "Name the service or cache" in maker.why_not()


# what is chosen, ending of the path
STORAGES = [
    ("Compact Cache (Folder)", StorageFormat.COMPACT_V2, ""),
    ("Exploded Cache (a File per Tile)", StorageFormat.EXPLODED, ""),
    ("Tile Package (.tpkx)", StorageFormat.TPKX, ".tpkx"),
    ("MBTiles (.mbtiles)", StorageFormat.MBTILES, ".mbtiles"),
    ("GeoPackage (.gpkg)", StorageFormat.GEOPACKAGE, ".gpkg"),
    ("Old Compact Cache, V1 (Folder)", StorageFormat.COMPACT_V1, ""),
    ("Old Tile Package (.tpk)", StorageFormat.TPK, ".tpk"),
]


@pytest.mark.parametrize(("text", "storage", "ending"), STORAGES)
def test_the_new_cache_is_loaded(
    maker: Maker, visitor: Person, tmp_path: Path, text: str, storage: StorageFormat, ending: str
) -> None:
    maker.name(tmp_path, "Mein Würfel")
    maker.choose("storage_combo", text)
    maker.click("create_button")
    visitor.wait_until(visitor.ticked, 20, "the new cache")

    path = tmp_path / f"Mein Würfel{ending}"
    assert not maker.dialog.isVisible()
    assert visitor.find("address_combo").currentText() == str(path)
    assert read_profile(path).storage is storage
    visitor.wait_for_count()
    assert visitor.find("run_button").isEnabled()


def test_what_is_chosen_is_what_is_made(maker: Maker, visitor: Person, tmp_path: Path) -> None:
    maker.name(tmp_path, "Town")
    maker.choose("scheme_combo", "WGS 84")
    maker.choose("size_combo", "512 x 512 pixels")
    maker.choose("format_combo", "JPEG (Opaque)")
    maker.find("quality_spin").setValue(60)
    maker.find("background_button").setColor(QColor("#123456"))
    maker.wait_for_scheme()
    maker.find("range_from_combo").setCurrentIndex(2)
    maker.find("range_to_combo").setCurrentIndex(4)
    maker.click("range_button")
    maker.click("create_button")
    visitor.wait_until(visitor.ticked, 20, "the new cache")

    profile = read_profile(tmp_path / "Town")
    assert profile.tile_format is TileFormat.JPEG
    assert profile.compression_quality == 60
    assert profile.scheme.tile_width == 512
    assert profile.scheme.crs.code == 4326
    assert visitor.ticked() == [2, 3, 4]
    assert read_settings(tmp_path / "Town").background == "#123456"


def test_own_scales(maker: Maker, visitor: Person, project: Any, tmp_path: Path) -> None:
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:25832"))
    maker.choose("scheme_combo", "CRS of the Project")
    maker.find("scales_edit").setText("1:100000; 25000; 1:50000")
    maker.name(tmp_path, "Plan")
    maker.click("create_button")
    visitor.wait_until(visitor.ticked, 20, "the new cache")

    scheme = read_profile(tmp_path / "Plan").scheme
    assert [round(level.scale) for level in scheme.levels] == [100000, 50000, 25000]
    assert scheme.crs.code == 25832


def test_the_scheme_of_another_cache(maker: Maker, visitor: Person, tmp_path: Path) -> None:
    maker.name(tmp_path, "First")
    maker.choose("scheme_combo", "WGS 84")
    maker.wait_for_scheme()
    maker.click("create_button")
    visitor.wait_until(visitor.ticked, 20, "the first cache")

    visitor.click("new_button")
    maker.choose("scheme_combo", "From a Service or Cache")
    maker.find("reference_edit").setText(str(tmp_path / "First"))
    maker.find("reference_edit").editingFinished.emit()
    maker.name(tmp_path, "Second")
    maker.click("create_button")
    second = str(tmp_path / "Second")
    visitor.wait_until(lambda: visitor.find("address_combo").currentText() == second, 20, "second")

    first, second = (read_profile(tmp_path / name) for name in ("First", "Second"))
    assert first.scheme == second.scheme


def test_the_scheme_of_a_service_that_asks_for_a_sign_in(
    maker: Maker, tmp_path: Path, fresh_site: Any, store_sign_in: Any
) -> None:
    maker.name(tmp_path, "World")
    assert not maker.find("auth_select").isVisible()
    maker.choose("scheme_combo", "From a Service or Cache")
    maker.find("reference_edit").setText(str(tmp_path))
    assert not maker.find("auth_select").isVisible()

    maker.find("reference_edit").setText(fresh_site.service_url("secured", "World"))
    assert maker.find("auth_select").isVisible()
    maker.find("reference_edit").editingFinished.emit()
    assert "sign-in" in maker.wait_for_error()

    account = {"username": PUBLISHER.name, "password": PUBLISHER.password}
    maker.find("auth_select").setConfigId(store_sign_in("Basic", **account))
    maker.wait_until(lambda: maker.why_not() == "", 20, "the scheme")
    assert maker.error() == ""
    assert maker.dialog.profile().scheme.crs.code == 3857


def test_the_scheme_of_a_service_whose_portal_has_to_be_trusted(
    maker: Maker, tmp_path: Path, fresh_site: Any, store_sign_in: Any
) -> None:
    account = {"username": PUBLISHER.name, "password": PUBLISHER.password}
    publisher = store_sign_in("Basic", **account)
    maker.name(tmp_path, "World")
    maker.choose("scheme_combo", "From a Service or Cache")
    maker.find("reference_edit").setText(fresh_site.service_url("federated", "World"))
    maker.find("auth_select").setConfigId(publisher)
    maker.find("reference_edit").editingFinished.emit()
    assert "allow it" in maker.wait_for_error()

    maker.click("trust_portal_button")
    maker.wait_until(lambda: maker.why_not() == "", 20, "the scheme")

    assert maker.error() == ""
    assert settings.trusted_portals(publisher) == (fresh_site.site_url("portal"),)


def test_leaving_the_reference_as_it_was_changes_nothing(
    maker: Maker, visitor: Person, tmp_path: Path
) -> None:
    create_cache(
        tmp_path / "First",
        CacheProfile(web_mercator(finest=5), StorageFormat.COMPACT_V2, "PNG32"),
        CacheSettings(),
    )
    maker.choose("scheme_combo", "From a Service or Cache")
    maker.find("reference_edit").setText(str(tmp_path / "First"))
    maker.find("reference_edit").editingFinished.emit()
    maker.name(tmp_path, "Second")
    assert "has its own size" in maker.find("size_row").toolTip()
    maker.find("range_from_combo").setCurrentIndex(1)
    maker.find("range_to_combo").setCurrentIndex(2)
    maker.click("range_button")
    maker.find("reference_edit").editingFinished.emit()

    assert maker.dialog.profile().cached_ids == (1, 2)


def test_scales_that_are_none(maker: Maker, tmp_path: Path) -> None:
    maker.choose("scheme_combo", "CRS of the Project")
    maker.name(tmp_path, "World")
    maker.find("scales_edit").setText("half")

    assert "half" in maker.wait_for_error()
    assert maker.why_not() == "There is no tiling scheme yet."


def test_what_exists_already_is_left_alone(maker: Maker, tmp_path: Path) -> None:
    there = tmp_path / "World"
    there.mkdir()
    (there / "mine.txt").write_text("mine")
    maker.name(tmp_path, "World")
    maker.click("create_button")

    assert str(there) in maker.wait_for_error()
    assert [file.name for file in there.iterdir()] == ["mine.txt"]
    assert maker.dialog.isVisible()
    assert maker.find("create_button").isEnabled()


def tip_of(combo: Any, text: str) -> str:
    """Why an item of the list cannot be chosen; "" where it can."""
    item = combo.model().item(combo.findText(text))
    assert item.isEnabled() is (item.toolTip() == "")
    return item.toolTip()


def test_what_mbtiles_cannot_hold_is_said_at_once(maker: Maker, tmp_path: Path) -> None:
    maker.name(tmp_path, "World")
    mixed, wgs84 = "Mixed (JPEG and PNG32)", "WGS 84"
    formats, named = maker.find("format_combo"), maker.find("scheme_combo")
    assert tip_of(formats, mixed) == tip_of(named, wgs84) == ""
    maker.choose("storage_combo", "MBTiles (.mbtiles)")
    assert "PNG or JPEG" in tip_of(formats, mixed)
    assert "Web Mercator" in tip_of(named, wgs84)
    assert maker.why_not() == ""

    maker.choose("storage_combo", "Tile Package (.tpkx)")
    maker.choose("format_combo", mixed)
    maker.choose("scheme_combo", wgs84)
    maker.wait_for_scheme()
    assert maker.why_not() == ""
    maker.choose("storage_combo", "MBTiles (.mbtiles)")
    assert "PNG or JPEG" in maker.why_not()
    assert maker.shows("path_label") == maker.why_not()
    maker.choose("format_combo", "JPEG (Opaque)")
    assert "Web Mercator" in maker.why_not()


def test_mbtiles_of_scales_that_are_not_theirs(maker: Maker, project: Any, tmp_path: Path) -> None:
    maker.name(tmp_path, "World")
    maker.choose("storage_combo", "MBTiles (.mbtiles)")
    maker.choose("scheme_combo", "CRS of the Project")  # Web Mercator, with its usual scales
    maker.wait_for_scheme()
    assert maker.why_not() == ""
    maker.find("scales_edit").setText("1:1000000")
    maker.wait_for_scheme()
    assert "Web Mercator" in maker.why_not()


# Scales and full extent


def test_only_scales_of_some_tiles_are_ticked_at_first(maker: Maker, tmp_path: Path) -> None:
    maker.name(tmp_path, "World")

    # 4 ** level tiles each: levels 0 to 8 are 87,381 tiles, with level 9 there are 349,525.
    assert maker.ticked() == list(range(9))
    assert maker.shows("tiles_note_label") == "9 scales, 87,381 tiles in the full extent."
    maker.find("range_from_combo").setCurrentIndex(1)
    maker.find("range_to_combo").setCurrentIndex(1)
    maker.click("range_button")
    assert maker.shows("tiles_note_label") == "1 scale, 4 tiles in the full extent."
    maker.click("check_none_button")
    assert maker.shows("tiles_note_label") == ""


def test_the_full_extent_is_the_project_s_or_everything(
    maker: Maker, visitor: Person, project: Any, layers: Any, tmp_path: Path
) -> None:
    project.viewSettings().setPresetFullExtent(BERLIN)
    maker.choose("scheme_combo", "CRS of the Project")
    maker.name(tmp_path, "Town")
    assert maker.find("extent_combo").currentText() == "That of the project"
    assert "x 1,480,000 … 1,500,000, y 6,880,000 … 6,900,000" in maker.shows("scheme_note_label")
    town = maker.ticked()
    assert max(town) > 12
    maker.choose("extent_combo", "Everything the scheme covers")
    assert "x -20,037,508 … 20,037,508" in maker.shows("scheme_note_label")
    assert maker.ticked() == list(range(9))
    maker.choose("extent_combo", "That of the project")
    assert maker.ticked() == town
    maker.click("invert_button")
    chosen = maker.ticked()
    maker.choose("extent_combo", "Everything the scheme covers")
    assert maker.ticked() == chosen

    maker.choose("extent_combo", "That of the project")
    maker.find("range_to_combo").setCurrentIndex(3)
    maker.click("range_button")
    maker.click("create_button")
    visitor.wait_until(visitor.ticked, 20, "the new cache")
    assert read_profile(tmp_path / "Town").extent.bounds == pytest.approx(
        (1_480_000, 6_880_000, 1_500_000, 6_900_000)
    )


def test_a_project_without_layers_has_no_extent(maker: Maker, tmp_path: Path) -> None:
    maker.name(tmp_path, "World")
    combo = maker.find("extent_combo")
    assert combo.currentText() == "Everything the scheme covers"
    assert "no layers" in tip_of(combo, "That of the project")


def test_the_scales_that_another_cache_keeps(maker: Maker, tmp_path: Path) -> None:
    create_cache(
        tmp_path / "First",
        CacheProfile(
            web_mercator(),
            StorageFormat.COMPACT_V2,
            "PNG32",
            cached_ids=(2, 3, 4, 5),
            extent=Extent(0, 0, 1e6, 1e6),
        ),
        CacheSettings(),
    )
    maker.choose("scheme_combo", "From a Service or Cache")
    maker.find("reference_edit").setText(str(tmp_path / "First"))
    maker.find("reference_edit").editingFinished.emit()
    maker.name(tmp_path, "Second")

    assert maker.ticked() == [2, 3, 4, 5]
    assert maker.find("extent_combo").currentText() == "As it is there"
    assert maker.dialog.profile().extent == Extent(0, 0, 1e6, 1e6)


@pytest.mark.parametrize(
    ("text", "has_quality", "background"),
    [
        ("PNG (Smallest for Each Tile)", False, "Transparent"),
        ("PNG24 (Opaque)", False, "Project's Colour"),
        ("JPEG (Opaque)", True, "Project's Colour"),
        ("Mixed (JPEG and PNG32)", True, "Transparent"),
    ],
)
def test_a_format_says_what_it_takes(
    maker: Maker, text: str, has_quality: bool, background: str
) -> None:
    maker.choose("format_combo", text)

    assert maker.find("quality_spin").isEnabled() is has_quality
    assert maker.find("quality_spin").toolTip()
    assert maker.shows("background_note_label") == background
