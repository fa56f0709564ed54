"""Is it an answer or an error? ArcGIS tells in the body, mostly under HTTP 200."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ..errors import (
    NotAllowed,
    NotArcGIS,
    NotFound,
    SignInNeeded,
    SiteRefused,
    SiteUnreachable,
    Unreachable,
)
from ..esri_json import items, mapping, text, whole
from .transport import HttpResponse
from .web_tier import schemes_of

INVALID_TOKEN = 498
TOKEN_REQUIRED = 499
NOT_IN_RANGE = 416
LONGEST_TEXT = 2000
"""So many characters are kept of each thing that a site says about an error."""
MOST_DETAILS = 20

_HIDDEN = "***"
_KINDS: dict[int, type[SiteRefused]] = {
    401: SignInNeeded,
    403: NotAllowed,
    404: NotFound,
    INVALID_TOKEN: SignInNeeded,
    TOKEN_REQUIRED: SignInNeeded,
}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PAGE_BYTES = 64 * 1024
_TAGS = re.compile(r"<[^<>]*>")
_PAGE_CODE = re.compile(r"\bCode:\s*([45]\d\d)\b", re.ASCII)
_PAGE_MESSAGE = re.compile(r"\bError:\s*([^\r\n]{1,200}?)\s*(?=Code:|[\r\n]|$)")
_PROXY_WANTS_SIGN_IN = 407
_NO_CERTIFICATE = frozenset({400, 403, 495, 496})
_CERTIFICATE = re.compile(rb"(SSL|client) certificate", re.IGNORECASE)
BUSY = frozenset({429, 502, 503, 504})
"""Codes of refusals for the moment only: as the HTTP status, or in the body."""


def body_of(response: HttpResponse) -> dict[str, Any]:
    """The JSON object that `response` carries.

    Raises NotArcGIS where it is no JSON object, SiteRefused (or a kind of it) where it is an error.
    """
    body = _json(response.body)
    if not isinstance(body, dict):
        raise _without_body(response)
    error = error_in(body, response.url)
    if error is None and response.status >= 400:
        error = refusal(response.url, response.status, "")
    if error is not None:
        raise _with_schemes(error, response)
    return body


def file_of(response: HttpResponse) -> HttpResponse:
    """`response`, where it can be a file, or tells that the part asked for is not in it (416).

    Raises SiteRefused (or a kind of it) where it is an error, also under HTTP 200; NotArcGIS where
    it is some other failure.
    """
    is_error = response.status >= 400 and response.status != NOT_IN_RANGE
    beginning = response.body[:64].lstrip()
    if is_error or beginning.startswith(b"{"):
        try:
            body_of(response)
        except NotArcGIS:
            if is_error:
                raise
    elif beginning.startswith((b"<", _BYTE_ORDER_MARK)):
        error = _error_in_page(response)
        if error is not None:
            raise error
    return response


def _error_in_page(response: HttpResponse) -> SiteRefused | None:
    """The error that a page of the services directory tells of: `Error: <text>`, `Code: <number>`.

    Files are asked for without `f=json`, and then sites word their errors for people.
    """
    plain = _TAGS.sub(" ", response.body[:_PAGE_BYTES].decode("utf-8", errors="replace"))
    code = _PAGE_CODE.search(plain)
    if code is None:
        return None
    message = _PAGE_MESSAGE.search(plain)
    return refusal(response.url, int(code[1]), message[1].strip() if message else "")


def error_in(body: dict[str, Any], url: str) -> SiteRefused | None:
    """The error that `body` is, in any of the shapes in use; None where it is none.

    `{"error": {...}}` is the common one; `{"status": "error", "messages": [...]}` comes from the
    administration; portals also answer `{"code", "message", "status": "failure"}` and
    `{"status": "failed", "statusMessage": <text or JSON text>}`.
    """
    if "error" in body:
        error = body["error"]
        if isinstance(error, dict):
            return _from_parts(url, error)
        return refusal(url, None, text(error))
    status = text(body.get("status")).lower()
    if status == "error" and "messages" in body:
        lines = [text(line) for line in items(body["messages"])]
        return refusal(url, whole(body.get("code")), " ".join(lines))
    if status == "failure" and "message" in body:
        return _from_parts(url, body)
    if status == "failed" and "statusMessage" in body:
        return _from_status_message(url, text(body["statusMessage"]))
    return None


def refusal(url: str, code: int | None, message: str, details: tuple[str, ...] = ()) -> SiteRefused:
    """The fitting kind of SiteRefused for `code`; of endless words only the beginning is kept."""
    message = message[:LONGEST_TEXT]
    details = tuple(line[:LONGEST_TEXT] for line in details[:MOST_DETAILS])
    kind = _KINDS.get(code, SiteRefused) if code is not None else SiteRefused
    return kind(url, code, message, details)


def hide(secrets: tuple[str, ...], error: SiteRefused) -> None:
    """Take out of the site's words what it was told in confidence; some say it back."""

    def hidden(words: str) -> str:
        for secret in secrets:
            words = words.replace(secret, _HIDDEN)
        return words

    error.message, error.details = hidden(error.message), tuple(map(hidden, error.details))
    error.args = tuple(hidden(str(each)) for each in error.args)


def is_busy(error: SiteRefused) -> bool:
    """Whether the site refused for the moment only, so that the same request may go through."""
    return error.code in BUSY


def _with_schemes(error: SiteRefused, response: HttpResponse) -> SiteRefused:
    """`error`, which tells what the web server in front offers where that refused."""
    if response.status != 401 or not isinstance(error, SignInNeeded):
        return error
    schemes = schemes_of(response.headers.get("www-authenticate", ""))
    return SignInNeeded(error.url, error.code, error.message, error.details, schemes)


def _json(text: bytes | str) -> object:
    """What `text` holds, its numbers finite ones or null; None where it is no JSON.

    Sites do send NaN, which is none, for what they do not know; and whole numbers without end would
    keep Python busy for long.
    """
    try:
        value: object = json.loads(
            text,
            parse_float=_finite,
            parse_int=lambda digits: int(digits) if len(digits) < 40 else _finite(digits),
            parse_constant=lambda name: None,
        )
    except (ValueError, RecursionError):
        return None
    return value


def _finite(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _from_parts(url: str, error: dict[str, Any]) -> SiteRefused:
    details = tuple(text(line) for line in items(error.get("details")) if text(line))
    return refusal(url, whole(error.get("code")), text(error.get("message")), details)


def _from_status_message(url: str, message: str) -> SiteRefused:
    inner = mapping(_json(message))
    return _from_parts(url, dict(inner)) if inner else refusal(url, None, message)


def _without_body(response: HttpResponse) -> NotArcGIS | SiteRefused | SiteUnreachable:
    """What an answer without ArcGIS JSON means: the HTTP status is nearly all there is."""
    if response.status == _PROXY_WANTS_SIGN_IN:
        return SiteUnreachable(response.url, Unreachable.PROXY)
    if response.status in _NO_CERTIFICATE and _CERTIFICATE.search(response.body[:_PAGE_BYTES]):
        return SiteUnreachable(response.url, Unreachable.CLIENT_CERTIFICATE)
    if response.status in _KINDS or response.status in BUSY:
        return _with_schemes(refusal(response.url, response.status, ""), response)
    return NotArcGIS(response.url, response.status, response.headers.get("content-type", ""))
