"""Sentences for errors between us and a site: no answer, refusals, sign-in. Plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import errors
from ..core.arcgis.portal import ITEM_KINDS
from .text import number_text, own_words, plain, quoted_message, said_text, tr


def _unreachable(error: errors.SiteUnreachable) -> str:
    texts = {
        errors.Unreachable.NAME: tr(
            "No computer of that name was found for {url}: check the address and your network."
        ),
        errors.Unreachable.REFUSED: tr(
            "The computer of {url} refused the connection: check the address, or ask whether the"
            " site is running."
        ),
        errors.Unreachable.TIMEOUT: tr(
            "No answer came in time from {url}: try again later, or ask whether the site is"
            " running."
        ),
        errors.Unreachable.CERTIFICATE: tr(
            "The certificate of {url} is not trusted: ask the site's administrator for a valid one,"
            " or have QGIS trust it, in Settings > Options > Authentication > Manage Certificates,"
            " by its authority or as an exception for this server."
        ),
        errors.Unreachable.CLIENT_CERTIFICATE: tr(
            "{url} wants to see a certificate of yours: choose sign-in details that hold one, of a"
            " PKI kind, and try again."
        ),
        errors.Unreachable.PROXY: tr(
            "The proxy on the way to {url} failed: check the proxy in the network options of QGIS."
        ),
        errors.Unreachable.BROKEN: tr("The connection to {url} broke: try again."),
        errors.Unreachable.TOO_LARGE: tr(
            "The answer of {url} is too large: check that it is the address of an ArcGIS service."
        ),
        errors.Unreachable.SILENT: tr(
            "The site gave no answer for minutes, last asked at {url}: run the same again once it"
            " does, what was got until then is kept."
        ),
    }
    return texts[error.reason].format(url=plain(error.url))


def _not_arcgis(error: errors.NotArcGIS) -> str:
    text = tr(
        "{url} does not answer as an ArcGIS site does (HTTP status {status}, {content_type}): check"
        " the address, and whether a sign-in page stands in front of the site."
    )
    content_type = plain(error.content_type, 80) or tr("no content type")
    return text.format(url=plain(error.url), status=error.status, content_type=content_type)


def _site_error(error: errors.SiteError) -> str:
    text = tr("Something went wrong between QGIS and {url}: try again.")
    return text.format(url=plain(error.url))


def _refused(error: errors.SiteRefused) -> str:
    text = tr(
        "{url} answered with an error of its own{said}: try again, or ask the site's administrator."
    )
    words = _site_words(error)
    said = [] if error.code is None else [str(error.code)]
    if words:
        said.append(tr("“{message}”").format(message=words))
    return text.format(url=plain(error.url), said=", " + " ".join(said) if said else "")


def _not_found(error: errors.NotFound) -> str:
    return _with_message(tr("{url} does not exist{said}: check the address."), error)


def _not_allowed(error: errors.NotAllowed) -> str:
    text = tr(
        "This user has no right to {url}{said}: sign in as one who has, or ask"
        " the site's administrator."
    )
    return _with_message(text, error)


def _sign_in_needed(error: errors.SignInNeeded) -> str:
    text = tr("{url} wants a sign-in{said}: choose sign-in details and try again.")
    return _with_message(text, error)


def _with_message(text: str, error: errors.SiteRefused) -> str:
    """`text` filled in, with the site's own words where it gave any."""
    return text.format(url=plain(error.url), said=said_text(_site_words(error)))


def _site_words(error: errors.SiteRefused) -> str:
    """The site's message and behind it the details that it gave; "" where it gave neither."""
    parts = [part.strip().rstrip(".") for part in (error.message, *error.details)]
    # Sites like to give their message again as its only detail.
    return own_words("; ".join(part for part in dict.fromkeys(parts) if part))


def _sign_in_failed(error: errors.SignInFailed) -> str:
    texts = {
        errors.SignInProblem.REFUSED: tr(
            "{url} did not take the user name and password{detail}: check the sign-in details and"
            " try again."
        ),
        errors.SignInProblem.NO_SERVICE: tr(
            "{url} has no token service to sign in at: try without sign-in details, or ask the"
            " site's administrator how to sign in."
        ),
        errors.SignInProblem.OTHER_HOST: tr(
            "{url} wants passwords sent to another computer, “{detail}”, which was not done: allow"
            " it in the dialog or name it as the portal in Processing, if it is your portal."
        ),
        errors.SignInProblem.NOT_ENCRYPTED: tr(
            "{url} takes passwords unencrypted only, so none was sent: ask the site's administrator"
            " for an address with https."
        ),
        errors.SignInProblem.WEB_SERVER: tr(
            "The web server in front of {url} wants a sign-in of its own{detail}: choose sign-in"
            " details that it takes, or ask the site's administrator which ones it does."
        ),
        errors.SignInProblem.NOTHING_GIVEN: tr(
            "QGIS got no token for the sign-in details “{detail}”: check them in the authentication"
            " options of QGIS, then try again and sign in where a browser opens for it."
        ),
    }
    detail = quoted_message(error.detail)
    if error.reason is errors.SignInProblem.REFUSED:
        detail = said_text(own_words(error.detail))
    if error.reason is errors.SignInProblem.WEB_SERVER:
        detail = f" ({detail})" if error.detail else ""
    return texts[error.reason].format(url=plain(error.url), detail=detail)


