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

TRAFFIC = {10: "traffic_10s", 60: "traffic_1m", 3600: "traffic_1h", 86_400: "traffic_1d"}
"""Length of a window in seconds -> bucket: one each, since a bucket keeps its points equally long.

The service writes the two short ones, tasks in InfluxDB roll them up (`tasks`).
"""

COUNTED = (TRAFFIC[10], TRAFFIC[60])
"""Where the service that counts traffic writes."""

STORE_BUCKETS = (TRANSACTIONS, FEED, METRICS, CASES, QUARANTINE)
"""What a store must be able to read before it starts."""

USER_BUCKETS = 64
"""Into how many the tag `ub` spreads users: one user's rows are found without reading everybody's."""

NOTHING = "-"
"""What stands in a text field where there is nothing to say.

Not an empty text: where such stand between equal ones, Flux hands out texts with the wrong points (InfluxDB
2.7.12, seen; InfluxQL does not).
"""

ENTITY_DIGITS = 3
"""How many hexadecimal digits of an id's SHA-256 are its entity bucket (tags `ub` of `by_user` and `mb`).

4,096 of them: one user's month among 260 million transactions is found among 63,000.
"""

LAPS = 64
LAP = 1_000_000
"""Sequences in a lap: as many as there are nanoseconds below the millisecond of an event time."""


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may do: nothing beyond these buckets, and no administration."""

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()


ROLES: dict[str, Role] = {
    "services": Role(
        read=(TRANSACTIONS, FEED, METRICS, *TRAFFIC.values(), ANOMALIES, CASES, QUARANTINE),
        write=(TRANSACTIONS, FEED, METRICS, *COUNTED, ANOMALIES, CASES, QUARANTINE, AUDIT),
    ),
    "collector": Role(
        read=(TRANSACTIONS, FEED, METRICS, *COUNTED, QUARANTINE),
        write=(TRANSACTIONS, FEED, METRICS, *COUNTED, QUARANTINE),
    ),
    "detector": Role(
        read=(TRANSACTIONS, FEED, METRICS, ANOMALIES, CASES), write=(METRICS, ANOMALIES, CASES, AUDIT)
    ),
    "notifier": Role(read=(METRICS,), write=(METRICS, AUDIT)),
    "operator": Role(read=(METRICS, *TRAFFIC.values(), ANOMALIES)),
    "investigator": Role(read=(METRICS, *TRAFFIC.values(), ANOMALIES, CASES, TRANSACTIONS)),
    "administrator": Role(read=(AUDIT,)),
}
"""A token for each; `services` is for one process that runs every room."""


def needed_by(role: str) -> tuple[str, ...]:
    """Return the buckets of a store that a process in this role must be able to read."""
    return tuple(bucket for bucket in (*STORE_BUCKETS, AUDIT) if bucket in ROLES[role].read)


SPARE = timedelta(days=5)
"""How much longer minutes of traffic are kept than transactions may be late: roll-ups need whole days."""


def retentions(policy: RetentionPolicy) -> dict[str, timedelta]:
    """Return how long each bucket keeps its points; zero is for ever."""
    return {
        TRANSACTIONS: policy.transactions,
        FEED: policy.feed,
        METRICS: policy.series,
        TRAFFIC[10]: policy.traffic_10s,
        TRAFFIC[60]: _minutes(policy),
        TRAFFIC[3600]: policy.traffic_1h,
        TRAFFIC[86_400]: policy.traffic_1d,
        ANOMALIES: policy.anomalies,
        CASES: policy.anomalies,
        QUARANTINE: policy.quarantine,
        AUDIT: timedelta(0),
    }


def _minutes(policy: RetentionPolicy) -> timedelta:
    if not policy.traffic_1m:
        return policy.traffic_1m
    return max(policy.traffic_1m, policy.transactions + SPARE)
