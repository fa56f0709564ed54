"""A site's texts in the windows: shown as they are, never rendered as HTML."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hostile_texts import HOSTILE
from qgis.PyQt.QtCore import QModelIndex, Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QLabel,
    QPushButton,
    QTabWidget,
    QTextEdit,
    QWidget,
)
from scripted_jobs import an_update

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.arcgis.catalogue import ServiceEntry
from tile_cache_manager.plugin.core.jobs import JobRecord
from tile_cache_manager.plugin.core.request import FailedPlace, Message
from tile_cache_manager.plugin.core.site_update import PartState

SITE_URL = "https://site.test/arcgis/rest/services"
TAGS = ("<img", "<a href", "<b>", "<table", "<script", "<br")
TEXTS = [text for text in HOSTILE if len(text) < 1000]


def is_marked_up(text: str) -> bool:
    """Whether Qt would render something of a site in it, where it decides by itself."""
    return Qt.mightBeRichText(text) and any(tag in text.lower() for tag in TAGS)


def rendered(root: Any) -> list[str]:
    """Where in a window a site's mark-up would be rendered."""
    found = []
    for widget in [root, *root.findChildren(QWidget)]:
        texts = [widget.toolTip(), widget.statusTip(), widget.whatsThis()]
        texts += [action.toolTip() for action in widget.actions()]
        if isinstance(widget, QLabel) and widget.textFormat() != Qt.TextFormat.PlainText:
            texts.append(widget.text())
        if isinstance(widget, QTextEdit):
            html = widget.toHtml().lower()
            texts += [html] if "<img" in html or "<a href" in html else []
        if isinstance(widget, QTabWidget):
            texts += [widget.tabToolTip(place) for place in range(widget.count())]
        if isinstance(widget, QAbstractItemView) and widget.model() is not None:
            texts += tips_of(widget.model(), QModelIndex())
        name = widget.objectName() or type(widget).__name__
        found += [f"{name}: {text[:200]}" for text in texts if is_marked_up(text)]
    return found


def tips_of(model: Any, parent: QModelIndex) -> list[str]:
    tips = []
    for row in range(model.rowCount(parent)):
        for column in range(model.columnCount(parent)):
            index = model.index(row, column, parent)
            tip = index.data(Qt.ItemDataRole.ToolTipRole)
            tips += [tip] if isinstance(tip, str) else []
            tips += tips_of(model, index) if column == 0 else []
    return tips


@pytest.fixture(params=TEXTS, ids=lambda text: ascii(text[:30]))
def text(request: pytest.FixtureRequest) -> str:
    return request.param


def test_a_description(text: str, cache: Any, world: Any, dialog: Any, person: Any) -> None:
    problem = errors.SiteRefused(SITE_URL, 500, text, (text, text))
    cache.answer = replace(
        world,
        name=text,
        version=text,
        image_format=text,
        text=text,
        modes=(),
        modes_problem=problem,
    )
    person.load(f"{SITE_URL}/World/MapServer")

    assert rendered(dialog) == []
    assert person.shows("summary_label")


@pytest.mark.parametrize(
    "kind", [errors.SiteRefused, errors.NotAllowed, errors.NotFound], ids=lambda kind: kind.__name__
)
def test_an_error(text: str, kind: Any, cache: Any, dialog: Any, person: Any) -> None:
    cache.answer = kind(f"{SITE_URL}/World/MapServer", 500, text, (text,))
    person.find("address_combo").setEditText(f"{SITE_URL}/World/MapServer")
    person.click("load_button")
    person.wait_for_error()

    assert rendered(dialog) == []


def test_a_site_s_services(text: str, cache: Any, dialog: Any, person: Any) -> None:
    cache.answer = (
        ServiceEntry(text, "MapServer", f"{SITE_URL}/{text}/MapServer"),
        ServiceEntry("World", "MapServer", f"{SITE_URL}/World/MapServer"),
    )
    person.find("address_combo").setEditText(SITE_URL)
    person.click("load_button")
    person.wait_until(lambda: cache.asked and person.find("load_button").isEnabled())

    assert rendered(dialog) == []


def test_a_run_and_its_end(text: str, cache: Any, loaded: Any, person: Any, qgis_bar: Any) -> None:
    said = [Message(text), Message("", error=errors.JobSplit(f"{SITE_URL}/jobs/j1", text, 2))]
    plain_update = cache.update

    def update(request: Any, feedback: Any) -> Any:
        for message in said:
            feedback.message(message)
        report = plain_update(request, feedback)
        level = request.levels[0]
        places = (FailedPlace(level, 0, 0, 0, 0, text),)
        return replace(report, output_url=f"{SITE_URL}/{text}", failed_places=places)

    cache.update = update
    person.click("run_button")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")

    assert rendered(loaded) == []
    assert rendered(qgis_bar) == []


def test_a_run_that_fails(text: str, cache: Any, loaded: Any, person: Any, qgis_bar: Any) -> None:
    cache.ending = errors.JobFailed(f"{SITE_URL}/jobs/{text}", text)
    person.click("run_button")
    person.wait_until(lambda: qgis_bar.currentItem() is not None, what="a line in QGIS's bar")

    assert rendered(loaded) == []
    assert rendered(qgis_bar) == []


def test_recorded_jobs(text: str, job_file: Path, cache: Any, opener: Any, wait_until: Any) -> None:
    update = an_update("World", PartState.FAILED)
    parts = tuple(replace(part, detail=text) for part in update.parts)
    JobRecord(job_file).keep(replace(update, name=text, parts=parts), "")
    dialog = opener.open()
    tabs = dialog.findChild(QTabWidget, "update_tabs")
    tabs.setCurrentIndex(1)
    view = dialog.findChild(QAbstractItemView, "jobs_view")
    wait_until(lambda: view.model().rowCount() == 1, what="the job")
    view.selectRow(0)

    assert rendered(dialog) == []


def test_what_would_be_rendered_is_seen(qgis_app: Any) -> None:
    """The eyes of these tests."""
    window = QWidget()
    label = QLabel(HOSTILE[0], window)
    button = QPushButton("Press", window)
    button.setToolTip(HOSTILE[1])
    editor = QTextEdit(window)
    editor.setHtml(HOSTILE[0])

    assert len(rendered(window)) == 3

    label.setTextFormat(Qt.TextFormat.PlainText)
    button.setToolTip("plain")
    editor.setPlainText(HOSTILE[0])
    assert rendered(window) == []
    window.deleteLater()
