"""Starts the real QGIS desktop window with this checkout as its plugin, and a script acting in it.

    python tests/desktop/launch.py VERB [--screen auto|virtual] [--timeout SECONDS]

VERB names a script beside this file (`demo`, `run`). QGIS gets a profile of its own in
`build/VERB/profile`, so nothing of the user's is read or written. The script finds the stand-in
ArcGIS site running; what it says is printed here as it comes, its exit code is passed on, and
whatever was started is ended, also after a time-out or an interrupt.

Where there is no screen (no DISPLAY), or with `--screen virtual`, the window opens under Xvfb.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from arcgis_server.handle import RunningSite, running_site  # noqa: E402 - on the path set above

ROOT = HERE.parents[1]
SCREEN = "1400x900x24"
SECONDS_TO_END = 20
CONNECTION = "Stand-in ArcGIS site"


# What belongs to the program that starts the window: its Python, and the places of its own QGIS,
# where sign-in details would be locked with another master password.
NOT_FOR_QGIS = (
    *("QT_QPA_PLATFORM", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LC_ALL"),
    *("QGIS_CUSTOM_CONFIG_PATH", "QGIS_AUTH_DB_DIR_PATH", "QGIS_AUTH_PASSWORD_FILE"),
)

# The scripts that can be started from the command line, with their time limits in seconds.
VERBS: dict[str, float | None] = {"demo": 600, "run": None}


@dataclass(frozen=True)
class Outcome:
    """How a script in the window ended, what it said, and QGIS's own output and message log."""

    exit_code: int
    said: list[str]
    output: Path
    messages: Path


