"""Updates on sites, as the record has them, in words. Plain text."""

from __future__ import annotations

from ..core.arcgis.address import public_address, site_of
from ..core.errors import AddressError
from ..core.request import FailedPlace
from ..core.site_update import PartState, SiteUpdate, TakeUp, UpdatePart
from .text import number_text, plain, quoted_message, scale_text, time_text, tr
from .wording import mode_text

PARTS_LISTED = 50
"""So many parts and places of an update are told one by one."""


def job_title(update: SiteUpdate) -> str:
    """The service and what happens to it, as the task manager lists it."""
    text = tr("{service}: {mode}")
    return text.format(service=plain(update.name), mode=mode_text(update.mode))


def job_name_text(update: SiteUpdate) -> str:
    """Name of the service."""
    return plain(update.name)


def job_address_text(update: SiteUpdate) -> str:
    """Address of the service."""
    return plain(update.address)


def job_site_text(update: SiteUpdate) -> str:
    """The site of the service, without what all addresses have."""
    try:
        site_url = site_of(update.address)
    except AddressError:
        site_url = update.address
    return plain(site_url).partition("://")[2] or plain(site_url)


def job_end_sentence(update: SiteUpdate) -> str:
    """How a site has come to the end of an update, or of the part of it that ran."""
    text = {
        PartState.DONE: tr("The site has finished “{mode}” of {service}."),
        PartState.PARTIAL: tr(
            "The site has finished “{mode}” of {service}, but some tiles failed: look for the"
            " reason in the list of jobs."
        ),
        PartState.CANCELLED: tr(
            "“{mode}” of {service} was cancelled, and what was done until then is kept: take it up"
            " in the list of jobs to do the rest."
        ),
        PartState.FAILED: tr(
            "“{mode}” of {service} failed on its site: look for the reason in the list of jobs."
        ),
        PartState.LOST: tr(
            "The site does not know the job of “{mode}” of {service} any more: load the service to"
            " see how full its levels are."
        ),
        PartState.WAITING: tr(
            "The site has finished a part of “{mode}” of {service}: press Follow in the list of"
            " jobs to have it do the rest."
        ),
        PartState.UNCLEAR: tr(
            "Nobody knows whether the site does “{mode}” of {service}: press Follow in the list of"
            " jobs to look for it."
        ),
        PartState.RUNNING: tr(
            "The site is still at work on “{mode}” of {service}: follow it in the list of jobs."
        ),
    }[update.state]
    return text.format(mode=mode_text(update.mode), service=plain(update.name))


def jobs_ended_sentence(count: int) -> str:
    """That several updates on sites have ended."""
    text = tr("{count} updates on sites have ended: see the list of jobs.")
    return text.format(count=number_text(count))


def jobs_waiting_sentence(count: int) -> str:
    """That updates on sites have not ended, and a person has to do something to know more."""
    if count == 1:
        return tr("An update on a site has not ended, and waits for you in the list of jobs.")
    text = tr("{count} updates on sites have not ended, and wait for you in the list of jobs.")
    return text.format(count=number_text(count))


def job_scales_text(update: SiteUpdate) -> str:
    """The scales of the update, in short: the ends of the range and how many there are."""
    levels = sorted(update.levels, key=lambda level: -level.scale)
    if not levels:
        return ""
    if len(levels) == 1:
        return scale_text(levels[0].scale)
    text = tr("{first} to {last} ({count})")
    return text.format(
        first=scale_text(levels[0].scale),
        last=scale_text(levels[-1].scale),
        count=number_text(len(levels)),
    )


def job_started_text(update: SiteUpdate) -> str:
    """When the update began."""
    return time_text(update.started)


def job_state_text(update: SiteUpdate) -> str:
    """How the update is, in a word or two."""
    if update.state is PartState.WAITING and any(part.has_ended for part in update.parts):
        return tr("Not Finished")
    return part_state_text(update.state)


def part_state_text(state: PartState) -> str:
    """How an update is, or a part of it, in a word or two."""
    return {
        PartState.WAITING: tr("Not Begun"),
        PartState.UNCLEAR: tr("Unclear"),
        PartState.RUNNING: tr("Running"),
        PartState.DONE: tr("Done"),
        PartState.PARTIAL: tr("Done, with Failures"),
        PartState.CANCELLED: tr("Cancelled"),
        PartState.FAILED: tr("Failed"),
        PartState.LOST: tr("Not Found"),
    }[state]


def job_percent_text(percent: float | None) -> str:
    """How far an update is; "" where nobody tells."""
    return "" if percent is None else tr("{percent} %").format(percent=round(percent))


