"""Exports that the site writes itself, to a path that its computers see."""

from __future__ import annotations

from dataclasses import replace

from ..arcgis.credentials import SignIn
from ..arcgis.export_cache import ExportCache
from ..arcgis.jobs import Pace
from ..arcgis.patient_client import patient_client
from ..arcgis.service import parse_service
from ..arcgis.transport import Transport
from ..coverage import count_tiles
from ..description import CacheDescription
from ..errors import ServiceChanged
from ..finding import service_at
from ..level_areas import by_area
from ..request import Feedback, LevelReport, Outcome
from .request import ExportReport, ExportRequest, ExportWay, Overwrite


def export_on_server(
    address: str,
    request: ExportRequest,
    server_path: str,
    feedback: Feedback,
    *,
    sign_in: SignIn | None = None,
    transport: Transport | None = None,
    pace: Pace | None = None,
) -> ExportReport:
    """Have the site of the service at `address` write the tiles of `request` to `server_path`.

    By its caching tool Export Cache, a job for each area; the target of `request` is left alone.
    The report knows how many tiles the areas touch, not what became of them. Blocks.

    Raises AddressError, SiteError, CachingUnavailable, JobError, NotCached, DescriptionError,
    ServiceChanged, EmptyArea.
    """
    service = service_at(address, sign_in)
    client = patient_client(service.site_url, feedback, sign_in, transport)
    description = parse_service(client.read(service.url), service)
    if description.scheme != request.scheme:
        raise ServiceChanged(service.name)
    parts = by_area(request.areas, request.levels)
    done = _written(ExportCache(client, service, pace), request, server_path, feedback)
    outcome = Outcome.DONE if done == len(parts) else Outcome.CANCELLED
    return ExportReport(
        outcome=outcome,
        service=service.name,
        address=service.url,
        target=server_path,
        levels=_planned(request, description),
        ways=(ExportWay.EXPORT_CACHE,),
        jobs=done,
    )


def _written(
    tool: ExportCache, request: ExportRequest, server_path: str, feedback: Feedback
) -> int:
    """Of how many of the areas the tiles were written, one after the other, until stopped."""
    parts = by_area(request.areas, request.levels)
    is_overwriting = request.overwrite is Overwrite.OVERWRITE
    for done, (levels, place) in enumerate(parts):
        if feedback.cancelled() or feedback.abandoned():
            return done
        told = _told_from(feedback, done, len(parts))
        written = tool.export_on_server(
            server_path, levels, place, request.scheme, request.storage, told, is_overwriting
        )
        if written is None:
            return done
    return len(parts)


def _told_from(feedback: Feedback, done: int, parts: int) -> Feedback:
    """`feedback` for one of several jobs, of which so many are done."""
    return replace(
        feedback, progress=lambda percent: feedback.progress((100.0 * done + percent) / parts)
    )


def _planned(request: ExportRequest, description: CacheDescription) -> tuple[LevelReport, ...]:
    planned: dict[int, int] = {}
    for levels, place in by_area(request.areas, request.levels):
        area = description.extent if place is None else place
        planned.update({} if area is None else count_tiles(request.scheme, levels, area))
    return tuple(LevelReport(level, planned.get(level.id)) for level in request.levels)
