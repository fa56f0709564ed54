"""What is to be drawn of a project: which layers, in which order, in which styles. Main thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from qgis.core import QgsLayerTreeGroup, QgsLayerTreeNode, QgsMapLayer, QgsProject

from ..core.errors import NothingToDraw, NothingToDrawReason
from .project_source import Drawing


def visible_layers(project: QgsProject, title: str) -> Drawing:
    """The layers that are ticked, in the order in which the map canvas draws them."""
    root = project.layerTreeRoot()
    if root.hasCustomLayerOrder():
        nodes = map(root.findLayer, root.customLayerOrder())
        layers = [node.layer() for node in nodes if node is not None and node.isVisible()]
    else:
        layers = list(_ticked(root))
    return Drawing(title, [*_annotations(project), *_drawable(layers)])


def map_theme(project: QgsProject, name: str) -> Drawing:
    """The layers of a map theme, in its styles. Raises NothingToDraw."""
    themes = project.mapThemeCollection()
    if not themes.hasMapTheme(name):
        raise NothingToDraw(name, NothingToDrawReason.NO_THEME)
    layers = themes.mapThemeVisibleLayers(name)
    drawn = [*_annotations(project), *_drawable(layers)]
    return Drawing(name, drawn, themes.mapThemeStyleOverrides(name))


def chosen_layers(project: QgsProject, ids: Sequence[str]) -> Drawing:
    """The layers with these `ids`, ticked or not, in the project's order. Raises NothingToDraw."""
    if not ids:
        raise NothingToDraw("", NothingToDrawReason.NO_LAYER)
    for layer_id in ids:
        if project.mapLayer(layer_id) is None:
            raise NothingToDraw(layer_id, NothingToDrawReason.NO_LAYER)
    order = [layer.id() for layer in project.layerTreeRoot().layerOrder()]
    place = {layer_id: number for number, layer_id in enumerate(order)}
    # layers that the project holds but does not list are drawn last
    by_order = sorted(dict.fromkeys(ids), key=lambda layer_id: place.get(layer_id, len(place)))
    layers = _drawable([project.mapLayer(layer_id) for layer_id in by_order])
    return Drawing(", ".join(layer.name() for layer in layers), layers)


def _ticked(group: QgsLayerTreeGroup) -> Iterator[QgsMapLayer]:
    """The visible layers of `group`, topmost first; a group that is drawn as one layer is one."""
    for node in group.children():
        if not node.itemVisibilityChecked():
            continue
        if node.nodeType() == QgsLayerTreeNode.NodeType.NodeLayer:
            yield node.layer()
            continue
        layer = node.groupLayer() if hasattr(node, "groupLayer") else None  # since QGIS 3.24
        if layer is None:
            yield from _ticked(node)
        else:
            yield layer


def _drawable(layers: Sequence[QgsMapLayer]) -> list[QgsMapLayer]:
    """`layers` without tables, which have no place on a map. Broken ones stay, to be told of."""
    there = [layer for layer in layers if layer is not None]
    return [layer for layer in there if layer.isSpatial() or not layer.isValid()]


def _annotations(project: QgsProject) -> list[QgsMapLayer]:
    """The project's own annotations, which lie above all layers, where there are any."""
    layer = project.mainAnnotationLayer()
    return [] if layer is None or layer.isEmpty() else [layer]
