"""How a site words its answers: JSON, pretty JSON, an HTML page, or an error in any of them."""

from __future__ import annotations

import html
import json
from typing import Any

from flask import Response, request

from .profiles import Site


class EsriError(Exception):
    """An error as the REST API gives it: told in the body, the HTTP status being 200 mostly."""

    def __init__(
        self,
        code: int,
        message: str,
        details: list[str] | None = None,
        message_code: str | None = None,
        status: int = 200,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or []
        self.message_code = message_code
        self.status = status

    def as_json(self) -> dict[str, Any]:
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.message_code:
            error["messageCode"] = self.message_code
        error["details"] = self.details
        return {"error": error}


def token_required() -> EsriError:
    return EsriError(499, "Token Required", ["Token Required"], "GWM_0003")


def invalid_token() -> EsriError:
    return EsriError(498, "Invalid token.")


def forbidden() -> EsriError:
    return EsriError(
        403, "You do not have permissions to access this resource or perform this operation."
    )


def not_found(what: str) -> EsriError:
    return EsriError(404, f"{what} not found")


def bad_request(*details: str) -> EsriError:
    return EsriError(400, "Unable to complete operation.", list(details))


def value_of(name: str, default: str = "") -> str:
    """Return a parameter of the request, from the form or from the query."""
    return str(request.form.get(name, request.args.get(name, default)))


def answer(
    site: Site, data: dict[str, Any], title: str, status: int = 200, default: str = "html"
) -> Response:
    """Return the data in the format that ``f`` asks for; without ``f`` it is a page."""
    wanted = value_of("f", default).lower()
    if wanted in {"json", "pjson"}:
        indent = 1 if wanted == "pjson" else None
        kind = "application/json" if site.modern_root else "text/plain"
        body = json.dumps(data, indent=indent)
        return Response(body, status, content_type=f"{kind};charset=utf-8")
    if wanted != "html":
        error = EsriError(400, "Invalid URL", [f"The format '{wanted}' is not supported."])
        return Response(json.dumps(error.as_json()), content_type="application/json")
    return page(title, json.dumps(data, indent=1), status)


def page(title: str, text: str, status: int = 200) -> Response:
    """Return a page like those of the services directory."""
    title, text = html.escape(title), html.escape(text)
    body = (
        f"<!DOCTYPE html>\n<html><head><title>{title}</title></head>"
        f'<body><h2>{title}</h2><div class="rbody"><pre>{text}</pre></div></body></html>\n'
    )
    return Response(body, status, content_type="text/html;charset=utf-8")
