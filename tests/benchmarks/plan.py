"""Counting tiles: Europe's borders in full detail, and over ten billion tiles of Canada.

MapProxy counts by walking: `mapproxy-seed --dry-run` asks its coverage about each tile, as its
seeding does before it asks for pictures. Both count the same tiles, or nothing is compared.
"""

from __future__ import annotations

import shutil

from . import areas, peers
from .measure import (
    ROOT,
    NotMeasured,
    Timed,
    Trials,
    alternate,
    at_least,
    compare_rates,
    median,
    run_core,
    said,
)
from .results import Result, without_peer

LEVEL = 14
ALL_LEVELS = "0-19"
TEN_BILLION = 10_000_000_000
MILLION_LEVEL = 10
"""1,048,576 tiles of the world."""

MOST_MEGABYTES = 400
_FOLDER = ROOT / "build" / "bench_plan"
_EUROPE = f"plan: count tiles, Europe's borders, level {LEVEL}"


def measure() -> list[Result]:
    """Against the walk alone, against the whole program, and what cannot be walked at all."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    try:
        return [*europe(), *canada()]
    finally:
        shutil.rmtree(_FOLDER, ignore_errors=True)


class Europe:
    """Level 14 of Europe, counted by both; `tiles`: the numbers that they found."""

    def __init__(self) -> None:
        area = areas.europe()
        self._described = areas.described(area)
        self._file = areas.write_geojson(area, _FOLDER / "europe.geojson")
        self._proxy = peers.MapProxy(_FOLDER / "mapproxy", _FOLDER / "tiles", area=self._file)
        self.tiles: set[int] = set()

    def ours(self) -> float:
        timed = run_core("count", self._file, f"{LEVEL}-{LEVEL}")
        self.tiles.add(said(timed)["tiles"])
        return timed.seconds

    def theirs(self) -> float:
        timed = self._proxy.seed([LEVEL], "--dry-run")
        self.tiles.add(peers.tiles_walked(timed))
        return timed.seconds

    def ours_alone(self) -> list[float]:
        """Seconds of counting, in a program that runs already."""
        found = said(run_core("count_often", self._file, f"{LEVEL}-{LEVEL}"))
        self.tiles.add(found["tiles"])
        return list(found["seconds"])

    def start_of_theirs(self) -> float:
        """Seconds that MapProxy takes to start, read the area, and find one tile."""
        return median([self._proxy.seed([0], "--dry-run").seconds for _ in range(3)])

    def counted(self) -> int:
        """The number of tiles. Raises NotMeasured where not all found the same."""
        if len(self.tiles) != 1:
            raise NotMeasured(f"ours and MapProxy count differently: {sorted(self.tiles)}")
        return next(iter(self.tiles))

    def described(self) -> str:
        return f"{self._described}; both count {self.counted():,} tiles"

    def by_sixteen(self, start: float) -> str:
        """What MapProxy finds when it walks by metatiles, as it does for a WMS."""
        proxy = peers.MapProxy(_FOLDER / "coarse", _FOLDER / "tiles", peers.wms(), self._file)
        timed = proxy.seed([LEVEL], "--dry-run")
        return (
            "(by 4 x 4 tiles, which is no count of the area's, MapProxy finds"
            f" {peers.tiles_walked(timed):,} in {timed.seconds - start:.3g} s)"
        )


def europe() -> list[Result]:
    """Against the walk alone, and against the whole program."""
    if peers.absent("mapproxy"):
        return [
            without_peer(_EUROPE, "MapProxy coverage walk", "at least 1,000 x", "not installed")
        ]
    both = Europe()
    mine, others = alternate(both.ours, both.theirs)
    alone, start = both.ours_alone(), both.start_of_theirs()
    tiles, versions = both.counted(), peers.mapproxy_version()
    return [
        compare_rates(
            _EUROPE,
            "MapProxy coverage walk",
            Trials(alone, tiles),
            Trials([seconds - start for seconds in others], tiles),
            1000,
            versions,
            f"{both.described()}; counting alone, as in a running program: of MapProxy's seconds,"
            f" {start:.2g} s of starting up are taken off\n{both.by_sixteen(start)}",
        ),
        compare_rates(
            f"{_EUROPE}, whole process",
            "MapProxy dry run",
            Trials(mine, tiles),
            Trials(others, tiles),
            None,
            versions,
            f"{both.described()}; programs from their start to their end",
        ),
    ]


def canada() -> list[Result]:
    """All levels of Canada by ours, against a million tiles by MapProxy."""
    area = areas.canada()
    file = areas.write_geojson(area, _FOLDER / "canada.geojson")
    runs: list[Timed] = []

    def ours() -> float:
        runs.append(run_core("count", file, ALL_LEVELS))
        tiles = said(runs[-1])["tiles"]
        if tiles < TEN_BILLION:
            raise NotMeasured(f"Canada has {tiles:,} tiles only")
        return runs[-1].seconds

    walked: list[int] = []

    def theirs() -> float:
        proxy = peers.MapProxy(_FOLDER / "mapproxy", _FOLDER / "tiles", peers.wms())
        timed = proxy.seed([MILLION_LEVEL], "--dry-run")
        walked.append(peers.tiles_walked(timed))
        return timed.seconds

    row, against = f"plan: count Canada, levels {ALL_LEVELS}", "MapProxy dry run over 1 million"
    if peers.absent("mapproxy"):
        ours()
        compared = without_peer(row, against, "less time", "not installed")
    else:
        mine, others = alternate(ours, theirs)
        ratio = median(others) / median(mine)
        compared = Result(
            row=row,
            against=against,
            ours=f"{median(mine):.2f} s",
            theirs=f"{median(others):.1f} s",
            ratio=ratio,
            goal="at least 1 x",
            met=at_least(ratio, 1),
            versions=peers.mapproxy_version(),
            detail=f"{areas.described(area)}; whole processes of 3 runs each: ours counts"
            f" {said(runs[0])['tiles']:,} tiles, MapProxy {walked[0]:,} of level {MILLION_LEVEL} of"
            " the world, without any borders and by 4 x 4 tiles;"
            f" ours {min(mine):.2f}-{max(mine):.2f} s,"
            f" theirs {min(others):.1f}-{max(others):.1f} s",
        )
    peak = max(run.peak_megabytes for run in runs)
    memory = Result(
        row=f"plan: count Canada, levels {ALL_LEVELS}, memory",
        against="-",
        ours=f"{peak:.0f} MB",
        theirs="-",
        ratio=peak / MOST_MEGABYTES,
        goal=f"under {MOST_MEGABYTES} MB",
        met=peak < MOST_MEGABYTES,
        detail="the most that the whole process took; ratio: of what is allowed",
    )
    return [compared, memory]
