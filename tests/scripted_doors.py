"""Sites and portals that ask who is there: a transport that answers by "METHOD url"."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Union

from scripted_site import answer, error

from tile_cache_manager.plugin.core.arcgis.transport import HttpRequest, HttpResponse
from tile_cache_manager.plugin.core.errors import SiteUnreachable, Unreachable

Page = Union[HttpResponse, Unreachable, Callable[[HttpRequest], HttpResponse]]


class Doors:
    """Answers `pages`; what is not among them is not found. A list is answered in turn, then its
    last one for ever. `sent`: the requests that came."""

    def __init__(self, pages: Mapping[str, Page | list[Page]]) -> None:
        self.pages = {
            line: page if isinstance(page, list) else [page] for line, page in pages.items()
        }
        self.sent: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.sent.append(request)
        pages = self.pages.get(f"{request.method} {request.url}", [error(404, "no such page")])
        page = pages.pop(0) if len(pages) > 1 else pages[0]
        if isinstance(page, Unreachable):
            raise SiteUnreachable(request.url, page)
        reply = page if isinstance(page, HttpResponse) else page(request)
        return HttpResponse(request.url, reply.status, reply.headers, reply.body)

    def asked(self, line: str) -> list[HttpRequest]:
        """The requests "METHOD url" that came."""
        return [each for each in self.sent if f"{each.method} {each.url}" == line]

    @property
    def lines(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.sent]

    def saw(self, secret: str) -> list[str]:
        """Addresses that were sent `secret`, in whatever part of a request, each once."""
        return list(
            dict.fromkeys(
                each.url
                for each in self.sent
                if secret in f"{each.url} {dict(each.params)} {dict(each.headers)}"
            )
        )


def info(tokens: str = "", owning: str = "") -> HttpResponse:
    """What `rest/info` says: where tokens are given, and by which portal."""
    body: dict[str, object] = {"currentVersion": 11.1, "authInfo": {}}
    if tokens:
        body["authInfo"] = {"isTokenBasedSecurity": True, "tokenServicesUrl": tokens}
    if owning:
        body["owningSystemUrl"] = owning
    return answer(body)


def token(value: str, minutes: float = 60.0) -> HttpResponse:
    return answer({"token": value, "expires": int((time.time() + 60 * minutes) * 1000)})


def sent_token(request: HttpRequest) -> str:
    """The token that signs `request`, wherever it stands; "" for none."""
    bearer = request.headers.get("X-Esri-Authorization", "").replace("Bearer ", "")
    return request.params.get("token", bearer)


def takes(*values: str) -> Callable[[HttpRequest], HttpResponse]:
    """A page that is given for these tokens only."""

    def page(request: HttpRequest) -> HttpResponse:
        value = sent_token(request)
        if value in values:
            return answer({"fine": True})
        return error(498, "Invalid token.") if value else error(499, "Token Required")

    return page


def basic(
    header: str, page: Page, challenge: str = 'Basic realm="Maps"'
) -> Callable[[HttpRequest], HttpResponse]:
    """`page`, behind a web server that wants `header` as the authorization."""

    def guarded(request: HttpRequest) -> HttpResponse:
        if request.headers.get("Authorization") != header:
            return answer("<html>", 401, {"www-authenticate": challenge}, "text/html")
        assert not isinstance(page, Unreachable)
        return page if isinstance(page, HttpResponse) else page(request)

    return guarded
