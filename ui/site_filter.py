"""The rows of a tree of services that have what a person typed in their names."""

from __future__ import annotations

from qgis.PyQt.QtCore import QModelIndex, QSortFilterProxyModel
from qgis.PyQt.QtGui import QStandardItem

from .site_tree_model import NAME, Filling, Row, SiteTreeModel, address_of, filling_of, row_of


class SiteFilter(QSortFilterProxyModel):
    """Shows services and folders by name, each with the folder that it is in, and all of a folder.

    What a row says that is no service is no name: it is shown where everything is, where all of its
    folder is, and where it says why a folder could not be looked at.
    """

    def __init__(self, model: SiteTreeModel) -> None:
        super().__init__(model)
        self._words = ""
        self.setSourceModel(model)
        self.setRecursiveFilteringEnabled(True)

    @property
    def words(self) -> str:
        """What names have to hold; "" where everything is shown."""
        return self._words

    def set_words(self, words: str) -> None:
        """Show only what has `words` in its name, in capitals or not; "" shows everything."""
        self._words = words
        self.invalidateFilter()

    def parents(self) -> list[QModelIndex]:
        """What rows are in: nothing, and each of those at the top."""
        return [QModelIndex(), *(self.index(row, NAME) for row in range(self.rowCount()))]

    def has_service(self) -> bool:
        """Whether there is any service among the rows, in open folders or not."""
        return any(
            address_of(self.index(row, NAME, parent))
            for parent in self.parents()
            for row in range(self.rowCount(parent))
        )

    # QSortFilterProxyModel interface

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        if not self._words:
            return True
        model = self.sourceModel()
        item = model.itemFromIndex(model.index(row, NAME, parent))
        folder = item.parent()
        if folder is not None and self._is_named(folder):
            return True
        if row_of(item) in (Row.NOTE, Row.MORE):
            return folder is not None and filling_of(folder) is Filling.FAILED
        return self._is_named(item)

    def _is_named(self, item: QStandardItem) -> bool:
        return self._words.casefold() in item.text().casefold()
