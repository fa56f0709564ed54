"""PNG written from runs of pixels. Any thread.

Format: PNG specification (W3C, third edition), colour types 2, 3 and 6 with 8 bits; streams of
zlib: RFC 1950. How pictures are packed was measured (zlib 1.2.13) on tiles of QGIS's map of the
world that are not of one colour, and on shaded reliefs of many colours; per tile, packing alone:

    up to 256 colours, palette (Qt, without one: 2,780 bytes)     ms    bytes
      no filter, Z_RLE, level 1                                  0.06    1,020    <- maps
      no filter, level 1; 4; 6                      0.07; 0.18; 0.31    1,390; 1,190; 1,180
      no filter, Z_HUFFMAN_ONLY; Z_FIXED                  0.35; 0.06    8,840; 1,670
      filter Sub; Up; the better for each row, Z_RLE           0.07    1,450; 1,320; 1,270
    more, R, G, B, A (Qt: 10,870 bytes)
      no filter, level 1, in pieces                              0.31    9,900    <- maps
      no filter, level 1; 3; 4; 6             0.37; 0.40; 0.80; 1.16    9,670; 9,370; 8,280; 8,090
      no filter, Z_FIXED                                         0.36   11,210
      Sub or Up, the better for each row, Z_RLE; level 1   0.36; 0.42   10,480; 12,040
    reliefs, R, G, B (Qt: 178,800 bytes)
      Up, level 1                                                3.0    142,700  <- photos
      Up, level 4; 6                                       5.4; 7.4    154,900; 154,500
      no filter, level 1; 6                                3.2; 6.0    148,600; 161,600
      Up, Z_RLE; Z_HUFFMAN_ONLY                            1.9; 1.7    170,200; 170,300

Patterns take up to three times Qt's bytes by Z_RLE and half as many again by level 1, so they get
level 4. True colour of simple shapes, patterns and soft shades by level 1 takes up to five times
Qt's: where that is little for so many pixels, or the picture is dense, a filter for each row is
tried, and a higher level. That takes 1 to 6 ms for such a picture and leaves no more than Qt's by a
tenth. Fewer bits for fewer colours would save 50 bytes for each of the few tiles that have up to
16 colours; readers of caches know 8 bits best.
"""

from __future__ import annotations

import functools
import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from .palettes import Palette
from .runs import Runs

LEVEL, LEVEL_OF_SHAPES, LEVEL_OF_PATTERNS, LEVEL_OF_SMALL = 1, 3, 4, 6
"""Of zlib: see above."""

MEMORY = 7
"""Of zlib: its usual 8 takes 0.03 ms longer for each tile, as larger tables have to be emptied."""

PIECE = (1 << 16) - 262
"""Bytes that are packed at once: as many as zlib takes in before it moves its window and tables.

That saves a sixth of the time and costs a fiftieth in size.
"""

DENSE = 8
"""A picture with more than a run for so many pixels is a pattern, a text, a photo."""

FEW = 48
"""A picture with no more than a run for so many pixels is a simple shape."""

PHOTO_COLOURS = 8192
"""A picture with more colours is a photo or a relief, packed as such."""

SMALL, SOFT = 12, 2.5
"""Where they take no more than a byte for so many pixels, plain pictures and patterns, and shades,
are tried with filters and more thoroughly: that is quick then, and may win most of it.
"""

