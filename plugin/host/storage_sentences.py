"""Sentences for errors about caches on this computer and what they are drawn from. Plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import errors
from .text import bytes_text, path_text, plain, quoted_message, tr


def _bad_scheme(error: errors.BadScheme) -> str:
    texts = {
        errors.BadSchemeReason.MISSING: tr(
            "“{name}” gives no tiling scheme: name a cache, its conf.xml or root.json, or a cached"
            " service."
        ),
        errors.BadSchemeReason.NO_LEVELS: tr(
            "The tiling scheme of “{name}” has no scales: name at least one."
        ),
        errors.BadSchemeReason.NO_CRS: tr(
            "“{name}” has no coordinate reference system to make a tiling scheme in: set one, or"
            " choose another tiling scheme."
        ),
        errors.BadSchemeReason.TOO_FINE: tr(
            "The tiling scheme of “{name}” has more tiles than a cache can number: leave out its"
            " finest scales."
        ),
        errors.BadSchemeReason.TOO_COARSE: tr(
            "The tiling scheme of “{name}” has tiles far larger than the world: leave out its"
            " coarsest scales."
        ),
    }
    return texts[error.reason].format(name=path_text(error.name))


def _bad_cache_option(error: errors.BadCacheOption) -> str:
    # What a form has too is called so that people know it there; its keyword is easily told.
    names = {
        "TARGET": tr("the new cache"),
        "STORAGE_FORMAT": tr("the storage format"),
        "TILE_FORMAT": tr("the tile format"),
        "TILE_SIZE": tr("the tile size"),
        "COMPRESSION_QUALITY": tr("the compression quality"),
        "DPI": tr("the DPI"),
        "BACKGROUND": tr("the background"),
    }
    text = tr("“{value}” cannot be taken for {option}: give {allowed}.")
    return text.format(
        value=path_text(error.value),
        option=names.get(error.option) or plain(error.option),
        allowed=quoted_message(error.allowed),
    )


def _nothing_to_resume(error: errors.NothingToResume) -> str:
    text = tr(
        "The cache {path} has no update to go on with, neither an interrupted one nor one with"
        " failed tiles: start a new one."
    )
    return text.format(path=path_text(error.path))


def _storage(error: errors.StorageError) -> str:
    text = tr("Something is wrong with {path}: check it with Verify Cache.")
    return text.format(path=path_text(error.path))


def _not_a_cache(error: errors.NotACache) -> str:
    reason = error.reason
    if reason is errors.NotACacheReason.VECTOR and error.path.lower().endswith(".pmtiles"):
        reason = errors.NotACacheReason.UNKNOWN_FILE  # what tiles it holds nobody has looked at
    texts = {
        errors.NotACacheReason.MISSING: tr(
            "There is no file or folder {path}: check the path, and whether its drive is connected."
        ),
        errors.NotACacheReason.NO_SCHEME: tr(
            "{path} is no tile cache, for it has neither a conf.xml nor a root.json: choose the"
            " folder of a cache, or create one."
        ),
        errors.NotACacheReason.UNKNOWN_FILE: tr(
            "{path} is no file of a tile cache: choose a .tpkx, .tpk, .mbtiles or .gpkg file,"
            " or the folder of a cache."
        ),
        errors.NotACacheReason.NOT_READABLE: tr(
            "{path} may not be read by you: ask its owner for the right to read it."
        ),
        errors.NotACacheReason.VECTOR: tr(
            "{path} holds vector tiles, which cannot be updated here: choose a cache of pictures."
        ),
        errors.NotACacheReason.SEVERAL: tr(
            "{path} holds several tile caches: choose the folder of one of them."
        ),
        errors.NotACacheReason.NO_TILES: tr(
            "{path} is a GeoPackage without tiles: choose one that holds a table of tiles."
        ),
        errors.NotACacheReason.ODD_TILES: tr(
            "{path} has tiles that are not square, or of several sizes, which no cache here can"
            " have: choose another one."
        ),
    }
    return texts[reason].format(path=path_text(error.path))


def _damaged(error: errors.DamagedCache) -> str:
    text = tr(
        "{path} is damaged ({detail}): run Verify and Repair on the cache, which mends what can be"
        " mended, or take it from a backup."
    )
    return text.format(path=path_text(error.path), detail=quoted_message(error.detail))


def _hostile(error: errors.HostileFile) -> str:
    text = tr(
        "{path} was not opened, for it is damaged or made to do harm ({detail}): take it anew from"
        " where you can trust it."
    )
    return text.format(path=path_text(error.path), detail=quoted_message(error.detail))


def _read_only(error: errors.ReadOnlyCache) -> str:
    texts = {
        errors.ReadOnlyReason.FORMAT: tr(
            "The cache {path} is in a form that is only read: create a new cache with its"
            " tiling scheme, and fill that from this one."
        ),
        errors.ReadOnlyReason.RIGHTS: tr(
            "{path} may not be written by you: ask its owner for the right to write, or check that"
            " it is not set to read only."
        ),
    }
    return texts[error.reason].format(path=path_text(error.path))


def _in_use(error: errors.CacheInUse) -> str:
    text = tr("{path} is in use by another program: wait until that has finished, or close it.")
    return text.format(path=path_text(error.path))


def _disk_full(error: errors.DiskFull) -> str:
    text = tr(
        "The disk of {path} is full: make room and try again, an update then goes on where it"
        " stopped."
    )
    if error.needed is not None and error.free is not None:
        text = tr(
            "There is too little room on the disk of {path}, {needed} are needed and {free} are"
            " free: make room, or choose fewer scales or a smaller area."
        )
        if error.is_at_least:
            text = tr(
                "There is too little room on the disk of {path}, at least {needed} are needed and"
                " {free} are free: make room, or choose fewer scales or a smaller area."
            )
    return text.format(
        path=path_text(error.path),
        needed=bytes_text(error.needed or 0),
        free=bytes_text(error.free or 0),
    )


def _target_exists(error: errors.TargetExists) -> str:
    text = tr(
        "{path} exists already and was left as it is: choose another name or an empty folder."
    )
    return text.format(path=path_text(error.path))


def _target_problem(error: errors.TargetProblem) -> str:
    text = tr(
        "Nothing can be written to {path}, the system says “{detail}”: check the path and your"
        " rights."
    )
    return text.format(path=path_text(error.path), detail=quoted_message(error.detail))


def _tile_too_large(error: errors.TileTooLarge) -> str:
    text = tr(
        "A tile of {size} is more than {path} can hold: choose a tile format that compresses more."
    )
    return text.format(path=path_text(error.path), size=bytes_text(error.size))


def _source(error: errors.SourceError) -> str:
    text = tr("Something is wrong with “{name}”, which the tiles are drawn from: check it.")
    return text.format(name=path_text(error.name))


def _nothing_to_draw(error: errors.NothingToDraw) -> str:
    texts = {
        errors.NothingToDrawReason.NO_SOURCE: tr(
            "There is nothing to draw the tiles from: open a project (for qgis_process, name it"
            " with --PROJECT_PATH), or name a source."
        ),
        errors.NothingToDrawReason.NO_LAYERS: tr(
            "“{name}” has no visible layers to draw: switch some on, or choose another source."
        ),
        errors.NothingToDrawReason.NO_THEME: tr(
            "The project has no map theme “{name}”: choose one that it has."
        ),
        errors.NothingToDrawReason.NO_LAYER: tr(
            "The project has no layer “{name}”: choose one that it has."
        ),
        errors.NothingToDrawReason.NO_FILE: tr(
            "There is no file {name} to draw the tiles from: check the path."
        ),
        errors.NothingToDrawReason.UNUSABLE: tr(
            "{name} cannot be opened to draw the tiles from: choose a project, a raster file or a"
            " cache."
        ),
        errors.NothingToDrawReason.SAME_CACHE: tr(
            "{name} is itself the cache that is to get the tiles: choose something else to take"
            " them from."
        ),
        errors.NothingToDrawReason.NO_CRS: tr(
            "“{name}” has no coordinate reference system, so nobody knows where to draw it: set one"
            " and try again."
        ),
    }
    unnamed = {
        errors.NothingToDrawReason.NO_THEME: tr(
            "No map theme is named to draw the tiles from: give one as theme:NAME."
        ),
        errors.NothingToDrawReason.NO_LAYER: tr(
            "No layer is named to draw the tiles from: give some as layers:ID,ID."
        ),
    }
    if not error.name and error.reason in unnamed:
        return unnamed[error.reason]
    return texts[error.reason].format(name=path_text(error.name) or tr("the project"))


def _layer_failed(error: errors.LayerFailed) -> str:
    text = tr(
        "Layer “{name}” could not be drawn ({detail}): mend the layer's source or leave it out of"
        " what is drawn, then run the update again."
    )
    return text.format(name=plain(error.name), detail=quoted_message(error.detail))


def tiles_left_sentence(error: errors.LayerFailed) -> str:
    """That some tiles of an update, which goes on, could not be drawn."""
    text = tr(
        "Layer “{name}” could not be drawn ({detail}), so its tiles were left as they were: mend"
        " the layer's source, then retry the failed tiles."
    )
    return text.format(name=plain(error.name), detail=quoted_message(error.detail))


def _format_not_drawn(error: errors.FormatNotDrawn) -> str:
    text = tr(
        "The tiles of the cache are {format}, which “{name}” cannot draw: draw into a cache of PNG,"
        " JPEG or mixed tiles."
    )
    return text.format(format=plain(error.image_format), name=path_text(error.name))


def unverifiable_sentence(error: errors.DamagedCache) -> str:
    """That a cache is damaged in such a way that it cannot even be checked."""
    text = tr(
        "{path} is damaged ({detail}), so the cache cannot be checked: take it from a backup, or"
        " create the cache anew."
    )
    return text.format(path=path_text(error.path), detail=quoted_message(error.detail))


STORAGE_SENTENCES: dict[type, Callable[[Any], str]] = {
    errors.BadScheme: _bad_scheme,
    errors.BadCacheOption: _bad_cache_option,
    errors.NothingToResume: _nothing_to_resume,
    errors.StorageError: _storage,
    errors.NotACache: _not_a_cache,
    errors.DamagedCache: _damaged,
    errors.HostileFile: _hostile,
    errors.ReadOnlyCache: _read_only,
    errors.CacheInUse: _in_use,
    errors.DiskFull: _disk_full,
    errors.TargetExists: _target_exists,
    errors.TargetProblem: _target_problem,
    errors.TileTooLarge: _tile_too_large,
    errors.SourceError: _source,
    errors.NothingToDraw: _nothing_to_draw,
    errors.LayerFailed: _layer_failed,
    errors.FormatNotDrawn: _format_not_drawn,
}
