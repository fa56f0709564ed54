"""Services, update modes and reports in words. Plain text."""

from __future__ import annotations

import re

from ..core.arcgis.address import public_address
from ..core.description import CacheDescription
from ..core.errors import DescriptionError
from ..core.request import Outcome, UpdateMode, UpdateReport
from ..core.tiling import BUNDLE_TILES, Level
from .crs import qgis_crs
from .text import bytes_text, coordinate_text, listed, number_text, plain, scale_text, tr

VERY_MANY_TILES = 100_000
"""From here on a person is asked or warned. It is what ArcGIS itself lets one export of tiles hold
(`maxExportTilesCount`), and at some tens of tiles a second the better part of an hour."""

_SHORT_VERSION = re.compile(r"(9|10)\.(\d)(\d)")


def mode_text(mode: UpdateMode) -> str:
    """Name of an update mode, for lists and titles."""
    return {
        UpdateMode.RECREATE_EMPTY: tr("Recreate Empty Tiles"),
        UpdateMode.RECREATE_ALL: tr("Recreate All Tiles"),
        UpdateMode.DELETE: tr("Delete Tiles"),
    }[mode]


def mode_help(mode: UpdateMode, *, is_hosted: bool = False) -> str:
    """One line on what an update mode will do; to a hosted layer, where it is one."""
    if is_hosted and mode is UpdateMode.RECREATE_ALL:
        return tr("Makes every bundle of tiles anew that the area touches, as a whole.")
    if is_hosted and mode is UpdateMode.DELETE:
        return tr(
            "Deletes every bundle of tiles that the area touches, also tiles outside the area; they"
            " are missing until they are made again."
        )
    return {
        UpdateMode.RECREATE_EMPTY: tr(
            "Makes the tiles that are missing in the area; those that exist stay as they are."
        ),
        UpdateMode.RECREATE_ALL: tr(
            "Makes all tiles in the area anew and replaces those that exist."
        ),
        UpdateMode.DELETE: tr(
            "Deletes the tiles in the area; they are missing until they are made again."
        ),
    }[mode]


def still_shown_text(description: CacheDescription) -> str:
    """What a form is about in which another service or cache could not be loaded."""
    text = tr("What stands below is still of {name}, which was loaded before.")
    return text.format(name=plain(description.name) or plain(description.address))


def summary(description: CacheDescription) -> str:
    """The service in words, in a few lines."""
    lines = [
        _what_line(description),
        tiles_line(description),
        place_line(description),
        hosted_line(description),
        fullness_line(description),
        plain(description.text),
    ]
    return "\n".join(line for line in lines if line)


def unoffered_text(description: CacheDescription, mode: UpdateMode) -> str:
    """That the site does not offer `mode` for this cache; of a hosted layer, why it does not."""
    text = tr("The site does not offer “{mode}” for {service}.")
    if description.is_hosted and mode is UpdateMode.RECREATE_EMPTY:
        text = tr(
            "{service} is a hosted layer, whose site makes all the tiles of a bundle every time:"
            " choose “{other}”, and merge bundles where tiles that exist are to stay."
        )
    return text.format(
        mode=mode_text(mode),
        service=plain(description.name),
        other=mode_text(UpdateMode.RECREATE_ALL),
    )


def uncached_reason(description: CacheDescription, level: Level) -> str:
    """Why `level` cannot be ticked: the service lists it without caching it; "" where it does."""
    if description.is_cached(level):
        return ""
    cached = description.cached_levels
    text = tr("{service} lists {scale} but does not cache it; it caches no scale.")
    if cached:
        text = tr("{service} lists {scale} but does not cache it; it caches {first} to {last}.")
    ends = [scale_text(each.scale) for each in (cached[0], cached[-1])] if cached else ["", ""]
    return text.format(
        service=plain(description.name), scale=scale_text(level.scale), first=ends[0], last=ends[1]
    )