SECOND_TRY = 2048
"""Palettes' pictures that take more bytes by Z_RLE are tried with LEVEL_OF_PATTERNS, too."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_INDEXED = 3
_COLOUR_TYPES = {3: 2, 4: 6}
_HEAD = b"\x78\x01"
_ADLER = 65521


def indexed_png(runs: Runs, palette: Palette) -> bytes:
    """The picture `runs` with the colours of `palette`."""
    height, width = runs.shape
    indexes = palette.run_indexes
    rows = np.zeros((height, 1 + width), np.uint8)  # filter 0, "None", in front of every row
    rows[:, 1:] = runs.spread(indexes.astype(np.uint32))
    chunks = _chunk(b"PLTE", palette.colours[:, :3].tobytes())
    see_through = np.flatnonzero(palette.colours[:, 3] != 255)
    if len(see_through):
        chunks += _chunk(b"tRNS", palette.colours[: see_through[-1] + 1, 3].tobytes())
    checksum = _adler(runs, indexes[:, None])
    return _png(width, height, _INDEXED, chunks, _packed_indexes(rows, checksum, runs))


def true_colour_png(runs: Runs, bands: int, colours: int) -> bytes:
    """The picture `runs` of R, G, B and A: all of them, or without A where `bands` is 3.

    `colours`: about how many it has.
    """
    rows = _true_colour_rows(runs, bands)
    if colours > PHOTO_COLOURS or _is_dense(runs):
        stream = _packed_dense(rows, runs, bands, colours)
    elif colours <= Palette.LARGEST or (bands == 4 and _is_simple(runs) and _hides_all(runs)):
        stream = zlib.compress(rows, LEVEL_OF_SHAPES)
    else:
        parts = runs.values.view(np.uint8).reshape(-1, 4)[:, :bands]
        stream = _zlib_stream(rows, _adler(runs, parts), LEVEL)
    if colours <= Palette.LARGEST and SMALL * len(stream) <= int(runs.bounds[-1]):
        stream = min(stream, zlib.compress(_filtered(rows, bands), LEVEL_OF_SMALL), key=len)
    return _png(*runs.shape[::-1], _COLOUR_TYPES[bands], b"", stream)


def even_png(runs: Runs, bands: int) -> bytes:
    """As `true_colour_png`, for pictures of one colour: small, for they are many."""
    rows = _true_colour_rows(runs, bands)
    streams = []
    for filtered in (rows, _differences(rows)):
        for strategy in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY):
            packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, 9, strategy)
            streams.append(packer.compress(filtered) + packer.flush())
    return _png(*runs.shape[::-1], _COLOUR_TYPES[bands], b"", min(streams, key=len))


def _is_dense(runs: Runs) -> bool:
    return DENSE * len(runs.values) > int(runs.bounds[-1])


def _is_simple(runs: Runs) -> bool:
    return FEW * len(runs.values) <= int(runs.bounds[-1])


def _hides_all(runs: Runs) -> bool:
    """Whether A is the same for all, so that Qt's filters make nothing of it."""
    return bool((runs.values >= np.uint32(0xFF000000)).all())


def _true_colour_rows(runs: Runs, bands: int) -> NDArray[np.uint8]:
    height, width = runs.shape
    rows = np.zeros((height, 1 + bands * width), np.uint8)
    pixels = runs.spread(runs.values).view(np.uint8).reshape(height, width, 4)
    rows[:, 1:].reshape(height, width, bands)[:] = pixels[..., :bands]
    return rows


