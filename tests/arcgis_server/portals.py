"""A portal: who signs in, tokens for its servers, its items and their search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import Response, request

from . import web_tier
from .answers import EsriError, answer, page, token_required, value_of
from .handle import PORTAL_HOST, SERVER_HOST
from .portal_items import complete, items_of, search
from .site_kinds import Site
from .tokens import TokenRequest

if TYPE_CHECKING:
    from .state import SiteState

ESRI_HEADER = "X-Esri-Authorization"
PLAIN_HEADER = "Authorization"
_BEARER = "Bearer "
_ORGANISATION = "Zz0rgStandIn"
_NO_ITEM = "Item does not exist or is inaccessible."
_PRIVILEGES = [
    "portal:publisher:publishTiles",
    "portal:user:createItem",
    "portal:admin:viewItems",
]


def portal_address(portal: Site) -> str:
    """Return a portal's address as seen through the request: on a host of its own."""
    return f"{_origin(PORTAL_HOST)}{portal.context}"


def server_origin() -> str:
    """Return scheme, host and port of the servers, as seen through the request."""
    return _origin(SERVER_HOST)


def token_service(portal: Site) -> str:
    """Return the address of a portal's token service."""
    return f"{portal_address(portal)}/sharing/rest/generateToken"


def respond(state: SiteState, parts: list[str]) -> Response:
    """Answer a request to a portal.

    Raises:
        EsriError: as portals tell errors.
    """
    if parts[:1] != ["sharing"]:
        return page(state.profile.key, "A portal's page.")
    rest = parts[2:] if parts[1:2] == ["rest"] else parts[1:]
    if rest == ["oauth2", "authorize"]:
        return state.oauth.authorize()
    if rest == ["oauth2", "signin"]:
        return state.oauth.sign_in()
    if rest == ["oauth2", "token"]:
        return answer(state.profile, state.oauth.token(), "Token", default="json")
    if rest == ["generateToken"]:
        return answer(state.profile, _generate_token(state), "Generate Token")
    if rest == ["info"]:
        return answer(state.profile, _info(state.profile), "Info")
    return answer(state.profile, _signed_in(state, _user(state), rest), "/".join(rest) or "Sharing")


def _signed_in(state: SiteState, user: str | None, rest: list[str]) -> dict[str, Any]:
    profile = state.profile
    if not rest:
        return {"currentVersion": "11.1" if profile.portal_kind == "enterprise" else "2025.1"}
    if rest[0] == "portals":
        if rest[1:] in (["self"], [_ORGANISATION]):
            return _self(state, user)
        if rest[2:] == ["servers"]:
            return {"servers": _servers(state)}
        if rest[2:] == ["urls"]:
            return {"urls": {}}
    if rest[0] == "community":
        return _community(user, rest[1:])
    if rest == ["search"]:
        return _search(state, user)
    if rest[:2] == ["content", "items"] and len(rest) == 3:
        return _item(state, user, rest[2])
    if rest[:2] == ["content", "users"] and len(rest) == 3:
        return _own_content(state, user, rest[2])
    raise EsriError(404, "Not Found", ["/".join(rest)])


def _generate_token(state: SiteState) -> dict[str, Any]:
    if request.method != "POST":
        raise EsriError(405, "HTTP GET method is not supported.")
    server = value_of("serverUrl") or value_of("serverURL")
    referer = request.headers.get("Referer", "") or value_of("referer")
    known_as = web_tier.user_of_request()
    if server and (value_of("token") or known_as is None):
        token, expires = _exchange(state, _owned_server(state, server), referer)
    else:
        token, expires = state.tokens.issue(
            TokenRequest(
                username=request.form.get("username", ""),
                password=request.form.get("password", ""),
                client=request.form.get("client", "requestip"),
                referer=request.form.get("referer", ""),
                address=request.remote_addr or "",
                expiration=request.form.get("expiration", ""),
                known_as=known_as,
            ),
            _owned_server(state, server) if server else "",
        )
    return {"token": token, "expires": expires, "ssl": request.scheme == "https"}


def _exchange(state: SiteState, server: str, referer: str) -> tuple[str, int]:
    token = value_of("token")
    if not token:
        raise token_required()
    bound_to = value_of("referer") if value_of("client") == "referer" else ""
    return state.tokens.issue_for_server(
        token, referer, request.remote_addr or "", server, value_of("expiration"), bound_to
    )


def _owned_server(state: SiteState, server: str) -> str:
    """Return the address of a server that the portal gives tokens for.

    Esri's client names it by host only: then the token is for all there.

    Raises:
        EsriError: the portal owns no such server, or gives no tokens for it.
    """
    named = urlsplit(server)
    paths = {
        site.context
        for site in state.owned
        if site.exchanges and named.netloc == _host(SERVER_HOST)
    }
    path = named.path.rstrip("/")
    context = next((p for p in paths if f"{path}/".startswith(f"{p}/")), "")
    if not state.exchanges or not paths or (path and not context):
        raise EsriError(400, "Unable to generate token.", ["Invalid server URL: not federated."])
    return f"{named.scheme}://{named.netloc}{context}"


def _info(profile: Site) -> dict[str, Any]:
    return {
        "owningSystemUrl": portal_address(profile),
        "authInfo": {"tokenServicesUrl": token_service(profile), "isTokenBasedSecurity": True},
    }