def report_sentence(report: UpdateReport) -> str:
    """What came of an update: one line with the numbers and the address it is about."""
    text = {
        Outcome.DONE: tr("Update of {address} done: {facts}."),
        Outcome.PARTIAL: tr(
            "Update of {address} done, but some tiles failed ({facts}): look for the reason in the"
            " site's messages, and run it again."
        ),
        Outcome.CANCELLED: tr(
            "Update of {address} cancelled, what was done until then is kept: {facts}."
        ),
        Outcome.SUBMITTED: tr(
            "The site has taken the job and goes on by itself, {facts}; it is at {address}."
        ),
    }[report.outcome]
    if report.outcome is Outcome.CANCELLED and not report.job_url and not report.earlier_job_urls:
        text = tr("Update of {address} cancelled before anything was changed.")
    address = public_address(report.address)
    if report.outcome is Outcome.SUBMITTED and report.earlier_job_urls:
        text = tr(
            "The site has taken {jobs} jobs, one for each area, and goes on by itself, {facts};"
            " they are at {address}."
        )
        address = listed([*map(public_address, report.earlier_job_urls), address])
    jobs = number_text(len(report.earlier_job_urls) + 1)
    return text.format(address=address, facts=listed(_facts(report)), jobs=jobs)


def version_text(version: str) -> str:
    """A site's version as people write it: ArcGIS Server 10.8.1 calls itself 10.81."""
    return (
        _SHORT_VERSION.sub(r"\1.\2.\3", version) if _SHORT_VERSION.fullmatch(version) else version
    )


def _what_line(description: CacheDescription) -> str:
    kind = tr("image service") if description.kind == "ImageServer" else tr("map service")
    text = tr("{name} ({kind})")
    if description.version:
        text = tr("{name} ({kind}, ArcGIS Server {version})")
    return text.format(
        name=plain(description.name), kind=kind, version=plain(version_text(description.version))
    )


def tiles_line(description: CacheDescription) -> str:
    """How many scales are cached, and in what tiles."""
    levels = description.cached_levels
    scheme = description.scheme
    text = tr("No cached scale, {format} tiles of {width} x {height} pixels")
    if len(levels) == 1:
        text = tr("One cached scale, {first}, {format} tiles of {width} x {height} pixels")
    elif levels:
        text = tr(
            "{count} cached scales from {first} to {last},"
            " {format} tiles of {width} x {height} pixels"
        )
    line = text.format(
        count=number_text(len(levels)),
        first=scale_text(levels[0].scale) if levels else "",
        last=scale_text(levels[-1].scale) if levels else "",
        format=plain(description.image_format),
        width=scheme.tile_width,
        height=scheme.tile_height,
    )
    return " ".join(line.split())


def place_line(description: CacheDescription) -> str:
    """The cache's CRS and extent."""
    try:
        crs = qgis_crs(description.scheme.crs, description.name)
    except DescriptionError:
        return tr("Coordinate reference system unknown to QGIS")
    name = f"{crs.description()} ({crs.authid()})" if crs.authid() else crs.description()
    if description.extent is None:
        return name
    decimals = 4 if crs.isGeographic() else 0
    text = tr("{crs}; x from {xmin} to {xmax}, y from {ymin} to {ymax}")
    xmin, ymin, xmax, ymax = (
        coordinate_text(value, decimals) for value in description.extent.bounds
    )
    return text.format(crs=name, xmin=xmin, xmax=xmax, ymin=ymin, ymax=ymax)


def hosted_line(description: CacheDescription) -> str:
    """How a hosted layer is updated; "" for any other cache."""
    if not description.is_hosted:
        return ""
    text = tr(
        "Hosted layer: updated by whole bundles of {tiles} x {tiles} tiles, in rectangles, each by"
        " a job of its own"
    )
    return text.format(tiles=BUNDLE_TILES)


