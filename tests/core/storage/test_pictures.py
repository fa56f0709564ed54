"""Which bytes are whole pictures: against pictures built by hand from the specifications.

Where Pillow is installed its pictures are judged too, and what it cannot open must not pass.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import pytest

from tile_cache_manager.plugin.core.storage.pictures import PictureFacts, picture_facts

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "cache-samples"
SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
ADAM7 = ["16462646", "77777777", "56565656", "77777777", "36463646", "77777777"]
ADAM7 += ["56565656", "77777777"]
"""The pass of each pixel of an 8 x 8 square, as the PNG specification draws it."""


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def rows_of(width, height, colour, depth, interlace):
    """Bytes of each row, without its filter, in the order in which they lie in the file."""
    if not interlace:
        members = [[list(range(width))] * height]
    else:
        members = [
            [[x for x in range(width) if ADAM7[y % 8][x % 8] == step] for y in range(height)]
            for step in "1234567"
        ]
    bits = CHANNELS[colour] * depth
    return [-(-len(row) * bits // 8) for rows in members for row in rows if row]


def png(width=5, height=7, colour=6, depth=8, interlace=0, **odd) -> bytes:
    """A PNG; `odd`: `filters` (cycled), `pixels` (packed), `extra` chunks, `idats`, `header`."""
    rows = rows_of(width, height, colour, depth, interlace)
    filters = odd.get("filters", (0, 1, 2, 3, 4))
    raw = b"".join(bytes([filters[i % len(filters)]]) + bytes(n) for i, n in enumerate(rows))
    packed = odd.get(
        "pixels", zlib.compress(raw[: odd.get("keep", len(raw))] + odd.get("more", b""))
    )
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    palette = chunk(b"PLTE", bytes(768)) if colour == 3 else b""
    step = max(1, -(-len(packed) // odd.get("idats", 1)))
    idats = [chunk(b"IDAT", packed[i : i + step]) for i in range(0, len(packed), step)]
    parts = [SIGNATURE, chunk(b"IHDR", odd.get("header", header)), odd.get("palette", palette)]
    return b"".join([*parts, odd.get("extra", b""), *idats, odd.get("end", chunk(b"IEND"))])


KINDS = [
    (colour, depth, interlace)
    for colour, depths in {
        0: (1, 2, 4, 8, 16),
        2: (8, 16),
        3: (1, 2, 4, 8),
        4: (8, 16),
        6: (8, 16),
    }.items()
    for depth in depths
    for interlace in (0, 1)
]


@pytest.mark.parametrize(("colour", "depth", "interlace"), KINDS)
def test_every_kind_of_png(colour, depth, interlace):
    for size in [(1, 1), (3, 2), (8, 8), (13, 21)]:
        found = picture_facts(png(*size, colour, depth, interlace))

        assert found == PictureFacts("PNG", *size, has_alpha=colour in (4, 6))


def test_a_large_picture_unpacked_piece_by_piece():
    assert picture_facts(png(700, 900, idats=7)) == PictureFacts("PNG", 700, 900, True)
    assert picture_facts(png(700, 900, interlace=1)) == PictureFacts("PNG", 700, 900, True)


def test_transparency_of_a_palette():
    found = picture_facts(png(colour=3, extra=chunk(b"tRNS", b"\0\xff")))

    assert found == PictureFacts("PNG", 5, 7, True)


def test_bytes_behind_the_end_do_no_harm():
    assert picture_facts(png() + b"\0" * 9) == picture_facts(png())


BROKEN = {
    "one byte of pixels too few": png(keep=-1),
    "one byte of pixels too many": png(more=b"\0"),
    "a filter that does not exist": png(filters=(5,)),
    "an interlaced picture with one": png(interlace=1, filters=(0, 0, 0, 9)),
    "pixels that do not unpack": png(pixels=b"\x78\x9cnonsense"),
    "no pixels": png(pixels=b""),
    "pixels without the end of the stream": png(pixels=zlib.compress(bytes(7 * 21))[:-4]),
    "a bomb": png(pixels=zlib.compress(bytes(50_000_000))),
    "no end": png(end=b""),
    "no palette": png(colour=3, palette=b""),
    "half a colour in the palette": png(colour=3, palette=chunk(b"PLTE", b"12345")),
    "no width": png(header=struct.pack(">IIBBBBB", 0, 7, 8, 6, 0, 0, 0)),
    "sides of a giant": png(header=struct.pack(">IIBBBBB", 1 << 31, 7, 8, 6, 0, 0, 0)),
    "a depth that colours lack": png(header=struct.pack(">IIBBBBB", 5, 7, 4, 6, 0, 0, 0)),
    "a colour type that does not exist": png(header=struct.pack(">IIBBBBB", 5, 7, 8, 5, 0, 0, 0)),
    "another compression": png(header=struct.pack(">IIBBBBB", 5, 7, 8, 6, 1, 0, 0)),
    "a short header": png(header=b"1234567"),
    "no header": SIGNATURE + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND"),
    "a signature alone": SIGNATURE,
    "four bytes of the signature missing, as in a package of Esri's": png()[4:],
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_broken_png(content):
    assert picture_facts(content) is None


def test_png_with_any_bit_wrong():
    content = png(3, 4)
    for bit in range(8 * len(content)):
        wrong = bytearray(content)
        wrong[bit // 8] ^= 1 << bit % 8

        assert picture_facts(bytes(wrong)) is None, f"bit {bit}"


# --- JPEG and others -------------------------------------------------------------------------


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def frame(width: int, height: int) -> bytes:
    return struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00"


SOI, EOI = b"\xff\xd8", b"\xff\xd9"
SCAN = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"pixels\xff\x00more\xff\xd0rest"
TABLES = segment(0xE0, b"JFIF\0") + segment(0xDB, bytes(65)) + segment(0xC4, bytes(30))
JPEG = SOI + TABLES + segment(0xC0, frame(300, 200)) + SCAN + EOI


@pytest.mark.parametrize(
    "content",
    [
        JPEG,
        JPEG + b"\0\0\0",
        SOI + TABLES + b"\xff\xff" + segment(0xC2, frame(300, 200)) + SCAN + SCAN + EOI,
        SOI + segment(0xC1, frame(300, 200)) + SCAN + segment(0xFE, b"a comment") + EOI,
    ],
    ids=["baseline", "zero bytes behind", "progressive, padded", "a comment behind the scan"],
)
def test_jpeg(content):
    assert picture_facts(content) == PictureFacts("JPEG", 300, 200, False)


@pytest.mark.parametrize(
    "content",
    [
        *(JPEG[:n] for n in range(len(JPEG))),
        SOI + TABLES + SCAN + EOI,
        SOI + TABLES + segment(0xC0, frame(300, 200)) + EOI,
        SOI + segment(0xC0, frame(0, 200)) + SCAN + EOI,
        SOI + b"\xff\xe0\x00\x01" + JPEG[2:],
        JPEG[:-2] + b"\xff" * 100_000,
    ],
)
def test_broken_jpeg(content):
    assert picture_facts(content) is None


VP8 = b"VP8 " + struct.pack("<I", 10) + b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 256, 0x4000 | 99)
VP8L = b"VP8L" + struct.pack("<I", 5) + b"\x2f" + struct.pack("<I", 255 | 98 << 14 | 1 << 28)
VP8X = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0\xff\0\0\x62\0\0"


def riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (b"GIF89a" + struct.pack("<HH", 256, 99) + b"...;", PictureFacts("GIF", 256, 99)),
        (b"GIF89a" + struct.pack("<HH", 256, 99) + b"...", None),
        (riff(VP8), PictureFacts("WEBP", 256, 99, False)),
        (riff(VP8L), PictureFacts("WEBP", 256, 99, True)),
        (riff(VP8X), PictureFacts("WEBP", 256, 99, True)),
        (riff(VP8)[:-1], None),
        (riff(b"VP9 " + bytes(20)), None),
        (b"Lerc2 " + bytes(90), None),
        (b"", None),
        (bytes(100), None),
        (b"<html>no tile here</html>", None),
    ],
)
def test_others(content, facts):
    assert picture_facts(content) == facts


def test_no_garbage_raises():
    rng = random.Random(11)
    starts = [SIGNATURE, png(), JPEG, riff(VP8), riff(VP8L), riff(VP8X), b"GIF89a", b""]
    for _ in range(3000):
        start = rng.choice(starts)
        content = bytearray(start + rng.randbytes(rng.randrange(60)))
        for _ in range(rng.randrange(4)):
            if content:
                content[rng.randrange(len(content))] = rng.randrange(256)
        del content[rng.randrange(len(content) + 1) :]

        picture_facts(bytes(content))


# --- others' pictures ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_pillows_pictures(mode, kind):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    if kind == "JPEG" and mode in ("RGBA", "P"):
        mode = "RGB"
    rng = random.Random(5)
    picture = image.frombytes("RGB", (61, 47), rng.randbytes(61 * 47 * 3)).convert(mode)
    for options in ({}, {"progressive": True, "optimize": True}):
        stream = io.BytesIO()
        picture.save(stream, kind, **options)
        content = stream.getvalue()

        assert picture_facts(content) == PictureFacts(kind, 61, 47, mode == "RGBA")
        for length in rng.sample(range(len(content)), 200):
            assert picture_facts(content[:length]) is None


def test_jpegs_of_esris_sample():
    files = sorted(SAMPLES.glob("esri-raster-tiles-compactcache/sample_tiles/L*/*/*.jpg"))
    if not files:
        pytest.skip("the sample caches are not here")
    assert len(files) == 21
    for file in files:
        assert picture_facts(file.read_bytes()) == PictureFacts("JPEG", 256, 256, False)
