"""Answer or error? ArcGIS tells in the body, mostly under HTTP 200."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from scripted_site import answer, error, html

from tile_cache_manager.plugin.core.arcgis.envelope import (
    LONGEST_TEXT,
    MOST_DETAILS,
    body_of,
    is_busy,
)
from tile_cache_manager.plugin.core.arcgis.transport import HttpResponse
from tile_cache_manager.plugin.core.errors import (
    NotAllowed,
    NotArcGIS,
    NotFound,
    SignInNeeded,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
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


# JSON text, what it is read as; numbers that are none are null, as where a site knows nothing
NUMBERS = [
    ('{"a": NaN}', {"a": None}),
    ('{"a": [Infinity, -Infinity, 1]}', {"a": [None, None, 1]}),
    ('{"a": 1e999, "b": -1e999, "c": 1e-999}', {"a": None, "b": None, "c": 0.0}),
    ('{"a": 9007199254740993}', {"a": 9007199254740993}),
    ('{"a": -' + "9" * 38 + "}", {"a": -int("9" * 38)}),
    ('{"a": 1' + "0" * 100 + "}", {"a": 1e100}),
    ('{"a": ' + "9" * 5000 + "}", {"a": None}),
    ('{"a": ' + "9" * 2_000_000 + "}", {"a": None}),
    ('{"a": 0.' + "9" * 2_000_000 + "}", {"a": 1.0}),
    ('{"a": "NaN", "b": "1e999"}', {"a": "NaN", "b": "1e999"}),
]


@pytest.mark.parametrize(("text", "expected"), NUMBERS, ids=lambda value: str(value)[:30])
def test_numbers_that_are_none(text: str, expected: dict[str, Any]) -> None:
    started = time.monotonic()

    assert body_of(answer(text)) == expected

    assert time.monotonic() - started < 5


@pytest.mark.parametrize("depth", [50, 1_000, 100_000, 5_000_000])
@pytest.mark.parametrize("pair", ["[]", ("{'a':".replace("'", '"'), "}")])
def test_depth(depth: int, pair: tuple[str, str]) -> None:
    """Read, or no JSON; nothing else comes of it."""
    text = '{"deep": ' + pair[0] * depth + "1" + pair[1] * depth + "}"
    try:
        found = body_of(answer(text))
    except NotArcGIS:
        assert depth > 50
    else:
        assert "deep" in found


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (html(407), Unreachable.PROXY),
        (answer("<p>No required SSL certificate was sent", 400), Unreachable.CLIENT_CERTIFICATE),
    ],
)
def test_what_stands_between_us_and_the_site(response: HttpResponse, reason: Unreachable) -> None:
    with pytest.raises(SiteUnreachable) as caught:
        body_of(response)

    assert caught.value.reason is reason


def test_endless_words_are_cut() -> None:
    words = "ever and " * 20_000
    site_says = error(400, words, details=[words] * 100)

    with pytest.raises(SiteRefused) as caught:
        body_of(site_says)

    assert len(caught.value.message) <= LONGEST_TEXT
    assert sum(map(len, caught.value.details)) <= LONGEST_TEXT * MOST_DETAILS
    assert len(str(caught.value)) < 2 * LONGEST_TEXT


@pytest.mark.parametrize(
    "message", ['{"code": ' + "9" * 5000 + "}", "[" * 100_000, '{"code": NaN, "message": "x"}']
)
def test_json_within_json(message: str) -> None:
    with pytest.raises(SiteRefused) as caught:
        body_of(answer({"status": "failed", "statusMessage": message}))

    assert caught.value.code is None


@pytest.mark.parametrize(
    ("status", "challenge", "schemes"),
    [(401, "Negotiate, NTLM", ("Negotiate", "NTLM")), (401, "", ()), (403, "Basic", ())],
)
def test_what_the_web_server_in_front_offers(
    status: int, challenge: str, schemes: tuple[str, ...]
) -> None:
    headers = {"www-authenticate": challenge}
    for body in ("<html>", {"error": {"code": 499, "message": "Token Required"}}):
        with pytest.raises(SiteRefused) as caught:
            body_of(answer(body, status, headers))
        assert getattr(caught.value, "schemes", ()) == schemes


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
