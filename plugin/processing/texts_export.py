"""The help of the algorithms that export and import, as HTML that QGIS shows beside the form."""

from __future__ import annotations

_AREAS = """
<h4>Area of interest (AREA_OF_INTEREST)</h4>
<p>A layer of polygons: just the tiles that they touch, at all scales.</p>
<h4>{extent}</h4>
<p>A rectangle, where no area of interest is given.</p>
<h4>Areas by scale (AREA_RULES)</h4>
<p>A file of rules “from scale to scale: this area”, as the dialog saves them, in place of both:
each scale gets an area that fits it. {unnamed} Rules about the map canvas cannot be used here.<br/>
None of the three: the whole cache.</p>
"""

_REFUSED = "Scales that no rule names must not be asked for."
_LEFT_OUT = "Scales that no rule names are left out, and told."

_KEYWORDS = "<p>The keyword, in capitals; numbers are refused.</p>"

_KINDS = f"""
<h4>Export type (EXPORT_TYPE)</h4>
{_KEYWORDS}
<p>CACHE_DATASET is the folder of a cache, stored as STORAGE_FORMAT says.<br/>
TILE_PACKAGE is ArcGIS's older package, a .tpk file.<br/>
TILE_PACKAGE_TPKX is the newer one, a .tpkx file.<br/>
MBTILES is an .mbtiles file; it holds Web Mercator tiles at the standard scales only.<br/>
GEOPACKAGE is a .gpkg file with a table of tiles.</p>
<h4>Storage format of a cache dataset (STORAGE_FORMAT)</h4>
{_KEYWORDS}
<p>COMPACT has bundles of version 1, COMPACT_V2 of version 2, EXPLODED a file for each tile.</p>
"""

_HOW = f"""
<h4>Tiles that the target has (OVERWRITE)</h4>
{_KEYWORDS}
<p>OVERWRITE: a tile of the area takes the place of the one that is there.<br/>
MERGE: its pixels, as far as they lie in the area and are not transparent, are drawn over those that
are there. Tiles elsewhere stay as they are in both.</p>
<h4>Clip tiles at the edge of the area (CLIP)</h4>
<p>Pixels outside the area become transparent (white in JPEG), in tiles that the area covers only
in part. Without it such tiles are whole. With OVERWRITE, what a target that is there already shows
in such a tile outside the area is gone then; MERGE keeps it.</p>
"""

_SITE = """
<h4>Sign-in (AUTH_CONFIG)</h4>
<p>A configuration of QGIS's authentication database with user name and password, where the site
asks for them.</p>
<h4>Portal that the site belongs to (PORTAL_URL)</h4>
<p>For a site of an ArcGIS Enterprise portal: the portal's address. The sign-in is then sent to that
portal.</p>
"""

_WAY = f"""
<h4>How tiles are got from a service (WAY)</h4>
{_KEYWORDS}
<p>EXPORT_TILES: the service's own export, in as many packages as its limit asks for; they are
checked, then joined.<br/>
EXPORT_CACHE: the tool Export Cache of those who administer the site.<br/>
ONE_BY_ONE: each tile read from the service.<br/>
AUTO: the first of these that service and site allow.</p>
"""

