"""Esri's own Python client in conversation: a call per line of JSON in, its answer per line out.

Run by .venv-esri's Python. A line holds ``call``, the name of a function below, and its values;
the answer holds ``answer``, or ``error`` with the last lines of what the client raised.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
import warnings
from typing import Any

import urllib3
from arcgis import env
from arcgis.geometry import Polygon
from arcgis.gis import GIS
from arcgis.gis._impl._con import Connection
from arcgis.gis.server import Server
from arcgis.gis.server.admin._services import JobManager
from arcgis.layers import MapImageLayer
from arcgis.raster import ImageryLayer

_POLL_SECONDS = 0.1
_sleep = time.sleep
_signed_in: dict[str, Any] = {}
_managers: dict[tuple[int, str], Any] = {}


def _sleep_less(seconds: float) -> None:
    """The client waits for seconds between its looks at a job: most of a test's time."""
    _sleep(min(seconds, _POLL_SECONDS))


def sign_in(name: str, url: str, **how: str) -> dict[str, Any]:
    """Sign in at a portal, and keep that as ``name``."""
    gis = GIS(url, verify_cert=False, **how)
    _signed_in[name] = gis
    user = gis.users.me
    return {
        "user": user.username if user else None,
        "is_online": bool(gis._is_arcgisonline),
        "way": gis._con._auth,
    }


def connect(name: str, url: str, username: str, password: str) -> dict[str, Any]:
    """Sign in at a server that stands alone, and keep that as ``name``."""
    connection = Connection(url, username, password, all_ssl=False, verify_cert=False)
    _signed_in[name] = connection
    return {"product": connection._product, "way": connection._auth}


def connect_by_portal(name: str, url: str, portal: str) -> dict[str, Any]:
    """Sign in at a federated server with what the portal gives for it; ``portal``: a name."""
    connection = Connection(
        url,
        portal_connection=_signed_in[portal],
        product="SERVER",
        all_ssl=False,
        verify_cert=False,
    )
    _signed_in[name] = connection
    return {"product": connection._product, "way": connection._auth}


def read(name: str, url: str) -> Any:
    """Read any resource."""
    gis = _signed_in[name]
    return getattr(gis, "_con", gis).get(url, {"f": "json"})


def services(url: str, username: str, password: str) -> list[str]:
    """List the services of a server by its administration."""
    server = Server(f"{url}/admin", username=username, password=password, verify_cert=False)
    return [service._url for service in server.services.list()]


def search(name: str, query: str) -> list[list[str]]:
    """Search a portal's content."""
    found = _signed_in[name].content.search(query, max_items=100)
    return [[item.title, item.type, item.url] for item in found]


def scales(name: str, url: str) -> list[float]:
    """Read the scales of a service's tiling scheme."""
    kind = ImageryLayer if url.endswith("ImageServer") else MapImageLayer
    layer = kind(url, gis=_signed_in[name])
    return [lod["scale"] for lod in layer.properties["tileInfo"]["lods"]]


def cache(name: str, url: str, method: str, rings: Any = None, **values: Any) -> Any:
    """Call a method of the manager of a server's cached service; it follows the job to its end."""
    if rings is not None:
        reference = {"wkid": 102100}
        values["area_of_interest"] = Polygon({"rings": rings, "spatialReference": reference})
    env.active_gis = _signed_in[name]  # it asks for the report as whoever signed in last
    return getattr(MapImageLayer(url, gis=_signed_in[name]).manager, method)(**values)


def hosted(name: str, url: str, method: str, **values: Any) -> Any:
    """Call a method of the manager of a hosted tile layer."""
    gis = _signed_in[name]
    if (id(gis), url) not in _managers:  # the client reads a good deal before it makes one
        _managers[id(gis), url] = MapImageLayer(url, gis=gis).manager
    return getattr(_managers[id(gis), url], method)(**values)


def resource(name: str, url: str) -> dict[str, Any]:
    """Read the administrative resource of a hosted tile layer."""
    return dict(MapImageLayer(url, gis=_signed_in[name]).manager.properties)


def imagery(name: str, url: str, method: str, **values: Any) -> Any:
    """Call a method, or read a property, of the manager of hosted imagery."""
    found = getattr(ImageryLayer(url, gis=_signed_in[name]).cache_manager, method)
    return found(**values) if callable(found) else found


def jobs(name: str, url: str, **values: str) -> list[str]:
    """Search the jobs of a geoprocessing service by its administration."""
    return [job._url for job in JobManager(url, _signed_in[name]).search(**values)]


CALLS = (
    sign_in, connect, connect_by_portal, read, services, search, scales, cache, hosted, resource,
    imagery, jobs,
)  # fmt: skip


def main() -> None:
    calls = {call.__name__: call for call in CALLS}
    answers, sys.stdout = sys.stdout, sys.stderr  # the client prints
    for line in sys.stdin:
        values = json.loads(line)
        try:
            answer = {"answer": calls[values.pop("call")](**values)}
        except Exception:
            answer = {"error": traceback.format_exc(limit=-4)}
        answers.write(json.dumps(answer, default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    time.sleep = _sleep_less
    warnings.simplefilter("ignore")
    urllib3.disable_warnings()
    main()
