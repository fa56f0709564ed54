"""Help texts of the algorithms, as Processing shows them."""

from __future__ import annotations

MANAGE_TILES_HELP = """
<p>Updates a tile cache: makes the missing tiles, makes all tiles anew, or deletes tiles, at the
scales you name, inside the area you give.</p>
<p>The cache of an ArcGIS map or image service is updated by its site; this algorithm asks for it
and, if you like, waits for the end. A cache in a folder or package on this computer is updated
here, drawn from your project or another source. What is made stays when you cancel: run it again to
make the rest.</p>

<h3>Input parameters</h3>
<h4>Cache (INPUT_SERVICE)</h4>
<p>The address of a map or image service, for example
https://gis.example.com/arcgis/rest/services/Basemaps/Streets/MapServer, or the path of a cache: its
folder, its conf.xml, or a .tpkx, .tpk, .mbtiles or .gpkg file.</p>
<h4>Scales (SCALES)</h4>
<p>Denominators joined by “;”, for example 500000;250000;125000. Each is matched to the scale of
the cache that differs by no more than 0.1 %. Digits may stand in groups of three: 25.000, 25,000,
25'000 and 25 000 are all 25000. Empty: all scales that are cached.</p>
<h4>Update mode (UPDATE_MODE)</h4>
<p>One of these keywords, not its number in the list:<br/>
RECREATE_EMPTY_TILES makes the tiles that do not exist and leaves the others as they are.<br/>
RECREATE_ALL_TILES makes all tiles, those that exist are replaced.<br/>
DELETE_TILES deletes the tiles.</p>
<h4>Area of interest (AREA_OF_INTEREST)</h4>
<p>A layer of polygons in any CRS. Every tile that the polygons touch is updated. Wins where an
extent is given too. Neither: the full extent of the cache. A layer or selection that turns out to
be empty is refused, and never taken for the full extent; so is an empty text: leave out what is not
meant.</p>
<h4>Update extent (UPDATE_EXTENT)</h4>
<p>A rectangle, as QGIS writes extents: xmin,xmax,ymin,ymax [EPSG:code]. In degrees, an xmin above
xmax means an extent that crosses the antimeridian. Without a code, the
numbers are in the CRS of the project; without a project, or where that has no CRS, in the CRS of
the cache.</p>
<h4>Areas by scale (AREA_RULES)</h4>
<p>A file of rules, as the dialog saves them: an area for each range of scales. In place of area of
interest and extent, not beside them. A scale that you name and no rule holds is refused; a layer
that is not in the project is opened from where it was. A rule for what the map canvas shows is
refused here.</p>
<p>Labels are placed anew in each block of up to 2048 pixels, so a name may appear once in each
block that its feature reaches into. After a change of style, old and new labels meet at the rim
of the area: take the area a bit larger than what has changed, or the whole cache.</p>

<h3>For a cache on this computer</h3>
<h4>Draw from (SOURCE)</h4>
<p>What the tiles are drawn from:<br/>
project is the visible layers of the project.<br/>
theme:NAME is a map theme of the project.<br/>
layers:ID,ID are layers of the project, by their ids.<br/>
Anything else is a path: a project file (.qgs, .qgz), a raster file, or another cache.<br/>
Empty: what the cache remembers to be drawn from; where that is nothing, the project.
For qgis_process, name the project with --PROJECT_PATH.</p>
<h4>Only tiles that exist already (ONLY_EXISTING)</h4>
<p>Leaves gaps as they are.</p>
<h4>Only tiles stored before (OLDER_THAN)</h4>
<p>A date and time, for example 2026-01-31T18:00:00: tiles that were stored later stay as they
are.</p>
<h4>Dask scheduler (CLUSTER)</h4>
<p>The address of a Dask scheduler, for example tcp://192.168.1.10:8786: its workers, on this and
other computers, draw the tiles, bundle by bundle, into a cache that lies in a folder which all of
them share. The page resources/docs/cluster.md of the plugin tells how to start them. Empty: this
computer draws. Tiles are deleted by this computer in any case.</p>
<h4>What to start from (RESUME)</h4>
<p>AUTO goes on where an interrupted run of just this update left off, else begins anew.<br/>
NEW begins anew.<br/>
CONTINUE goes on with the interrupted run of just this update, and fails where there is none.<br/>
FAILED makes only the tiles that failed in the last run.</p>

<h3>For a service</h3>
<h4>Wait for the job (WAIT)</h4>
<p>WAIT follows the job to its end. DO_NOT_WAIT ends as soon as the site has accepted the job,
which goes on there; its address is in the log and in JOB_URL. “Manage job” follows it, reports how
it stands, or cancels it; so does the list of jobs in the dialog.</p>
<h4>Sign-in (AUTH_CONFIG)</h4>
<p>A configuration of QGIS's authentication database of somebody who may manage the site's caches:
user name and password (Basic), Esri token, OAuth2, or a certificate (PKI).</p>
<h4>Number of caching instances (NUM_OF_INSTANCES)</h4>
<p>How many instances of the site's caching service work on the job; -1 leaves this to the
site.</p>
<h4>Portal that the site belongs to (PORTAL_URL)</h4>
<p>For a site of an ArcGIS Enterprise portal: the portal's address, for example
https://gis.example.com/portal. The sign-in is then sent to that portal.</p>
<h4>Hosted layer: merge new tiles into the bundles that exist (MERGE_BUNDLES)</h4>
<p>Hosted tile layers are updated by whole bundles of 128 x 128 tiles. Without this, each bundle
that the area touches is written anew. With it, missing tiles are added to the bundles.</p>
<h4>Hosted layer: replace tiles that exist when merging (REPLACE_TILES)</h4>
<p>With MERGE_BUNDLES: tiles that exist are replaced, too.</p>
<h4>Find the bundles that make a job fail (ISOLATE_FAILURES)</h4>
<p>A job that fails on the site is asked for again in smaller and smaller parts, until what fails is
found to the bundle of tiles and listed; everything else is made.</p>
<h4>Warn when no tile has come for (ALARM_MINUTES)</h4>
<p>After so many minutes without a tile more, a warning says how fast the job was and what to look
at.</p>

<h3>Outputs</h3>
<h4>Updated cache (OUTPUT_URL)</h4>
<p>The address of the updated service, or the path of the cache.</p>
<h4>Job (JOB_ID), address of the job (JOB_URL)</h4>
<p>The job's id on the site, and where it can be looked at; empty for a cache on this computer.</p>
<h4>Tiles in the area (TILES)</h4>
<p>How many tiles the area touches at these scales.</p>
<h4>Tiles made or replaced (MADE), deleted (DELETED), that failed (FAILED)</h4>
<p>What came of them, as far as the site tells.</p>
"""

