"""Naming, choosing and loading a service."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QObject, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QComboBox

from tile_cache_manager.plugin.core import errors
from tile_cache_manager.ui.site_browser import SiteBrowser

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
SITE_URL = "https://site.test/arcgis/rest/services"


def choices(person: Any) -> list[tuple[str, bool]]:
    """What the Choose button offers now, and whether it can be chosen."""
    menu = person.find("choose_button").menu()
    menu.aboutToShow.emit()
    return [(a.text(), a.isEnabled()) for a in menu.actions() if not a.isSeparator()]


def choose(person: Any, text: str) -> None:
    choices(person)
    menu = person.find("choose_button").menu()
    (action,) = [action for action in menu.actions() if action.text() == text]
    action.trigger()


def services_listed(person: Any) -> list[str]:
    combo = person.find("service_combo")
    return [combo.itemText(row) for row in range(combo.count())] if combo.isVisible() else []


def test_a_loaded_service_is_summed_up_and_listed(loaded: Any, person: Any) -> None:
    assert person.shows("summary_label").startswith("World (map service, ArcGIS Server 10.9.1)")
    assert person.ticked() == [1, 2, 3, 4, 5]
    # Level n of the ArcGIS Online scheme has 4 ** n tiles.
    assert person.shows("tile_count_label") == "1,364 tiles at 5 scales."
    assert person.find("run_button").isEnabled()


def test_return_in_the_address_field_loads(dialog: Any, person: Any, cache: Any) -> None:
    field = person.find("address_combo")
    QTest.keyClicks(field, WORLD_URL)
    QTest.keyClick(field, Qt.Key.Key_Return)
    person.wait_for_count()
    person.wait_until(person.ticked)

    assert cache.asked == [WORLD_URL]
    assert dialog.isVisible()
    assert person.question() is None


LOWER_CASE_URL = "https://site.test/arcgis/rest/services/World/MapServer"
UPPER_CASE_URL = "https://site.test/ArcGIS/rest/services/World/MapServer"
# recent addresses, the newest first; what is typed
TYPED = [
    ((LOWER_CASE_URL,), UPPER_CASE_URL),
    ((UPPER_CASE_URL,), LOWER_CASE_URL),
    ((LOWER_CASE_URL,), SITE_URL),
    ((LOWER_CASE_URL, UPPER_CASE_URL), UPPER_CASE_URL),
    ((LOWER_CASE_URL, UPPER_CASE_URL), LOWER_CASE_URL),
]


@pytest.mark.parametrize(("recent", "typed"), TYPED)
@pytest.mark.parametrize("ending", ["Return", "Tab", "Load"])
def test_what_is_typed_is_what_is_loaded(
    dialog: Any,
    person: Any,
    cache: Any,
    services: Any,
    recent: tuple[str, ...],
    typed: str,
    ending: str,
) -> None:
    cache.answer = services
    dialog.address_panel.set_recent(recent)
    dialog.activateWindow()
    field = person.find("address_combo").lineEdit()
    field.setFocus()
    person.wait_until(field.hasFocus, what="the focus")
    for letter in typed:  # to whatever has the keys, as a keyboard does
        QTest.keyClicks(QApplication.activePopupWidget() or QApplication.focusWidget(), letter)
    assert field.text() == typed
    if ending != "Load":
        key = Qt.Key.Key_Return if ending == "Return" else Qt.Key.Key_Tab
        QTest.keyClick(QApplication.activePopupWidget() or QApplication.focusWidget(), key)
        assert field.text() == typed
    if ending != "Return":
        popup = QApplication.activePopupWidget()
        if popup is not None:
            popup.hide()  # as a click beside it does
        person.click("load_button")
    person.wait_until(lambda: person.shows("summary_label") != "Loading…", what="the answer")

    assert cache.asked == [typed]


def test_a_recent_address_can_be_chosen_from_the_list(dialog: Any, person: Any) -> None:
    dialog.address_panel.set_recent((LOWER_CASE_URL, UPPER_CASE_URL))
    combo = person.find("address_combo")
    combo.setFocus()
    QTest.keyClicks(combo, "ArcGIS")
    person.wait_until(QApplication.activePopupWidget, what="the list")
    QTest.keyClick(QApplication.activePopupWidget(), Qt.Key.Key_Down)
    QTest.keyClick(QApplication.activePopupWidget(), Qt.Key.Key_Return)

    assert combo.currentText() == UPPER_CASE_URL


def test_return_elsewhere_does_nothing(loaded: Any, person: Any, cache: Any) -> None:
    person.choose("area_kind_combo", "Typed Extent")
    QTest.keyClick(person.find("typed_extent_edit"), Qt.Key.Key_Return)

    assert cache.asked == [WORLD_URL]
    assert cache.requests == []
    assert person.error() == ""


def test_a_site_lists_its_services_to_choose_from(
    dialog: Any, person: Any, cache: Any, services: Any, wait_until: Any
) -> None:
    cache.answer = services
    assert services_listed(person) == []

    person.load(SITE_URL)
    assert services_listed(person) == [
        "Choose a Service…",
        "Roads/Night (MapServer)",
        "World (MapServer)",
    ]
    assert "lists 2 map and image services" in person.shows("summary_label")
    assert not person.find("run_button").isEnabled()

    person.choose("service_combo", "World (MapServer)")
    wait_until(person.ticked)

    assert person.find("address_combo").currentText() == WORLD_URL
    assert person.find("service_combo").currentText() == "World (MapServer)"


def test_a_site_with_one_service_says_so(
    dialog: Any, person: Any, cache: Any, services: Any
) -> None:
    cache.answer = services[1:]

    person.load(SITE_URL)

    assert "lists 1 map or image service:" in person.shows("summary_label")


def test_a_site_without_services_says_so(dialog: Any, person: Any, cache: Any) -> None:
    cache.answer = ()

    person.load(SITE_URL)

    assert "lists no map or image service" in person.wait_for_error()
    assert services_listed(person) == []


def test_saved_connections_are_offered(
    dialog: Any, person: Any, cache: Any, services: Any, wait_until: Any
) -> None:
    assert choices(person) == [
        ("Active Layer", False),
        ("None: Add One in the Browser Panel", False),
    ]
    settings = QgsSettings()
    root = "connections/arcgisfeatureserver/items/Town & Country"
    settings.setValue(f"{root}/url", SITE_URL)
    cache.answer = services
    try:
        assert choices(person) == [("Active Layer", False), ("Town && Country", True)]
        choose(person, "Town && Country")
        wait_until(lambda: services_listed(person))
    finally:
        settings.remove(root)

    assert person.find("address_combo").currentText() == SITE_URL


def test_the_active_layer_is_offered(
    qgis_app: Any, wait_until: Any, cache: Any, forgetful: None, store_sign_in: Any
) -> None:
    from tile_cache_manager.ui.address_panel import AddressPanel

    class Layer(QObject):
        """As far as a layer of QGIS's ArcGIS map service provider is asked."""

        def providerType(self) -> str:
            return "arcgismapserver"

        def source(self) -> str:
            return f"crs='EPSG:3857' format='PNG32' layer='' url='{WORLD_URL}'"

        def name(self) -> str:
            return "Rivers & Lakes"

    layer = Layer()
    panel = AddressPanel(lambda: layer)
    asked: list[tuple[str, str]] = []
    panel.load_requested.connect(lambda address, sign_in: asked.append((address, sign_in)))
    menu = panel.choose_button.menu()
    menu.aboutToShow.emit()
    menu.actions()[0].trigger()

    assert menu.actions()[0].text() == "Active Layer “Rivers && Lakes”"
    assert asked == [(WORLD_URL, "")]

    # It brings no sign-in: the one that the person chose stays.
    mine = store_sign_in("Basic", username="writer", password="secret")
    panel.fill("https://site.test/", mine)
    menu.aboutToShow.emit()
    menu.actions()[0].trigger()
    assert asked[1:] == [(WORLD_URL, mine)]
    panel.deleteLater()


