"""Everything below the context path of a site: finds the resource and checks who may see it."""

from __future__ import annotations

from typing import Any

from flask import Response, request

from . import directories, exports, geoprocessing, roots
from .answers import (
    EsriError,
    answer,
    bad_request,
    forbidden,
    not_found,
    page,
    token_required,
    value_of,
)
from .handle import PUBLISHER
from .pictures import export, exported_picture
from .profiles import Service, Site
from .state import SiteState
from .tiles import tile, tilemap
from .tokens import TokenRequest

_KINDS = ("MapServer", "ImageServer", "GPServer")
_HEADER = "X-Esri-Authorization"
_BEARER = "Bearer "
_SYSTEM = "System"


def respond(state: SiteState, path: str) -> Response:
    """Answer a request; ``path`` is what follows the context path, without a leading slash.

    Raises:
        EsriError: as the REST API tells errors.
    """
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["tokens"] and parts[1:] in ([], ["generateToken"]):
        return _generate_token(state)
    if parts == ["rest", "info"]:
        return answer(state.profile, _info(state.profile), "Server Info")
    user = _user(state)
    if state.profile.security == "all" and user is None:
        raise token_required()
    if parts[:2] == ["rest", "services"]:
        return _services(state, user, parts[2:])
    if parts[:3] == ["rest", "directories", "arcgisoutput"]:
        if len(parts) == 4 and parts[3] in state.pictures:
            return exported_picture(state, parts[3])
        return directories.respond(state, parts[3:])
    return page("Not Found", "There is nothing here.", 404)


def _services(state: SiteState, user: str | None, parts: list[str]) -> Response:
    place = next((number for number, part in enumerate(parts) if part in _KINDS), None)
    if place is None:
        return _catalogue(state, user, parts)
    name, kind, rest = "/".join(parts[:place]), parts[place], parts[place + 1 :]
    if kind == "GPServer":
        folder, _, service_name = name.rpartition("/")
        if folder != _SYSTEM or state.profile.tasks is None:
            raise not_found(f"Service {name}/{kind}")
        _check_manager(state.profile, user)
        return geoprocessing.respond(state, service_name, rest)
    service = state.service(name, kind)
    if service is None:
        raise not_found(f"Service {name}/{kind}")
    return _service(state, service, rest)


def _service(state: SiteState, service: Service, rest: list[str]) -> Response:
    operation = "exportImage" if service.kind == "ImageServer" else "export"
    if not rest:
        root = roots.root_json(state.profile, service)
        return answer(state.profile, root, f"{service.name} ({service.kind})")
    if rest[0] == "tile":
        return tile(state, service, rest[1:])
    if rest[0] == "tilemap":
        return tilemap(state, service, rest[1:])
    if rest == [operation]:
        return export(state, service)
    if len(rest) == 1 and rest[0].isdecimal():
        layer = roots.layer_json(state.profile, service, int(rest[0]))
        if layer is None:
            raise not_found(f"Layer {rest[0]}")
        return answer(state.profile, layer, str(layer["name"]))
    if rest[0] in exports.OPERATIONS:
        return exports.respond(state, service, rest)
    raise bad_request(f"The operation {rest[0]} is not supported.")


def _catalogue(state: SiteState, user: str | None, parts: list[str]) -> Response:
    profile = state.profile
    may_manage = profile.tasks is not None and (
        profile.security == "open" or user == PUBLISHER.name
    )
    folders = {s.name.rpartition("/")[0] for s in state.services} - {""}
    services = [{"name": service.name, "type": service.kind} for service in state.services]
    if profile.tasks is not None:
        services += [
            {"name": f"{_SYSTEM}/{name}", "type": "GPServer"} for name in profile.tasks.folders
        ]
    folder = "/".join(parts)
    if folder == _SYSTEM and profile.tasks is not None:
        _check_manager(profile, user)
    elif folder not in {"", *folders}:
        raise not_found(f"Folder {folder}")
    shown = folders | ({_SYSTEM} if may_manage else set())
    data: dict[str, Any] = {
        "currentVersion": profile.version,
        "folders": [] if folder else sorted(shown),
        "services": [s for s in services if s["name"].rpartition("/")[0] == folder],
    }
    return answer(profile, data, f"Folder: {folder or '/'}")


def _check_manager(profile: Site, user: str | None) -> None:
    if profile.security == "open" or user == PUBLISHER.name:
        return
    raise token_required() if user is None else forbidden()


def _info(profile: Site) -> dict[str, Any]:
    base = f"{request.host_url.rstrip('/')}{profile.context}"
    data: dict[str, Any] = {
        "currentVersion": profile.version,
        "fullVersion": profile.full_version,
        "soapUrl": f"{base}/services",
        "secureSoapUrl": "",
    }
    if profile.security == "open":
        return {**data, "authInfo": {}}
    return {
        **data,
        "authInfo": {
            "isTokenBasedSecurity": True,
            "tokenServicesUrl": f"{base}/tokens/generateToken",
            "shortLivedTokenValidity": 60,
        },
    }


def _generate_token(state: SiteState) -> Response:
    if state.profile.security == "open":
        raise not_found("Token service")
    if request.method != "POST":
        raise EsriError(405, "HTTP GET method is not supported.")
    token, expires = state.tokens.issue(
        TokenRequest(
            username=request.form.get("username", ""),
            password=request.form.get("password", ""),
            client=request.form.get("client", "requestip"),
            referer=request.form.get("referer", ""),
            address=request.remote_addr or "",
            expiration=request.form.get("expiration", ""),
        )
    )
    return answer(state.profile, {"token": token, "expires": expires}, "Token")


def _user(state: SiteState) -> str | None:
    """Return who asks, or None where no token came along.

    Raises:
        EsriError: 498; a token that is not valid is refused even where none is needed.
    """
    token = value_of("token")
    header = request.headers.get(_HEADER, "")
    if not token and state.profile.token_in_header and header.startswith(_BEARER):
        token = header[len(_BEARER) :]
    if not token or state.profile.security == "open":
        return None
    referer = request.headers.get("Referer", "")
    return state.tokens.user_of(token, referer, request.remote_addr or "")
