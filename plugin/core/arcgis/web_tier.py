"""The web server in front of a site, which may want a sign-in of its own (HTTP 401).

Source: RFC 9110, 11 (challenges), RFC 7617 (Basic). Esri's manuals call this web-tier
authentication; Windows sign-in (Negotiate, NTLM) and Digest are recognised, not spoken.
"""

from __future__ import annotations

import base64
import re

from .credentials import Credentials

BASIC = "Basic"
_SCHEMES = {name.lower(): name for name in (BASIC, "Digest", "Kerberos", "Negotiate", "NTLM")}
_NAME = re.compile(r"(?:^|,)\s*([A-Za-z]+)(?=\s|,|$)")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def schemes_of(challenge: str) -> tuple[str, ...]:
    """The web server's schemes that a `WWW-Authenticate` header offers, in its order.

    Those of other kinds, `Bearer` among them, are the site's own affair.
    """
    names = _NAME.findall(_QUOTED.sub('""', challenge))
    known = [_SCHEMES[name.lower()] for name in names if name.lower() in _SCHEMES]
    return tuple(dict.fromkeys(known))


def basic_headers(credentials: Credentials) -> dict[str, str]:
    """The headers that sign a request with user name and password."""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return {"Authorization": f"{BASIC} {base64.b64encode(pair).decode('ascii')}"}
