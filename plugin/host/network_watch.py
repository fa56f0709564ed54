"""Whether layers that are fetched over the network could be while they were drawn.

QGIS draws nothing where a server fails, and says nothing: in a cache, empty tiles would take the
place of good ones. All of QGIS's network access, in whatever thread, is told to the access manager
of the main thread, though. There a listener hears every reply; who draws asks it afterwards whether
one of the layers' requests came to nothing. GDAL and OGR have a network access of their own, which
is not heard here.

Replies do not tell for which picture they were asked. So, where pictures are drawn at the same time
and a server refuses something, each is drawn again by itself, which tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from qgis.core import QgsNetworkAccessManager, QgsNetworkReplyContent, QgsNetworkRequestParameters
from qgis.PyQt.QtCore import (
    QCoreApplication,
    QEvent,
    QObject,
    Qt,
    QThread,
    QUrl,
    pyqtSignal,
    pyqtSlot,
)
from qgis.PyQt.QtNetwork import QNetworkReply

from ..core.errors import LayerFailed
from .network_layers import STATUS, NetworkLayer
from .text import listed, tr

Cancelled = Callable[[], bool]
Outcome = TypeVar("Outcome")

LONGEST_WAIT = 60.0
"""Seconds to wait for the main thread to tell which requests failed."""

_ASK = 0.05  # seconds between two looks whether the drawing was cancelled


@dataclass(frozen=True)
class _Failure:
    """Requests of layer `name` to `host` failed. `is_answer`: the server said so itself."""

    name: str
    host: str
    reason: str
    is_answer: bool


@dataclass(eq=False)
class _Attempt:
    """What is heard of the requests of `layers` while they are drawn once.

    Of several requests to the same URL the last one counts: QGIS tries again itself.
    """

    layers: list[NetworkLayer]
    is_shared: bool = False
    failures: dict[str, _Failure] = field(default_factory=dict)

    def finished(self, reply: QgsNetworkReplyContent) -> None:
        """Take note of a reply. Main thread."""
        if reply.error() == QNetworkReply.NetworkError.OperationCanceledError:
            return  # by who draws, or else it is told as timed out
        url = reply.request().url()
        layers = self._asking(url)
        problem = layers[0].problem(reply, url) if layers else None
        if problem is None:
            self.failures.pop(url.toString(), None)
        else:
            self._note(layers, url, problem, reply.attribute(STATUS) is not None)

    def timed_out(self, url: QUrl) -> None:
        """Take note of a request that got no answer. Main thread."""
        layers = self._asking(url)
        if layers:
            self._note(layers, url, tr("no answer in time"), False)

    def _asking(self, url: QUrl) -> list[NetworkLayer]:
        """The layers that may have asked for `url`."""
        fits = [(layer.fit(url), layer) for layer in self.layers]
        best = max(fit for fit, _ in fits)
        return [layer for fit, layer in fits if fit == best and best]

    def _note(self, layers: list[NetworkLayer], url: QUrl, reason: str, is_answer: bool) -> None:
        name = listed(dict.fromkeys(layer.name for layer in layers))
        self.failures[url.toString()] = _Failure(name, url.host(), reason, is_answer)


class _Listener(QObject):
    """Hears of all requests of QGIS. Lives in the main thread."""

    asked = pyqtSignal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._attempts: list[_Attempt] = []
        self._change = threading.Lock()
        manager = QgsNetworkAccessManager.instance()
        manager.finished[QgsNetworkReplyContent].connect(self._finished)
        manager.requestTimedOut[QgsNetworkRequestParameters].connect(self._timed_out)
        self.asked.connect(self._answer, Qt.ConnectionType.QueuedConnection)

    def add(self, attempt: _Attempt) -> None:
        with self._change:
            self._attempts = [*self._attempts, attempt]

    def remove(self, attempt: _Attempt) -> None:
        with self._change:
            self._attempts = [each for each in self._attempts if each is not attempt]

    def deliver(self) -> None:
        """Hear what has happened so far. Main thread."""
        manager = QgsNetworkAccessManager.instance()
        QCoreApplication.sendPostedEvents(manager, QEvent.Type.MetaCall)
        QCoreApplication.sendPostedEvents(self, QEvent.Type.MetaCall)

    def _finished(self, reply: QgsNetworkReplyContent) -> None:
        for attempt in self._attempts:
            attempt.finished(reply)

    def _timed_out(self, request: QgsNetworkRequestParameters) -> None:
        for attempt in self._attempts:
            attempt.timed_out(request.request().url())

    @pyqtSlot(object)
    def _answer(self, heard: threading.Event) -> None:
        # what was posted before the question may still wait if only questions are delivered
        manager = QgsNetworkAccessManager.instance()
        QCoreApplication.sendPostedEvents(manager, QEvent.Type.MetaCall)
        heard.set()


class _Turns:
    """Who draws layers of the network now: several together, or one alone."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._drawing: list[_Attempt] = []
        self._alone: list[_Attempt] = []

    @contextmanager
    def together(self, attempt: _Attempt, cancelled: Cancelled) -> Iterator[None]:
        """Draw once nobody draws alone or waits to; at once when `cancelled`."""
        with self._change:
            while self._alone and not cancelled():
                self._change.wait(_ASK)
            for other in self._drawing:
                other.is_shared = attempt.is_shared = True
            self._drawing.append(attempt)
        with self._until_end(attempt):
            yield

    @contextmanager
    def alone(self, attempt: _Attempt, cancelled: Cancelled) -> Iterator[None]:
        """Draw once nobody else draws; at once when `cancelled`."""
        with self._change:
            self._alone.append(attempt)
            while (self._drawing or self._alone[0] is not attempt) and not cancelled():
                self._change.wait(_ASK)
        with self._until_end(attempt):
            yield

    @contextmanager
    def _until_end(self, attempt: _Attempt) -> Iterator[None]:
        try:
            yield
        finally:
            with self._change:
                for attempts in (self._drawing, self._alone):
                    if attempt in attempts:
                        attempts.remove(attempt)
                self._change.notify_all()


