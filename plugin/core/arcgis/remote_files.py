"""Files that a job on a site has made: from the job's result to what can be downloaded.

A job's value is the URL of a file or of a directory, several of them, or an object that holds one;
a directory lists `files` (name, url, size) and `folders` under `f=json`, as output directories of
ArcGIS Server do (Esri's own Python client reads them so). Sizes are as far to be trusted as the
site is: a download checks them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urljoin, urlsplit

from ..errors import BadPackage, BadPackageReason, NotArcGIS, SiteError, SiteUnreachable
from ..esri_json import JsonObject, items, mapping, text, whole
from .address import origin_of, public_address
from .client import Client

PACKAGE_SUFFIXES = (".tpkx", ".tpk", ".zip")
MAX_DEPTH = 8
MAX_FOLDERS = 20_000
MAX_FILES = 200_000
"""A cache of 20 levels as loose bundles has 2 folders more than levels; these are no caches."""

_FORBIDDEN = frozenset('/\\:*?"<>|')


@dataclass(frozen=True)
class RemoteFile:
    """A file that a site has made of tiles of `service`.

    `url` can hold a secret in its query, and so is not in the repr: see `address`. `size` in bytes
    as the site tells it, None where it does not. `folder`: path of the folder below the result's
    own, joined by "/", "" for that itself. Name and folder can be used as paths safely.
    """

    url: str = field(repr=False)
    name: str
    size: int | None = None
    folder: str = ""
    service: str = ""

    @property
    def address(self) -> str:
        """The URL without its query."""
        return public_address(self.url)

    @property
    def is_package(self) -> bool:
        """Whether it is a package, a zip file, by its name."""
        return self.name.lower().endswith(PACKAGE_SUFFIXES)


def remote_files(client: Client, job_url: str, value: object, service: str) -> list[RemoteFile]:
    """The files that `value`, the result of the job at `job_url`, names.

    Raises SiteError, BadPackage (nothing there, or nothing that can be).
    """
    urls = [_resolved(job_url, url, service) for url in _urls(value)]
    files = [each for url in urls for each in _at(client, url, service)]
    if not files:
        raise BadPackage(service, BadPackageReason.MISSING)
    return files


def _urls(value: object) -> list[str]:
    """The URLs in a job's value."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    if isinstance(value, list):
        return [url for each in value for url in _urls(each)]
    return _urls(text(mapping(value).get("url")))


def _at(client: Client, url: str, service: str) -> list[RemoteFile]:
    """The file at `url`, or those in the directory there."""
    name = _last_part(url)
    if name.lower().endswith(PACKAGE_SUFFIXES):
        return [_file(url, name, None, "", service)]
    return list(_Directory(client, url, service).files())


class _Directory:
    """A directory of a site, walked to its end."""

    def __init__(self, client: Client, url: str, service: str) -> None:
        self._client, self._url, self._service = client, url, service
        self._moved_from: tuple[str, str, int] | None = None

    def files(self) -> Iterator[RemoteFile]:
        waiting = [(self._url, "", 0)]
        folders = found = 0
        while waiting:
            url, folder, depth = waiting.pop()
            folders += 1
            if depth > MAX_DEPTH or folders > MAX_FOLDERS or found > MAX_FILES:
                raise BadPackage(self._service, BadPackageReason.DAMAGED, "endless folders")
            base, listing = self._listing(url)
            if listing is None:
                yield _file(base, _last_part(base), None, folder, self._service)
                return
            for item in items(listing.get("files")):
                found += 1
                yield self._file(base, item, folder)
            for item in items(listing.get("folders")):
                waiting.append((*self._folder(base, item, folder), depth + 1))

    def _listing(self, url: str) -> tuple[str, JsonObject | None]:
        """What is at `url`, and where that is in truth; None for a file, which no JSON is."""
        url = self._moved(url)
        try:
            if self._client.is_own(url):
                return url, self._client.read(url)
            return url, self._foreign(url)
        except NotArcGIS as error:
            if error.status != 200 or "html" in error.content_type:
                raise
            return url, None

    def _foreign(self, url: str) -> JsonObject:
        """A listing on another host: where nobody answers there, the site itself is asked."""
        try:
            return self._client.once().read(url)
        except SiteUnreachable:
            try:
                listing = self._client.read(self._client.own_url(url))
            except SiteError:
                return self._client.read(url)
        self._moved_from = origin_of(url)
        return listing

    def _moved(self, url: str) -> str:
        """`url`, on the site itself where its own host is one that nobody reaches."""
        return self._client.own_url(url) if origin_of(url) == self._moved_from else url

    def _file(self, base: str, item: object, folder: str) -> RemoteFile:
        body = mapping(item)
        url = text(body.get("url"))
        name = text(item) or text(body.get("name")) or _last_part(url)
        url = self._joined(base, url or quote(name))
        return _file(url, name, whole(body.get("size")), folder, self._service)

    def _folder(self, base: str, item: object, folder: str) -> tuple[str, str]:
        """URL and path of a folder in the listing of the one at `base`."""
        body = mapping(item)
        url = text(body.get("url"))
        name = text(item) or text(body.get("name")) or _last_part(url)
        name = _safe(name.strip("/").rpartition("/")[2], self._service)
        return self._joined(base, url or quote(name)), f"{folder}/{name}".lstrip("/")

    def _joined(self, base: str, url: str) -> str:
        directory = public_address(base).rstrip("/") + "/"
        return self._moved(_resolved(directory, url, self._service))


def _file(url: str, name: str, size: int | None, folder: str, service: str) -> RemoteFile:
    return RemoteFile(url, _safe(name, service), size or None, folder, service)


def _last_part(url: str) -> str:
    return unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])


def _safe(name: str, service: str) -> str:
    """`name`, which comes from the network and will be one on this computer."""
    is_odd = not name or name[-1] in " ." or name[0] == " " or len(name.encode()) > 200
    if is_odd or not name.isprintable() or _FORBIDDEN & set(name):
        raise BadPackage(service, BadPackageReason.DAMAGED, f"file name {name[:100]!r}")
    return name


def _resolved(base: str, url: str, service: str) -> str:
    """`url` as it is meant at `base`. Raises BadPackage unless it can be asked for."""
    try:
        resolved = urljoin(base, url)
        scheme, host, _ = origin_of(resolved)
    except ValueError:
        resolved = scheme = host = ""
    if scheme not in ("http", "https") or not host:
        raise BadPackage(service, BadPackageReason.MISSING, public_address(url)[:200])
    return resolved
