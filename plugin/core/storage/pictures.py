"""Whether the bytes of a tile are a whole picture, and what size it has, without a decoder.

PNG is checked to the last byte of its pixels (W3C PNG specification, third edition): checksums,
and that the pixels unpack to just as many bytes as the header says. JPEG (ITU-T T.81) is checked in
its structure, from the first marker to the last; GIF89a and WebP in header and end.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

LARGEST_SIDE = 8192
"""Pixels across above which nothing is a tile; GDAL takes no more either."""

PIECE = 1 << 20
"""Bytes of pixels unpacked at a time."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)
"""Of each pass of an interlaced PNG: first column, first row, steps between columns, rows."""
_LAST_FILTER = 4

_NO_FRAMES = (0xC4, 0xC8, 0xCC)
_FIRST_FRAME, _LAST_FRAME = 0xC0, 0xCF
_END, _SCAN = 0xD9, 0xDA
_ALONE = (0x01, *range(0xD0, 0xD9))
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)


@dataclass(frozen=True)
class PictureFacts:
    """A whole picture: `format` (`PNG`, `JPEG`, `GIF`, `WEBP`), pixels across and down.

    `has_alpha`: whether it can be transparent; None where that was not looked at.
    """

    format: str
    width: int
    height: int
    has_alpha: bool | None = None


def picture_facts(content: bytes) -> PictureFacts | None:
    """What picture `content` is; None where it is no whole picture of a known format.

    Bytes behind a picture's end do no harm: no reader looks at them. Never raises.
    """
    try:
        if content.startswith(_PNG):
            facts = _png(content)
        elif content.startswith(_JPEG):
            facts = _jpeg(content)
        elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            facts = _webp(content)
        else:
            facts = _gif(content) if content[:6] in (b"GIF87a", b"GIF89a") else None
    except (struct.error, IndexError, zlib.error):
        return None
    if facts is None or not 0 < facts.width <= LARGEST_SIDE or not 0 < facts.height <= LARGEST_SIDE:
        return None
    return facts


# PNG


@dataclass(frozen=True)
class _Header:
    """The IHDR chunk."""

    width: int
    height: int
    depth: int
    colour: int
    packing: int
    filtering: int
    interlace: int

    @property
    def is_lawful(self) -> bool:
        return (
            0 < self.width <= LARGEST_SIDE
            and 0 < self.height <= LARGEST_SIDE
            and self.depth in _DEPTHS.get(self.colour, ())
            and (self.packing, self.filtering) == (0, 0)
            and self.interlace in (0, 1)
        )

    def passes(self) -> Iterator[tuple[int, int]]:
        """Rows, and bytes of a row with its filter, of each pass that has pixels."""
        bits = self.depth * _CHANNELS[self.colour]
        for left, top, across, down in _ADAM7 if self.interlace else ((0, 0, 1, 1),):
            cols = (self.width - left + across - 1) // across
            rows = (self.height - top + down - 1) // down
            if cols > 0 and rows > 0:
                yield rows, 1 + (cols * bits + 7) // 8


def _png(content: bytes) -> PictureFacts | None:
    header: _Header | None = None
    palette = has_transparency = False
    pixels: list[memoryview] = []
    for kind, body in _chunks(content):
        if header is None:
            if kind != b"IHDR":
                return None
            header = _Header(*struct.unpack(">IIBBBBB", body))
            if not header.is_lawful:
                return None
        elif kind == b"PLTE":
            palette = 0 < len(body) <= 768 and len(body) % 3 == 0
        elif kind == b"tRNS":
            has_transparency = True
        elif kind == b"IDAT":
            pixels.append(body)
        elif kind == b"IEND":
            if (header.colour == 3 and not palette) or not _unpacks(header, pixels):
                return None
            has_alpha = header.colour in (4, 6) or has_transparency
            return PictureFacts("PNG", header.width, header.height, has_alpha)
    return None


