"""The faults of a site as control switches them on: which requests they strike, and how often."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass

KINDS = (
    # instead of the answer
    *("html", "status", "error", "text", "empty", "list", "deep", "endless", "body"),
    *("redirect", "drop", "truncate"),
    # the right answer, sent badly; the request is carried out
    *("silence", "delay", "drip", "cut", "reset", "lost"),
    # something happens to the site before it answers as usual
    *("expire", "forget"),
)


@dataclass
class Fault:
    """What happens to the next ``count`` requests whose path matches ``pattern``.

    The first ``skip`` of them go through.

    Instead of the answer: ``html``: a page; ``status``: an HTTP status ``code``, with
    ``retry_after`` as it stands where it is given; ``error``: an Esri error envelope with ``code``
    and ``message``; ``text``, ``empty``: words that are no JSON, no words at all; ``list``: JSON,
    but no object; ``deep``: JSON nested a hundred thousand times; ``endless``: JSON without an
    end, until the client hangs up; ``body``: any words, ``body`` as ``content_type`` under
    ``code``; ``redirect``: to ``location`` under ``code``, to the same address where it is empty;
    ``drop``: the connection is closed without an answer; ``truncate``: half of an answer.

    The request is carried out, and its answer sent badly: ``silence``: no answer until the fault
    is cleared; ``delay``: after ``seconds``; ``drip``: a byte each ``seconds``; ``cut``: it breaks
    off after ``after`` bytes of its body; ``reset``: so, and the connection is reset; ``lost``: it
    is never sent.

    ``expire``: all tokens become invalid, ``forget``: all jobs are stopped and forgotten, and only
    then the request is answered.
    """

    pattern: str
    count: int
    kind: str
    code: int = 0
    message: str = "Error performing operation"
    after: int = 0
    seconds: float = 0.0
    skip: int = 0
    location: str = ""
    body: str = ""
    content_type: str = "application/json;charset=utf-8"
    retry_after: str = ""


class FaultBox:
    """The faults of one site, in the order they were set. ``struck``: how often which kind did."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._cleared = threading.Event()
        self.struck: Counter[str] = Counter()

    def add(self, fault: Fault) -> None:
        """Set a fault.

        Raises:
            ValueError: of an unknown kind or with a pattern that is none.
        """
        if fault.kind not in KINDS:
            raise ValueError(f"unknown fault {fault.kind!r}; known are {', '.join(KINDS)}")
        try:
            re.compile(fault.pattern)
        except re.error as error:
            raise ValueError(f"{fault.pattern!r} is not a pattern: {error}") from error
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Take all faults away and answer those who wait."""
        with self._lock:
            self._faults.clear()
            self._cleared.set()
            self._cleared = threading.Event()

    def strike(self, path: str) -> tuple[Fault, threading.Event] | None:
        """Return the fault that strikes a request, or None where none is due.

        Beside it stands what is set when the faults are cleared.
        """
        with self._lock:
            fault = self._due(path)
            if fault is None:
                return None
            self.struck[fault.kind] += 1
            fault.count -= 1
            if fault.count <= 0:
                self._faults.remove(fault)
            return fault, self._cleared

    def _due(self, path: str) -> Fault | None:
        for fault in self._faults:
            if not re.search(fault.pattern, path):
                continue
            if fault.skip <= 0:
                return fault
            fault.skip -= 1
        return None
