"""Tokens of QGIS's OAuth 2 sign-in details, for whatever thread asks.

QGIS gets and renews such a token while it signs a request, in the thread that asks for it, and that
can take as long as a person needs to sign in. So nobody asks in the main thread here; but not in
the thread of a task either: before 3.40.6, what signs in lives in the thread that asked first, and
once that has ended a new sign-in waits for ever, holding a lock that QGIS's main thread wants next
(measured on 3.22.16). One thread asks for all, which lasts as long as QGIS; who wants a token waits
for it, but for a stated time only.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from qgis.core import Qgis, QgsApplication, QgsMessageLog, QgsNetworkAccessManager
from qgis.PyQt import sip
from qgis.PyQt.QtCore import (
    QCoreApplication,
    QEventLoop,
    QIODevice,
    QObject,
    Qt,
    QThread,
    QTimer,
    QUrl,
    QUrlQuery,
    pyqtSignal,
    pyqtSlot,
)
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from .areas import Cancelled
from .text import tr

LONGEST_WAIT = 180.0
"""Seconds that a token may take: QGIS itself gives a person up to 150, by default."""
RENEWED_FOR_SECONDS = 60.0
"""So soon a token is not renewed again, however often it is refused."""
LONGEST_SIGN_IN = 170.0
"""After so many seconds QGIS is told that nobody signs in, and lets go of its lock."""
RENEWAL_SECONDS = 20.0
"""How long QGIS may take to renew a token that a site refuses though it has not ended."""

_ASK = 0.05  # seconds between two looks
_OWN_THREAD_SINCE = 34006
"""From this version on, QGIS has a thread of its own for what signs in."""
_QUERY_KEY = "access_token"
_TAG = "Tile Cache Manager"


@dataclass(eq=False)
class _Question:
    """Somebody wants the token of `auth_config_id`; `token` is "" where there is none.

    `is_dropped`: nobody waits for it any more.
    """

    auth_config_id: str
    is_refused: bool
    is_dropped: bool = False
    answered: threading.Event = field(default_factory=threading.Event)
    token: str = field(default="", repr=False)


_WAITING = threading.local()
"""`cancelled`: whether what this thread works for was cancelled."""


@contextmanager
def waiting_unless(cancelled: Callable[[], bool]) -> Iterator[None]:
    """While the block lasts, a token is waited for in this thread until `cancelled` only."""
    before = getattr(_WAITING, "cancelled", None)
    _WAITING.cancelled = cancelled
    try:
        yield
    finally:
        _WAITING.cancelled = before


def _is_cancelled() -> bool:
    cancelled = getattr(_WAITING, "cancelled", None)
    return cancelled is not None and bool(cancelled())


class TokenThread:
    """Asks QGIS for tokens. Made on the main thread."""

    def __init__(self) -> None:
        self._thread = QThread()
        self._thread.setObjectName("Tile Cache Manager: tokens")
        # Python must not destroy it: what QGIS made in it lives on after the plugin is reloaded.
        sip.transferto(self._thread, None)
        self._asker = _Asker()
        self._asker.moveToThread(self._thread)
        self._ended = threading.Event()
        self._thread.start()
        QgsApplication.instance().aboutToQuit.connect(self.end)

    def token(self, auth_config_id: str, *, is_refused: bool = False) -> str:
        """The token now, "" where QGIS gets none in LONGEST_WAIT. Any thread.

        `is_refused`: the last one is not taken any more, so another one is wanted. Raises
        Cancelled, see `waiting_unless`.
        """
        if self._ended.is_set():
            return ""
        question = _Question(auth_config_id, is_refused)
        self._asker.ask(question)
        is_main = _is_main_thread()
        end = time.monotonic() + LONGEST_WAIT
        while not question.answered.wait(_ASK):
            is_cancelled = _is_cancelled()
            if is_cancelled or self._ended.is_set() or time.monotonic() > end:
                self._asker.drop(question)
                if is_cancelled:
                    raise Cancelled
                return ""
            if is_main:  # as in qgis_process: what QGIS does there must go on
                QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
        return question.token

    def end(self) -> None:
        """Let nobody wait any more. Main thread."""
        self._ended.set()
        self._thread.quit()
        self._thread.wait(2000)


class _Asker(QObject):
    """Lives in that thread. QGIS handles events while it waits, so a question may come in then."""

    _asked = pyqtSignal()
    _dropped = pyqtSignal()

    def __init__(self) -> None:
        super().__init__()
        self._question: _Question | None = None
        self._questions: queue.SimpleQueue[_Question] = queue.SimpleQueue()
        self._own: set[str] = set()
        self._last: dict[str, str] = {}
        self._renewed_at: dict[str, float] = {}
        self._forgetter = _Forgetter()
        self._limit = QTimer(self)
        self._limit.setSingleShot(True)
        self._limit.timeout.connect(self._give_up, Qt.ConnectionType.DirectConnection)
        self._asked.connect(self._answer, Qt.ConnectionType.QueuedConnection)
        self._dropped.connect(self._look_whether_wanted, Qt.ConnectionType.QueuedConnection)

    def ask(self, question: _Question) -> None:
        """Answer `question` soon. Any thread."""
        self._questions.put(question)
        self._asked.emit()

    def drop(self, question: _Question) -> None:
        """Nobody waits for the answer to `question` any more. Any thread."""
        question.is_dropped = True
        self._dropped.emit()

    @pyqtSlot()
    def _answer(self) -> None:
        # what comes in meanwhile is answered afterwards: QGIS's lock may not be taken twice
        while self._question is None and not self._questions.empty():
            self._question = question = self._questions.get()
            try:
                if not question.is_dropped:
                    question.token = self._token(question)
            finally:
                self._question = None
                question.answered.set()

    @pyqtSlot()
    def _look_whether_wanted(self) -> None:
        """QGIS need not wait for a person whom nobody else waits for."""
        if self._question is not None and self._question.is_dropped:
            self._give_up()

    def _token(self, question: _Question) -> str:
        config_id = question.auth_config_id
        if config_id not in self._own:
            self._own.add(config_id)
            if Qgis.QGIS_VERSION_INT < _OWN_THREAD_SINCE:
                self._forgetter.forget(config_id)
        last = self._last.get(config_id, "")
        if not (last or QgsApplication.authManager().masterPasswordIsSet()):
            return ""  # QGIS would ask for it now
        self._limit.start(round(LONGEST_SIGN_IN * 1000))
        token = signing_token(config_id)
        self._limit.stop()
        if question.is_refused and token and token == last:
            token = self._renewed(config_id, token)
        self._last[config_id] = token
        return token

    @pyqtSlot()
    def _give_up(self) -> None:
        """End QGIS's wait in this thread, as if the person had closed the browser."""
        QgsNetworkAccessManager.instance().authBrowserAborted.emit()

    def _renewed(self, config_id: str, old: str) -> str:
        """Another token than `old`: QGIS renews one once a reply says HTTP 401.

        `old` itself, where it is as good as new: a site that refuses it refuses all.
        """
        now = time.monotonic()
        if now - self._renewed_at.get(config_id, -math.inf) < RENEWED_FOR_SECONDS:
            return old
        self._renewed_at[config_id] = now
        reply = _RefusedReply()
        try:
            if not QgsApplication.authManager().updateNetworkReply(reply, config_id):
                return ""
            reply.tell()
            end = time.monotonic() + RENEWAL_SECONDS
            while time.monotonic() < end:
                QCoreApplication.processEvents()
                token = signing_token(config_id)
                if token != old:
                    return token
                QThread.msleep(50)
        finally:
            reply.deleteLater()
        QgsMessageLog.logMessage(
            tr("QGIS did not renew a token that a site refuses."), _TAG, Qgis.MessageLevel.Warning
        )
        return ""


