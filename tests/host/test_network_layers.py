"""Layers that are fetched over the network: a server that fails must not empty good tiles."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pytest
from drawn_tiles import Beats, drawn, in_thread, mosaic, pixels, profile_of, project_of, supertile
from qgis.core import (
    QgsDataSourceUri,
    QgsMapRendererSequentialJob,
    QgsMapSettings,
    QgsNetworkAccessManager,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
    QgsVectorTileLayer,
)
from qgis.PyQt.QtCore import QBuffer, QByteArray, QIODevice, QSize
from qgis.PyQt.QtGui import QColor, QImage

from tile_cache_manager.plugin.core.errors import LayerFailed
from tile_cache_manager.plugin.core.schemes import web_mercator
from tile_cache_manager.plugin.core.storage.sidecar import CacheSettings
from tile_cache_manager.plugin.host.layer_checks import has_features
from tile_cache_manager.plugin.host.network_layers import forget_failure
from tile_cache_manager.plugin.host.network_watch import hearing
from tile_cache_manager.plugin.host.sources import make_source
from tile_cache_manager.plugin.host.tile_encoder import pixels_of

pytestmark = pytest.mark.usefixtures("qgis_app")

LEVEL = web_mercator(finest=3).levels[2]
WHOLE = supertile(LEVEL, (0, 3), (0, 3))
HALVES = [supertile(LEVEL, (0, 3), (0, 1)), supertile(LEVEL, (0, 3), (2, 3))]
SILENCE = 0.2
"""Seconds for which QGIS's own thread may not get its turn."""


def picture(colour: str) -> bytes:
    image = QImage(256, 256, QImage.Format.Format_ARGB32)
    image.fill(QColor(colour))
    content, buffer = QByteArray(), QBuffer()
    buffer.setBuffer(content)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")
    return bytes(content)


class MapServer(ThreadingHTTPServer):
    """Answers with what `answer` gives for a path: status, type and body."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[str], tuple[int, str, bytes]] = lambda path: ok()
        self.asked: list[str] = []
        self.held = threading.Event()
        self.held.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append(self.path)
        server.held.wait(10)
        status, kind, body = server.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # who asked has gone
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def ok(colour: str = "#336699") -> tuple[int, str, bytes]:
    return 200, "image/png", picture(colour)


def status(code: int) -> Callable[[str], tuple[int, str, bytes]]:
    return lambda path: (code, "text/plain", b"" if code == 204 else b"secret=no")


@pytest.fixture
def server() -> Iterator[MapServer]:
    with MapServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.held.set()
        server.shutdown()
        thread.join()


COUNT = iter(range(1000))


def source_text(**parameters: str) -> str:
    """The source of a layer, written as QGIS does."""
    uri = QgsDataSourceUri()
    for key, value in parameters.items():
        uri.setParam(key, value)
    return bytes(uri.encodedUri()).decode()


def xyz(url: str, name: str = "base map") -> QgsRasterLayer:
    """A layer of pictures in tiles, at an address that no test has asked before."""
    address = f"{url}/maps{next(COUNT)}/{{z}}/{{x}}/{{y}}.png?token=secret"
    source = source_text(type="xyz", url=address, zmin="0", zmax="6")
    layer = QgsRasterLayer(source, name, "wms")
    assert layer.isValid()
    return layer


def vector_tiles(url: str, name: str = "base map") -> QgsVectorTileLayer:
    address = f"{url}/vectors{next(COUNT)}/{{z}}/{{x}}/{{y}}.pbf"
    layer = QgsVectorTileLayer(source_text(type="xyz", url=address, zmin="0", zmax="6"), name)
    assert layer.isValid()
    return layer


def unused_url() -> str:
    """Where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def source_of(project: QgsProject):
    return make_source("", project, CacheSettings())


def tiles_of(*layers: Any, parts: Any = (WHOLE,)) -> dict:
    with project_of(*layers) as project:
        return drawn(source_of(project), profile_of(), *parts)


def failure_of(*layers: Any) -> LayerFailed:
    with pytest.raises(LayerFailed) as caught:
        tiles_of(*layers)
    assert "secret" not in str(caught.value)
    assert "/maps" not in str(caught.value)
    return caught.value


