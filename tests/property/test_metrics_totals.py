"""Derived metrics equal a count by hand, however the feed is cut, restarted, interleaved or late."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.metrics.chosen import ChoiceSettings
from collector.metrics.merging import over_partitions
from collector.metrics.service import MetricsService, MetricsSettings
from txwatch.clock import SystemClock
from txwatch.columns import POSITION, TRANSACTION
from txwatch.errors import StoreBusyError
from txwatch.ledger import Ledger
from txwatch.ports import TrafficQuery
from txwatch.testing import ManualClock, MemoryStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CHOICE = ChoiceSettings(review=10, share=0.2, at_once=2, merchants=2)

transactions = st.fixed_dictionaries(
    {
        "partition": st.integers(0, 2),
        "second": st.integers(0, 150),
        "user": st.integers(0, 5),
        "merchant": st.integers(0, 3),
        "amount": st.sampled_from([0.01, 5.0, 5.0, 99.5, 1e6]),
        "status": st.sampled_from(["approved", "approved", "declined", "reversed"]),
        "channel": st.sampled_from(["web", "pos", None]),
    }
)


class FailingStore(MemoryStore):
    """Writes or reads of traffic fail when told so, before or after they are done."""

    def __init__(self, clock):
        super().__init__(clock)
        self.fail = ""

    def put_traffic(self, points):
        fail, self.fail = self.fail, ""
        if fail == "after":
            super().put_traffic(points[: len(points) // 2])
        if fail:
            raise StoreBusyError("busy")
        super().put_traffic(points)


def append(store, rows, following):
    """Put generated transactions into the store, as their partitions' next ones."""
    for row in rows:
        partition = row["partition"]
        sequence = following[partition]
        following[partition] += 1
        values = {
            "source": "topic", "partition": partition, "sequence": sequence,
            "transaction_id": f"{partition}-{sequence}", "timestamp": NOON + timedelta(seconds=row["second"]),
            "user_id": f"u{row['user']}", "merchant_id": f"m{row['merchant']}", "amount": row["amount"],
            "currency": "EUR", "status": row["status"], "channel": row["channel"],
        }  # fmt: skip
        store.append(pl.DataFrame([values], schema=POSITION | TRANSACTION))


def by_hand(store, seconds):
    """Count everything but merchants in one slow loop."""
    found = defaultdict(list)
    for row in store.feed({}, 10_000).iter_rows(named=True):
        start = NOON + (row["timestamp"] - NOON) // timedelta(seconds=seconds) * timedelta(seconds=seconds)
        for dimension in ("all", "channel", "country", "status"):
            value = "" if dimension == "all" else row[dimension] or "unknown"
            found[row["partition"], start, dimension, value].append(row)
    return {
        key: (
            len(rows),
            sum(r["status"] == "declined" for r in rows),
            pytest.approx(sum(r["amount"] for r in rows if r["status"] == "approved")),
            len({r["user_id"] for r in rows}),
            max(r["sequence"] for r in rows),
        )
        for key, rows in found.items()
    }


def counted(store, seconds):
    return {
        (p.partition, p.start, p.dimension, p.value): (p.count, p.declined, p.total, p.users, p.through)
        for p in store.traffic(TrafficQuery(seconds=seconds))
        if p.dimension != "merchant"
    }


def drain(service):
    while service.step().handled:
        pass


@given(
    steps=st.lists(
        st.tuples(
            st.lists(transactions, max_size=12),
            st.integers(1, 7),
            st.sampled_from(["", "", "close", "crash", "before", "after"]),
        ),
        max_size=6,
    ),
    flush=st.sampled_from([0.0, 1e9]),
    cells=st.sampled_from([3, 8192]),
)
@settings(max_examples=60)
def test_windows_equal_a_count_by_hand(tmp_path_factory, steps, flush, cells):
    """Any cuts, crashes between any two writes, restarts, evictions, interleavings and late rows."""
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('m') / 'ledger.db'}", SystemClock())
    store = FailingStore(ManualClock(NOON))
    following = defaultdict(int)

    def open_service(batch):
        chosen = MetricsSettings(batch=batch, flush_seconds=flush, cells=cells, choice=CHOICE)
        return MetricsService(store, ledger, ManualClock(NOON), chosen, monotonic=lambda: 0.0)

    service = open_service(5)
    for rows, batch, event in steps:
        append(store, rows, following)
        store.fail = event if event in {"before", "after"} else ""
        service.step()
        service.step()
        if event == "close":
            store.fail = ""
            service.close()
        if event:
            service = open_service(batch)
    store.fail = ""
    drain(service)
    service.close()
    ledger.close()

    assert counted(store, 10) == by_hand(store, 10)
    assert counted(store, 60) == by_hand(store, 60)


