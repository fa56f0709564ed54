"""The export dialog's form: the way round it with Tab, its estimate, and what it says."""

from __future__ import annotations

from typing import Any

import pytest
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QLineEdit

from tile_cache_manager.plugin.core import errors, planned
from tile_cache_manager.plugin.host.area_rules import AreaRule, RuleArea, RuleAreaKind
from tile_cache_manager.plugin.host.rule_sources import layer_area
from tile_cache_manager.ui.rule_dialog import RuleDialog, read_scale
from tile_cache_manager.ui.rules_panel import first_gap

WORLD_URL = "https://site.test/arcgis/rest/services/World/MapServer"
ROADS_URL = "https://site.test/arcgis/rest/services/Roads/Night/MapServer"
FULL = RuleArea(RuleAreaKind.FULL)


def press(key: Any) -> Any:
    """What has the focus after `key`."""
    QTest.keyClick(QApplication.focusWidget(), key)
    return QApplication.focusWidget()


def test_tab_goes_round(exportable: Any, exporter: Any) -> None:
    dialog = exporter.dialog
    dialog.activateWindow()
    exporter.wait_until(dialog.isActiveWindow, what="the window")
    exporter.find("help_button").setFocus()
    tabs, address = exporter.find("services_tabs").tabBar(), exporter.find("address_combo")

    assert press(Qt.Key.Key_Tab) is tabs
    assert press(Qt.Key.Key_Tab) is address
    assert press(Qt.Key.Key_Backtab) is tabs
    assert press(Qt.Key.Key_Backtab) is exporter.find("help_button")


def test_an_estimate_waits_for_the_count(
    exportable: Any, exporter: Any, exports: Any, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planned, "count_tiles", gate.before(planned.count_tiles))
    exporter.find("typed_extent_edit").setText("0 0 1000 2000")
    exporter.choose("area_kind_combo", "Typed Extent")
    exporter.wait_until(gate.reached.is_set, what="the count")
    exporter.click("estimate_button")
    assert exporter.error() == ""
    assert not exports.estimated
    gate.open()

    label = exporter.find("tile_count_label")
    exporter.wait_until(lambda: "Estimated:" in label.text(), what="the estimate")
    assert len(exports.estimated) == 1


def test_after_a_failed_load_the_form_says_which_service_it_is_still_of(
    exportable: Any, exporter: Any, cache: Any
) -> None:
    assert exporter.shows("summary_label").startswith("World")
    cache.answer = errors.JobFailed(ROADS_URL, "no route")
    exporter.load(ROADS_URL)
    exporter.wait_for_error()

    assert exporter.shows("summary_label") == (
        "What stands below is still of World, which was loaded before."
    )
    assert not exporter.find("run_button").isEnabled()


def test_of_a_new_target_there_is_nothing_to_overwrite(
    exportable: Any, exporter: Any, tmp_path: Any
) -> None:
    combo = exporter.find("overwrite_combo")
    assert not combo.isEnabled()
    (tmp_path / "there.tpkx").write_text("x")
    exporter.find("target_edit").setText(str(tmp_path / "there.tpkx"))

    assert combo.isEnabled()
    assert exporter.shows("overwrite_label") == "Existing tiles"


SCALES = [("50.000", 50000), ("1:50.000", 50000), ("1:50,000", 50000), ("72223.82", 72223.82)]


@pytest.mark.parametrize(("text", "scale"), SCALES)
def test_scales_of_rules_are_read_as_all_others(text: str, scale: float) -> None:
    assert read_scale(text) == scale


def test_a_new_rule_begins_with_the_first_gap(world: Any) -> None:
    levels = world.cached_levels  # 1 to 5
    middle = AreaRule(levels[2].scale, levels[2].scale, FULL)
    assert first_gap((middle,), levels) == levels[:2]
    first = AreaRule(None, levels[1].scale, FULL)
    assert first_gap((first, middle), levels) == levels[3:]
    assert first_gap((AreaRule(None, None, FULL),), levels) == ()


def test_a_filter_can_be_read_on_a_dark_theme(qgis_app: Any, project: Any, layers: Any) -> None:
    """As in QGIS's Night Mapping: light texts, but fields in which letters are dark."""
    parent = QLineEdit()
    parent.setStyleSheet("* { background: #323232; color: #b1b1b1 } QLineEdit { color: #102030 }")
    dialog = RuleDialog(project, None, None, None, (), None)
    dialog.setStyleSheet(parent.styleSheet())
    dialog.show()
    field = dialog.filter_edit.findChild(QLineEdit)
    dialog.filter_edit.setExpression("1 = 1")
    shown = field.palette().color(field.foregroundRole()).name()
    dialog.reject()
    dialog.deleteLater()

    assert shown == "#102030"


def test_a_rule_without_an_area_leaves_the_counts_of_the_others(
    exportable: Any, exporter: Any, layers: Any
) -> None:
    levels = exportable.cached_levels  # 1 to 5
    nothing = layer_area(layers["fields"], expression="1 = 2")
    panel = exporter.dialog.area_panel.rules_panel
    exporter.choose("area_kind_combo", "Areas by Scale")
    panel.model.set_rules(
        (AreaRule(None, levels[1].scale, FULL), AreaRule(levels[2].scale, None, nothing))
    )
    button = exporter.find("run_button")
    exporter.wait_until(lambda: "Rule “fields, 1 = 2”" in button.toolTip(), what="the problem")

    tiles = panel.model.index(0, 3).data()
    assert tiles == "20"  # levels 1 and 2 of the world: 4 + 16
    assert exporter.find("scales_view").model().index(1, 3).data() == "4"
