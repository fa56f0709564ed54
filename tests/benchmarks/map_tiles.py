"""Pictures as tiles of street maps are: areas of a few colours with lines across, about 5 kB.

No two tiles are the same file, so that storing equal ones once gains nobody anything. The server
sends such pictures to peers that can only take tiles from one.
"""

from __future__ import annotations

import functools
import random
import re
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from made_pictures import png

PICTURES = 64
_COLOURS = np.array(
    [[170, 211, 223], [242, 239, 233], [205, 235, 176], [224, 223, 223], [173, 209, 158]], np.uint8
)
_ROADS = np.array([[232, 146, 162], [255, 255, 255]], np.uint8)
_END = struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))


@functools.cache
def picture(number: int, width: int = 256, height: int = 256) -> bytes:
    """A PNG of map-like areas and lines; the same for the same number."""
    rng = np.random.default_rng(number)
    land, roads = (_hills(rng, width, height) for _ in range(2))
    classes = np.digitize(land, (-1.2, 0.0, 0.7, 1.4))
    pixels = _COLOURS[classes]
    pixels[np.abs(roads % 2.4 - 1.2) < 0.05] = _ROADS[number % 2]
    return png(pixels.transpose(2, 0, 1))


def _hills(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Waves of some directions and lengths, one above the other."""
    y, x = np.mgrid[0:height, 0:width]
    waves = ((*rng.normal(0, 0.03, 2), rng.uniform(0, 6.3)) for _ in range(7))
    return sum(np.sin(across * x + down * y + shift) for across, down, shift in waves)


def tile(level: int, row: int, col: int, generation: int = 0) -> bytes:
    """The tile at a place: of another generation, another picture, so of another size mostly."""
    place = f"{generation}/{level}/{row}/{col}"
    # not `hash`, which differs from process to process
    base = picture(zlib.crc32(place.encode()) % PICTURES)
    content = b"Comment\0" + place.encode()
    chunk = struct.pack(">I", len(content)) + b"tEXt" + content
    return base[: -len(_END)] + chunk + struct.pack(">I", zlib.crc32(chunk[4:])) + _END


class TileServer(ThreadingHTTPServer):
    """Answers /z/x/y.png with `tile`, and requests of a WMS with a picture of that size."""

    daemon_threads = True
    request_queue_size = 64
    generation = 0


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TileServer

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        found = re.fullmatch(r"/(\d+)/(\d+)/(\d+)\.png", address.path)
        if found:
            level, col, row = map(int, found.groups())
            content = tile(level, row, col, self.server.generation)
        else:
            asked = {key.lower(): each[0] for key, each in parse_qs(address.query).items()}
            number = random.randrange(4)
            content = picture(number, int(asked["width"]), int(asked["height"]))
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self.wfile.write(head.encode() + content)

    def log_message(self, *_: object) -> None:
        """Nothing: the table is what is read."""


@contextmanager
def running_server() -> Iterator[tuple[TileServer, str]]:
    """A server and its address on this machine; its `generation` may be changed."""
    with TileServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server, f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
