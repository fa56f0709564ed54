"""The dialog on a canvas of its own, before a cache that does what a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from dialog_person import Person
from scripted_exports import ScriptedExports

from tile_cache_manager.plugin.core.arcgis.catalogue import ServiceEntry
from tile_cache_manager.plugin.core.description import CacheDescription, LevelStatus
from tile_cache_manager.plugin.core.errors import AddressError
from tile_cache_manager.plugin.core.request import (
    Feedback,
    LevelEstimate,
    LevelReport,
    Message,
    Outcome,
    UpdateMode,
    UpdateReport,
    UpdateRequest,
)
from tile_cache_manager.plugin.core.tiling import Extent, Level, SpatialReference, TilingScheme

HALF = 20037508.342787
WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
SITE_URL = "https://site.test/arcgis/rest/services"
# The ArcGIS Online scheme's published figures: metres per pixel and scale of level 0.
LEVELS = tuple(
    Level(number, 156543.03392800014 / 2**number, 591657527.591555 / 2**number)
    for number in range(10)
)
WORLD = CacheDescription(
    address=WORLD_URL,
    name="World",
    kind="MapServer",
    scheme=TilingScheme(-HALF, HALF, 256, 256, 96, SpatialReference(102100, 3857), LEVELS),
    cached_levels=LEVELS[1:6],
    extent=Extent(-HALF, -HALF, HALF, HALF),
    image_format="PNG",
    version="10.91",
    modes=tuple(UpdateMode),
    status=(LevelStatus(1, 4, 4), LevelStatus(2, 15, 16), LevelStatus(3, 7)),
)

EXPORTABLE = replace(WORLD, export_tiles_allowed=True)

LOCAL_PATH = "/data/my caches/World"
LOCAL = replace(
    WORLD,
    address=LOCAL_PATH,
    kind="COMPACT_V2",
    version="",
    status=(LevelStatus(1, 4), LevelStatus(2, 1234)),
    is_local=True,
)


def delete(widget: Any) -> None:
    """Delete a widget now: what is left over when QGIS is shut down would abort the tests."""
    from qgis.PyQt.QtCore import QCoreApplication, QEvent

    widget.deleteLater()
    QCoreApplication.sendPostedEvents(widget, QEvent.Type.DeferredDelete)


@dataclass
class ScriptedCache:
    """Stands at the cache interface: answers with `answer`, and runs updates as far as told.

    `answer`: a CacheDescription, a tuple of ServiceEntry for a site, or an error to raise.
    `ending`: what an update ends with, an error to raise or how its report says it ended. An update
    tells 40 % and `first_message`, then waits for `go_on`, a cancel, or nobody following any more.
    `endings`: how updates ended.
    """

    answer: Any = WORLD
    ending: Exception | Outcome = Outcome.DONE
    first_message: Message = field(default_factory=lambda: Message("Job started"))
    endings: list[Outcome] = field(default_factory=list)
    requests: list[UpdateRequest] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    sign_ins: list[object] = field(default_factory=list)
    sources: list[object] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)

    def open(self, address: str, *rest: object, **named: object) -> ScriptedCache:
        """Sign-in, transport and the rest are noted; see `core.cache.open_cache`."""
        self.asked.append(address)
        self.sign_ins.append(rest[0] if rest else None)
        self.sources.append(named.get("source", rest[3] if len(rest) > 3 else None))
        if isinstance(self.answer, tuple) and address == SITE_URL:
            raise AddressError(address, SITE_URL)
        return self

    def list_services(self, *_address_and_sign_in: object) -> tuple[ServiceEntry, ...]:
        return self.answer

    def describe(self) -> CacheDescription:
        if isinstance(self.answer, Exception):
            raise self.answer
        return WORLD if isinstance(self.answer, tuple) else self.answer

    def estimate(self, request: UpdateRequest, _feedback: Feedback) -> tuple[LevelEstimate, ...]:
        self.requests.append(request)
        if isinstance(self.ending, Exception):
            raise self.ending
        return tuple(LevelEstimate(level, 10, 2_000_000, 60.0) for level in request.levels)

    def update(self, request: UpdateRequest, feedback: Feedback) -> UpdateReport:
        self.requests.append(request)
        feedback.progress(40)
        feedback.message(self.first_message)
        while not (self.go_on.wait(0.01) or feedback.cancelled() or feedback.abandoned()):
            pass
        if isinstance(self.ending, Exception):
            raise self.ending
        outcome = Outcome.CANCELLED if feedback.cancelled() else self.ending
        if feedback.abandoned():
            outcome = Outcome.SUBMITTED
        self.endings.append(outcome)
        levels = tuple(LevelReport(level, planned=4, made=3, skipped=1) for level in request.levels)
        if getattr(self.answer, "is_local", False):
            return UpdateReport(outcome, request.mode, levels, LOCAL_PATH, is_local=True)
        return UpdateReport(outcome, request.mode, levels, WORLD_URL, "j1", f"{WORLD_URL}/jobs/j1")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, qgis_app: Any) -> Iterator[ScriptedCache]:
    """The cache that the dialog talks to, whatever the address; updates run through at once."""
    from tile_cache_manager.plugin.host import export_tasks, local_tasks, tasks

    scripted = ScriptedCache()
    scripted.go_on.set()
    for module in (tasks, local_tasks, export_tasks):
        monkeypatch.setattr(module, "open_cache", scripted.open)
    monkeypatch.setattr(tasks, "list_services", scripted.list_services)
    yield scripted
    scripted.go_on.set()


@pytest.fixture
def world() -> CacheDescription:
    """A map service with levels 0 to 9, of which 1 to 5 are cached."""
    return WORLD


@pytest.fixture
def streets() -> CacheDescription:
    """The same service, all levels 0 to 19 of the ArcGIS Online scheme cached."""
    levels = tuple(
        Level(number, 156543.03392800014 / 2**number, 591657527.591555 / 2**number)
        for number in range(20)
    )
    scheme = replace(WORLD.scheme, levels=levels)
    return replace(WORLD, scheme=scheme, cached_levels=levels, status=())


@pytest.fixture
def local() -> CacheDescription:
    """The same cache on this computer, in a folder."""
    return LOCAL


@pytest.fixture
def without_modes() -> Callable[..., CacheDescription]:
    """`without_modes(*modes)`: the same service on a site that does not offer those modes."""
    return lambda *modes: replace(
        WORLD, modes=tuple(mode for mode in UpdateMode if mode not in modes)
    )


@pytest.fixture
def services() -> tuple[ServiceEntry, ...]:
    """What the site at SITE_URL lists."""
    return (
        ServiceEntry("Roads/Night", "MapServer", f"{SITE_URL}/Roads/Night/MapServer"),
        ServiceEntry("World", "MapServer", WORLD_URL),
    )


@pytest.fixture
def project(qgis_app: Any) -> Iterator[Any]:
    """QGIS's project, empty, in Web Mercator."""
    from qgis.core import QgsCoordinateReferenceSystem, QgsProject

    project = QgsProject.instance()
    project.clear()
    project.setCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    yield project
    project.clear()


