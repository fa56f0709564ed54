"""The stand-in site's fault switchboard: what a plain client sees of each kind."""

from __future__ import annotations

import http.client
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from arcgis_server.faults import KINDS
from arcgis_server.handle import PUBLISHER, ControlFailed, RunningSite
from arcgis_server.plain_client import REFERER, TASK, Client

INFO = "/rest/info$"
SUBMIT = "/submitJob$"
SOON = 10


@pytest.fixture
def url(fresh_site: RunningSite) -> str:
    return f"{fresh_site.site_url('classic')}/rest/info?f=json"


def get(url: str, **more: Any) -> requests.Response:
    return requests.get(url, timeout=SOON, allow_redirects=False, **more)


def form() -> dict[str, str]:
    return {
        "service_url": "World:MapServer",
        "levels": "591657527.591555",
        "thread_count": "-1",
        "update_mode": "RECREATE_ALL_TILES",
    }


# kind, values, HTTP status, beginning of the content type, beginning of the body
INSTEAD: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("html", {}, 200, "text/html", "<html>"),
    ("status", {"code": 502}, 502, "text/html", "<html>"),
    ("error", {"code": 498, "message": "Invalid token."}, 200, "application/json", '{"error": {'),
    ("text", {}, 200, "text/plain", "The service is starting."),
    ("empty", {}, 200, "application/json", ""),
    ("list", {}, 200, "application/json", "[1, 2"),
    ("deep", {}, 200, "application/json", '{"services": [[[['),
    ("body", {"body": '{"x": NaN}', "code": 418}, 418, "application/json", '{"x": NaN}'),
]


@pytest.mark.parametrize(
    ("kind", "values", "status", "content_type", "beginning"), INSTEAD, ids=lambda value: str(value)
)
def test_words_instead_of_the_answer(
    kind: str,
    values: dict[str, Any],
    status: int,
    content_type: str,
    beginning: str,
    fresh_site: RunningSite,
    url: str,
) -> None:
    fresh_site.fault("classic", INFO, kind, **values)

    answer = get(url)

    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith(content_type)
    assert answer.text.startswith(beginning)
    assert beginning or not answer.text
    assert get(url).json()["currentVersion"] == 10.81


@pytest.mark.parametrize("kind", ["drop", "lost"])
def test_no_answer(kind: str, fresh_site: RunningSite, url: str) -> None:
    fresh_site.fault("classic", INFO, kind)

    with pytest.raises(requests.ConnectionError):
        get(url)
    assert get(url).ok