_TURNS = _Turns()
_LISTENERS: list[_Listener] = []


def listen() -> None:
    """Begin to hear of QGIS's requests; once is enough for all that is drawn. Main thread."""
    if not _LISTENERS:
        _LISTENERS.append(_Listener(QCoreApplication.instance()))


def stop_listening() -> None:
    """Hear of nothing any more: the plugin is taken away. Main thread."""
    while _LISTENERS:
        _LISTENERS.pop().deleteLater()


def hearing(cancelled: Cancelled) -> Cancelled:
    """`cancelled`, to be asked by a thread that waits for pictures.

    Where that is the main thread, as in `qgis_process`, its events wait too: each question lets it
    hear of QGIS's requests.
    """

    def ask() -> bool:
        if _LISTENERS and _is_main_thread():
            _LISTENERS[0].deliver()
        return cancelled()

    return ask


def _is_main_thread() -> bool:
    return bool(QThread.currentThread() == QCoreApplication.instance().thread())


class NetworkWatch:
    """Watches over the requests of `layers` while they are drawn, in any threads.

    It hears nothing before `listen` was called.
    """

    def __init__(self, layers: Iterable[NetworkLayer]) -> None:
        self._layers = list(layers)

    def checked(
        self, draw: Callable[[], Outcome | LayerFailed | None], cancelled: Cancelled
    ) -> Outcome | LayerFailed | None:
        """What `draw` gives, or the failure of a layer that could not be fetched meanwhile.

        `draw` gives None once `cancelled`. It is called again where only that can tell whether the
        failure was its own.
        """
        listener = next(iter(_LISTENERS), None)
        if not self._layers or listener is None:
            return draw()
        attempt = _Attempt(self._layers)
        with _TURNS.together(attempt, cancelled):
            outcome = self._watched(listener, attempt, draw, cancelled)
        failures = attempt.failures.values()
        if attempt.is_shared and failures and all(each.is_answer for each in failures):
            attempt = _Attempt(self._layers)
            with _TURNS.alone(attempt, cancelled):
                outcome = self._watched(listener, attempt, draw, cancelled)
        return outcome

    def _watched(
        self,
        listener: _Listener,
        attempt: _Attempt,
        draw: Callable[[], Outcome | LayerFailed | None],
        cancelled: Cancelled,
    ) -> Outcome | LayerFailed | None:
        listener.add(attempt)
        try:
            outcome = draw()
            if outcome is None:
                return None
            heard = _all_heard(listener, cancelled)
        finally:
            listener.remove(attempt)
        if cancelled():
            return None
        for failure in attempt.failures.values():
            return LayerFailed(failure.name, f"{failure.host}: {failure.reason}")
        if not heard and not isinstance(outcome, LayerFailed):
            names = listed(layer.name for layer in self._layers)
            return LayerFailed(names, tr("QGIS did not tell whether it was fetched"))
        return outcome


def _all_heard(listener: _Listener, cancelled: Cancelled) -> bool:
    """Wait until the main thread has heard of all requests that have ended by now."""
    if _is_main_thread():
        listener.deliver()
        return True
    heard = threading.Event()
    listener.asked.emit(heard)
    end = time.monotonic() + LONGEST_WAIT
    while not heard.wait(_ASK):
        if cancelled() or time.monotonic() > end:
            return False
    return True
