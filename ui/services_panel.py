"""The panel in which several services of the project are chosen, and a range of scales."""

from __future__ import annotations

from collections.abc import Iterable

from qgis.core import QgsProject
from qgis.gui import QgsScaleWidget
from qgis.PyQt.QtCore import Qt, QTimer, pyqtSignal
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QHeaderView, QLineEdit, QTreeWidgetItem, QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.export.request import QueueItemReport, QueueReport
from ..plugin.core.request import Outcome
from ..plugin.core.schemes import web_mercator
from ..plugin.host import connections, messages
from .forms import load_form
from .tips import plain_tip

FORM = load_form(__file__)

SERVICE, MINE, RESULT = range(3)
"""The columns of the list."""
FOUND = Qt.ItemDataRole.UserRole
VISIBLE_ROWS = 4
"""So many services are seen without scrolling, however small the dialog is made."""
USUAL_TILE_SIZE = 256


class ServicesPanel(QWidget, FORM):
    """The map and image services that layers of the project are drawn from, to tick.

    `changed`: what is ticked or typed is another. Whose tiles are whose is said service by service,
    and forgotten with the project's layer.
    """

    changed = pyqtSignal()

    def __init__(self, project: QgsProject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self._project = project
        self._scales: tuple[float, ...] = ()
        self._layers_timer = QTimer(self)
        self._layers_timer.setSingleShot(True)
        self._layers_timer.timeout.connect(self.list_services)
        self._set_up_list()
        self._set_up_scales()
        self.services_view.itemChanged.connect(self._ticks_changed)
        self.all_services_button.clicked.connect(lambda: self._tick(None))
        self.no_services_button.clicked.connect(lambda: self._tick(()))
        self.anew_check.toggled.connect(self.changed)
        project.layersAdded.connect(self._list_soon)
        project.layersRemoved.connect(self._list_soon)
        project.cleared.connect(self._forget_all)
        self.show_description(None)
        self._ticks_changed()
        self.list_services()

    def unload(self) -> None:
        """Let go of the project."""
        self._layers_timer.stop()
        self._project.layersAdded.disconnect(self._list_soon)
        self._project.layersRemoved.disconnect(self._list_soon)
        self._project.cleared.disconnect(self._forget_all)

    def list_services(self) -> None:
        """List the services that the project has now; ticks and results of those that stay stay."""
        layers = [each.layer() for each in self._project.layerTreeRoot().findLayers()]
        found = connections.services_of(layer for layer in layers if layer is not None)
        before = {item.data(SERVICE, FOUND).url: item for item in self._items()}
        if list(found) == [i.data(SERVICE, FOUND) for i in self._items()]:
            return
        self.services_view.blockSignals(True)
        kept = {url: item.clone() for url, item in before.items()}
        self.services_view.clear()
        for service in found:
            item = kept.get(service.url) or _new_item()
            item.setData(SERVICE, FOUND, service)
            item.setText(SERVICE, service.name)
            item.setToolTip(SERVICE, plain_tip(service.url))
            item.setToolTip(MINE, self._mine_tip())
            self.services_view.addTopLevelItem(item)
        self.services_view.blockSignals(False)
        self._ticks_changed()

    def show_description(self, description: CacheDescription | None) -> None:
        """Offer the scales of this service to choose from; None: the usual ones."""
        levels = web_mercator(USUAL_TILE_SIZE).levels
        if description is not None:
            levels = description.cached_levels
        self._scales = tuple(level.scale for level in levels)
        texts = [f"1:{round(scale)}" for scale in self._scales]
        for widget in (self.coarsest_widget, self.finest_widget):
            is_null, scale = widget.isNull(), widget.scale()
            widget.blockSignals(True)
            widget.updateScales(texts)
            widget.setNull() if is_null else widget.setScale(scale)
            widget.blockSignals(False)

    def tick_only(self, urls: Iterable[str]) -> None:
        """Tick the services at `urls`, and no others."""
        self.list_services()
        self._tick(set(urls))

    def listed(self) -> tuple[connections.NamedService, ...]:
        """All services, ticked or not, in the order of the layer tree."""
        return tuple(item.data(SERVICE, FOUND) for item in self._items())

    def chosen(self) -> tuple[connections.NamedService, ...]:
        """The ticked services, in the order of the layer tree."""
        return tuple(
            item.data(SERVICE, FOUND) for item in self._items() if _is_ticked(item, SERVICE)
        )

    def owned(self) -> frozenset[str]:
        """Addresses of the services whose tiles the person has said to be theirs to copy."""
        return frozenset(
            item.data(SERVICE, FOUND).url for item in self._items() if _is_ticked(item, MINE)
        )

    def coarsest(self) -> float | None:
        """The scale denominator at which the range begins; None: there is no such end."""
        return self._scale_of(self.coarsest_widget)

    def finest(self) -> float | None:
        """The scale denominator at which the range ends; None: there is no such end."""
        return self._scale_of(self.finest_widget)

    def problem(self) -> str:
        """What is still to be done, as a sentence; "" for nothing."""
        if not self.services_view.topLevelItemCount():
            return self._none_text()
        if not self.chosen():
            return self.tr("Tick the services whose tiles are exported.")
        coarsest, finest = self.coarsest(), self.finest()
        if coarsest is not None and finest is not None and coarsest < finest:
            return self.tr("The first scale is the less detailed one: exchange the two.")
        return ""

    def is_anew(self) -> bool:
        """Whether also what was done before is exported."""
        return self.anew_check.isChecked()

    def done(self) -> int:
        """How many of the ticked services are done, as far as was seen since they were listed."""
        return sum(
            1 for item in self._items() if _is_ticked(item, SERVICE) and item.data(RESULT, FOUND)
        )

    def forget_leave(self) -> None:
        """Whose tiles are whose is asked anew, and whether done ones are exported again."""
        for item in self._items():
            if _is_ticked(item, MINE):
                item.setCheckState(MINE, Qt.CheckState.Unchecked)
        self.anew_check.setChecked(False)

    def show_waiting(self) -> None:
        """Show that the ticked services are all still to come, in place of results."""
        self.forget_results()
        for item in self._items():
            if _is_ticked(item, SERVICE):
                self._say(item, self.tr("Waiting"))

    def forget_waiting(self) -> None:
        """Show nothing of those that were to come, for nothing runs any more."""
        for item in self._items():
            if item.text(RESULT) in (self.tr("Waiting"), self.tr("Running…")):
                self._say(item, "")

    def show_item(self, url: str, result: QueueItemReport | None) -> None:
        """Show that the service at `url` is being exported; or then, what came of it."""
        for item in self._items():
            if item.data(SERVICE, FOUND).url == url:
                text = self.tr("Running…") if result is None else self._result_text(result)
                self._say(item, text, result)

    def show_results(self, report: QueueReport) -> None:
        """Show what came of each service."""
        results = {item.address: item for item in report.items}
        for item in self._items():
            result = results.get(item.data(SERVICE, FOUND).url)
            is_left = result is None and report.is_cancelled and _is_ticked(item, SERVICE)
            text = self.tr("Not begun") if is_left else self._result_text(result)
            self._say(item, text, result)

    def forget_results(self) -> None:
        """Show no results: another run begins."""
        self.show_results(QueueReport(()))

    # QWidget interface

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.list_services()  # a layer may draw another service now, or be called otherwise

    # ours

    def _forget_all(self) -> None:
        """Another project begins, where nobody has ticked or confirmed anything yet."""
        self.services_view.clear()
        self._list_soon()

    def _say(self, item: QTreeWidgetItem, text: str, result: QueueItemReport | None = None) -> None:
        """Write into a row how it stands with its service, and in its tool tip why."""
        self.services_view.blockSignals(True)
        item.setText(RESULT, text)
        item.setToolTip(RESULT, "" if result is None else messages.queue_line(result))
        item.setData(RESULT, FOUND, result is not None and is_done(result))
        self.services_view.blockSignals(False)
        self.services_view.viewport().update()

    def _result_text(self, result: QueueItemReport | None) -> str:
        """What came of a service, in a word or two; "" where nothing did."""
        if result is None:
            return ""
        if result.is_done_before:
            return self.tr("Done before")
        if result.has_failed or result.report is None:
            return self.tr("Failed")
        if result.report.outcome is Outcome.CANCELLED:
            return self.tr("Cancelled")
        if result.report.has_nothing:
            return self.tr("Nothing there")
        return self.tr("Exported") if is_done(result) else self.tr("Incomplete")

    def _set_up_list(self) -> None:
        view = self.services_view
        titles = [self.tr("Service"), self.tr("Mine to Copy"), self.tr("Result")]
        view.setHeaderLabels(titles)
        view.headerItem().setToolTip(MINE, self._mine_tip())
        view.headerItem().setToolTip(RESULT, self.tr("How it stands with each service"))
        header = view.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(SERVICE, QHeaderView.ResizeMode.Stretch)
        row = view.fontMetrics().height() + 4
        view.setMinimumHeight(header.sizeHint().height() + VISIBLE_ROWS * row)

    def _set_up_scales(self) -> None:
        for widget, name in (
            (self.coarsest_widget, self.tr("Least Detailed")),
            (self.finest_widget, self.tr("Most Detailed")),
        ):
            widget.setAllowNull(True)
            widget.setNull()
            widget.setAccessibleName(name)
            widget.findChild(QLineEdit).setPlaceholderText(name)
            widget.scaleChanged.connect(self.changed)
        self.scale_range_note_label.setText(
            self.tr("Each service is exported at its own cached scales within this range.")
        )

    def _list_soon(self) -> None:
        self._layers_timer.start()

    def _items(self) -> list[QTreeWidgetItem]:
        view = self.services_view
        return [view.topLevelItem(row) for row in range(view.topLevelItemCount())]

    def _tick(self, urls: Iterable[str] | None) -> None:
        """Tick the services at `urls`, None for all, and no others."""
        self.services_view.blockSignals(True)
        for item in self._items():
            wanted = urls is None or item.data(SERVICE, FOUND).url in urls
            item.setCheckState(SERVICE, _state(wanted))
        self.services_view.blockSignals(False)
        self.services_view.viewport().update()
        self._ticks_changed()

    def _ticks_changed(self) -> None:
        is_empty = not self.services_view.topLevelItemCount()
        for button in (self.all_services_button, self.no_services_button):
            button.setEnabled(not is_empty)
        self.services_note_label.setText(self._none_text())
        self.services_note_label.setVisible(is_empty)
        self.services_view.setVisible(not is_empty)
        self.changed.emit()

    def _scale_of(self, widget: QgsScaleWidget) -> float | None:
        """The scale in `widget`, unrounded where it is one of those that are offered."""
        if widget.isNull():
            return None
        shown = widget.scale()
        exact = (scale for scale in self._scales if round(scale) == round(shown))
        return next(exact, shown)

    def _none_text(self) -> str:
        return self.tr(
            "The project has no layer of an ArcGIS map or image service: add one, from the Browser"
            " panel for example."
        )

    def _mine_tip(self) -> str:
        return self.tr(
            "Only for a service that does not allow its tiles to be exported: tick it where you own"
            " the tiles or have their owner's leave. It is remembered nowhere."
        )


def is_done(result: QueueItemReport) -> bool:
    """Whether nothing is left to do for a service of a queue."""
    report = result.report
    return result.is_done_before or (report is not None and report.outcome is Outcome.DONE)


def _new_item() -> QTreeWidgetItem:
    item = QTreeWidgetItem()
    for column in (SERVICE, MINE):
        item.setCheckState(column, Qt.CheckState.Unchecked)
    return item


def _state(is_ticked: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if is_ticked else Qt.CheckState.Unchecked


def _is_ticked(item: QTreeWidgetItem, column: int) -> bool:
    return Qt.CheckState(item.checkState(column)) == Qt.CheckState.Checked
