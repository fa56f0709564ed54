"""Where secrets may go: a token, a password, a header that signs."""

from __future__ import annotations

from .address import origin_of


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