EXPORT_CACHE_HELP = f"""
<p>Copies tiles of a cached map or image service, or of a cache on this computer, into a package or
cache on this computer: at chosen scales, in an area, or in an area that fits each scale. Tiles are
copied as they are, byte for byte, unless they are clipped or merged. Run again after a cancel, it
goes on where it stopped.</p>

<h3>Input parameters</h3>
<h4>Tiles of (INPUT_SERVICE)</h4>
<p>The address of a service, which ends in /MapServer or /ImageServer, or the path of a cache.</p>
<h4>Export to (TARGET)</h4>
<p>The path of a file or folder; “~” is your home. What is there already must be a cache of the same
kind: its tiles are kept, replaced or merged as OVERWRITE says.</p>
{_KINDS}
<h4>Scales (SCALES)</h4>
<p>Denominators joined by “;”, for example 500000;250000. Empty: all cached scales.</p>
{_AREAS.format(extent="Export extent (EXPORT_EXTENT)", unnamed=_REFUSED)}
{_HOW}
{_SITE}
<h4>Estimate only (ESTIMATE_ONLY)</h4>
<p>Tells tiles and size, scale by scale, and time where tiles are read one by one; copies nothing.
</p>
{_WAY}
<h4>The tiles are mine to copy (TILES_ARE_MINE)</h4>
<p>For a service that does not allow its tiles to be exported, and is left alone unless you
administer its site: you confirm that they are yours to copy. They are read one by one then, for the
service's own export stays switched off. This is kept nowhere.</p>
<h4>Draw tiles that a cache on this computer lacks (DRAW_MISSING)</h4>
<p>From what that cache is drawn from.</p>
<h4>Copy data from the server (COPY_DATA)</h4>
{_KEYWORDS}
<p>DO_NOT_COPY: the site itself writes, by its tool Export Cache, for those who administer it.
TARGET is a folder then as the server sees it, not a path of this computer, and EXPORT_TYPE is
CACHE_DATASET or a tile package: the tool writes neither MBTiles nor GeoPackages, and clips
nothing.</p>

<h3>Outputs</h3>
<h4>Cache or package (OUTPUT_CACHE)</h4>
<p>The path of what was made.</p>
<h4>Tiles in the area (TILES), new (MADE), replaced (REPLACED), not there (GAPS), failed
(FAILED)</h4>
<p>Numbers of tiles. Those that the service does not have (GAPS) are no failure. Where tiles failed
there is a warning; where none at all could be got, the algorithm fails.</p>
<h4>Size in bytes (SIZE), jobs on the site (JOBS)</h4>
<p>Of what was made, and how many it took.</p>
"""

EXPORT_CACHES_HELP = f"""
<p>Copies tiles of several cached services, one after the other, each into a package or cache of its
own below one folder. A service that fails does not stop the others; where all do, the algorithm
fails. Run again, only those are exported that are not done, or whose package is not as it was left.
</p>

<h3>Input parameters</h3>
<h4>Layers of services (LAYERS)</h4>
<p>Layers that are drawn from ArcGIS map or image services. Neither layers nor addresses: all such
layers of the project.</p>
<h4>Addresses of services (SERVICES)</h4>
<p>One in a line, in addition to the layers.</p>
<h4>Folder of the packages (FOLDER)</h4>
<p>Each package is called as its service; where two are called alike, the second gets a number.</p>
{_KINDS}
<h4>Coarsest scale (COARSEST_SCALE), finest scale (FINEST_SCALE)</h4>
<p>Denominators; cached scales of each service between them, both included, are exported.</p>
{_AREAS.format(extent="Export extent (EXPORT_EXTENT)", unnamed=_LEFT_OUT)}
{_HOW}
{_SITE}
{_WAY}
<h4>Services whose tiles are mine to copy (OWNED)</h4>
<p>Addresses, one in a line, of services that do not allow export and whose tiles you confirm to be
yours to copy. This is kept nowhere.</p>
<h4>Export again what was done before (ANEW)</h4>
<p>Also where its package lies there as it was left.</p>

<h3>Outputs</h3>
<h4>Services exported (DONE), done before (DONE_BEFORE), of which tiles are missing (INCOMPLETE),
that failed (FAILED)</h4>
<p>Numbers of services. Those of which tiles are missing have failed, too.</p>
"""

IMPORT_CACHE_HELP = f"""
<p>Puts tiles of a package or cache on this computer into another cache: one on this computer, or
that of a service whose site offers its tool ImportCache to you. Tiling scheme and tile format are
compared first; where tiles do not fit, nothing is changed and what differs is told. No scales are
added to the cache that is imported into.</p>

<h3>Input parameters</h3>
<h4>Import into (INPUT_SERVICE)</h4>
<p>The path of a cache or package, or the address of a service.</p>
<h4>Tiles of (SOURCE_CACHE)</h4>
<p>The path of a package or cache.</p>
<h4>Scales (SCALES)</h4>
<p>Denominators joined by “;”. Empty: all cached scales of the cache that is imported into.</p>
{_AREAS.format(extent="Import extent (IMPORT_EXTENT)", unnamed=_REFUSED)}
{_HOW}
{_SITE}
<h4>Upload the package to the site (UPLOAD_DATA)</h4>
<p>For a service. If not, SOURCE_CACHE is a path that the server sees.</p>

<h3>Outputs</h3>
<h4>Tiles in the area (TILES), new (MADE), replaced (REPLACED), failed
(FAILED)</h4>
<p>Numbers of tiles, as far as they are known.</p>
"""
