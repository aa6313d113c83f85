"""Which buckets there are, how long each keeps its points, and which role may do what with it.

Rights live in the data: whoever holds a token can read whole buckets and nothing else, so what different
people may see lies in different buckets.
"""

from datetime import timedelta

import msgspec

from txwatch.ports import RetentionPolicy

TRANSACTIONS = "transactions"
FEED = "feed"
METRICS = "metrics"
ANOMALIES = "anomalies"
CASES = "cases"
QUARANTINE = "quarantine"
AUDIT = "audit"

STORE_BUCKETS = (TRANSACTIONS, FEED, METRICS, CASES, QUARANTINE)
"""What a store must be able to read before it starts."""

USER_BUCKETS = 64
"""Into how many the tag `ub` spreads users: one user's rows are found without reading everybody's."""

LAPS = 64
LAP = 1_000_000
"""Sequences in a lap: as many as there are nanoseconds below the millisecond of an event time."""


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may do: nothing beyond these buckets, and no administration."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


ROLES: dict[str, Role] = {
    "services": Role(
        read=(TRANSACTIONS, FEED, METRICS, ANOMALIES, CASES, QUARANTINE),
        write=(TRANSACTIONS, FEED, METRICS, ANOMALIES, CASES, QUARANTINE),
    ),
    "collector": Role(
        read=(TRANSACTIONS, FEED, METRICS, QUARANTINE), write=(TRANSACTIONS, FEED, METRICS, QUARANTINE)
    ),
    "detector": Role(read=(TRANSACTIONS, FEED, METRICS, ANOMALIES, CASES), write=(METRICS, ANOMALIES, CASES)),
    "operator": Role(read=(METRICS, ANOMALIES)),
    "investigator": Role(read=(METRICS, ANOMALIES, CASES, TRANSACTIONS)),
    "administrator": Role(read=(AUDIT,)),
}
"""A token for each; `services` is for one process that runs every room."""


def retentions(policy: RetentionPolicy) -> dict[str, timedelta]:
    """Return how long each bucket keeps its points; zero is for ever."""
    return {
        TRANSACTIONS: policy.transactions,
        FEED: policy.feed,
        METRICS: policy.series,
        ANOMALIES: policy.anomalies,
        CASES: policy.anomalies,
        QUARANTINE: policy.quarantine,
        AUDIT: timedelta(0),
    }