KINDS = [xyz, vector_tiles]
FAILURES = [(503, "503"), (500, "500"), (403, "403"), (401, "401"), (429, "429")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("code", "said"), FAILURES)
def test_a_server_that_fails_fails_the_tiles(server: MapServer, kind, code: int, said) -> None:
    server.answer = status(code)

    error = failure_of(kind(server.url))

    assert error.name == "base map"
    assert said in error.detail
    assert server.asked


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there(kind) -> None:
    error = failure_of(kind(unused_url()))

    assert (error.name, error.detail) == ("base map", "127.0.0.1: Connection refused")


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_does_not_answer(server: MapServer, kind) -> None:
    server.held.clear()
    usual = QgsNetworkAccessManager.timeout()
    QgsNetworkAccessManager.setTimeout(300)
    try:
        error = failure_of(kind(server.url))
    finally:
        QgsNetworkAccessManager.setTimeout(usual)

    assert error.detail == "127.0.0.1: no answer in time"


@pytest.mark.parametrize("code", [404, 410, 204])
@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_that_the_server_does_not_have_is_a_gap(server: MapServer, kind, code: int) -> None:
    server.answer = status(code)

    tiles = tiles_of(kind(server.url))

    assert len(tiles) == 16
    assert not mosaic(tiles).any()
    assert server.asked


def test_a_page_in_place_of_a_picture_fails(server: MapServer) -> None:
    server.answer = lambda path: (200, "text/html; charset=utf-8", b"<html>Sign in</html>")

    assert failure_of(xyz(server.url)).detail == "127.0.0.1: no picture but text/html"


