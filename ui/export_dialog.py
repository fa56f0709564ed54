"""The dialog in which tiles of services and caches are exported into packages and caches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from qgis.core import Qgis, QgsMapLayer, QgsProject
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QHideEvent
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import TileCacheError
from ..plugin.core.planned import touched_tiles
from ..plugin.core.request import LevelEstimate
from ..plugin.host import areas, connections, export_tasks, messages
from ..plugin.host.service_estimate import ServiceEstimate
from .area_kinds import AreaKind
from .cache_dialog import CacheDialog
from .export_control import ExportControl
from .export_panel import ExportPanel
from .export_run import ExportPlan, QueuePlan, estimate_task, queue_estimate_task
from .pages import Pages
from .services_panel import ServicesPanel


class ExportDialog(CacheDialog):
    """Choose format and place of what the ticked scales and the area are exported to.

    Of one service or cache, or of several services of the project, one after the other.
    `ExportControl` runs it; `unload` ends it, and what was got is kept.
    """

    natural_lines = QSize(58, 40)

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        message_bar: QgsMessageBar,
        active_layer: Callable[[], QgsMapLayer | None],
        parent: QWidget | None = None,
    ) -> None:
        self._project = project
        self._first_loaded = ""
        super().__init__(__file__, canvas, project, message_bar, active_layer, parent)
        self._counter.count = touched_tiles
        self.setWindowTitle(self.tr("Export Cache Tiles"))
        self.address_panel.hide_care()
        self.area_panel.area_kind_combo.setToolTip(self.tr("Where tiles are exported"))
        self.scales_panel.scales_view.setToolTip(
            self.tr(
                "Tick the scales whose tiles are exported; the space bar ticks or unticks the"
                " selected rows"
            )
        )
        self.export_panel = ExportPanel(self)
        self._add_own_panel(self.export_panel)
        self.right_layout.addStretch(1)
        self.progress_panel.show_state(self.tr("No export is running."))
        self._control = ExportControl(self.progress_panel, message_bar, self, project)
        self._control.busy_changed.connect(self._update_run_button)
        self._control.told.connect(self._tell)
        self._control.queue_reported.connect(self.services_panel.show_results)
        self._control.item_told.connect(self.services_panel.show_item)
        self._control.ended.connect(self.services_panel.forget_waiting)
        self._control.called_off.connect(self.services_panel.forget_waiting)
        self.begin(self.export_panel, self.tr("Export"), self.tr("Start the export"))
        self._count_line.estimated.connect(self._show_estimates)
        self.services_panel.changed.connect(self._services_changed)
        self.tabs.currentChanged.connect(self._tab_changed)

    def open_for(self, layers: Iterable[QgsMapLayer]) -> None:
        """Speak of what `layers` are drawn from: of one it is loaded, of several all are ticked."""
        shown = list(layers)
        services = connections.services_of(shown)
        one = connections.of_layer(shown[0]) if shown else None
        if len(services) > 1:
            self.services_panel.tick_only([each.url for each in services])
            self.tabs.setCurrentWidget(self.services_panel)
        elif one is not None:
            self.load(one.url, one.auth_config_id)

    def load(self, address: str, auth_config_id: str = "") -> None:
        """Fill in the address and the sign-in of one service or cache, and ask what it is."""
        self.tabs.setCurrentIndex(0)
        super().load(address, auth_config_id)

    def unload(self) -> None:
        """End loading, counting, drawing and exporting; let go of canvas and project."""
        super().unload()
        self.services_panel.unload()
        self.export_panel.target.unload()
        self._control.unload()

    @property
    def is_several(self) -> bool:
        """Whether several services are exported."""
        return self.tabs.currentWidget() is self.services_panel

    # CacheDialog interface

    def busy_reason(self) -> str:
        return self._control.busy_reason()

    def unfit(self, _description: CacheDescription) -> Exception | None:
        return None

    def run(self) -> None:
        self._lines.offer(None)
        if self.is_several:
            plan = self._queue_plan()
            self.services_panel.show_waiting()
            self._control.carry_out(plan, self._counter)
        else:
            self._control.carry_out(self._filled_plan(), self._counter)
        self._forget_leave()

    def estimate(self) -> None:
        try:
            if self.is_several:
                task = queue_estimate_task(self._queue_plan())
                self._count_line.estimate(task, messages.queue_estimate_text)
            else:
                self._count_line.estimate(estimate_task(self._filled_plan()))
        except TileCacheError as error:
            self._complain_of(error)

    def _add_left_panels(
        self, layout: QVBoxLayout, active_layer: Callable[[], QgsMapLayer | None]
    ) -> None:
        self.tabs = Pages(self)
        self.tabs.setObjectName("services_tabs")
        one = QWidget()
        super()._add_left_panels(QVBoxLayout(one), active_layer)
        self.services_panel = ServicesPanel(self._project)
        for page in (one, self.services_panel):
            gap = page.layout().spacing()
            page.layout().setContentsMargins(gap, gap, gap, gap)
        self.tabs.addTab(one, self.tr("One Service or Cache"))
        self.tabs.addTab(self.services_panel, self.tr("Several Services"))
        layout.addWidget(self.tabs, 2)

    def _progress_layout(self) -> QVBoxLayout:
        return self.left_layout  # on the right, areas by scale leave no room on small screens

    def _first_fields(self) -> list[QWidget]:
        field = self.services_panel.services_view if self.is_several else None
        return [self.tabs.tabBar(), field or self.address_panel.address_combo]

    def _load(self, address: str, auth_config_id: str) -> None:
        self.export_panel.owner_check.setChecked(False)  # asked anew, also for the same service
        super()._load(address, auth_config_id)

    def _show_description(self, description: CacheDescription | None) -> None:
        super()._show_description(description)
        self.services_panel.show_description(description)

    def _reason_not_to_run(self) -> str:
        return self.busy_reason() if self.is_several else super()._reason_not_to_run()

    def _wrong_choice(self) -> str:
        if self.is_several:
            problem = self.services_panel.problem() or self.export_panel.problem()
            return problem or self._extent_without_crs()
        return super()._wrong_choice() or self.export_panel.problem()

    def _levels_changed(self) -> None:
        super()._levels_changed()
        self.export_panel.show_levels(self.scales_panel.ticked_levels())
        if self.is_several:  # scales that rules leave out are left out of the export
            self.area_panel.show_ticked(())

    def _area_changed(self) -> None:
        super()._area_changed()
        is_by_rules = self.area_panel.kind() is AreaKind.RULES  # a table, which can use the room
        self.right_layout.setStretchFactor(self.area_panel, 2 if is_by_rules else 0)

    def _counts_changed(self) -> None:
        super()._counts_changed()
        if self.is_several:
            self._count_line.say(
                self.tr("Tiles are counted when it is each service's turn, or by “Estimate”.")
            )

    # QWidget interface

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        if not event.spontaneous() and not self._drawing_room.is_drawing:
            self._forget_leave()

    # ours

    def _forget_leave(self) -> None:
        """Ask anew for the next export whose the tiles are."""
        self.export_panel.owner_check.setChecked(False)
        self.services_panel.forget_leave()

    def _extent_without_crs(self) -> str:
        """Why a typed extent is none for several services, as a sentence; "" where it is."""
        if isinstance(self.area_panel.chosen().source, areas.TypedExtent):
            return self.tr(
                "Services may differ in their CRS: type the extent with its own, as"
                " xmin,xmax,ymin,ymax [EPSG:code]."
            )
        return ""

    def _services_changed(self) -> None:
        self._form_changed()
        self._load_first()

    def _load_first(self) -> None:
        """Load the first ticked service where none is: for its scales, and to suggest rules."""
        chosen = self.services_panel.chosen() if self.is_several else ()
        if not chosen or self._description is not None or self._loader.is_loading:
            return
        if chosen[0].url != self._first_loaded:  # if that failed, it is not tried again
            self._first_loaded = chosen[0].url
            super().load(chosen[0].url, chosen[0].auth_config_id)

    def _tab_changed(self) -> None:
        self._load_first()
        self.export_panel.show_several(self.is_several)
        self._levels_changed()
        self._counts_changed()
        self._form_changed()

    def _show_estimates(
        self, estimates: tuple[LevelEstimate, ...] | tuple[ServiceEstimate, ...]
    ) -> None:
        """Tell scale by scale, or service by service, where one points, what is told in all."""
        is_of_services = self.is_several and bool(estimates)
        text_of = (
            messages.queue_estimate_lines if is_of_services else messages.export_estimate_lines
        )
        self.export_panel.tile_count_label.setToolTip("\n".join(text_of(tuple(estimates))))
        self.scales_panel.show_estimates(() if is_of_services else estimates)

    def _tell(self, sentence: str, level: Qgis.MessageLevel, paths: tuple[Path, ...]) -> None:
        """Say in the dialog, too, what came of it, in place of what came of the last one."""
        self._lines.offer(self._control.line(sentence, level, paths))

    def _filled_plan(self) -> ExportPlan:
        """What the form asks for, with the very area that is shown and counted."""
        panel = self.export_panel
        return ExportPlan(
            description=self._description,
            auth_config_id=self.address_panel.used_auth_config_id(),
            levels=self.scales_panel.ticked_levels(),
            counted=None if self._counter.is_counting else self._counter.counted,
            target=panel.target.path(),
            storage=panel.storage(),
            overwrite=panel.overwrite(),
            is_clipped=panel.is_clipped(),
            way=panel.way(),
            is_owner=panel.is_owner(),
            draws_missing=panel.draws_missing(),
        )

    def _queue_plan(self) -> QueuePlan:
        """What the form asks for of several services."""
        panel = self.export_panel
        return QueuePlan(
            services=self.services_panel.chosen(),
            listed=self.services_panel.listed(),
            estimate=self._count_line.estimate_text,
            folder=panel.folder(),
            anew=self.services_panel.is_anew(),
            done=self.services_panel.done(),
            choices=export_tasks.QueueChoices(
                area=self.area_panel.chosen().source,
                storage=panel.storage(),
                coarsest=self.services_panel.coarsest(),
                finest=self.services_panel.finest(),
                overwrite=panel.overwrite(),
                is_clipped=panel.is_clipped(),
                way=panel.way(),
                owned=self.services_panel.owned(),
            ),
        )
