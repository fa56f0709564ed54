"""The same update, end to end, on every kind of site: kind of cache x sign-in x version.

Opened by address and sign-in alone, as a person does. Which tiles an area touches is found by the
stand-in itself, which tries every tile with shapely; what lies in the caches is read from the
bundles on disk.
"""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from arcgis_server.bundles import BUNDLE_SIDE
from arcgis_server.coverage import expected_count, tiles_of
from arcgis_server.handle import API_KEY, OAUTH_CLIENT, PUBLISHER, RunningSite, running_site
from arcgis_server.profiles import Service, Site
from arcgis_server.profiles import site as profile
from arcgis_server.schemes import Lod
from scripted_site import Recorder
from shapely.affinity import scale, translate
from shapely.geometry import Polygon, box

from tile_cache_manager.plugin.core.arcgis import cache as arcgis_cache
from tile_cache_manager.plugin.core.arcgis.credentials import (
    CertificateSignIn,
    Credentials,
    FixedToken,
    GivenToken,
    HeaderSignIn,
    SignIn,
)
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.arcgis.transport import (
    ClientCertificate,
    RequestsTransport,
    Transport,
)
from tile_cache_manager.plugin.core.cache import open_cache
from tile_cache_manager.plugin.core.request import Outcome, UpdateMode, UpdateRequest

Tiles = dict[int, dict[tuple[int, int], Any]]
MOST_TILES = 300
BASIC = "Basic cHVibGlzaGVyOnB1Ymxpc2gtdGhlLW1hcA=="
"""For PUBLISHER, by the words of RFC 7617."""
L_SHAPE = Polygon([(0.3, 0.3), (0.48, 0.3), (0.48, 0.6), (0.7, 0.6), (0.7, 0.7), (0.3, 0.7)])
"""In parts of the full extent; it keeps off the south-east."""


# --- the sign-ins -------------------------------------------------------------------------------


def nobody(site: RunningSite, key: str) -> SignIn | None:
    return None


def password(site: RunningSite, key: str) -> SignIn | None:
    return Credentials(PUBLISHER.name, PUBLISHER.password)


def password_at_portal(site: RunningSite, key: str) -> SignIn | None:
    return Credentials(PUBLISHER.name, PUBLISHER.password, site.portal_url(key))


def api_key(site: RunningSite, key: str) -> SignIn | None:
    return FixedToken(API_KEY)


def portal_token(site: RunningSite, key: str) -> SignIn | None:
    """A token that somebody got at the portal and pasted, bound to its referer."""
    referer = "http://pasted.example"
    form = {
        "username": PUBLISHER.name,
        "password": PUBLISHER.password,
        "client": "referer",
        "referer": referer,
        "f": "json",
    }
    address = f"{site.portal_url(key)}/sharing/rest/generateToken"
    token = requests.post(address, data=form, timeout=10).json()["token"]
    return FixedToken(token, referer, (site.portal_url(key),))


def oauth(site: RunningSite, key: str) -> SignIn | None:
    def get(fresh: bool) -> str:
        name, word = OAUTH_CLIENT
        form = {"grant_type": "client_credentials", "client_id": name, "client_secret": word}
        address = f"{site.portal_url(key)}/sharing/rest/oauth2/token"
        return str(requests.post(address, data=form, timeout=10).json()["access_token"])

    return GivenToken(get, (site.portal_url(key),))


def header(site: RunningSite, key: str) -> SignIn | None:
    return HeaderSignIn({"Authorization": BASIC})


# --- the sites ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    key: str
    name: str
    sign_in: Callable[[RunningSite, str], SignIn | None]

    @property
    def site(self) -> Site:
        return profile(self.key)

    @property
    def service(self) -> Service:
        return next(s for s in self.site.services if s.name == self.name)

    @property
    def is_hosted(self) -> bool:
        return self.site.tile_admin

    def __str__(self) -> str:
        hosted = "hosted " if self.is_hosted or self.name.startswith("Hosted/") else ""
        how = self.sign_in.__name__.replace("_", " ")
        return f"{hosted}{self.service.kind} of {self.key} {self.site.version}, {how}"


ROWS = [
    Row("old", "World", password),
    Row("v103", "World", password),
    Row("v103", "Imagery", password),
    Row("wkt", "Europe", nobody),
    Row("classic", "World", password),
    Row("classic", "Basemaps/Countries", password),
    Row("classic", "Imagery", password),
    Row("gaps", "World", nobody),
    Row("secured", "World", password),
    Row("v111", "World", password),
    Row("v111", "Imagery", password),
    Row("othernames", "World", nobody),
    Row("federated", "World", password_at_portal),
    Row("federated", "Imagery", oauth),
    Row("federated", "World", portal_token),
    Row("federated", "Hosted/City_Tiles", password_at_portal),
    Row("fedportal", "World", password_at_portal),
    Row("fedportal", "World", oauth),
    Row("online", "Corner_Tiles", password_at_portal),
    Row("online", "Corner_Tiles", api_key),
    Row("online", "Relief_Tiles", oauth),
    Row("online", "Private_Tiles", portal_token),
    Row("webtier", "World", password),
    Row("webtier", "Imagery", header),
    Row("webtoken", "World", password),
]


def area_in(service: Service) -> Polygon:
    xmin, ymin, xmax, ymax = service.full_extent
    sized = scale(L_SHAPE, xmax - xmin, ymax - ymin, origin=(0, 0))
    return translate(sized, xmin, ymin)