def launch(
    script: Path,
    folder: Path,
    *,
    site: RunningSite | None = None,
    plugin: Path = ROOT,
    plugin_enabled: bool = True,
    screen: str = "auto",
    timeout_seconds: float | None = 300,
    say: Callable[[str], None] = print,
    profile: Path | None = None,
) -> Outcome:
    """Run `script` inside a QGIS window whose profile, pictures and logs go to `folder`.

    `profile`: the folder of an earlier window, with a copy of whose profile QGIS starts.
    Exit code 124 stands for a time-out, 1 for a QGIS that ended before the script did.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if profile is None:
        write_profile(folder / "profile", plugin_enabled, site)
    else:
        shutil.copytree(profile / "profile", folder / "profile")
    output = folder / "qgis.log"
    with ExitStack() as started:
        environment = qgis_environment(folder, plugin)
        virtual = screen == "virtual" or not os.environ.get("DISPLAY")
        if virtual:
            environment["DISPLAY"] = started.enter_context(virtual_screen())
        reading, writing = os.pipe()
        started.callback(os.close, reading)
        environment["TILE_CACHE_DESKTOP"] = json.dumps(
            {
                "script": str(script),
                "folder": str(folder),
                "site": [site.url, str(site.folder)] if site else None,
                "virtual": virtual,
                "report": writing,
            }
        )
        process = started.enter_context(qgis(folder, environment, writing, output))
        ended = follow(process, reading, timeout_seconds, say)
    if ended.exit_code:
        tell_errors(folder / "messages.log", say)
    return Outcome(ended.exit_code, ended.said, output, folder / "messages.log")


def qgis_environment(folder: Path, plugin: Path) -> dict[str, str]:
    """The environment QGIS runs in: the system's Python, the plugin under its own name."""
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "tile_cache_manager").symlink_to(plugin)
    environment = dict(os.environ)
    for name in NOT_FOR_QGIS:
        environment.pop(name, None)
    environment.update(
        PATH=f"/usr/bin:/bin:{os.environ.get('PATH', '')}",
        LANG="C.UTF-8",
        QGIS_PLUGINPATH=str(plugins),
        PYQGIS_STARTUP=str(HERE / "listen.py"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    if "XDG_RUNTIME_DIR" not in environment:
        runtime = folder / "runtime"
        runtime.mkdir(mode=0o700)
        environment["XDG_RUNTIME_DIR"] = str(runtime)
    return environment


def write_profile(folder: Path, plugin_enabled: bool, site: RunningSite | None) -> None:
    """A QGIS profile without first-run windows, tips, news and update checks."""
    groups: dict[str, dict[str, Any]] = {
        "PythonPlugins": {"tile_cache_manager": plugin_enabled, "processing": True},
        "app": {"plugin_installer\\checkOnStart": False},
        "core": {"NewsFeed\\httpsfeedqgisorg\\disabled": True},
        "locale": {"overrideFlag": True, "userLocale": "en_US", "globalLocale": "en_US"},
        "migration": {"fileVersion": 2, "firstRunVersionFlag": 99999, "settings": True},
        "qgis": {"checkVersion": False, "showTips": False},
    }
    for core_plugin in ("db_manager", "MetaSearch", "grassprovider", "otbprovider", "sagaprovider"):
        groups["PythonPlugins"][core_plugin] = False
    for minor in (22, 40):
        groups["qgis"][f"showTips3{minor}"] = False
    if site:
        # Where QGIS before and after 3.30 looks for saved ArcGIS REST connections.
        name, address = CONNECTION.replace(" ", "%20"), site.services_url("classic")
        groups["qgis"][f"connections-arcgisfeatureserver\\{name}\\url"] = address
        groups["connections"] = {f"arcgisfeatureserver\\items\\{name}\\url": address}
    settings = folder / "profiles" / "default" / "QGIS" / "QGIS3.ini"
    settings.parent.mkdir(parents=True)
    lines = []
    for group, values in groups.items():
        lines.append(f"[{group}]")
        for key, value in values.items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            lines.append(f"{key}={text}")
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")


@contextmanager
def virtual_screen() -> Iterator[str]:
    """A screen of its own under Xvfb; gives the value for DISPLAY."""
    reading, writing = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=[writing],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as numbers:
            number = numbers.readline().strip()
        if not number:
            raise RuntimeError("Xvfb did not start: run make setup, then try again")
        yield f":{number}"
    finally:
        process.terminate()
        process.wait()


@contextmanager
def qgis(
    folder: Path, environment: dict[str, str], report: int, output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The QGIS window's process; ended with all its children when the block is left."""
    command = [
        "/usr/bin/qgis",
        *("--profiles-path", str(folder / "profile")),
        *("--nologo", "--noversioncheck"),
        *("--code", str(HERE / "inside.py")),
    ]
    with output.open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            pass_fds=[report],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    os.close(report)
    try:
        yield process
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask the process and its children to end, then make them."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


@dataclass(frozen=True)
class Ended:
    exit_code: int
    said: list[str]


def follow(
    process: subprocess.Popen[bytes],
    reading: int,
    timeout_seconds: float | None,
    say: Callable[[str], None],
) -> Ended:
    """Pass on what the script says until it ends, QGIS ends, or the time is over."""
    said: list[str] = []
    exit_code: int | None = None
    for line in lines_until(reading, timeout_seconds):
        if line is None:
            say(f"time-out after {timeout_seconds:.0f} s")
            return Ended(124, said)
        report = json.loads(line)
        if "exit" in report:
            exit_code = report["exit"]
            break
        said.append(report["say"])
        say(report["say"])
    try:
        process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        say(f"QGIS did not close within {SECONDS_TO_END} s and was ended")
    if exit_code is None:
        # Closed by the user where there is no time limit, else before its script was through.
        closed_by_user = timeout_seconds is None and process.returncode == 0
        exit_code = 0 if closed_by_user else 1
        if not closed_by_user:
            say("QGIS ended before its script did")
    return Ended(exit_code, said)


def tell_errors(messages: Path, say: Callable[[str], None]) -> None:
    """Say what QGIS's message log holds of errors; their further lines are indented there."""
    text = messages.read_text(encoding="utf-8") if messages.exists() else ""
    for message in re.findall(r"^.* \| critical \| .*(?:\n    .*)*", text, re.MULTILINE):
        say(f"QGIS: {message}")


def lines_until(reading: int, timeout_seconds: float | None) -> Iterator[str | None]:
    """Lines from a pipe until it is closed; None once when the time is over."""
    end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while True:
            left = None if end is None else end - time.monotonic()
            if left is not None and (left <= 0 or not selector.select(left)):
                yield None
                return
            chunk = os.read(reading, 65536)
            if not chunk:
                return
            *lines, pending = (pending + chunk).split(b"\n")
            yield from (line.decode() for line in lines)


def stop(_signal: int, _frame: Any) -> NoReturn:
    """Leave by the ordinary way, so that everything started is ended."""
    raise SystemExit(143)


def main() -> int:
    """What the command line asks for; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=sorted(VERBS))
    parser.add_argument("--screen", choices=["auto", "virtual"], default="auto")
    parser.add_argument("--timeout", type=float, metavar="SECONDS")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    limit = arguments.timeout or VERBS[arguments.verb]
    if limit is None and (arguments.screen == "virtual" or not os.environ.get("DISPLAY")):
        # Nobody could see or close the window.
        print(f"{arguments.verb} needs a screen (DISPLAY is not set); make demo does without one")
        return 2
    folder = ROOT / "build" / arguments.verb
    site_folder = ROOT / "build" / f"{arguments.verb}_site"
    shutil.rmtree(site_folder, ignore_errors=True)
    with running_site(site_folder) as site:
        print(f"The stand-in ArcGIS site runs at {site.url}", flush=True)
        outcome = launch(
            HERE / f"{arguments.verb}.py",
            folder,
            site=site,
            screen=arguments.screen,
            timeout_seconds=limit,
            say=lambda text: print(text, flush=True),
        )
    if outcome.exit_code:
        print(f"QGIS's output is in {outcome.output}, its messages in {outcome.messages}")
    return outcome.exit_code


if __name__ == "__main__":
    sys.exit(main())