def test_one_tile_that_fails_fails_the_supertile_of_it_alone(server: MapServer) -> None:
    # drawn at the same time: who listens hears of both, so each is drawn again by itself
    server.answer = lambda path: status(500)(path) if "/2/0/1.png" in path else ok()
    ends: dict[int, object] = {}
    with project_of(xyz(server.url)) as project:
        source = source_of(project)
        source.workers = 2

        def draw(number: int) -> None:
            try:
                ends[number] = source.draw(HALVES[number], lambda: False)
            except LayerFailed as error:
                ends[number] = error

        def draw_both() -> None:
            source.start(profile_of())
            threads = [threading.Thread(target=draw, args=(number,)) for number in (0, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            source.close()

        in_thread(draw_both)

    assert isinstance(ends[0], LayerFailed)
    assert len(ends[1]) == 8
    assert all((pixels(tile)[..., 3] == 255).all() for tile in ends[1].values())


def test_the_layer_that_failed_is_named(server: MapServer) -> None:
    server.answer = lambda path: status(503)(path) if path.startswith(bad_path) else ok()
    layers = [xyz(server.url, name) for name in ("streets", "relief", "names")]
    bad_path = re.search("/maps[0-9]+/", unquote(layers[1].source())).group()

    assert failure_of(*layers).name == "relief"


def test_layers_of_a_group_are_watched_too(server: MapServer) -> None:
    qgis_core = pytest.importorskip("qgis.core")
    if not hasattr(qgis_core, "QgsGroupLayer"):
        pytest.skip("groups are layers since QGIS 3.24")
    server.answer = status(503)
    layer = xyz(server.url, "in a group")
    with project_of() as project:
        project.addMapLayer(layer, False)
        group = project.layerTreeRoot().addGroup("group")
        group.addLayer(layer)
        options = qgis_core.QgsGroupLayer.LayerOptions(project.transformContext())
        project.addMapLayer(group.convertToGroupLayer(options), False)
        with pytest.raises(LayerFailed) as caught:
            drawn(source_of(project), profile_of(), WHOLE)

    assert caught.value.name == "in a group"


def test_what_others_fetch_does_not_matter(server: MapServer) -> None:
    server.answer = lambda path: status(500)(path) if "other" in path else ok()
    manager = QgsNetworkAccessManager.instance()
    from qgis.PyQt.QtCore import QUrl
    from qgis.PyQt.QtNetwork import QNetworkRequest

    with project_of(xyz(server.url)) as project:
        reply = manager.get(QNetworkRequest(QUrl(f"{server.url}/other/2/0/0.png")))
        tiles = drawn(source_of(project), profile_of(), WHOLE)
        assert reply.isFinished()

    assert len(tiles) == 16


def test_the_next_try_is_free_of_the_failure(server: MapServer) -> None:
    server.answer = status(503)
    outcomes: list[object] = []
    with project_of(xyz(server.url)) as project:
        source = source_of(project)

        def draw() -> None:
            source.start(profile_of())
            for answer in (status(503), lambda path: ok()):
                server.answer = answer
                try:
                    outcomes.append(source.draw(WHOLE, lambda: False))
                except LayerFailed as error:
                    outcomes.append(error.name)
            source.close()

        in_thread(draw)

    assert outcomes[0] == "base map"
    assert len(outcomes[1]) == 16


def test_pictures_are_those_of_qgis(server: MapServer) -> None:
    def coloured(path: str) -> tuple[int, str, bytes]:
        x, y = urlsplit(path).path.split("/")[-2:]
        return ok(f"#{60 * int(x):02x}{60 * int(y[0]):02x}80")

    server.answer = coloured
    layer = xyz(server.url)
    with project_of(layer) as project:
        tiles = drawn(source_of(project), profile_of(), WHOLE)
        settings = QgsMapSettings()
        settings.setLayers([layer])
        settings.setDestinationCrs(project.crs())
        half = 20037508.342789244
        settings.setExtent(QgsRectangle(-half, -half, half, half))
        settings.setOutputSize(QSize(1024, 1024))
        settings.setOutputDpi(96)
        settings.setBackgroundColor(QColor(0, 0, 0, 0))
        job = QgsMapRendererSequentialJob(settings)
        job.start()
        job.waitForFinished()
        wanted = pixels_of(job.renderedImage())

    assert (mosaic(tiles) == wanted).all()
    assert len(np.unique(wanted.reshape(-1, 4), axis=0)) == 16


# WMS, WFS

CAPABILITIES = """<WMS_Capabilities version="1.3.0" xmlns="http://www.opengis.net/wms"
 xmlns:xlink="http://www.w3.org/1999/xlink"><Service><Name>WMS</Name><Title>t</Title></Service>
<Capability><Request><GetCapabilities><Format>text/xml</Format></GetCapabilities><GetMap>
<Format>image/png</Format><DCPType><HTTP><Get><OnlineResource xlink:href="{url}/elsewhere?"/></Get>
</HTTP></DCPType></GetMap></Request><Layer><Title>all</Title><CRS>EPSG:3857</CRS>
<BoundingBox CRS="EPSG:3857" minx="-20037508" miny="-20037508" maxx="20037508" maxy="20037508"/>
<Layer><Name>roads</Name><Title>roads</Title></Layer>
<Layer><Name>lakes</Name><Title>lakes</Title></Layer></Layer></Capability></WMS_Capabilities>"""

XML = "text/xml"


def wms(server: MapServer, part: str) -> QgsRasterLayer:
    address = f"{server.url}/wms{next(COUNT)}"
    source = source_text(crs="EPSG:3857", format="image/png", layers=part, styles="", url=address)
    layer = QgsRasterLayer(source, f"our {part}", "wms")
    assert layer.isValid()
    return layer


WMS_FAILURES = [
    (503, "text/plain", "503 Service Unavailable"),
    (404, "text/plain", "404 Not Found"),
    (204, "image/png", "no picture"),
    (200, "text/xml", "no picture but text/xml"),
]


@pytest.mark.parametrize(("code", "kind", "said"), WMS_FAILURES)
def test_any_failure_of_a_wms_counts_and_its_layer_is_named(
    server: MapServer, code: int, kind: str, said: str
) -> None:
    # the capabilities send requests to another address than that of the source
    def answer(path: str) -> tuple[int, str, bytes]:
        asked = {key.lower(): values for key, values in parse_qs(urlsplit(path).query).items()}
        if asked["request"] == ["GetCapabilities"]:
            return 200, XML, CAPABILITIES.format(url=server.url).encode()
        return (code, kind, b"") if asked["layers"] == ["lakes"] else ok()

    server.answer = answer

    error = failure_of(wms(server, "roads"), wms(server, "lakes"))

    assert (error.name, error.detail) == ("our lakes", f"127.0.0.1: {said}")
    assert any(path.startswith("/elsewhere") for path in server.asked)


WFS_CAPABILITIES = """<wfs:WFS_Capabilities version="1.0.0" xmlns:wfs="http://www.opengis.net/wfs">
<wfs:Service/><wfs:Capability><wfs:Request><wfs:GetFeature><wfs:ResultFormat><wfs:GML2/>
</wfs:ResultFormat></wfs:GetFeature></wfs:Request></wfs:Capability><wfs:FeatureTypeList>
<wfs:FeatureType><wfs:Name>towns</wfs:Name><wfs:Title>t</wfs:Title><wfs:SRS>EPSG:4326</wfs:SRS>
<wfs:LatLongBoundingBox minx="-180" miny="-90" maxx="180" maxy="90"/></wfs:FeatureType>
</wfs:FeatureTypeList></wfs:WFS_Capabilities>"""
WFS_SCHEMA = """<xsd:schema xmlns:my="http://my" xmlns:gml="http://www.opengis.net/gml"
 xmlns:xsd="http://www.w3.org/2001/XMLSchema" targetNamespace="http://my">
<xsd:complexType name="townsType"><xsd:complexContent><xsd:extension
 base="gml:AbstractFeatureType"><xsd:sequence><xsd:element name="geom"
 type="gml:PointPropertyType"/><xsd:element name="n" type="xsd:int"/></xsd:sequence>
</xsd:extension></xsd:complexContent></xsd:complexType>
<xsd:element name="towns" type="my:townsType" substitutionGroup="gml:_Feature"/></xsd:schema>"""


TOWNS = """<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs" xmlns:my="http://my"
 xmlns:gml="http://www.opengis.net/gml"><gml:featureMember><my:towns fid="towns.1"><my:geom>
<gml:Point srsName="EPSG:4326"><gml:coordinates>20,20</gml:coordinates></gml:Point></my:geom>
<my:n>1</my:n></my:towns></gml:featureMember></wfs:FeatureCollection>"""


def wfs(server: MapServer, *, is_whole: bool = False) -> QgsVectorLayer:
    """Towns, asked for where they are drawn or, if `is_whole`, all at once."""
    part = "" if is_whole else " restrictToRequestBBOX='1'"
    address = f"{server.url}/wfs{next(COUNT)}"
    source = f"typename='towns' srsname='EPSG:4326' version='1.0.0' url='{address}'{part}"
    layer = QgsVectorLayer(source, "our towns", "WFS")
    assert layer.isValid()
    return layer


def wfs_answer(path: str) -> tuple[int, str, bytes]:
    request = parse_qs(urlsplit(path).query)["REQUEST"][0]
    texts = {"GetCapabilities": WFS_CAPABILITIES, "DescribeFeatureType": WFS_SCHEMA}
    return 200, XML, texts.get(request, TOWNS).encode()


def without_features(path: str) -> tuple[int, str, bytes]:
    return status(503)(path) if "GetFeature" in path else wfs_answer(path)


@pytest.mark.parametrize("is_whole", [True, False])
def test_a_wfs_that_has_failed_before_is_not_drawn(server: MapServer, is_whole: bool) -> None:
    server.answer = without_features

    error = failure_of(wfs(server, is_whole=is_whole))

    assert (error.name, error.detail) == ("our towns", "127.0.0.1: 503 Service Unavailable")


def test_features_that_are_there_already_are_drawn(server: MapServer) -> None:
    server.answer = wfs_answer
    with project_of(wfs(server)) as project:
        source = source_of(project)
        tiles: dict = {}

        def draw() -> None:
            source.start(profile_of())
            server.answer = without_features
            tiles.update(source.draw(WHOLE, lambda: False))
            source.close()

        in_thread(draw)

    assert mosaic(tiles).any()


def test_a_wfs_that_is_back_is_asked_again(server: MapServer) -> None:
    server.answer = without_features
    layer = wfs(server)
    assert not has_features(layer)
    server.answer = wfs_answer

    assert not has_features(layer), "QGIS asks again itself"
    forget_failure(layer)
    assert has_features(layer)


# Threads


@pytest.mark.parametrize("kind", KINDS)
def test_cancelling_does_not_wait_for_a_server(server: MapServer, kind) -> None:
    server.held.clear()
    asked = threading.Event()
    ended = 0.0
    with project_of(kind(server.url)) as project:
        source = source_of(project)

        def draw() -> None:
            nonlocal ended
            source.start(profile_of())
            threading.Timer(0.2, asked.set).start()
            assert source.draw(WHOLE, asked.is_set) == {}
            ended = time.monotonic()
            source.close()

        start = time.monotonic()
        in_thread(draw)

    assert server.asked
    assert ended - start < 1.0


def test_the_main_thread_goes_on_while_a_server_is_slow(server: MapServer) -> None:
    server.held.clear()
    release = threading.Timer(3 * SILENCE, server.held.set)
    with project_of(xyz(server.url)) as project:
        beats = Beats()
        release.start()
        tiles = drawn(source_of(project), profile_of(), WHOLE)

    assert len(tiles) == 16
    assert beats.longest < SILENCE
    assert beats.count > 20


@contextmanager
def working(work: Callable[[], None]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fails", [True, False])
def test_a_main_thread_without_events_hears_when_it_asks(server: MapServer, kind, fails) -> None:
    # as in qgis_process: the main thread waits, and only asks whether it was cancelled
    server.answer = status(503 if fails else 404)
    ends: list[object] = []
    with project_of(kind(server.url)) as project:
        source = source_of(project)

        def draw() -> None:
            source.start(profile_of())
            try:
                ends.append(len(source.draw(WHOLE, lambda: False)))
            except LayerFailed as error:
                ends.append(error.name)

        cancelled = hearing(lambda: False)
        with working(draw) as thread:
            end = time.monotonic() + 10
            while thread.is_alive() and time.monotonic() < end:
                assert not cancelled()
                thread.join(0.05)
        source.close()

    assert ends == ["base map" if fails else 16]
