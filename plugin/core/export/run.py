"""The door to exports: of a service or of a cache on this computer, whichever an address names."""

from __future__ import annotations

from ..arcgis.credentials import SignIn
from ..arcgis.patient_client import patient_client
from ..arcgis.transport import Transport
from ..finding import service_at
from ..local.source import TileSource
from ..request import Feedback, LevelEstimate
from ..storage.addresses import local_path
from .estimate import estimate_service
from .local import estimate_local, export_local
from .parts import discard_export as discard_export
from .request import ExportReport, ExportRequest, Pixels
from .site_export import export_service


def run_export(
    address: str,
    request: ExportRequest,
    feedback: Feedback,
    *,
    pixels: Pixels,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    drawing: TileSource | None = None,
) -> ExportReport:
    """Carry out `request` on the cache at `address`, a service's URL or a path. Blocks.

    `drawing`: draws what a cache on this computer lacks, where the request says so; it is closed at
    the end. A cancelled export is a report; what was got is kept, so that the same again goes on.

    Raises AddressError, SiteError, NotCached, DescriptionError; ServiceChanged, ExportError,
    JobError, EmptyArea, AreaOutside; StorageError, SourceError.
    """
    path = local_path(address)
    if path is not None:
        return export_local(path, request, feedback, pixels=pixels, drawing=drawing)
    if drawing is not None:
        drawing.close()
    service = service_at(address, sign_in)
    client = patient_client(service.site_url, feedback, sign_in, transport)
    return export_service(client, service, request, feedback, pixels=pixels)


def estimate_export(
    address: str,
    request: ExportRequest,
    feedback: Feedback,
    *,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    drawing: TileSource | None = None,
) -> tuple[LevelEstimate, ...]:
    """What `request` would take, level by level: tiles, bytes and seconds; None: not known.

    Changes nothing, here or there. Raises as `run_export` does.
    """
    path = local_path(address)
    if drawing is not None:
        drawing.close()
    if path is not None:
        return estimate_local(path, request, feedback)
    service = service_at(address, sign_in)
    client = patient_client(service.site_url, feedback, sign_in, transport)
    return estimate_service(client, service, request, feedback)
