"""The stand-in sites behind TLS: whom they show themselves as, and whom they let in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from arcgis_server.handle import RunningSite, running_site

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="certificates are made with openssl, which is not there"
)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    folder = tmp_path_factory.mktemp("tls_site")
    with running_site(folder, drawing="plain", tls=True) as running:
        yield running


def info(site: RunningSite, **how: Any) -> Any:
    address = f"{site.site_url('classic')}/rest/info"
    return requests.get(address, params={"f": "json"}, timeout=10, **how).json()


def text(path: Path) -> str:
    return str(path)


def test_who_knows_the_authority_gets_in(secure: RunningSite) -> None:
    site = secure.over_tls()
    authority = text(secure.certificates.authority)
    assert site.url.startswith("https://127.0.0.1:")
    assert info(site, verify=authority)["currentVersion"] == 10.81
    services = info(site, verify=authority)["authInfo"]["tokenServicesUrl"]
    assert services.startswith(site.url)  # addresses that a site tells are those it was asked at
    with pytest.raises(requests.exceptions.SSLError):
        info(site)


def test_a_portal_is_another_origin_over_tls_too(secure: RunningSite) -> None:
    site = secure.over_tls()
    address = f"{site.site_url('federated')}/rest/info"
    authority = text(secure.certificates.authority)
    answer = requests.get(address, params={"f": "json"}, verify=authority, timeout=10).json()
    assert answer["owningSystemUrl"] == site.site_url("portal")
    assert answer["owningSystemUrl"].startswith("https://localhost:")
    portal = f"{answer['owningSystemUrl']}/sharing/rest/info"
    assert requests.get(portal, params={"f": "json"}, verify=authority, timeout=10).ok


@pytest.mark.parametrize("kind", ["self_signed", "wrong_host"])
def test_other_certificates_are_not_good_enough(secure: RunningSite, kind: str) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        info(secure.over_tls(kind), verify=text(secure.certificates.authority))


def test_a_self_signed_certificate_can_be_trusted_itself(secure: RunningSite) -> None:
    site = secure.over_tls("self_signed")
    assert info(site, verify=text(secure.certificates.self_signed))["currentVersion"] == 10.81


def test_a_client_certificate_of_the_authority_is_wanted(secure: RunningSite) -> None:
    site, made = secure.over_tls("client"), secure.certificates
    trusted = {"verify": text(made.authority)}
    right = (text(made.client_certificate), text(made.client_key))
    other = (text(made.other_client_certificate), text(made.other_client_key))
    assert info(site, cert=right, **trusted)["currentVersion"] == 10.81
    for certificate in (None, other):
        with pytest.raises(requests.exceptions.ConnectionError):
            info(site, cert=certificate, **trusted)


def test_control_needs_no_certificate(secure: RunningSite) -> None:
    site = secure.over_tls("client")
    site.reset("classic")
    assert site.jobs("classic") == []


def test_a_client_certificate_is_enough_for_a_token(secure: RunningSite) -> None:
    site, made = secure.over_tls("client"), secure.certificates
    how = {
        "verify": text(made.authority),
        "cert": (text(made.client_certificate), text(made.client_key)),
        "timeout": 10,
    }
    address = f"{site.site_url('portal')}/sharing/rest/generateToken"
    form = {"client": "referer", "referer": "http://here", "f": "json"}
    for server in ("", site.site_url("federated")):
        asked = {**form, "serverUrl": server} if server else form
        token = requests.post(address, data=asked, **how).json()["token"]
        page = (
            f"{server}/rest/services"
            if server
            else address.replace("generateToken", "community/self")
        )
        headers = {"Referer": "http://here"}
        query = {"f": "json", "token": token}
        answer = requests.get(page, params=query, headers=headers, **how).json()
        assert "error" not in answer
    open_door = f"{secure.site_url('portal')}/sharing/rest/generateToken"
    assert requests.post(open_door, data=form, timeout=10).json()["error"]["code"] == 400
