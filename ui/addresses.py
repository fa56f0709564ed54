"""Addresses as they are typed: of a service, or of a cache on this computer."""

from __future__ import annotations

from qgis.PyQt.QtCore import QMimeData

from ..plugin.core.storage.addresses import local_path


def is_path(address: str) -> bool:
    """Whether `address` names something on this computer."""
    return bool(address.strip()) and local_path(address.strip()) is not None


def is_same(typed: str, address: str) -> bool:
    """Whether `typed` names what is at `address`; a path may be written in several ways."""
    if typed == address:
        return True
    path = local_path(typed) if typed else None
    return path is not None and path == local_path(address)


def dropped_path(mime: QMimeData) -> str:
    """The one folder or file of this computer that is being dropped; "" for anything else."""
    urls = mime.urls() if mime.hasUrls() else []
    return urls[0].toLocalFile() if len(urls) == 1 and urls[0].isLocalFile() else ""
