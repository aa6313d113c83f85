"""The labels of a backtest, as they are compared with scores; no detector ever sees this table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from detectors.labels import read_labels
from txwatch.errors import InputError

_KIND_COLUMNS: Final = ("kind", "scenario")


def read_truth(path: Path, leave_out: Sequence[str]) -> pl.DataFrame:
    """Return one row a fraud: transaction_id, kind (text), episode (number or null), is_left_out.

    The file is what `score --labels` reads; optional columns are `episode` and `kind` (or `scenario`).
    Frauds whose kind is in `leave_out` count neither as right nor as wrong.  Raises InputError.
    """
    table = read_labels(path)
    kind = next((pl.col(name) for name in _KIND_COLUMNS if name in table.columns), pl.lit("fraud"))
    episode = pl.col("episode") if "episode" in table.columns else pl.lit(None)
    truth = table.select(
        transaction_id=pl.col("transaction_id").cast(pl.String),
        kind=kind.cast(pl.String).fill_null(""),
        episode=episode.cast(pl.String).rank("dense").cast(pl.Int64),
    ).unique("transaction_id", keep="first", maintain_order=True)
    unknown = sorted(set(leave_out) - set(truth["kind"].to_list()))
    if unknown:
        known = ", ".join(sorted(set(truth["kind"].to_list())))
        raise InputError(f"{path} has no frauds of kind {unknown[0]!r}; it has {known}")
    return truth.with_columns(is_left_out=pl.col("kind").is_in(leave_out))
