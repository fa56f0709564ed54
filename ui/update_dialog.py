"""The dialog in which the tiles of a service or cache are updated."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import QgsMapLayer, QgsProject
from qgis.gui import QgsMapCanvas, QgsMessageBar
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import ModeNotOffered, NoLevels, TileCacheError
from ..plugin.core.request import Resume
from ..plugin.host import local_tasks, messages
from .cache_dialog import CacheDialog
from .jobs import Jobs
from .jobs_panel import JobsPanel
from .local_side import LocalSide
from .pages import Pages
from .run_control import RunControl
from .service_loader import ServiceLoader
from .update_panel import UpdatePanel
from .update_run import RunPlan, source_of


class UpdateDialog(CacheDialog):
    """Choose a mode for the ticked scales and the area; `RunControl` runs the update.

    What there is for caches on this computer alone is `LocalSide`'s; another page lists the jobs on
    sites. `unload` ends everything but the work on a site.

    `jobs`: the list that the whole of QGIS has in common; None: the dialog has one of its own.
    """

    def __init__(
        self,
        canvas: QgsMapCanvas,
        project: QgsProject,
        message_bar: QgsMessageBar,
        active_layer: Callable[[], QgsMapLayer | None],
        parent: QWidget | None = None,
        jobs: Jobs | None = None,
    ) -> None:
        super().__init__(__file__, canvas, project, message_bar, active_layer, parent)
        self.setWindowTitle(self.tr("Manage Cache Tiles"))
        self._project = project
        self.update_panel = UpdatePanel(project, self)
        self._add_own_panel(self.update_panel)
        self._own_jobs = Jobs(message_bar, self) if jobs is None else None
        self._jobs = jobs or self._own_jobs
        self._add_pages()
        self._status_loader = ServiceLoader(self)
        self._control = RunControl(self.progress_panel, message_bar, self, project, self._jobs)
        self._local = LocalSide(
            self.address_panel, self.progress_panel, self._lines, message_bar, project, self
        )
        self._connect_own()
        self.begin(self.update_panel, self.tr("Run"), self.tr("Start the update"))

    def create_cache(self) -> None:
        """Open the dialog in which a cache on this computer is created."""
        self._local.ask_for_new()

    def load(self, address: str, auth_config_id: str = "") -> None:
        """Fill in the address and the sign-in, and ask the service or cache what it is."""
        self.tabs.setCurrentIndex(0)
        super().load(address, auth_config_id)

    def show_jobs(self) -> None:
        """Show the page that lists the jobs on sites."""
        self.tabs.setCurrentWidget(self.jobs_panel)
        self.show()
        self.raise_()
        self.activateWindow()

    def unload(self) -> None:
        """End loading, counting, drawing and following; let go of canvas and project."""
        super().unload()
        self._status_loader.stop()
        self._control.unload()
        self._local.unload()
        if self._own_jobs is not None:
            self._own_jobs.unload()

    def _add_pages(self) -> None:
        """Put what there is so far on a page of its own, and the jobs on another."""
        self.jobs_panel = JobsPanel(self._jobs)
        self.tabs = Pages(self)
        self.tabs.setObjectName("update_tabs")
        page = QWidget()
        self.dialog_layout.removeItem(self.columns_layout)
        self.columns_layout.setParent(None)
        page.setLayout(self.columns_layout)
        for each in (page, self.jobs_panel):
            gap = each.layout().spacing()
            each.layout().setContentsMargins(gap, gap, gap, gap)
        self.tabs.addTab(page, self.tr("Update"))
        self.tabs.addTab(self.jobs_panel, self.jobs_panel.title)
        self.dialog_layout.insertWidget(1, self.tabs, 1)

    def _connect_own(self) -> None:
        self.tabs.currentChanged.connect(self._page_changed)
        self.jobs_panel.title_changed.connect(self._show_jobs_title)
        if self._own_jobs is not None:
            self._own_jobs.wanted.connect(self.show_jobs)
        self._status_loader.described.connect(self._status_known)
        self._control.busy_changed.connect(self._update_run_button)
        self._control.ended.connect(self._run_ended)
        self._control.called_off.connect(self._local.renew_offer)
        self._local.busy_changed.connect(self._update_run_button)
        self._local.files_changed.connect(self._files_changed)
        self._local.record_changed.connect(lambda path: self._reload_status(path, ""))
        self._local.created.connect(self._open_created)
        self._local.taken_up.connect(self._take_up)

    def _page_changed(self) -> None:
        """Run is about the page with the form alone."""
        self.run_button.setVisible(self.tabs.currentIndex() == 0)

    def _show_jobs_title(self, title: str) -> None:
        self.tabs.setTabText(self.tabs.indexOf(self.jobs_panel), title)

    # CacheDialog interface

    def _columns_width(self) -> int:
        return self.tabs.inner_width(super()._columns_width())

    def _first_fields(self) -> list[QWidget]:
        is_form = self.tabs.currentIndex() == 0
        first = self.address_panel.address_combo if is_form else self.jobs_panel.jobs_view
        return [self.tabs.tabBar(), first]

    def busy_reason(self) -> str:
        return self._control.busy_reason() or self._local.busy_reason()

    def unfit(self, description: CacheDescription) -> Exception | None:
        return None if description.modes else description.modes_problem

    def run(self) -> None:
        self._carry_out(self._filled_plan())

    def estimate(self) -> None:
        plan = self._filled_plan()
        try:
            source = source_of(plan, self._project)
        except TileCacheError as error:
            self._complain_of(error)
            return
        task = local_tasks.EstimateTask(
            plan.description,
            levels=plan.levels,
            mode=plan.mode,
            area=plan.counted.area,
            source=source,
            tile_filter=plan.tile_filter,
        )
        self._count_line.estimate(task)

    def _load(self, address: str, auth_config_id: str) -> None:
        self._local.forget_offer()
        super()._load(address, auth_config_id)

    def _update_run_button(self) -> None:
        super()._update_run_button()
        self._local.show(self._description, self.busy_reason())

    def _unready(self) -> str:
        if self._description.modes:
            return ""
        problem = self._description.modes_problem
        return messages.sentence(problem) if problem else self.tr("No update is offered.")

    def _wrong_choice(self) -> str:
        mode = self.update_panel.mode()
        if not self.scales_panel.ticked_levels():
            return messages.sentence(NoLevels())
        if mode not in self._description.modes:
            return messages.sentence(ModeNotOffered(self._description.name, mode.value))
        return super()._wrong_choice()

    # What changes the cache on show

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

    # Running

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

    def _filled_plan(self) -> RunPlan:
        """What the form asks for, with the very area that is shown and counted."""
        site = self.update_panel.site
        return RunPlan(
            description=self._description,
            auth_config_id=self.address_panel.used_auth_config_id(),
            levels=self.scales_panel.ticked_levels(),
            mode=self.update_panel.mode(),
            instances=site.instances(),
            waits=site.waits(),
            counted=None if self._counter.is_counting else self._counter.counted,
            source=self.update_panel.source.text(),
            tile_filter=self.update_panel.tile_filter(),
            hosted=site.hosted(),
            isolates_failures=site.isolates_failures(),
            alarm_seconds=site.alarm_seconds(),
        )
