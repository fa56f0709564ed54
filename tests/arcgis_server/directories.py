"""``rest/directories/arcgisoutput``: what jobs have made, as lists of files and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Response, request, send_file

from .answers import answer, page
from .export_jobs import DIRECTORY
from .state import SiteState, site_address


def respond(state: SiteState, parts: list[str]) -> Response:
    """Answer below the output directory: a file, whole or in part, or what a folder holds."""
    root = state.output_folder.resolve()
    path = root.joinpath(*parts).resolve()
    if path != root and root not in path.parents:
        return page("Not Found", "There is nothing here.", 404)
    if path.is_file():
        return _file(path)
    if path.is_dir():
        # Esri's Python client leaves out ``f`` and reads JSON; browsers say that they want a page
        default = "html" if "text/html" in request.headers.get("Accept", "") else "json"
        listing = _listing(state, root, path)
        return answer(state.profile, listing, f"Directory: {path.name}", default=default)
    return page("Not Found", "There is nothing here.", 404)


def _file(path: Path) -> Response:
    """Return the file or the part of it that is asked for, with a tag that tells its state."""
    stat = path.stat()
    response: Response = send_file(
        path,
        mimetype="application/octet-stream",
        etag=f"{stat.st_mtime_ns:x}-{stat.st_size:x}",
        conditional=True,
    )
    response.headers.pop("Date", None)  # the web server adds its own
    return response


def _listing(state: SiteState, root: Path, folder: Path) -> dict[str, Any]:
    place = folder.relative_to(root).as_posix()
    base = f"{site_address(state)}/{DIRECTORY}/{quote(place)}".rstrip("/.")
    files, folders = [], []
    for path in sorted(folder.iterdir()):
        entry: dict[str, Any] = {"name": path.name, "url": f"{base}/{quote(path.name)}"}
        if path.is_dir():
            folders.append(entry)
        elif path.suffix != ".new":
            files.append({**entry, "size": path.stat().st_size})
    return {
        "currentVersion": state.profile.version,
        "path": f"/arcgisoutput/{place}".rstrip("/."),
        "folders": folders,
        "files": files,
    }
