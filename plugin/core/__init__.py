"""The domain without QGIS and Qt: tiling, coverage, caches, services, updates."""
