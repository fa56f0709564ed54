"""How the parameters of a run are read: nothing given never means everything."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingUtils,
)
from qgis.PyQt.QtCore import QCoreApplication

from ..core.errors import BadCacheOption, BadScales
from ..core.scales import parse_scales
from .values import comes_to_nothing, is_given, truth_of


class Values:
    """The values of one run, as `algorithm` reads them."""

    def __init__(
        self,
        algorithm: QgsProcessingAlgorithm,
        parameters: dict[str, Any],
        context: QgsProcessingContext,
    ) -> None:
        self.algorithm = algorithm
        self.parameters = parameters
        self.context = context

    def is_given(self, name: str) -> bool:
        """Whether a text or keyword was given, whatever it comes to."""
        return is_given(self.parameters, name)

    def is_nothing(self, name: str) -> bool:
        """Whether something was given that is NULL, blank or an expression without result."""
        return comes_to_nothing(self.parameters, name, self.context)

    def text(self, name: str) -> str:
        """The value as text."""
        return str(self.algorithm.parameterAsString(self.parameters, name, self.context))

    def output_path(self, name: str, ending: str = "") -> str:
        """Where a file or folder is to be made; a temporary one of QGIS's gets the `ending`.

        To be asked once: QGIS gives another temporary file each time.
        """
        path = str(self.algorithm.parameterAsFileOutput(self.parameters, name, self.context))
        if self.parameters.get(name) == QgsProcessing.TEMPORARY_OUTPUT:
            folder, _, file = path.rpartition("/")
            return f"{folder}/{file.partition('.')[0]}{ending}"
        # A model names its own temporary files, which all end as the first filter says.
        is_of_model = PurePath(QgsProcessingUtils.tempFolder()) in PurePath(path).parents
        return PurePath(path).with_suffix(ending).as_posix() if is_of_model else path

    def keyword(self, name: str, allowed: list[str]) -> str:
        """One of `allowed`, or the default where none was given. Raises BadCacheOption.

        For a keyword that it does not know, QGIS would quietly take the default.
        """
        text = self.text(name)
        is_blank = self.is_nothing(name) and self.parameters.get(name) != ""
        if (self.is_given(name) and text not in allowed) or is_blank:
            raise BadCacheOption(name, "" if is_blank else text, ", ".join(allowed))
        return str(self.algorithm.parameterAsEnumString(self.parameters, name, self.context))

    def truth(self, name: str) -> bool:
        """Raises BadCacheOption for what is neither yes nor no."""
        text = "" if self.is_nothing(name) else self.text(name)
        truth = truth_of(text)
        if truth is None:
            raise BadCacheOption(name, text, _tr("true or false"))
        return truth

    def scales(self, name: str = "SCALES") -> tuple[float, ...]:
        """The scales asked for; () for all, only where none were given. Raises BadScales."""
        text = self.text(name)
        if not text.strip() and self.is_given(name):
            raise BadScales(text)
        return parse_scales(text)


def _tr(text: str) -> str:
    return QCoreApplication.translate("ProcessingValues", text)
