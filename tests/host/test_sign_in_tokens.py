"""Tokens of QGIS's own OAuth 2: got, renewed, refused; by any thread, and never in its way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import pytest
from qgis.core import QgsApplication
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkRequest

from tile_cache_manager.plugin.core.arcgis.credentials import GivenToken
from tile_cache_manager.plugin.core.errors import SignInFailed, SignInProblem
from tile_cache_manager.plugin.host import messages, sign_in, token_thread
from tile_cache_manager.plugin.host.areas import Cancelled
from tile_cache_manager.plugin.host.background import Task, start

pytestmark = pytest.mark.usefixtures("qgis_app")

BY_PASSWORD, BY_BROWSER = 2, 0


@dataclass
class TokenService:
    """An OAuth 2 token service on loopback: each token it gives is a new one."""

    address: str = ""
    lifetime: int = 3600
    delay: float = 0.0
    refuses: bool = False
    gives_refresh: bool = True
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        time.sleep(self.delay)
        self.asked.append(form)
        if self.refuses:
            return 400, {"error": {"code": 400, "message": "invalid_grant"}}
        number = len(self.asked)
        given = {"access_token": f"token{number}", "expires_in": self.lifetime, "username": "anna"}
        if self.gives_refresh:
            given["refresh_token"] = f"refresh{number}"
        return 200, given

    @property
    def grants(self) -> list[str]:
        return [form["grant_type"] for form in self.asked]


@pytest.fixture
def service() -> Iterator[TokenService]:
    told = TokenService()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            status, answer = told.answer(dict(parse_qsl(self.rfile.read(length).decode())))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        told.address = f"http://127.0.0.1:{server.server_port}/portal"
        yield told
        server.shutdown()
        thread.join()


@pytest.fixture
def store(service: TokenService, store_sign_in: Callable[..., str]) -> Callable[..., str]:
    """Stores OAuth 2 details as QGIS's own form does, by user name and password unless told."""

    def stored(**changed: object) -> str:
        settings = {
            "accessMethod": 0, "apiKey": "", "clientId": "client", "clientSecret": "hidden",
            "configType": 1, "grantFlow": BY_PASSWORD, "password": "hunter2",
            "persistToken": False, "queryPairs": {}, "redirectPort": 7070, "redirectUrl": "",
            "refreshTokenUrl": "", "requestTimeout": 2, "requestUrl": "", "scope": "",
            "tokenUrl": f"{service.address}/sharing/rest/oauth2/token", "username": "anna",
            "version": 1, **changed,
        }  # fmt: skip
        return store_sign_in("OAuth2", oauth2config=json.dumps(settings))

    return stored


Work = Callable[[], Any]


@pytest.fixture
def in_thread(wait_until: Callable[..., None]) -> Callable[[Work], Any]:
    """`in_thread(work)`: what that gives in a thread of its own, which ends with it.

    The main thread handles events meanwhile, as QGIS does.
    """
    return lambda work: _given(work, lambda given: wait_until(lambda: given, 30, "a token"))


def while_nothing_else_goes_on(work: Work) -> Any:
    """The same, with the main thread standing still."""
    return _given(work, lambda given: None)


def _given(work: Work, wait: Callable[[list[Any]], None]) -> Any:
    given: list[Any] = []

    def run() -> None:
        try:
            given.append(work())
        except Exception as error:
            given.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait(given)
    thread.join(30)
    assert given, "no answer in 30 s"
    if isinstance(given[0], Exception):
        raise given[0]
    return given[0]


def source(auth_config_id: str) -> Callable[[bool], str]:
    sign = sign_in.credentials(auth_config_id)
    assert isinstance(sign, GivenToken)
    return sign.get


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"customHeader": "X-Esri-Authorization"},
        {"accessMethod": 2},
    ],
    ids=["header", "Esri's header", "query"],
)
def test_a_token_however_qgis_sends_it(
    store: Callable[..., str],
    service: TokenService,
    sent: dict[str, object],
    in_thread: Callable[[Work], Any],
) -> None:
    get = source(store(**sent))
    assert service.asked == []  # nothing is fetched by naming it
    assert in_thread(lambda: get(False)) == "token1"
    assert in_thread(lambda: get(False)) == "token1"
    assert service.grants == ["password"]


def test_the_portal_of_the_token_service_is_trusted(
    store: Callable[..., str], service: TokenService
) -> None:
    sign = sign_in.credentials(store())
    assert sign.trusted_portals == (service.address,)
    elsewhere = sign_in.credentials(store(tokenUrl="https://login.test/oauth/token"))
    assert elsewhere.trusted_portals == ()
    for secret in ("hunter2", "hidden", "token1"):
        assert secret not in repr(sign)


def test_a_token_near_its_end_is_renewed(
    store: Callable[..., str],
    service: TokenService,
    in_thread: Callable[[Work], Any],
) -> None:
    get = source(store())
    service.lifetime = 1
    assert in_thread(lambda: get(False)) == "token1"
    service.lifetime = 3600
    assert in_thread(lambda: get(False)) == "token2"  # the thread that got the first is no more
    assert in_thread(lambda: get(False)) == "token2"
    assert service.grants == ["password", "refresh_token"]


