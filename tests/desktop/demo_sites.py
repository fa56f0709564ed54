"""The fourth act of `make demo`: signing in at portals, leaving a site its job, finding services.

A colleague has mailed the address of a hosted layer. Its site sends passwords to a portal on
another computer, which the person trusts. Its tiles are made by whole bundles; the job is handed
over to the site, found again in the list of jobs, and followed. Then the portal is opened in the
window for services, and searched; a service of one of its servers is loaded.
"""

from desktop.demo_steps import count_label, picture, planned_tiles, update_dialog
from qgis.gui import QgsAuthConfigSelect, QgsCollapsibleGroupBoxBasic, QgsFilterLineEdit
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QPushButton,
    QTableView,
    QTabWidget,
    QToolButton,
    QTreeView,
)
from qgis.utils import iface

FEDERATED, TITLE, OTHER = "federated", "City Tiles", "Imagery"
SITE, LAYER = "online", "World_Tiles"
TILES_PER_SECOND = 400
COARSEST, FINEST = "1:295,828,764", "1:18,489,298"
TILES = sum(4**level for level in range(1, 6))
"""Of levels 1 to 5, each of which is part of one bundle."""


def sites_act(desktop, stage):
    """Takes the sign-in of the acts before."""
    site = desktop.site
    site.reset(SITE)
    site.set_speed(SITE, TILES_PER_SECOND)
    yield from desktop.choose_from_menu("Web", "Tile Cache Manager", "Manage Cache Tiles")
    yield desktop.until(lambda: update_dialog() is not None, 10, "the dialog")
    dialog = update_dialog()
    yield from trust(desktop, dialog, stage)
    yield from hand_over(desktop, dialog)
    yield from follow(desktop, dialog)
    check(desktop, site)
    yield from browse(desktop, dialog, stage)
    yield from find(desktop, dialog)
    desktop.say("A portal was searched, and a service of one of its servers loaded.")
    yield desktop.click(desktop.find(QPushButton, "close_button", dialog))


def check(desktop, site):
    """The demo has shown nothing unless one job has made just the tiles asked for."""
    made = {level: len(tiles) for level, tiles in site.read_cache(SITE, LAYER).items()}
    if sum(made.values()) != TILES or len(site.jobs(SITE)) != 1:
        raise RuntimeError(f"{made} by {len(site.jobs(SITE))} jobs, not {TILES} tiles by one")
    desktop.say(f"The hosted layer's job was handed over and followed: {TILES} tiles made.")


def browser():
    """The window for services where it is open."""
    found = iface.mainWindow().findChildren(QDialog, "SiteBrowser")
    return next((each for each in found if each.isVisible()), None)


def browse(desktop, dialog, stage):
    """Open the portal in the window for services."""
    button = desktop.find(QToolButton, "browse_button", dialog)
    menu = desktop.find(QMenu, "browse_menu", dialog)
    yield desktop.click(button)
    yield desktop.until(menu.isVisible, 5, "the menu")
    entry = next(each for each in menu.actions() if "Portal" in each.text())
    yield desktop.click(menu, menu.actionGeometry(entry).center())
    yield desktop.until(lambda: browser() is not None, 10, "the window for services")
    window = browser()
    edit = desktop.find(QgsFilterLineEdit, "site_edit", window)
    yield desktop.type_text(edit, f"{desktop.site.portal_url(FEDERATED)}/home/")
    desktop.find(QgsCollapsibleGroupBoxBasic, "sign_in_box", window).setCollapsed(False)
    desktop.find(QgsAuthConfigSelect, "auth_select", window).setConfigId(stage.auth_config_id)
    yield desktop.click(desktop.find(QPushButton, "open_button", window))
    view = desktop.find(QTreeView, "services_view", window)
    yield desktop.until(lambda: shown(view, TITLE) is not None, 20, "the portal's items")
    yield from picture(desktop, "portal_signed_in")


