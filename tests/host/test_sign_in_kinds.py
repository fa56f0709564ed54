"""What each kind of QGIS's sign-in details becomes, and that nothing secret shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsAuthMethodConfig

from tile_cache_manager.plugin.core.arcgis.credentials import (
    CertificateSignIn,
    Credentials,
    FixedToken,
    GivenToken,
    HeaderSignIn,
)
from tile_cache_manager.plugin.host import messages, settings, sign_in
from tile_cache_manager.plugin.host.sign_in import SignInUnusable

pytestmark = pytest.mark.usefixtures("qgis_app", "forget_portals")

PORTAL = "https://portal.test/portal"
BASIC = {"username": "anna", "password": "hunter2", "realm": ""}
OAUTH = json.dumps(
    {
        "clientId": "client",
        "clientSecret": "hunter2",
        "grantFlow": 2,
        "password": "hunter2",
        "tokenUrl": "https://portal.test/portal/sharing/rest/oauth2/token",
        "username": "anna",
    }
)


@pytest.fixture
def forget_portals(qgis_app: Any) -> None:
    from qgis.core import QgsSettings

    QgsSettings().remove("tile_cache_manager/trusted_portals", QgsSettings.Section.Plugins)


def has(method: str) -> bool:
    return method in QgsApplication.authManager().authMethodsKeys()


def headers(**held: str) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in held.items()}


@pytest.mark.parametrize(
    ("method", "held", "expected"),
    [
        ("Basic", BASIC, Credentials("anna", "hunter2")),
        ("EsriToken", {"token": "hunter2"}, FixedToken("hunter2")),
        (
            "EsriToken",
            {"token": "hunter2", "referer": "https://gis.test"},
            FixedToken("hunter2", "https://gis.test"),
        ),
        ("APIHeader", headers(X_Key="hunter2"), HeaderSignIn({"X-Key": "hunter2"})),
        (
            "APIHeader",
            headers(Authorization="Bearer hunter2"),
            HeaderSignIn({"Authorization": "Bearer hunter2"}),
        ),
        (
            "APIHeader",
            headers(X_Esri_Authorization="Bearer hunter2"),
            FixedToken("hunter2"),
        ),
        (
            "APIHeader",
            headers(X_Esri_Authorization="Bearer hunter2", X_Key="hunter2"),
            HeaderSignIn({"X-Esri-Authorization": "Bearer hunter2", "X-Key": "hunter2"}),
        ),
        ("PKI-Paths", {"certpath": "/my.pem", "keypath": "/my.key"}, CertificateSignIn()),
        ("PKI-PKCS#12", {"bundlepath": "/my.p12", "bundlepass": "hunter2"}, CertificateSignIn()),
        ("Identity-Cert", {"certid": "0123"}, CertificateSignIn()),
    ],
)
def test_kinds(
    store_sign_in: Callable[..., str], method: str, held: dict[str, str], expected: object
) -> None:
    if not has(method):
        pytest.skip(f"this QGIS has no {method}")
    found = sign_in.credentials(store_sign_in(method, **held))
    assert found == expected
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("method", "held"),
    [
        ("APIHeader", headers(X_Key="hunter2\r\nX-Other: 1")),
        ("APIHeader", {"X Key": "hunter2"}),
        ("AWSS3", {"username": "anna", "password": "hunter2", "region": "here"}),
        ("MapTilerHmacSha256", {"token": "a_hunter2", "secret": "ff"}),
        ("OAuth2", {"oauth2config": "{"}),
        ("OAuth2", {"oauth2config": "[]"}),
        ("OAuth2", {"oauth2config": '{"tokenUrl": ""}'}),
    ],
)
def test_what_cannot_be_used_is_said(
    store_sign_in: Callable[..., str], method: str, held: dict[str, str]
) -> None:
    if not has(method):
        pytest.skip(f"this QGIS has no {method}")
    with pytest.raises(SignInUnusable) as caught:
        sign_in.credentials(store_sign_in(method, **held))
    assert (caught.value.name, caught.value.method) == (f"my {method}", method)
    for text in (str(caught.value), repr(caught.value), messages.sentence(caught.value)):
        assert "hunter2" not in text


# Portals that may be given what the details hold


@pytest.mark.parametrize(
    ("method", "held"),
    [
        ("Basic", BASIC),
        ("EsriToken", {"token": "hunter2"}),
        ("OAuth2", {"oauth2config": OAUTH.replace("portal.test", "another.test")}),
        ("PKI-Paths", {"certpath": "/my.pem", "keypath": "/my.key"}),
        ("APIHeader", headers(X_Key="hunter2")),
    ],
)
def test_a_portal_that_the_user_trusts(
    store_sign_in: Callable[..., str], method: str, held: dict[str, str]
) -> None:
    if not has(method):
        pytest.skip(f"this QGIS has no {method}")
    config_id, other = store_sign_in(method, **held), store_sign_in("Basic", **BASIC)
    assert PORTAL not in sign_in.credentials(config_id).trusted_portals
    settings.trust_portal(config_id, f"{PORTAL}?token=hunter3")
    settings.trust_portal(config_id, "https://second.test")
    settings.trust_portal(config_id, PORTAL)
    assert sign_in.credentials(config_id).trusted_portals[:2] == (PORTAL, "https://second.test")
    assert sign_in.credentials(other).trusted_portals == ()
    assert settings.trusted_portals("") == ()


def test_a_portal_named_in_processing(store_sign_in: Callable[..., str]) -> None:
    token = store_sign_in("EsriToken", token="hunter2")
    assert sign_in.credentials(token, PORTAL).trusted_portals == (PORTAL,)


def test_no_portal_is_trusted_without_details() -> None:
    settings.trust_portal("", PORTAL)
    settings.trust_portal("abc1234", "")
    assert settings.trusted_portals("") == ()
    assert settings.trusted_portals("abc1234") == ()


@pytest.mark.parametrize(
    ("resource", "trusted"),
    [
        ("https://portal.test/portal", (PORTAL,)),
        ("https://anna:hunter2@portal.test/portal?x=1", (PORTAL,)),
        ("gis.test", ()),
        ("", ()),
    ],
)
def test_the_resource_that_the_details_name(
    store_sign_in: Callable[..., str], resource: str, trusted: tuple[str, ...]
) -> None:
    manager, config_id = QgsApplication.authManager(), store_sign_in("Basic", **BASIC)
    config = QgsAuthMethodConfig()
    assert manager.loadAuthenticationConfig(config_id, config, True)[0]
    config.setUri(resource)
    assert manager.updateAuthenticationConfig(config)
    assert sign_in.credentials(config_id).trusted_portals == trusted


def test_the_portal_of_an_oauth_token_service(store_sign_in: Callable[..., str]) -> None:
    found = sign_in.credentials(store_sign_in("OAuth2", oauth2config=OAUTH))
    assert isinstance(found, GivenToken)
    assert found.trusted_portals == (PORTAL,)
    assert "hunter2" not in repr(found)