def fullness_line(description: CacheDescription) -> str:
    """How many tiles exist; "" where nobody tells."""
    if not description.status:
        return ""
    tiles = sum(status.tiles for status in description.status)
    expected = [status.expected for status in description.status]
    if any(count is None for count in expected):
        text = tr("1 tile exists") if tiles == 1 else tr("{tiles} tiles exist")
        return text.format(tiles=number_text(tiles))
    text = tr("{tiles} of {expected} tiles exist")
    total = sum(count for count in expected if count is not None)
    return text.format(tiles=number_text(tiles), expected=number_text(total))


def are_very_many(tiles: int) -> bool:
    """Whether an update of so many tiles is one that nobody should begin unawares."""
    return tiles >= VERY_MANY_TILES


def work_sentence(tiles: int, scales: int, mode: UpdateMode, size: int | None) -> str:
    """How many tiles an update is about, and what that means where they are very many.

    `size`: bytes that they may take on this computer; None where that is not its business.
    """
    text = tr("The area touches {tiles} at {scales}.")
    if are_very_many(tiles) and mode is not UpdateMode.DELETE:
        text = tr(
            "The area touches {tiles} at {scales}, which may take very long: cancel it and name"
            " fewer scales or a smaller area, unless all of them are meant."
        )
        if size is not None:
            text = tr(
                "The area touches {tiles} at {scales}, which may take {size} and very long: cancel"
                " it and name fewer scales or a smaller area, unless all of them are meant."
            )
    one_tile, many_tiles = tr("1 tile"), tr("{count} tiles")
    one_scale, many_scales = tr("1 scale"), tr("{count} scales")
    return text.format(
        tiles=one_tile if tiles == 1 else many_tiles.format(count=number_text(tiles)),
        scales=one_scale if scales == 1 else many_scales.format(count=number_text(scales)),
        size="" if size is None else bytes_text(size),
    )


def planned_text(planned: int | None) -> str:
    """How many tiles an area touches."""
    if planned is None:
        return tr("how many tiles the area touches is not known")
    if planned == 1:
        return tr("1 tile in the area")
    return tr("{count} tiles in the area").format(count=number_text(planned))


def _facts(report: UpdateReport) -> list[str]:
    """The numbers that the site told; which of those that matter it did not."""
    texts = {
        "made": tr("{count} made"),
        "replaced": tr("{count} replaced"),
        "deleted": tr("{count} deleted"),
        "skipped": tr("{count} left as they were"),
        "failed": tr("{count} failed"),
    }
    counts = {what: report.total(what) for what in texts}
    planned = planned_text(report.total("planned"))
    if report.outcome is Outcome.SUBMITTED:
        return [planned]
    unknown = _unknown_text(report.mode, counts)
    matters = "deleted" if report.mode is UpdateMode.DELETE else "made"
    facts = [
        texts[what].format(count=number_text(count))
        for what, count in counts.items()
        if count or (count is not None and what == matters and not unknown)
    ]
    return [planned, *facts, *_bundles_text(report), *([unknown] if unknown else [])]


def _bundles_text(report: UpdateReport) -> list[str]:
    """How many bundles a site could not make, where that was looked into."""
    bundles = sum(
        (place.last_row - place.first_row + 1) * (place.last_col - place.first_col + 1)
        for place in report.failed_places
    )
    if not bundles:
        return []
    text = tr("1 bundle failed") if bundles == 1 else tr("{count} bundles failed")
    return [text.format(count=number_text(bundles))]


def _unknown_text(mode: UpdateMode, counts: dict[str, int | None]) -> str:
    """Which of the `counts` that matter in `mode` the site did not tell; "" where it told them.

    "0 made" alone would read as if nothing had happened where it replaced thousands.
    """
    if mode is UpdateMode.DELETE:
        is_known = counts["deleted"] is not None
        return "" if is_known else tr("the site does not tell how many it deleted")
    replaced_matters = mode is UpdateMode.RECREATE_ALL and counts["replaced"] is None
    if counts["made"] is None and replaced_matters:
        return tr("the site does not tell how many it made or replaced")
    if counts["made"] is None:
        return tr("the site does not tell how many it made")
    return tr("the site does not tell how many it replaced") if replaced_matters else ""
