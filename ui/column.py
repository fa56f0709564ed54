"""A column of panels that is scrolled only where the screen has no room for all of it."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.PyQt.QtCore import QEvent, QObject, QSize, Qt
from qgis.PyQt.QtWidgets import QWIDGETSIZE_MAX, QFrame, QScrollArea, QVBoxLayout, QWidget


def share_room(columns: Sequence[Column], height: int, width: int) -> None:
    """Let `columns` side by side have so much room; where that is too narrow, each its share."""
    needed = sum(column.needed_width() for column in columns)
    for column in columns:
        column.set_room(height)
        is_enough = needed <= width
        share = QWIDGETSIZE_MAX if is_enough else width * column.needed_width() // needed
        column.set_most_width(share)


class Column(QScrollArea):
    """What is in `layout`, as large as it needs to be, but not larger than its room allows."""

    def __init__(self, layout: QVBoxLayout) -> None:
        super().__init__()
        self.setObjectName("column")
        self._room = 0
        self._most_width = QWIDGETSIZE_MAX
        self._bar_width = 0
        self._content = _Content()
        self._content.setLayout(layout)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidgetResizable(True)
        self.setWidget(self._content)
        policy = self.sizePolicy()
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_room(self, pixels: int) -> None:
        """Be no higher than so many pixels from now on, wherever more is not given."""
        if pixels != self._room:
            self._room = pixels
            self._look_for_bar()
            self.updateGeometry()

    def needed_width(self) -> int:
        """So many pixels show all of the width."""
        return self._content.minimumSizeHint().width() + self._bar_width

    def set_most_width(self, pixels: int) -> None:
        """Want no more than so many pixels in width from now on; what is wider is scrolled."""
        if pixels != self._most_width:
            self._most_width = pixels
            self.updateGeometry()

    # QWidget interface

    def event(self, event: QEvent) -> bool:
        handled = super().event(event)
        if event.type() == QEvent.Type.Resize:
            self._look_for_bar()
        return handled

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Want another size where the content does, which scroll areas leave out."""
        is_filtered = super().eventFilter(watched, event)
        if watched is self.widget() and event.type() == QEvent.Type.LayoutRequest:
            self._look_for_bar()
            self.updateGeometry()
        return is_filtered

    def sizeHint(self) -> QSize:
        return self._content.sizeHint() + QSize(self._bar_width, 0)

    def minimumSizeHint(self) -> QSize:
        least = self._content.minimumSizeHint()
        width = min(self.needed_width(), self._most_width)
        return QSize(width, min(least.height(), self._room))

    def heightForWidth(self, width: int) -> int:
        least = self._content.minimumSizeHint().width()
        wanted = self._content.heightForWidth(max(width - self._bar_width, least))
        if width < least:  # a bar stands below
            wanted += self.horizontalScrollBar().sizeHint().height()
        return min(wanted, self._room)

    def _look_for_bar(self) -> None:
        """Keep room beside the content for the scroll bar, where there is one."""
        width = max(self.width() - self._bar_width, self._content.minimumSizeHint().width())
        is_cut = self._content.heightForWidth(width) > self._room
        bar_width = self.verticalScrollBar().sizeHint().width() if is_cut else 0
        if bar_width != self._bar_width:
            self._bar_width = bar_width
            self.updateGeometry()


class _Content(QWidget):
    """Says how low it can be made, which is what a scroll area asks it for."""

    def heightForWidth(self, width: int) -> int:
        wanted = self.layout().minimumHeightForWidth(width)  # -1 where nothing wraps
        return max(wanted, self.minimumSizeHint().height() if wanted < 0 else 0)
