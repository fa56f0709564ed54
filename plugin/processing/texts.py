"""Help texts of the algorithms, as Processing shows them."""

from __future__ import annotations

MANAGE_TILES_HELP = """
<p>Updates the tile cache of an ArcGIS map or image service: makes the
missing tiles, makes all tiles anew, or deletes tiles, at the scales you name, inside the area you
give. The site does the work; this algorithm asks for it and, if you like, waits for the end. What
is made stays when you cancel: run again with RECREATE_EMPTY_TILES to make the rest.</p>

<h3>Input parameters</h3>
<h4>Address of the map or image service (INPUT_SERVICE)</h4>
<p>For example https://gis.example.com/arcgis/rest/services/Basemaps/Streets/MapServer</p>
<h4>Scales (SCALES)</h4>
<p>Denominators joined by “;”, for example 500000;250000;125000. Each is matched to the scale of
the service that differs by no more than 0.1 %. Empty: all scales that the service caches.</p>
<h4>Update mode (UPDATE_MODE)</h4>
<p>One of these keywords, not its number in the list:<br/>
RECREATE_EMPTY_TILES makes the tiles that do not exist and leaves the others as they are.<br/>
RECREATE_ALL_TILES makes all tiles, those that exist are replaced.<br/>
DELETE_TILES deletes the tiles.</p>
<h4>Area of interest (AREA_OF_INTEREST)</h4>
<p>A layer of polygons in any CRS. Every tile that the polygons touch is updated. Wins where an
extent is given too. Neither: the full extent of the cache. A layer or selection that turns out to
be empty is refused, and never taken for the full extent.</p>
<h4>Update extent (UPDATE_EXTENT)</h4>
<p>A rectangle, as QGIS writes extents: xmin,xmax,ymin,ymax [EPSG:code]. In degrees, an xmin above
xmax means an extent that crosses the antimeridian. Without a code, the
numbers are in the CRS of the project; without a project, or where that has no CRS, in the CRS of
the service.</p>
<h4>Wait for the job (WAIT)</h4>
<p>WAIT follows the job to its end. DO_NOT_WAIT ends as soon as the site has accepted the job,
which goes on there; its address is in the log.</p>
<h4>Sign-in (AUTH_CONFIG)</h4>
<p>A configuration of QGIS's authentication database with the user name and password of somebody
who may manage the site's caches.</p>
<h4>Number of caching instances (NUM_OF_INSTANCES)</h4>
<p>How many instances of the site's caching service work on the job; -1 leaves this to the
site.</p>
<h4>Portal that the site belongs to (PORTAL_URL)</h4>
<p>For a site of an ArcGIS Enterprise portal: the portal's address, for example
https://gis.example.com/portal. The sign-in is then sent to that portal.</p>

<h3>Outputs</h3>
<h4>Updated service (OUTPUT_URL)</h4>
<p>The address of the updated service.</p>
<h4>Job (JOB_ID)</h4>
<p>The job's id on the site.</p>
<h4>Tiles in the area (TILES)</h4>
<p>How many tiles the area touches at these scales.</p>
"""
