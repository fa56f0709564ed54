"""The root resources of map and image services, in the shapes that versions differ in."""

from __future__ import annotations

from typing import Any

from .profiles import Service, Site
from .schemes import Box, Reference

_MAP_FORMATS = "PNG32,PNG24,PNG,JPG,DIB,TIFF,EMF,PS,PDF,GIF,SVG,SVGZ,BMP"
_STORAGE = "esriMapCacheStorageModeCompactV2"
_COPYRIGHT = "Made with Natural Earth."


def root_json(site: Site, service: Service) -> dict[str, Any]:
    """Return ``<service>?f=json``."""
    if site.hosted and service.kind == "MapServer":
        return _hosted(site, service)
    if service.kind == "ImageServer":
        return _image(site, service)
    return _map(site, service)


def layer_json(site: Site, service: Service, number: int) -> dict[str, Any] | None:
    """Return ``<service>/<number>?f=json``, or None where there is no such layer."""
    layers = _layers(service)
    if service.kind != "MapServer" or number >= len(layers):
        return None
    return {
        "currentVersion": site.version,
        **layers[number],
        "type": "Raster Layer" if service.theme == "imagery" else "Feature Layer",
        "description": "",
        "copyrightText": _COPYRIGHT,
        "geometryType": "esriGeometryPolygon",
        "extent": _extent(site, service),
        "fields": [],
        "capabilities": "Map",
    }


def _map(site: Site, service: Service) -> dict[str, Any]:
    data: dict[str, Any] = {"currentVersion": site.version}
    if site.version >= 11:
        data["cimVersion"] = "3.1.0"
    data.update(
        {
            "serviceDescription": "",
            "mapName": "Layers",
            "description": f"Countries of the world ({service.name})",
            "copyrightText": _COPYRIGHT,
        }
    )
    if site.modern_root:
        data["supportsDynamicLayers"] = False
    data.update(
        {
            "layers": _layers(service),
            "tables": [],
            "spatialReference": _reference(site, service.reference),
            "singleFusedMapCache": service.cached,
            **_cache(site, service),
            "initialExtent": _extent(site, service),
            "fullExtent": _extent(site, service),
        }
    )
    if site.modern_root:
        data.update(_scale_range(service))
    data.update(
        {
            "units": service.reference.units,
            "supportedImageFormatTypes": _MAP_FORMATS,
            "documentInfo": {"Title": service.name, "Author": "", "Keywords": "countries"},
            "capabilities": service.capabilities,
        }
    )
    if site.modern_root:
        data.update(
            {
                "supportedQueryFormats": "JSON, geoJSON",
                "exportTilesAllowed": service.export_allowed,
                **_export_limit(service),
                "maxRecordCount": 1000,
                "maxImageHeight": 4096,
                "maxImageWidth": 4096,
                "supportedExtensions": "",
            }
        )
    return data


def _image(site: Site, service: Service) -> dict[str, Any]:
    extent = _extent(site, service)
    pixel = (service.full_extent[2] - service.full_extent[0]) / 20000
    data: dict[str, Any] = {
        "currentVersion": site.version,
        "serviceDescription": "",
        "name": service.name,
        "description": "",
        "extent": extent,
        "initialExtent": extent,
        "fullExtent": extent,
        "pixelSizeX": pixel,
        "pixelSizeY": pixel,
        "bandCount": 3,
        "pixelType": "U8",
        "minPixelSize": 0,
        "maxPixelSize": 0,
        "copyrightText": _COPYRIGHT,
        "serviceDataType": "esriImageServiceDataTypeRGB",
        "minValues": [],
        "maxValues": [],
        "objectIdField": "",
        "fields": [],
        "capabilities": service.capabilities,
        "defaultCompressionQuality": 75,
        "defaultResamplingMethod": "Bilinear",
        "maxImageHeight": 4100,
        "maxImageWidth": 15000,
        "spatialReference": _reference(site, service.reference),
        "hasHistograms": False,
        "hasColormap": False,
        "exportTilesAllowed": service.export_allowed,
        **_export_limit(service),
    }
    if service.scheme is None:
        return {**data, "minScale": 0, "maxScale": 0}  # no word of a cache: so real ones answer
    return {
        **data,
        "singleFusedMapCache": service.cached,
        **_cache(site, service),
        "cacheType": "Map",
        **_scale_range(service),
    }


