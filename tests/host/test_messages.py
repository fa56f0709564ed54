"""What people are told: a sentence for every error, and services and reports in words."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from enum import Enum

import pytest
from host.samples import WEB_MERCATOR_LEVELS, degrees, swiss, web_mercator
from host.sentence_rules import american, assert_is_one_sentence  # noqa: F401
from qgis.core import Qgis, QgsApplication
from qgis.PyQt.QtCore import QLocale

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.plugin.core.description import CacheDescription, LevelStatus
from tile_cache_manager.plugin.core.request import (
    LevelReport,
    Message,
    Outcome,
    Severity,
    UpdateMode,
    UpdateReport,
)
from tile_cache_manager.plugin.core.tiling import SpatialReference
from tile_cache_manager.plugin.host import messages
from tile_cache_manager.plugin.host.area_sources import BadRectangle, Cancelled, UnknownCrs
from tile_cache_manager.plugin.host.sign_in import (
    MasterPasswordNeeded,
    PortalAddressError,
    SignInUnusable,
)

pytestmark = pytest.mark.usefixtures("qgis_app", "american")

URL = "https://site.test/arcgis/rest/services/World/MapServer"
# One value for every argument of every error, and what of it a person must read in the sentence.
ARGUMENTS = {
    "address": (URL, URL),
    "site_url": ("https://site.test/arcgis/rest/services", ""),
    "url": (URL, URL),
    "text": ("abc", "abc"),
    "status": (404, "404"),
    "content_type": ("text/html", "text/html"),
    "code": (400, ""),
    "names_item": (False, ""),
    "message": ("Unable to complete operation.", "Unable to complete operation"),
    "details": (("The extent is wrong",), "The extent is wrong"),
    "detail": ("other.test", ""),
    "service": ("Maps/World", "Maps/World"),
    "key": ("tileInfo.lods", "tileInfo.lods"),
    "scale": (5000.0, "1:5,000"),
    "known": ((4000.0, 8000.0), "1:8,000"),
    "mode": ("DELETE_TILES", "Delete Tiles"),
    "instances": (0, "0"),
    "name": ("parcels", "parcels"),
    "method": ("OAuth2", "OAuth2"),
    "schemes": ((), ""),
    "is_owner": (False, ""),
    "job_url": ("https://site.test/arcgis/jobs/j1", "https://site.test/arcgis/jobs/j1"),
    "service_url": ("https://site.test/server", "https://site.test/server"),
    "seconds": (1200.0, "1,200"),
    "patience": (300.0, "300"),
    "tiles_per_second": (12.5, "12.5"),
    "parts": (2, "2"),
    "how": ("FIX_JOB", "FIX_JOB"),
    "kind": ("Web Map", "Web Map"),
    "portal_url": ("https://portal.test/portal", ""),
    "cause": (errors.SiteUnreachable("https://site.test", errors.Unreachable.TIMEOUT), ""),
    "scheme_only": (True, ""),
    "path": ("/maps/Über  all/World", "/maps/Über  all/World"),
    "option": ("DPI", "DPI"),
    "value": ("0", "“0”"),
    "allowed": ("a number above 0", "give a number above 0"),
    "needed": (88080384, "84.0 MB"),
    "free": (2048, "2.0 kB"),
    "is_at_least": (True, "at least 84.0 MB"),
    "size": (88080384, "84.0 MB"),
    "image_format": ("LERC", "LERC"),
    "scales": ((4000.0, 8000.0), "1:8,000"),
    "limit": (100000, "100,000"),
    "storage": ("MBTILES", "MBTiles"),
    "possible": (("TPKX", "EXPLODED"), "Exploded"),
    "source": ("/maps/Wälder.tpkx", "/maps/Wälder.tpkx"),
    "worker": ("tcp://10.0.0.7:40331", "tcp://10.0.0.7:40331"),
    "differences": ((errors.Differs.ORIGIN, errors.Differs.SCALES), "tile origin, scales"),
}
# Roots that are never raised themselves carry their text to programs, not to people.
TEXT_OF_ROOTS = {
    *(errors.SiteError, errors.JobError, errors.StorageError),
    *(errors.SourceError, errors.ExportError),
}
WITHOUT_SUBJECT = {errors.NothingToDrawReason.NO_SOURCE}
WHERE_URL_IS_NOT_SAID = {errors.ItemElsewhere, errors.SignInProblem.NOTHING_GIVEN}
WHERE_DETAIL_IS_SAID = {errors.SignInProblem.REFUSED, errors.SignInProblem.OTHER_HOST}


def error_classes() -> list[type[Exception]]:
    found = [
        item
        for item in vars(errors).values()
        if inspect.isclass(item) and issubclass(item, errors.TileCacheError)
    ]
    return [item for item in found if item is not errors.TileCacheError]


def errors_of(kind: type[Exception]) -> Iterator[tuple[Exception, list[str]]]:
    """An error of class `kind` for each member of its enum, and what its sentence must hold."""
    names = []
    if "__init__" in vars(kind) or kind.__init__ is not Exception.__init__:
        names = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
    names = [name for name in names if name not in ("args", "kwargs")]
    enum = next((item for item in vars(errors).values() if _is_enum_of(item, kind)), None)
    for member in enum or [None]:
        values = {name: ARGUMENTS[name][0] for name in names if name != "reason"}
        wanted = [ARGUMENTS[name][1] for name in names if name != "reason"]
        if kind in TEXT_OF_ROOTS:
            wanted.remove("abc")
        if member is not None:
            values["reason"] = member
        if member in WITHOUT_SUBJECT:
            wanted.clear()
        if WHERE_URL_IS_NOT_SAID & {kind, member}:
            wanted.remove(URL)
        if member in WHERE_DETAIL_IS_SAID or kind is errors.CachingUnavailable:
            wanted.append(ARGUMENTS["detail"][0])
        yield kind(**values), wanted


def _is_enum_of(item: object, kind: type) -> bool:
    if not (inspect.isclass(item) and issubclass(item, Enum)):
        return False
    reason = inspect.signature(kind.__init__).parameters.get("reason")
    return reason is not None and reason.annotation == item.__name__


CASES = [
    pytest.param(error, wanted, id=f"{kind.__name__}-{getattr(error, 'reason', '')}")
    for kind in error_classes()
    for error, wanted in errors_of(kind)
]


@pytest.mark.parametrize(
    "cause",
    [
        *(errors.SiteUnreachable("https://site.test", reason) for reason in errors.Unreachable),
        errors.SiteRefused("https://site.test", 503, "Restarting."),
        errors.NotArcGIS("https://site.test", 200, "text/html"),
    ],
    ids=str,
)
def test_why_a_site_is_silent(cause: errors.SiteError) -> None:
    text = messages.sentence(errors.JobSilent("https://site.test/jobs/j1", cause, 300))
    assert_is_one_sentence(text)
    assert "()" not in text


@pytest.mark.parametrize(("error", "wanted"), CASES)
def test_every_error_has_a_sentence_that_names_its_subject(
    error: Exception, wanted: list[str]
) -> None:
    text = messages.sentence(error)
    assert_is_one_sentence(text)
    assert "unexpected" not in text
    for part in wanted:
        assert part in text


def test_no_two_errors_have_the_same_sentence() -> None:
    sentences = [messages.sentence(case.values[0]) for case in CASES]
    assert len(set(sentences)) == len(sentences)
    # a new member without its sentence would raise KeyError above; and all enums were met
    enums = {
        item for item in vars(errors).values() if inspect.isclass(item) and issubclass(item, Enum)
    }
    met = {type(case.values[0].reason) for case in CASES if hasattr(case.values[0], "reason")}
    assert met == enums - {Enum, errors.Differs}  # of which one error lists several


OTHER_SENTENCES = [
    (errors.NotCached("World"),
     "World has no tile cache: choose a cached service, or ask its publisher to create a cache for"
     " it."),
    (errors.AddressError("nonsense"),
     "“nonsense” is neither the address of a map or image service nor the path of a cache: copy the"
     " address from the service's page, it ends in /MapServer or /ImageServer, or browse for the"
     " cache."),
    (errors.UnknownScale(5000, ()), "1:5,000 is none of the scales that are cached: there are"
     " none."),
    (errors.UnknownScale(5000, tuple(range(1000, 9000, 1000))),
     "1:5,000 is none of the scales that are cached: choose from 1:1,000, 1:2,000, 1:3,000, "
     "1:4,000, 1:5,000, 1:6,000, and 2 more."),
    (errors.CachingUnavailable(URL, errors.Unavailable.NO_TOOLS),
     f"{URL} offers no caching services, so the cache cannot be changed from here: ask the site's"
     " administrator whether they are running."),
    (errors.CachingUnavailable("https://site.test/rest/admin/services/W/MapServer",
                               errors.Unavailable.NO_TOOLS),
     "Nothing at https://site.test/rest/admin/services/W/MapServer lets the tiles of the hosted"
     " layer be changed: check the layer's address, or ask its owner."),
    (errors.CachingUnavailable("https://site.test/rest/admin/services/W/MapServer",
                               errors.Unavailable.SIGN_IN),
     "Only its owner and administrators may change the tiles of the hosted layer at"
     " https://site.test/rest/admin/services/W/MapServer: choose sign-in details of one of them,"
     " and try again."),
    (errors.CachingUnavailable("https://site.test/rest/admin/services/W/MapServer",
                               errors.Unavailable.NO_RIGHT),
     "This user may not change the tiles of the hosted layer at"
     " https://site.test/rest/admin/services/W/MapServer: sign in as its owner or as an"
     " administrator."),
    (errors.SignInNeeded(URL, 499, "Token Required", ("Token Required",)),
     f"{URL} wants a sign-in, the site says “Token Required”: choose sign-in details and try"
     " again."),
    (MasterPasswordNeeded("abc1234"),
     "The master password of QGIS is missing or wrong, so the sign-in details “abc1234” could not"
     " be read: enter it when QGIS asks for it, or name a file that holds it in"
     " QGIS_AUTH_PASSWORD_FILE for qgis_process."),
    (errors.SiteRefused(URL, None, ""),
     f"{URL} answered with an error of its own: try again, or ask the site's administrator."),
    (errors.AddressError("https://site.test/portal/home/item.html", names_item=True),
     "“https://site.test/portal/home/item.html” is the page of an item, but the item's id in it is"
     " none: copy the whole address of the page."),
    (errors.SiteRefused(URL, 503, ""),
     f"{URL} answered with an error of its own, 503: try again, or ask the site's administrator."),
    (errors.SiteRefused(URL, None, "Out of order."),
     f"{URL} answered with an error of its own, “Out of order”: try again, or ask the site's"
     " administrator."),
    (errors.SiteRefused(URL, 500, "Out of order.", ("Out of order", "Disk is full")),
     f"{URL} answered with an error of its own, 500 “Out of order; Disk is full”: try again, or ask"
     " the site's administrator."),
    (errors.SignInNeeded(URL, 401, ""),
     f"{URL} wants a sign-in: choose sign-in details and try again."),
    (errors.NotFound(URL, 404, " ."), f"{URL} does not exist: check the address."),
    (errors.SignInFailed(URL, errors.SignInProblem.REFUSED),
     f"{URL} did not take the user name and password: check the sign-in details and try again."),
    (errors.SignInFailed(URL, errors.SignInProblem.REFUSED, "Invalid user."),
     f"{URL} did not take the user name and password, the site says “Invalid user”: check the"
     " sign-in details and try again."),
    (errors.JobFailed("https://site.test/jobs/j1", ""),
     "The job failed on the site: see https://site.test/jobs/j1 for more, or ask the site's"
     " administrator."),
    (errors.JobSilent("https://site.test/jobs/j1", errors.SiteRefused(URL, 503, ""), 300),
     "The site gives no answer about the job https://site.test/jobs/j1 just now (it answers with an"
     " error of its own): it is asked again for up to 300 seconds."),
    (errors.JobLost("https://site.test/System/CachingToolsEx.GPServer/T/jobs/j1",
                    errors.NotFound(URL, 404, "Job not found.")),
     "The site does not know the job https://site.test/System/CachingToolsEx.GPServer/T/jobs/j1 any"
     " more: load the service again to see how full its levels are, and make the rest with Recreate"
     " Empty Tiles."),
    (errors.ItemUnusable(URL, "Draft", "Map Service"),
     f"The item “Draft” at {URL} does not say at which address its service is: ask its owner, or"
     " choose another item."),
    (errors.ItemUnusable(URL, "", ""),
     f"Nothing at {URL} can be used as an item: choose a tile layer, or a map or image service."),
    (errors.BadArea("", errors.BadAreaReason.NO_LAYERS),
     "No layer with an extent is there for “the area of interest”: add one to the project, or"
     " choose another area."),
    (SignInUnusable("abc1234", ""),
     "The sign-in details “abc1234” could not be read: choose others, or make them anew in the"
     " authentication options of QGIS."),
    (SignInUnusable("work", "OAuth2"),
     "The sign-in details “work” cannot be used: complete them in the authentication options of"
     " QGIS, with “Header” as their access method."),
    (SignInUnusable("work", "EsriToken"),
     "The sign-in details “work” hold no token that can be sent: copy the whole token into them"
     " anew, without anything around it."),
    (PortalAddressError("portal.test"),
     "“portal.test” is not the address of a portal: give it whole, such as"
     " https://gis.example.com/portal."),
    (errors.JobLost("https://site.test/jobs/j1", errors.NotAllowed(URL, 403, "no")),
     "The site does not let this user look at the job any more, which may still be running: sign in"
     " and find it again at https://site.test/jobs/j1."),
    (errors.JobLost("https://site.test/jobs/j1", errors.NotFound(URL, 404, "Job not found.")),
     "The site does not know the job https://site.test/jobs/j1 any more: load the service again to"
     " see how full its levels are, and make the rest with Recreate Empty Tiles; run an export"
     " again."),
    (errors.JobLost("https://site.test/rest/admin/services/World/MapServer/jobs/j1",
                    errors.NotFound(URL, 404, "Job not found.")),
     "The site does not know the job https://site.test/rest/admin/services/World/MapServer/jobs/j1"
     " any more: load the service again to see how full its levels are, and update again what is"
     " missing."),
    (errors.NotTakenUp("https://site.test/rest/admin/services/World/MapServer/jobs/j1",
                       errors.TakeUpProblem.NOT_OFFERED, "COMPLETE_JOB"),
     "The site does not offer COMPLETE_JOB for the job"
     " https://site.test/rest/admin/services/World/MapServer/jobs/j1: run the update again"
     " instead."),
    (errors.TooManyJobs("World", 1000),
     "World takes rectangles only, and this area takes more than 1,000 of them, a job each: choose"
     " a simpler or smaller area, or fewer scales."),
    (errors.BadScales(";;"), "“;;” is not a list of scales: give denominators joined by “;”, such"
     " as 500000;250000."),
    (errors.ServiceChanged("World"),
     "World has got another tiling scheme, or tile format, since it was loaded, so nothing more was"
     " done: load it again and choose the scales anew."),
    (BadRectangle("9,1,0,5"),
     "“9,1,0,5” is not an extent: give xmin,xmax,ymin,ymax and a CRS such as [EPSG:3857], with the"
     " minima below the maxima."),
    (UnknownCrs("EPSG:99999"),
     "“EPSG:99999” is no coordinate reference system that QGIS knows: give the extent with one such"
     " as [EPSG:3857]."),
    (Cancelled(), "The work was cancelled: run it again when you like."),
    (ValueError("odd value."),
     "Something unexpected happened (ValueError, odd value): see the log messages, and report it."),
    (RuntimeError(),
     "Something unexpected happened (RuntimeError, no message): see the log messages, and report"
     " it."),
]  # fmt: skip


@pytest.mark.parametrize(("error", "expected"), OTHER_SENTENCES)
def test_sentences_word_by_word(error: Exception, expected: str) -> None:
    assert messages.sentence(error) == expected
    assert_is_one_sentence(expected)


LOOKED_FOR = [
    ("hello", errors.AddressError("hello"),
     "“hello” is not the address of a site or of a portal: enter it whole, such as"
     " https://gis.example.com/arcgis."),
    ("", errors.AddressError(""),
     "There is no address: enter that of a site or of a portal."),
    (f"{URL}x/FeatureServer", errors.AddressError(f"{URL}x/FeatureServer"), "of another kind"),
    ("site.test/x", errors.AddressError("site.test/x", names_item=True), "page of an item"),
    ("site.test:6080/arcgis",
     errors.SiteUnreachable("https://site.test:6080/arcgis/rest/info", errors.Unreachable.BROKEN),
     "Nothing could be had by https from https://site.test:6080/arcgis/rest/info: check the"
     " address, and write http:// in front of it if the site has no https."),
    ("https://site.test:6080/arcgis",
     errors.SiteUnreachable("https://site.test:6080/arcgis/rest/info", errors.Unreachable.BROKEN),
     "The connection to https://site.test:6080/arcgis/rest/info broke: try again."),
    ("site.test/arcgis",
     errors.SiteUnreachable("https://site.test/arcgis/rest/info", errors.Unreachable.NAME),
     "No computer of that name"),
]  # fmt: skip


@pytest.mark.parametrize(("typed", "error", "expected"), LOOKED_FOR)
def test_what_is_told_of_an_address_that_was_looked_at(
    typed: str, error: Exception, expected: str
) -> None:
    text = messages.looking_sentence(error, typed)
    assert text == expected or (expected[-1] != "." and expected in text)
    assert_is_one_sentence(text)


SECRET = "hunter2"
SECRETIVE = [
    errors.AddressError(f"https://site.test/rest?token={SECRET}"),
    errors.AddressError(f"https://anna:{SECRET}@site.test/rest"),
    errors.AddressError(f"https://anna:s@{SECRET}@site.test/rest"),
    errors.AddressError(f"anna:{SECRET}@site.test/rest"),
    RuntimeError(f"https://anna:s@{SECRET}@site.test/rest gone"),
    RuntimeError(f"no proxy socks5h://anna:{SECRET}@site.test:8080"),
    errors.AddressError(f"site.test/rest?f=json&token={SECRET}"),
    errors.SiteRefused(URL, 498, f"bad token={SECRET} given"),
    errors.SiteRefused(URL, 498, "bad", (f'{{"token": "{SECRET}"}}',)),
    errors.SiteRefused(URL, 498, f"Authorization: Bearer {SECRET}"),
    RuntimeError(f"GET https://site.test/x?a=1&token={SECRET} failed"),
    RuntimeError(f"password = '{SECRET}'"),
]


@pytest.mark.parametrize("error", SECRETIVE, ids=str)
def test_secrets_that_slipped_in_do_not_come_out(error: Exception) -> None:
    assert SECRET not in messages.sentence(error)


FOREIGN = [
    ("<b>Access</b> <script>x</script>denied", "Access xdenied"),
    ("<<b>b>nested", "nested"),
    ("width < 5 and height > 3", "width < 5 and height > 3"),
    ("two\nlines\tand \x00\x1b[31mcolour", "two lines and [31mcolour"),
    ("right\u202eto left", "right to left"),
    ("half a \ud83d letter", "half a letter"),
    ("<img src=x onerror", "\u2039img src=x onerror"),
    ("x" * 1000, "x" * 299 + "…"),
]


@pytest.mark.parametrize(("text", "expected"), FOREIGN)
def test_texts_of_a_site_are_shown_plain_and_short(text: str, expected: str) -> None:
    assert f"“{expected}”" in messages.sentence(errors.JobFailed(URL, text))
    assert messages.message_text(Message(text)) == expected


def test_a_message_about_an_error_is_its_sentence() -> None:
    error = errors.SiteUnreachable(URL, errors.Unreachable.TIMEOUT)
    message = Message("", Severity.WARNING, error)
    assert messages.message_text(message) == messages.sentence(error)


# published denominators (ArcGIS Online's scheme), and what people read
SCALES = [
    (591657527.591555, "1:591,657,528"),
    (4622324.434309, "1:4,622,324"),
    (70.5310735, "1:71"),
    (2.5, "1:2.5"),
]


@pytest.mark.parametrize(("denominator", "expected"), SCALES)
def test_scales_as_people_write_them(denominator: float, expected: str) -> None:
    assert messages.scale_text(denominator) == expected


def test_scales_follow_the_user_s_locale() -> None:
    QLocale.setDefault(QLocale(QLocale.Language.German, QLocale.Country.Germany))
    assert messages.scale_text(591657527.591555) == "1:591.657.528"


def test_the_summary_of_a_service() -> None:
    lines = messages.summary(web_mercator()).split("\n")
    assert lines == [
        "World (map service, ArcGIS Server 10.8.1)",
        "4 cached scales from 1:591,657,528 to 1:144,448, PNG tiles of 256 x 256 pixels",
        "WGS 84 / Pseudo-Mercator (EPSG:3857); x from -20,037,508 to 20,037,508,"
        " y from -20,037,508 to 20,037,508",
    ]


def odd(**changes: object) -> CacheDescription:
    return replace(degrees(), **changes)


ODD_CRS = replace(degrees().scheme, crs=SpatialReference(wkid=999999))
SUMMARY_LINES = [
    (odd(version=""), 0, "WorldInDegrees (map service)"),
    (odd(version="11.1", kind="ImageServer"), 0,
     "WorldInDegrees (image service, ArcGIS Server 11.1)"),
    (odd(version="10.91"), 0, "WorldInDegrees (map service, ArcGIS Server 10.9.1)"),
    (odd(version="10.05"), 0, "WorldInDegrees (map service, ArcGIS Server 10.0.5)"),
    (odd(version="10.3"), 0, "WorldInDegrees (map service, ArcGIS Server 10.3)"),
    (odd(cached_levels=degrees().cached_levels[:1], image_format=""), 1,
     "One cached scale, 1:295,497,599, tiles of 256 x 256 pixels"),
    (odd(extent=None), 2, "WGS 84 (EPSG:4326)"),
    (odd(), 2, "WGS 84 (EPSG:4326); x from -180.0000 to 180.0000, y from -90.0000 to 90.0000"),
    (odd(scheme=ODD_CRS), 2, "Coordinate reference system unknown to QGIS"),
    (odd(status=(LevelStatus(0, 3, 8), LevelStatus(1, 1000, 2000))), 3,
     "1,003 of 2,008 tiles exist"),
    (odd(status=(LevelStatus(0, 3, 8), LevelStatus(1, 1000))), 3, "1,003 tiles exist"),
    (odd(text="<p>Roads &\nrivers</p>"), 3, "Roads & rivers"),
    (odd(is_hosted=True), 3,
     "Hosted layer: updated by whole bundles of 128 x 128 tiles, in rectangles, each by a job of"
     " its own"),
]  # fmt: skip


@pytest.mark.parametrize(("description", "line", "expected"), SUMMARY_LINES)
def test_lines_of_the_summary(description: CacheDescription, line: int, expected: str) -> None:
    assert messages.summary(description).split("\n")[line] == expected


def test_every_mode_has_a_name_and_a_line() -> None:
    names = {messages.mode_text(mode) for mode in UpdateMode}
    assert names == {"Recreate Empty Tiles", "Recreate All Tiles", "Delete Tiles"}
    assert len({messages.mode_help(mode) for mode in UpdateMode}) == len(UpdateMode)
    for mode in UpdateMode:
        assert_is_one_sentence(messages.mode_help(mode))


def test_why_a_mode_cannot_be_chosen() -> None:
    mode = UpdateMode.RECREATE_EMPTY
    assert messages.unavailable_reason(swiss(), mode) == ""
    without = replace(swiss(), modes=(UpdateMode.DELETE,))
    assert messages.unavailable_reason(without, mode) == (
        "The site does not offer “Recreate Empty Tiles” for Swiss."
    )
    hosted = replace(without, is_hosted=True)
    assert messages.unavailable_reason(hosted, mode) == (
        "Swiss is a hosted layer, whose site makes all the tiles of a bundle every time: choose"
        " “Recreate All Tiles”, and merge bundles where tiles that exist are to stay."
    )
    problem = errors.CachingUnavailable(URL, errors.Unavailable.SIGN_IN)
    barred = replace(swiss(), modes=(), modes_problem=problem)
    assert messages.unavailable_reason(barred, mode) == messages.sentence(problem)


def test_why_a_scale_cannot_be_ticked() -> None:
    first, second, third, last = WEB_MERCATOR_LEVELS
    description = replace(web_mercator(), cached_levels=(first, second, third))
    assert messages.uncached_reason(description, third) == ""
    assert messages.uncached_reason(description, last) == (
        "World lists 1:144,448 but does not cache it; it caches 1:591,657,528 to 1:9,244,649."
    )


def report(mode: UpdateMode, outcome: Outcome = Outcome.DONE, **counts: int | None) -> UpdateReport:
    planned = counts.pop("planned", 1500)
    level = LevelReport(WEB_MERCATOR_LEVELS[0], planned, **counts)
    return UpdateReport(outcome, mode, (level,), URL, "j12", JOB_URL)


EMPTY, ALL, DELETE = UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL, UpdateMode.DELETE
DONE = f"Update of {URL} done: "
JOB_URL = "https://site.test/arcgis/rest/services/System/CachingTools/GPServer/Tiles/jobs/j12"
REPORTS = [
    (report(EMPTY, made=1200, replaced=0, skipped=300, failed=0, deleted=0),
     DONE + "1,500 tiles in the area, 1,200 made, 300 left as they were."),
    (report(ALL, made=1000, replaced=500, failed=2),
     DONE + "1,500 tiles in the area, 1,000 made, 500 replaced, 2 failed."),
    (report(EMPTY), DONE + "1,500 tiles in the area, the site does not tell how many it made."),
    (report(ALL), DONE + "1,500 tiles in the area, the site does not tell how many it made or"
     " replaced."),
    (report(ALL, made=0, replaced=1500), DONE + "1,500 tiles in the area, 0 made, 1,500 replaced."),
    (report(ALL, Outcome.CANCELLED, made=0),
     f"Update of {URL} cancelled, what was done until then is kept: 1,500 tiles in the area, the"
     " site does not tell how many it replaced."),
    (report(ALL, Outcome.PARTIAL, made=3, failed=2),
     f"Update of {URL} done, but some tiles failed (1,500 tiles in the area, 3 made, 2 failed, the"
     " site does not tell how many it replaced): look for the reason in the site's messages, and"
     " run it again."),
    (replace(report(ALL, Outcome.CANCELLED, made=0), job_id="", job_url=""),
     f"Update of {URL} cancelled before anything was changed."),
    (report(EMPTY, made=0, skipped=1500), DONE + "1,500 tiles in the area, 0 made, 1,500 left as"
     " they were."),
    (report(DELETE, deleted=7), DONE + "1,500 tiles in the area, 7 deleted."),
    (report(DELETE), DONE + "1,500 tiles in the area, the site does not tell how many it deleted."),
    (report(DELETE, planned=1, deleted=0, failed=0), DONE + "1 tile in the area, 0 deleted."),
    (report(EMPTY, planned=None, made=5, skipped=0, failed=0),
     DONE + "how many tiles the area touches is not known, 5 made."),
    (report(EMPTY, Outcome.CANCELLED, made=7),
     f"Update of {URL} cancelled, what was done until then is kept: 1,500 tiles in the area, 7"
     " made."),
    (report(EMPTY, Outcome.PARTIAL, made=1490),
     f"Update of {URL} done, but some tiles failed (1,500 tiles in the area, 1,490 made): look for"
     " the reason in the site's messages, and run it again."),
    (replace(report(EMPTY, Outcome.SUBMITTED), earlier_job_urls=(f"{JOB_URL}0",)),
     "The site has taken 2 jobs, one for each area, and goes on by itself, 1,500 tiles in the area;"
     f" they are at {JOB_URL}0, {JOB_URL}."),
    (report(EMPTY, Outcome.SUBMITTED), "The site has taken the job and goes on by itself, 1,500"
     f" tiles in the area; it is at {JOB_URL}."),
]  # fmt: skip


@pytest.mark.parametrize(("given", "expected"), REPORTS)
def test_reports_tell_numbers_and_what_nobody_knows(given: UpdateReport, expected: str) -> None:
    assert messages.report_sentence(given) == expected


def test_the_log_has_its_own_page_and_levels() -> None:
    lines: list[tuple] = []
    log = QgsApplication.messageLog()
    keep = lambda *line: lines.append(line)  # noqa: E731
    log.messageReceived[str, str, Qgis.MessageLevel].connect(keep)
    messages.log("hello")
    messages.log("oh", Severity.ERROR)
    messages.log_unexpected(errors.NoLevels())
    try:
        raise RuntimeError(f"https://site.test/x?token={SECRET}")
    except RuntimeError as error:
        messages.log_unexpected(error)
    log.messageReceived[str, str, Qgis.MessageLevel].disconnect(keep)
    assert lines[:2] == [
        ("hello", "Tile Cache Manager", Qgis.MessageLevel.Info),
        ("oh", "Tile Cache Manager", Qgis.MessageLevel.Critical),
    ]
    assert len(lines) == 3
    assert "test_messages.py" in lines[2][0]
    assert SECRET not in "".join(line[0] for line in lines)


def test_coordinates_are_grouped_as_numbers_are_though_qgis_does_not() -> None:
    ungrouped = QLocale(QLocale.Language.English, QLocale.Country.UnitedStates)
    ungrouped.setNumberOptions(QLocale.NumberOption.OmitGroupSeparator)
    QLocale.setDefault(ungrouped)  # as QGIS does; the fixture puts it right again
    assert "x from -20,037,508 to 20,037,508" in messages.summary(web_mercator())


def test_a_map_s_service_elsewhere_is_named() -> None:
    service = "https://other.example/arcgis/rest/services/World/MapServer"
    error = errors.ItemElsewhere("https://gis.example/portal/home/viewer.html", "", service)

    said = messages.sentence(error)

    assert service in said
    assert "“”" not in said
