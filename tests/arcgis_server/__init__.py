"""A stand-in ArcGIS site: answers like ArcGIS Server and makes real tile caches on disk.

It follows Esri's published protocol and imports nothing of the plugin, so that the plugin's
client can be tested against it. ``handle.running_site`` starts it; ``python -m arcgis_server``
runs it by hand.
"""

from .bundles import StoredTile, read_cache

__all__ = ["StoredTile", "read_cache"]
