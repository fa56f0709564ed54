"""Numbers of numpy as Python's own."""

from __future__ import annotations

import numpy as np

from tile_cache_manager.plugin.core.arrays import places, whole_numbers


def test_whole_numbers_are_pythons_own() -> None:
    found = whole_numbers(np.array([3, 1 << 40], dtype=np.int64))

    assert found == [3, 1 << 40]
    assert {type(each) for each in found} == {int}


def test_places_go_row_by_row() -> None:
    mask = np.zeros((3, 2), dtype=np.bool_)
    mask[2, 0] = mask[0, 1] = mask[2, 1] = True

    assert places(mask) == [(0, 1), (2, 0), (2, 1)]
    assert places(np.zeros((2, 2), dtype=np.bool_)) == []
