"""The colours of a picture, and up to 256 that stand for them. Any thread.

Up to 256 colours are kept as they are. More are cut into 256 boxes of similar colours (as in
Heckbert's median cut, 1982, but at the mean, weighted by pixels, widest spread first), in red,
green, blue and alpha with colours premultiplied: what can hardly be seen hardly counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .runs import Runs

ROUNDS = 40
"""Rounds of cuts at most; each cuts all boxes that are worth it, 256 are reached in about ten."""

MEAN_ROUNDS = 1
"""How often colours are given to their nearest mean, and the means taken anew (Lloyd 1982)."""

FAR_APART = 1e5
"""Farther than any two colours: between transparent, half transparent and opaque ones."""

ROUGH_COLOURS = 16384
"""With more colours than that, those that differ in the last two bits only are one."""


@dataclass(frozen=True)
class Colours:
    """The colours of a picture: `values` as R, G, B, A in one number, each once, ascending.

    Pixels in reading order come in runs of one colour: `run_colours` are the numbers of the runs'
    colours in `values`, `run_lengths` in pixels.
    """

    values: NDArray[np.uint32]
    run_colours: NDArray[np.intp]
    run_lengths: NDArray[np.intp]

    @property
    def rgba(self) -> NDArray[np.uint8]:
        """Colours x R, G, B, A."""
        return self.values.view(np.uint8).reshape(-1, 4)

    @property
    def counts(self) -> NDArray[np.float64]:
        """Number of pixels of each colour."""
        return np.bincount(self.run_colours, self.run_lengths, len(self.values))


@dataclass(frozen=True)
class Palette:
    """`colours` (at most LARGEST x R, G, B, A), and for each run the number of its colour."""

    LARGEST: ClassVar[int] = 256
    colours: NDArray[np.uint8]
    run_indexes: NDArray[np.uint8]


def colours_of(runs: Runs) -> Colours:
    """The colours of a picture, whose runs have R, G, B, A as values."""
    values, run_colours = np.unique(runs.values, return_inverse=True)
    return Colours(values, run_colours.reshape(-1), runs.lengths)


def palette_of(colours: Colours) -> Palette:
    """The palette of a picture, exact where it has no more colours than fit.

    What shines through stands first, so that its transparency takes little room in a file.
    """
    if len(colours.values) <= Palette.LARGEST:
        chosen, of_colour = colours.rgba, np.arange(len(colours.values))
    else:
        chosen, of_colour = _quantised(colours.rgba, colours.counts)
    order = np.argsort(chosen[:, 3], kind="stable")
    place = np.empty(len(order), np.uint8)
    place[order] = np.arange(len(order))
    return Palette(chosen[order], place[of_colour][colours.run_colours])


def _quantised(
    rgba: NDArray[np.uint8], counts: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """LARGEST colours or fewer for those of `rgba`, and for each of these which one."""
    of_colour = _roughly(rgba)
    weights = np.bincount(of_colour, counts)
    values = _means(_premultiplied(rgba), counts, of_colour, len(weights))
    boxes = _boxes(values, weights)
    for _ in range(MEAN_ROUNDS):
        means = _means(values, weights, boxes, int(boxes.max()) + 1)
        boxes = np.unique(_nearest(values, means), return_inverse=True)[1].reshape(-1)
    means = _means(values, weights, boxes, int(boxes.max()) + 1)
    return _straight(means), boxes[of_colour]


def _roughly(rgba: NDArray[np.uint8]) -> NDArray[np.intp]:
    """For each of `rgba` the number of the colour that it counts as."""
    values = np.ascontiguousarray(rgba if len(rgba) <= ROUGH_COLOURS else rgba & 0xFC)
    return np.unique(values.view(np.uint32).ravel(), return_inverse=True)[1].reshape(-1)


def _premultiplied(rgba: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Colours x R, G, B, A and how they are transparent, so that the three ways stay apart."""
    values = np.empty((len(rgba), 5))
    values[:, :4] = rgba
    values[:, :3] *= values[:, 3:4] / 255
    values[:, 4] = FAR_APART * (np.sign(rgba[:, 3]) + (rgba[:, 3] == 255))
    return values


def _straight(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    result = values[:, :4].copy()
    result[:, :3] *= 255 / np.maximum(values[:, 3:4], 0.5)
    return np.rint(result).clip(0, 255).astype(np.uint8)


def _boxes(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each of `values` the number of its box, of LARGEST or fewer."""
    box = np.zeros(len(values), np.intp)
    count = 1
    for _ in range(ROUNDS):
        means = _means(values, weights, box, count)
        spread = _sums(weights[:, None] * (values - means[box]) ** 2, box, count)
        axis = spread.argmax(axis=1)
        worth = spread.max(axis=1)
        # half as many more each round: boxes that are cut early are judged anew
        room = min(Palette.LARGEST - count, max(1, count // 2))
        chosen = np.argsort(-worth, kind="stable")[:room]
        chosen = chosen[worth[chosen] > 0]
        if not len(chosen):
            break
        twin = np.full(count, -1)
        twin[chosen] = count + np.arange(len(chosen))
        rows = np.arange(len(values))
        is_above = values[rows, axis[box]] > means[box, axis[box]]
        moves = is_above & (twin[box] >= 0)
        box[moves] = twin[box[moves]]
        count += len(chosen)
    return box


def _sums(values: NDArray[np.float64], box: NDArray[np.intp], count: int) -> Any:
    return np.stack([np.bincount(box, column, count) for column in values.T], axis=1)


def _means(
    values: NDArray[np.float64], weights: NDArray[np.float64], box: NDArray[np.intp], count: int
) -> NDArray[np.float64]:
    return _sums(values * weights[:, None], box, count) / np.bincount(box, weights, count)[:, None]


def _nearest(values: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each of `values` the number of the nearest of `means`."""
    # |v - m|^2 without |v|^2, which is the same for all m
    return ((means**2).sum(axis=1) - 2 * values @ means.T).argmin(axis=1)
