"""Opening the dialog that QGIS's Processing makes for an algorithm."""

from __future__ import annotations

from qgis.core import Qgis
from qgis.gui import QgsMessageBar

from ..plugin.host.messages import tr
from .notices import Notice


def open_algorithm(algorithm_id: str, bar: QgsMessageBar) -> None:
    """Open it for `algorithm_id`; where Processing is switched off, say so in `bar`."""
    try:
        import processing

        processing.execAlgorithmDialog(algorithm_id, {})
    except (ImportError, AttributeError):
        text = tr(
            "This needs the plugin Processing, which comes with QGIS: switch it on in the Plugin"
            " Manager."
        )
        bar.pushItem(Notice(text, Qgis.MessageLevel.Warning))
