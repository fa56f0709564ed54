"""A thousand updates on sites that fail at random: each ends well, or can be found again.

Seeds are "site:number"; UPDATE_SEEDS="classic:17 secured:4" tries only these.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from arcgis_server.faults import KINDS
from arcgis_server.handle import PORTALS, PUBLISHER, RunningSite, running_site
from arcgis_server.profiles import Service, site
from drawn_updates import MODES, Draw, draw
from secrets_search import Secrets
from update_trials import Target, Trial, target, verdicts, verdicts_on_carrying_on

from tile_cache_manager.plugin.core.arcgis import (
    hosted_jobs,
    jobs,
    lost_jobs,
    status,
    transport,
)
from tile_cache_manager.plugin.core.arcgis.credentials import Credentials

pytest.importorskip("flask", reason="the stand-in ArcGIS site needs Flask")

NUMBERS = {
    "classic": 150,
    "secured": 150,
    "old": 60,
    "othernames": 60,
    "gaps": 60,
    "wkt": 60,
    "v103": 60,
    "v111": 60,
    "federated": 70,
    "fedportal": 50,
    "webtier": 40,
    "webtoken": 40,
    "online": 140,
}
"""How many updates are tried on each site."""
ONE_AFTER_THE_OTHER = {"fedportal": "federated"}
"""Sites that cannot be worked on at the same time: they have their portal in common."""
SERVICES = {"online": "Corner_Tiles"}
"""Which service, where it is not the first."""
LEVELS = {"online": (4, 6, 7, 8)}
"""Which levels, where they are not the first: the last one is at the corner of four bundles."""
AT_A_TIME = 4
"""Sites that are worked on at the same time; on each, one update after the other."""
ANSWER_SECONDS = 1.5
PAUSE_SECONDS = 0.6
LIMITS = (
    (transport, "READ_SECONDS"),
    (lost_jobs, "READ_SECONDS"),
    (status, "READ_SECONDS"),
    (jobs, "LOOK_SECONDS"),
    (hosted_jobs, "LOOK_SECONDS"),
)
"""How long a whole answer may take, while answers drip."""


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    with running_site(tmp_path_factory.mktemp("sites"), drawing="plain") as running:
        yield running


@pytest.fixture
def all_is_logged() -> Iterator[None]:
    """Everything is logged, but kept only by those who search it."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers
    root.setLevel(logging.DEBUG)
    root.handlers = []
    yield
    root.setLevel(level)
    root.handlers = handlers


def service_of_site(key: str) -> Service:
    cached = [service for service in site(key).services if service.cached]
    return next(each for each in cached if each.name == SERVICES.get(key, cached[0].name))


def levels_of_site(key: str) -> tuple[int, ...]:
    service = service_of_site(key)
    ids = sorted(lod.level for lod in service.scheme.lods if lod.level >= service.levels[0])
    return LEVELS.get(key, tuple(ids[:4]))


def modes_of(key: str) -> tuple[str, ...]:
    tasks = site(key).tasks
    return MODES[1:] if tasks is None else tuple(mode for mode in MODES if mode in tasks.modes)


def target_on(sites: RunningSite, key: str) -> Target:
    if key == "federated":  # so that nothing but an exchange opens it
        sites.take_portal_tokens(key, taken=False)
    trusted = (sites.portal_url(key),) if key in PORTALS else ()
    sign_in = Credentials(PUBLISHER.name, PUBLISHER.password, trusted_portals=trusted)
    if site(key).security == "open":
        sign_in = None
    return target(sites, key, service_of_site(key), sign_in)


def draws() -> list[Draw]:
    seeds = os.environ.get("UPDATE_SEEDS", "").split()
    pairs = [(key, number) for key, count in NUMBERS.items() for number in range(count)]
    if seeds:
        pairs = [(key, int(number)) for key, _, number in (s.partition(":") for s in seeds)]
    return [drawn(key, number) for key, number in pairs]


def drawn(key: str, number: int) -> Draw:
    return draw(key, number, service_of_site(key), modes_of(key), levels_of_site(key))


