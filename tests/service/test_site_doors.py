"""Each door of the stand-in site, opened from end to end: who gets in, and what is told else."""

from __future__ import annotations

import json
import ssl
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arcgis_server.handle import API_KEY, OAUTH_CLIENT, PUBLISHER, RunningSite
from scripted_site import QUICK

from tile_cache_manager.plugin.core.arcgis.client import Client
from tile_cache_manager.plugin.core.arcgis.credentials import (
    CertificateSignIn,
    Credentials,
    FixedToken,
    GivenToken,
    HeaderSignIn,
    SignIn,
)
from tile_cache_manager.plugin.core.arcgis.transport import (
    ClientCertificate,
    HttpRequest,
    RequestsTransport,
)
from tile_cache_manager.plugin.core.errors import (
    SignInFailed,
    SignInNeeded,
    SignInProblem,
    SiteUnreachable,
    Unreachable,
)

BASIC = "Basic cHVibGlzaGVyOnB1Ymxpc2gtdGhlLW1hcA=="
"""For PUBLISHER, by the words of RFC 7617."""
MANAGE = "System/CachingControllers/GPServer/Manage%20Map%20Cache%20Tiles"

# the site, a page of it that is secured
PAGES = {
    "secured": f"rest/services/{MANAGE}",
    "federated": "rest/services/World/MapServer",
    "fedportal": "rest/services/World/MapServer",
    "online": "rest/admin/services/World_Tiles/MapServer",
    "webtier": "rest/services/World/MapServer",
    "webtoken": "rest/services/World/MapServer",
    "ntlm": "rest/services/World/MapServer",
    "v103": "rest/services/World/MapServer",
    "v111": "rest/services/World/MapServer",
}
OWNED = ("federated", "fedportal", "online")


class Asking:
    """Counts and keeps what is sent."""

    def __init__(self) -> None:
        self.transport = RequestsTransport()
        self.sent: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> Any:
        self.sent.append(request)
        return self.transport.send(request)

    def close(self) -> None:
        self.transport.close()


@pytest.fixture(autouse=True)
def _exchanges_only(fresh_site: Any) -> None:
    """Nothing but an exchange opens the federated site."""
    fresh_site.take_portal_tokens("federated", taken=False)


@pytest.fixture
def asking() -> Iterator[Asking]:
    made = Asking()
    yield made
    made.close()


def read(site: RunningSite, key: str, sign_in: SignIn | None, asking: Any) -> dict[str, Any]:
    client = Client(asking, site.site_url(key), sign_in, repeats=QUICK)
    return client.read(f"{site.site_url(key)}/{PAGES[key]}")


def password(site: RunningSite, key: str, secret: str = PUBLISHER.password) -> Credentials:
    trusted = (site.portal_url(key),) if key in OWNED else ()
    return Credentials(PUBLISHER.name, secret, "", trusted)


@pytest.mark.parametrize("key", [key for key in PAGES if key != "ntlm"])
def test_user_name_and_password_open_every_door(key: str, fresh_site: Any, asking: Asking) -> None:
    assert "error" not in read(fresh_site, key, password(fresh_site, key), asking)

    assert all(PUBLISHER.password not in each.url for each in asking.sent)


@pytest.mark.parametrize("key", PAGES)
def test_nobody_gets_in_without(key: str, fresh_site: Any, asking: Asking) -> None:
    with pytest.raises(SignInNeeded):
        read(fresh_site, key, None, asking)


@pytest.mark.parametrize("key", [key for key in PAGES if key != "ntlm"])
def test_a_wrong_password(key: str, fresh_site: Any, asking: Asking) -> None:
    with pytest.raises(SignInFailed) as caught:
        read(fresh_site, key, password(fresh_site, key, "wrong"), asking)

    assert caught.value.reason is SignInProblem.REFUSED
    assert "wrong" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize("key", OWNED)
def test_a_portal_that_nobody_trusts(key: str, fresh_site: Any, asking: Asking) -> None:
    person = Credentials(PUBLISHER.name, PUBLISHER.password)
    with pytest.raises(SignInFailed) as caught:
        read(fresh_site, key, person, asking)

    told = caught.value
    assert told.reason is SignInProblem.OTHER_HOST
    assert told.portal_url.rstrip("/") == fresh_site.portal_url(key).rstrip("/")
    assert {urllib.parse.urlsplit(each.url).hostname for each in asking.sent} == {"127.0.0.1"}
    assert PUBLISHER.password not in str([dict(each.params) for each in asking.sent])
    # trusting what it names is enough
    trusting = Credentials(PUBLISHER.name, PUBLISHER.password, "", (told.portal_url,))
    assert "error" not in read(fresh_site, key, trusting, asking)


