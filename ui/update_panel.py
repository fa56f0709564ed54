"""The panel in which it is chosen what happens to the tiles."""

from __future__ import annotations

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QDateTime, QLocale, Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.request import TileFilter, UpdateMode
from ..plugin.host import messages
from ..plugin.host.settings import Settings
from .forms import load_form
from .site_options import SiteOptions
from .source_choice import SourceChoice

FORM = load_form(__file__)

DAYS_BACK = 30
"""How old a tile is at first, so that it counts as old."""

MILDEST_FIRST = (UpdateMode.RECREATE_EMPTY, UpdateMode.RECREATE_ALL)
"""What may stand in for a mode that is not offered. Deleting is never chosen for the person."""


class UpdatePanel(QWidget, FORM):
    """The update mode, and how it is carried out.

    By a site: see `site`, its options. On this computer: drawn from what, and which tiles are left
    out.

    `changed`: the person chose something else in it. What `tile_count_label` says and
    `estimate_button` does is up to the dialog.
    """

    changed = pyqtSignal()

    def __init__(self, project: QgsProject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self.source = SourceChoice(self.source_combo, self.source_button, project)
        self.older_than_edit.setAllowNull(False)
        self.older_than_edit.setDisplayFormat(
            self.locale().dateTimeFormat(QLocale.FormatType.ShortFormat)
        )
        self.older_than_edit.setDateTime(QDateTime.currentDateTime().addDays(-DAYS_BACK))
        for mode in UpdateMode:
            self.mode_combo.addItem(messages.mode_text(mode), mode)
        self._wanted = self.mode()
        self.site = SiteOptions(self)
        self.site_layout.addWidget(self.site)
        self.mode_combo.currentIndexChanged.connect(self._mode_chosen)
        self.site.changed.connect(self.changed)
        self.source.changed.connect(self.changed)
        for check in (self.only_existing_check, self.older_than_check):
            check.toggled.connect(self._filter_changed)
        self.older_than_edit.dateTimeChanged.connect(self.changed)
        self._show_options(is_local=False)
        self._show_mode_help()

    def mode(self) -> UpdateMode:
        """The update mode that will run: the wanted one wherever the service offers it."""
        return self.mode_combo.currentData()

    def wanted_mode(self) -> UpdateMode:
        """The update mode that the person chose."""
        return self._wanted

    def set_mode(self, mode: UpdateMode) -> None:
        """Choose `mode`, as a person does."""
        self.mode_combo.setCurrentIndex(self.mode_combo.findData(mode))

    def tile_filter(self) -> TileFilter:
        """Which tiles are left out; a filter that means nothing to the mode is none."""
        older_than = None
        if self.older_than_check.isEnabled() and self.older_than_check.isChecked():
            older_than = float(self.older_than_edit.dateTime().toSecsSinceEpoch())
        only_existing = self.only_existing_check
        return TileFilter(only_existing.isEnabled() and only_existing.isChecked(), older_than)

    def show_description(self, description: CacheDescription | None) -> None:
        """Disable the modes that the service does not offer, each with the reason as tool tip.

        Where the wanted one is not offered, the mildest stands in for it, and a line says so.
        """
        for row in range(self.mode_combo.count()):
            mode = self.mode_combo.itemData(row)
            offered = description is None or mode in description.modes
            reason = "" if offered else messages.unavailable_reason(description, mode)
            item = self.mode_combo.model().item(row)
            item.setEnabled(offered)
            item.setToolTip(reason)
        is_local = description is not None and description.is_local
        if is_local:
            self.source.show(description.source)
        self.site.show_description(description)
        self._show_options(is_local)
        self.mode_combo.blockSignals(True)
        self.mode_combo.setCurrentIndex(self.mode_combo.findData(self._possible_mode()))
        self.mode_combo.blockSignals(False)
        self._show_mode_help()

    def restore(self, settings: Settings) -> None:
        """Fill the panel as it was left."""
        self.set_mode(settings.update_mode)
        self.site.restore(settings)

    def save(self, settings: Settings) -> None:
        """Keep the panel as it is."""
        settings.update_mode = self.wanted_mode()
        self.site.save(settings)

    def _possible_mode(self) -> UpdateMode:
        """The wanted mode or what stands in for it; the wanted one too where nothing can."""
        offered = [mode for mode in MILDEST_FIRST if self._is_offered(mode)]
        return self._wanted if self._is_offered(self._wanted) or not offered else offered[0]

    def _is_offered(self, mode: UpdateMode) -> bool:
        return self.mode_combo.model().item(self.mode_combo.findData(mode)).isEnabled()

    def _mode_chosen(self) -> None:
        self._wanted = self.mode()
        self._show_mode_help()
        self.changed.emit()

    def _show_options(self, is_local: bool) -> None:
        """Show what can be chosen for an update on this computer, else for one by a site."""
        self.site_place.setVisible(not is_local)
        for widget in (
            self.source_label,
            self.source_row,
            self.only_existing_check,
            self.older_than_row,
            self.estimate_button,
        ):
            widget.setVisible(is_local)

    def _filter_changed(self) -> None:
        self._enable_filters()
        self.changed.emit()

    def _enable_filters(self) -> None:
        """Let a filter be ticked where it means something, else say why not."""
        mode = self.mode()
        for_existing = mode is UpdateMode.RECREATE_ALL
        for_old = mode is not UpdateMode.RECREATE_EMPTY
        self.only_existing_check.setEnabled(for_existing)
        self.only_existing_check.setToolTip(
            self.tr("Tiles that are missing stay missing")
            if for_existing
            else self.tr("Of use with “Recreate All Tiles” only")
        )
        self.older_than_check.setEnabled(for_old)
        self.older_than_check.setToolTip(
            self.tr("Tiles that were stored later stay as they are")
            if for_old
            else self.tr("“Recreate Empty Tiles” leaves all tiles that exist as they are")
        )
        self.older_than_edit.setEnabled(for_old and self.older_than_check.isChecked())
        draws = mode is not UpdateMode.DELETE
        self.source.allow("" if draws else self.tr("To delete tiles, nothing is drawn"))

    def _show_mode_help(self) -> None:
        """Say what the mode will do, and in place of which other one it was chosen."""
        self._enable_filters()
        mode = self.mode()
        text = messages.mode_help(mode, is_hosted=self.site.is_hosted)
        self.site.show_mode(mode)
        if mode is not self._wanted:
            instead = self.tr("“{wanted}” is not offered here; “{mode}” is chosen instead.").format(
                wanted=messages.mode_text(self._wanted), mode=messages.mode_text(mode)
            )
            text = f"{instead}\n{text}"
        self.mode_help_label.setText(text)
        tip = self.mode_combo.itemData(self.mode_combo.currentIndex(), Qt.ItemDataRole.ToolTipRole)
        self.mode_combo.setToolTip(tip or "")
