"""Sites that mean no good: whatever they answer, nothing crashes, hangs, leaks or fills a disk."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from arcgis_server.handle import PUBLISHER, RunningSite, running_site
from hostile_answers import Recording, Replay, odd_bodies, oddities_of
from scripted_site import QUICK
from secrets_search import Secrets

from tile_cache_manager.plugin.core.arcgis import portal
from tile_cache_manager.plugin.core.arcgis.address import service_of, sharing_url
from tile_cache_manager.plugin.core.arcgis.cache import ArcGISCache
from tile_cache_manager.plugin.core.arcgis.catalogue import list_services
from tile_cache_manager.plugin.core.arcgis.client import Client
from tile_cache_manager.plugin.core.arcgis.credentials import Credentials
from tile_cache_manager.plugin.core.arcgis.jobs import Pace
from tile_cache_manager.plugin.core.arcgis.transport import RequestsTransport, Transport
from tile_cache_manager.plugin.core.errors import TileCacheError
from tile_cache_manager.plugin.core.request import Feedback, UpdateMode, UpdateRequest

pytest.importorskip("flask", reason="the stand-in ArcGIS site needs Flask")

PACE = Pace(first=0.001, longest=0.002, patience=0.05, cancel_patience=0.05)
SECONDS = 3.0
"""Within which everything must have ended; some milliseconds are the rule."""
MOST_TOLD = 40
"""So many defects are told at once."""

Talk = Callable[[Transport], Any]


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    with running_site(tmp_path_factory.mktemp("sites"), drawing="plain") as running:
        yield running


def sign_in_at(sites: RunningSite, key: str) -> Credentials | None:
    if key in ("gaps", "hosted"):
        return None
    trusted = (sites.portal_url(key),) if key in ("federated", "online") else ()
    return Credentials(PUBLISHER.name, PUBLISHER.password, trusted_portals=trusted)


def describing(sites: RunningSite, key: str, name: str, kind: str) -> Talk:
    address = service_of(sites.service_url(key, name, kind))

    def talk(transport: Transport) -> Any:
        client = Client(transport, address.site_url, sign_in_at(sites, key), repeats=QUICK)
        return ArcGISCache(address, client, PACE).describe()

    return talk


def updating(sites: RunningSite, key: str, name: str, kind: str) -> Talk:
    description = describing(sites, key, name, kind)(RequestsTransport())
    address = service_of(sites.service_url(key, name, kind))
    levels = description.scheme.levels[:2]

    def talk(transport: Transport) -> Any:
        client = Client(transport, address.site_url, sign_in_at(sites, key), repeats=QUICK)
        request = UpdateRequest.of(description, levels, UpdateMode.RECREATE_ALL, None)
        late = time.monotonic() + SECONDS
        feedback = Feedback(abandoned=lambda: time.monotonic() > late)
        return ArcGISCache(address, client, PACE).update(request, feedback)

    return talk


def listing(sites: RunningSite, key: str) -> Talk:
    def talk(transport: Transport) -> Any:
        client = Client(transport, sites.site_url(key), sign_in_at(sites, key), repeats=QUICK)
        return list_services(sites.services_url(key), client)

    return talk


def searching(sites: RunningSite, key: str) -> Talk:
    url = sites.portal_url(key)

    def talk(transport: Transport) -> Any:
        client = Client(transport, sharing_url(url), sign_in_at(sites, key), repeats=QUICK)
        seen = portal.about(url, client)
        page = portal.search(seen, client)
        found = [portal.item(each.address, client) for each in page.items[:1]]
        return seen, page, found, [portal.service_of_item(each) for each in found]

    return talk


TALKS: dict[str, tuple[Callable[..., Talk], tuple[str, ...], int]] = {
    "describe a map": (describing, ("secured", "World", "MapServer"), 8),
    "describe an old map": (describing, ("old", "World", "MapServer"), 3),
    "describe images": (describing, ("classic", "Imagery", "ImageServer"), 4),
    "describe with gaps": (describing, ("gaps", "World", "MapServer"), 4),
    "describe a hosted layer": (describing, ("online", "World_Tiles", "MapServer"), 4),
    "update a map": (updating, ("classic", "World", "MapServer"), 6),
    "update a hosted layer": (updating, ("online", "World_Tiles", "MapServer"), 6),
    "list a site": (listing, ("classic",), 10),
    "search a portal": (searching, ("federated",), 10),
}


@pytest.mark.parametrize("name", TALKS)
def test_odd_values_at_every_place(name: str, sites: RunningSite) -> None:
    make, arguments, values_per_place = TALKS[name]
    sites.reset()
    talk = make(sites, *arguments)
    recording = Recording(RequestsTransport())
    talk(recording)
    talk(Replay(recording.bodies))
    secrets = Secrets(PUBLISHER.password, *sites.issued_tokens(arguments[0]))
    origins = {urlsplit(url).netloc for url in (sites.url, sites.portal_url("federated"))}
    wrong = []
    tried = 0
    for path, bodies in recording.bodies.items():
        for time_asked in sorted({0, len(bodies) - 1}):
            body = json.loads(bodies[time_asked])
            for oddity, odd in odd_bodies(body, f"{name} {path} {time_asked}", values_per_place):
                replay = Replay(recording.bodies, (path, time_asked, odd))
                found = judged(talk, replay, secrets, origins)
                assert len(wrong) < MOST_TOLD, "\n".join(wrong)
                wrong += [f"{name}, {path} #{time_asked}, {oddity}: {each}" for each in found]
                tried += 1
    assert wrong == [], f"{len(wrong)} of {tried}:\n" + "\n".join(wrong)
    assert tried > 100


def judged(talk: Talk, replay: Replay, secrets: Secrets, origins: set[str]) -> list[str]:
    """What is wrong with how an odd answer was taken."""
    started = time.monotonic()
    found, said = [], ""
    try:
        value = talk(replay)
    except TileCacheError as error:
        said = f"{error} {vars(error)!r}"
    except Exception as error:
        found.append(f"raised {type(error).__name__}: {str(error)[:200]}")
        if len(said) > 10_000:
            found.append(f"says {len(said):,} letters")
    else:
        said = repr(value)
        found += oddities_of(value)[:3]
    if time.monotonic() - started >= SECONDS:
        found.append(f"took {time.monotonic() - started:.0f} s")
    for url in replay.heard:
        if urlsplit(url).netloc not in origins:
            found.append(f"asked another host: {url[:200]}")
        if ".." in url.split("/") or "%2e" in url.lower() or any(ord(c) < 33 for c in url):
            found.append(f"asked for {url[:200]!r}")
        if secrets.found_in(url):
            found.append("a secret in a URL")
    if secrets.found_in(said):
        found.append("a secret in what is said")
    return found
