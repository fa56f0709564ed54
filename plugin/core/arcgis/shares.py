"""How much of an update each of its parts is, so that the whole has one progress."""

from __future__ import annotations

from ..site_update import SiteUpdate, UpdatePart


class Shares:
    """The shares of the parts of `update`; they never let the whole go back.

    The rectangles of a hosted layer count by their tiles. The areas of a caching task count alike:
    a site with few tiles at coarse levels draws long at each of them.
    """

    def __init__(self, update: SiteUpdate) -> None:
        self._shares = [_share(part, update.is_hosted) for part in update.parts]
        self._percents: dict[int, float] = {}
        self._told = 0.0

    def split(self, index: int, pieces: int) -> None:
        """Part `index` is done by so many new ones at the end."""
        if pieces:
            self._shares += [self._shares[index] / pieces] * pieces
            self._shares[index] = 0.0

    def percent(self, parts: tuple[UpdatePart, ...], index: int, percent: float) -> float:
        """Percent of the whole, part `index` being so far, and others as they were told of."""
        self._percents[index] = percent
        whole = sum(self._shares) or 1.0
        done = sum(
            share * (100.0 if at != index and part.has_ended else self._percents.get(at, 0.0))
            for at, (share, part) in enumerate(zip(self._shares, parts))
        )
        self._told = max(self._told, min(done / whole, 100.0))
        return self._told


def _share(part: UpdatePart, is_hosted: bool) -> float:
    if part.is_split:
        return 0.0
    return float(max(sum(part.planned.values()), 1)) if is_hosted else 1.0
