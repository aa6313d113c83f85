"""What every method on a series looks like: a statistic per row, from the rows before it."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Times = npt.NDArray[np.int64]
Records = npt.NDArray[Any]
Record = Any  # numba hands kernels a row of a structured array, with its fields as attributes


class Method(Protocol):
    """One way of being strange.  `state` is everything it remembers: a structured array of one row."""

    name: str
    state: Records

    def step(self, times_ms: Times, values: Floats) -> Floats:
        """Return the statistic of each row, shape (n,); nan where there is no opinion yet.

        Args:
            times_ms: local time of the rows in milliseconds since 1970, shape (n,).
            values: finite values, shape (n,).
        """
