"""One sentence for each error: what happened, to what, and what to do next. Plain text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ..core import errors
from ..core.arcgis.address import public_address
from ..core.request import UpdateMode
from .area_sources import BadRectangle, Cancelled, UnknownCrs
from .cluster_sentences import CLUSTER_SENTENCES
from .export_sentences import EXPORT_SENTENCES
from .job_sentences import JOB_SENTENCES
from .sign_in import (
    CERTIFICATE_KINDS,
    ESRI_KIND,
    OAUTH_KIND,
    MasterPasswordNeeded,
    PortalAddressError,
    SignInUnusable,
)
from .site_sentences import SITE_SENTENCES
from .storage_sentences import STORAGE_SENTENCES
from .text import listed, number_text, path_text, plain, quoted_message, scale_text, tr
from .wording import mode_text

_OTHER_SERVICE = re.compile(r"/(?!Map|Image)[A-Za-z]+Server(?=/|$)", re.IGNORECASE)
"""In an address: FeatureServer, VectorTileServer, SceneServer, GPServer and others."""

SCALES_NAMED = 6
"""So many of a service's scales are named where one was asked for that it does not have."""


def sentence(error: Exception) -> str:
    """What to tell a person about `error`, whatever error it is; never with a secret in it."""
    for kind in type(error).__mro__:
        if kind in _SENTENCES:
            return _SENTENCES[kind](error)
    text = tr(
        "Something unexpected happened ({kind}, {text}): see the log messages, and report it."
    )
    return text.format(kind=type(error).__name__, text=quoted_message(str(error)))


def looking_sentence(error: Exception, address: str) -> str:
    """The same where a site or a portal was looked for at `address`, as a person typed it."""
    if isinstance(error, errors.AddressError) and not error.site_url:
        if not error.address:
            return tr("There is no address: enter that of a site or of a portal.")
        if not error.names_item and not _OTHER_SERVICE.search(error.address):
            text = tr(
                "“{address}” is not the address of a site or of a portal: enter it whole, such as"
                " https://gis.example.com/arcgis."
            )
            return text.format(address=plain(public_address(error.address)))
    return asking_sentence(error, address)


def asking_sentence(error: Exception, address: str) -> str:
    """The same where `address`, as a person typed it, was asked: https may be our own guess."""
    is_guess = (
        isinstance(error, errors.SiteUnreachable)
        and error.reason in (errors.Unreachable.BROKEN, errors.Unreachable.REFUSED)
        and "://" not in address
        and error.url.startswith("https://")
    )
    if not is_guess:
        return sentence(error)
    text = tr(
        "Nothing could be had by https from {url}: check the address, and write http:// in front of"
        " it if the site has no https."
    )
    return text.format(url=plain(error.url))


def _address(error: errors.AddressError) -> str:
    text = tr(
        "“{address}” is neither the address of a map or image service nor the path of a cache: copy"
        " the address from the service's page, it ends in /MapServer or /ImageServer, or browse for"
        " the cache."
    )
    if error.site_url:
        text = tr("“{address}” is the address of a site: choose one of the services of the site.")
    if error.names_item:
        text = tr(
            "“{address}” is the page of an item, but the item's id in it is none: copy the whole"
            " address of the page."
        )
    if _OTHER_SERVICE.search(error.address):
        text = tr(
            "“{address}” is the address of a service of another kind, which has no tiles: give that"
            " of a map or image service, it ends in /MapServer or /ImageServer."
        )
    return text.format(address=plain(public_address(error.address)))


def _description(error: errors.DescriptionError) -> str:
    text = tr(
        "{service} describes itself in a way that cannot be used ({key}): ask its publisher to"
        " check its tiling scheme."
    )
    return text.format(service=_service(error.service), key=plain(error.key))


def _not_cached(error: errors.NotCached) -> str:
    text = tr(
        "{service} has no tile cache: choose a cached service, or ask its publisher to create a"
        " cache for it."
    )
    if error.scheme_only:
        text = tr(
            "{service} has a tiling scheme but no tile cache, its maps are drawn when asked for:"
            " choose a cached service, or ask its publisher to create a cache for it."
        )
    return text.format(service=_service(error.service))


def _request(error: errors.RequestError) -> str:
    return tr("This update cannot be done as it was asked for: check the form.")


def _no_levels(error: errors.NoLevels) -> str:
    return tr("No scale is chosen: tick at least one.")