def groups(of: list[Draw]) -> list[list[str]]:
    """Sites, those together that are worked on one after the other."""
    found: dict[str, list[str]] = {}
    for key in dict.fromkeys(one.key for one in of):
        found.setdefault(ONE_AFTER_THE_OTHER.get(key, key), []).append(key)
    return sorted(found.values(), key=lambda keys: -sum(NUMBERS[key] for key in keys))


def sentence() -> Callable[[Exception], str] | None:
    """What is said to people about an error; None where there is no QGIS to say it."""
    if importlib.util.find_spec("qgis") is None:
        return None
    from tile_cache_manager.plugin.host import messages

    return messages.sentence


def tried(one: Draw, on: Target, folder: Path) -> tuple[Trial, list[str]]:
    """Try an update, judge it, calm the site down, and see whether it can be carried on."""
    trial = Trial(one, on, folder / f"{one.key}-{one.number}.json")
    trial.run()
    wrong = verdicts(trial, sentence())
    end = trial.end
    if trial.hangs:
        return trial, [f"{one.seed}: {each}" for each in wrong]
    trial.calm()
    if trial.kept and not trial.kept[-1].has_ended:
        trial.carry_on()
        found = verdicts_on_carrying_on(trial, sentence())
        wrong += [f"carried on, {trial.end}: {each}" for each in found]
    trial.wait_for_jobs()
    return trial, [f"{one.seed} ({end}): {each}" for each in wrong]


@pytest.mark.usefixtures("all_is_logged")
def test_a_thousand_updates(
    sites: RunningSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the product's own limits, in small: of an answer, of a pause in it, of a look at a job
    monkeypatch.setattr(transport, "TOTAL_SECONDS", ANSWER_SECONDS)
    for module, name in LIMITS:
        monkeypatch.setattr(module, name, PAUSE_SECONDS)
    all_draws = draws()
    wrong: list[str] = []
    ends: Counter[str] = Counter()
    struck: Counter[str] = Counter()
    tokens: set[str] = set()
    sites.elsewhere()

    def work_off(keys: list[str]) -> None:
        for key in keys:
            on = target_on(sites, key)
            for one in all_draws:
                if one.key == key:
                    trial, found = tried(one, on, tmp_path)
                    wrong.extend(found)
                    ends[trial.end] += 1
                    struck.update(trial.struck)
                    tokens.update(trial.tokens)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for done in [pool.submit(work_off, keys) for keys in groups(all_draws)]:
            done.result()

    assert wrong == [], "\n" + "\n".join(wrong)
    assert sum(ends.values()) == len(all_draws)
    another_host = urlsplit(sites.elsewhere_url()).netloc
    heard = [each for each in sites.elsewhere() if urlsplit(each["url"]).netloc == another_host]
    assert secrets_in(json.dumps(heard), tokens) == set()
    assert secrets_in((sites.folder / "requests.log").read_text("utf-8"), tokens) == set()
    if len(all_draws) >= 1000:
        # that they were tried, and not only drawn
        assert heard
        assert {kind for kind in KINDS if struck[kind] < 5} == set()
        assert 200 < ends["done"] < 800, ends
        assert ends["done with failures"] >= 10, ends


def secrets_in(text: str, tokens: set[str]) -> set[str]:
    """Which of very many tokens, and of the passwords, can be read in a long text."""
    secrets = Secrets(PUBLISHER.password)
    secrets.add_basic(PUBLISHER.name, PUBLISHER.password)
    return secrets.found_in(text) | (tokens & set(re.findall(r"[\w-]{20,}", text)))


def test_secrets_are_found_in_every_shape() -> None:
    """The judge's own eyes: a secret that it does not see would never be told."""
    secrets = Secrets('pass "word"/ä', "t0ken")
    secrets.add_basic("publisher", "secret")
    found = [
        "f=json&password=pass+%22word%22%2F%C3%A4",
        '{"password": "pass \\"word\\"/\\u00e4"}',
        "pass &quot;word&quot;/ä",
        "Bearer t0ken",
        "token=dDBrZW4=",
        "Authorization: Basic cHVibGlzaGVyOnNlY3JldA==",
    ]
    assert [len(secrets.found_in(text)) for text in found] == [1] * len(found)
    assert secrets.found_in("nothing of the kind, pass word, t0Ken") == set()
