"""The dialog in which a cache on this computer is created."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject
from qgis.gui import QgsFileWidget, QgsGui
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QShowEvent
from qgis.PyQt.QtWidgets import QComboBox, QDialogButtonBox, QMenu, QWidget

from ..plugin.core.description import CacheDescription
from ..plugin.core.storage.creation import SUFFIXES
from ..plugin.core.storage.profile import CacheProfile, StorageFormat, TileFormat
from ..plugin.core.storage.sidecar import CacheSettings
from ..plugin.host import local_tasks, messages, schemes
from ..plugin.host.crs import qgis_crs
from ..plugin.host.settings import Settings
from .dialog_lines import DialogLines
from .extent_choice import ExtentChoice
from .first_scales import first_ids, tiles_of
from .form_dialog import FormDialog
from .forms import load_form
from .latest_task import LatestTask
from .path_browse import PathBrowse, cache_file_filters
from .portal_trust import PortalTrust
from .scales_panel import ScalesPanel
from .scheme_choice import SchemeChoice
from .source_choice import SourceChoice
from .storage_fit import format_problem, not_web_mercator, scheme_problem

FORM = load_form(__file__)

TILE_SIZES = (256, 512)
WITHOUT_ALPHA = (TileFormat.PNG24, TileFormat.JPEG)
FORBIDDEN = '<>:"/\\|?*'
"""What a name may not hold on one system or another."""
RESERVED = {
    "CON",
    "PRN",
    "AUX",
    "NUL",
    *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10)),
}
"""What Windows takes for devices, whatever ending it has."""
MOST_SAID = 10**18
"""A larger number of tiles is told as this one: QLocale knows none much larger."""


class CreateDialog(FormDialog, FORM):
    """Names a place, a tiling scheme and a format, and makes an empty cache of them.

    Non-modal. `created` carries the path of the new cache; then the dialog is closed. Where the
    cache cannot be made, the dialog says why and stays.
    """

    created = pyqtSignal(str)

    def __init__(self, project: QgsProject, parent: QWidget | None = None) -> None:
        super().__init__(__file__, parent)
        self.setupUi(self)
        self._lines = DialogLines(self.message_bar)
        self._task = LatestTask()
        self._first_ids: tuple[int, ...] = ()
        self.source = SourceChoice(self.source_combo, self.source_button, project)
        self.scheme = SchemeChoice(
            self.scheme_combo, self.reference_edit, self.auth_select, self.scales_edit, project
        )
        self._trust = PortalTrust(self.scheme, self)
        self.extent = ExtentChoice(self.extent_combo)
        self.scales_panel = ScalesPanel(self)
        self.scales_panel.hide_tiles()
        self.right_layout.insertWidget(1, self.scales_panel, 1)
        self._fill_lists()
        self._add_buttons()
        self._connect()
        self._scheme_changed()
        self._format_changed()
        QgsGui.enableAutoGeometryRestore(self)

    def path(self) -> Path:
        """Where the cache is to be made."""
        name = self.name_edit.text().strip()
        ending = SUFFIXES.get(self._storage(), "")
        if not name.lower().endswith(ending):
            name += ending
        return Path(self.folder_widget.filePath().strip()) / name

    def profile(self) -> CacheProfile:
        """What the new cache is to be; only where `problem` finds nothing."""
        tile_format = self._tile_format()
        return CacheProfile(
            scheme=self.scheme.scheme,
            storage=self._storage(),
            image_format=tile_format.value,
            compression_quality=self.quality_spin.value() if tile_format.has_quality else 0,
            cached_ids=tuple(level.id for level in self.scales_panel.ticked_levels()),
            extent=self.extent.extent,
            name=self.name_edit.text().strip(),
        )

    def settings(self) -> CacheSettings:
        """What it is to be drawn from."""
        background = (
            "" if self.background_button.isNull() else self.background_button.color().name()
        )
        return CacheSettings(self.source.text(), background)

    def problem(self) -> str:
        """What is still to be done before the cache can be made; "" for nothing."""
        name = self.name_edit.text().strip()
        if self._task.is_running:
            return self.tr("The cache is being created.")
        if not Path(self.folder_widget.filePath().strip()).is_absolute():
            return self.tr("Choose the folder in which the cache is made.")
        if not name or name.strip(".") == "":
            return self.tr("Give the cache a name.")
        if name.endswith(".") or name.partition(".")[0].upper() in RESERVED:
            return self.tr("Windows does not take this name: give another one.")
        if any(letter in FORBIDDEN for letter in name):
            return self.tr("The name may not hold any of {letters}").format(
                letters=" ".join(FORBIDDEN)
            )
        if self.scheme.is_missing_reference:
            return self.tr("Name the service or cache whose tiling scheme is taken.")
        if self.scheme.is_reading:
            return self.tr("The tiling scheme is being read.")
        if self.scheme.scheme is None:
            return self.tr("There is no tiling scheme yet.")
        if not self.scales_panel.ticked_levels():
            return self.tr("Tick the scales that the cache is to hold.")
        return self._misfit()

    def _misfit(self) -> str:
        """What the chosen storage cannot hold; "" for nothing."""
        storage, scheme = self._storage(), self.scheme.scheme
        no_scheme = scheme_problem(storage, scheme, self.scales_panel.ticked_levels())
        return format_problem(storage, self._tile_format()) or no_scheme

    def unload(self) -> None:
        """End what goes on; it is not told."""
        self.scheme.stop()
        self._task.drop()
        self.hide()

    # Putting the dialog together

    def _fill_lists(self) -> None:
        for storage, text in self._storage_texts().items():
            self.storage_combo.addItem(text, storage)
        for tile_format, text in self._format_texts().items():
            self.format_combo.addItem(text, tile_format)
        for size in TILE_SIZES:
            text = self.tr("{size} x {size} pixels").format(size=size)
            self.size_combo.addItem(text, size)
        self.folder_widget.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder_widget.setDialogTitle(self.tr("Folder of the New Cache"))
        self.folder_widget.setFilePath(Settings().last_folder)
        self.scales_edit.setPlaceholderText(self.tr("Round ones"))
        self.background_button.setColorDialogTitle(self.tr("Background of the Tiles"))
        self.background_button.setToolTip(self.tr("What is seen where the source draws nothing"))
        self.background_button.setToNull()

    def _add_buttons(self) -> None:
        self.create_button = self.add_action_button("create_button", self.tr("Create"))
        self._browse = PathBrowse(self)
        menu = QMenu(self)
        menu.addAction(
            self.tr("Folder…"),
            lambda: self._browse.ask_folder(self.tr("Take the Tiling Scheme of a Cache")),
        )
        menu.addAction(
            self.tr("File…"),
            lambda: self._browse.ask_file(
                self.tr("Take the Tiling Scheme of a Cache"), cache_file_filters()
            ),
        )
        self.reference_button.setMenu(menu)

    def _connect(self) -> None:
        self.storage_combo.currentIndexChanged.connect(self._storage_changed)
        self.folder_widget.fileChanged.connect(self._changed)
        self.name_edit.textChanged.connect(self._changed)
        self.format_combo.currentIndexChanged.connect(self._format_changed)
        self.size_combo.currentIndexChanged.connect(self._tiles_changed)
        self.dpi_spin.valueChanged.connect(self._tiles_changed)
        self.background_button.colorChanged.connect(self._background_changed)
        self._browse.chosen.connect(self._reference_chosen)
        self.reference_edit.textChanged.connect(self._show_sign_in)
        self.scheme.changed.connect(self._scheme_changed)
        self.scheme.failed.connect(self._complain)
        self._trust.trusted.connect(self.scheme.ask)
        self.extent.changed.connect(self._extent_changed)
        self.scales_panel.ticked_changed.connect(self._changed)
        self.create_button.clicked.connect(self._create)
        cancel = self.button_box.button(QDialogButtonBox.StandardButton.Cancel)
        cancel.clicked.connect(self.reject)

    # QWidget interface

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self.scheme.choice_changed()  # the project may be another one by now

    # What the form does

    def _storage(self) -> StorageFormat:
        return self.storage_combo.currentData()

    def _tile_format(self) -> TileFormat:
        return self.format_combo.currentData()

    def _storage_changed(self) -> None:
        """Disable what cannot be stored so, each with the reason as tool tip."""
        storage = self._storage()
        for tile_format in TileFormat:
            row = self.format_combo.findData(tile_format)
            _allow(self.format_combo, row, format_problem(storage, tile_format))
        takes_mercator_only = storage is StorageFormat.MBTILES
        row = self.scheme_combo.findData(schemes.WGS84)
        _allow(self.scheme_combo, row, not_web_mercator() if takes_mercator_only else "")
        self._changed()

    def _changed(self) -> None:
        self._lines.clear()
        self._show_state()

    def _show_state(self) -> None:
        problem = self.problem()
        self.create_button.setEnabled(not problem)
        self.create_button.setToolTip(problem or self.tr("Create the cache, empty"))
        text = problem or self.tr("Makes {path}.").format(path=messages.path_text(str(self.path())))
        self.path_label.setText(text)
        self.tiles_note_label.setText(self._tiles_note())

    def _format_changed(self) -> None:
        tile_format = self._tile_format()
        self.quality_spin.setEnabled(tile_format.has_quality)
        self.quality_spin.setToolTip(
            self.tr("Higher keeps more of the picture and takes more room")
            if tile_format.has_quality
            else self.tr("PNG loses nothing: it has no quality to choose")
        )
        default = self._default_background()
        self.background_button.setShowNull(True, default)
        self._background_changed()
        self._changed()

    def _default_background(self) -> str:
        if self._tile_format() in WITHOUT_ALPHA:
            return self.tr("Project's Colour")
        return self.tr("Transparent")

    def _background_changed(self) -> None:
        is_default = self.background_button.isNull()
        self.background_note_label.setText(self._default_background() if is_default else "")

    def _tiles_changed(self) -> None:
        self.scheme.set_tiles(self.size_combo.currentData(), self.dpi_spin.value())

    def _reference_chosen(self, path: str) -> None:
        self.reference_edit.setText(path)
        self.scheme.choice_changed()

    def _scheme_changed(self) -> None:
        self.reference_label.setVisible(self.scheme.takes_reference)
        self.reference_row.setVisible(self.scheme.takes_reference)
        self._show_sign_in()
        self.scales_label.setVisible(self.scheme.takes_scales)
        self.scales_edit.setVisible(self.scheme.takes_scales)
        self.size_row.setEnabled(not self.scheme.takes_reference)
        self.size_row.setToolTip(
            self.tr("A scheme that is taken from elsewhere has its own size of tiles")
            if self.scheme.takes_reference
            else ""
        )
        scheme = self.scheme.scheme
        is_reference = self.scheme.takes_reference
        self.extent.show(scheme, self.scheme.extent, is_reference=is_reference)
        description = None
        if scheme is not None:
            description = CacheDescription(
                address="",
                name=self.scheme_combo.currentText(),
                kind=self._storage().value,
                scheme=scheme,
                cached_levels=scheme.levels,
                extent=self.extent.extent,
                image_format=self._tile_format().value,
                is_local=True,
            )
        self.scales_panel.show_description(description)
        self._tick_first()
        self._show_note()
        self._changed()

    def _extent_changed(self) -> None:
        """Tick anew, unless the person has chosen the scales."""
        if tuple(level.id for level in self.scales_panel.ticked_levels()) == self._first_ids:
            self._tick_first()
        self._show_note()
        self._changed()

    def _tick_first(self) -> None:
        scheme = self.scheme.scheme
        if scheme is not None:
            self._first_ids = first_ids(scheme, self.scheme.kept, self.extent.extent)
            self.scales_panel.tick_only(self._first_ids)

    def _show_sign_in(self) -> None:
        self.sign_in_label.setVisible(self.scheme.takes_sign_in)
        self.auth_select.setVisible(self.scheme.takes_sign_in)

    def _show_note(self) -> None:
        self.scheme_note_label.setText(self._scheme_note())

    def _scheme_note(self) -> str:
        if self.scheme.is_missing_reference:
            return self.tr("Type an address or a path and press Return, or browse for a cache.")
        if self.scheme.is_reading:
            return self.tr("Reading the tiling scheme…")
        scheme = self.scheme.scheme
        if scheme is None:
            return ""
        crs = qgis_crs(scheme.crs, self.scheme_combo.currentText())
        bounds = self.extent.text(is_geographic=crs.isGeographic())
        return f"{crs.userFriendlyIdentifier()}\n{bounds}"

    def _tiles_note(self) -> str:
        """How many tiles the ticked scales hold."""
        scheme, levels = self.scheme.scheme, self.scales_panel.ticked_levels()
        if scheme is None or not levels:
            return ""
        tiles = sum(tiles_of(scheme, levels, self.extent.extent).values())
        text = self.tr("{scales} scales, {tiles} tiles in the full extent.")
        if len(levels) == 1:
            text = self.tr("1 scale, {tiles} tiles in the full extent.")
        if tiles == 1:
            text = self.tr("1 scale, 1 tile in the full extent.")
        number = messages.number_text(min(tiles, MOST_SAID))
        return text.format(scales=len(levels), tiles=number)

    def _create(self) -> None:
        path = self.path()
        self._lines.clear()
        Settings().last_folder = str(path.parent)
        answers = {"created": self._created, "failed": self._failed, "cancelled": self._changed}
        self._task.start(local_tasks.CreateTask(path, self.profile(), self.settings()), answers)
        self._show_state()

    def _created(self, path: object) -> None:
        self._show_state()
        self.accept()
        self.created.emit(str(path))

    def _failed(self, error: Exception) -> None:
        self._show_state()
        self._complain(error)

    def _complain(self, error: Exception) -> None:
        self._trust.offer(error, self._lines.complain(messages.sentence(error)))

    def _storage_texts(self) -> dict[StorageFormat, str]:
        return {
            StorageFormat.COMPACT_V2: self.tr("Compact Cache (Folder)"),
            StorageFormat.EXPLODED: self.tr("Exploded Cache (a File per Tile)"),
            StorageFormat.TPKX: self.tr("Tile Package (.tpkx)"),
            StorageFormat.MBTILES: self.tr("MBTiles (.mbtiles)"),
            StorageFormat.GEOPACKAGE: self.tr("GeoPackage (.gpkg)"),
            StorageFormat.COMPACT_V1: self.tr("Old Compact Cache, V1 (Folder)"),
            StorageFormat.TPK: self.tr("Old Tile Package (.tpk)"),
        }

    def _format_texts(self) -> dict[TileFormat, str]:
        return {
            TileFormat.PNG: self.tr("PNG (Smallest for Each Tile)"),
            TileFormat.PNG8: self.tr("PNG8 (256 Colours)"),
            TileFormat.PNG24: self.tr("PNG24 (Opaque)"),
            TileFormat.PNG32: self.tr("PNG32 (with Transparency)"),
            TileFormat.JPEG: self.tr("JPEG (Opaque)"),
            TileFormat.MIXED: self.tr("Mixed (JPEG and PNG32)"),
        }


def _allow(combo: QComboBox, row: int, problem: str) -> None:
    """Let the item in `row` be chosen, unless there is a `problem`."""
    item = combo.model().item(row)
    item.setEnabled(not problem)
    item.setToolTip(problem)
