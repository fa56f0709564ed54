"""The dialog in which a service's tiles are updated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from qgis.core import Qgis, QgsMapLayer, QgsProject
from qgis.gui import QgsGui, QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QEvent, QSize, Qt, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QHideEvent, QKeyEvent, QShowEvent
from qgis.PyQt.QtWidgets import QDialog, QDialogButtonBox, QWidget

from ..plugin.core.arcgis.catalogue import ServiceEntry
from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import ModeNotOffered, NoLevels, TileCacheError
from ..plugin.core.request import Outcome, UpdateReport
from ..plugin.host import messages
from .address_panel import AddressPanel
from .area_panel import AreaPanel
from .area_preview import AreaPreview
from .drawing_room import DrawingRoom
from .form_memory import FormMemory
from .forms import load_form
from .notices import Notice
from .progress_panel import ProgressPanel
from .run_question import RunQuestion, needs_question
from .scales_panel import ScalesPanel
from .service_loader import ServiceLoader
from .tile_counter import TileCounter
from .update_panel import UpdatePanel
from .update_run import RunPlan, UpdateRun

FORM = load_form(__file__)
NATURAL_LINES = QSize(58, 34)
"""Width and height of the dialog before a person changes it, in lines of text."""

HELP_PAGE = Path(__file__).parent / "help" / "update_dialog.html"


class UpdateDialog(QDialog, FORM):
    """Load a service, tick scales, choose an area and a mode, run, and watch.

    Non-modal: show it with `show()`. Closing hides it; a running update goes on, and shows again
    when the dialog is opened anew. `unload` ends everything.
    """

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        message_bar: QgsMessageBar,
        active_layer: Callable[[], QgsMapLayer | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self._qgis_bar = message_bar
        self._description: CacheDescription | None = None
        self._runs_when_counted = False
        self._plan: RunPlan | None = None
        self._add_panels(canvas, project, active_layer)
        self._add_buttons()
        self._drawing_room = DrawingRoom(self, self.area_panel, message_bar)
        self._preview = AreaPreview(canvas, self)
        self._counter = TileCounter(self)
        self._loader = ServiceLoader(self)
        self._run = UpdateRun(self)
        self._memory = FormMemory(self.address_panel, self.area_panel, self.update_panel)
        self._memory.restore()
        self._connect()
        self._show_description(None)
        self.resize(NATURAL_LINES * self.fontMetrics().height())
        QgsGui.enableAutoGeometryRestore(self)

    def load(self, address: str, auth_config_id: str = "") -> None:
        """Fill in the address and the sign-in, and ask the service what it is."""
        self.address_panel.fill(address, auth_config_id)
        self._load(address, auth_config_id)

    def unload(self) -> None:
        """End everything: the running update, counting, drawing; let go of canvas and project."""
        self._memory.save()
        self._drawing_room.unload()
        self._loader.stop()
        self._counter.stop()
        self._preview.clear()
        self.area_panel.unload()
        self._run.unload()
        self.hide()

    # Putting the dialog together

    def _add_panels(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        active_layer: Callable[[], QgsMapLayer | None],
    ) -> None:
        self.address_panel = AddressPanel(active_layer, self)
        self.scales_panel = ScalesPanel(self)
        self.area_panel = AreaPanel(canvas, project, self)
        self.update_panel = UpdatePanel(self)
        self.progress_panel = ProgressPanel(self)
        self.left_layout.addWidget(self.address_panel)
        self.left_layout.addWidget(self.scales_panel, 1)
        self.right_layout.addWidget(self.area_panel)
        self.right_layout.addWidget(self.update_panel)
        self.right_layout.addWidget(self.progress_panel, 1)
        self.dialog_layout.setStretchFactor(self.columns_layout, 1)

    def _add_buttons(self) -> None:
        role = QDialogButtonBox.ButtonRole.ActionRole
        self.run_button = self.button_box.addButton(self.tr("Run"), role)
        self.run_button.setObjectName("run_button")
        self.close_button = self.button_box.button(QDialogButtonBox.StandardButton.Close)
        self.close_button.setObjectName("close_button")
        self.help_button = self.button_box.button(QDialogButtonBox.StandardButton.Help)
        self.help_button.setObjectName("help_button")
        for button in self.button_box.buttons():
            button.setAutoDefault(False)

    def _connect(self) -> None:
        self.address_panel.load_requested.connect(self._load)
        self.address_panel.address_combo.editTextChanged.connect(self._update_run_button)
        self._loader.described.connect(self._described)
        self._loader.listed.connect(self._listed)
        self._loader.failed.connect(self._load_failed)
        self.scales_panel.ticked_changed.connect(self._levels_changed)
        self.area_panel.area_changed.connect(self._area_changed)
        self._counter.changed.connect(self._counts_changed)
        self.run_button.clicked.connect(self._run_clicked)
        self.close_button.clicked.connect(self.reject)
        self.help_button.clicked.connect(self._open_help)
        self.progress_panel.cancel_requested.connect(self._cancel_clicked)
        self._run.progressed.connect(self.progress_panel.show_progress)
        self._run.message_received.connect(self.progress_panel.add_message)
        self._run.reported.connect(self._reported)
        self._run.failed.connect(self._run_failed)
        self._run.cancelled.connect(self._run_cancelled)

    # QWidget interface

    def event(self, event: QEvent) -> bool:
        """Keep high enough for texts that wrap, which Qt leaves out of a window's minimum."""
        handled = super().event(event)
        if event.type() == QEvent.Type.LayoutRequest:
            wanted = self.layout().minimumHeightForWidth(self.width())
            self.setMinimumHeight(max(wanted, self.layout().totalMinimumSize().height()))
        return handled

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keep Return from pressing a button: it belongs to the field it is typed in."""
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self._area_changed()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous() and not self._drawing_room.is_drawing:
            self._counter.stop()
            self._preview.clear()
            self._memory.save()

    # Loading a service

    def _load(self, address: str, auth_config_id: str) -> None:
        self.message_bar.clearWidgets()
        self.address_panel.show_summary(self.tr("Loading…"))
        self._loader.load(address, auth_config_id)

    def _described(self, description: CacheDescription) -> None:
        self.address_panel.show_loaded(description.address)
        self._memory.add_recent(description.address)
        if self._differs_in_status_only(description):
            self._description = description
            self.scales_panel.show_status(description)
            self._show_summary()
            return
        try:
            self._show_description(description)
        except TileCacheError as error:
            self._load_failed(error)
            return
        if not description.modes and description.modes_problem is not None:
            self._load_failed(description.modes_problem)

    def _listed(self, services: tuple[ServiceEntry, ...]) -> None:
        self._show_description(None)
        self._memory.add_recent(self.address_panel.address())
        self.address_panel.show_services(services)
        if not services:
            self._complain(self.tr("The site lists no map or image service that you may see."))

    def _load_failed(self, error: Exception) -> None:
        self._show_summary()
        self.address_panel.help_with(error)
        self._complain(messages.sentence(error))

    def _show_description(self, description: CacheDescription | None) -> None:
        """Let every panel speak of this service. Raises DescriptionError: its CRS is unknown."""
        self.scales_panel.show_description(description)
        self._description = description
        self.area_panel.show_description(description)
        self.update_panel.show_description(description)
        self._show_summary()
        self._area_changed()
        self._update_run_button()

    def _differs_in_status_only(self, description: CacheDescription) -> bool:
        """Whether the service is the one on show, perhaps fuller: a run goes on as if untouched."""
        if self._description is None:
            return False
        return replace(description, status=self._description.status) == self._description

    def _show_summary(self) -> None:
        text = messages.summary(self._description) if self._description else ""
        self.address_panel.show_summary(text)

    # Area, scales and their tiles

    def _area_changed(self) -> None:
        """Show and count the area; a closed dialog does so when it is opened again."""
        self._runs_when_counted = False
        if not self.isVisible():
            return
        source = None
        if not self.area_panel.missing():
            try:
                source = self.area_panel.source()
            except TileCacheError:
                source = None  # the area panel says why
        self._preview.show(source, self._description)
        self._counter.set_area(self._description, source)

    def _levels_changed(self) -> None:
        self._runs_when_counted = False
        self._counter.set_levels(self.scales_panel.ticked_levels())

    def _counts_changed(self) -> None:
        self.scales_panel.set_counts(self._counter.counts)
        self.update_panel.show_count(self._count_text())
        self._update_run_button()
        if self._runs_when_counted and not self._counter.is_counting:
            self._runs_when_counted = False
            self._run_clicked()

    def _count_text(self) -> str:
        if self._description is None:
            return self.tr("Load a service to see the number of tiles.")
        if self._counter.is_counting:
            return self.tr("Counting the tiles…")
        if self._counter.error is not None:
            return messages.sentence(self._counter.error)
        scales = len(self.scales_panel.ticked_levels())
        if not scales:
            return self.tr("No scale is ticked.")
        if self._counter.source is None:
            return self.tr("No area yet.")
        return self.update_panel.count_text(self._counter.total, scales)

    # Running

    def _update_run_button(self) -> None:
        reason = self._reason_not_to_run()
        self.run_button.setEnabled(not reason)
        self.run_button.setToolTip(reason or self.tr("Start the update"))

    def _reason_not_to_run(self) -> str:
        if self._run.is_running:
            return self.tr("An update is running: cancel it, or wait for its end.")
        if self._description is None:
            return self.tr("Load a service first.")
        if self.address_panel.address() != self._description.address:
            return self.tr("The address has been changed: load it first.")
        if not self._description.modes:
            problem = self._description.modes_problem
            return messages.sentence(problem) if problem else self.tr("The site offers no update.")
        if self._runs_when_counted:
            return self.tr("The tiles are being counted; the update starts then.")
        return ""

    def _run_clicked(self) -> None:
        self.message_bar.clearWidgets()
        missing = self.area_panel.missing()
        if missing:
            self._complain(missing)
            return
        try:
            self.area_panel.source()
            self._check_choices()
        except TileCacheError as error:
            self._complain(messages.sentence(error))
            return
        if self._counter.is_counting:
            self._runs_when_counted = True
            self._update_run_button()
        elif self._counter.error is not None:
            self._complain(messages.sentence(self._counter.error))
        else:
            self._ask_and_start(self._filled_plan())

    def _check_choices(self) -> None:
        """Raises NoLevels, ModeNotOffered."""
        if not self.scales_panel.ticked_levels():
            raise NoLevels()
        mode = self.update_panel.mode()
        if mode not in self._description.modes:
            raise ModeNotOffered(self._description.name, mode.value)

    def _filled_plan(self) -> RunPlan:
        """What the form asks for, with the very area whose tiles were counted and shown."""
        return RunPlan(
            description=self._description,
            auth_config_id=self.address_panel.auth_config_id(),
            levels=self.scales_panel.ticked_levels(),
            mode=self.update_panel.mode(),
            source=self._counter.source,
            instances=self.update_panel.instances(),
            waits=self.update_panel.waits(),
            tiles=self._counter.total,
        )

    def _ask_and_start(self, plan: RunPlan) -> None:
        if not needs_question(plan.mode, plan.tiles):
            self._start(plan)
            return
        question = RunQuestion(plan.description.name, plan.mode, plan.tiles, plan.levels, self)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.finished.connect(lambda _result: question.says_yes() and self._start(plan))
        question.open()

    def _start(self, plan: RunPlan) -> None:
        title = self.tr("{service}: {mode}").format(
            mode=messages.mode_text(plan.mode), service=plan.description.name
        )
        try:
            self._run.start(title, plan)
        except TileCacheError as error:
            self._complain(messages.sentence(error))
            return
        self._plan = plan
        self._memory.save()
        self.progress_panel.start(self.tr("Running… {title}").format(title=title))
        self._update_run_button()

    def _cancel_clicked(self) -> None:
        self.progress_panel.show_cancelling()
        self._run.cancel()

    def _reported(self, report: UpdateReport) -> None:
        sentence = messages.report_sentence(report)
        done = report.outcome is not Outcome.CANCELLED
        level = Qgis.MessageLevel.Success if done else Qgis.MessageLevel.Warning
        if report.outcome is Outcome.DONE:
            self.progress_panel.show_progress(100)
        self.progress_panel.end(sentence)
        item = Notice(sentence, level)
        if report.address:
            item.add_address(report.address)
        self._qgis_bar.pushItem(item)
        self._update_run_button()
        self._reload_status()

    def _run_cancelled(self) -> None:
        """Cancelled before the site was asked for anything."""
        self.progress_panel.end(self.tr("Cancelled before anything was changed."))
        self._update_run_button()

    def _reload_status(self) -> None:
        """See how full the levels are now, where the form still speaks of the updated service."""
        address = self._plan.description.address
        if self._description.address == address == self.address_panel.address():
            self._loader.load(address, self.address_panel.auth_config_id())

    def _run_failed(self, error: Exception) -> None:
        sentence = messages.sentence(error)
        self.progress_panel.end(sentence)
        self._qgis_bar.pushItem(Notice(sentence, Qgis.MessageLevel.Critical))
        self._complain(sentence)
        self._update_run_button()

    def _complain(self, text: str) -> None:
        self.message_bar.clearWidgets()
        self.message_bar.pushItem(Notice(text, Qgis.MessageLevel.Warning))

    def _open_help(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(HELP_PAGE)))