CREATE_CACHE_HELP = """
<p>Creates an empty tile cache on this computer and remembers what it is to be drawn from. Fill it
with “Manage cache tiles”, as a whole or area by area.</p>

<h3>Input parameters</h3>
<h4>New cache (TARGET)</h4>
<p>The path of a folder that does not exist yet or is empty, or of a .tpkx, .tpk, .mbtiles or .gpkg
file that does not exist yet.</p>
<h4>Storage format (STORAGE_FORMAT)</h4>
<p>COMPACT_V2 is ArcGIS's compact cache, a folder with bundles.<br/>
COMPACT_V1 is the same as ArcGIS 10.0 to 10.2 made it, for old readers.<br/>
EXPLODED is a folder with a file for each tile.<br/>
TPKX is ArcGIS's tile package, a .tpkx file.<br/>
TPK is that of ArcGIS 10, a .tpk file, for old readers.<br/>
MBTILES is an .mbtiles file; it holds Web Mercator tiles at the standard scales only.<br/>
GPKG is a GeoPackage, a .gpkg file; its scales have to divide each other's tiles evenly, and its CRS
has to have a code.<br/>
Empty: by the ending of the name, else COMPACT_V2.</p>
<h4>Tiling scheme (TILING_SCHEME)</h4>
<p>WEB_MERCATOR is that of ArcGIS Online and other web maps.<br/>
WGS84 is longitude and latitude.<br/>
PROJECT has the CRS of the project.<br/>
Anything else is the path of a cache, a conf.xml or a root.json, or the address of a cached service,
whose tiling scheme is taken.</p>
<h4>Scales (SCALES)</h4>
<p>Denominators joined by “;”, for example 500000;250000;125000. Digits may stand in groups of
three: 25.000, 25,000, 25'000 and 25 000 are all 25000. Empty: all scales of the tiling scheme.</p>
<h4>Tile format (TILE_FORMAT)</h4>
<p>PNG takes the smallest of the following kinds that loses nothing, tile by tile.<br/>
PNG8 has 256 colours, PNG24 no transparency, PNG32 transparency.<br/>
JPEG is smaller for photographs, without transparency.<br/>
MIXED is JPEG where a tile is opaque, PNG32 elsewhere. As EXPLODED, it has .png and .jpg files side
by side, of which MapProxy reads one kind only.</p>
<p>QGIS with a GDAL before 3.8 shows PNG8, and the tiles of PNG that have a palette, in grey.</p>
<h4>Compression quality (COMPRESSION_QUALITY)</h4>
<p>Of JPEG and MIXED, from 0 to 100.</p>
<h4>Tile size (TILE_SIZE)</h4>
<p>256 or 512 pixels. QGIS with a GDAL before 3.9.1 ends at once when a compact cache of 512
pixels is put on its map.</p>
<h4>Dots per inch (DPI)</h4>
<p>The resolution at which symbols and labels are drawn; scales are counted with it.</p>
<h4>Draw from (SOURCE)</h4>
<p>What the cache is to be drawn from, which is remembered:<br/>
project is the visible layers of the project.<br/>
theme:NAME is a map theme of the project.<br/>
layers:ID,ID are layers of the project, by their ids.<br/>
Anything else is a path: a project file (.qgs, .qgz), a raster file, or another cache.<br/>
Empty: as project, which is the one that is open when tiles are made.</p>
<h4>Background colour (BACKGROUND)</h4>
<p>What is seen where the source draws nothing. Empty: nothing, where the tile format has
transparency, else the background of the project.</p>
<h4>Sign-in (AUTH_CONFIG)</h4>
<p>A configuration of QGIS's authentication database, for a service that TILING_SCHEME names and
that wants a sign-in.</p>
<h4>Portal that the site of that service belongs to (PORTAL_URL)</h4>
<p>For a site of an ArcGIS Enterprise portal: the portal's address, for example
https://gis.example.com/portal. The sign-in may then be sent to that portal.</p>

<h3>Outputs</h3>
<h4>Cache (OUTPUT_CACHE)</h4>
<p>The path of the new cache. QGIS gives it as TARGET as well.</p>
<h4>Number of scales (LEVELS)</h4>
<p>How many scales it has.</p>
"""

