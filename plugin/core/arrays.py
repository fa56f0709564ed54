"""Numbers of numpy as Python's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def whole_numbers(numbers: NDArray[np.integer[Any]]) -> list[int]:
    """The numbers of an array of one dimension."""
    found: Any = numbers.tolist()  # what numpy says of its type is another with each version
    return list(found)


def places(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Row and column of what is true in an array of two dimensions, row by row."""
    rows, cols = np.nonzero(mask)
    return list(zip(whole_numbers(rows), whole_numbers(cols)))