def test_windows_sign_in_is_told_by_name(fresh_site: Any, asking: Asking) -> None:
    with pytest.raises(SignInFailed) as caught:
        read(fresh_site, "ntlm", password(fresh_site, "ntlm"), asking)

    assert caught.value.reason is SignInProblem.WEB_SERVER
    assert caught.value.detail == "Negotiate, NTLM"


@pytest.mark.parametrize("key", ["webtier"])
def test_headers_that_somebody_else_made(key: str, fresh_site: Any, asking: Asking) -> None:
    person = HeaderSignIn({"Authorization": BASIC})

    assert "error" not in read(fresh_site, key, person, asking)


class OAuth:
    """Gets tokens of a portal as QGIS's OAuth 2 does, by client id and secret or a refresh."""

    def __init__(self, portal: str) -> None:
        self._portal, self._token, self.renewals = portal, "", 0

    def get(self, fresh: bool) -> str:
        self.renewals += fresh
        if fresh or not self._token:
            name, secret = OAUTH_CLIENT
            form = {"grant_type": "password", "f": "json",
                    "client_id": name, "client_secret": secret,
                    "username": PUBLISHER.name, "password": PUBLISHER.password}  # fmt: skip
            url = f"{self._portal}/sharing/rest/oauth2/token"
            data = urllib.parse.urlencode(form).encode()
            with urllib.request.urlopen(url, data) as answer:
                self._token = json.load(answer)["access_token"]
        return self._token


@pytest.mark.parametrize("key", OWNED)
def test_a_token_by_oauth(key: str, fresh_site: Any, asking: Asking) -> None:
    """Directly where the site takes it, else exchanged; a new one where the old has ended."""
    portal = fresh_site.portal_url(key)
    oauth = OAuth(portal)
    client = Client(
        asking, fresh_site.site_url(key), GivenToken(oauth.get, (portal,)), repeats=QUICK
    )
    page = f"{fresh_site.site_url(key)}/{PAGES[key]}"

    assert "error" not in client.read(page)
    fresh_site.expire_tokens(key)
    fresh_site.expire_tokens("agol" if key == "online" else "portal")
    assert "error" not in client.read(page)

    assert oauth.renewals <= 1


@pytest.mark.parametrize("key", OWNED)
def test_an_api_key(key: str, fresh_site: Any, asking: Asking) -> None:
    person = FixedToken(API_KEY, "", (fresh_site.portal_url(key),))

    assert "error" not in read(fresh_site, key, person, asking)


@pytest.mark.parametrize("key", ["secured", "federated", "fedportal", "online", "webtoken"])
def test_tokens_that_end_all_the_time(key: str, fresh_site: Any, asking: Asking) -> None:
    """Ended by the site at will, between any two requests: each is answered all the same."""
    client = Client(
        asking, fresh_site.site_url(key), password(fresh_site, key), repeats=QUICK
    )  # fmt: skip
    page = f"{fresh_site.site_url(key)}/{PAGES[key]}"

    for _ in range(5):
        assert "error" not in client.read(page)
        fresh_site.expire_tokens(key)


# --- TLS -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    pytest.importorskip("flask", reason="the stand-in ArcGIS site needs Flask")
    from arcgis_server.handle import running_site

    folder = tmp_path_factory.mktemp("tls_site")
    try:
        with running_site(folder, drawing="plain", tls=True) as running:
            yield running
    except FileNotFoundError:
        pytest.skip("openssl makes the certificates")


def loading(certificate: Path, key: Path) -> Any:
    def load(context: ssl.SSLContext) -> None:
        context.load_cert_chain(certificate, key)

    return load


def over_tls(site: RunningSite, kind: str, **more: Any) -> dict[str, Any]:
    listener = site.over_tls(kind)
    transport = RequestsTransport({}, str(site.certificates.authority), **more)
    try:
        person = Credentials(PUBLISHER.name, PUBLISHER.password)
        return read(listener, "secured", person, transport)
    finally:
        transport.close()


