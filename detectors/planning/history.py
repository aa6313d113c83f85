"""The stored past, in order of event time, a few hours at a time."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl

from txwatch.canary import Canaries, without
from txwatch.ports import TransactionQuery, TransactionStore

AT_ONCE = timedelta(hours=6)


def newest(store: TransactionStore) -> datetime | None:
    """Return the event time of the newest transaction, None when there is none."""
    found = store.transactions(TransactionQuery(limit=1))["timestamp"].max()
    return found if isinstance(found, datetime) else None


def between(
    store: TransactionStore, since: datetime, until: datetime, canaries: Canaries | None
) -> Iterator[pl.DataFrame]:
    """Yield the transactions of [since, until) (columns FEED), less the canaries, whose time is over."""
    while since < until:
        end = min(since + AT_ONCE, until)
        rows = without(store.transactions(TransactionQuery(since=since, until=end)), canaries)
        if not rows.is_empty():
            yield rows
        since = end
