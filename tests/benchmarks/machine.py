"""What a run of `make bench` was made on and of."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from .measure import ROOT


def about_run() -> dict[str, Any]:
    """Date, machine, commit, versions of what every row stands on."""
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "machine": {
            "cores": len(os.sched_getaffinity(0)),
            "cpu": cpu_model(),
            "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
            "system": system_name(),
        },
        "commit": commit(),
        "qgis": qgis_version(),
        "python": platform.python_version(),
    }


def cpu_model() -> str:
    """As the kernel names it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()


def system_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, AttributeError, KeyError):
        return platform.platform()


def commit() -> str:
    """The commit that is checked out, with `+` where files have changed since."""
    changed = said_by("git", "status", "--porcelain", "--untracked-files=no")
    return said_by("git", "rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def qgis_version() -> str:
    """Of the system's QGIS; empty: there is none."""
    code = "from qgis.core import Qgis; print(Qgis.QGIS_VERSION)"
    return said_by("/usr/bin/python3", "-c", code).split("-")[0]


def said_by(*command: str) -> str:
    """What a program puts out; empty where it is not there, or fails."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