def _levels_without_area(error: errors.LevelsWithoutArea) -> str:
    text = tr(
        "The rules of areas by scale leave out {scales}: add a rule for them, or do not tick them."
    )
    return text.format(scales=_scales(error.scales))


def _unknown_scale(error: errors.UnknownScale) -> str:
    text = tr("{scale} is none of the scales that are cached: there are none.")
    if error.known:
        text = tr("{scale} is none of the scales that are cached: choose from {known}.")
    return text.format(scale=scale_text(error.scale), known=_scales(error.known))


def _bad_scales(error: errors.BadScales) -> str:
    text = tr(
        "“{text}” is not a list of scales: give denominators joined by “;”, such as 500000;250000."
    )
    return text.format(text=plain(error.text))


def _service_changed(error: errors.ServiceChanged) -> str:
    text = tr(
        "{service} has got another tiling scheme, or tile format, since it was loaded, so nothing"
        " more was done: load it again and choose the scales anew."
    )
    return text.format(service=_service(error.service))


def _mode_not_offered(error: errors.ModeNotOffered) -> str:
    text = tr("{service} does not offer “{mode}”: choose another update mode.")
    modes = {mode.value: mode_text(mode) for mode in UpdateMode}
    mode = modes.get(error.mode) or plain(error.mode)
    return text.format(service=_service(error.service), mode=mode)


def _too_many_jobs(error: errors.TooManyJobs) -> str:
    text = tr(
        "{service} takes rectangles only, and this area takes more than {limit} of them, a job"
        " each: choose a simpler or smaller area, or fewer scales."
    )
    return text.format(service=_service(error.service), limit=number_text(error.limit))


def _bad_instances(error: errors.BadInstances) -> str:
    text = tr(
        "{count} is not a number of caching instances: give 1 or more, or -1 to let the site"
        " decide."
    )
    return text.format(count=error.instances)


def _empty_area(error: errors.EmptyArea) -> str:
    return tr(
        "The area of interest has no surface, or lies where the coordinates of the cache do not"
        " reach, or none was given and nobody knows how large the cache is: draw or choose a"
        " polygon."
    )


def _area_outside(error: errors.AreaOutside) -> str:
    text = tr("The area of interest lies outside {service}: choose one that meets its extent.")
    if error.scales:
        text = tr(
            "The area for {scales} lies outside {service}: choose one that meets its extent, or no"
            " area for these scales."
        )
    return text.format(service=_service(error.service), scales=_scales(error.scales))


def _bad_extent(error: errors.BadExtent) -> str:
    text = tr(
        "“{text}” is not an extent: type xmin ymin xmax ymax, four numbers with blanks between them"
        " and the minima below the maxima."
    )
    return text.format(text=plain(error.text))


def _bad_rectangle(error: BadRectangle) -> str:
    text = tr(
        "“{text}” is not an extent: give xmin,xmax,ymin,ymax and a CRS such as [EPSG:3857], with"
        " the minima below the maxima."
    )
    return text.format(text=plain(error.text))


def _unknown_crs(error: UnknownCrs) -> str:
    text = tr(
        "“{text}” is no coordinate reference system that QGIS knows: give the extent with one such"
        " as [EPSG:3857]."
    )
    return text.format(text=plain(error.text))


def _bad_area(error: errors.BadArea) -> str:
    texts = {
        errors.BadAreaReason.NO_POLYGONS: tr(
            "“{name}” has no polygons that can be read: choose a polygon layer."
        ),
        errors.BadAreaReason.NOTHING_SELECTED: tr(
            "No feature of “{name}” is selected: select some, or use all features."
        ),
        errors.BadAreaReason.NO_CRS: tr(
            "“{name}” has no coordinate reference system: set the right one and try again."
        ),
        errors.BadAreaReason.NOT_TRANSFORMABLE: tr(
            "“{name}” cannot be transformed into the coordinate reference system that is needed:"
            " choose a smaller area."
        ),
        errors.BadAreaReason.NO_LAYERS: tr(
            "No layer with an extent is there for “{name}”: add one to the project, or choose"
            " another area."
        ),
        errors.BadAreaReason.NO_OVERLAP: tr(
            "The layers have no common area, so “{name}” is empty: choose another area."
        ),
        errors.BadAreaReason.BAD_FILTER: tr(
            "The filter on “{name}” cannot be used, it is no expression or names a field that the"
            " layer does not have: correct it."
        ),
        errors.BadAreaReason.NOTHING_MATCHED: tr(
            "No polygon of “{name}” matches the filter: change the filter, or choose another area."
        ),
        errors.BadAreaReason.LAYER_GONE: tr(
            "The layer “{name}” is not in the project, and could not be opened from where it was:"
            " add it to the project, or choose another area."
        ),
        errors.BadAreaReason.NO_CANVAS: tr(
            "The area “{name}” is what the map canvas shows, and there is none here: choose another"
            " area."
        ),
        errors.BadAreaReason.NO_WORLD_MAP: tr(
            "The world map that comes with QGIS is not there, so the countries of “{name}” are not"
            " known: choose another area."
        ),
        errors.BadAreaReason.NO_COUNTRY: tr(
            "“{name}” touches no country of the world map: choose another area."
        ),
    }
    return texts[error.reason].format(name=plain(error.name) or tr("the area of interest"))