def find(desktop, dialog):
    """Search for a service, and load it into the dialog."""
    window = browser()
    view = desktop.find(QTreeView, "services_view", window)
    yield desktop.type_text(desktop.find(QLineEdit, "search_edit", window), TITLE)
    state = desktop.find(QLabel, "state_label", window)
    yield desktop.until(
        lambda: (
            shown(view, TITLE) is not None
            and shown(view, OTHER) is None
            and "Loading" not in state.text()
        ),
        20,
        "the service alone",
    )
    yield desktop.click_item(view, shown(view, TITLE))
    yield from picture(desktop, "service_found")
    yield desktop.click(desktop.find(QPushButton, "choose_service_button", window))
    summary = desktop.find(QLabel, "summary_label", dialog)
    yield desktop.until(lambda: "City_Tiles" in summary.text(), 20, "the service's summary")
    yield from picture(desktop, "federated_service")


def trust(desktop, dialog, stage):
    """Load the hosted layer, once it may be signed in at its portal."""
    edit = desktop.find(QComboBox, "address_combo", dialog).lineEdit()
    yield desktop.type_text(edit, desktop.site.service_url(SITE, LAYER))
    desktop.find(QgsAuthConfigSelect, "auth_select", dialog).setConfigId(stage.auth_config_id)
    yield desktop.click(desktop.find(QPushButton, "load_button", dialog))
    name = "trust_portal_button"
    yield desktop.until(lambda: dialog.findChild(QPushButton, name), 20, "the question")
    yield from picture(desktop, "portal_to_trust")
    yield desktop.click(desktop.find(QPushButton, name, dialog))
    summary = desktop.find(QLabel, "summary_label", dialog)
    yield desktop.until(lambda: LAYER in summary.text(), 20, "the layer's summary")


def shown(view, name):
    """Where the tree shows an entry that reads `name`; None where it does not."""
    model = view.model()
    flags = Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive
    found = model.match(model.index(0, 0), Qt.ItemDataRole.DisplayRole, name, 1, flags)
    return found[0] if found else None


def hand_over(desktop, dialog):
    """Have some scales made, and do not wait for it."""
    yield from desktop.choose(desktop.find(QComboBox, "area_kind_combo", dialog), "Full Extent")
    yield from desktop.choose(desktop.find(QComboBox, "range_from_combo", dialog), COARSEST)
    yield from desktop.choose(desktop.find(QComboBox, "range_to_combo", dialog), FINEST)
    yield desktop.click(desktop.find(QToolButton, "range_button", dialog))
    yield desktop.until(
        lambda: planned_tiles(desktop, dialog).startswith(f"{TILES:,} tiles"),
        20,
        f"{TILES} tiles, not {count_label(desktop, dialog).text()}",
    )
    check = desktop.find(QCheckBox, "wait_check", dialog)
    if check.isChecked():
        yield desktop.click(check)
    yield from picture(desktop, "hosted_layer")
    run = desktop.find(QPushButton, "run_button", dialog)
    label = desktop.find(QLabel, "progress_label", dialog)
    yield desktop.click(run)
    yield desktop.until(lambda: "goes on by itself" in label.text(), 30, "the job's address")


def follow(desktop, dialog):
    """Find the job in the list, and follow it to its end."""
    tabs = desktop.find(QTabWidget, "update_tabs", dialog)
    bar = tabs.tabBar()
    yield desktop.click(bar, bar.tabRect(1).center())
    view = desktop.find(QTableView, "jobs_view", dialog)
    yield desktop.until(lambda: view.model().rowCount() > 0, 20, "the job")
    yield desktop.click_item(view, view.model().index(0, 0))
    yield from picture(desktop, "job_handed_over")
    button = desktop.find(QPushButton, "follow_button", dialog)
    if button.isEnabled():
        yield desktop.click(button)
    yield desktop.until(lambda: "Done" in row_text(view, 0), 60, "the job's end")
    yield from picture(desktop, "job_done")
    yield desktop.click(bar, bar.tabRect(0).center())


def row_text(view, row):
    model = view.model()
    return " ".join(str(model.index(row, col).data()) for col in range(model.columnCount()))
