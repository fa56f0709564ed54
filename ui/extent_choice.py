"""Choosing the full extent of a new cache."""

from __future__ import annotations

from qgis.PyQt.QtCore import QLocale, QObject, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox

from ..plugin.core.schemes import area_of
from ..plugin.core.tiling import Extent, TilingScheme
from ..plugin.host import messages

OWN, EVERYTHING = range(2)


class ExtentChoice(QObject):
    """That of the project, or of the cache that the scheme is taken from; or all of the scheme.

    `changed`: the person chose another one. The choice outlives a scheme for which there is only
    one.
    """

    changed = pyqtSignal()

    def __init__(self, combo: QComboBox) -> None:
        super().__init__(combo)
        self._combo = combo
        self._wanted = OWN
        self._scheme: TilingScheme | None = None
        self._own: Extent | None = None
        combo.addItem("", OWN)
        combo.addItem(self.tr("Everything the scheme covers"), EVERYTHING)
        self.show(None, None, is_reference=False)
        combo.currentIndexChanged.connect(self._chosen)

    @property
    def extent(self) -> Extent | None:
        """The chosen extent in the scheme's CRS; None for all that the scheme covers."""
        return self._own if self._combo.currentData() == OWN else None

    @property
    def bounds(self) -> Extent | None:
        """The same, where all that the scheme covers is told too; None without a scheme."""
        return self.extent or (None if self._scheme is None else area_of(self._scheme))

    def show(self, scheme: TilingScheme | None, own: Extent | None, *, is_reference: bool) -> None:
        """Let be chosen between `own` and all of `scheme`; `is_reference`: whose `own` is."""
        self._scheme, self._own = scheme, own
        item = self._combo.model().item(OWN)
        text = self.tr("That of the project")
        reason = self.tr("The project has no layers that lie in the scheme")
        if is_reference:
            text = self.tr("As it is there")
            reason = self.tr("What the scheme is taken from tells no extent")
        item.setText(text)
        item.setEnabled(scheme is None or own is not None)
        item.setToolTip("" if item.isEnabled() else reason)
        self._combo.blockSignals(True)
        self._combo.setCurrentIndex(self._wanted if item.isEnabled() else EVERYTHING)
        self._combo.blockSignals(False)
        self._combo.setEnabled(scheme is not None)

    def text(self, *, is_geographic: bool) -> str:
        """The bounds in the scheme's CRS, for people; "" without a scheme."""
        bounds = self.bounds
        if bounds is None:
            return ""
        xmin, ymin, xmax, ymax = (_number(value, is_geographic) for value in bounds.bounds)
        text = self.tr("x {xmin} … {xmax}, y {ymin} … {ymax}")
        return text.format(xmin=xmin, xmax=xmax, ymin=ymin, ymax=ymax)

    def _chosen(self, index: int) -> None:
        self._wanted = index
        self.changed.emit()


def _number(value: float, is_geographic: bool) -> str:
    """A coordinate: whole, or where it is in degrees to the hundredth."""
    if is_geographic:
        return QLocale().toString(float(value), "f", 2)
    return messages.number_text(round(value))