def test_a_token_that_cannot_be_refreshed_is_got_anew(
    store: Callable[..., str],
    service: TokenService,
    in_thread: Callable[[Work], Any],
) -> None:
    service.lifetime, service.gives_refresh = 1, False
    get = source(store())
    assert [in_thread(lambda: get(False)) for _ in range(3)] == ["token1", "token2", "token3"]
    assert service.grants == ["password"] * 3


@pytest.mark.parametrize("gives_refresh", [True, False], ids=["refreshed", "got anew"])
def test_a_refused_token_is_replaced_though_it_has_not_ended(
    store: Callable[..., str],
    service: TokenService,
    gives_refresh: bool,
    in_thread: Callable[[Work], Any],
) -> None:
    service.gives_refresh = gives_refresh
    get = source(store())
    assert in_thread(lambda: get(False)) == "token1"
    assert in_thread(lambda: get(True)) == "token2"
    assert in_thread(lambda: get(False)) == "token2"


def test_several_threads_at_once_for_several_details(
    store: Callable[..., str], service: TokenService, wait_until: Callable[..., None]
) -> None:
    service.delay = 0.3
    ids = [store(), store()]
    gets = [source(each) for each in ids for _ in range(2)]
    found: list[tuple[int, str]] = []
    threads = [
        threading.Thread(target=lambda i=i, get=get: found.append((i // 2, get(False))))
        for i, get in enumerate(gets)
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(found) == 4, 20, "tokens for all")
    for thread in threads:
        thread.join()
    assert len(set(found)) == 2  # one token for each of the details
    assert len(service.asked) == 2


def test_qgis_asking_meanwhile_in_its_main_thread_waits_no_longer_than_the_service(
    store: Callable[..., str], service: TokenService
) -> None:
    service.delay = 0.5
    config_id = store()
    get, found = source(config_id), []
    thread = threading.Thread(target=lambda: found.append(get(False)))
    thread.start()
    time.sleep(0.2)
    request = QNetworkRequest(QUrl("https://gis.test/arcgis"))
    begun = time.monotonic()
    is_signed, signed = QgsApplication.authManager().updateNetworkRequest(request, config_id)
    assert is_signed
    assert time.monotonic() - begun < 5
    thread.join(10)
    assert found == [token_thread.token_in(signed)]


def test_details_that_qgis_has_used_in_its_main_thread_before(
    store: Callable[..., str],
    service: TokenService,
    in_thread: Callable[[Work], Any],
) -> None:
    service.lifetime, service.gives_refresh = 1, False
    config_id = store()
    request = QNetworkRequest(QUrl("https://gis.test/arcgis"))
    assert QgsApplication.authManager().updateNetworkRequest(request, config_id)[0]
    get = source(config_id)
    assert in_thread(lambda: get(False)) == "token2"
    assert while_nothing_else_goes_on(lambda: get(False)) == "token3"


def test_details_that_were_used_in_a_thread_that_is_no_more(
    store: Callable[..., str],
    service: TokenService,
    in_thread: Callable[[Work], Any],
) -> None:
    service.lifetime, service.gives_refresh = 1, False
    config_id = store()

    def use() -> bool:
        request = QNetworkRequest(QUrl("https://gis.test/arcgis"))
        return QgsApplication.authManager().updateNetworkRequest(request, config_id)[0]

    assert in_thread(use)
    get = source(config_id)
    assert in_thread(lambda: get(False)) == "token2"


def test_qgis_waiting_for_ever_is_ended_and_its_lock_free_again(
    store: Callable[..., str],
    service: TokenService,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a thread that is no more, and with the main thread too busy to have that forgotten."""
    monkeypatch.setattr(token_thread, "LONGEST_SIGN_IN", 2.0)
    service.lifetime, service.gives_refresh = 1, False
    config_id = store()
    assert while_nothing_else_goes_on(lambda: token_thread.signing_token(config_id)) == "token1"
    get = source(config_id)
    begun = time.monotonic()
    try:
        assert while_nothing_else_goes_on(lambda: get(False)).startswith(
            "token"
        )  # where QGIS does better
    except SignInFailed:
        assert time.monotonic() - begun < 8
    assert while_nothing_else_goes_on(lambda: source(store())(False)).startswith("token")


def test_in_the_main_thread_as_in_qgis_process(
    store: Callable[..., str], service: TokenService
) -> None:
    get = source(store())
    assert get(False) == "token1"
    assert get(True) == "token2"


def test_no_token(
    store: Callable[..., str],
    service: TokenService,
    in_thread: Callable[[Work], Any],
) -> None:
    service.refuses = True
    get = source(store())
    with pytest.raises(SignInFailed) as caught:
        in_thread(lambda: get(False))
    error = caught.value
    assert error.reason is SignInProblem.NOTHING_GIVEN
    assert (error.url, error.detail) == (
        f"{service.address}/sharing/rest/oauth2/token",
        "my OAuth2",
    )
    assert "my OAuth2" in messages.sentence(error)
    service.refuses = False
    assert in_thread(lambda: get(False)).startswith("token")


def test_waiting_ends(
    store: Callable[..., str],
    service: TokenService,
    monkeypatch: pytest.MonkeyPatch,
    in_thread: Callable[[Work], Any],
) -> None:
    monkeypatch.setattr(token_thread, "LONGEST_WAIT", 0.2)
    service.delay = 1.5
    get = source(store())
    begun = time.monotonic()
    with pytest.raises(SignInFailed):
        in_thread(lambda: get(False))
    assert time.monotonic() - begun < 1.0
    monkeypatch.undo()
    assert in_thread(lambda: get(False)).startswith("token")  # and the next one is not in its way


def test_details_that_send_a_token_by_form_are_refused_at_once(store: Callable[..., str]) -> None:
    with pytest.raises(sign_in.SignInUnusable) as caught:
        sign_in.credentials(store(accessMethod=1))
    assert "Header" in messages.sentence(caught.value)


def test_whether_a_person_is_needed(
    store: Callable[..., str], store_sign_in: Callable[..., str], service: TokenService
) -> None:
    manager = QgsApplication.authManager()
    basic = store_sign_in("Basic", username="anna", password="hunter2")
    by_browser = store(grantFlow=BY_BROWSER, requestUrl=f"{service.address}/authorize")
    by_password = store()
    assert not sign_in.needs_person("")
    assert not sign_in.needs_person(basic)
    assert not sign_in.needs_person(by_password)
    assert sign_in.needs_person(by_browser)
    manager.clearMasterPassword()
    try:
        assert sign_in.needs_person(basic)
        assert not sign_in.needs_person("")
    finally:
        assert manager.setMasterPassword("master", True)
    assert service.asked == []


def test_a_site_that_refuses_every_token_does_not_have_it_renewed_time_and_again(
    store: Callable[..., str], service: TokenService, in_thread: Callable[[Work], Any]
) -> None:
    get = source(store())
    assert in_thread(lambda: get(False)) == "token1"
    assert [in_thread(lambda: get(True)) for _ in range(4)] == ["token2"] * 4
    assert len(service.asked) == 2


def test_a_cancel_ends_the_waiting_and_makes_room_for_others(
    store: Callable[..., str], service: TokenService, in_thread: Callable[[Work], Any]
) -> None:
    """By browser, where nobody signs in, QGIS would wait for minutes."""
    by_browser = source(
        store(grantFlow=BY_BROWSER, requestUrl=f"{service.address}/authorize", requestTimeout=30)
    )
    begun = time.monotonic()

    def cancelled_soon() -> str:
        with token_thread.waiting_unless(lambda: time.monotonic() - begun > 0.3):
            return by_browser(False)

    with pytest.raises(Cancelled):
        in_thread(cancelled_soon)
    assert time.monotonic() - begun < 5
    assert in_thread(lambda: source(store())(False)) == "token1"
    assert time.monotonic() - begun < 10


def test_a_cancelled_task_tells_that_it_was_cancelled(
    store: Callable[..., str], service: TokenService, wait_until: Callable[..., None]
) -> None:
    service.delay = 1.0
    get, ends = source(store()), []

    class Asking(Task):
        def work(self) -> tuple[Any, object]:
            return self.failed, get(False)

    task = Asking("asking")
    task.cancelled.connect(lambda: ends.append("cancelled"))
    task.failed.connect(lambda _: ends.append("failed"))
    start(task, [])
    wait_until(lambda: task.has_begun)
    task.cancel()
    wait_until(lambda: ends, what="its end")
    assert ends == ["cancelled"]


def test_nobody_is_asked_for_a_master_password_by_a_thread(
    store: Callable[..., str], service: TokenService, in_thread: Callable[[Work], Any]
) -> None:
    manager, get = QgsApplication.authManager(), source(store())
    manager.clearMasterPassword()
    try:
        with pytest.raises(SignInFailed):
            in_thread(lambda: get(False))
        assert service.asked == []
    finally:
        assert manager.setMasterPassword("master", True)
    assert in_thread(lambda: get(False)) == "token1"


def test_as_qgis_ends_nobody_waits_any_more(
    store: Callable[..., str], service: TokenService, wait_until: Callable[..., None]
) -> None:
    service.delay = 1.0
    config_id, tokens, found = store(), token_thread.TokenThread(), []
    thread = threading.Thread(target=lambda: found.append(tokens.token(config_id)))
    thread.start()
    time.sleep(0.2)
    begun = time.monotonic()
    tokens.end()
    thread.join(5)
    assert found == [""]
    assert time.monotonic() - begun < 3.5
    assert tokens.token(config_id) == ""