def expected(row: Row, lod: Lod, area: Any) -> set[tuple[int, int]]:
    """The tiles an area is about: of hosted layers, all that share a bundle with one of them."""
    covered = set(tiles_of(row.service, lod, area))
    if not row.is_hosted:
        return covered
    bundles = {(r // BUNDLE_SIDE, c // BUNDLE_SIDE) for r, c in covered}
    everywhere = tiles_of(row.service, lod, box(*row.service.full_extent))
    return {(r, c) for r, c in everywhere if (r // BUNDLE_SIDE, c // BUNDLE_SIDE) in bundles}


def lods_for(row: Row) -> list[Lod]:
    """The two deepest levels at which the whole service is not too much for a test."""
    scheme = row.service.scheme
    assert scheme is not None
    first, last = row.service.levels
    small = [
        lod
        for lod in scheme.lods
        if first <= lod.level <= last and expected_count(row.service, lod) <= MOST_TILES
    ]
    return small[-2:]


@pytest.fixture(params=ROWS, ids=str)
def row(request: pytest.FixtureRequest, site: RunningSite) -> Iterator[Row]:
    row: Row = request.param
    keys = (row.key, *([row.site.portal] if row.site.portal else []))
    site.reset(*keys)
    if row.key == "federated":  # so that nothing but an exchange opens it
        site.take_portal_tokens(row.key, taken=False)
    yield row
    site.reset(*keys)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask for the state of jobs more often than at work."""
    quick = Pace(first=0.01, longest=0.1, patience=30, cancel_patience=30)
    monkeypatch.setattr(arcgis_cache, "Pace", lambda: quick)


def on_disk(site: RunningSite, row: Row) -> Tiles:
    return site.read_cache(row.key, row.name)


def test_the_same_update_comes_through_on_every_site(row: Row, site: RunningSite) -> None:
    comes_through(row, site, row.sign_in(site, row.key), RequestsTransport())


@pytest.mark.skipif(
    shutil.which("openssl") is None, reason="certificates are made with openssl, which is not there"
)
@pytest.mark.parametrize(
    ("key", "name"), [("secured", "World"), ("federated", "World"), ("gaps", "World")]
)
def test_the_same_update_comes_through_by_a_certificate(
    secure: RunningSite, key: str, name: str
) -> None:
    """Over TLS, where the web server wants a certificate and that is all who signs in has."""
    made, site = secure.certificates, secure.over_tls("client")
    row = Row(key, name, nobody)
    portal = (site.portal_url(key),) if row.site.portal else ()

    def load(context: ssl.SSLContext) -> None:
        context.load_cert_chain(made.client_certificate, made.client_key)

    certificate = ClientCertificate((site.site_url(key), *portal), load)
    transport = RequestsTransport(authorities=str(made.authority), certificate=certificate)
    comes_through(row, site, CertificateSignIn(portal), transport)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    with running_site(tmp_path_factory.mktemp("tls"), drawing="plain", tls=True) as running:
        yield running


def comes_through(
    row: Row, site: RunningSite, sign_in: SignIn | None, transport: Transport
) -> None:
    address = site.service_url(row.key, row.name, row.service.kind)
    cache = open_cache(address, sign_in, transport)
    description = cache.describe()
    lods = lods_for(row)
    levels = tuple(description.scheme.level(lod.level) for lod in lods)
    area = area_in(row.service)
    covered = {lod.level: expected(row, lod, area) for lod in lods}
    assert [level.scale for level in levels] == [lod.scale for lod in lods]
    assert description.is_hosted == row.is_hosted
    assert UpdateMode.RECREATE_ALL in description.modes

    def update(mode: UpdateMode, place: Any) -> None:
        recorder = Recorder()
        request = UpdateRequest(description.scheme, levels, mode, area=place)
        report = cache.update(request, recorder.feedback)
        assert report.outcome is Outcome.DONE, recorder.texts
        assert recorder.percents[-1:] == [100.0]

    update(UpdateMode.RECREATE_ALL, area)
    first = on_disk(site, row)
    assert {level: set(tiles) for level, tiles in first.items()} == covered

    site.set_revision(row.key, 2)
    update(UpdateMode.RECREATE_ALL, area)
    second = on_disk(site, row)
    assert {level: set(tiles) for level, tiles in second.items()} == covered
    changed = [second[n][tile].sha1 != first[n][tile].sha1 for n in covered for tile in covered[n]]
    assert any(changed)

    xmin, ymin, xmax, ymax = area.bounds
    north = box(xmin, (ymin + ymax) / 2 + (ymax - ymin) * 0.3, xmax, ymax)
    update(UpdateMode.DELETE, north)
    gone = {lod.level: expected(row, lod, north) for lod in lods}
    left = {level: covered[level] - gone[level] for level in covered}
    third = on_disk(site, row)
    assert {level: set(tiles) for level, tiles in third.items()} == {
        level: tiles for level, tiles in left.items() if tiles
    }
    assert all(gone.values())
    assert any(left.values())
    made, deleted = (sum(map(len, tiles.values())) for tiles in (covered, gone))
    assert sum(job["total"] for job in site.jobs(row.key)) == 2 * made + deleted  # nothing twice
    if not row.is_hosted:
        assert len(site.submissions(row.key)) == 3