UNREACHABLE = errors.SiteUnreachable(WORLD_URL, errors.Unreachable.NAME)
# what asking the address leads to, words of the sentence a person reads
FAILURES = [
    (UNREACHABLE, "No computer of that name"),
    (errors.NotArcGIS(WORLD_URL, 200, "text/html"), "ArcGIS"),
    (errors.NotCached("World"), "has no tile cache"),
    (errors.SignInFailed(WORLD_URL, errors.SignInProblem.REFUSED), "password"),
    (errors.SignInNeeded(WORLD_URL, 499, "Token Required"), "sign"),
    (errors.NotFound(WORLD_URL, 404, "Service not found"), "Service not found"),
    (errors.DescriptionError("World", "tileInfo"), "World"),
    (RuntimeError("a surprise"), "a surprise"),
]


@pytest.mark.parametrize(("error", "words"), FAILURES)
def test_a_failed_load_says_why_and_the_form_stays_filled(
    loaded: Any, person: Any, cache: Any, error: Exception, words: str
) -> None:
    person.click("check_none_button")
    person.find("typed_extent_edit").setText("1 2 3 4")
    cache.answer = error

    person.load("https://elsewhere.test/arcgis/rest/services/Roads/MapServer")

    assert words in person.wait_for_error()
    assert person.find("address_combo").currentText().startswith("https://elsewhere.test/")
    assert person.find("typed_extent_edit").text() == "1 2 3 4"
    assert person.ticked() == []
    assert person.find("load_button").isEnabled()
    # What is listed is World still, so nothing may run under the other address.
    assert not person.find("run_button").isEnabled()
    assert "load it first" in person.find("run_button").toolTip()


