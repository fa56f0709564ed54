"""Where secrets may go: a token, a password, a header that signs."""

from __future__ import annotations

from ..errors import SignInFailed, SignInProblem
from .address import origin_of, public_address

_ONLINE = "arcgis.com"
"""ArcGIS Online's own domain: its services and its portal are on different hosts of it."""


def same_site(known: str, target: str) -> bool:
    """Whether secrets meant for `known` may go to `target`: its origin, or the same under https.

    Raises ValueError where `target` is no address.
    """
    known_scheme, known_host, known_port = origin_of(known)
    scheme, host, port = origin_of(target)
    if (scheme, host, port) == (known_scheme, known_host, known_port):
        return True
    upgraded = (known_scheme, known_port, scheme, port) == ("http", 80, "https", 443)
    return upgraded and host == known_host


def both_online(one: str, other: str) -> bool:
    """Whether both addresses are ArcGIS Online's, which takes its portal's tokens everywhere."""
    origins = (origin_of(one), origin_of(other))
    return all(
        scheme == "https" and (host == _ONLINE or host.endswith("." + _ONLINE))
        for scheme, host, _ in origins
    )


def check_target(
    site_url: str, trusted: tuple[str, ...], target: str, portal_url: str = ""
) -> None:
    """A secret for the site at `site_url` may go to `target`, or SignInFailed is raised.

    It may go to the site's own host, to the hosts of the addresses `trusted`, and within ArcGIS
    Online; never from https down to http. `portal_url`: the portal that `target` belongs to, as the
    site says; the error names it, so that the person can be asked whether to trust it.
    """
    try:
        scheme, host, _ = origin_of(target)
        known = [origin_of(url) for url in (site_url, *trusted)]
        is_online = both_online(site_url, target)
    except ValueError:
        raise SignInFailed(site_url, SignInProblem.NO_SERVICE) from None
    schemes = {known[0][0]} | {scheme for scheme, known_host, _ in known if known_host == host}
    encrypted = scheme == "https" or "https" not in schemes
    if host not in [known_host for _, known_host, _ in known] and not is_online:
        asked = _portal_to_trust(target, portal_url) if host and encrypted else ""
        raise SignInFailed(site_url, SignInProblem.OTHER_HOST, host, asked)
    if not encrypted or scheme not in ("http", "https"):
        raise SignInFailed(site_url, SignInProblem.NOT_ENCRYPTED)


def _portal_to_trust(target: str, portal_url: str) -> str:
    """The address that makes `target` trusted once it is trusted itself."""
    try:
        scheme, host, port = origin_of(target)
        if origin_of(portal_url)[:2] == (scheme, host):
            return public_address(portal_url).rstrip("/")
    except ValueError:
        return ""
    host = f"[{host}]" if ":" in host else host
    usual = (scheme, port) in (("https", 443), ("http", 80))
    return f"{scheme}://{host}" if usual else f"{scheme}://{host}:{port}"
