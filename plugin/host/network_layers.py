"""Layers that QGIS fetches over the network while it draws them, and what a reply means to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from qgis.core import (
    QgsDataSourceUri,
    QgsMapLayer,
    QgsNetworkReplyContent,
    QgsVectorLayer,
    QgsVectorTileLayer,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtNetwork import QNetworkReply, QNetworkRequest

from .text import plain, tr

STATUS = QNetworkRequest.Attribute.HttpStatusCodeAttribute
"""Of a reply: the status of HTTP, None where the server did not answer."""

_PICTURES = ("wms", "arcgismapserver")
_FEATURES = ("wfs", "oapif", "arcgisfeatureserver")
_VECTOR_TILES = "vectortiles"
_PROVIDERS = (
    *_PICTURES,
    _VECTOR_TILES,
    "wcs",
    *_FEATURES,
    "ept",
    "copc",
)
"""QGIS's own clients, in lower case."""

_ADDRESS = re.compile(r"https?://[^\s'\"&|{}]+", re.IGNORECASE)
_URL_PARAMETER = re.compile(r"\burl='?(?=https?://)")
_NO_DRAWING = ("getcapabilities", "getfeatureinfo", "getlegendgraphic")
_NO_TILE = (404, 410)
_TEXTS = ("text/", "application/json", "application/xml", "application/vnd.ogc.se_xml")
_PHRASE = QNetworkRequest.Attribute.HttpReasonPhraseAttribute


@dataclass(frozen=True)
class NetworkLayer:
    """A layer, called `name`, that the provider `kind` fetches from `address`.

    `parts`: what is asked of the service, by its names for it. `is_tiled`: tile by tile.
    """

    name: str
    kind: str
    address: QUrl
    parts: frozenset[str] = frozenset()
    is_tiled: bool = False

    def fit(self, url: QUrl) -> int:
        """How well a request to `url` fits this layer: 0 not at all, 3 best.

        Capabilities can send requests elsewhere; those still ask for the same parts.
        """
        asked = _parameters(url)
        if self.kind == "wms" and asked.get("request", "").lower() in _NO_DRAWING:
            return 0
        path = url.path()
        if self.kind == "arcgismapserver" and not ("/export" in path or "/tile/" in path):
            return 0
        is_there = (
            url.host().lower() == self.address.host().lower()
            and _port(url) == _port(self.address)
            and path.startswith(self.address.path())
        )
        named = {part for value in asked.values() for part in value.split(",")}
        named.update(path.split("/"))
        return int(is_there) + 2 * int(bool(self.parts) and self.parts <= named)

    def problem(self, reply: QgsNetworkReplyContent, url: QUrl) -> str | None:
        """What went wrong with `reply` to `url`, for people; None: nothing, or no tile there."""
        status = reply.attribute(STATUS)
        if reply.error() != QNetworkReply.NetworkError.NoError:
            if status in _NO_TILE and self._is_tile(url):
                return None
            return _reason(reply, status)
        if self.kind not in _PICTURES:
            return None
        if status == 204:
            return None if self._is_tile(url) else tr("no picture")
        content_type = bytes(reply.rawHeader(b"Content-Type")).decode("ascii", "replace")
        if content_type.lower().startswith(_TEXTS):
            return tr("no picture but {}").format(content_type.split(";")[0])
        return None

    def _is_tile(self, url: QUrl) -> bool:
        if self.kind == "arcgismapserver":
            return "/tile/" in url.path()
        return self.is_tiled and _parameters(url).get("request", "").lower() != "getmap"


def network_layer(layer: QgsMapLayer, name: str) -> NetworkLayer | None:
    """`layer`, called `name`, as one that QGIS fetches over the network, if it is one."""
    is_vector_tiles = isinstance(layer, QgsVectorTileLayer)
    provider = None if is_vector_tiles else layer.dataProvider()
    kind = _VECTOR_TILES if is_vector_tiles else provider.name().lower() if provider else ""
    if kind not in _PROVIDERS:
        return None
    source = layer.source()
    text = unquote(source)
    start = _URL_PARAMETER.search(text)
    found = _ADDRESS.search(text, start.end() if start else 0)
    if found is None:
        return None
    uri = QgsDataSourceUri(source)
    given = dict(parse_qsl(source)) if kind in _PICTURES else {}
    parts = {
        "wms": given.get("layers", "").split(","),
        "wfs": [uri.param("typename")],
        "wcs": [dict(parse_qsl(source)).get("identifier", "")],
    }.get(kind, [])
    is_tiled = is_vector_tiles or given.get("type") == "xyz" or "tileMatrixSet" in given
    address = QUrl(found.group().split("?")[0])
    return NetworkLayer(name, kind, address, frozenset(filter(None, parts)), is_tiled)


def forget_failure(layer: QgsMapLayer) -> None:
    """Let a layer of features be fetched anew: QGIS takes what came before a failure for all.

    In the thread that has the layer.
    """
    provider = layer.dataProvider() if isinstance(layer, QgsVectorLayer) else None
    if provider is not None and provider.name().lower() in _FEATURES:
        provider.reloadData()


def _parameters(url: QUrl) -> dict[str, str]:
    query = url.query(QUrl.ComponentFormattingOption.FullyEncoded)
    return {key.lower(): value for key, value in parse_qsl(query, keep_blank_values=True)}


def _port(url: QUrl) -> int:
    return int(url.port(443 if url.scheme().lower() == "https" else 80))


def _reason(reply: QgsNetworkReplyContent, status: int | None) -> str:
    """Why `reply` failed. Nothing of its URL, in which there can be keys."""
    if status is None or status < 400:
        return plain(re.sub(r"\S*://\S*", "", reply.errorString()))
    return plain(f"{status} {reply.attribute(_PHRASE) or ''}")