class _Forgetter(QObject):
    """Has QGIS make what signs in anew, in the thread that asks next. Lives in the main thread.

    Only where the main thread is not in the midst of something: it may be signing in just then.
    """

    _asked = pyqtSignal(str, object)

    def __init__(self) -> None:
        super().__init__()
        self._asked.connect(self._forget, Qt.ConnectionType.QueuedConnection)

    def forget(self, auth_config_id: str) -> None:
        """Wait until it is done, but not for long. Any thread but the main one."""
        done = threading.Event()
        self._asked.emit(auth_config_id, done)
        done.wait(2.0)

    @pyqtSlot(str, object)
    def _forget(self, auth_config_id: str, done: threading.Event) -> None:
        # Within QGIS one loop of events runs; in a script or qgis_process, none. A further one may
        # be that in which QGIS itself waits for a sign-in, with what is to be forgotten.
        loops = 1 if QgsApplication.platform() == "desktop" else 0
        if QThread.currentThread().loopLevel() <= loops:
            QgsApplication.authManager().clearCachedConfig(auth_config_id)
        done.set()


class _RefusedReply(QNetworkReply):
    """A reply without a request: HTTP 401, as a server says that a token is not taken any more."""

    _ERROR = QNetworkReply.NetworkError.AuthenticationRequiredError

    def __init__(self) -> None:
        super().__init__()
        self.setAttribute(QNetworkRequest.Attribute.HttpStatusCodeAttribute, 401)
        self.setError(self._ERROR, "")
        self.open(QIODevice.OpenModeFlag.ReadOnly)

    def tell(self) -> None:
        """Let QGIS hear of it."""
        self.errorOccurred.emit(self._ERROR)

    # QNetworkReply interface

    def abort(self) -> None:
        """There is nothing to end."""

    def readData(self, size: int) -> bytes:
        return b""


def signing_token(auth_config_id: str) -> str:
    """The token that QGIS signs a request with, however it sends it; "" where there is none.

    It stands in a header, of any name, after "Bearer", or in the query. Not for the main thread.
    """
    request = QNetworkRequest(QUrl("https://localhost/"))
    is_signed, signed = QgsApplication.authManager().updateNetworkRequest(request, auth_config_id)
    return token_in(signed) if is_signed else ""


def token_in(request: QNetworkRequest) -> str:
    """The token that `request` carries, in a header or in the query; "" for none."""
    for name in request.rawHeaderList():
        kind, _, value = bytes(request.rawHeader(name)).decode("latin-1").strip().partition(" ")
        if kind.lower() == "bearer" and value.strip():
            return value.strip()
    query = QUrlQuery(request.url())
    return str(query.queryItemValue(_QUERY_KEY, QUrl.ComponentFormattingOption.FullyDecoded))


def _is_main_thread() -> bool:
    return bool(QThread.currentThread() == QCoreApplication.instance().thread())
