"""``GPServer/uploads``: files that clients hand over for a later job."""

from __future__ import annotations

import time
import uuid
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from flask import request

from .answers import bad_request, not_found
from .state import SiteState


def respond(state: SiteState, parts: list[str]) -> dict[str, Any]:
    """Answer ``uploads/upload``, ``uploads/<id>`` and ``uploads/<id>/delete``.

    Raises:
        EsriError: no file came along, or there is no such item.
    """
    if parts == ["upload"]:
        return {"success": True, "item": _keep(state)}
    if not parts or parts[0] not in state.uploads:
        raise not_found(f"Item {'/'.join(parts)}")
    if parts[1:] == ["delete"] and request.method == "POST":
        state.uploads.pop(parts[0]).unlink()
        return {"success": True}
    if parts[1:]:
        raise bad_request(f"The operation {parts[1]} is not supported.")
    return _item(state, parts[0])


def _keep(state: SiteState) -> dict[str, Any]:
    file = request.files.get("file")
    if file is None or request.method != "POST":
        raise bad_request("Invalid or missing input parameters.", "Required: file")
    # some clients send the whole path of the file
    name = PureWindowsPath(PurePosixPath(file.filename or "").name).name or "upload"
    item_id = f"i{uuid.uuid4()}"
    path = state.folder / "arcgisuploads" / item_id / name
    path.parent.mkdir(parents=True)
    file.save(path)
    state.uploads[item_id] = path
    return _item(state, item_id)


def _item(state: SiteState, item_id: str) -> dict[str, Any]:
    path = state.uploads[item_id]
    return {
        "itemID": item_id,
        "itemName": path.name,
        "description": "",
        "date": int(time.time() * 1000),
        "committed": True,
    }
