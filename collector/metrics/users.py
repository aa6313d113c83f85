"""Distinct users: HyperLogLog sketches with 1,024 registers (standard error 3.3 %), many at once.

Flajolet et al., "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm" (2007);
the estimate is Ertl's improved one, "New cardinality estimation algorithms for HyperLogLog sketches"
(arXiv:1702.01284), which needs no correction tables.  Two sketches are joined by the larger registers.
"""

import math
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

REGISTERS = 1024
_BITS = 10
_RANKS = 64 - _BITS

Hashes = npt.NDArray[np.uint64]
Registers = npt.NDArray[np.uint8]


def hashes(users: Iterable[str]) -> Hashes:
    """Return 64-bit hashes that are the same in every process; 32 bits of them are independent."""
    checksum = zlib.crc32
    values = np.array([checksum(user.encode()) for user in users], dtype=np.uint64)
    values = (values + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0x94D049BB133111EB)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0xBF58476D1CE4E5B9)
    return values ^ (values >> np.uint64(31))


def places(of: Hashes) -> tuple[npt.NDArray[np.int64], Registers]:
    """Return each hash's register, and the rank it raises that register to."""
    register = (of >> np.uint64(_RANKS)).astype(np.int64)
    rest = (of & np.uint64(2**_RANKS - 1)).astype(np.float64)
    _, exponent = np.frexp(rest)
    return register, (_RANKS + 1 - exponent).astype(np.uint8)


def estimate(registers: Registers) -> int:
    """Return how many distinct users were put into one sketch."""
    counts = np.bincount(registers, minlength=_RANKS + 2).tolist()
    z = REGISTERS * _tau(1.0 - counts[_RANKS + 1] / REGISTERS)
    for rank in range(_RANKS, 0, -1):
        z = 0.5 * (z + counts[rank])
    z += REGISTERS * _sigma(counts[0] / REGISTERS)
    return round(REGISTERS * REGISTERS / (2.0 * math.log(2.0) * z))


def pack(registers: Registers) -> bytes:
    """Return a sketch as bytes; few users make few bytes."""
    return zlib.compress(registers.tobytes(), 1)


def unpack(sketch: bytes) -> Registers:
    """Return what `pack` was given."""
    return np.frombuffer(zlib.decompress(sketch), dtype=np.uint8)


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in {0.0, 1.0}:
        return 0.0
    y, z, before = 1.0, 1.0 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1.0 - x) ** 2 * y
    return z / 3.0
