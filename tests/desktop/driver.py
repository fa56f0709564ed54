"""Acts in the QGIS window as a person does: clicks, types, looks, waits. Runs inside QGIS.

A script is a generator, `def steps(desktop): ...`, that yields what to do next:

    yield desktop.click(button)                    a deed: done by the event loop, not by the script
    yield desktop.until(condition, 30, "the end")  a wait: goes on once `condition()` holds

A timer asks the generator for its next step. Between steps the event loop runs undisturbed, at its
top level: nothing is nested, nothing pumps events, so the window lives as it does for a user and
the heartbeat measures QGIS and the plugin alone. And because deeds are done apart from the script,
a click that opens a modal dialog does not hold it up: the script goes on inside that dialog.
"""

from __future__ import annotations

import importlib.util
import json
import os
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, Union

from arcgis_server.handle import RunningSite
from qgis.core import QgsApplication, QgsPointXY, QgsProject, QgsVectorLayer
from qgis.PyQt.QtCore import QModelIndex, QObject, QPoint, Qt, QTimer
from qgis.PyQt.QtGui import QCursor
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QMenu,
    QMenuBar,
    QWidget,
)
from qgis.utils import iface

STEP_MS = 20
BEAT_MS = 5
PAINTING_SECONDS = 0.4
CLICKS_ON_A_LIST = 3
SECONDS_FOR_TASKS = 10
AnyWidget = TypeVar("AnyWidget", bound=QObject)


@dataclass
class Deed:
    """Something a person does once; `failure` is set where doing it raised."""

    do: Callable[[], Any]
    started: bool = False
    failure: BaseException | None = None

    def begin(self) -> None:
        self.started = True
        try:
            self.do()
        except Exception as error:
            self.failure = error


@dataclass
class Wait:
    """Something a person waits for, at most `seconds`."""

    condition: Callable[[], Any]
    seconds: float
    what: str
    since: float = field(default_factory=time.monotonic)


Step = Union[Deed, Wait]
Script = Generator[Step, None, None]


class Heartbeat(QObject):
    """A fast timer on the main thread that notes the longest time it was not served."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self.restart()

    def restart(self) -> None:
        """Forget the gaps so far."""
        self.longest_gap_seconds = 0.0
        self._last = time.perf_counter()
        self._timer.start(BEAT_MS)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what the driver itself does on the main thread."""
        yield
        self._last = time.perf_counter()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest_gap_seconds = max(self.longest_gap_seconds, now - self._last)
        self._last = now