@given(rows=st.lists(transactions, min_size=1, max_size=60), cut=st.integers(1, 9))
@settings(max_examples=30)
def test_a_second_instance_takes_nothing_back(tmp_path_factory, rows, cut):
    """Two instances at different places of the feed, writing in turn, end with the same windows as one."""
    ledger = Ledger.open(f"sqlite:///{tmp_path_factory.mktemp('m') / 'ledger.db'}", SystemClock())
    store = MemoryStore(ManualClock(NOON))
    append(store, rows, defaultdict(int))

    def instance(batch):
        return MetricsService(
            store, ledger, ManualClock(NOON), MetricsSettings(batch=batch, flush_seconds=0.0)
        )

    slow, fast = instance(cut), instance(2 * cut)
    counts = []
    while slow.step().handled:
        fast.step()
        counts.append(sum(p.count for p in store.traffic(TrafficQuery(seconds=60, dimension="all"))))
    drain(fast)
    for service in (slow, fast):
        service.close()
    ledger.close()

    assert counts == sorted(counts)
    assert counted(store, 10) == by_hand(store, 10)


def test_a_late_transaction_revises_its_window(tmp_path):
    """Hours later, in another process, it is added to what its window holds."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", SystemClock())
    store, following = MemoryStore(ManualClock(NOON)), defaultdict(int)
    usual = {"partition": 0, "second": 5, "user": 1, "merchant": 1, "amount": 5.0, "status": "approved"}
    append(store, [usual | {"channel": "web"}, usual | {"channel": "web", "second": 9000}], following)
    first = MetricsService(store, ledger, ManualClock(NOON))
    drain(first)
    first.close()
    append(store, [usual | {"channel": "web", "user": 2}], following)

    second = MetricsService(store, ledger, ManualClock(NOON))
    drain(second)
    second.close()
    ledger.close()

    (window,) = store.traffic(TrafficQuery(seconds=60, dimension="all", until=NOON + timedelta(minutes=1)))
    assert (window.count, window.users, window.through) == (2, 2, 2)


def test_chosen_merchants_have_whole_windows_only(tmp_path):
    """A busy merchant is counted from the next full minute on, also after a restart, up to the cap."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", SystemClock())
    store, following = MemoryStore(ManualClock(NOON)), defaultdict(int)
    for minute in range(4):
        rows = [
            {
                "partition": n % 2, "second": 60 * minute + n, "user": n, "merchant": n % (minute + 2),
                "amount": 5.0, "status": "approved", "channel": "web",
            }
            for n in range(60)
        ]  # fmt: skip
        append(store, rows, following)
        service = MetricsService(store, ledger, ManualClock(NOON), MetricsSettings(choice=CHOICE))
        drain(service)
        service.close()
    ledger.close()

    points = store.traffic(TrafficQuery(seconds=60, dimension="merchant"))
    feed = store.feed({}, 1000)
    for (start, _, _, name), traffic in over_partitions(points).items():
        inside = (pl.col("timestamp") >= start) & (pl.col("timestamp") < start + timedelta(minutes=1))
        assert traffic.count == feed.filter(inside & (pl.col("merchant_id") == name)).height
    assert {p.value for p in points} == {"m0", "m1"}
    assert min(p.start for p in points) == NOON + timedelta(minutes=1)


def test_amounts_without_a_rate_are_counted_but_not_added_up(tmp_path):
    """With rates, totals and percentiles are in the base currency; the others count as transactions."""
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", SystemClock())
    store = MemoryStore(ManualClock(NOON))
    values = {
        "source": "s",
        "partition": 0,
        "timestamp": NOON,
        "user_id": "u",
        "merchant_id": "m",
        "amount": 10.0,
    }
    rows = [
        values | {"sequence": n, "transaction_id": str(n), "currency": currency, "status": "approved"}
        for n, currency in enumerate(("EUR", "USD", "JPY"))
    ]
    store.append(pl.DataFrame(rows, schema=POSITION | TRANSACTION))
    service = MetricsService(
        store, ledger, ManualClock(NOON), MetricsSettings(rates={"EUR": 1.0, "USD": 0.5})
    )
    drain(service)
    service.close()
    ledger.close()

    (window,) = store.traffic(TrafficQuery(seconds=60, dimension="all"))
    assert (window.count, window.total) == (3, 15.0)
    assert window.p50 == pytest.approx(5.0, rel=0.02)
