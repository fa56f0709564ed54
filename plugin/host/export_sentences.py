"""Sentences for errors about exporting and importing tiles. Plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import errors
from ..core.arcgis.address import public_address
from .local_wording import storage_text
from .text import listed, number_text, path_text, plain, quoted_message, tr


def _cannot_pack(error: errors.CannotPack) -> str:
    reasons = {
        errors.CannotPackReason.SCHEME: tr(
            "it holds Web Mercator tiles of the standard scales only"
        ),
        errors.CannotPackReason.LEVELS: tr("its scales do not divide each other's tiles evenly"),
        errors.CannotPackReason.TILE_SIZE: tr("tiles of this size do not fit into it"),
        errors.CannotPackReason.TILE_FORMAT: tr("pictures of this format do not fit into it"),
        errors.CannotPackReason.NO_CODE: tr("its coordinate reference system has no code"),
    }
    text = tr("“{path}” cannot be a {storage}, {reason}: choose {possible}.")
    return text.format(
        path=path_text(error.path),
        storage=storage_text(error.storage),
        reason=reasons[error.reason],
        possible=listed(storage_text(each) for each in error.possible) or tr("another format"),
    )


def _caches_differ(error: errors.CachesDiffer) -> str:
    names = {
        errors.Differs.CRS: tr("coordinate reference system"),
        errors.Differs.ORIGIN: tr("tile origin"),
        errors.Differs.TILE_SIZE: tr("tile size"),
        errors.Differs.SCALES: tr("scales"),
        errors.Differs.TILE_FORMAT: tr("tile format"),
    }
    text = tr(
        "Tiles of {source} do not fit into “{path}”, for these differ: {what}; choose another"
        " target."
    )
    return text.format(
        source=path_text(error.source),
        path=path_text(error.path),
        what=listed(names[each] for each in error.differences),
    )


def _export(error: errors.ExportError) -> str:
    text = tr("The tiles of {service} could not be copied: see the log messages.")
    return text.format(service=_service(error))


def _not_allowed(error: errors.ExportNotAllowed) -> str:
    text = tr(
        "{service} does not allow its tiles to be exported: ask its publisher to allow it, or, if"
        " the tiles are yours to copy, say so by the check box, or in scripts by TILES_ARE_MINE or"
        " OWNED."
    )
    if error.is_owner:
        text = tr(
            "The own export of {service} is switched off, whoever the tiles belong to: choose"
            " another way to get them."
        )
    return text.format(service=_service(error))


def _too_many(error: errors.TooManyTiles) -> str:
    text = tr(
        "{service} exports at most {limit} tiles at once, which are far too few for this area:"
        " choose fewer scales or a smaller area."
    )
    return text.format(service=_service(error), limit=number_text(error.limit))


def _bad_package(error: errors.BadPackage) -> str:
    reasons = {
        errors.BadPackageReason.MISSING: tr("holds no file"),
        errors.BadPackageReason.SIZE: tr("has another size than announced"),
        errors.BadPackageReason.DAMAGED: tr("is damaged"),
        errors.BadPackageReason.SCHEME: tr("has another tiling scheme than the service"),
        errors.BadPackageReason.TOO_FEW: tr("holds fewer tiles than announced"),
        errors.BadPackageReason.FOREIGN: tr("holds none of the tiles that were asked for"),
    }
    text = tr(
        "What the site sent of {service} {reason}{detail}, so nothing was replaced: run the export"
        " again."
    )
    detail = f" ({quoted_message(error.detail)})" if error.detail else ""
    return text.format(service=_service(error), reason=reasons[error.reason], detail=detail)


def _no_tile(error: errors.NoTileThere) -> str:
    text = tr(
        "{service} sent something else than a tile (HTTP {status}, {kind}): sign in, or try again"
        " later."
    )
    kind = plain(error.content_type) or tr("unknown")
    return text.format(service=_service(error), status=error.status, kind=kind)


def _nothing_to_import(error: errors.NothingToImport) -> str:
    text = tr(
        "“{path}” has no tiles for {service} in the area at these scales: choose another area or"
        " other scales."
    )
    return text.format(path=path_text(error.path), service=_service(error))


def _service(error: errors.ExportError) -> str:
    return plain(public_address(error.service))


EXPORT_SENTENCES: dict[type, Callable[[Any], str]] = {
    errors.CannotPack: _cannot_pack,
    errors.CachesDiffer: _caches_differ,
    errors.ExportError: _export,
    errors.ExportNotAllowed: _not_allowed,
    errors.TooManyTiles: _too_many,
    errors.BadPackage: _bad_package,
    errors.NoTileThere: _no_tile,
    errors.NothingToImport: _nothing_to_import,
}
