"""Pictures as runs of pixels of one colour, which maps have few of. Any thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint32]

_SCATTER = np.uint32(2654435769)
"""2^32 over the golden ratio: its products differ in their upper bits (Knuth, vol. 3, 6.4)."""


@dataclass(frozen=True)
class Runs:
    """A picture's pixels in reading order, in runs of one colour that may go over rows' ends.

    `values`: the pixel of each run. `bounds`: at which pixel each starts, and the number of all.
    `shape`: rows and columns.
    """

    values: Values
    bounds: NDArray[np.intp]
    shape: tuple[int, int]

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Pixels of each run."""
        return np.diff(self.bounds)

    def spread(self, values: Values) -> Values:
        """A value of `values` for each pixel, which have one for each run: rows x columns."""
        steps = np.empty(self.bounds[-1], np.uint32)
        steps[...] = 0  # np.zeros lets no other threads run
        steps[0] = values[0]
        # sums of differences are far quicker than writing each run
        steps.put(self.bounds[1:-1], values[1:] - values[:-1])
        # into an array of its own, or numpy copies it first, and lets nobody run meanwhile
        return np.add.accumulate(steps, out=np.empty_like(steps)).reshape(self.shape)


def runs_of(values: Values) -> Runs:
    """The runs of a picture, rows x columns."""
    flat = np.ascontiguousarray(values).ravel()
    inner = np.flatnonzero(flat[1:] != flat[:-1])
    bounds = np.empty(len(inner) + 2, np.intp)
    bounds[0], bounds[-1] = 0, flat.size
    np.add(inner, 1, out=bounds[1:-1])
    return Runs(flat[bounds[:-1]], bounds, (values.shape[0], values.shape[1]))


def even_runs(value: np.uint32, size: tuple[int, int]) -> Runs:
    """A picture of one colour; `size`: width and height."""
    bounds = np.array([0, size[0] * size[1]], np.intp)
    return Runs(np.array([value], np.uint32), bounds, (size[1], size[0]))


def even_tiles(values: Values, size: tuple[int, int], row: int) -> NDArray[np.bool_]:
    """For each tile of that row of tiles whether it is of one colour; `size`: width and height.

    Where no bit differs within any column of pixels. Reading whole rows of a large picture takes a
    third of the time of reading it tile by tile.
    """
    width, height = size
    count = values.shape[1] // width
    rows = values[row * height : (row + 1) * height, : count * width]
    some = np.bitwise_or.reduce(rows, axis=0).reshape(count, width)
    every = np.bitwise_and.reduce(rows, axis=0).reshape(count, width)
    is_even: NDArray[np.bool_] = ((some == every) & (some == some[:, :1])).all(axis=1)
    return is_even


def colours_at_least(values: Values) -> int:
    """About how many colours there are in `values`, never too many, and quicker than sorting."""
    seen = np.zeros(1 << 16, np.bool_)
    seen[(values * _SCATTER) >> np.uint32(16)] = True
    return int(np.count_nonzero(seen))
