"""Importing tiles from a package or cache into a cache on this computer, or into a service."""

from __future__ import annotations

from pathlib import Path

from ..arcgis.credentials import SignIn
from ..arcgis.patient_client import patient_client
from ..arcgis.transport import Transport
from ..errors import ServiceChanged
from ..finding import service_at
from ..request import Feedback
from ..storage.addresses import local_path
from ..storage.opening import check_writable, find_cache, open_store, read_profile
from .copying import fill
from .import_request import ImportRequest as ImportRequest
from .import_request import prepared
from .local import report_of
from .request import ExportReport, Pixels
from .service_import import import_to_service
from .store_tiles import StoreTiles


def run_import(
    address: str,
    request: ImportRequest,
    feedback: Feedback,
    *,
    pixels: Pixels,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
) -> ExportReport:
    """Carry out `request` on the cache at `address`, a service's URL or a path. Blocks.

    A cancelled import is a report; what was imported stays.
    Raises AddressError, SiteError, CachingUnavailable, JobError; as `import_local` does.
    """
    path = local_path(address)
    if path is not None:
        return import_local(path, request, feedback, pixels=pixels)
    service = service_at(address, sign_in)
    client = patient_client(service.site_url, feedback, sign_in, transport)
    return import_to_service(client, service, request, feedback, pixels=pixels)


def import_local(
    target: Path, request: ImportRequest, feedback: Feedback, *, pixels: Pixels
) -> ExportReport:
    """Carry out `request` on the cache at `target`: tiles are copied as they are. Blocks.

    Raises ServiceChanged, CachesDiffer, NothingToImport, AreaOutside, EmptyArea; StorageError;
    SourceError (NothingToDraw: the source is the cache itself).
    """
    place = find_cache(target)
    profile = read_profile(target)
    name = profile.name or place.path.stem
    if profile.scheme != request.scheme:
        raise ServiceChanged(name)
    check_writable(place.path, profile.storage)
    store = open_store(request.source)
    try:
        like, wanted = prepared(store, request, profile, place.path)
    except BaseException:
        store.close()
        raise
    source = StoreTiles([store], like.name)
    filled = fill(wanted, like, source, feedback, pixels=pixels)
    return report_of(filled, like.name, str(request.source))
