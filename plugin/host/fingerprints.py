"""A short text that changes with what is drawn, the same in every run of QGIS. Any thread."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from html import unescape
from pathlib import Path

from qgis.core import QgsLabelingEngineSettings, QgsMapLayer, QgsMapSettings, QgsVectorLayer
from qgis.PyQt.QtXml import QDomDocument

LABEL_FLAGS = ("UseAllLabels", "DrawUnplacedLabels", "DrawLabelRectOnly", "RenderOutlineLabels")

UNTOLD = frozenset({"project_last_saved", "layers", "layer_ids"})
"""Variables that change by themselves, or that Python cannot read; layers are asked apart."""

_PLAIN = (str, int, float)

_ATTRIBUTE = re.compile(r'[\w:.-]+="[^"]*"')
_TAG = re.compile(r'<(?:"[^"]*"|[^<>"])*>')


def fingerprint_of(parts: Iterable[str]) -> str:
    """The fingerprint of all `parts` in their order. Nothing can be read out of it."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "replace") + b"\0")
    return digest.hexdigest()[:32]


def state_of(layer: QgsMapLayer, file: Path | None) -> str:
    """All that tells how `layer` looks, as far as that can be had without reading its data.

    `file`: where its data lie; its time and size count, as do extent and number of features of a
    layer in memory.
    """
    document = QDomDocument()
    layer.exportNamedStyle(document)
    # Qt writes attributes in another order each time QGIS is started; copies have ids of their own
    style = "\n".join(map(_in_order, document.toString().replace(layer.id(), "").splitlines()))
    parts = [layer.source(), layer.crs().authid(), style, *_file_state(file)]
    if isinstance(layer, QgsVectorLayer) and layer.providerType() == "memory":
        extent = layer.extent().toString(6)
        parts = [layer.name(), str(layer.featureCount()), extent, *parts[1:]]
    return "\n".join(parts)


def state_of_settings(settings: QgsMapSettings) -> list[str]:
    """What a project says of drawing beside its layers: variables, labels, CRS transformations."""
    context = settings.expressionContext()
    names = sorted(set(context.variableNames()) - UNTOLD)
    values = [(name, context.variable(name)) for name in names]
    variables = [f"{name}={value}" for name, value in values if isinstance(value, _PLAIN)]
    labels = settings.labelingEngineSettings()
    flags = [
        name
        for name in LABEL_FLAGS
        if labels.testFlag(getattr(QgsLabelingEngineSettings.Flag, name))
    ]
    candidates = (
        labels.maximumPolygonCandidatesPerCmSquared(),
        labels.maximumLineCandidatesPerCm(),
    )
    operations = sorted(map(str, settings.transformContext().coordinateOperations().items()))
    return [*variables, *flags, str(candidates), settings.ellipsoid(), *operations]


def _in_order(line: str) -> str:
    attributes = sorted(map(_nested_in_order, _ATTRIBUTE.findall(line)))
    return " ".join((_ATTRIBUTE.sub("", line).strip(), *attributes))


def _nested_in_order(attribute: str) -> str:
    """The same for what is an attribute itself, such as the symbols of callouts of labels."""
    if "&lt;" not in attribute:
        return attribute
    return _TAG.sub(lambda tag: _in_order(tag.group()), unescape(attribute))


def _file_state(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        found = file.stat()
    except OSError:
        return []
    return [str(found.st_mtime_ns), str(found.st_size)]
