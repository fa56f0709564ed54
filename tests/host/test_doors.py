"""Other rooms reach areas through `areas`, words through `messages`, sign-in through `sign_in`.

And nothing behind them.
"""

from __future__ import annotations

from pathlib import Path

from imports import imports_of, plugin_files

ROOT = Path(__file__).resolve().parents[2]
BEHIND_DOORS = {
    f"plugin/host/{name}"
    for name in (
        *("area_sources", "geometries", "reprojection"),
        *(
            "client_certificates",
            "error_sentences",
            "site_sentences",
            "storage_sentences",
            "local_wording",
            "text",
            "token_thread",
            "wording",
        ),
    )
}


def test_what_stands_behind_a_door_is_read_by_host_alone() -> None:
    for path in BEHIND_DOORS:
        assert (ROOT / f"{path}.py").is_file(), path
    past_the_door = [
        f"{found.file}:{found.line}: {found.target}"
        for file in plugin_files(ROOT)
        if file.parent != ROOT / "plugin" / "host"
        for found in imports_of(ROOT, file)
        if found.ours and any(f"{found.target}/".startswith(f"{path}/") for path in BEHIND_DOORS)
    ]
    assert past_the_door == []
