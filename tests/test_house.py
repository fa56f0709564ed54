"""The house around the code: forms, metadata, changelog, and the zip that users get."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from form_rules import complaints

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "tile_cache_manager"
LARGEST_ZIP_BYTES = 25 * 1024 * 1024
FORMS = sorted((ROOT / "ui").glob("*.ui"))


@pytest.fixture(scope="module")
def metadata() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "metadata.txt", encoding="utf-8")
    return parser["general"]


# Forms


def test_there_are_forms() -> None:
    assert FORMS


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_form(form: Path) -> None:
    twin = form.with_suffix(".py")

    assert complaints(form.read_text(encoding="utf-8"), twin.read_text(encoding="utf-8")) == []


def form_with(inside: str) -> str:
    return f'<ui version="4.0"><widget class="QDialog" name="SomeDialog">{inside}</widget></ui>'


HEADER = "<customwidgets><customwidget><class>{}</class><header>{}</header></customwidget>"
HEADER += "</customwidgets>"


@pytest.mark.parametrize(
    ("inside", "complaint"),
    [
        ('<widget class="QPushButton" name="run_button"/>', None),
        ('<widget class="QLabel" name="hint_label"/>', None),
        ("<property><enum>Qt::Horizontal</enum></property>", None),
        (HEADER.format("QgsExtentWidget", "qgis.gui"), None),
        (HEADER.format("QgsExtentWidget", "qgsextentwidget.h"), "QgsExtentWidget: header"),
        ("<property><enum>Qt::Orientation::Horizontal</enum></property>", "Qt::Orientation::"),
        ("<set>Qt::AlignLeft|Qt::AlignmentFlag::AlignTop</set>", "Qt::AlignmentFlag::AlignTop"),
        ("<connections><connection><sender>a</sender></connection></connections>", "a is conn"),
        ('<widget class="QLabel" name="hintLabel"/>', "hintLabel: names are snake_case"),
        ('<widget class="QPushButton" name="stop_button"/>', "stop_button: a QPushButton that"),
        ('<property name="styleSheet"><string>x</string></property>', "property styleSheet"),
        ("<brush><color><red>255</red></color></brush>", "a fixed color"),
        ("<font><pointsize>9</pointsize></font>", "a fixed pointsize"),
    ],
)
def test_the_reader_of_forms(inside: str, complaint: str | None) -> None:
    found = complaints(form_with(inside), "self.run_button.click()")

    if complaint is None:
        assert found == []
    else:
        assert len(found) == 1
        assert found[0].startswith(complaint)


# Metadata

REQUIRED = [
    *("name", "description", "about", "version", "author", "email", "license"),
    *("homepage", "tracker", "repository", "tags", "category", "icon", "changelog"),
]


@pytest.mark.parametrize("key", REQUIRED)
def test_metadata_has(metadata: configparser.SectionProxy, key: str) -> None:
    assert metadata[key].strip()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "Tile Cache Manager"),
        ("qgisMinimumVersion", "3.22"),
        ("qgisMaximumVersion", "4.99"),
        ("hasProcessingProvider", "yes"),
        ("category", "Web"),
        ("license", "GPL-3.0-or-later"),
    ],
)
def test_metadata_says(metadata: configparser.SectionProxy, key: str, value: str) -> None:
    assert metadata[key] == value


def test_metadata_links_are_web_addresses(metadata: configparser.SectionProxy) -> None:
    for key in ("homepage", "tracker", "repository"):
        assert metadata[key].startswith("https://")


def test_metadata_names_the_python_packages_needed(metadata: configparser.SectionProxy) -> None:
    for package in ("numpy", "shapely", "requests"):
        assert package in metadata["about"]


def test_metadata_is_plain_text(metadata: configparser.SectionProxy) -> None:
    for key in ("description", "about"):
        assert not re.search(r"<[a-zA-Z/]", metadata[key])


def test_metadata_leaves_out_the_dead_key(metadata: configparser.SectionProxy) -> None:
    assert "supportsQt6" not in metadata


def test_icon_exists(metadata: configparser.SectionProxy) -> None:
    assert (ROOT / metadata["icon"]).is_file()


def test_version_is_the_newest_of_the_changelog(metadata: configparser.SectionProxy) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", changelog, re.MULTILINE)

    assert heads
    assert heads[0][0] == metadata["version"]
    assert metadata["changelog"].startswith(metadata["version"])


def test_licence_is_the_gpl() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert text.split("\n")[0].strip() == "GNU GENERAL PUBLIC LICENSE"
    assert text.split("\n")[1].strip() == "Version 3, 29 June 2007"
    assert "END OF TERMS AND CONDITIONS" in text


# The zip


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of the last commit, as `make package` writes it."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout to package")
    path = tmp_path_factory.mktemp("package") / f"{PACKAGE}.zip"
    subprocess.run(["make", "-s", "package", f"ZIP={path}"], cwd=ROOT, check=True)
    return path


def test_zip_has_one_folder(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()

    assert {name.split("/")[0] for name in names} == {PACKAGE}


def test_zip_holds_what_qgis_needs_and_no_more(archive: Path) -> None:
    names = {name.removeprefix(f"{PACKAGE}/") for name in zipfile.ZipFile(archive).namelist()}
    tops = {name.split("/")[0] for name in names if name}

    assert tops == {
        *("__init__.py", "metadata.txt", "LICENSE", "README.md", "CHANGELOG.md"),
        *("plugin", "ui", "resources"),
    }
    wanted = {file.relative_to(ROOT).as_posix() for file in FORMS}
    assert wanted <= names
    assert not [name for name in names if name.endswith((".pyc", ".sh", ".so", ".dll", ".exe"))]


def test_zip_is_small(archive: Path) -> None:
    assert archive.stat().st_size < LARGEST_ZIP_BYTES


def test_scan_of_the_plugin_repository_finds_nothing(archive: Path, tmp_path: Path) -> None:
    pytest.importorskip("bandit", reason="bandit is not installed")
    zipfile.ZipFile(archive).extractall(tmp_path)

    scan = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-r", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert scan.returncode == 0, scan.stdout
