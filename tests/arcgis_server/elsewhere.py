"""Another host, which has no business with any site and keeps all that it hears.

It is the same process under its other name: an origin of its own to every client.
"""

from __future__ import annotations

import threading
from typing import Any

from flask import Response, request

from .fault_answers import SIGN_IN_PAGE
from .handle import ELSEWHERE_PATH, LOGIN_PATH

_KEPT = 10_000


class Elsewhere:
    """What another host was sent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: list[dict[str, Any]] = []

    def respond(self, path: str = "") -> Response:
        """Keep a request; answer with the page of somebody who wants a sign-in."""
        heard = {
            "method": request.method,
            "url": request.url,
            "headers": dict(request.headers.items()),
            "form": request.form.to_dict(),
        }
        with self._lock:
            self._heard.append(heard)
            del self._heard[:-_KEPT]
        return Response(SIGN_IN_PAGE, content_type="text/html")

    def heard(self) -> list[dict[str, Any]]:
        """Return method, url, headers and form of each request, in order, and forget them."""
        with self._lock:
            heard, self._heard = self._heard, []
        return heard


ADDRESSES = (ELSEWHERE_PATH, f"{ELSEWHERE_PATH}/<path:path>", LOGIN_PATH)
"""Rules of the addresses that belong to it."""