def _self(state: SiteState, user: str | None) -> dict[str, Any]:
    online = state.profile.portal_kind == "online"
    address = portal_address(state.profile)
    data: dict[str, Any] = {
        "id": _ORGANISATION,
        "name": "The Stand-in Organisation",
        "portalName": "ArcGIS Online" if online else "ArcGIS Enterprise",
        "portalMode": "multitenant" if online else "singletenant",
        "isPortal": not online,
        "currentVersion": "2025.1" if online else "11.1",
        "enterpriseVersion": None if online else "11.1.0",
        "portalHostname": address.partition("://")[2],
        "portalLocalHostname": address.partition("://")[2],
        "urlKey": "standin" if online else None,
        "customBaseUrl": _host(PORTAL_HOST),
        "supportsHostedServices": True,
        "supportsOAuth": True,
        "allSSL": False,
        "access": "public",
        "culture": "en",
        "units": "metric",
        "user": _person(user) if user else None,
        "helperServices": {},
        "eueiEnabled": False,
    }
    return {key: value for key, value in data.items() if value is not None}


def _person(user: str) -> dict[str, Any]:
    return {
        "username": user,
        "id": user,
        "fullName": user.capitalize(),
        "firstName": user.capitalize(),
        "lastName": "",
        "email": f"{user}@example.com",
        "role": "org_publisher",
        "level": "2",
        "privileges": _PRIVILEGES,
        "orgId": _ORGANISATION,
        "groups": [],
        "access": "org",
        "userType": "both",
        "provider": "arcgis",
        "storageUsage": 0,
        "storageQuota": 1,
    }


def _community(user: str | None, rest: list[str]) -> dict[str, Any]:
    if user is None:
        raise token_required()
    if rest == ["self"]:
        return _person(user)
    if rest[:1] == ["users"] and len(rest) == 2:
        return _person(rest[1])
    raise EsriError(404, "Not Found", ["/".join(rest)])


def _servers(state: SiteState) -> list[dict[str, Any]]:
    return [
        {
            "id": site.key,
            "name": site.key,
            "url": f"{server_origin()}{site.context}",
            "adminUrl": f"{server_origin()}{site.context}",
            "isHosted": site.key == "federated",
            "serverType": "ArcGIS",
            "serverRole": "HOSTING_SERVER" if site.key == "federated" else "FEDERATED_SERVER",
            "serverFunction": "",
        }
        for site in state.owned
    ]


def items(state: SiteState) -> list[dict[str, Any]]:
    """Return all items of a portal."""
    with state.lock:
        more = [complete(state.profile.key, item) for item in state.more_items]
    return [*items_of(state.profile, list(state.owned), server_origin()), *more]


def _seen(state: SiteState, user: str | None) -> list[dict[str, Any]]:
    """Return the items that somebody may see: all that are public, and one's own."""
    return [
        item
        for item in items(state)
        if item["access"] == "public"
        or user == item["owner"]
        or (user is not None and item["access"] == "org")
    ]


def _search(state: SiteState, user: str | None) -> dict[str, Any]:
    query = value_of("q")
    start, number = _whole("start", 1), min(_whole("num", 10), 100)
    found = search(_seen(state, user), query)
    if value_of("sortField") == "title":
        found.sort(key=lambda item: str(item["title"]), reverse=value_of("sortOrder") == "desc")
    shown = found[start - 1 : start - 1 + number]
    following = start + number
    return {
        "query": query,
        "total": len(found),
        "start": start,
        "num": number,
        "nextStart": following if following <= len(found) else -1,
        "results": shown,
    }


def _whole(name: str, default: int) -> int:
    text = value_of(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise EsriError(400, f"Invalid {name}.")
    return int(text)


def _item(state: SiteState, user: str | None, wanted: str) -> dict[str, Any]:
    item = next((item for item in items(state) if item["id"] == wanted), None)
    if item is None:
        raise EsriError(400, _NO_ITEM, message_code="CONT_0001")
    if item not in _seen(state, user):
        if user is None:
            raise token_required()
        raise EsriError(
            403,
            "You do not have permissions to access this resource or perform this operation.",
            message_code="GWM_0003",
        )
    return item


def _own_content(state: SiteState, user: str | None, owner: str) -> dict[str, Any]:
    if user is None:
        raise token_required()
    found = [item for item in _seen(state, user) if item["owner"] == owner]
    start, number = _whole("start", 1), min(_whole("num", 10), 100)
    following = start + number
    return {
        "username": owner,
        "total": len(found),
        "start": start,
        "num": number,
        "nextStart": following if following <= len(found) else -1,
        "currentFolder": None,
        "items": found[start - 1 : start - 1 + number],
        "folders": [],
    }


def _user(state: SiteState) -> str | None:
    token = token_of_request(ESRI_HEADER, PLAIN_HEADER)
    if not token:
        return None
    referer = request.headers.get("Referer", "")
    return state.tokens.user_of(token, referer, request.remote_addr or "")


def token_of_request(*headers: str) -> str:
    """Return the token that came along: as a parameter, or in one of these headers."""
    token = value_of("token")
    for header in headers:
        text = request.headers.get(header, "")
        if not token and text.startswith(_BEARER):
            token = text[len(_BEARER) :]
    return token


def _origin(host: str) -> str:
    return f"{request.scheme}://{_host(host)}"


def _host(host: str) -> str:
    _, mark, port = request.host.rpartition(":")
    return f"{host}:{port}" if mark else host
