"""Choosing the tiling scheme of a new cache."""

from __future__ import annotations

from qgis.core import QgsProject
from qgis.gui import QgsAuthConfigSelect
from qgis.PyQt.QtCore import QObject, QTimer, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QLineEdit

from ..plugin.core.errors import TileCacheError
from ..plugin.core.scales import parse_scales
from ..plugin.core.tiling import Extent, TilingScheme
from ..plugin.host import scheme_task, schemes, sign_in
from .addresses import is_path
from .latest_task import LatestTask
from .tile_counter import SETTLING_MS

REFERENCE = ""
"""Stands in the list for a scheme taken from a service or a cache."""


class SchemeChoice(QObject):
    """Works the chosen scheme out in the background, a moment after the choice changed.

    `scheme`, `extent`: what came of it; None while, or where, there is none. `kept`: ids of its
    levels that hold tiles where it is taken from; all where it is from nowhere. `changed`: another
    choice, or its scheme has come. `failed` carries why there is none.
    """

    changed = pyqtSignal()
    failed = pyqtSignal(object)

    def __init__(
        self,
        combo: QComboBox,
        reference: QLineEdit,
        sign_in_select: QgsAuthConfigSelect,
        scales: QLineEdit,
        project: QgsProject,
    ) -> None:
        super().__init__(combo)
        self.scheme: TilingScheme | None = None
        self.extent: Extent | None = None
        self.kept: tuple[int, ...] = ()
        self._combo = combo
        self._reference = reference
        self._sign_in_select = sign_in_select
        self._scales = scales
        self._project = project
        self._tile_size = schemes.USUAL_TILE_SIZE
        self._dpi = schemes.USUAL_DPI
        self._asked = ""
        self._asked_with = ""
        self._task = LatestTask()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLING_MS)
        self._timer.timeout.connect(self._ask)
        combo.addItem(self.tr("Web Mercator (ArcGIS Online)"), schemes.WEB_MERCATOR)
        combo.addItem(self.tr("WGS 84"), schemes.WGS84)
        combo.addItem(self.tr("CRS of the Project"), schemes.PROJECT)
        combo.addItem(self.tr("From a Service or Cache"), REFERENCE)
        combo.currentIndexChanged.connect(self.choice_changed)
        scales.textChanged.connect(self.choice_changed)
        # An address is asked when it is whole, not with every letter.
        reference.editingFinished.connect(self._reference_edited)
        sign_in_select.selectedConfigIdChanged.connect(self._sign_in_changed)

    @property
    def takes_reference(self) -> bool:
        """Whether the scheme is taken from a service or cache, which has to be named."""
        return self._combo.currentData() == REFERENCE

    @property
    def takes_sign_in(self) -> bool:
        """Whether that is a service, which may ask for a sign-in."""
        text = self._reference.text()
        return self.takes_reference and bool(text.strip()) and not is_path(text)

    @property
    def takes_scales(self) -> bool:
        """Whether its scales can be given; the other schemes have theirs."""
        return self._combo.currentData() == schemes.PROJECT

    @property
    def is_missing_reference(self) -> bool:
        """Whether that is still to be named."""
        return self.takes_reference and not self._reference.text().strip()

    @property
    def is_reading(self) -> bool:
        """Whether the scheme is on its way."""
        return self._timer.isActive() or self._task.is_running

    @property
    def asked(self) -> tuple[str, str]:
        """What the scheme was last taken from, and the id of the sign-in details."""
        return self._asked, self._asked_with

    def ask(self, address: str) -> None:
        """Take the scheme from there, also where it was tried before."""
        self._reference.setText(address)
        self.choice_changed()

    def set_tiles(self, tile_size: int, dpi: int) -> None:
        """Tiles are `tile_size` pixels wide and high, scales are those of `dpi`."""
        if (tile_size, dpi) != (self._tile_size, self._dpi):
            self._tile_size, self._dpi = tile_size, dpi
            self.choice_changed()

    def choice_changed(self) -> None:
        """Work the scheme out again, soon."""
        self.scheme = self.extent = None
        self._asked = self._reference.text().strip()
        self.stop()
        if not self.is_missing_reference:
            self._timer.start()
        self.changed.emit()

    def stop(self) -> None:
        """Work nothing out any more."""
        self._timer.stop()
        self._task.drop()

    def _reference_edited(self) -> None:
        """Read another address, or the same again where nothing came of it.

        Leaving the field as it was must not untick the scales that were ticked since.
        """
        is_known = self.scheme is not None or self.is_reading
        if self._reference.text().strip() != self._asked or not is_known:
            self.choice_changed()

    def _sign_in_changed(self) -> None:
        if self.takes_sign_in:
            self.choice_changed()

    def _ask(self) -> None:
        text = self._combo.currentData() or self._reference.text().strip()
        sign_in_id = self._sign_in_select.configId() if self.takes_sign_in else ""
        self._asked_with = sign_in_id
        try:
            scales = parse_scales(self._scales.text()) if self.takes_scales else ()
            credentials = sign_in.credentials(sign_in_id)
            facts = schemes.facts_of(self._project, sign_in_id, text)
        except TileCacheError as error:
            self._failed(error)
            return
        # A scheme taken from elsewhere keeps its own tiles.
        usual = (schemes.USUAL_TILE_SIZE, schemes.USUAL_DPI)
        tile_size, dpi = usual if self.takes_reference else (self._tile_size, self._dpi)
        task = scheme_task.PatternTask(
            text,
            facts,
            tile_size=tile_size,
            dpi=dpi,
            scales=scales,
            credentials=credentials,
        )
        answers = {"made": self._made, "failed": self._failed, "cancelled": self.changed.emit}
        self._task.start(task, answers)
        self.changed.emit()

    def _made(self, found: tuple[TilingScheme, Extent | None, tuple[int, ...]]) -> None:
        self.scheme, self.extent, self.kept = found
        self.changed.emit()

    def _failed(self, error: Exception) -> None:
        self.changed.emit()
        self.failed.emit(error)