def _chunks(content: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and body of each chunk whose checksum is right, up to the first that is not whole."""
    view, start = memoryview(content), len(_PNG)
    while start + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, start)
        end = start + 8 + length
        if end + 4 > len(content):
            return
        (checksum,) = struct.unpack_from(">I", content, end)
        if zlib.crc32(view[start + 4 : end]) != checksum:
            return
        yield content[start + 4 : start + 8], view[start + 8 : end]
        start = end + 4


def _unpacks(header: _Header, pixels: list[memoryview]) -> bool:
    """Whether `pixels` unpack to just the rows of `header`, each with a filter that exists."""
    rows = _Rows(header)
    unpacker = zlib.decompressobj()
    for body in pixels:
        packed: bytes | memoryview = body
        while packed and not unpacker.eof:
            if not rows.take(unpacker.decompress(packed, PIECE)):
                return False
            packed = unpacker.unconsumed_tail
    while not unpacker.eof:
        rest = unpacker.decompress(unpacker.unconsumed_tail, PIECE)
        if not rest or not rows.take(rest):
            return False
    return rows.left == 0


class _Rows:
    """Counts unpacked bytes off against the rows a picture must have."""

    def __init__(self, header: _Header) -> None:
        self._passes = list(header.passes())
        self.left = sum(rows * width for rows, width in self._passes)
        self._done = 0
        """Bytes of the first pass in the list that came already."""

    def take(self, piece: bytes) -> bool:
        """Whether `piece` can come next."""
        if len(piece) > self.left:
            return False
        self.left -= len(piece)
        start = 0
        while start < len(piece):
            rows, width = self._passes[0]
            end = min(len(piece), start + rows * width - self._done)
            filters = piece[start + -self._done % width : end : width]
            if filters and max(filters) > _LAST_FILTER:
                return False
            self._done += end - start
            start = end
            if self._done == rows * width:
                self._passes.pop(0)
                self._done = 0
        return True


# JPEG


def _jpeg(content: bytes) -> PictureFacts | None:
    facts: PictureFacts | None = None
    has_scan = False
    start = 2
    while content[start] == 0xFF:
        marker = content[start + 1]
        if marker == 0xFF:  # padding
            start += 1
        elif marker == _END:
            return facts if has_scan else None
        elif marker in _ALONE:
            start += 2
        else:
            (length,) = struct.unpack_from(">H", content, start + 2)
            end = start + 2 + length
            if length < 2 or end > len(content):
                return None
            if _FIRST_FRAME <= marker <= _LAST_FRAME and marker not in _NO_FRAMES:
                height, width = struct.unpack_from(">HH", content, start + 5)
                facts = PictureFacts("JPEG", width, height, has_alpha=False)
            elif marker == _SCAN:
                found = _MARKER_IN_SCAN.search(content, end)
                if facts is None or found is None or found.start() == end:
                    return None
                has_scan, end = True, found.start()
            start = end
    return None


# Others


def _gif(content: bytes) -> PictureFacts | None:
    width, height = struct.unpack_from("<HH", content, 6)
    return PictureFacts("GIF", width, height) if content.rstrip(b"\0")[-1:] == b";" else None


def _webp(content: bytes) -> PictureFacts | None:
    """RFC 9649: RIFF container; lossy (VP8), lossless (VP8L) or extended (VP8X)."""
    (size,) = struct.unpack_from("<I", content, 4)
    if size + 8 > len(content):
        return None
    kind = content[12:16]
    if kind == b"VP8 " and content[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", content, 26)
        return PictureFacts("WEBP", width & 0x3FFF, height & 0x3FFF, has_alpha=False)
    if kind == b"VP8L" and content[20] == 0x2F:
        (bits,) = struct.unpack_from("<I", content, 21)
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        return PictureFacts("WEBP", width, height, bool(bits >> 28 & 1))
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        height = int.from_bytes(content[27:30], "little") + 1
        return (
            PictureFacts("WEBP", width, height, bool(content[20] & 0x10)) if content[29:] else None
        )
    return None