def _bad_rules(error: errors.BadRules) -> str:
    text = tr(
        "“{name}” is no file of areas by scale that can be read ({detail}): choose another one, or"
        " save the rules anew."
    )
    return text.format(name=path_text(error.name), detail=quoted_message(error.detail))


def _sign_in_unusable(error: SignInUnusable) -> str:
    text = tr(
        "The sign-in details “{name}” could not be read: choose others, or make them anew in the"
        " authentication options of QGIS."
    )
    if error.method:
        text = tr(
            "The sign-in details “{name}” are of kind {method}, which cannot be used here: choose"
            " some of kind Basic, with user name and password, Esri token, OAuth2 or PKI."
        )
    if error.method == ESRI_KIND:
        text = tr(
            "The sign-in details “{name}” hold no token that can be sent: copy the whole token into"
            " them anew, without anything around it."
        )
    if error.method == OAUTH_KIND:
        text = tr(
            "The sign-in details “{name}” cannot be used: complete them in the authentication"
            " options of QGIS, with “Header” as their access method."
        )
    if error.method in CERTIFICATE_KINDS:
        text = tr(
            "The certificate of the sign-in details “{name}” could not be read: check its file, its"
            " key and its password in the authentication options of QGIS."
        )
    return text.format(name=plain(error.name), method=plain(error.method))


def _master_password(error: MasterPasswordNeeded) -> str:
    text = tr(
        "The master password of QGIS is missing or wrong, so the sign-in details “{name}” could not"
        " be read: enter it when QGIS asks for it, or name a file that holds it in"
        " QGIS_AUTH_PASSWORD_FILE for qgis_process."
    )
    return text.format(name=plain(error.name))


def _portal_address(error: PortalAddressError) -> str:
    text = tr(
        "“{address}” is not the address of a portal: give it whole, such as"
        " https://gis.example.com/portal."
    )
    return text.format(address=plain(public_address(error.address)))


def _cancelled(error: Cancelled) -> str:
    return tr("The work was cancelled: run it again when you like.")


def _scales(scales: tuple[float, ...]) -> str:
    """The first of `scales`, and how many more there are."""
    named = [scale_text(scale) for scale in scales[:SCALES_NAMED]]
    if len(scales) > SCALES_NAMED:
        more = tr("and {count} more")
        named.append(more.format(count=number_text(len(scales) - SCALES_NAMED)))
    return listed(named)


def _service(name: str) -> str:
    return plain(name) or tr("The service")


_SENTENCES: dict[type, Callable[[Any], str]] = {
    **SITE_SENTENCES,
    **JOB_SENTENCES,
    **STORAGE_SENTENCES,
    **CLUSTER_SENTENCES,
    **EXPORT_SENTENCES,
    errors.AddressError: _address,
    errors.DescriptionError: _description,
    errors.NotCached: _not_cached,
    errors.RequestError: _request,
    errors.NoLevels: _no_levels,
    errors.LevelsWithoutArea: _levels_without_area,
    errors.UnknownScale: _unknown_scale,
    errors.BadScales: _bad_scales,
    errors.ServiceChanged: _service_changed,
    errors.TooManyJobs: _too_many_jobs,
    errors.ModeNotOffered: _mode_not_offered,
    errors.BadInstances: _bad_instances,
    errors.EmptyArea: _empty_area,
    errors.AreaOutside: _area_outside,
    errors.BadExtent: _bad_extent,
    errors.BadArea: _bad_area,
    errors.BadRules: _bad_rules,
    PortalAddressError: _portal_address,
    SignInUnusable: _sign_in_unusable,
    MasterPasswordNeeded: _master_password,
    BadRectangle: _bad_rectangle,
    UnknownCrs: _unknown_crs,
    Cancelled: _cancelled,
}