def _caching_unavailable(error: errors.CachingUnavailable) -> str:
    texts = {
        errors.Unavailable.NO_TOOLS: tr(
            "{url} offers no caching services{detail}, so the cache cannot be changed from here:"
            " ask the site's administrator whether they are running."
        ),
        errors.Unavailable.SIGN_IN: tr(
            "The caching services of {url} want a sign-in{detail}: choose sign-in details of a user"
            " who may manage caches, and try again."
        ),
        errors.Unavailable.NO_RIGHT: tr(
            "This user has no right to the caching services of {url}{detail}: sign in as one who"
            " has, or ask the site's administrator."
        ),
        errors.Unavailable.UNKNOWN_TASK: tr(
            "The caching services of {url} work in a way that is not known here{detail}: report"
            " this, with the version of the site."
        ),
    }
    if is_administration(error.url):
        texts.update(_hosted_texts())
    detail = f" ({quoted_message(error.detail)})" if error.detail else ""
    return texts[error.reason].format(url=plain(error.url), detail=detail)


def _hosted_texts() -> dict[errors.Unavailable, str]:
    return {
        errors.Unavailable.NO_TOOLS: tr(
            "Nothing at {url} lets the tiles of the hosted layer be changed: check the layer's"
            " address, or ask its owner."
        ),
        errors.Unavailable.SIGN_IN: tr(
            "Only its owner and administrators may change the tiles of the hosted layer at {url}:"
            " choose sign-in details of one of them, and try again."
        ),
        errors.Unavailable.NO_RIGHT: tr(
            "This user may not change the tiles of the hosted layer at {url}: sign in as its owner"
            " or as an administrator."
        ),
    }


def is_administration(url: str) -> bool:
    """Whether `url` is of a hosted layer's administration."""
    return "/rest/admin/services/" in url.lower()


def silence_text(cause: errors.SiteError) -> str:
    """Why a site gives no answer, in a few words."""
    if isinstance(cause, errors.SiteUnreachable):
        return {
            errors.Unreachable.NAME: tr("its name is not found"),
            errors.Unreachable.REFUSED: tr("it refuses connections"),
            errors.Unreachable.TIMEOUT: tr("it takes too long"),
            errors.Unreachable.CERTIFICATE: tr("its certificate is not trusted"),
            errors.Unreachable.CLIENT_CERTIFICATE: tr("it wants a certificate of yours"),
            errors.Unreachable.PROXY: tr("the proxy fails"),
            errors.Unreachable.BROKEN: tr("the connection breaks"),
            errors.Unreachable.TOO_LARGE: tr("its answers are too large"),
            errors.Unreachable.SILENT: tr("it has been silent for too long"),
        }[cause.reason]
    if isinstance(cause, errors.SiteRefused):
        words = own_words(cause.message)
        if words:
            return tr("it says “{message}”").format(message=words)
        return tr("it answers with an error of its own")
    return tr("something else answers in its place")


def _site_silent(error: errors.SiteSilent) -> str:
    text = tr(
        "The site gives no answer just now ({reason}), at {url}: it is asked again for up to"
        " {seconds} seconds."
    )
    return text.format(
        reason=silence_text(error.cause),
        url=plain(error.url),
        seconds=number_text(round(error.patience)),
    )


def _item_unusable(error: errors.ItemUnusable) -> str:
    text = tr(
        "The item “{name}” at {url} is no map or image service but of the kind “{kind}”: choose a"
        " tile layer, or a map or image service."
    )
    if error.kind in ITEM_KINDS:
        text = tr(
            "The item “{name}” at {url} does not say at which address its service is: ask its"
            " owner, or choose another item."
        )
    if not error.kind:
        text = tr(
            "Nothing at {url} can be used as an item: choose a tile layer, or a map or image"
            " service."
        )
    return text.format(
        name=quoted_message(error.name), url=plain(error.url), kind=quoted_message(error.kind)
    )


def _item_elsewhere(error: errors.ItemElsewhere) -> str:
    if not error.name:
        text = tr(
            "That address is of a map that shows the service {service}, which is on another host,"
            " so your sign-in was not sent there: if you trust that site, load the service by its"
            " own address."
        )
        return text.format(service=plain(error.service_url))
    text = tr(
        "The item “{name}” shows the service {service}, which the portal does not know as its own,"
        " so your sign-in was not sent there: if you trust that site, load the service by its own"
        " address."
    )
    return text.format(name=quoted_message(error.name), service=plain(error.service_url))


SITE_SENTENCES: dict[type, Callable[[Any], str]] = {
    errors.SiteError: _site_error,
    errors.SiteUnreachable: _unreachable,
    errors.NotArcGIS: _not_arcgis,
    errors.SiteRefused: _refused,
    errors.NotFound: _not_found,
    errors.NotAllowed: _not_allowed,
    errors.SignInNeeded: _sign_in_needed,
    errors.SignInFailed: _sign_in_failed,
    errors.CachingUnavailable: _caching_unavailable,
    errors.ItemElsewhere: _item_elsewhere,
    errors.ItemUnusable: _item_unusable,
    errors.SiteSilent: _site_silent,
}
