"""The dialog in which the tiles of a service or cache are updated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qgis.core import QgsMapLayer, QgsProject
from qgis.gui import QgsGui, QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QDragEnterEvent, QDropEvent, QHideEvent, QShowEvent
from qgis.PyQt.QtWidgets import QDialogButtonBox, QWidget

from ..plugin.core.arcgis.catalogue import ServiceEntry
from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import ModeNotOffered, NoLevels, TileCacheError
from ..plugin.core.request import Resume
from ..plugin.host import messages
from .address_panel import AddressPanel
from .addresses import dropped_path, is_same
from .area_panel import AreaPanel
from .area_preview import AreaPreview
from .count_line import CountLine
from .dialog_lines import DialogLines
from .drawing_room import DrawingRoom
from .form_dialog import FormDialog
from .form_memory import FormMemory
from .forms import load_form
from .local_side import LocalSide
from .progress_panel import ProgressPanel
from .run_control import RunControl
from .scales_panel import ScalesPanel
from .service_loader import ServiceLoader
from .tile_counter import TileCounter
from .update_panel import UpdatePanel
from .update_run import RunPlan

FORM = load_form(__file__)
NATURAL_LINES = QSize(58, 34)
"""Width and height of the dialog before a person changes it, in lines of text."""


class UpdateDialog(FormDialog, FORM):
    """Load a service or cache, tick scales, choose an area and a mode; `RunControl` runs it.

    What there is for caches on this computer alone is `LocalSide`'s.

    Non-modal: show it with `show()`. Closing hides it; an update goes on, and shows again when the
    dialog is opened anew. `unload` ends everything but the work on a site.
    """

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        message_bar: QgsMessageBar,
        active_layer: Callable[[], QgsMapLayer | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(__file__, parent)
        self.setupUi(self)
        self.setAcceptDrops(True)
        self._description: CacheDescription | None = None
        self._asked = ""
        self._add_panels(canvas, project, active_layer)
        self._add_buttons()
        self._drawing_room = DrawingRoom(self, self.area_panel, message_bar)
        self._preview = AreaPreview(canvas, self)
        self._counter = TileCounter(self)
        self._count_line = CountLine(self.update_panel, self._counter, project)
        self._lines = DialogLines(self.message_bar)
        self._loader = ServiceLoader(self)
        self._status_loader = ServiceLoader(self)
        self._control = RunControl(self.progress_panel, message_bar, self, project)
        self._local = LocalSide(
            self.address_panel, self.progress_panel, self._lines, message_bar, project, self
        )
        self._memory = FormMemory(self.address_panel, self.area_panel, self.update_panel)
        self._memory.restore()
        self._connect()
        self._show_description(None)
        self.resize(NATURAL_LINES * self.fontMetrics().height())
        QgsGui.enableAutoGeometryRestore(self)

    def load(self, address: str, auth_config_id: str = "") -> None:
        """Fill in the address and the sign-in, and ask the service or cache what it is."""
        self.address_panel.fill(address, auth_config_id)
        self._load(address, auth_config_id)

    def create_cache(self) -> None:
        """Open the dialog in which a cache on this computer is created."""
        self._local.ask_for_new()

    def unload(self) -> None:
        """End loading, counting, drawing and following; let go of canvas and project."""
        self._memory.save()
        self._drawing_room.unload()
        self._loader.stop()
        self._status_loader.stop()
        self._counter.stop()
        self._preview.clear()
        self.area_panel.unload()
        self._control.unload()
        self._count_line.forget_estimate()
        self._local.unload()
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
        self.update_panel = UpdatePanel(project, self)
        self.progress_panel = ProgressPanel(self)
        self.left_layout.addWidget(self.address_panel)
        self.left_layout.addWidget(self.scales_panel, 1)
        self.right_layout.addWidget(self.area_panel)
        self.right_layout.addWidget(self.update_panel)
        self.right_layout.addWidget(self.progress_panel, 1)
        self.dialog_layout.setStretchFactor(self.columns_layout, 1)

    def _add_buttons(self) -> None:
        self.run_button = self.add_action_button("run_button", self.tr("Run"))
        self.close_button = self.button_box.button(QDialogButtonBox.StandardButton.Close)
        self.close_button.setObjectName("close_button")

    def _connect(self) -> None:
        self.address_panel.load_requested.connect(self._load)
        self.address_panel.address_combo.editTextChanged.connect(self._update_run_button)
        self._loader.described.connect(self._described)
        self._loader.listed.connect(self._listed)
        self._loader.failed.connect(self._load_failed)
        self._status_loader.described.connect(self._status_known)
        for form_changed in (
            self.address_panel.address_combo.editTextChanged,
            self.scales_panel.ticked_changed,
            self.area_panel.area_changed,
            self.update_panel.changed,
        ):
            form_changed.connect(self._form_changed)
        self.scales_panel.ticked_changed.connect(self._levels_changed)
        self.area_panel.area_changed.connect(self._area_changed)
        self._counter.changed.connect(self._counts_changed)
        self.run_button.clicked.connect(self._run_clicked)
        self.close_button.clicked.connect(self.reject)
        self._control.busy_changed.connect(self._update_run_button)
        self._control.ended.connect(self._run_ended)
        self._control.called_off.connect(self._local.renew_offer)
        self.update_panel.estimate_requested.connect(self._estimate)
        self._count_line.failed.connect(self._complain_of)
        self._local.busy_changed.connect(self._update_run_button)
        self._local.files_changed.connect(self._files_changed)
        self._local.record_changed.connect(lambda path: self._reload_status(path, ""))
        self._local.created.connect(self._open_created)
        self._local.taken_up.connect(self._take_up)

    # QWidget interface

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if dropped_path(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        path = dropped_path(event.mimeData())
        if path:
            event.acceptProposedAction()
            self.load(path, self.address_panel.auth_config_id())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if event.spontaneous():
            return
        if self._drawing_room.is_drawing:  # opened anew instead of drawing
            self.area_panel.stop_drawing()
        self._area_changed()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous() and not self._drawing_room.is_drawing:
            self._counter.stop()
            self._preview.clear()
            self._memory.save()

    # Loading a service or cache

    def _load(self, address: str, auth_config_id: str) -> None:
        self._lines.clear()
        self._local.forget_offer()
        self.address_panel.show_summary(self.tr("Loading…"))
        self._asked = self.address_panel.address()
        self._loader.load(address, auth_config_id)

    def _described(self, description: CacheDescription) -> None:
        self.address_panel.show_loaded(description.address, self._asked)
        self._memory.add_recent(description.address)
        if self._differs_in_status_only(description):
            self._show_status(description)
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
        self._memory.add_recent(self._asked)
        self.address_panel.show_services(services)
        if not services:
            self._complain(self.tr("The site lists no map or image service that you may see."))

    def _load_failed(self, error: Exception) -> None:
        self._show_summary()
        self.address_panel.help_with(error)
        self._complain_of(error)

    def _show_description(self, description: CacheDescription | None) -> None:
        """Let every panel speak of this service. Raises DescriptionError: its CRS is unknown."""
        self.scales_panel.show_description(description)
        self._description = description
        self.area_panel.show_description(description)
        self.update_panel.show_description(description)
        self._show_summary()
        self._area_changed()
        self._update_run_button()

    def _open_created(self, path: str) -> None:
        self.show()
        self.raise_()
        self.load(path, self.address_panel.auth_config_id())

    def _run_ended(self, plan: RunPlan) -> None:
        if plan.description.is_local:
            self._local.run_ended(plan.description.address)
        self._reload_status(plan.description.address, plan.auth_config_id)

    def _files_changed(self, path: str) -> None:
        self._local.reload_layers(path)
        self._reload_status(path, "")

    def _reload_status(self, address: str, auth_config_id: str) -> None:
        """See how full the levels are now, where the form still speaks of what was changed."""
        if self._description is not None and self._description.address == address:
            self._status_loader.load(address, auth_config_id)

    def _status_known(self, description: CacheDescription) -> None:
        if self._differs_in_status_only(description):
            self._show_status(description)

    def _show_status(self, description: CacheDescription) -> None:
        self._description = description
        self.scales_panel.show_status(description)
        self._update_run_button()
        if not self._loader.is_loading:  # that is said in the same place
            self._show_summary()

    def _differs_in_status_only(self, description: CacheDescription) -> bool:
        """Whether it is the one on show, perhaps fuller: a run goes on as if untouched."""
        shown = self._description
        if shown is None:
            return False
        same = replace(
            description, status=shown.status, unfinished=shown.unfinished, source=shown.source
        )
        return same == shown

    def _show_summary(self) -> None:
        text = messages.summary(self._description) if self._description else ""
        self.address_panel.show_summary(text)

    # Area, scales and their tiles

    def _area_changed(self) -> None:
        """Show and count the area; a closed dialog does so when it is opened again."""
        if not self.isVisible():
            return
        source = self.area_panel.chosen().source
        self._preview.show(source, self._description)
        self._counter.set_area(self._description, source)
        self._enable_run()

    def _levels_changed(self) -> None:
        self._counter.set_levels(self.scales_panel.ticked_levels())

    def _counts_changed(self) -> None:
        self.scales_panel.set_counts(self._counter.counts)
        self._count_line.show(self._description, len(self.scales_panel.ticked_levels()))
        self._enable_run()

    def _form_changed(self) -> None:
        self._lines.clear()
        self._count_line.forget_estimate()
        self._enable_run()

    def _estimate(self) -> None:
        problem = self._problem()
        if self._count_line.is_estimating:
            self._count_line.forget_estimate()
        elif problem:
            self._complain(problem)
        elif self._counter.is_counting:
            self._complain(self.tr("The tiles are still being counted."))
        else:
            self._count_line.estimate(self._filled_plan())

    # Running

    def _update_run_button(self) -> None:
        self._enable_run()
        self._local.show(self._description, self._busy_reason())

    def _enable_run(self) -> None:
        reason = self._reason_not_to_run()
        if not reason and self.isVisible():  # closed, it follows neither canvas nor layers
            reason = self._problem()
        self.run_button.setEnabled(not reason)
        self.run_button.setToolTip(reason or self.tr("Start the update"))

    def _busy_reason(self) -> str:
        return self._control.busy_reason() or self._local.busy_reason()

    def _reason_not_to_run(self) -> str:
        if self._busy_reason():
            return self._busy_reason()
        if self._description is None:
            return self.tr("Load a service or cache first.")
        if not is_same(self.address_panel.address(), self._description.address):
            return self.tr("The address has been changed: load it first.")
        if not self._description.modes:
            problem = self._description.modes_problem
            return messages.sentence(problem) if problem else self.tr("No update is offered.")
        return ""

    def _run_clicked(self) -> None:
        self._lines.clear()
        problem = self._problem()  # an edit of a layer may have come just now
        if problem:
            self._complain(problem)
            return
        self._memory.save()
        self._carry_out(self._filled_plan())

    def _take_up(self, how: Resume) -> None:
        """Go on with the unfinished update of the cache on show, or with what failed in it."""
        reason = self._reason_not_to_run()
        if reason:
            self._complain(reason)
            return
        source = self.update_panel.source.text()
        self._carry_out(RunPlan.taking_up(self._description, how, source))

    def _carry_out(self, plan: RunPlan) -> None:
        self._local.withdraw_offer()
        self._control.carry_out(plan, self._counter)

    def _problem(self) -> str:
        """What is still wrong with the form, as a sentence; "" for nothing."""
        return self.area_panel.chosen().problem or self._wrong_choice()

    def _wrong_choice(self) -> str:
        """What forbids running beside the area, as a sentence; "" for nothing."""
        mode = self.update_panel.mode()
        error: Exception | None = None
        if not self.scales_panel.ticked_levels():
            error = NoLevels()
        elif mode not in self._description.modes:
            error = ModeNotOffered(self._description.name, mode.value)
        elif not self._counter.is_counting:
            error = self._counter.error
        return "" if error is None else messages.sentence(error)

    def _filled_plan(self) -> RunPlan:
        """What the form asks for, with the very area that is shown and counted."""
        return RunPlan(
            description=self._description,
            auth_config_id=self.address_panel.used_auth_config_id(),
            levels=self.scales_panel.ticked_levels(),
            mode=self.update_panel.mode(),
            instances=self.update_panel.instances(),
            waits=self.update_panel.waits(),
            counted=None if self._counter.is_counting else self._counter.counted,
            source=self.update_panel.source.text(),
            tile_filter=self.update_panel.tile_filter(),
        )

    def _complain(self, text: str) -> None:
        self._lines.complain(text)

    def _complain_of(self, error: Exception) -> None:
        self._complain(messages.sentence(error))