def _hosted(site: Site, service: Service) -> dict[str, Any]:
    cache = _cache(site, service)
    cache.pop("storageInfo", None)
    cache["tileInfo"].update({"bandCount": 1, "lercError": 0, "storageFormat": _STORAGE})
    return {
        "currentVersion": site.version,
        "id": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "name": service.name,
        "capabilities": service.capabilities,
        "description": "",
        "serviceDescription": "",
        "type": service.kind,
        "access": "SECURE",
        "status": "created",
        "singleFusedMapCache": True,
        "spatialReference": _reference(site, service.reference),
        "initialExtent": _extent(site, service),
        "fullExtent": _extent(site, service),
        "minScale": 0.0,
        "maxScale": 0.0,
        "minLOD": service.levels[0],
        "maxLOD": service.levels[1],
        **cache,
        "documentInfo": {"title": service.name, "author": "", "keywords": ""},
        "copyrightText": _COPYRIGHT,
        "tileServers": None,
        "maxExportTilesCount": service.max_export_tiles,
        "exportTilesAllowed": service.export_allowed,
        "mapName": "Layers",
        "units": service.reference.units,
        "supportedImageFormatTypes": "PNG",
        "layers": _layers(service),
        "tables": None,
        "resampling": True,
    }


def _cache(site: Site, service: Service) -> dict[str, Any]:
    scheme = service.scheme
    if scheme is None:
        return {}
    tile_info = {
        "rows": scheme.tile_size,
        "cols": scheme.tile_size,
        "dpi": scheme.dpi,
        "format": service.tile_format,
        "compressionQuality": service.quality,
        "origin": {"x": scheme.origin[0], "y": scheme.origin[1]},
        "spatialReference": _reference(site, scheme.reference),
        "lods": [lod.as_json() for lod in scheme.lods],
    }
    if site.version < 10.8:
        return {"tileInfo": tile_info}
    return {
        "tileInfo": tile_info,
        "storageInfo": {"storageFormat": _STORAGE, "packetSize": 128},
    }


def _export_limit(service: Service) -> dict[str, int]:
    return {"maxExportTilesCount": service.max_export_tiles} if service.cached else {}


def _scale_range(service: Service) -> dict[str, float]:
    if service.scheme is None:
        return {"minScale": 0, "maxScale": 0}
    first, last = (service.scheme.lod(level) for level in service.levels)
    return {"minScale": first.scale if first else 0, "maxScale": last.scale if last else 0}


def _layers(service: Service) -> list[dict[str, Any]]:
    names = {"imagery": ("Picture",), "map": ("Disputed borders", "Countries")}.get(
        service.theme, ("Network", "Disputed borders", "Countries")
    )
    return [
        {
            "id": number,
            "name": name,
            "parentLayerId": -1,
            "defaultVisibility": True,
            "subLayerIds": None,
            "minScale": 0,
            "maxScale": 0,
        }
        for number, name in enumerate(names)
    ]


def _reference(site: Site, reference: Reference) -> dict[str, Any]:
    return reference.as_json(with_latest=site.modern_root)


def _extent(site: Site, service: Service) -> dict[str, Any]:
    return extent_json(service.full_extent, _reference(site, service.reference))


def extent_json(box: Box, reference: dict[str, Any]) -> dict[str, Any]:
    """Return an Esri envelope."""
    xmin, ymin, xmax, ymax = box
    return {
        "xmin": xmin,
        "ymin": ymin,
        "xmax": xmax,
        "ymax": ymax,
        "spatialReference": reference,
    }
