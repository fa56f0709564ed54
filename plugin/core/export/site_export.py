"""Exporting tiles of a service: which way they are got, checked, and merged into the target.

Packages that the site makes are all downloaded and checked before anything of the target is
touched. Then they are one source of tiles for the update that fills the target, beside the service
itself for those parts of which no package could be had. What was got before an interruption is
written down (`parts`), so the same export goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from ..arcgis.address import ServiceAddress
from ..arcgis.caching import TASK_SERVICES
from ..arcgis.client import Client
from ..arcgis.export_cache import TASK_NAME, ExportCache
from ..arcgis.export_tiles import ExportTiles
from ..arcgis.gp_task import find_task
from ..arcgis.jobs import Pace
from ..arcgis.service import parse_service
from ..arcgis.tile_reader import TileReader
from ..description import CacheDescription
from ..errors import CachingUnavailable, NoTileThere, ServiceChanged, SiteError, StorageError
from ..local.source import TileSource
from ..request import Feedback, LevelReport, Outcome
from ..storage.can_pack import check_can_pack
from .announcing import announce, check_room
from .copying import Filled, fill
from .package_tiles import PackageTiles, PackedPart
from .packages import Packages, Packer
from .packers import CachePacker, TilesPacker, package_format
from .part_tiles import PartTiles
from .parts import PartRecord, PartStep, digest_of, discard_export, open_record
from .request import ExportReport, ExportRequest, ExportWay, Pixels
from .site_plan import plan_export
from .site_tiles import SiteTiles
from .split import Part, split
from .targets import check_target
from .ways import limit_of, ways_of

_ASKING, _GETTING = 5.0, 70.0  # percent: by then the site is asked, and all packages are here


def export_service(
    client: Client,
    service: ServiceAddress,
    request: ExportRequest,
    feedback: Feedback,
    *,
    pixels: Pixels,
    pace: Pace | None = None,
) -> ExportReport:
    """Carry out `request` on `service`. Blocks: for use off the main thread.

    `pace`: how jobs are followed. Raises as `run.run_export`.
    """
    return _SiteExport(client, service, request, feedback, pixels, pace or Pace()).run()


class _SiteExport:
    """One export of a service."""

    def __init__(
        self,
        client: Client,
        service: ServiceAddress,
        request: ExportRequest,
        feedback: Feedback,
        pixels: Pixels,
        pace: Pace,
    ) -> None:
        self._client, self._service, self._feedback = client, service, feedback
        self._pixels, self._pace = pixels, pace
        self._description = self._read_service()
        self._storage = package_format(self._description)
        self._plan = plan_export(request, self._description)
        self._request = self._plan.request
        self._reader = TileReader(client, service, self._description)
        self._ways: list[ExportWay] = []
        self._jobs = self._received = 0
        self._percent = 0.0

    def run(self) -> ExportReport:
        like = self._plan.like
        ways = ways_of(self._request, self._description, self._is_administered)
        # Before anything is asked of the site: what the target cannot take is of no use.
        if check_target(self._request, like) is None:
            check_can_pack(self._request.target, like)
        if ways[0] is ExportWay.ONE_BY_ONE:
            return self._one_by_one()
        return self._by_packages(ways[0], may_do_without=ExportWay.ONE_BY_ONE in ways)

    def _one_by_one(self) -> ExportReport:
        self._ways.append(ExportWay.ONE_BY_ONE)
        source = self._site_tiles(None)
        return self._report(self._filled(source, source, self._feedback))

    def _by_packages(self, way: ExportWay, *, may_do_without: bool) -> ExportReport:
        self._ways.append(way)
        target = self._request.target
        is_kept, filled = True, None
        try:
            with open_record(target, self._request.scheme, self._digest(way)) as record:
                try:
                    if self._get(record, way, may_do_without):
                        # Seen again: hours may have gone by, and only now the target is touched.
                        self._check_service()
                        filled = self._merged(record)
                finally:
                    is_kept = record.has_begun
        finally:
            if not is_kept or (filled is not None and _has_ended(filled)):
                # what stays behind does no harm, and is no reason to call the export a failure
                with suppress(StorageError):
                    discard_export(target)
        return self._cancelled() if filled is None else self._report(filled)

    def _digest(self, way: ExportWay) -> str:
        there = self._description
        # what changes with a service that is published anew
        how = f"{way.value} {self._storage.value} {there.image_format} {there.extent}"
        return digest_of(self._service.url, self._request.scheme, self._plan.tiles.areas, how)

    def _get(self, record: PartRecord, way: ExportWay, may_do_without: bool) -> bool:
        """Get all packages; False where the feedback ended it."""
        is_by_service = way is ExportWay.EXPORT_TILES
        scheme, plan = self._request.scheme, self._plan
        if not record.parts:
            limit = limit_of(self._description) if is_by_service else None
            areas, name = plan.level_areas, self._description.name
            record.plan(split(scheme, plan.levels, areas, limit, name))
        exporter = ExportTiles(self._client, self._service, self._pace)
        if is_by_service:
            announce(record, exporter, scheme, self._storage, self._within(0.0, _ASKING))
        check_room(record, self._request)
        packages = Packages(
            record,
            TilesPacker(exporter, scheme, self._storage) if is_by_service else self._cache_packer(),
            self._client,
            plan.like,
            self._is_there,
            self._within(_ASKING, _GETTING),
            may_do_without=may_do_without,
        )
        try:
            return packages.get()
        finally:
            self._jobs += packages.jobs
            self._received += packages.received

    def _cache_packer(self) -> Packer:
        exporter = ExportCache(self._client, self._service, self._pace)
        return CachePacker(exporter, self._request.scheme, self._storage)

    def _merged(self, record: PartRecord) -> Filled:
        """Fill the target from the packages, and with tiles of parts of which there is none."""
        left = [name for name in record.parts if record.state(name).step is PartStep.ONE_BY_ONE]
        missing = self._site_tiles([record.parts[name] for name in left]) if left else None
        if left:
            self._ways.append(ExportWay.ONE_BY_ONE)
        packed = [
            PackedPart(part, record.paths(name))
            for name, part in record.parts.items()
            if record.paths(name)
        ]
        feedback = self._within(_GETTING, 100.0)
        if missing is not None and not packed:
            return self._filled(missing, missing, feedback)
        scheme, name = self._request.scheme, self._description.name
        # Of these packages: what was stored from earlier ones is none of the same run.
        fingerprint = "\n".join([record.digest, repr(record.begun), *left])
        source = PackageTiles(packed, scheme, name, fingerprint, missing)
        return self._filled(source, missing, feedback)

    def _filled(
        self, source: TileSource, by_itself: PartTiles | None, feedback: Feedback
    ) -> Filled:
        """Fill the target from `source`; `by_itself`: what of it is read tile by tile."""
        try:
            filled = fill(self._request, self._plan.like, source, feedback, pixels=self._pixels)
        finally:
            self._received += 0 if by_itself is None else by_itself.received
        if by_itself is not None:
            self._check_service()
        return filled

    def _site_tiles(self, parts: Iterable[Part] | None) -> PartTiles:
        source = SiteTiles(self._reader, self._description)
        return PartTiles(source, self._request.scheme, parts, self._check_service)

    def _check_service(self) -> None:
        """Look at the service again. Raises ServiceChanged, SiteError, NotCached."""
        now, then = self._read_service(), self._description
        if now.scheme != self._request.scheme or now.image_format != then.image_format:
            raise ServiceChanged(then.name)

    def _is_there(self, level_id: int, row: int, col: int) -> bool | None:
        try:
            return self._reader.read(level_id, row, col) is not None
        except (NoTileThere, SiteError):
            return None

    def _is_administered(self) -> bool:
        """Whether the site lets us use its caching tool."""
        if not self._client.is_signed_in:
            return False
        try:
            find_task(self._client, self._service.site_url, TASK_SERVICES, TASK_NAME)
        except (CachingUnavailable, SiteError):
            return False
        return True

    def _read_service(self) -> CacheDescription:
        return parse_service(self._client.read(self._service.url), self._service)

    def _within(self, first: float, last: float) -> Feedback:
        """The feedback for a stretch of the export, from `first` to `last` percent."""

        def tell(percent: float) -> None:
            # What is asked for once more is behind again; people want to see it go on.
            self._percent = max(self._percent, first + percent * (last - first) / 100.0)
            self._feedback.progress(self._percent)

        return replace(self._feedback, progress=tell)

    def _report(self, filled: Filled) -> ExportReport:
        report = filled.report
        return replace(
            self._cancelled(),
            outcome=report.outcome,
            target=str(filled.path),
            levels=report.levels,
            size=filled.size,
            failed_tiles=report.failed_tiles,
        )

    def _cancelled(self) -> ExportReport:
        """The report of an export that never came to fill its target."""
        plan = self._plan
        counts = {level.id: plan.tiles.count(level) for level in plan.tiles.levels}
        return ExportReport(
            outcome=Outcome.CANCELLED,
            service=self._description.name,
            address=self._service.url,
            target=str(self._request.target),
            levels=tuple(
                LevelReport(level, counts.get(level.id, 0), made=0, replaced=0, skipped=0, failed=0)
                for level in self._request.levels
            ),
            ways=tuple(self._ways),
            jobs=self._jobs,
            received=self._received,
        )


def _has_ended(filled: Filled) -> bool:
    return filled.report.outcome is not Outcome.CANCELLED
