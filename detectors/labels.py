"""Labels from a file, given to the engine as late as a team would have had them.

A labels file has the column `transaction_id` and one of `is_fraud` (true or false, 1 or 0) and `label`
(fraud, false-positive or unclear).  Without either, every row of it is a fraud.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import polars as pl

from detectors.feedback import DAY_MS
from detectors.rows import milliseconds
from txwatch.errors import InputError

FRAUD: Final = "fraud"
_NEEDED = ["transaction_id", "timestamp", "user_id", "merchant_id"]


def read_frauds(path: Path) -> frozenset[str]:
    """Return the ids of the transactions that a labels file (.csv, .parquet, .jsonl) calls frauds.

    Raises InputError when it cannot be read or has no column `transaction_id`.
    """
    return frozenset(read_labels(path)["transaction_id"].cast(pl.String).to_list())


def read_labels(path: Path) -> pl.DataFrame:
    """Return the rows of a labels file that are frauds, with all its columns.

    Raises InputError when it cannot be read or has no column `transaction_id`.
    """
    table = _table(path)
    if "transaction_id" not in table.columns:
        raise InputError(f"{path} has no column transaction_id; it has {', '.join(table.columns)}")
    if "is_fraud" in table.columns:
        table = table.filter(pl.col("is_fraud").cast(pl.String).is_in(["true", "1"]))
    elif "label" in table.columns:
        table = table.filter(pl.col("label").cast(pl.String) == FRAUD)
    return table.filter(pl.col("transaction_id").is_not_null())


class LateLabels:
    """Keeps the payments that are labelled as frauds until their labels are due."""

    def __init__(self, frauds: frozenset[str], delay_days: int) -> None:
        self._frauds = pl.Series(sorted(frauds), dtype=pl.String).implode()
        self._delay = delay_days
        self._waiting: list[pl.DataFrame] = []

    def due(self, batch: pl.DataFrame) -> pl.DataFrame | None:
        """Return earlier frauds whose labels are due within this batch, then note those in it.

        The batch has the columns TRANSACTION, in event-time order.
        """
        found = batch.filter(pl.col("transaction_id").is_in(self._frauds)).select(_NEEDED)
        before = self._waiting
        self._waiting = [*before, found] if found.height else before
        if not before or not batch.height:
            return None
        due = int(milliseconds(batch["timestamp"]).max() // DAY_MS) - self._delay
        waiting = pl.concat(self._waiting)
        is_due = pl.Series(milliseconds(waiting["timestamp"]) // DAY_MS < due)
        if not is_due.any():
            return None
        self._waiting = [waiting.filter(~is_due)]
        return waiting.filter(is_due)


_READERS: Final[Mapping[str, Callable[[Path], pl.DataFrame]]] = {
    ".csv": pl.read_csv,
    ".parquet": pl.read_parquet,
    ".jsonl": pl.read_ndjson,
}


def _table(path: Path) -> pl.DataFrame:
    reader = _READERS.get(path.suffix)
    if reader is None:
        raise InputError(f"{path} is no labels file; its name ends in .csv, .parquet or .jsonl")
    try:
        return reader(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(f"{path} cannot be read: {reason}") from error
