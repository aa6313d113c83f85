"""Merchants' hours that are being counted: a row of absolute values a partition, hour and merchant.

As with windows of traffic, an hour says how far it reaches (`through`), so the store alone knows what is
counted: an hour that this process has not seen is read first, and what it holds already is left out.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

import polars as pl

from txwatch.columns import MERCHANT_HOUR, POSITION
from txwatch.model import Partition

KEY = ("source", "partition", "start", "merchant_id")
SUMS = ("count", "declined", "paid", "total", "log_total", "log_squares")
LARGEST = ("through", "largest")
KEPT = 3
"""Writings after which an hour (of a partition) that nothing was counted in leaves the memory."""

Hour = tuple[str, int, datetime]
Load = Callable[[Partition, datetime], pl.DataFrame]


class MerchantHours:
    """Counts transactions; `load` gives what the store has of an hour, `rates` are as in metrics."""

    def __init__(self, load: Load, rates: Mapping[str, float]) -> None:
        self._load = load
        self._rates = dict(rates)
        self._table = pl.DataFrame(schema={**MERCHANT_HOUR, "dirty": pl.Boolean})
        self._touched: dict[Hour, int] = {}
        self._round = 0

    def __len__(self) -> int:
        """Return how many rows are held."""
        return self._table.height

    @property
    def dirty(self) -> int:
        """How many rows changed since they were written."""
        return int(self._table["dirty"].sum())

    def add(self, rows: pl.DataFrame) -> None:
        """Count rows of the feed (columns FEED), except those that their hour holds already."""
        figures = _figures(rows, self._rates)
        self._know(figures)
        reached = self._table.select(*KEY, reached="through")
        fresh = figures.join(reached, on=list(KEY), how="left", maintain_order="left").filter(
            pl.col("reached").is_null() | (pl.col("sequence") > pl.col("reached"))
        )
        if fresh.is_empty():
            return
        together = pl.concat([self._table, _summed(fresh).select(self._table.columns)])
        self._table = together.group_by(KEY).agg(
            pl.col(SUMS).sum(), pl.col(LARGEST).max(), pl.col("dirty").any()
        )

    def changed(self) -> pl.DataFrame:
        """Return the hours that changed since they were written (columns MERCHANT_HOUR)."""
        return self._table.filter("dirty").select(list(MERCHANT_HOUR))

    def clean(self) -> None:
        """Note that everything is written; keep the hours that were touched of late."""
        self._round += 1
        kept = {hour: last for hour, last in self._touched.items() if last > self._round - KEPT}
        self._touched = kept
        hours = pl.DataFrame(list(kept), schema={name: MERCHANT_HOUR[name] for name in KEY[:3]}, orient="row")
        self._table = self._table.join(hours, on=list(KEY[:3]), how="semi").with_columns(dirty=False)

    def _know(self, figures: pl.DataFrame) -> None:
        """Read the hours that are counted for the first time, or again after a long time."""
        for hour in figures.select(KEY[:3]).unique(maintain_order=True).rows():
            if hour not in self._touched:
                source, partition, start = hour
                stored = self._load(Partition(source, partition), start)
                clean = stored.with_columns(dirty=False).select(self._table.columns)
                self._table = pl.concat([self._table, clean])
            self._touched[hour] = self._round


def _figures(rows: pl.DataFrame, rates: Mapping[str, float]) -> pl.DataFrame:
    """Return what is counted of each row, with the key of its hour."""
    rate = (
        pl.col("currency").replace_strict(rates, default=None, return_dtype=pl.Float64)
        if rates
        else pl.lit(1.0)
    )
    base = pl.col("amount") * rate
    paid = (pl.col("status") == "approved") & base.is_not_null() & (base > 0.0)
    amount = pl.when(paid).then(base)
    return rows.select(
        *POSITION,
        "merchant_id",
        start=pl.col("timestamp").dt.truncate("1h"),
        declined=pl.col("status") == "declined",
        paid=paid,
        amount=amount,
        log=amount.log(),
    )


def _summed(figures: pl.DataFrame) -> pl.DataFrame:
    return figures.group_by(KEY).agg(
        count=pl.len().cast(pl.Int64),
        declined=pl.col("declined").sum().cast(pl.Int64),
        paid=pl.col("paid").sum().cast(pl.Int64),
        total=pl.col("amount").sum(),
        largest=pl.col("amount").max().fill_null(0.0),
        log_total=pl.col("log").sum(),
        log_squares=(pl.col("log") ** 2).sum(),
        through=pl.col("sequence").max(),
        dirty=pl.lit(True),
    )
