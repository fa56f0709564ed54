"""What the dialogs that work on the tiles of a service or cache have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from qgis.core import QgsMapLayer, QgsProject
from qgis.gui import QgsGui, QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QSize, QTimer
from qgis.PyQt.QtGui import QDragEnterEvent, QDropEvent, QHideEvent, QShowEvent
from qgis.PyQt.QtWidgets import QDialogButtonBox, QVBoxLayout, QWidget

from ..plugin.core.arcgis.catalogue import ServiceEntry
from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import NoLevels, TileCacheError
from ..plugin.host import messages
from .address_panel import AddressPanel
from .addresses import dropped_path, is_same
from .area_panel import AreaPanel
from .area_preview import AreaPreview
from .column import Column, share_room
from .count_line import CountLine
from .dialog_lines import DialogLines
from .drawing_room import DrawingRoom
from .form_dialog import FormDialog
from .form_memory import FormMemory, RememberedPanel
from .forms import load_form
from .latest_task import LatestTask
from .portal_trust import PortalTrust
from .progress_panel import ProgressPanel
from .scales_panel import ScalesPanel
from .service_loader import ServiceLoader
from .tile_counter import TileCounter

FORM = load_form(__file__)


class CacheDialog(FormDialog, FORM):
    """Load a service or cache, tick scales, choose an area; what is done there, subclasses say.

    A subclass adds its own panel with `_add_own_panel`, then calls `begin`. What it says and does
    itself stands under "What subclasses say".

    Non-modal: show it with `show()`. Closing hides it; what runs goes on, and shows again when the
    dialog is opened anew.

    `natural_lines`: its width and height before a person changes it, in lines of text.
    """

    natural_lines = QSize(58, 34)

    def __init__(
        self,
        python_file: str,
        canvas: QgsMapCanvas,
        project: QgsProject,
        message_bar: QgsMessageBar,
        active_layer: Callable[[], QgsMapLayer | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(python_file, parent)
        self.setupUi(self)
        self.setObjectName(type(self).__name__)  # which QGIS keeps size and place by
        self.setAcceptDrops(True)
        self._description: CacheDescription | None = None
        self._asked = ""
        self._run_tip = ""
        self._columns = [self._make_column(each) for each in (self.left_layout, self.right_layout)]
        self.columns_layout.setStretch(0, 1)
        self._add_left_panels(self.left_layout, active_layer)
        self.area_panel = AreaPanel(canvas, project, self)
        self.right_layout.addWidget(self.area_panel)
        self.dialog_layout.setStretchFactor(self.columns_layout, 1)
        self._drawing_room = DrawingRoom(self, self.area_panel, message_bar)
        self._preview = AreaPreview(canvas, self)
        self._counter = TileCounter(self)
        self._counted_first = LatestTask()
        self._lines = DialogLines(self.message_bar)
        self._loader = ServiceLoader(self)
        self._trust = PortalTrust(self._loader, self)
        self._fitting = QTimer(self)
        self._fitting.setSingleShot(True)
        self._fitting.timeout.connect(self._fit_height)

    def begin(self, panel: RememberedPanel, run_text: str, run_tip: str) -> None:
        """Bring the dialog to life, once the subclass has added its own `panel`.

        `run_text`, `run_tip`: of the button that does what the dialog is for.
        """
        self._panel = panel
        self._run_tip = run_tip
        self.run_button = self.add_action_button("run_button", run_text)
        self.close_button = self.button_box.button(QDialogButtonBox.StandardButton.Close)
        self.close_button.setObjectName("close_button")
        self._count_line = CountLine(panel.tile_count_label, panel.estimate_button, self._counter)
        self._memory = FormMemory(self.address_panel, self.area_panel, panel)
        self._memory.restore()
        self._connect()
        self._show_description(None)
        self.resize(self.natural_lines * self.fontMetrics().height())
        QgsGui.enableAutoGeometryRestore(self)

    def load(self, address: str, auth_config_id: str = "") -> None:
        """Fill in the address and the sign-in, and ask the service or cache what it is."""
        self.address_panel.fill(address, auth_config_id)
        self._load(address, auth_config_id)

    def unload(self) -> None:
        """End loading, counting and drawing; let go of canvas and project."""
        self._memory.save()
        self._drawing_room.unload()
        self.address_panel.unload()
        self._loader.stop()
        self._counted_first.drop()
        self._counter.stop()
        self._preview.clear()
        self.area_panel.unload()
        self._count_line.forget_estimate()
        self.hide()

    # What subclasses say

    def busy_reason(self) -> str:
        """Why nothing can be run now, whatever the form says; "" where it can."""
        raise NotImplementedError

    def unfit(self, description: CacheDescription) -> Exception | None:
        """Why nothing can be done with this cache at all; None where something can."""
        raise NotImplementedError

    def run(self) -> None:
        """Do what the dialog is for: the form is filled without a problem."""
        raise NotImplementedError

    def estimate(self) -> None:
        """Begin the estimate of what the form says, which is filled, and counted."""
        raise NotImplementedError

    def _unready(self) -> str:
        """Why the cache on show cannot be worked on, as a sentence; "" where it can."""
        return ""

    def _wrong_choice(self) -> str:
        """What forbids running beside the area, as a sentence; "" for nothing."""
        if not self.scales_panel.ticked_levels():
            return messages.sentence(NoLevels())
        if not self._counter.is_counting and self._counter.error is not None:
            return self._counter.error_text
        return ""

    # Putting the dialog together

    def _make_column(self, layout: QVBoxLayout) -> Column:
        """Let what is in `layout` be scrolled where the screen has no room."""
        self.columns_layout.removeItem(layout)
        layout.setParent(None)
        column = Column(layout)
        self.columns_layout.addWidget(column)
        return column

    def _add_left_panels(
        self, layout: QVBoxLayout, active_layer: Callable[[], QgsMapLayer | None]
    ) -> None:
        """Put into `layout`, on the left, what the work is done with."""
        self.address_panel = AddressPanel(active_layer, self)
        self.scales_panel = ScalesPanel(self)
        layout.addWidget(self.address_panel)
        layout.addWidget(self.scales_panel, 1)

    def _add_own_panel(self, panel: QWidget) -> None:
        """Put the subclass's panel below the area, and the progress where there is room."""
        self.progress_panel = ProgressPanel(self)
        self.right_layout.addWidget(panel)
        self._progress_layout().addWidget(self.progress_panel, 1)

    def _progress_layout(self) -> QVBoxLayout:
        """The column that has room for the progress."""
        return self.right_layout

    def _connect(self) -> None:
        self.address_panel.load_requested.connect(self._load)
        self.address_panel.address_combo.editTextChanged.connect(self._update_run_button)
        self._loader.described.connect(self._described)
        self._loader.listed.connect(self._listed)
        self._loader.failed.connect(self._load_failed)
        self._trust.trusted.connect(self._load)
        for form_changed in (
            self.address_panel.address_combo.editTextChanged,
            self.scales_panel.ticked_changed,
            self.area_panel.area_changed,
            self._panel.changed,
        ):
            form_changed.connect(self._form_changed)
        self.scales_panel.ticked_changed.connect(self._levels_changed)
        self.area_panel.area_changed.connect(self._area_changed)
        self._counter.changed.connect(self._counts_changed)
        self._count_line.failed.connect(self._complain_of)
        self._panel.estimate_button.clicked.connect(self._estimate_clicked)
        self.run_button.clicked.connect(self._run_clicked)
        self.close_button.clicked.connect(self.reject)

    def _fit_height(self) -> None:
        """Be no higher than needed: what is collapsed is so only once it was shown."""
        natural = min(self.natural_lines.height() * self.fontMetrics().height(), self.most_height())
        self.resize(min(self.width(), self.most_width()), max(natural, self.minimumHeight()))

    def _use_room(self) -> None:
        columns = self.columns_layout.minimumHeightForWidth(self._columns_width())
        height = self.most_height() - self.dialog_layout.minimumHeightForWidth(self.width())
        beside = self.width() - self._columns_width() + self.columns_layout.spacing()
        share_room(self._columns, height + columns, self.most_width() - beside)

    def _columns_width(self) -> int:
        """How wide all columns are together."""
        return self.dialog_layout.contentsRect().width()

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
        at_least = self.minimumHeight()
        super().showEvent(event)
        if event.spontaneous():
            return
        is_large = self.height() > self.most_height() or self.width() > self.most_width()
        if is_large or self.height() == at_least:
            self._fitting.start()
        if self._drawing_room.is_drawing:  # opened anew instead of drawing
            self.area_panel.stop_drawing()
        self._area_changed()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous() and not self._drawing_room.is_drawing:
            self._counter.stop()
            self._preview.clear()
            self._memory.save()

    def _first_fields(self) -> list[QWidget]:
        return [self.address_panel.address_combo]

    # Loading a service or cache

    def _load(self, address: str, auth_config_id: str) -> None:
        self._lines.clear()
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
            problem = self.unfit(description)
        except TileCacheError as error:
            problem = error
        if problem is not None:
            self._load_failed(problem)

    def _listed(self, services: tuple[ServiceEntry, ...]) -> None:
        self._show_description(None)
        self._memory.add_recent(self._asked)
        self.address_panel.show_services(services)
        if not services:
            self._complain(self.tr("The site lists no map or image service that you may see."))

    def _load_failed(self, error: Exception) -> None:
        self._show_summary()
        shown = self._description
        if shown and not is_same(self.address_panel.address(), shown.address):
            self.address_panel.show_summary(messages.still_shown_text(shown))
        self.address_panel.help_with(error)
        self._complain_of(error)

    def _show_description(self, description: CacheDescription | None) -> None:
        """Let every panel speak of this service. Raises DescriptionError: its CRS is unknown."""
        self.scales_panel.show_description(description)
        self._description = description
        self.area_panel.show_description(description)
        self._panel.show_description(description)
        self._show_summary()
        self._area_changed()
        self._update_run_button()

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
        levels = self.scales_panel.ticked_levels()
        self.area_panel.show_ticked(levels)
        self._counter.set_levels(levels)

    def _counts_changed(self) -> None:
        self.scales_panel.set_counts(self._counter.counts)
        self.area_panel.show_counts(self._counter.counts)
        self._count_line.show(self._description, len(self.scales_panel.ticked_levels()))
        self._enable_run()

    def _form_changed(self) -> None:
        self._lines.clear()
        self._counted_first.drop()
        self._count_line.forget_estimate()
        self._enable_run()

    def _estimate_clicked(self) -> None:
        problem = self._problem()
        if self._count_line.is_estimating:
            self._count_line.forget_estimate()
        elif problem:
            self._complain(problem)
        elif self._counter.is_counting:
            go_on = self._estimate_clicked
            answers = {"counted": lambda _: go_on(), "failed": self._complain_of}
            self._counter.join(self._counted_first, {**answers, "cancelled": lambda: None})
        else:
            self.estimate()

    # Running

    def _update_run_button(self) -> None:
        self._enable_run()

    def _enable_run(self) -> None:
        reason = self._reason_not_to_run()
        if not reason and self.isVisible():  # closed, it follows neither canvas nor layers
            reason = self._problem()
        self.run_button.setEnabled(not reason)
        self.run_button.setToolTip(reason or self._run_tip)

    def _reason_not_to_run(self) -> str:
        if self.busy_reason():
            return self.busy_reason()
        if self._description is None:
            return self.tr("Load a service or cache first.")
        if not is_same(self.address_panel.address(), self._description.address):
            return self.tr("The address has been changed: load it first.")
        return self._unready()

    def _run_clicked(self) -> None:
        self._lines.clear()
        problem = self._problem()  # an edit of a layer may have come just now
        if problem:
            self._complain(problem)
            return
        self._memory.save()
        self.run()

    def _problem(self) -> str:
        """What is still wrong with the form, as a sentence; "" for nothing."""
        return self.area_panel.chosen().problem or self._wrong_choice()

    def _complain(self, text: str) -> None:
        self._lines.complain(text)

    def _complain_of(self, error: Exception) -> None:
        text = messages.asking_sentence(error, self._loader.asked[0])
        self._trust.offer(error, self._lines.complain(text))
