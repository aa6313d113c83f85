"""The arrays that kernels, features and methods pass around."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
"""Numbers; unknown is NaN."""

Rows32 = npt.NDArray[np.int32]
"""Dense row numbers of entities; unknown is -1."""

Times = npt.NDArray[np.int64]
"""Event times in milliseconds since 1970 UTC."""

Flags = npt.NDArray[np.bool_]
"""Yes or no by row."""

Codes = npt.NDArray[np.int8]
"""Small enumerations by row."""

Hashes = npt.NDArray[np.uint64]
"""64-bit hashes of ids."""

Matrix32 = npt.NDArray[np.float32]
"""Numbers of 32 bits in two dimensions."""