class Desktop(QObject):
    """The QGIS window in the hands of a script."""

    def __init__(self, brief: dict[str, Any]) -> None:
        super().__init__(iface.mainWindow())
        self.folder = Path(brief["folder"])
        self.site = RunningSite(brief["site"][0], Path(brief["site"][1])) if brief["site"] else None
        self.virtual: bool = brief["virtual"]
        self.heartbeat = Heartbeat(self)
        self._report = os.fdopen(brief["report"], "w", buffering=1, encoding="utf-8")
        self._pictures = 0

    # Telling

    def say(self, text: str) -> None:
        """Print a line where launch.py was started."""
        self._report.write(json.dumps({"say": text}) + "\n")

    def leave(self, exit_code: int) -> None:
        """Close QGIS without questions; launch.py ends with `exit_code`."""
        self._report.write(json.dumps({"exit": exit_code}) + "\n")
        self._report.close()
        # QGIS asks before it closes with changes, layers in a temporary folder or tasks under way.
        QgsProject.instance().clear()
        QgsProject.instance().setDirty(False)
        QgsApplication.taskManager().cancelAll()
        self._close(time.monotonic() + SECONDS_FOR_TASKS)

    def quit(self) -> Deed:
        """Choose "Exit QGIS", with all that is under way; the script has succeeded then.

        What QGIS asks is for the script to answer. Nothing can be said any more.
        """

        def do() -> None:
            self._report.write(json.dumps({"exit": 0}) + "\n")
            self._report.close()
            iface.actionExit().trigger()

        return Deed(do)

    def _close(self, latest: float) -> None:
        if QgsApplication.taskManager().countActiveTasks() and time.monotonic() < latest:
            QTimer.singleShot(STEP_MS, lambda: self._close(latest))
            return
        QApplication.closeAllWindows()
        QApplication.quit()

    @property
    def messages(self) -> list[str]:
        """QGIS's message log so far, plugins' loading included: `tag | level | text`."""
        return (self.folder / "messages.log").read_text(encoding="utf-8").splitlines()

    # Looking

    def find(self, kind: type[AnyWidget], name: str, parent: QObject | None = None) -> AnyWidget:
        """The one `kind` with object name `name`, below `parent` or anywhere in QGIS."""
        roots = [parent] if parent is not None else QApplication.topLevelWidgets()
        found = {id(hit): hit for root in roots for hit in root.findChildren(kind, name)}
        found.update(
            {
                id(root): root
                for root in roots
                if root.objectName() == name and isinstance(root, kind)
            }
        )
        if len(found) != 1:
            raise LookupError(f"{len(found)} widgets are a {kind.__name__} named {name}")
        return next(iter(found.values()))

    def dialog(self, kind: type[AnyWidget]) -> AnyWidget | None:
        """The window of a kind that is open now; None where there is none."""
        open_now = (w for w in QApplication.topLevelWidgets() if isinstance(w, kind))
        return next((window for window in open_now if window.isVisible()), None)

    def picture(self, name: str, widget: QWidget | None = None) -> Path:
        """Save what the whole screen shows, or one widget, as a numbered PNG in the folder."""
        with self.heartbeat.paused():
            self._pictures += 1
            path = self.folder / f"{self._pictures:02d}_{name}.png"
            shot = widget.grab() if widget else QApplication.primaryScreen().grabWindow(0)
            if not shot.save(str(path)):
                raise OSError(f"cannot write {path}")
            return path

    def until(self, condition: Callable[[], Any], seconds: float, what: str) -> Wait:
        """Wait until `condition()` holds; past `seconds` the script fails, naming `what`."""
        return Wait(condition, seconds, what)

    def passed(self, seconds: float) -> Wait:
        """Wait a while, as a person does between two deeds."""
        end = time.monotonic() + seconds
        return Wait(lambda: time.monotonic() > end, seconds + 5, f"{seconds} s to pass")

    def painted(self) -> Wait:
        """Give what has just changed the time to reach the screen, before a picture of it."""
        return self.passed(PAINTING_SECONDS)

    # Doing

    def click(
        self,
        widget: QWidget,
        at: QPoint | None = None,
        button: Qt.MouseButton = Qt.MouseButton.LeftButton,
        keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> Deed:
        """Click a visible, enabled widget in its middle or at a point."""

        def do() -> None:
            if not widget.isVisible() or not widget.isEnabled():
                raise RuntimeError(f"{widget.objectName() or widget} cannot be clicked")
            place = at or widget.rect().center()
            # not by QTest.mouseMove: it handles events, and so this script, before the click
            QCursor.setPos(widget.mapToGlobal(place))
            QTest.mouseClick(widget, button, keys, place)

        return Deed(do)

    def double_click(self, widget: QWidget, at: QPoint) -> Deed:
        """Double-click a widget at a point."""
        return Deed(
            lambda: QTest.mouseDClick(
                widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at
            )
        )

    def press(
        self,
        widget: QWidget,
        key: Qt.Key,
        keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> Deed:
        """Press a key in a widget."""
        return Deed(lambda: QTest.keyClick(widget, key, keys))

    def type_text(self, widget: QWidget, text: str) -> Deed:
        """Replace what an input shows by typing."""

        def do() -> None:
            widget.setFocus()
            QTest.keyClick(widget, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
            QTest.keyClick(widget, Qt.Key.Key_Delete)
            QTest.keyClicks(widget, text)

        return Deed(do)

    def click_item(self, view: QAbstractItemView, index: QModelIndex) -> Deed:
        """Click the text of an item in a list, table or tree."""
        view.scrollTo(index)
        return self.click(view.viewport(), view.visualRect(index).center())

    def tick(self, view: QAbstractItemView, index: QModelIndex) -> Script:
        """Toggle an item's check box with the Space key (`yield from`)."""
        yield self.click_item(view, index)
        yield self.press(view, Qt.Key.Key_Space)

    def choose(self, combo: QComboBox, text: str) -> Script:
        """Open a combo box and click the entry that reads `text` (`yield from`)."""
        row = combo.findText(text)
        if row < 0:
            entries = [combo.itemText(i) for i in range(combo.count())]
            raise LookupError(f"{combo.objectName()} offers {entries}, not {text!r}")
        view = combo.view()
        for _ in range(CLICKS_ON_A_LIST):
            # a window that has just come to the front may swallow the first click
            if not view.isVisible():
                yield self.click(combo)
                yield self.passed(QApplication.doubleClickInterval() / 1000)
        yield self.until(view.isVisible, 5, f"the list of {combo.objectName()}")
        index = combo.model().index(row, combo.modelColumn(), combo.rootModelIndex())
        for _ in range(CLICKS_ON_A_LIST):
            # Qt takes a click that comes soon after the first for a slip; a person clicks again
            yield self.passed(QApplication.doubleClickInterval() / 1000)
            if view.isVisible():
                yield self.click_item(view, index)
        yield self.until(lambda: not view.isVisible(), 5, f"{combo.objectName()} to close")

    def choose_from_menu(self, *titles: str) -> Script:
        """Click through the menu bar, title by title, `&` and `…` left out (`yield from`)."""
        holder: QMenuBar | QMenu = iface.mainWindow().menuBar()
        for title in titles:
            action = next((a for a in holder.actions() if plain(a.text()) == title), None)
            if action is None:
                raise LookupError(f"{[plain(a.text()) for a in holder.actions()]}, not {title!r}")
            yield self.click(holder, holder.actionGeometry(action).center())
            if action.menu() is not None:
                holder = action.menu()
                yield self.until(holder.isVisible, 5, f"menu {title}")

    def canvas_point(self, x: float, y: float) -> QPoint:
        """Where on the map canvas a point in the project's CRS lies, in pixels."""
        return (
            iface.mapCanvas()
            .getCoordinateTransform()
            .transform(QgsPointXY(x, y))
            .toQPointF()
            .toPoint()
        )

    def open_countries(self) -> QgsVectorLayer:
        """Add QGIS's own world map to the project, as its layer of countries."""
        path = Path(QgsApplication.pkgDataPath()) / "resources" / "data" / "world_map.gpkg"
        layer = iface.addVectorLayer(f"{path}|layername=countries", "Countries", "ogr")
        if layer is None or not layer.isValid():
            raise OSError(f"{path} has no layer of countries")
        return layer


def plain(title: str) -> str:
    """A menu title as a person reads it."""
    return title.replace("&", "").rstrip("…").rstrip(".")


class _Performance(QObject):
    """Takes a script step by step, driven by a timer."""

    def __init__(self, desktop: Desktop, script: Script) -> None:
        super().__init__(desktop)
        self._desktop = desktop
        self._script = script
        self._step: Step | None = None
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._go_on)
        self._timer.start(STEP_MS)

    def _go_on(self) -> None:
        try:
            if self._through_with_step():
                self._step = None
                self._begin(next(self._script))
        except StopIteration:
            self._end(0)
        except Exception:
            self._desktop.say(traceback.format_exc().rstrip())
            self._desktop.say(f"The screen then: {self._desktop.picture('failure')}")
            self._end(1)

    def _through_with_step(self) -> bool:
        step = self._step
        if isinstance(step, Deed):
            if step.failure:
                raise step.failure
            return step.started
        if isinstance(step, Wait) and not step.condition():
            if time.monotonic() - step.since > step.seconds:
                raise TimeoutError(f"waited {step.seconds} s in vain for {step.what}")
            return False
        return True

    def _begin(self, step: Step) -> None:
        self._step = step
        if isinstance(step, Deed):
            QTimer.singleShot(0, step.begin)
        else:
            step.since = time.monotonic()

    def _end(self, exit_code: int) -> None:
        self._timer.stop()
        self._desktop.leave(exit_code)


def _steps_of(path: Path, desktop: Desktop) -> Script:
    """The steps of the script at `path`; errors in reading it are errors of its first step."""
    spec = importlib.util.spec_from_file_location(f"desktop_script_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield from module.steps(desktop)


_running: list[_Performance] = []
"""Held here, because Python's garbage collector takes what only Qt's parents hold."""


def perform(brief: dict[str, Any]) -> None:
    """Start the brief's script in the window; it goes on when the event loop runs."""
    window = iface.mainWindow()
    desktop = Desktop(brief)
    if desktop.virtual:
        # No window manager there that could maximise the window.
        window.setGeometry(QApplication.primaryScreen().geometry())
    _running.append(_Performance(desktop, _steps_of(Path(brief["script"]), desktop)))