@pytest.fixture
def canvas(project: Any) -> Iterator[Any]:
    """A canvas of 400 x 300 pixels at 10 km each, its centre at (0, 0) in Web Mercator."""
    from qgis.core import QgsCoordinateReferenceSystem, QgsRectangle
    from qgis.gui import QgsMapCanvas

    canvas = QgsMapCanvas()
    canvas.setFrameStyle(0)
    canvas.resize(400, 300)
    canvas.show()
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:3857"))
    canvas.setExtent(QgsRectangle(-2_000_000, -1_500_000, 2_000_000, 1_500_000))
    yield canvas
    delete(canvas)


@pytest.fixture
def layers(project: Any) -> Iterator[dict[str, Any]]:
    """Two polygon layers of the project that overlap."""
    from map_pictures import memory_layer

    layers = {
        "fields": memory_layer("fields", (0, 0, 1, 1), (2, 2, 3, 3)),
        "lakes": memory_layer("lakes", (0.5, 0.5, 5, 5)),
    }
    project.addMapLayers(list(layers.values()))
    yield layers
    layers.clear()


@pytest.fixture
def qgis_bar(qgis_app: Any) -> Iterator[Any]:
    """QGIS's message bar."""
    from qgis.gui import QgsMessageBar

    bar = QgsMessageBar()
    yield bar
    delete(bar)


@pytest.fixture(autouse=True)
def _english_numbers(qgis_app: Any) -> Iterator[None]:
    """Numbers as the expected answers have them, whatever the machine's locale."""
    from qgis.PyQt.QtCore import QLocale

    before = QLocale()
    QLocale.setDefault(QLocale(QLocale.Language.English, QLocale.Country.UnitedStates))
    yield
    QLocale.setDefault(before)


@pytest.fixture(autouse=True)
def job_file(monkeypatch: pytest.MonkeyPatch, qgis_app: Any, tmp_path: Path) -> Path:
    """Where the record of jobs lies: no test finds those of another."""
    from tile_cache_manager.plugin.host import job_record

    path = tmp_path / "profile" / "jobs.json"
    monkeypatch.setattr(job_record, "record_path", lambda: path)
    return path


@pytest.fixture
def forgetful(qgis_app: Any) -> None:
    """Nothing is remembered from an earlier test."""
    from qgis.core import QgsSettings

    QgsSettings().remove("tile_cache_manager", QgsSettings.Section.Plugins)


