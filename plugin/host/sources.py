"""What a cache on this computer can be drawn from: the one door.

A source is kept as a text:

    ""                  the current project: its visible layers, as the map canvas shows them
    project             the same, where nothing would stand for what a cache remembers
    theme:NAME          a map theme of the project
    layers:ID[,ID...]   these layers of the project, visible or not
    anything else       a path: a project (.qgs, .qgz), another cache, or a raster file
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qgis.core import QgsMapLayer, QgsProject

from ..core.errors import NothingToDraw, NothingToDrawReason
from ..core.local.source import TileSource
from ..core.storage.opening import local_path
from ..core.storage.sidecar import CacheSettings
from .cache_source import CacheSource
from .connections import CACHE_ENDINGS, CACHE_FILES
from .drawings import chosen_layers, map_theme, visible_layers
from .project_source import Drawing, ProjectSource
from .raster_source import RasterSource
from .shown_layers import draws_cache
from .text import listed, tr

PROJECT = "project"
THEME = "theme:"
LAYERS = "layers:"

PROJECT_ENDINGS = (".qgs", ".qgz")


def make_source(
    text: str, project: QgsProject, settings: CacheSettings, cache: Path | None = None
) -> TileSource:
    """The source that `text` stands for, with copies of all that it draws. Main thread.

    `settings`: of the cache to be drawn, for its background. `cache`: where that lies; layers that
    show it are left out, for they would draw the old tiles into the new ones. Caches and rasters
    are opened later, by the source's `start`; projects are read here. Raises NothingToDraw.
    """
    background = settings.background
    if text.startswith(THEME):
        drawing = map_theme(project, text[len(THEME) :])
        return ProjectSource(project, _without(drawing, cache), background)
    if text.startswith(LAYERS):
        drawing = chosen_layers(project, layer_ids(text))
        return ProjectSource(project, _without(drawing, cache), background)
    if not plain_text(text):
        drawing = visible_layers(project, project_title(project))
        return ProjectSource(project, _without(drawing, cache), background)
    path = local_path(text)
    if path is None:
        raise NothingToDraw(text, NothingToDrawReason.UNUSABLE)
    if path.suffix.lower() in PROJECT_ENDINGS:
        other = _read_project(path)
        drawing = visible_layers(other, path.name)
        return ProjectSource(other, _without(drawing, cache), background)
    if is_cache(path):
        return CacheSource(path, project, background)
    return RasterSource(path, project, background)


def drawn_layers(text: str, project: QgsProject) -> list[QgsMapLayer]:
    """The layers of `project` that the source `text` draws; [] where it is not in it. Main thread.

    Raises NothingToDraw.
    """
    if text.startswith(THEME):
        return list(map_theme(project, text[len(THEME) :]).layers)
    if text.startswith(LAYERS):
        return list(chosen_layers(project, layer_ids(text)).layers)
    if plain_text(text):
        return []
    return list(visible_layers(project, project_title(project)).layers)


def missing_in(text: str, project: QgsProject) -> NothingToDraw | None:
    """What keeps `project` from drawing the theme or the layers that `text` names, if anything."""
    try:
        if text.startswith(THEME):
            map_theme(project, text[len(THEME) :])
        elif text.startswith(LAYERS):
            chosen_layers(project, layer_ids(text))
    except NothingToDraw as problem:
        return problem.with_traceback(None)  # which keeps layers
    return None


def source_title(text: str, project: QgsProject) -> str:
    """What people call the source `text`; a path is called by its last part. Main thread."""
    if text.startswith(THEME):
        return tr("Map theme {}").format(text[len(THEME) :])
    if text.startswith(LAYERS):
        layers = ((layer_id, project.mapLayer(layer_id)) for layer_id in layer_ids(text))
        return listed(layer.name() if layer else layer_id for layer_id, layer in layers)
    if not plain_text(text):
        return tr("Visible layers of the project")
    path = local_path(text)
    return path.name if path is not None and path.name else text


def plain_text(text: str) -> str:
    """`text` as it is kept: "" for the current project, however that is said."""
    return "" if text.strip() in ("", PROJECT) else text


def needs_project(text: str) -> bool:
    """Whether the source `text` is, or is in, the current project."""
    return not plain_text(text) or text.startswith((THEME, LAYERS))


def choices(project: QgsProject) -> list[tuple[str, str]]:
    """The sources that `project` offers as such, each as its text and its title. Main thread.

    First all visible layers, then the map themes. Single layers are for the person to choose.
    """
    themes = [THEME + name for name in project.mapThemeCollection().mapThemes()]
    return [(text, source_title(text, project)) for text in ("", *themes)]


def layers_text(ids: list[str]) -> str:
    """The text of the source that draws the layers with these `ids`."""
    return LAYERS + ",".join(ids)


def layer_ids(text: str) -> list[str]:
    """The ids in the text of chosen layers; [] for any other source."""
    if not text.startswith(LAYERS):
        return []
    return [part.strip() for part in text[len(LAYERS) :].split(",") if part.strip()]


def is_cache(path: Path) -> bool:
    """Whether `path` is read as a cache: a folder, a package, or a file that describes one."""
    if path.suffix.lower() in CACHE_ENDINGS or path.name.lower() in CACHE_FILES:
        return True
    return path.is_dir()


def project_title(project: QgsProject) -> str:
    """What people call `project`."""
    return project.title() or project.baseName() or tr("the project")


def _without(drawing: Drawing, cache: Path | None) -> Drawing:
    """`drawing` without the layers that show `cache`."""
    if cache is None:
        return drawing
    return replace(drawing, layers=_others(drawing.layers, cache))


def _others(layers: Sequence[QgsMapLayer], cache: Path) -> list[QgsMapLayer]:
    """Those of `layers` that do not show `cache`; groups drawn as one layer without those."""
    others: list[QgsMapLayer] = []
    for layer in layers:
        children = layer.childLayers() if hasattr(layer, "childLayers") else []
        kept = _others(children, cache)
        if kept != children and kept:
            others.append(_group_of(layer, kept))
        elif kept == children and not draws_cache(layer, cache):
            others.append(layer)
    return others


def _group_of(group: QgsMapLayer, layers: Sequence[QgsMapLayer]) -> QgsMapLayer:
    """A copy of `group` with other layers."""
    copy = group.clone()
    if hasattr(copy, "setId"):  # since QGIS 3.38
        copy.setId(group.id())
    for layer in layers:
        if layer.project() is None:
            layer.setParent(copy)  # a copy itself, which nothing else keeps
    copy.setChildLayers(layers)
    return copy


def _read_project(path: Path) -> QgsProject:
    """The project in the file at `path`, apart from the current one. Raises NothingToDraw."""
    if not path.is_file():
        raise NothingToDraw(str(path), NothingToDrawReason.NO_FILE)
    project = QgsProject()
    if not project.read(str(path)):
        raise NothingToDraw(str(path), NothingToDrawReason.UNUSABLE)
    return project
