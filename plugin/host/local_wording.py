"""Caches on this computer, what they may be asked and what came of it, in words. Plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..core.description import CacheDescription, UnfinishedRun
from ..core.request import LevelEstimate, Outcome, Pace, Resume, UpdateMode, UpdateReport
from ..core.storage.profile import StorageFormat
from ..core.storage.store import NO_LEVEL, Fault, Finding
from ..core.tiling import Level
from .text import (
    about_text,
    bytes_text,
    duration_text,
    listed,
    number_text,
    path_text,
    plain,
    scale_text,
    time_text,
    tr,
)
from .wording import fullness_line, mode_text, place_line, planned_text, tiles_line

if TYPE_CHECKING:
    from ..core.local.defragment import DefragmentReport
    from ..core.local.verify import VerifyReport

NAMES_SHOWN = 3
"""So many files are named where many are concerned."""


def storage_text(keyword: str) -> str:
    """Name of a storage format by its keyword, for lists and summaries."""
    names = {
        StorageFormat.COMPACT_V2.value: tr("Compact cache (V2)"),
        StorageFormat.COMPACT_V1.value: tr("Compact cache (V1)"),
        StorageFormat.EXPLODED.value: tr("Exploded cache"),
        StorageFormat.TPKX.value: tr("Tile package (TPKX)"),
        StorageFormat.TPK.value: tr("Tile package (TPK)"),
        StorageFormat.MBTILES.value: tr("MBTiles file"),
        StorageFormat.GEOPACKAGE.value: tr("GeoPackage file"),
    }
    return names.get(keyword) or plain(keyword)


def local_summary(description: CacheDescription) -> str:
    """The cache in words, in a few lines."""
    lines = [
        tr("{name}, {format}").format(
            name=plain(description.name), format=storage_text(description.kind)
        ),
        tiles_line(description),
        place_line(description),
        fullness_line(description),
        plain(description.text),
    ]
    return "\n".join(line for line in lines if line)


def local_unoffered_text(description: CacheDescription, mode: UpdateMode) -> str:
    """That `mode` is not possible for this cache."""
    text = tr("“{mode}” is not possible for {name}.")
    return text.format(mode=mode_text(mode), name=plain(description.name))


def local_uncached_reason(description: CacheDescription, level: Level) -> str:
    """Why `level` cannot be ticked: the cache keeps no tiles for it; "" where it does."""
    if description.is_cached(level):
        return ""
    text = tr("{name} has {scale} in its tiling scheme but keeps no tiles for it.")
    return text.format(name=plain(description.name), scale=scale_text(level.scale))


def local_report_sentence(report: UpdateReport) -> str:
    """What came of an update: one line with the numbers and the path it is about."""
    text = {
        Outcome.DONE: tr("Update of {path} done: {facts}."),
        Outcome.PARTIAL: tr(
            "Update of {path} done, but some tiles failed ({facts}): mend what the messages name,"
            " then retry the failed tiles."
        ),
        Outcome.CANCELLED: tr(
            "Update of {path} cancelled, what was done until then is kept and the rest can be"
            " resumed: {facts}."
        ),
        Outcome.SUBMITTED: tr("Update of {path} goes on: {facts}."),
    }[report.outcome]
    counts = _counts(report)
    if report.outcome is Outcome.CANCELLED and not any(counts.values()):
        text = tr("Update of {path} cancelled before anything was changed.")
    return text.format(path=path_text(report.output_url), facts=listed(_facts(report, counts)))


def _counts(report: UpdateReport) -> dict[str, int | None]:
    names = ("made", "replaced", "deleted", "skipped", "failed", "gaps")
    return {name: report.total(name) for name in names}


def _facts(report: UpdateReport, counts: dict[str, int | None]) -> list[str]:
    texts = {
        "made": tr("{count} made"),
        "replaced": tr("{count} replaced"),
        "deleted": tr("{count} deleted"),
        "skipped": tr("{count} left as they were"),
        "failed": tr("{count} failed"),
        "gaps": tr("{count} left out, nothing is there"),
    }
    matters = "deleted" if report.mode is UpdateMode.DELETE else "made"
    return [
        planned_text(report.total("planned")),
        *(
            texts[what].format(count=number_text(count))
            for what, count in counts.items()
            if count or (what == matters and count is not None)
        ),
    ]


def pace_text(pace: Pace) -> str:
    """How an update gets on, in one line."""
    text = tr("{scale}: {tiles} of {planned}, {speed} tiles a second")
    if pace.seconds_left is not None:
        text = tr("{scale}: {tiles} of {planned}, {speed} tiles a second, about {left} left")
    return text.format(
        scale=scale_text(pace.level.scale),
        tiles=number_text(pace.tiles),
        planned=_tiles_text(pace.planned),
        speed=about_text(pace.tiles_per_second),
        left=duration_text(pace.seconds_left or 0.0),
    )


def finding_text(finding: Finding) -> str:
    """One thing that is wrong with a cache: where, what, and whether it can be mended."""
    place = tr("{file}, level {level}")
    if finding.level_id == NO_LEVEL:
        place = tr("{file}")
    elif finding.tile is not None:
        place = tr("{file}, level {level}, row {row}, column {column}")
    row, column = finding.tile or (0, 0)
    text = (
        tr("{place}: {fault}, can be mended.") if finding.can_be_mended else tr("{place}: {fault}.")
    )
    if finding.by_setting_aside:
        text = tr("{place}: {fault}, can be mended, the file is set aside then.")
    where = place.format(
        file=path_text(finding.file), level=finding.level_id, row=row, column=column
    )
    return text.format(place=where, fault=fault_text(finding.fault))


def fault_text(fault: Fault) -> str:
    """What is wrong, in a few words."""
    return {
        Fault.OUTSIDE: tr("the index points outside the file"),
        Fault.OVERLAP: tr("two tiles share bytes"),
        Fault.SIZE: tr("the size in front of the tile differs from the index"),
        Fault.HEADER: tr("the header differs from the file"),
        Fault.CUT: tr("the file is cut off"),
        Fault.NOT_A_BUNDLE: tr("the file is no bundle"),
        Fault.UNREADABLE: tr("the file cannot be read"),
        Fault.PICTURE: tr("the tile is no whole picture"),
        Fault.PICTURE_SIZE: tr("the picture has another size than the cache's tiles"),
        Fault.PICTURE_FORMAT: tr("the picture has another format than the cache's"),
        Fault.LEVEL: tr("the tiling scheme has no such level"),
        Fault.STRAY: tr("a tile lies where the tiling scheme has none"),
    }[fault]


def verify_sentence(report: VerifyReport, name: str = "") -> str:
    """What a check of the cache `name` found, in one sentence."""
    found = sum(report.count_of.values())
    text = _verify_text(found, report.mended, report.is_complete).format(
        tiles=_tiles_text(sum(report.tiles.values())),
        found=tr("1 fault") if found == 1 else tr("{n} faults").format(n=number_text(found)),
        faults=_faults_text(report.count_of),
        mended=number_text(report.mended),
    )
    if report.set_aside:
        text = f"{text} {_set_aside_text(report.set_aside)}"
    return _of(name, text)


def _set_aside_text(files: Sequence[str]) -> str:
    """Which files a repair has given another name."""
    text = tr(
        "Set aside under names that end in .damaged, since not all in them can be read: {names}."
    )
    return text.format(names=_some(files))


def _some(files: Sequence[str]) -> str:
    """The names of files, the first of them where there are many."""
    names = [path_text(name) for name in files[:NAMES_SHOWN]]
    if len(files) > NAMES_SHOWN:
        more = tr("and {count} more")
        names.append(more.format(count=number_text(len(files) - NAMES_SHOWN)))
    return listed(names)


def _of(name: str, text: str) -> str:
    return tr("{name}: {text}").format(name=plain(name), text=text) if name else text


def _verify_text(found: int, mended: int, is_complete: bool) -> str:
    if not is_complete and not found:
        return tr("{tiles} checked and sound when the check was cancelled.")
    if not is_complete:
        return tr(
            "{tiles} checked when the check was cancelled, {found} found until then ({faults}),"
            " {mended} of them mended: run it again for the rest."
        )
    if not found:
        return tr("{tiles} checked, all sound.")
    if mended >= found:
        return tr(
            "{tiles} checked, {found} found ({faults}) and mended: make the tiles that are missing"
            " now with Recreate Empty Tiles."
        )
    if mended:
        return tr(
            "{tiles} checked, {found} found ({faults}), {mended} of them mended: make the tiles in"
            " question anew with Recreate All Tiles."
        )
    return tr(
        "{tiles} checked, {found} found ({faults}): repair the cache, then make the missing tiles"
        " with Recreate Empty Tiles."
    )


def _tiles_text(tiles: int) -> str:
    return tr("1 tile") if tiles == 1 else tr("{count} tiles").format(count=number_text(tiles))


def _faults_text(count_of: dict[Fault, int]) -> str:
    text = tr("{fault}, {count} times")
    ordered = sorted(count_of.items(), key=lambda each: -each[1])
    return "; ".join(
        text.format(fault=fault_text(fault), count=number_text(count))
        if count > 1
        else fault_text(fault)
        for fault, count in ordered
        if count
    )


def defragment_sentence(report: DefragmentReport, name: str = "") -> str:
    """What defragmenting the cache `name` won, in a sentence or two."""
    text = tr("There was nothing to win, no file has holes: {before} in use.")
    if report.files == 1:
        text = tr("1 file written anew, {won} won, from {before} to {after}.")
    elif report.files:
        text = tr("{files} files written anew, {won} won, from {before} to {after}.")
    said = [text]
    if report.skipped:
        said.append(
            tr("Left as they were, for another program uses them: {names}. Run it again later.")
        )
    if not report.is_complete:
        said.append(tr("It was cancelled: run it again for the rest."))
    told = " ".join(said).format(
        files=number_text(report.files),
        won=bytes_text(max(0, report.before - report.after)),
        before=bytes_text(report.before),
        after=bytes_text(report.after),
        names=_some(report.skipped),
    )
    return _of(name, told)


def estimate_text(estimates: Iterable[LevelEstimate]) -> str:
    """Tiles, bytes and time of an update, as far as they are known; "" where nothing is."""
    known = tuple(estimates)
    tiles = _sum([each.tiles for each in known])
    size = _sum([each.bytes for each in known])
    seconds = _sum([each.seconds for each in known])
    parts = []
    if tiles is not None:
        parts.append(
            tr("1 tile") if tiles == 1 else tr("{count} tiles").format(count=about_text(tiles))
        )
    if size is not None:
        parts.append(bytes_text(round(size)))
    if seconds is not None:
        parts.append(duration_text(seconds))
    return tr("about {parts}").format(parts=listed(parts)) if parts else ""


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum; None where any is unknown, or there are none."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def unfinished_text(run: UnfinishedRun, resume: Resume | None = None) -> str:
    """What the last update of a cache has left to do, in one sentence.

    `resume`: what the update starts from that begins now; None where none does.
    """
    text = tr("{failed} failed in the last update ({mode}) of {time}")
    if run.is_interrupted:
        text = tr("An update ({mode}) was interrupted after {percent} %, begun on {time}")
    if run.is_interrupted and run.failed:
        text = tr(
            "An update ({mode}) was interrupted after {percent} %, begun on {time}, and {failed}"
            " failed until then"
        )
    percent = 100 * run.done // run.planned if run.planned else 0
    fact = text.format(
        mode=mode_text(run.mode),
        time=time_text(run.started),
        percent=percent,
        failed=_tiles_text(run.failed),
    )
    return tr("{fact}: {advice}.").format(fact=fact, advice=_advice(run, resume))


def _advice(run: UnfinishedRun, resume: Resume | None) -> str:
    """What becomes of a run that was left undone, or what to do about it."""
    if resume is Resume.NEW:
        return tr("this one begins anew")
    if resume is Resume.FAILED and run.failed:
        return tr("the failed tiles are tried again now")
    if not run.is_interrupted:
        return tr("retry the failed tiles once their reason is mended")
    if resume is Resume.CONTINUE:
        return tr("it goes on there")
    if resume is Resume.AUTO:
        return tr("it goes on there if this is the same update")
    return tr("resume it to do the rest")


def failure_kinds(report: UpdateReport) -> list[tuple[Exception, int]]:
    """The different errors of the failed tiles that the report names, and how many tiles each.

    The most frequent first.
    """
    first: dict[str, Exception] = {}
    for tile in report.failed_tiles:
        first.setdefault(str(tile.error), tile.error)
    counts = Counter(str(tile.error) for tile in report.failed_tiles)
    return [(first[text], count) for text, count in counts.most_common()]
