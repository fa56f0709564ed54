"""What a plugin may leave behind in QGIS, counted. Runs inside QGIS."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from qgis.core import QgsApplication, QgsProject
from qgis.gui import QgsGui, QgsMapCanvasItem, QgsMapTool
from qgis.PyQt.QtCore import QCoreApplication, QEvent, QMetaMethod, QObject
from qgis.PyQt.QtWidgets import QAction, QApplication, QDockWidget, QMenu, QToolBar
from qgis.utils import iface

Traces = Counter[tuple[str, str]]


def traces(package: str) -> Traces:
    """How often QGIS holds each thing that a plugin must take away again: (kind, name)."""
    # Widgets given to deleteLater() are gone once their deletion is delivered.
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return Counter(_found(package))


def differences(before: Traces, after: Traces) -> list[str]:
    """What came and what went, one line for each kind and name."""
    came, went = after - before, before - after
    return sorted(
        [f"{count} more {kind}: {name}" for (kind, name), count in came.items()]
        + [f"{count} less {kind}: {name}" for (kind, name), count in went.items()]
    )


def _found(package: str) -> Iterator[tuple[str, str]]:
    yield from _in_window()
    yield from _on_canvas()
    yield from _in_registries()
    yield from _listeners()
    # QGIS itself forgets only modules that were named in an import, not the packages above them.
    for name, module in sys.modules.items():
        if name.split(".")[0] == package and not hasattr(module, "__path__"):
            yield "module", name
    for thread in threading.enumerate():
        yield "thread", thread.name


def _in_window() -> Iterator[tuple[str, str]]:
    window = iface.mainWindow()
    yield from _menu_entries(window.menuBar(), "menu")
    for bar in window.findChildren(QToolBar):
        yield "toolbar", bar.objectName()
        yield from ((f"action in {bar.objectName()}", a.text()) for a in bar.actions())
    for action in window.findChildren(QAction):
        # QGIS keeps the plugin submenus it made, emptied and unseen.
        if action.menu() is None:
            yield "action", f"{action.objectName()} {action.text()}"
    for dock in window.findChildren(QDockWidget):
        yield "dock", dock.objectName()
    for widget in QApplication.topLevelWidgets():
        if not isinstance(widget, QMenu):
            yield "window", f"{type(widget).__name__} {widget.objectName()}"


def _on_canvas() -> Iterator[tuple[str, str]]:
    canvas = iface.mapCanvas()
    yield "map tool", type(canvas.mapTool()).__name__
    for tool in canvas.findChildren(QgsMapTool):
        yield "map tool at hand", type(tool).__name__
    for item in canvas.scene().items():
        if isinstance(item, QgsMapCanvasItem):
            yield "canvas item", type(item).__name__
    for item in iface.messageBar().items():
        yield "message", item.text()


def _in_registries() -> Iterator[tuple[str, str]]:
    registry = QgsApplication.processingRegistry()
    yield from (("provider", provider.id()) for provider in registry.providers())
    yield from (("algorithm", algorithm.id()) for algorithm in registry.algorithms())
    browser = QgsGui.dataItemGuiProviderRegistry().providers()
    yield from (("browser menu", provider.name()) for provider in browser)
    items = QgsApplication.dataItemProviderRegistry().providers()
    yield from (("browser item", provider.name()) for provider in items)
    yield from (("task", task.description()) for task in QgsApplication.taskManager().tasks())


def _listeners() -> Iterator[tuple[str, str]]:
    """Who listens to the canvas, the project and its layers: one entry for each connection."""
    project = QgsProject.instance()
    for watched in (iface.mapCanvas(), project, *project.mapLayers().values()):
        for name in _signals(watched):
            for _ in range(watched.receivers(getattr(watched, name))):
                yield f"listener to {type(watched).__name__}", name


def _signals(watched: QObject) -> set[str]:
    """Names of the signals that Python can see."""
    kind = watched.metaObject()
    methods = (kind.method(number) for number in range(kind.methodCount()))
    signals = (m for m in methods if m.methodType() == QMetaMethod.MethodType.Signal)
    names = {bytes(signal.name()).decode() for signal in signals}
    return {name for name in names if hasattr(watched, name)}


def _menu_entries(holder: Any, path: str) -> Iterator[tuple[str, str]]:
    """The entries of a menu and of those below it, each with its path."""
    for action in holder.actions():
        yield path, action.text()
        if action.menu() is not None:
            yield from _menu_entries(action.menu(), f"{path} > {action.text()}")