@dataclass
class Gate:
    """What comes to it waits until it is opened; `reached` tells that something has come."""

    reached: threading.Event = field(default_factory=threading.Event)
    may_pass: threading.Event = field(default_factory=threading.Event)

    def open(self) -> None:
        self.may_pass.set()

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """`work`, which now waits at the gate before it begins."""

        def late(*arguments: Any) -> Any:
            self.reached.set()
            assert self.may_pass.wait(30)
            return work(*arguments)

        return late


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that is open at the end of the test at the latest."""
    gate = Gate()
    yield gate
    gate.open()


@pytest.fixture
def held_count(monkeypatch: pytest.MonkeyPatch, loaded: Any, gate: Gate) -> Gate:
    """From now on, tiles are not counted before this is opened."""
    from tile_cache_manager.plugin.core import planned

    monkeypatch.setattr(planned, "count_tiles", gate.before(planned.count_tiles))
    return gate


@pytest.fixture
def qgis_window(qgis_app: Any) -> Iterator[Any]:
    """QGIS's main window."""
    from qgis.PyQt.QtWidgets import QMainWindow

    window = QMainWindow()
    window.show()
    yield window
    delete(window)


class Opener:
    """Opens a dialog, one at a time, and unloads it as the plugin does."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._dialog: Any = None

    def open(self) -> Any:
        self.unload()
        self._dialog = self._make()
        self._dialog.show()
        return self._dialog

    def unload(self) -> None:
        if self._dialog is not None:
            self._dialog.unload()
            delete(self._dialog)
            self._dialog = None


@pytest.fixture
def opener(
    canvas: Any, project: Any, qgis_bar: Any, qgis_window: Any, forgetful: None
) -> Iterator[Opener]:
    """Opens dialogs; the last one is unloaded at the end of the test."""
    from tile_cache_manager.ui.update_dialog import UpdateDialog

    opener = Opener(lambda: UpdateDialog(canvas, project, qgis_bar, lambda: None, qgis_window))
    yield opener
    opener.unload()


@pytest.fixture
def dialog(cache: ScriptedCache, opener: Opener) -> Any:
    """The dialog, open and empty, before the scripted cache."""
    return opener.open()


@pytest.fixture
def loaded(dialog: Any, person: Any) -> Any:
    """The dialog with the World service loaded and its tiles counted."""
    person.load(WORLD_URL)
    return dialog


@pytest.fixture
def local_loaded(dialog: Any, person: Any, cache: ScriptedCache, layers: Any) -> Any:
    """The dialog with the cache on this computer loaded; the project has layers to draw."""
    cache.answer = LOCAL
    person.load(LOCAL_PATH)
    return dialog


@pytest.fixture
def person(dialog: Any, wait_until: Any) -> Person:
    """Somebody who uses the dialog."""
    return Person(dialog, wait_until)


@pytest.fixture
def visitor(opener: Opener, wait_until: Any) -> Person:
    """Somebody who uses the dialog with nothing scripted behind it."""
    return Person(opener.open(), wait_until)


# The dialog in which tiles are exported


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch, cache: ScriptedCache) -> Iterator[ScriptedExports]:
    """What carries the dialog's exports out; they run through at once."""
    from tile_cache_manager.plugin.host import export_tasks

    scripted = ScriptedExports()
    scripted.go_on.set()
    monkeypatch.setattr(export_tasks, "run_export", scripted.run)
    monkeypatch.setattr(export_tasks, "estimate_export", scripted.estimate)
    monkeypatch.setattr(export_tasks, "run_queue", scripted.run_queue)
    cache.answer = EXPORTABLE
    yield scripted
    scripted.go_on.set()


@pytest.fixture
def export_opener(
    canvas: Any, project: Any, qgis_bar: Any, qgis_window: Any, forgetful: None
) -> Iterator[Opener]:
    """Opens export dialogs; the last one is unloaded at the end of the test."""
    from tile_cache_manager.ui.export_dialog import ExportDialog

    opener = Opener(lambda: ExportDialog(canvas, project, qgis_bar, lambda: None, qgis_window))
    yield opener
    opener.unload()


@pytest.fixture
def exporter(
    exports: ScriptedExports, export_opener: Opener, wait_until: Any, tmp_path: Any
) -> Person:
    """Somebody who uses the export dialog, open and empty, and exports into `tmp_path`."""
    from tile_cache_manager.plugin.host.settings import Settings

    Settings().export_folder = str(tmp_path)
    return Person(export_opener.open(), wait_until)


@pytest.fixture
def exportable(exporter: Person) -> CacheDescription:
    """The World service, which allows its tiles to be exported, loaded in the export dialog."""
    exporter.load(WORLD_URL)
    return EXPORTABLE