def fingerprint(certificate: Path, algorithm: str) -> str:
    import hashlib

    der = ssl.PEM_cert_to_DER_cert(certificate.read_text("ascii"))
    return hashlib.new(algorithm, der).hexdigest()


def reason(site: RunningSite, kind: str, **more: Any) -> Unreachable:
    with pytest.raises(SiteUnreachable) as caught:
        over_tls(site, kind, **more)
    return caught.value.reason


def place(site: RunningSite, kind: str) -> tuple[str, int]:
    parts = urllib.parse.urlsplit(site.over_tls(kind).url)
    return parts.hostname or "", parts.port or 443


def test_an_authority_that_is_trusted(tls_site: RunningSite) -> None:
    assert "error" not in over_tls(tls_site, "authority")


@pytest.mark.parametrize("kind", ["self_signed", "wrong_host"])
def test_certificates_that_nobody_trusts(kind: str, tls_site: RunningSite) -> None:
    assert reason(tls_site, kind) is Unreachable.CERTIFICATE


@pytest.mark.parametrize("kind", ["self_signed", "wrong_host"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
def test_an_exception_for_one_certificate(kind: str, algorithm: str, tls_site: RunningSite) -> None:
    theirs = fingerprint(getattr(tls_site.certificates, kind), algorithm)

    assert "error" not in over_tls(tls_site, kind, exceptions={place(tls_site, kind): theirs})
    coloned = ":".join(theirs[i : i + 2] for i in range(0, len(theirs), 2)).upper()
    assert "error" not in over_tls(tls_site, kind, exceptions={place(tls_site, kind): coloned})


def test_an_exception_holds_for_that_certificate_at_that_place_only(tls_site: RunningSite) -> None:
    theirs = fingerprint(tls_site.certificates.self_signed, "sha256")
    another = fingerprint(tls_site.certificates.server, "sha256")
    host, port = place(tls_site, "self_signed")

    for exceptions in ({(host, port): another}, {(host, port + 1): theirs},
                       {("localhost", port): theirs}, {}):  # fmt: skip
        assert reason(tls_site, "self_signed", exceptions=exceptions) is Unreachable.CERTIFICATE
    # and a certificate of our own makes nobody trusted
    made = tls_site.certificates
    for kind in ("self_signed", "wrong_host"):
        load = loading(made.client_certificate, made.client_key)
        ours = ClientCertificate((tls_site.over_tls(kind).url,), load)
        assert reason(tls_site, kind, certificate=ours) is Unreachable.CERTIFICATE
    # an exception for one place takes nothing from the others
    assert "error" not in over_tls(tls_site, "authority", exceptions={(host, port): theirs})


def test_a_certificate_of_the_clients_own(tls_site: RunningSite) -> None:
    made = tls_site.certificates
    origin = tls_site.over_tls("client").url
    ours = ClientCertificate((f"{origin}/x",), loading(made.client_certificate, made.client_key))

    assert "error" not in over_tls(tls_site, "client", certificate=ours)


def test_no_certificate_or_none_that_is_taken(tls_site: RunningSite) -> None:
    made = tls_site.certificates
    origin = tls_site.over_tls("client").url
    good = loading(made.client_certificate, made.client_key)
    bad = loading(made.other_client_certificate, made.other_client_key)
    missing = loading(made.folder / "no.pem", made.folder / "no.key")
    host, port = place(tls_site, "client")

    for certificate in (None, ClientCertificate((origin,), bad),
                        ClientCertificate((origin,), missing),
                        ClientCertificate((f"https://{host}:{port + 1}",), good),
                        ClientCertificate((f"https://localhost:{port}",), good)):  # fmt: skip
        told = reason(tls_site, "client", certificate=certificate)
        assert told is Unreachable.CLIENT_CERTIFICATE


def test_a_certificate_and_an_exception_for_the_same_site(tls_site: RunningSite) -> None:
    made = tls_site.certificates
    origin = tls_site.over_tls("client").url
    ours = ClientCertificate((origin,), loading(made.client_certificate, made.client_key))
    exceptions = {place(tls_site, "client"): fingerprint(made.server, "sha256")}
    transport = RequestsTransport({}, certificate=ours, exceptions=exceptions)

    client = Client(transport, f"{origin}/arcgis", CertificateSignIn(), repeats=QUICK)
    assert "currentVersion" in client.read(f"{origin}/arcgis/rest/info")
    transport.close()
