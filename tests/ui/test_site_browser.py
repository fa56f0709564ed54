"""The window in which a service is found, before the stand-in sites and portals."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from arcgis_server.handle import PUBLISHER, VIEWER
from dialog_person import Person
from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QModelIndex, QRect, Qt
from qgis.PyQt.QtGui import QTextDocument
from qgis.PyQt.QtTest import QTest

from tile_cache_manager.plugin.host import settings
from tile_cache_manager.ui.site_browser import SiteBrowser

MARK_UP = '<img src="x"><b>Bold & brave</b> &lt;u>'
READ = "Bold & brave &lt;u>"
"""What a person is to read of that."""
FIRST_WORDS = "Enter the address of a site or portal, and open it."
CLASSIC = [
    "Basemaps",
    "Dynamic",
    "Elevation",
    "Imagery",
    "Places",
    "Scheme",
    "Streets",
    "World",
]


class Looker(Person):
    """Somebody who looks for a service in the window."""

    def __init__(self, window: Any, wait_until: Any) -> None:
        super().__init__(window, wait_until)
        self.loaded: list[tuple[str, str]] = []
        window.chosen.connect(lambda *chosen: self.loaded.append(chosen))

    def open(self, address: str, sign_in: str = "") -> None:
        self.find("site_edit").setText(address)
        self.find("auth_select").setConfigId(sign_in)
        self.click("open_button")
        self.wait()

    def wait(self) -> None:
        self.wait_until(lambda: self.shows("open_button") == "Open", 20, "the answer")

    def rows(self, *under: str) -> list[str]:
        """Texts of the rows on show, at the top or in a folder."""
        parent = self.index(*under)
        model = self.tree.model()
        return [model.index(row, 0, parent).data() for row in range(model.rowCount(parent))]

    def index(self, *names: str) -> QModelIndex:
        model, found = self.tree.model(), QModelIndex()
        for name in names:
            at = [model.index(row, 0, found).data() for row in range(model.rowCount(found))]
            assert name in at, f"{name} is not among {at}"
            found = model.index(at.index(name), 0, found)
        return found

    @property
    def tree(self) -> Any:
        return self.find("services_view")

    def place(self, *names: str) -> QRect:
        self.tree.scrollTo(self.index(*names))
        return self.tree.visualRect(self.index(*names))

    def expand(self, *names: str) -> None:
        """Open a folder by the keyboard."""
        self.tree.setCurrentIndex(self.index(*names))
        QTest.keyClick(self.tree, Qt.Key.Key_Right)
        self.wait()

    def collapse(self, *names: str) -> None:
        self.tree.setCurrentIndex(self.index(*names))
        QTest.keyClick(self.tree, Qt.Key.Key_Left)

    def double_click(self, *names: str) -> None:
        at, view = self.place(*names).center(), self.tree.viewport()
        QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=at)
        QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=at)

    def search(self, words: str) -> None:
        field = self.find("search_edit")
        field.setText(words)
        QTest.keyClick(field, Qt.Key.Key_Return)
        self.wait()


@pytest.fixture
def window(qgis_window: Any, forgetful: None) -> Iterator[SiteBrowser]:
    QgsSettings().remove("tile_cache_manager", QgsSettings.Section.Plugins)
    window = SiteBrowser(qgis_window)
    window.begin("", "")
    yield window
    window.unload()
    window.deleteLater()


@pytest.fixture
def looker(window: SiteBrowser, wait_until: Any) -> Looker:
    return Looker(window, wait_until)


@pytest.fixture
def publisher(store_sign_in: Callable[..., str]) -> str:
    return store_sign_in("Basic", username=PUBLISHER.name, password=PUBLISHER.password)


@pytest.fixture
def viewer(store_sign_in: Callable[..., str]) -> str:
    return store_sign_in("Basic", username=VIEWER.name, password=VIEWER.password)


@pytest.fixture
def saved_connection(qgis_app: Any) -> Iterator[Callable[[str, str], None]]:
    """`saved_connection(name, url)` keeps one as QGIS does."""
    root = "connections/arcgisfeatureserver/items"
    names: list[str] = []

    def save(name: str, url: str) -> None:
        QgsSettings().setValue(f"{root}/{name}/url", url)
        names.append(name)

    yield save
    for name in names:
        QgsSettings().remove(f"{root}/{name}")


# sites


def test_the_tree_of_a_site(looker: Looker, fresh_site: Any) -> None:
    assert looker.shows("state_label") == FIRST_WORDS
    looker.open(fresh_site.site_url("classic"))

    assert looker.rows() == CLASSIC
    asked = [path for path in fresh_site.heard_urls("classic") if "Basemaps" in path]
    assert asked == []  # a folder is asked when it is opened

    looker.expand("Basemaps")
    assert looker.rows("Basemaps") == ["Countries"]
    looker.double_click("Basemaps", "Countries")

    assert looker.loaded == [(fresh_site.service_url("classic", "Basemaps/Countries"), "")]
    assert not looker.dialog.isVisible()


def test_a_service_is_loaded_by_the_button_and_by_return(looker: Looker, fresh_site: Any) -> None:
    looker.open(fresh_site.site_url("classic"))
    button = looker.find("choose_service_button")
    assert not button.isEnabled()

    looker.tree.setCurrentIndex(looker.index("Basemaps"))
    assert not button.isEnabled()
    looker.tree.setCurrentIndex(looker.index("World"))
    shown = looker.shows("state_label").replace("\u200b", "")  # where a line may end
    assert shown == fresh_site.service_url("classic", "World")
    looker.click("choose_service_button")
    looker.dialog.show()
    looker.tree.setFocus()
    QTest.keyClick(looker.tree, Qt.Key.Key_Return)

    assert looker.loaded == [(fresh_site.service_url("classic", "World"), "")] * 2


def test_what_is_typed_filters_all_folders(looker: Looker, fresh_site: Any) -> None:
    looker.open(fresh_site.site_url("classic"))
    looker.search("COUNTR")
    looker.wait_until(lambda: looker.rows() == ["Basemaps"], what="the folder")
    assert looker.rows("Basemaps") == ["Countries"]

    looker.search("")
    assert looker.rows() == CLASSIC

    QTest.keyClicks(looker.find("search_edit"), "ele")  # and no Return
    looker.wait_until(lambda: looker.rows() == ["Elevation"], what="what has it in its name")


def test_a_folder_whose_name_is_typed_is_shown_with_all_that_it_holds(
    looker: Looker, fresh_site: Any
) -> None:
    looker.open(fresh_site.site_url("classic"))
    looker.search("basem")
    assert looker.rows() == ["Basemaps"]
    assert looker.rows("Basemaps") == ["Countries"]


def test_a_site_without_what_is_typed_says_so(looker: Looker, fresh_site: Any) -> None:
    looker.open(fresh_site.site_url("classic"))
    looker.search("zzz")
    assert looker.rows() == []
    assert looker.shows("state_label") == (
        "No map or image service has “zzz” in its name: try other words."
    )

    looker.search("")
    assert looker.shows("state_label") == "Double-click a service to load it."


def test_a_folder_that_cannot_be_searched_is_shown_with_the_reason(
    looker: Looker, fresh_site: Any
) -> None:
    looker.open(fresh_site.site_url("classic"))
    fresh_site.fault("classic", "/services/Basemaps$", "error", code=403, message="not now")
    looker.search("zzz")

    assert looker.rows() == ["Basemaps"]
    assert "not now" in looker.rows("Basemaps")[0]
    assert looker.shows("state_label") == (
        "Nothing was found, but not all could be searched: see why in the tree."
    )


def test_a_folder_that_cannot_be_listed_says_why_and_is_asked_again(
    looker: Looker, fresh_site: Any
) -> None:
    looker.open(fresh_site.site_url("classic"))
    fresh_site.fault("classic", "/services/Basemaps$", "error", code=403, message=MARK_UP)
    looker.expand("Basemaps")

    (why,) = looker.rows("Basemaps")
    assert READ in why
    assert looker.error() == ""
    note = looker.index("Basemaps", why)
    assert shown_by_tool_tip(note) == why
    looker.tree.setCurrentIndex(note)
    assert looker.shows("state_label").replace("\u200b", "") == why  # in as many lines as it needs
    assert not looker.find("choose_service_button").isEnabled()

    looker.collapse("Basemaps")
    looker.expand("Basemaps")
    assert looker.rows("Basemaps") == ["Countries"]


def shown_by_tool_tip(index: QModelIndex) -> str:
    """What a person reads, with mark-up read as Qt does."""
    text, document = index.data(Qt.ItemDataRole.ToolTipRole), QTextDocument()
    if not Qt.mightBeRichText(text):
        return str(text)
    document.setHtml(text)
    return document.toPlainText()


def test_a_site_that_wants_a_sign_in(looker: Looker, fresh_site: Any, publisher: str) -> None:
    looker.open(fresh_site.site_url("secured"))
    assert "sign-in" in looker.wait_for_error()
    assert not looker.find("sign_in_box").isCollapsed()
    assert looker.rows() == []

    looker.open(fresh_site.site_url("secured"), publisher)
    assert looker.error() == ""
    assert "World" in looker.rows()
    looker.double_click("World")
    assert looker.loaded == [(fresh_site.service_url("secured", "World"), publisher)]


def test_a_site_of_a_portal_asks_whether_the_portal_is_trusted(
    looker: Looker, fresh_site: Any, publisher: str
) -> None:
    looker.open(fresh_site.site_url("federated"), publisher)
    looker.wait_for_error()
    looker.click("trust_portal_button")
    looker.wait()

    assert looker.error() == ""
    assert "World" in looker.rows()
    assert settings.trusted_portals(publisher) == (fresh_site.site_url("portal"),)


def test_a_saved_connection_is_looked_at(
    looker: Looker, fresh_site: Any, saved_connection: Callable[..., None]
) -> None:
    saved_connection("Maps & more", fresh_site.services_url("classic"))
    menu = looker.find("saved_button").menu()
    menu.aboutToShow.emit()
    (action,) = [each for each in menu.actions() if each.text() == "Maps && more"]
    action.trigger()
    looker.wait()

    assert looker.rows() == CLASSIC


@pytest.mark.parametrize("address", ["", "World", "ftp://h.example/arcgis", "/data/tiles"])
def test_what_is_no_address(looker: Looker, address: str) -> None:
    looker.open(address)

    assert "of a site or of a portal" in looker.wait_for_error()
    assert looker.rows() == []


def test_a_site_without_https_whose_address_was_typed_without_http(
    looker: Looker, fresh_site: Any
) -> None:
    looker.open(fresh_site.site_url("classic").partition("://")[2])

    assert "write http:// in front of it" in looker.wait_for_error()


def test_stop_lets_the_window_be_used_at_once(looker: Looker, fresh_site: Any) -> None:
    fresh_site.delay("classic", "/rest/services$", 3)
    looker.find("site_edit").setText(fresh_site.site_url("classic"))
    begun = time.monotonic()
    looker.click("open_button")
    assert looker.shows("open_button") == "Stop"
    assert looker.shows("state_label") == "Loading…"
    looker.click("open_button")

    assert looker.shows("open_button") == "Open"
    assert time.monotonic() - begun < 2  # nothing was waited for
    assert looker.shows("state_label") == FIRST_WORDS
    looker.open(fresh_site.site_url("classic"))
    assert looker.rows() == CLASSIC


def test_a_stopped_folder_says_so_and_can_be_opened_again(looker: Looker, fresh_site: Any) -> None:
    looker.open(fresh_site.site_url("classic"))
    fresh_site.delay("classic", "/services/Basemaps$", 3)
    looker.tree.setCurrentIndex(looker.index("Basemaps"))
    QTest.keyClick(looker.tree, Qt.Key.Key_Right)
    assert looker.rows("Basemaps") == ["Loading…"]
    looker.click("open_button")
    assert "cancelled" in looker.rows("Basemaps")[0].lower()

    looker.collapse("Basemaps")
    looker.expand("Basemaps")
    assert looker.rows("Basemaps") == ["Countries"]


def test_closing_stops_and_opening_again_shows_what_was_there(
    looker: Looker, fresh_site: Any
) -> None:
    looker.open(fresh_site.site_url("classic"))
    heard = len(fresh_site.heard_urls("classic"))
    looker.dialog.reject()
    looker.dialog.begin(fresh_site.site_url("classic"), "")

    assert looker.rows() == CLASSIC
    assert len(fresh_site.heard_urls("classic")) == heard


def test_refresh_asks_anew(looker: Looker, fresh_site: Any) -> None:
    looker.open(fresh_site.site_url("classic"))
    looker.expand("Basemaps")
    heard = len(fresh_site.heard_urls("classic"))
    QTest.keyClick(looker.tree, Qt.Key.Key_F5)
    looker.wait()
    looker.expand("Basemaps")

    assert looker.rows("Basemaps") == ["Countries"]
    assert len(fresh_site.heard_urls("classic")) == heard + 2


def test_the_plugin_can_be_unloaded_while_something_is_asked(
    looker: Looker, fresh_site: Any, wait_until: Any
) -> None:
    fresh_site.delay("classic", "/rest/services$", 1)
    looker.find("site_edit").setText(fresh_site.site_url("classic"))
    looker.click("open_button")
    looker.dialog.unload()
    time_out = time.monotonic() + 1.5
    wait_until(lambda: time.monotonic() > time_out)  # the answer comes to nobody

    assert looker.rows() == []


# portals


def test_the_items_of_a_portal(looker: Looker, fresh_site: Any, publisher: str) -> None:
    looker.open(fresh_site.site_url("portal"), publisher)
    looker.wait()

    own, organization, everything = looker.rows()
    assert (own, everything) == ("My Items (publisher)", "All Items")
    assert "City Tiles" in looker.rows(own)  # the first is open already
    assert looker.rows(organization) == ["Loading…"]
    kinds = [looker.index(own, name).siblingAtColumn(1).data() for name in ("Imagery", "World")]
    assert kinds == ["Image service", "Map service"]
    city = looker.index(own, "City Tiles")
    assert city.siblingAtColumn(1).data() == "Hosted tile layer"
    looker.double_click(own, "City Tiles")

    ((page, sign_in),) = looker.loaded
    assert page.startswith(f"{fresh_site.site_url('portal')}/home/item.html?id=")
    assert sign_in == publisher


def test_a_portal_in_place_of_a_site_is_told_of(looker: Looker, fresh_site: Any) -> None:
    portal_url = fresh_site.site_url("portal")
    looker.open(portal_url.rpartition("/")[0] + "/nothing")

    assert looker.rows()[-1] == "All Items"
    told = looker.shows("state_label").replace("\u200b", "")
    assert told == f"No site answers there, these are the items of the portal {portal_url}."

    looker.open(portal_url)
    assert "No site" not in looker.shows("state_label")


def test_without_a_sign_in_nobody_has_items(looker: Looker, fresh_site: Any) -> None:
    looker.open(fresh_site.site_url("portal"))

    assert looker.rows()[-1] == "All Items"
    assert len(looker.rows()) == 2


def test_a_portal_is_searched_page_by_page(looker: Looker, fresh_site: Any, publisher: str) -> None:
    url = fresh_site.service_url("federated", "World")
    items = [
        {"title": f"Zone {number:03} {MARK_UP}", "type": "Map Service", "url": url}
        for number in range(120)
    ]
    fresh_site.add_items("portal", items)
    looker.open(fresh_site.site_url("portal"))
    looker.search("zone")
    scope = looker.rows()[0]
    looker.wait_until(lambda: len(looker.rows(scope)) == 51, what="the first page")
    found = looker.rows(scope)
    assert found[0] == f"Zone 000 {READ}"
    assert found[-1] == "Show More… (50 of 120 items are shown)"

    for shown in (101, 120):
        looker.double_click(scope, looker.rows(scope)[-1])
        looker.wait()
        looker.wait_until(lambda s=shown: len(looker.rows(scope)) == s, what="the next page")
    assert looker.rows(scope)[-1].startswith("Zone 119")

    looker.search("nowhere")
    looker.wait_until(lambda: len(looker.rows(scope)) == 1, what="the answer")
    assert looker.rows(scope) == ["No map or image service found"]


def test_a_search_shows_what_is_found_whosever_it_is(
    looker: Looker, fresh_site: Any, viewer: str
) -> None:
    looker.open(fresh_site.site_url("portal"), viewer)
    looker.wait()
    own, organization, everything = looker.rows()
    assert looker.rows(own) == ["No map or image service found"]
    assert looker.shows("state_label") == "Open a folder to see its services."

    looker.search("City")
    assert looker.rows(organization) == ["City Tiles"]
    assert all(looker.tree.isExpanded(looker.index(whose)) for whose in (own, organization))
    assert looker.shows("state_label") == "Double-click a service to load it."

    looker.search("nowhere")
    assert [len(looker.rows(whose)) for whose in (own, organization, everything)] == [1, 1, 1]
    assert looker.shows("state_label") == (
        "No map or image service is found by “nowhere”: try other words."
    )


def test_a_page_that_fails_leaves_the_others(looker: Looker, fresh_site: Any) -> None:
    url = fresh_site.service_url("federated", "World")
    fresh_site.add_items(
        "portal",
        [{"title": f"Zone {n:03}", "type": "Map Service", "url": url} for n in range(60)],
    )
    looker.open(fresh_site.site_url("portal"))
    looker.search("zone")
    scope = looker.rows()[0]
    looker.wait_until(lambda: len(looker.rows(scope)) == 51, what="the first page")
    fresh_site.fault("portal", "/search$", "error", code=403, message="not now")
    looker.double_click(scope, looker.rows(scope)[-1])
    looker.wait()

    assert "not now" in looker.rows(scope)[-1]
    assert len(looker.rows(scope)) == 51


def test_a_window_that_was_closed_and_opened_again_is_as_patient_as_before(
    window: SiteBrowser, looker: Looker, fresh_site: Any
) -> None:
    looker.open(fresh_site.site_url("classic"))
    window.reject()
    window.begin(fresh_site.site_url("classic"), "")
    fresh_site.busy("classic", "/services/Basemaps$")

    looker.expand("Basemaps")

    assert looker.rows("Basemaps") == ["Countries"]


# from the dialog


def test_a_service_that_is_found_is_loaded_in_the_dialog(
    visitor: Any, fresh_site: Any, publisher: str, wait_until: Any
) -> None:
    visitor.find("address_combo").setEditText(fresh_site.site_url("portal"))
    visitor.find("auth_select").setConfigId(publisher)
    browse = visitor.find("browse_button").menu()
    (entry,) = [each for each in browse.actions() if each.text() == "ArcGIS Site or Portal…"]
    entry.trigger()
    window = visitor.dialog.findChild(SiteBrowser)
    looker = Looker(window, wait_until)
    looker.wait()
    assert looker.shows("site_edit") == fresh_site.site_url("portal")
    looker.wait_until(lambda: "City Tiles" in looker.rows(looker.rows()[0]), what="the items")
    looker.double_click(looker.rows()[0], "City Tiles")
    visitor.wait_until(visitor.ticked, 20, "the scales")

    loaded = fresh_site.service_url("federated", "Hosted/City_Tiles")
    assert visitor.find("address_combo").currentText() == loaded
    assert visitor.error() == ""
    # at the service's site, its portal is asked for tokens from now on
    assert settings.trusted_portals(publisher) == (fresh_site.site_url("portal"),)


def test_an_item_of_a_site_that_the_portal_does_not_know_is_loaded_when_told_to(
    visitor: Any, fresh_site: Any, publisher: str
) -> None:
    fresh_site.allow_exchange("portal", False)
    url = fresh_site.service_url("classic", "World")
    fresh_site.add_items("portal", [{"title": "Foreign", "type": "Map Service", "url": url}])
    (item,) = [each for each in fresh_site.items("portal") if each["title"] == "Foreign"]
    visitor.find("auth_select").setConfigId(publisher)
    page = f"{fresh_site.site_url('portal')}/home/item.html?id={item['id']}"
    visitor.find("address_combo").setEditText(page)
    visitor.click("load_button")
    assert url in visitor.wait_for_error()
    assert not fresh_site.heard_urls("classic")
    visitor.click("trust_site_button")
    visitor.wait_until(visitor.ticked, 20, "the scales")

    assert visitor.find("address_combo").currentText() == url
    assert visitor.error() == ""


def test_a_site_looked_at_in_nobodys_name_is_given_no_sign_in_meant_for_another(
    visitor: Any, fresh_site: Any, publisher: str, wait_until: Any
) -> None:
    visitor.find("auth_select").setConfigId(publisher)
    asked: list[tuple[str, str]] = []
    visitor.dialog.address_panel.load_requested.connect(lambda *each: asked.append(each))
    visitor.find("browse_button").menu().actions()[0].trigger()
    looker = Looker(visitor.dialog.findChild(SiteBrowser), wait_until)
    looker.open(fresh_site.site_url("classic"))
    looker.double_click("World")

    assert asked == [(fresh_site.service_url("classic", "World"), "")]
    assert visitor.find("auth_select").configId() == ""


def test_it_begins_with_the_sign_in_of_the_dialog(visitor: Any, publisher: str) -> None:
    visitor.find("auth_select").setConfigId(publisher)
    visitor.find("browse_button").menu().actions()[0].trigger()
    window = visitor.dialog.findChild(SiteBrowser)

    assert window.auth_select.configId() == publisher
    assert not window.sign_in_box.isCollapsed()


def test_it_closes_with_the_dialog(visitor: Any) -> None:
    visitor.find("browse_button").menu().actions()[0].trigger()
    window = visitor.dialog.findChild(SiteBrowser)
    assert window.isVisible()

    visitor.click("close_button")

    assert not window.isVisible()


def test_the_services_of_a_portal_are_offered_in_the_dialog(
    visitor: Any, fresh_site: Any, publisher: str
) -> None:
    visitor.find("address_combo").setEditText(fresh_site.site_url("portal"))
    visitor.find("auth_select").setConfigId(publisher)
    visitor.click("load_button")
    combo = visitor.find("service_combo")
    visitor.wait_until(lambda: combo.count() > 1, 20, "the services")
    visitor.choose("service_combo", "City Tiles (MapServer)")
    visitor.wait_until(visitor.ticked, 20, "the scales")

    loaded = fresh_site.service_url("federated", "Hosted/City_Tiles")
    assert visitor.find("address_combo").currentText() == loaded
    assert combo.isVisible()
    assert combo.currentText() == "City Tiles (MapServer)"
