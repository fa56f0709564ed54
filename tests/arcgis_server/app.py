"""The web application: all sites, each below its context path, and their control."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from urllib.parse import unquote

from flask import Flask, Response, request

from . import control, resources
from .answers import EsriError, answer, page
from .drawing import Painter
from .elsewhere import ADDRESSES, Elsewhere
from .fault_answers import suffer
from .handle import CONTROL_PATH, ELSEWHERE_PATH, EVERY_SITE
from .profiles import SITES
from .state import SiteState

CLOCK_SKEW = "arcgis_server.clock_skew"
"""Under this name the seconds stand in a request's environment by which its site's clock is off."""
_METHODS = ["GET", "POST"]


class Sites:
    """The sites of one process and the log of the requests to them."""

    def __init__(self, folder: Path, painter: Painter, tiles_per_second: float | None) -> None:
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._log = (folder / "requests.log").open("a", encoding="utf-8")
        self._painter = painter
        self.elsewhere = Elsewhere()
        self.states = {
            site.key: SiteState(site, folder / site.key, painter, tiles_per_second)
            for site in SITES
        }
        for state in self.states.values():
            state.portal = self.states.get(state.profile.portal)
            state.owned = tuple(site for site in SITES if site.portal == state.profile.key)

    def respond(self, key: str, path: str) -> Response:
        """Answer a request to a site."""
        state = self.states[key]
        self._note(state)
        struck = state.faults.strike(request.path)
        if struck is None:
            return _usual_answer(state, path)
        return suffer(*struck, state, lambda: _usual_answer(state, path))

    def control(self, key: str, action: str) -> Response:
        """Do a control action; 404 and 400 say what was wrong with it."""
        if (key, action) == (EVERY_SITE, "reset"):
            for state in self.states.values():
                if state.touched:
                    state.reset()
            return Response("{}", content_type="application/json")
        if key not in self.states:
            return Response(f"no site {key}", 404)
        self.states[key].touched = True
        try:
            values = control.act(self.states[key], action, request.get_json(silent=True) or {})
        except control.UnknownAction:
            return Response(f"no action {action}", 404)
        except (KeyError, TypeError, ValueError) as error:
            return Response(f"{type(error).__name__}: {error}", 400)
        return Response(json.dumps(values), content_type="application/json")

    def close(self) -> None:
        for state in self.states.values():
            state.close()
        self._painter.close()
        self._log.close()

    def _note(self, state: SiteState) -> None:
        """Log method, path and the names of what was sent: values may be secret."""
        names = sorted({*request.args.keys(), *request.form.keys()})
        with self._lock:
            self._log.write(f"{request.method} {request.path} {','.join(names)}\n")
            self._log.flush()
        state.touched = True
        with state.lock:
            state.requests[request.path] += 1
            state.heard.append(f"{request.host_url.rstrip('/')}{request.environ['REQUEST_URI']}")


def make_app(sites: Sites) -> Flask:
    """Return the application that serves these sites."""
    app = Flask(__name__, static_folder=None)

    def of_site(key: str, prefix: str, path: str = "") -> Response:
        return sites.respond(key, f"{prefix}{unquote(path)}")

    for key, state in sites.states.items():
        context = state.profile.context
        for part in state.profile.prefixes:
            begin = f"{context}/{part}" if part else context
            fixed = {"key": key, "prefix": f"{part}/" if part else ""}
            for rule in (begin, f"{begin}/", f"{begin}/<path:path>"):
                app.add_url_rule(rule, f"{key} {rule}", of_site, defaults=fixed, methods=_METHODS)
        if not context:
            fixed = {"key": key, "prefix": ""}
            app.add_url_rule("/", f"{key} /", of_site, defaults=fixed, methods=_METHODS)

    for rule in ADDRESSES:
        app.add_url_rule(rule, f"elsewhere {rule}", sites.elsewhere.respond, methods=_METHODS)
    app.add_url_rule(
        f"{CONTROL_PATH}{ELSEWHERE_PATH}",
        "heard elsewhere",
        lambda: {"heard": sites.elsewhere.heard()},
        methods=["POST"],
    )
    app.add_url_rule(f"{CONTROL_PATH}/<key>/<action>", "control", sites.control, methods=["POST"])
    return app


def _usual_answer(state: SiteState, path: str) -> Response:
    try:
        response = resources.respond(state, path)
    except EsriError as error:
        response = _error_answer(state, error)
    request.environ[CLOCK_SKEW] = state.tokens.clock_skew
    return response


def _error_answer(state: SiteState, error: EsriError) -> Response:
    wanted = request.values.get("f", "html").lower()
    if wanted in {"json", "pjson"}:
        return answer(state.profile, error.as_json(), "Error", error.status)
    if wanted == "image":
        body = json.dumps(error.as_json())
        return Response(body, error.status, content_type="application/json")
    lines = [f"Error: {error.message}", f"Code: {error.code}", *error.details]
    return page("Error", "\n".join(lines), error.status)
