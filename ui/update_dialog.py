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
from ..plugin.host import messages
from .address_panel import AddressPanel
from .area_panel import AreaPanel
from .area_preview import AreaPreview
from .drawing_room import DrawingRoom
from .form_memory import FormMemory
from .forms import load_form
from .notices import Notice
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

HELP_PAGE = Path(__file__).parent / "help" / "update_dialog.html"


class UpdateDialog(QDialog, FORM):
    """Load a service, tick scales, choose an area and a mode; running it is `RunControl`'s.

    Non-modal: show it with `show()`. Closing hides it; an update goes on, and shows again when the
    dialog is opened anew. `unload` ends everything but the work on the site.
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
        self._asked = ""
        self._add_panels(canvas, project, active_layer)
        self._add_buttons()
        self._drawing_room = DrawingRoom(self, self.area_panel, message_bar)
        self._preview = AreaPreview(canvas, self)
        self._counter = TileCounter(self)
        self._loader = ServiceLoader(self)
        self._status_loader = ServiceLoader(self)
        self._control = RunControl(self.progress_panel, message_bar, self)
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
        """End loading, counting, drawing and following; let go of canvas and project."""
        self._memory.save()
        self._drawing_room.unload()
        self._loader.stop()
        self._status_loader.stop()
        self._counter.stop()
        self._preview.clear()
        self.area_panel.unload()
        self._control.unload()
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
        self._status_loader.described.connect(self._status_known)
        for form_changed in (
            self.address_panel.address_combo.editTextChanged,
            self.scales_panel.ticked_changed,
            self.area_panel.area_changed,
            self.update_panel.changed,
        ):
            form_changed.connect(self.message_bar.clearWidgets)
        self.scales_panel.ticked_changed.connect(self._levels_changed)
        self.area_panel.area_changed.connect(self._area_changed)
        self._counter.changed.connect(self._counts_changed)
        self.run_button.clicked.connect(self._run_clicked)
        self.close_button.clicked.connect(self.reject)
        self.help_button.clicked.connect(self._open_help)
        self._control.busy_changed.connect(self._update_run_button)
        self._control.ended.connect(self._reload_status)

    # QWidget interface

    def event(self, event: QEvent) -> bool:
        """Keep high enough for texts that wrap, which Qt leaves out of a window's minimum."""
        handled = super().event(event)
        if event.type() in (QEvent.Type.LayoutRequest, QEvent.Type.Resize):
            wanted = self.layout().minimumHeightForWidth(self.width())
            self.setMinimumHeight(max(wanted, self.layout().totalMinimumSize().height()))
        return handled

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keep Return from pressing a button: it belongs to the field it is typed in."""
        if event.key() not in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            super().keyPressEvent(event)

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

    # Loading a service

    def _load(self, address: str, auth_config_id: str) -> None:
        self.message_bar.clearWidgets()
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

    def _reload_status(self, plan: RunPlan) -> None:
        """See how full the levels are now, where the form still speaks of the updated service."""
        if self._description is not None and self._description.address == plan.description.address:
            self._status_loader.load(plan.description.address, plan.auth_config_id)

    def _status_known(self, description: CacheDescription) -> None:
        if self._differs_in_status_only(description):
            self._show_status(description)

    def _show_status(self, description: CacheDescription) -> None:
        self._description = description
        self.scales_panel.show_status(description)
        if not self._loader.is_loading:  # that is said in the same place
            self._show_summary()

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
        if not self.isVisible():
            return
        source = self.area_panel.chosen().source
        self._preview.show(source, self._description)
        self._counter.set_area(self._description, source)

    def _levels_changed(self) -> None:
        self._counter.set_levels(self.scales_panel.ticked_levels())

    def _counts_changed(self) -> None:
        self.scales_panel.set_counts(self._counter.counts)
        self.update_panel.show_count(self._count_text())

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
        if self._control.busy_reason():
            return self._control.busy_reason()
        if self._description is None:
            return self.tr("Load a service first.")
        if self.address_panel.address() != self._description.address:
            return self.tr("The address has been changed: load it first.")
        if not self._description.modes:
            problem = self._description.modes_problem
            return messages.sentence(problem) if problem else self.tr("The site offers no update.")
        return ""

    def _run_clicked(self) -> None:
        self.message_bar.clearWidgets()
        area = self.area_panel.chosen()
        problem = area.problem or self._wrong_choice()
        if problem:
            self._complain(problem)
            return
        self._memory.save()
        self._control.carry_out(self._filled_plan(), self._counter)

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
            auth_config_id=self.address_panel.auth_config_id(),
            levels=self.scales_panel.ticked_levels(),
            mode=self.update_panel.mode(),
            instances=self.update_panel.instances(),
            waits=self.update_panel.waits(),
            counted=None if self._counter.is_counting else self._counter.counted,
        )

    def _complain(self, text: str) -> None:
        self.message_bar.clearWidgets()
        self.message_bar.pushItem(Notice(text, Qgis.MessageLevel.Warning))

    def _open_help(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(HELP_PAGE)))
