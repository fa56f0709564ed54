"""The panel in which it is chosen what tiles are exported to, and how."""

from __future__ import annotations

from pathlib import Path

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.errors import CannotPack, ExportNotAllowed
from ..plugin.core.export.request import ExportWay, Overwrite
from ..plugin.core.storage.can_pack import possible_formats, why_not
from ..plugin.core.storage.creation import SUFFIXES
from ..plugin.core.storage.profile import CacheProfile, StorageFormat
from ..plugin.core.tiling import Level
from ..plugin.host import messages
from ..plugin.host.settings import Settings
from .export_target import ExportTarget, first_folder
from .forms import load_form

FORM = load_form(__file__)


class ExportPanel(QWidget, FORM):
    """Format and place of what is made, what happens to tiles there, and how tiles are got.

    `changed`: the person chose something else in it. What `tile_count_label` says and
    `estimate_button` does is up to the dialog.
    """

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setupUi(self)
        self._description: CacheDescription | None = None
        self._levels: tuple[Level, ...] = ()
        self._is_several = False
        self.target = ExportTarget(self.target_widget)
        self._fill_lists()
        self.way_box.setCollapsed(True)
        self.format_combo.currentIndexChanged.connect(self._format_chosen)
        self.target.changed.connect(self._changed)
        self.folder_widget.fileChanged.connect(self._changed)
        self.overwrite_combo.currentIndexChanged.connect(self._changed)
        self.way_combo.currentIndexChanged.connect(self._changed)
        for check in (self.clip_check, self.draw_missing_check, self.owner_check):
            check.toggled.connect(self._changed)
        self.target.set_storage(self.storage())
        self.show_description(None)

    def storage(self) -> StorageFormat:
        """Format of what is made."""
        return self.format_combo.currentData()

    def folder(self) -> Path:
        """Where each of several services gets something of its own."""
        return Path(self.folder_widget.filePath().strip())

    def overwrite(self) -> Overwrite:
        """What happens to tiles that the target has."""
        return self.overwrite_combo.currentData()

    def is_clipped(self) -> bool:
        """Whether pixels outside the area are left out."""
        return self.clip_check.isChecked()

    def way(self) -> ExportWay:
        """How the tiles of a service are got."""
        return self.way_combo.currentData()

    def is_owner(self) -> bool:
        """Whether the person has said, for the service on show, that its tiles are theirs."""
        return self._asks_owner() and self.owner_check.isChecked()

    def draws_missing(self) -> bool:
        """Whether what the cache on show lacks is drawn."""
        return self._is_of_cache() and self.draw_missing_check.isChecked()

    def show_description(self, description: CacheDescription | None) -> None:
        """Speak of this service or cache from now on; whose its tiles are, nobody has said yet."""
        self._description = description
        self.owner_check.setChecked(False)
        name = "" if description is None else description.name.rpartition("/")[2]
        self.target.name_after(name, "" if description is None else description.address)
        self._allow_formats()
        self._allow_ways()
        self._show_parts()

    def show_levels(self, levels: tuple[Level, ...]) -> None:
        """Speak of these ticked levels from now on."""
        self._levels = levels
        self._allow_formats()
        self._show_parts()

    def show_several(self, is_several: bool) -> None:
        """Speak of several services, each with something of its own, or else of one."""
        self._is_several = is_several
        self._allow_formats()
        self._allow_ways()
        self._show_parts()

    def problem(self) -> str:
        """What is still to be done, as a sentence; "" for nothing."""
        if self._is_several:
            is_named = self.folder().is_absolute()
            return "" if is_named else self.tr("Choose the folder in which packages are made.")
        if self._asks_owner() and self.is_owner() and self.way() is ExportWay.EXPORT_TILES:
            return self.tr("The service forbids its own export: choose another way to get tiles.")
        if self._asks_owner() and not self._may_copy():
            return messages.sentence(ExportNotAllowed(self._description.name))
        return _reason_of(self.format_combo) or self.target.problem()

    def restore(self, settings: Settings) -> None:
        """Fill the panel as it was left."""
        formats = {each.value: each for each in StorageFormat}
        row = self.format_combo.findData(formats.get(settings.export_format, StorageFormat.TPKX))
        self.format_combo.setCurrentIndex(max(row, 0))
        ways = {each.value: each for each in Overwrite}
        overwrite = ways.get(settings.export_overwrite, Overwrite.OVERWRITE)
        self.overwrite_combo.setCurrentIndex(self.overwrite_combo.findData(overwrite))
        self.clip_check.setChecked(settings.export_clip)
        self.target.set_folder(settings.export_folder)
        self.folder_widget.setFilePath(first_folder(settings.export_folder))

    def save(self, settings: Settings) -> None:
        """Keep the panel as it is; not whose the tiles are."""
        settings.export_format = self.storage().value
        settings.export_overwrite = self.overwrite().value
        settings.export_clip = self.is_clipped()
        folder = str(self.folder()) if self._is_several else self.target.folder()
        if folder and Path(folder).is_absolute():
            settings.export_folder = folder

    # What the form does

    def _fill_lists(self) -> None:
        written = [each for each in StorageFormat if each.can_be_written]
        for storage in sorted(written, key=lambda each: not each.is_package):
            text = messages.storage_text(storage.value)
            self.format_combo.addItem(self._with_ending(text, storage), storage)
        self.format_combo.setCurrentIndex(self.format_combo.findData(StorageFormat.TPKX))
        for overwrite in Overwrite:
            self.overwrite_combo.addItem(messages.overwrite_text(overwrite), overwrite)
        for way in ExportWay:
            self.way_combo.addItem(messages.way_text(way), way)
        self.folder_widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder_widget.setDialogTitle(self.tr("Export Tiles Into"))
        self.target_widget.lineEdit().setObjectName("target_edit")
        self.folder_widget.lineEdit().setObjectName("folder_edit")
        self.target_widget.setAccessibleName(self.target_label.text())
        self.folder_widget.setAccessibleName(self.folder_label.text())
        self.way_combo.setAccessibleName(self.way_box.title())

    def _with_ending(self, text: str, storage: StorageFormat) -> str:
        ending = SUFFIXES.get(storage)
        if ending is None:
            return self.tr("{format}, Folder").format(format=text)
        return self.tr("{format}, {ending}").format(format=text, ending=ending)

    def _format_chosen(self) -> None:
        self.target.set_storage(self.storage())
        self._changed()

    def _changed(self) -> None:
        self._show_parts()
        self.changed.emit()

    def _allow_formats(self) -> None:
        """Disable the formats that cannot hold the tiles on show, each with the reason."""
        for row in range(self.format_combo.count()):
            problem = self._misfit(self.format_combo.itemData(row))
            _allow(self.format_combo, row, problem)

    def _allow_ways(self) -> None:
        """Disable the way that a service forbids, whoever owns its tiles."""
        row = self.way_combo.findData(ExportWay.EXPORT_TILES)
        problem = ""
        if self._asks_owner():
            problem = self.tr("The service does not allow it.")
        _allow(self.way_combo, row, problem)

    def _misfit(self, storage: StorageFormat) -> str:
        """Why the tiles on show cannot be stored so, as a sentence; "" where they can."""
        shown = None if self._is_several else self._description
        if shown is None or not self._levels:
            return ""
        profile = CacheProfile(
            scheme=shown.scheme,
            storage=storage,
            image_format=shown.image_format,
            compression_quality=shown.compression_quality,
            cached_ids=tuple(level.id for level in self._levels),
            extent=shown.extent,
            name=shown.name,
        )
        reason = why_not(storage, profile)
        if reason is None:
            return ""
        possible = tuple(each.value for each in possible_formats(profile))
        name = Path(shown.address).name if shown.is_local else shown.name
        return messages.sentence(CannotPack(name, storage.value, reason, possible))

    def _show_parts(self) -> None:
        """Show what can be chosen for what is exported now, and what the choices mean."""
        several = self._is_several
        for widget in (self.target_label, self.target_widget):
            widget.setVisible(not several)
        for widget in (self.folder_label, self.folder_widget):
            widget.setVisible(several)
        self.way_box.setVisible(not self._is_of_cache())
        self.draw_missing_check.setVisible(self._is_of_cache())
        self.not_allowed_label.setVisible(self._asks_owner())
        self.owner_check.setVisible(self._asks_owner())
        note = "" if several or self._description is None else self.target.note()
        self.target_note_label.setText(note)
        self.target_note_label.setVisible(bool(note))
        has_tiles = several or self.target.is_there()  # else there is nothing to choose
        self.overwrite_label.setEnabled(has_tiles)
        self.overwrite_combo.setEnabled(has_tiles)
        self.overwrite_help_label.setVisible(has_tiles)
        self.overwrite_help_label.setText(messages.overwrite_help(self.overwrite()))
        self.way_help_label.setText(messages.way_help(self.way()))
        tip = _reason_of(self.format_combo)
        self.format_combo.setToolTip(tip or self.tr("What the tiles are stored in"))
        self.estimate_button.setEnabled(several or self._description is not None)

    def _is_of_cache(self) -> bool:
        """Whether one cache on this computer is exported."""
        shown = None if self._is_several else self._description
        return shown is not None and shown.is_local

    def _asks_owner(self) -> bool:
        """Whether one service is exported that does not allow it."""
        shown = None if self._is_several else self._description
        return shown is not None and not shown.is_local and not shown.export_tiles_allowed

    def _may_copy(self) -> bool:
        """Whether what the service forbids may be done: by its owner, or by its own site."""
        if self.way() is ExportWay.EXPORT_TILES:
            return False
        return self.owner_check.isChecked() or self.way() is ExportWay.EXPORT_CACHE


def _allow(combo: QComboBox, row: int, problem: str) -> None:
    """Let the item in `row` be chosen, unless there is a `problem`."""
    item = combo.model().item(row)
    item.setEnabled(not problem)
    item.setToolTip(problem)


def _reason_of(combo: QComboBox) -> str:
    """Why what is chosen cannot be; "" where it can."""
    return combo.itemData(combo.currentIndex(), Qt.ItemDataRole.ToolTipRole) or ""