def _differences(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Unfiltered `rows` with filter 2, "Up": each less the one above it."""
    result = rows.copy()
    result[1:] -= rows[:-1]
    result[:, 0] = 2
    return result


def _filtered(rows: NDArray[np.uint8], bands: int) -> NDArray[np.uint8]:
    """Unfiltered `rows`, each with the filter (None, Sub or Up) that leaves the least differences.

    As the PNG specification recommends (12.7), without the two filters that cost the most.
    """
    left = rows.copy()
    left[:, 1 + bands :] -= rows[:, 1:-bands]
    left[:, 0] = 1
    kinds = np.stack((rows, left, _differences(rows)))
    sizes = np.minimum(kinds, np.negative(kinds))[..., 1:].sum(axis=2, dtype=np.uint32)
    chosen: NDArray[np.uint8] = kinds[sizes.argmin(axis=0), np.arange(len(rows))]
    return chosen


def _packed_dense(rows: NDArray[np.uint8], runs: Runs, bands: int, colours: int) -> bytes:
    """Unfiltered `rows` of a pattern, a text, a shade, or a photo."""
    pixels = int(runs.bounds[-1])
    is_soft = 2 * len(runs.values) > pixels
    if colours > PHOTO_COLOURS:
        filtered = _differences(rows)
        streams = [zlib.compress(filtered, LEVEL)]
        if 2 * len(streams[0]) > rows.size:
            packer = zlib.compressobj(LEVEL, strategy=zlib.Z_RLE)
            streams.append(packer.compress(filtered) + packer.flush())
    else:
        filtered = _filtered(rows, bands)
        ways = (rows, filtered) if is_soft else (rows,)
        is_plain = colours <= Palette.LARGEST and not is_soft
        level = LEVEL_OF_SMALL if is_plain else LEVEL_OF_PATTERNS
        streams = [zlib.compress(each, level) for each in ways]
    if (SOFT if is_soft else SMALL) * min(map(len, streams)) <= pixels:
        streams += [zlib.compress(each, LEVEL_OF_SMALL) for each in (rows, filtered)]
    return min(streams, key=len)


def _packed_indexes(rows: NDArray[np.uint8], checksum: int, runs: Runs) -> bytes:
    if not _is_dense(runs):
        stream = _zlib_stream(rows, checksum, LEVEL, zlib.Z_RLE)
        if len(stream) <= SECOND_TRY:
            return stream
        return min(stream, _zlib_stream(rows, checksum, LEVEL_OF_PATTERNS), key=len)
    stream = _zlib_stream(rows, checksum, LEVEL_OF_PATTERNS)
    if 4 * len(stream) <= rows.size:
        return stream
    packer = zlib.compressobj(LEVEL, strategy=zlib.Z_RLE)
    return min(stream, packer.compress(_differences(rows)) + packer.flush(), key=len)


def _zlib_stream(
    rows: NDArray[np.uint8], checksum: int, level: int, strategy: int = zlib.Z_DEFAULT_STRATEGY
) -> bytes:
    """`rows` packed, with the Adler-32 `checksum` that is known of them."""
    parts = [_HEAD]
    step = max(1, PIECE // rows.shape[1])
    for top in range(0, len(rows), step):
        packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, MEMORY, strategy)
        parts.append(packer.compress(rows[top : top + step]))
        is_last = top + step >= len(rows)
        parts.append(packer.flush(zlib.Z_FINISH if is_last else zlib.Z_SYNC_FLUSH))
    parts.append(struct.pack(">I", checksum))
    return b"".join(parts)


def _adler(runs: Runs, parts: NDArray[np.uint8]) -> int:
    """Adler-32 of unfiltered rows, each with a 0 in front; `parts`: runs x bytes of a pixel.

    Adds up to bytes times their distance from the end, for each run at once (RFC 1950, 8.2).
    """
    height, width = runs.shape
    bands = parts.shape[1]
    size = height * (1 + bands * width)
    wide = parts.T.astype(np.int64, order="C")
    sums = wide @ runs.lengths
    distances = wide @ np.diff(_distances(height, width, bands)[runs.bounds])
    low = (1 + int(sums.sum())) % _ADLER
    high = (size + int(distances.sum()) - int(np.arange(bands) @ sums)) % _ADLER
    return high << 16 | low


@functools.lru_cache(maxsize=8)
def _distances(height: int, width: int, bands: int) -> NDArray[np.int64]:
    """How far pixels' first bytes are from the end of the rows, summed over all pixels before."""
    pixels = np.arange(height * width, dtype=np.int64)
    distances = height * (1 + bands * width) - (pixels // width + 1 + bands * pixels)
    return np.concatenate(([0], np.cumsum(distances)))


def _png(width: int, height: int, colour_type: int, chunks: bytes, stream: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = _chunk(b"IDAT", stream)
    return b"".join((_SIGNATURE, _chunk(b"IHDR", head), chunks, data, _chunk(b"IEND", b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
