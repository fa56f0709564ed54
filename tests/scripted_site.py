"""A transport that plays a script: which requests must come, in order, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Union

from tile_cache_manager.plugin.core.arcgis.client import Client, Repeats
from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.errors import SiteUnreachable, TileCacheError, Unreachable
from tile_cache_manager.plugin.core.request import Feedback, Message

QUICK = Repeats(times=3, first_seconds=0.001, longest_seconds=0.004)
"""Repeats as they are at work, a thousand times as fast."""

SITE = "https://maps.example/arcgis"

Answer = Union[HttpResponse, Unreachable, Callable[[HttpRequest], HttpResponse]]


def answer(
    body: object = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    content_type: str = "application/json;charset=utf-8",
) -> HttpResponse:
    """An answer; `body` is sent as it stands where it is text, else as JSON."""
    data = body if isinstance(body, str) else json.dumps({} if body is None else body)
    return HttpResponse(
        "", status, {"content-type": content_type, **(headers or {})}, data.encode()
    )


def html(status: int = 200) -> HttpResponse:
    return answer("<html><body>Sign in</body></html>", status, content_type="text/html")


def error(code: int | None, message: str = "", **more: Any) -> HttpResponse:
    """An ArcGIS error, under HTTP 200 as it mostly comes."""
    parts: dict[str, Any] = {"message": message, **more}
    return answer({"error": parts if code is None else {"code": code, **parts}})


def redirect(location: str, status: int = 302) -> HttpResponse:
    return answer("", status, {"location": location})


class ScriptedSite:
    """Plays `steps`, each ("METHOD url", answer). A request that is not the next one fails.

    `sent`: the requests that came. A test asks `is_played` at its end, or uses fixture `script`.
    """

    def __init__(self, *steps: tuple[str, Answer]) -> None:
        self._steps = list(steps)
        self.sent: list[HttpRequest] = []

    @property
    def left(self) -> list[str]:
        """Steps that nobody asked for."""
        return [line for line, _ in self._steps]

    def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        line = f"{request.method} {request.url}"
        assert self._steps, f"the script is over, but there came {line}"
        expected, reply = self._steps.pop(0)
        assert line == expected
        if isinstance(reply, Unreachable):
            raise SiteUnreachable(request.url, reply)
        reply = reply if isinstance(reply, HttpResponse) else reply(request)
        return HttpResponse(request.url, reply.status, reply.headers, reply.body)


class AnsweringSite:
    """Answers by address, any number of times: `pages` by what follows the site's URL.

    A page is a JSON object, an answer, or a list of them: then the last one stays.
    `asked`: (path, parameters) of each request.
    """

    def __init__(self, pages: Mapping[str, Any], site_url: str = SITE) -> None:
        self._pages = dict(pages)
        self._site_url = site_url
        self.asked: list[tuple[str, dict[str, str]]] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        path = request.url[len(self._site_url) :]
        self.asked.append((path, dict(request.params)))
        page = self._pages.get(path, error(404, "not found"))
        if isinstance(page, list):
            page = page.pop(0) if len(page) > 1 else page[0]
        if isinstance(page, Unreachable):
            raise SiteUnreachable(request.url, page)
        reply = page if isinstance(page, HttpResponse) else answer(page)
        return HttpResponse(request.url, reply.status, reply.headers, reply.body)

    def times(self, path: str) -> int:
        """How often `path` was asked for."""
        return sum(1 for asked, _ in self.asked if asked == path)


def quick_client(site: Any, sign_in: Any = None, site_url: str = SITE) -> Client:
    """A client of the scripted or answering site that repeats without loss of time."""
    return Client(site, site_url, sign_in, repeats=QUICK)


class Recorder:
    """Listens to a running update, and asks to cancel once it has heard so many messages."""

    def __init__(self, cancel_after_messages: int | None = None) -> None:
        self.percents: list[float] = []
        self.messages: list[Message] = []
        self._cancel_after = cancel_after_messages

    @property
    def texts(self) -> list[str]:
        """What the site told."""
        return [message.text for message in self.messages if message.error is None]

    @property
    def troubles(self) -> list[TileCacheError]:
        """What went wrong on the way and was tried again."""
        return [message.error for message in self.messages if message.error is not None]

    @property
    def feedback(self) -> Feedback:
        return Feedback(self.percents.append, self._is_cancelled, self.messages.append)

    def _is_cancelled(self) -> bool:
        return self._cancel_after is not None and len(self.texts) >= self._cancel_after
