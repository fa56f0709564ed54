"""Files and pictures of a site: how they are asked for, and what may come in their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Callable
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from .signing import Signature
from .transport import Body, HttpRequest, HttpResponse, Receive, Taker

FormBody = Callable[[Mapping[str, str]], tuple[Body, str]]
"""Puts form fields and a file together: the body and its content type."""

MAX_WORDS_BYTES = 1024 * 1024
"""What a site says in place of a file is kept up to here."""

_AUTHORIZATION = "X-Esri-Authorization"
_SIGNED = frozenset({_AUTHORIZATION.lower(), "referer"})
_WORDS = (b"<", b"{")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def file_request(
    url: str,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    signature: Signature,
    *,
    is_own: bool = True,
    by_form: bool = False,
) -> HttpRequest:
    """A request for the file at `url`, signed where `is_own`: the site may see the token.

    A query in `url` may be secret, so it moves to where no error shows it; and a token in it goes,
    for the site gets it in a header, or in the form, and no other site gets ours at all.
    """
    token = signature.token
    plain, query = _without_query(url, signature, is_own=is_own)
    fields = {**query, **params}
    if not is_own:
        return HttpRequest("GET", plain, fields, headers)
    signed = {**signature.headers, **headers}
    if token is None:
        return HttpRequest("GET", plain, fields, signed)
    if token.referer:
        signed["Referer"] = token.referer
    if by_form:
        return HttpRequest("POST", plain, {**fields, "token": token.value}, signed)
    return HttpRequest("GET", plain, fields, {**signed, _AUTHORIZATION: f"Bearer {token.value}"})


def redirected_file(
    request: HttpRequest, status: int, target: str, signature: Signature, *, is_own: bool
) -> HttpRequest:
    """`request` where a redirect of HTTP `status` to `target` leads; unsigned unless `is_own`.

    Other than with what is read as JSON, the query belongs to it: stores of files are opened by it.
    """
    plain, query = _without_query(target, signature, is_own=is_own)
    if is_own:
        if request.method == "GET" or status != 303:
            return replace(request, url=plain, params=query or request.params)
        return HttpRequest("GET", plain, query, request.headers)
    secret = _SIGNED | {name.lower() for name in signature.headers}
    headers = {name: value for name, value in request.headers.items() if name.lower() not in secret}
    return HttpRequest("GET", plain, query, headers)


class WordsInstead:
    """Stands before `receive`: keeps the words that a site sends in place of a file."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._words: bytearray | None = None

    def receive(self, head: HttpResponse) -> Taker | None:
        """As the other, which gets to know of the file once it has begun as one."""
        self._words = None
        if head.status != 200:
            return self._receive(head)
        take: Taker | None = None

        def watch(chunk: bytes) -> None:
            nonlocal take
            if self._words is not None:
                self._words += chunk[: MAX_WORDS_BYTES - len(self._words)]
            elif take is not None:
                take(chunk)
            elif chunk.replace(_BYTE_ORDER_MARK, b"", 1).lstrip().startswith(_WORDS):
                self._words = bytearray(chunk)
            else:
                take = self._receive(head)
                if take is not None:
                    take(chunk)

        return watch

    def instead_of(self, response: HttpResponse) -> HttpResponse:
        """`response` with the words as its body, where there were any."""
        return response if self._words is None else replace(response, body=bytes(self._words))


def _without_query(url: str, signature: Signature, *, is_own: bool) -> tuple[str, dict[str, str]]:
    """`url` without its query, and that as parameters, without tokens that have no place there."""
    parts, token = urlsplit(url), signature.token
    query = {
        name: value
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if not (is_own and name.lower() == "token")
        and not (token is not None and value == token.value)
    }
    return urlunsplit(parts._replace(query="", fragment="")), query
