"""The items of a portal: one for each service of its servers and a few more, and their search."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from .handle import PUBLISHER
from .site_kinds import Service, Site

if TYPE_CHECKING:
    from collections.abc import Callable

_MADE = 1581027970369  # when the items were made; epoch milliseconds
_TYPES = {"MapServer": "Map Service", "ImageServer": "Image Service"}
_WORD = re.compile(r'\(|\)|(?:[\w.-]+:)?"[^"]*"|[^\s()]+')
_FIELDS = ("id", "title", "type", "owner", "access", "name", "url")


def item_id(portal: str, title: str) -> str:
    """Return the id of an item, the same in every run."""
    return hashlib.md5(f"{portal}/{title}".encode(), usedforsecurity=False).hexdigest()


def items_of(portal: Site, sites: list[Site], origin: str) -> list[dict[str, Any]]:
    """Return the items a portal starts with; ``origin``: scheme and host of its servers."""
    items = [
        _service_item(portal, service, f"{origin}{site.context}")
        for site in sites
        for service in site.services
    ]
    for title, kind, access in (
        ("Roads", "Feature Service", "public"),
        ("Overview", "Web Map", "public"),
        ("Draft", "Map Service", "private"),
    ):
        items.append(complete(portal.key, {"title": title, "type": kind, "access": access}))
    return items


def complete(portal: str, item: dict[str, Any]) -> dict[str, Any]:
    """Return an item with all the keys that items have; those given win."""
    title = str(item.get("title", "Untitled"))
    return {
        "id": item_id(portal, title),
        "owner": PUBLISHER.name,
        "created": _MADE,
        "modified": _MADE,
        "guid": None,
        "name": title,
        "title": title,
        "type": "Map Service",
        "typeKeywords": ["ArcGIS Server", "Data", "Map Service", "Service"],
        "description": None,
        "tags": ["test"],
        "snippet": None,
        "thumbnail": None,
        "documentation": None,
        "extent": [[-180.0, -85.0], [180.0, 85.0]],
        "spatialReference": "102100",
        "accessInformation": None,
        "licenseInfo": None,
        "culture": "en",
        "properties": None,
        "url": None,
        "access": "public",
        "size": -1,
        "numViews": 0,
        "ownerFolder": None,
        "protected": False,
        "commentsEnabled": True,
        "itemControl": "admin",
        **item,
    }


def _service_item(portal: Site, service: Service, address: str) -> dict[str, Any]:
    kind = _TYPES[service.kind]
    hosted = service.tiles_only or service.name.startswith("Hosted/")
    keywords = ["ArcGIS Server", "Data", kind, "Service"]
    if hosted:
        keywords += ["Hosted Service", "Tiled"]
        keywords += ["Tiled Imagery"] if service.kind == "ImageServer" else ["Hosted Tile Layer"]
    name = service.name.rpartition("/")[2]
    return complete(
        portal.key,
        {
            "id": item_id(portal.key, f"{address.rpartition('/')[2]}/{service.name}"),
            "title": name.replace("_", " "),
            "name": name,
            "type": kind,
            "typeKeywords": keywords,
            "url": f"{address}/rest/services/{service.name}/{service.kind}",
            "access": "private" if service.private else "public",
        },
    )


def search(items: list[dict[str, Any]], query: str) -> list[dict[str, Any]]:
    """Return the items that a query finds.

    Understood: words (of title and tags, their beginnings), ``field:value``, ``field:"value"``,
    ``AND``, ``OR``, ``NOT``, a leading ``-``, parentheses; ``orgid`` finds everything.
    """
    matches = _Query(query).read()
    return [item for item in items if matches(item)]


class _Query:
    def __init__(self, text: str) -> None:
        self._words = _WORD.findall(text)

    def read(self) -> Callable[[dict[str, Any]], bool]:
        if not self._words:
            return lambda item: True
        return self._either()

    def _either(self) -> Callable[[dict[str, Any]], bool]:
        options = [self._both()]
        while self._words[:1] == ["OR"]:
            self._words.pop(0)
            options.append(self._both())
        return lambda item: any(option(item) for option in options)

    def _both(self) -> Callable[[dict[str, Any]], bool]:
        parts = [self._one()]
        while self._words and self._words[0] not in {")", "OR"}:
            if self._words[0] == "AND":
                self._words.pop(0)
            parts.append(self._one())
        return lambda item: all(part(item) for part in parts)

    def _one(self) -> Callable[[dict[str, Any]], bool]:
        word = self._words.pop(0) if self._words else ""
        if word in {"NOT", "-"}:
            inner = self._one()
            return lambda item: not inner(item)
        if word == "(":
            inner = self._either()
            if self._words[:1] == [")"]:
                self._words.pop(0)
            return inner
        if word.startswith("-"):
            return lambda item: not _meets(item, word[1:])
        return lambda item: _meets(item, word)


def _meets(item: dict[str, Any], word: str) -> bool:
    field, mark, value = word.partition(":")
    if mark and field.lower() in {"orgid", "accountid"}:
        return True
    if mark and field.lower() in {"typekeywords", "tags"}:
        known = "typeKeywords" if field.lower() == "typekeywords" else "tags"
        return value.strip('"').lower() in [str(text).lower() for text in item[known]]
    if mark and field.lower() in _FIELDS:
        wanted = value.strip('"').lower()
        if field.lower() == "title":
            return wanted.rstrip("*") in str(item["title"]).lower()
        return str(item[field.lower()]).lower() == wanted
    wanted = word.strip('"').rstrip("*").lower()
    texts = f"{item['title']} {' '.join(item['tags'])}".lower().split()
    if " " in wanted:
        return wanted in " ".join(texts)
    return any(text.startswith(wanted) for text in texts)
