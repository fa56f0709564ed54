"""Everything below the context path of a site: finds the resource and checks who may see it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from flask import Response, request

from . import directories, exports, geoprocessing, hosted, portals, roots, server_admin, web_tier
from .answers import (
    EsriError,
    answer,
    bad_request,
    forbidden,
    not_found,
    page,
    token_required,
)
from .handle import PUBLISHER
from .pictures import export, exported_picture
from .profiles import Service, Site, site
from .state import SiteState, site_address
from .tiles import tile, tilemap
from .tokens import TokenRequest

_KINDS = ("MapServer", "ImageServer", "GPServer")
_SYSTEM = "System"


def respond(state: SiteState, path: str) -> Response:
    """Answer a request; ``path`` is what follows the context path, without a leading slash.

    Raises:
        EsriError: as the REST API tells errors.
    """
    parts = [part for part in path.split("/") if part]
    refused = web_tier.refusal(state.profile)
    if refused is not None:
        return refused
    if state.profile.portal_kind:
        return portals.respond(state, parts)
    if parts in (["tokens"], ["tokens", "generateToken"], ["admin", "generateToken"]):
        return _generate_token(state)
    if parts == ["rest", "info"]:
        return answer(state.profile, _info(state.profile), "Server Info")
    user = _user(state)
    if state.profile.security == "all" and user is None:
        raise token_required()
    if parts[:1] == ["admin"] and state.profile.tasks is not None:
        _check_manager(state.profile, user)
        return server_admin.respond(state, parts[1:])
    if parts[:2] == ["rest", "services"]:
        return _services(state, user, parts[2:])
    if state.profile.tile_admin and parts[:3] == ["rest", "admin", "services"]:
        _check_manager(state.profile, user)
        return hosted.respond(state, parts[3:])
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
    if service.private and user is None:
        raise token_required()
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
    if profile.security in {"open", "web"}:
        return {**data, "authInfo": {}}
    if profile.portal:
        portal = site(profile.portal)
        return {
            **data,
            "owningSystemUrl": portals.portal_address(portal),
            "authInfo": {
                "isTokenBasedSecurity": True,
                "tokenServicesUrl": portals.token_service(portal),
            },
        }
    return {
        **data,
        "authInfo": {
            "isTokenBasedSecurity": True,
            "tokenServicesUrl": f"{base}/tokens/generateToken",
            "shortLivedTokenValidity": 60,
        },
    }


def _generate_token(state: SiteState) -> Response:
    if state.profile.security in {"open", "web"} or state.profile.portal:
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
            known_as=web_tier.user_of_request(),
        )
    )
    return answer(state.profile, {"token": token, "expires": expires}, "Token")


def _user(state: SiteState) -> str | None:
    """Return who asks, or None where no token came along.

    Raises:
        EsriError: 498; a token that is not valid is refused even where none is needed.
    """
    profile = state.profile
    if profile.security == "open":
        return None
    if profile.security == "web":
        return web_tier.user_of_request()
    headers = [portals.ESRI_HEADER] if profile.token_in_header else []
    if profile.portal:
        headers.append(portals.PLAIN_HEADER)
    token = portals.token_of_request(*headers)
    if not token:
        return None
    sender = (request.headers.get("Referer", ""), request.remote_addr or "")
    if state.portal is None:
        return state.tokens.user_of(token, *sender)
    if state.portal_tokens:
        with suppress(EsriError):
            return state.portal.tokens.user_of(token, *sender)
    return state.portal.tokens.user_at_server(token, *sender, site_address(state))
