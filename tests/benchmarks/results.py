"""A row of `make bench`."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Result:
    """One comparison: `ours` and `theirs` with their units, `ratio` ours over theirs."""

    row: str
    against: str
    ours: str
    theirs: str
    ratio: float
    goal: str
    met: bool
    versions: dict[str, str] = field(default_factory=dict)
