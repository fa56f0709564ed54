"""Answer or error? ArcGIS tells in the body, mostly under HTTP 200."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from scripted_site import answer, error, html

from tile_cache_manager.plugin.core.arcgis.envelope import body_of, is_busy
from tile_cache_manager.plugin.core.arcgis.transport import HttpResponse
from tile_cache_manager.plugin.core.errors import (
    NotAllowed,
    NotArcGIS,
    NotFound,
    SignInNeeded,
    SiteRefused,
)

URL = "https://h.example/arcgis/rest/info"

ANSWERS = [
    {},
    {"currentVersion": 10.81},
    {"status": "EXISTS", "lodInfos": []},
    {"jobId": "j1", "jobStatus": "esriJobFailed", "messages": []},
    {"status": "failed", "jobId": "j1"},
    {"status": "Started", "name": "World"},
    {"message": [{"description": "Failed"}], "statusCode": 400, "jobStatus": "esriJobFailed"},
    {"code": 7, "message": "seven"},
]

# what came, class, code, message, details
REFUSALS: list[tuple[HttpResponse, type[SiteRefused], int | None, str, tuple[str, ...]]] = [
    (error(400, "Bad", details=["a", "b"]), SiteRefused, 400, "Bad", ("a", "b")),
    (error(400, "Bad", details=None), SiteRefused, 400, "Bad", ()),
    (error(400, "Bad"), SiteRefused, 400, "Bad", ()),
    (error(400, "Bad", details="one"), SiteRefused, 400, "Bad", ()),
    (error(400, "Bad", details=["", None, "x"]), SiteRefused, 400, "Bad", ("x",)),
    (error(None, "Bad"), SiteRefused, None, "Bad", ()),
    (answer({"error": {"code": "499", "message": "Token"}}), SignInNeeded, 499, "Token", ()),
    (answer({"error": {}}), SiteRefused, None, "", ()),
    (answer({"error": "invalid_client"}), SiteRefused, None, "invalid_client", ()),
    (error(401, "Invalid credentials"), SignInNeeded, 401, "Invalid credentials", ()),
    (error(403, "No right"), NotAllowed, 403, "No right", ()),
    (error(404, "Service X not found"), NotFound, 404, "Service X not found", ()),
    (error(498, "Invalid Token"), SignInNeeded, 498, "Invalid Token", ()),
    (error(499, "Token Required", messageCode="GWM_0003"), SignInNeeded, 499, "Token Required", ()),
    (error(500, "Service X not started"), SiteRefused, 500, "Service X not started", ()),
    (
        answer({"status": "error", "messages": ["Server machine", "is down."], "code": 500}),
        SiteRefused,
        500,
        "Server machine is down.",
        (),
    ),
    (answer({"status": "error", "messages": []}), SiteRefused, None, "", ()),
    (
        answer({"code": 500, "message": "No.", "status": "failure", "details": None}),
        SiteRefused,
        500,
        "No.",
        (),
    ),
    (answer({"status": "failed", "statusMessage": "Oh."}), SiteRefused, None, "Oh.", ()),
    (
        answer({"status": "failed", "statusMessage": '{"code":403,"message":"Oh."}'}),
        NotAllowed,
        403,
        "Oh.",
        (),
    ),
    (answer({}, 404), NotFound, 404, "", ()),
    (answer({"currentVersion": 10.81}, 500), SiteRefused, 500, "", ()),
    (answer({"error": {"code": 499, "message": "x"}}, 403), SignInNeeded, 499, "x", ()),
    (html(401), SignInNeeded, 401, "", ()),
    (html(403), NotAllowed, 403, "", ()),
    (html(404), NotFound, 404, "", ()),
    (html(498), SignInNeeded, 498, "", ()),
    (html(499), SignInNeeded, 499, "", ()),
    (html(503), SiteRefused, 503, "", ()),
    (answer("", 504), SiteRefused, 504, "", ()),
]

NO_JSON_OBJECTS = [
    html(),
    html(500),
    answer(""),
    answer("[]"),
    answer('"text"'),
    answer("null"),
    answer('{"currentVersion": 10.81, "services": ['),
    answer("[" * 100_000),
    answer('{"a": ' + "9" * 5000 + ' "b"}'),
    HttpResponse("", 200, {}, b'{"name": "Stra\xdfe"}'),
    HttpResponse("", 200, {}, b"\x89PNG\r\n\x1a\n"),
]


@pytest.mark.parametrize("body", ANSWERS, ids=str)
def test_an_answer(body: dict[str, Any]) -> None:
    assert body_of(answer(body)) == body


def test_an_answer_with_a_byte_order_mark() -> None:
    assert body_of(HttpResponse("", 200, {}, b'\xef\xbb\xbf{"a": "\xc3\xa4"}')) == {"a": "ä"}


@pytest.mark.parametrize(("response", "kind", "code", "message", "details"), REFUSALS)
def test_an_error(
    response: HttpResponse,
    kind: type[SiteRefused],
    code: int | None,
    message: str,
    details: tuple[str, ...],
) -> None:
    with pytest.raises(SiteRefused) as caught:
        body_of(dataclasses.replace(response, url=URL))

    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.message) == (code, message)
    assert caught.value.details == details
    assert caught.value.url == URL


@pytest.mark.parametrize("response", NO_JSON_OBJECTS, ids=range(len(NO_JSON_OBJECTS)))
def test_no_arcgis(response: HttpResponse) -> None:
    with pytest.raises(NotArcGIS) as caught:
        body_of(response)

    assert caught.value.status == response.status
    assert caught.value.content_type == response.headers.get("content-type", "")


@pytest.mark.parametrize(
    ("code", "busy"),
    [(429, True), (502, True), (503, True), (504, True), (500, False), (400, False), (None, False)],
)
def test_busy_for_the_moment(code: int | None, busy: bool) -> None:
    assert is_busy(SiteRefused(URL, code, "")) is busy