VERIFY_CACHE_HELP = """
<p>Checks a tile cache on this computer: reads every tile and everything that leads to it, and tells
what is wrong. Faults are told as warnings and counted; the algorithm itself does not fail
because of them.</p>

<h3>Input parameters</h3>
<h4>Cache (INPUT_CACHE)</h4>
<p>The path of a cache: its folder, its conf.xml, or a .tpkx, .tpk, .mbtiles or .gpkg file.</p>
<h4>Repair what can be repaired (MEND)</h4>
<p>Writes damaged headers anew and drops tiles that are no whole pictures, so that they count as
missing; sets files aside that cannot be read at all, under names that end in .damaged. Make the
missing tiles again with “Manage cache tiles” and RECREATE_EMPTY_TILES.</p>

<h3>Outputs</h3>
<h4>Tiles checked (TILES)</h4>
<p>How many tiles were read.</p>
<h4>Faults found (FAULTS)</h4>
<p>How many faults there were.</p>
<h4>Faults mended (MENDED)</h4>
<p>How many of them were put right.</p>
"""

DEFRAGMENT_CACHE_HELP = """
<p>Makes a tile cache on this computer smaller. Where tiles were replaced or deleted, the old ones
still take up room in the files of a compact cache or package. Files with such holes are
written anew, then put in place of the old ones; programs that read the old ones at that moment go
on undisturbed.</p>

<h3>Input parameters</h3>
<h4>Cache (INPUT_CACHE)</h4>
<p>The path of a cache: its folder, its conf.xml, or a .tpkx, .tpk, .mbtiles or .gpkg file.</p>
<h4>Least share of holes (LEAST_SHARE)</h4>
<p>In percent: files of which less is unused stay as they are. 0: all files with holes are written
anew.</p>

<h3>Outputs</h3>
<h4>Files written anew (FILES)</h4>
<p>How many files were written anew, or removed since no tile was left in them.</p>
<h4>Bytes won (BYTES_WON)</h4>
<p>By how much the cache is smaller.</p>
"""