def raw_get(url: str) -> tuple[dict[str, str], bytes, type[Exception] | None]:
    """Head, what comes of the body, and what ended it where it is not whole."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SOON)
    connection.request("GET", f"{parts.path}?{parts.query}")
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    body = b""
    try:
        while piece := answer.read(1):
            body += piece
    except OSError as error:
        return headers, body, type(error)
    finally:
        connection.close()
    return headers, body, None


@pytest.mark.parametrize(("kind", "end"), [("cut", None), ("reset", ConnectionResetError)])
def test_an_answer_that_ends_in_its_midst(
    kind: str, end: type[Exception] | None, fresh_site: RunningSite, url: str
) -> None:
    whole = get(url).content
    fresh_site.fault("classic", INFO, kind, after=30)

    headers, body, ended = raw_get(url)

    assert int(headers["content-length"]) == len(whole)
    assert (body, ended) == (whole[:30], end)
    assert get(url).content == whole


def test_half_an_answer(fresh_site: RunningSite, url: str) -> None:
    fresh_site.fault("classic", INFO, "truncate")

    headers, body, _ = raw_get(url)

    assert 0 < len(body) < int(headers["content-length"])
    assert get(url).ok


def test_an_answer_that_comes_late(fresh_site: RunningSite, url: str) -> None:
    fresh_site.delay("classic", INFO, 0.3)
    started = time.monotonic()
    assert get(url).json()["currentVersion"] == 10.81
    assert time.monotonic() - started >= 0.3


def test_an_answer_that_drips(fresh_site: RunningSite, url: str) -> None:
    whole = get(url).content
    fresh_site.fault("classic", INFO, "drip", seconds=0.002)
    started = time.monotonic()
    assert get(url).content == whole
    assert time.monotonic() - started >= 0.002 * (len(whole) - 1)


def test_an_answer_without_an_end(fresh_site: RunningSite, url: str) -> None:
    fresh_site.fault("classic", INFO, "endless")
    size = 0
    with get(url, stream=True) as answer:
        for piece in answer.iter_content(1 << 20):
            size += len(piece)
            if size > 50_000_000:
                break
    assert size > 50_000_000
    assert get(url).ok


@pytest.mark.parametrize("as_date", [False, True])
def test_a_busy_site_says_when_to_come_again(
    as_date: bool, fresh_site: RunningSite, url: str
) -> None:
    fresh_site.busy("classic", INFO, 429, retry_after=7, as_date=as_date, count=2)

    answers = [get(url) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [429, 429, 200]
    header = answers[0].headers["Retry-After"]
    seconds = parsedate_to_datetime(header).timestamp() - time.time() if as_date else int(header)
    assert 5 < seconds <= 8


def test_redirects(fresh_site: RunningSite, url: str) -> None:
    fresh_site.redirect("classic", INFO, "")
    fresh_site.redirect("classic", INFO, fresh_site.login_url, 307)
    elsewhere = fresh_site.elsewhere_url("/rest/info")
    fresh_site.redirect("classic", INFO, elsewhere)

    in_a_circle, to_login, away = get(url), get(url), get(url)

    assert (in_a_circle.status_code, in_a_circle.headers["Location"]) == (302, url)
    assert to_login.status_code == 307
    assert get(to_login.headers["Location"]).headers["Content-Type"].startswith("text/html")
    assert away.headers["Location"] == elsewhere
    fresh_site.elsewhere()
    requests.post(elsewhere, {"word": "said"}, headers={"X-Word": "too"}, timeout=SOON)
    (heard,) = fresh_site.elsewhere()
    assert (heard["method"], heard["url"], heard["form"]) == ("POST", elsewhere, {"word": "said"})
    assert heard["headers"]["X-Word"] == "too"
    assert urlsplit(elsewhere).hostname != urlsplit(url).hostname


def test_a_submission_whose_answer_is_lost(fresh_site: RunningSite) -> None:
    client = Client(fresh_site, "classic")
    fresh_site.lose_answer("classic", SUBMIT)

    with pytest.raises(requests.ConnectionError):
        client.submit(**form())

    assert len(fresh_site.jobs("classic")) == len(fresh_site.submissions("classic")) == 1


def test_some_requests_go_through_first_and_other_faults_strike_meanwhile(
    fresh_site: RunningSite, url: str
) -> None:
    fresh_site.fault("classic", INFO, "status", code=503, skip=2)
    fresh_site.fault("classic", INFO, "status", code=500)

    assert [get(url).status_code for _ in range(4)] == [500, 200, 503, 200]


def test_a_restart_forgets_jobs_and_tokens(fresh_site: RunningSite) -> None:
    client = Client(fresh_site, "classic")
    fresh_site.pause_after("classic", 0)
    job_id = client.submit(**form())["jobId"]
    fresh_site.wait_until_paused("classic")

    fresh_site.restart("classic", away=2)

    address = f"{fresh_site.services_url('classic')}/{TASK}/jobs/{job_id}?f=json"
    assert [get(address).status_code for _ in range(2)] == [503, 503]
    assert client.job(job_id)["error"]["code"] == 498
    client.token = client.sign_in(PUBLISHER)
    assert "does not exist" in str(client.job(job_id)["error"])
    assert fresh_site.jobs("classic") == []


@pytest.mark.parametrize("kind", ["expire", "forget"])
def test_what_happens_just_before_an_answer(kind: str, fresh_site: RunningSite) -> None:
    client = Client(fresh_site, "classic")
    job_id = client.run(**form())["jobId"]
    fresh_site.fault("classic", "/jobs/", kind, skip=1)

    assert client.job(job_id)["jobStatus"] == "esriJobSucceeded"
    assert client.job(job_id)["error"]["code"] == {"expire": 498, "forget": 400}[kind]


@pytest.mark.parametrize("skew", [-7200, 7200])
def test_a_clock_that_is_wrong(skew: float, fresh_site: RunningSite) -> None:
    fresh_site.clock_skew("secured", skew)
    address = f"{fresh_site.site_url('secured')}/rest/info?f=json"
    moment = parsedate_to_datetime(get(address).headers["Date"]).timestamp()
    assert moment - time.time() == pytest.approx(skew, abs=3)

    account = {"username": PUBLISHER.name, "password": PUBLISHER.password}
    binding = {"client": "referer", "referer": REFERER, "f": "json"}
    tokens = f"{fresh_site.site_url('secured')}/tokens/generateToken"
    expires = requests.post(tokens, {**account, **binding}, timeout=SOON).json()["expires"]
    assert expires / 1000 - time.time() == pytest.approx(3600 + skew, abs=5)
    assert "services" in Client(fresh_site, "secured").get(fresh_site.services_url("secured"))

    fresh_site.reset("secured")
    moment = parsedate_to_datetime(get(address).headers["Date"]).timestamp()
    assert moment - time.time() == pytest.approx(0, abs=3)


def test_what_was_heard_and_given(fresh_site: RunningSite) -> None:
    client = Client(fresh_site, "secured")
    client.get(fresh_site.services_url("secured"), word="in the address")

    assert client.token in fresh_site.issued_tokens("secured")
    assert any("word=in+the+address" in url for url in fresh_site.heard_urls("secured"))


def test_an_unknown_fault_is_refused(fresh_site: RunningSite) -> None:
    with pytest.raises(ControlFailed, match="unknown fault 'flood'"):
        fresh_site.fault("classic", INFO, "flood")
    assert len(KINDS) == len(set(KINDS))
