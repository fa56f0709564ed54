"""``MapServer/export`` and ``ImageServer/exportImage``: a picture drawn for the request."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

import shapely.geometry
import shapely.ops
from flask import Response, request

from .answers import EsriError, answer, bad_request, not_found, value_of
from .coverage import transformer
from .drawing import DrawingFailed, Picture
from .profiles import Service
from .roots import extent_json
from .schemes import Box, Reference, reference_from_json
from .state import SiteState

_MAX_PIXELS = 4096
_FORMATS = {
    "png": "PNG",
    "png8": "PNG",
    "png24": "PNG",
    "png32": "PNG32",
    "jpg": "JPEG",
    "jpgpng": "MIXED",
}


def export(state: SiteState, service: Service) -> Response:
    """Answer ``export`` or ``exportImage``, as a picture or as JSON that says where it is.

    Raises:
        EsriError: a parameter is missing or wrong, or the service gives tiles only.
    """
    if service.tiles_only:
        raise bad_request("The requested capability is not supported: the service has tiles only.")
    target = _reference("imageSR", service.reference)
    width, height = _size()
    wanted = _projected(_bbox(), _reference("bboxSR", service.reference), target)
    extent = _widened(wanted, width, height)
    data, kind = _draw(state, service, target, extent, (width, height))
    if value_of("f", "html").lower() == "image":
        return Response(data, content_type=kind)
    name = f"_ags_map{uuid.uuid4().hex}.{kind.rpartition('/')[2]}"
    state.keep_picture(name, kind, data)
    place = f"{request.host_url.rstrip('/')}{state.profile.context}"
    dots_per_unit = target.metres_per_unit * 96 / 0.0254
    result: dict[str, Any] = {
        "href": f"{place}/rest/directories/arcgisoutput/{name}",
        "width": width,
        "height": height,
        "extent": extent_json(extent, target.as_json(state.profile.modern_root)),
        "scale": (extent[2] - extent[0]) / width * dots_per_unit,
    }
    return answer(state.profile, result, "Export")


def exported_picture(state: SiteState, name: str) -> Response:
    """Answer a picture that an export has left in the output directory."""
    kept = state.pictures.get(name)
    if kept is None:
        raise not_found(name)
    return Response(kept[1], content_type=kept[0])


def _draw(
    state: SiteState,
    service: Service,
    target: Reference,
    extent: Box,
    size: tuple[int, int],
) -> tuple[bytes, str]:
    name = value_of("format", "png" if service.kind == "MapServer" else "jpgpng").lower()
    if name not in _FORMATS:
        raise bad_request(f"The image format '{name}' is not supported.")
    picture = Picture(
        crs=target.definition(),
        extent=extent,
        width=size[0],
        height=size[1],
        cuts=((0, 0, *size),),
        revision=state.revision,
        theme=service.theme,
        tile_format=_FORMATS[name],
        transparent=value_of("transparent", "false").lower() == "true",
    )
    try:
        data = state.painter.draw(picture)[0]
    except DrawingFailed as error:
        raise EsriError(500, "Error exporting map", [str(error)]) from error
    return data, "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def _reference(parameter: str, default: Reference) -> Reference:
    text = value_of(parameter).strip()
    if not text:
        return default
    try:
        data = json.loads(text)
        return reference_from_json(data if isinstance(data, dict) else {"wkid": int(data)})
    except (TypeError, ValueError) as error:
        raise bad_request(f"'{parameter}' is invalid.") from error


def _bbox() -> Box:
    try:
        xmin, ymin, xmax, ymax = (float(part) for part in value_of("bbox").split(","))
    except ValueError as error:
        raise bad_request("'bbox' parameter is invalid.") from error
    if not (xmin < xmax and ymin < ymax and math.isfinite(xmax - xmin + ymax - ymin)):
        raise bad_request("'bbox' parameter is invalid.")
    return xmin, ymin, xmax, ymax


def _size() -> tuple[int, int]:
    try:
        width, height = (int(part) for part in value_of("size", "400,400").split(","))
    except ValueError as error:
        raise bad_request("'size' parameter is invalid.") from error
    if not (0 < width <= _MAX_PIXELS and 0 < height <= _MAX_PIXELS):
        raise bad_request("The requested image exceeds the size limit.")
    return width, height


def _projected(box: Box, source: Reference, target: Reference) -> Box:
    if source.definition() == target.definition():
        return box
    moved = shapely.ops.transform(transformer(source, target), shapely.geometry.box(*box))
    if not all(math.isfinite(value) for value in moved.bounds):
        raise bad_request("'bbox' parameter is invalid.")
    xmin, ymin, xmax, ymax = moved.bounds
    return xmin, ymin, xmax, ymax


def _widened(box: Box, width: int, height: int) -> Box:
    """Return the box, made wider or higher so that its pixels are square."""
    xmin, ymin, xmax, ymax = box
    pixel = max((xmax - xmin) / width, (ymax - ymin) / height)
    x, y = (xmin + xmax) / 2, (ymin + ymax) / 2
    return (
        x - pixel * width / 2,
        y - pixel * height / 2,
        x + pixel * width / 2,
        y + pixel * height / 2,
    )
