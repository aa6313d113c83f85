"""Transaction ids of the recent past: what tells a duplicate and a status change from a new payment."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.kernels.ids import DUPLICATE, FRESH, STATUS_CHANGE, recognise
from detectors.state import Array, State, Table
from detectors.types import Codes

__all__ = ["DUPLICATE", "FRESH", "STATUS_CHANGE", "RememberedIds"]

_CONTENT = ("user_id", "merchant_id", "amount", "currency")


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

    def step(self, batch: pl.DataFrame) -> Codes:
        """Say of each row whether it is FRESH, a DUPLICATE or a STATUS_CHANGE, and remember it."""
        out = np.zeros(batch.height, dtype=np.int8)
        content = pl.DataFrame([batch[name] for name in _CONTENT]).hash_rows().to_numpy()
        status = (batch["status"] == "declined").cast(pl.Int8) + 2 * (batch["status"] == "reversed").cast(pl.Int8)
        tables, sizes = self._state["tables"], self._state["sizes"]
        recognise(_hashes(batch["transaction_id"]), content, status.to_numpy(), tables, sizes, out)
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


def _hashes(ids: pl.Series) -> npt.NDArray[np.uint64]:
    """Return the hash of each id, never 0 (which marks a free slot)."""
    return np.maximum(ids.hash().to_numpy(), np.uint64(1))


def _probe() -> int:
    """Return what polars makes of a fixed word."""
    return int(pl.Series(["txwatch"]).hash()[0])
