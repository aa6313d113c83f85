"""How many transactions are stored of each window: from the traffic where it was counted, else one by one."""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import polars as pl

from txwatch.canary import Canaries, without
from txwatch.coverage import WINDOW, WINDOW_SECONDS, start_of
from txwatch.ports import Store, TrafficQuery, TransactionQuery

AT_ONCE = timedelta(hours=6)
MINUTE = 60


def stored_counts(
    store: Store, since: datetime, until: datetime, canaries: Canaries | None
) -> dict[datetime, int]:
    """Return how many transactions are stored of each window that starts in [since, until), less canaries."""
    counts: Counter[datetime] = Counter()
    query = TrafficQuery(since=since, until=until, seconds=MINUTE, dimension="all")
    for point in store.traffic(query):
        counts[start_of(point.start)] += point.count
    for first, end in _uncounted(since, until, counts):
        rows = without(store.transactions(TransactionQuery(since=first, until=end)), canaries)
        numbers = rows["timestamp"].dt.epoch("s") // WINDOW_SECONDS * WINDOW_SECONDS
        starts = pl.from_epoch(numbers, time_unit="s").dt.replace_time_zone("UTC")
        counts.update(starts.to_list())
    return dict(counts)


def _uncounted(
    since: datetime, until: datetime, counts: Mapping[datetime, int]
) -> Iterator[tuple[datetime, datetime]]:
    """Yield stretches of at most six hours without traffic."""
    start = since
    while start < until:
        if start in counts:
            start += WINDOW
            continue
        end = start
        while end < until and end not in counts and end - start < AT_ONCE:
            end += WINDOW
        yield start, end
        start = end
