"""Transaction ids of the recent past: what tells a duplicate and a status change from a new payment."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from detectors.kernels.ids import DUPLICATE, FRESH, STATUS_CHANGE, recognise
from detectors.rows import Rows
from detectors.state import Array, State, Table
from detectors.types import Codes, Hashes

__all__ = ["DUPLICATE", "FRESH", "STATUS_CHANGE", "RememberedIds"]


class RememberedIds:
    """The last `capacity` ids at least, twice as many at most, with what they stood for.

    Hashes are polars' own, stable within one polars version: a snapshot of another version starts with
    an empty memory, and a duplicate from before the upgrade is then scored again.
    """

    def __init__(self, capacity: int) -> None:
        slots = 1 << (2 * capacity - 1).bit_length()
        self._state = State(
            tables=Table("", (slots, 2), "u8", rows_each=2),
            sizes=Table("", (), "i8", rows_each=3),
            probe=Table("", (), "u8"),
        )
        self._state["probe"][0] = _probe()

    def step(self, rows: Rows) -> Codes:
        """Say of each row whether it is FRESH, a DUPLICATE or a STATUS_CHANGE, and remember it."""
        out = np.zeros(len(rows), dtype=np.int8)
        status = (rows.approved + 2.0 * rows.declined).astype(np.int8)
        tables, sizes = self._state["tables"], self._state["sizes"]
        recognise(rows.keys, _content(rows), status, tables, sizes, out)
        return out

    def nbytes(self) -> int:
        """Return the memory held, in bytes."""
        return self._state.nbytes()

    def dump(self) -> dict[str, Array]:
        """Return the memory as arrays."""
        return self._state.dump()

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Take over a dump, unless polars hashes otherwise than when it was made."""
        probe = arrays.get("probe")
        if probe is not None and probe[0] == _probe():
            self._state.load(arrays)


def _content(rows: Rows) -> Hashes:
    """Return the hash of who pays whom how much, in what."""
    mixed: Hashes = rows.amount.view(np.uint64) ^ np.uint64(0x9E37_79B9_7F4A_7C15)
    for part in (rows.user, rows.merchant, rows.group):
        mixed = mixed * np.uint64(0xBF58_476D_1CE4_E5B9) ^ part.astype(np.uint64)
    return mixed * np.uint64(0x94D0_49BB_1331_11EB)


def _probe() -> int:
    """Return what polars makes of a fixed word."""
    return int(pl.Series(["txwatch"]).hash()[0])