def job_advice(update: SiteUpdate) -> str:
    """What the state of the update means, and what can be done about it, in a sentence."""
    if update.is_hosted and update.state is PartState.LOST:
        return tr(
            "The site does not know the job any more: load the service to see how full its levels"
            " are, and update again what is missing."
        )
    return {
        PartState.WAITING: tr(
            "The site was not asked for all of it: press Follow to have it do the rest, or Cancel"
            " Job to leave it."
        ),
        PartState.UNCLEAR: tr(
            "The site's answer was lost, so nobody knows whether it does the update: press Follow"
            " to look for its job."
        ),
        PartState.RUNNING: tr("The site is at work; it goes on also when QGIS is closed."),
        PartState.DONE: tr("The site has done all of it."),
        PartState.PARTIAL: tr(
            "The site has come to its end, but some tiles failed or may not have been made: take"
            " the job up with Complete or Fix, or run the update again."
        ),
        PartState.CANCELLED: tr(
            "It was cancelled, and what was done until then is kept: take it up, or run a new"
            " update, to do the rest."
        ),
        PartState.FAILED: tr(
            "It failed on the site: see the site's own words below, take it up again, or ask the"
            " site's administrator."
        ),
        PartState.LOST: tr(
            "The site does not know the job any more: load the service to see how full its levels"
            " are, and make the rest with Recreate Empty Tiles."
        ),
    }[update.state]


def job_lines(update: SiteUpdate) -> list[str]:
    """All that the record knows of the update, line by line."""
    lines = [
        job_title(update),
        public_address(update.address),
        _scales_line(update),
        tr("Begun {begun}, last looked at {looked}").format(
            begun=time_text(update.started), looked=time_text(update.changed)
        ),
        job_advice(update),
    ]
    shown = [part for part in update.parts if not part.is_split]
    lines += [_part_line(number, part) for number, part in enumerate(shown[:PARTS_LISTED], 1)]
    lines += _more_line(len(shown))
    return lines + place_lines(update.failed_places, PARTS_LISTED)


def place_lines(places: tuple[FailedPlace, ...], most: int) -> list[str]:
    """Bundles that a site could not make, and why: the first of them, and how many more."""
    return [place_line(place) for place in places[:most]] + _more_line(len(places), most)


def place_line(place: FailedPlace) -> str:
    """Bundles that a site could not make, and why."""
    rows, cols = (place.first_row, place.last_row), (place.first_col, place.last_col)
    text = tr("Failed at {scale}: bundles in {rows}, {cols}: {message}")
    if rows[0] == rows[1] and cols[0] == cols[1]:
        text = tr("Failed at {scale}: bundle in {rows}, {cols}: {message}")
    return text.format(
        scale=scale_text(place.level.scale),
        rows=_range_text(*rows, tr("row {first}"), tr("rows {first} to {last}")),
        cols=_range_text(*cols, tr("column {first}"), tr("columns {first} to {last}")),
        message=plain(place.message),
    )


def take_up_text(how: TakeUp) -> str:
    """Name of a way to take an ended job up again, for menus."""
    return {
        TakeUp.RESUME: tr("Resume"),
        TakeUp.FIX: tr("Fix"),
        TakeUp.COMPLETE: tr("Complete"),
    }[how]


def take_up_help(how: TakeUp) -> str:
    """One line on what a way to take an ended job up again will do."""
    return {
        TakeUp.RESUME: tr("Go on where the job was cancelled"),
        TakeUp.FIX: tr("Do again what failed in the job"),
        TakeUp.COMPLETE: tr("Do what is left of the job"),
    }[how]


def _scales_line(update: SiteUpdate) -> str:
    planned = sum(sum(part.planned.values()) for part in update.parts if not part.is_split)
    if not planned:
        return job_scales_text(update)
    text = tr("{scales}; {tiles} tiles in the area")
    return text.format(scales=job_scales_text(update), tiles=number_text(planned))


def _part_line(number: int, part: UpdatePart) -> str:
    text = tr("Part {number}: {state}")
    line = text.format(number=number_text(number), state=part_state_text(part.state))
    detail = quoted_message(part.detail) if part.detail else ""
    rest = [detail, public_address(part.job_url)]
    return ": ".join([line, *(each for each in rest if each)])


def _more_line(count: int, most: int = PARTS_LISTED) -> list[str]:
    if count <= most:
        return []
    return [tr("… and {count} more").format(count=number_text(count - most))]


def _range_text(first: int, last: int, one: str, several: str) -> str:
    text = one if first == last else several
    return text.format(first=number_text(first), last=number_text(last))
