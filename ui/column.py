"""A column of panels that is scrolled only where the screen has no room for all of it."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget


class Column(QScrollArea):
    """What is in `layout`, as high as it needs to be, but not higher than `room` allows."""

    def __init__(self, layout: QVBoxLayout) -> None:
        super().__init__()
        self.setObjectName("column")
        self._room = 0
        self._content = _Content()
        self._content.setLayout(layout)
        layout.setContentsMargins(0, 0, 0, 0)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
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
            self.updateGeometry()

    # QWidget interface

    def sizeHint(self) -> QSize:
        return self._content.sizeHint()

    def minimumSizeHint(self) -> QSize:
        least = self._content.minimumSizeHint()
        height = min(least.height(), self._room)
        wanted = self._content.heightForWidth(max(self.width(), least.width()))
        bar = self.verticalScrollBar().sizeHint().width() if wanted > self._room else 0
        return QSize(least.width() + bar, height)

    def heightForWidth(self, width: int) -> int:
        return min(self._content.heightForWidth(width), self._room)


class _Content(QWidget):
    """Says how low it can be made, which is what a scroll area asks it for."""

    def heightForWidth(self, width: int) -> int:
        return self.layout().minimumHeightForWidth(width)
