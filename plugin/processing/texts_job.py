"""Help text of the algorithm for jobs on sites, as Processing shows it."""

from __future__ import annotations

MANAGE_JOB_HELP = """
<p>Looks after an update that an ArcGIS site carries out, by the address of its job: one that was
not waited for, or that was left to the site when QGIS was closed. Updates that were begun with this
QGIS profile are in its record, with all that belongs to them; of any other job its address is
enough.</p>

<h3>Input parameters</h3>
<h4>Job (INPUT_JOB)</h4>
<p>The address of the job, as the update told it, and as “Copy Address” in the list of jobs gives
it.</p>
<h4>What to do (ACTION)</h4>
<p>One of these keywords, not its number in the list:<br/>
REPORT tells how it stands and changes nothing.<br/>
FOLLOW waits for its end; what the site was not asked for yet is asked for. Cancelling the algorithm
meanwhile cancels the job.<br/>
CANCEL cancels it; the tiles that are made stay.<br/>
RESUME_JOB goes on with a job that was cancelled.<br/>
FIX_JOB does again what failed in it.<br/>
COMPLETE_JOB does what is left of it.<br/>
The last three depend on what the site offers.</p>
<h4>Wait for a job that is taken up (WAIT)</h4>
<p>WAIT follows it to its end, DO_NOT_WAIT ends as soon as the site has accepted it.</p>
<h4>Sign-in (AUTH_CONFIG)</h4>
<p>A configuration of QGIS's authentication database. Empty: the one that the update was begun with,
where the record knows it.</p>
<h4>Portal that the site belongs to (PORTAL_URL)</h4>
<p>For a site of an ArcGIS Enterprise portal: the portal's address, for example
https://gis.example.com/portal. The sign-in may then be sent to that portal.</p>

<h3>Outputs</h3>
<h4>State (STATE)</h4>
<p>RUNNING, DONE, PARTIAL, CANCELLED, FAILED, LOST (the site does not know it any more), WAITING
(the site was not asked yet), or UNCLEAR (the site's answer was lost).</p>
<h4>Percent done (PERCENT), address of the job (JOB_URL), updated cache (OUTPUT_URL)</h4>
<p>As far as the site tells.</p>
"""
