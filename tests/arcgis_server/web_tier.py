"""The web server before a site: wants HTTP's own sign-in, whoever asks for whatever."""

from __future__ import annotations

from flask import Response, request

from .answers import page
from .handle import ACCOUNTS, PUBLISHER
from .site_kinds import Site

CERTIFICATE = "SSL_CLIENT_CERT"
"""Where the server that speaks TLS leaves the certificate it has checked, in the environment."""


def user_of_request() -> str | None:
    """Return who has signed in by HTTP Basic or shown a certificate, or None.

    All client certificates of the sites' authority are the publisher's.
    """
    if CERTIFICATE in request.environ:
        return PUBLISHER.name
    given = request.authorization
    if given is None or given.type != "basic":
        return None
    name = str(given.username or "")
    return name if ACCOUNTS.get(name, "") == (given.password or "-") else None


def refusal(site: Site) -> Response | None:
    """Return the answer 401 to who has not signed in at the web tier, else None.

    Windows sign-in (NTLM, Negotiate) is never good enough here: no client of the tests speaks it.
    """
    if not site.web_tier or ("Basic" in site.web_tier and user_of_request()):
        return None
    response = page("401 - Unauthorized", "Access is denied due to invalid credentials.", 401)
    for scheme in site.web_tier:
        realm = ' realm="maps"' if scheme == "Basic" else ""
        response.headers.add("WWW-Authenticate", f"{scheme}{realm}")
    return response