def test_the_answer_to_an_earlier_question_is_dropped(
    dialog: Any, person: Any, cache: Any, world: Any, wait_until: Any
) -> None:
    asking, may_answer = threading.Event(), threading.Event()
    answer = cache.describe

    def describe_slowly() -> Any:
        asking.set()
        assert may_answer.wait(10)
        raise UNREACHABLE

    cache.describe = describe_slowly
    person.find("address_combo").setEditText("https://slow.test/arcgis/rest/services/A/MapServer")
    person.click("load_button")
    wait_until(asking.is_set)
    cache.describe = answer

    person.load(WORLD_URL)
    may_answer.set()
    wait_until(lambda: QgsApplication.taskManager().countActiveTasks() == 0)

    assert person.error() == ""
    assert person.ticked() == [1, 2, 3, 4, 5]


def test_an_answer_leaves_alone_what_was_typed_meanwhile(
    dialog: Any, person: Any, cache: Any, gate: Any
) -> None:
    cache.describe = gate.before(cache.describe)
    person.find("address_combo").setEditText(f"{WORLD_URL}?f=json")
    person.click("load_button")
    person.wait_until(gate.reached.is_set, what="the question")
    field = person.find("address_combo").lineEdit()
    field.setText("https://elsewhere.test/")
    field.setCursorPosition(5)
    gate.open()
    person.wait_until(person.ticked, what="the answer")

    assert field.text() == "https://elsewhere.test/"
    assert field.cursorPosition() == 5
    assert "load it first" in person.find("run_button").toolTip()


def test_addresses_that_were_loaded_are_offered_again(loaded: Any, opener: Any) -> None:
    combo = opener.open().findChild(QComboBox, "address_combo")

    assert combo.currentText() == WORLD_URL
    assert [combo.itemText(row) for row in range(combo.count())] == [WORLD_URL]


def test_the_window_that_finds_services_closes_with_the_dialog_from_any_page(visitor: Any) -> None:
    visitor.find("browse_button").menu().actions()[0].trigger()
    window = visitor.dialog.findChild(SiteBrowser)
    assert window.isVisible()
    visitor.find("update_tabs").setCurrentIndex(1)
    assert window.isVisible()

    visitor.click("close_button")

    assert not window.isVisible()
