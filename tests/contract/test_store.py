"""Every store keeps the promises of `txwatch.ports`: one check-list, every implementation."""

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from influx_fixtures import InfluxStores

from txwatch.columns import FEED, POSITION, TRANSACTION, frame
from txwatch.model import (
    Anomaly,
    AnomalyState,
    AnomalyType,
    Cursor,
    Mode,
    Partition,
    Quarantined,
    Reason,
    Rejected,
    Severity,
    Status,
    Transaction,
    series_anomaly_id,
    transaction_anomaly_id,
)
from txwatch.ports import (
    AnomalyQuery,
    Clock,
    RetentionPolicy,
    SeriesPoint,
    SeriesQuery,
    Store,
    TransactionQuery,
)
from txwatch.stores.sqlite import SqliteStore
from txwatch.testing import ManualClock, MemoryStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def sqlite(folder: Path, clock: Clock) -> Store:
    return SqliteStore(folder / "store.db", clock, writer=True)


def memory(folder: Path, clock: Clock) -> Store:
    return MemoryStore(clock)


Opener = Callable[[Path, Clock], Store]
STORES = ("memory", "sqlite", "influx")
"""Every implementation; a new one is added here, and its fixture `<name>_store`."""


@pytest.fixture(scope="session")
def memory_store() -> Opener:
    return memory


@pytest.fixture(scope="session")
def sqlite_store() -> Opener:
    return sqlite


@pytest.fixture(scope="session")
def influx_store(influxdb) -> Opener:
    """The real server, a fresh organisation each time."""
    return lambda folder, clock: InfluxStores(influxdb).open(clock)


@pytest.fixture(scope="module", params=STORES)
def opener(request) -> Opener:
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def clock():
    return ManualClock(NOON)


@pytest.fixture
def store(opener, tmp_path, clock) -> Iterator[Store]:
    opened = opener(tmp_path, clock)
    yield opened
    opened.close()


def rows(
    count: int, *, source: str = "topic", partition: int = 0, first: int = 0, **fields: object
) -> pl.DataFrame:
    """Transactions in a row at one place of a source, one second apart."""
    made = [
        Transaction(
            **(
                {
                    "transaction_id": f"{source}-{partition}-{n}",
                    "timestamp": NOON + timedelta(seconds=n),
                    "user_id": f"u{n % 3}",
                    "merchant_id": f"m{n % 2}",
                    "amount": 10.0 + n,
                    "currency": "EUR",
                }
                | fields
            )
        )
        for n in range(first, first + count)
    ]
    position = pl.DataFrame(
        {
            "source": [source] * count,
            "partition": [partition] * count,
            "sequence": range(first, first + count),
        },
        schema=POSITION,
    )
    return position.hstack(frame(made))


def keys(found: pl.DataFrame) -> list[tuple[str, int, int]]:
    return list(found.select("source", "partition", "sequence").iter_rows())


def read_all(store: Store, limit: int) -> list[tuple[str, int, int]]:
    """Read the feed to its end in steps of `limit`."""
    cursors: dict[Partition, Cursor] = {}
    seen = []
    while not (part := store.feed(cursors, limit)).is_empty():
        seen += keys(part)
        for source, partition, sequence, arrival in part.select(
            "source", "partition", "sequence", "arrival"
        ).iter_rows():
            cursors[Partition(source, partition)] = Cursor(arrival, sequence)
    return seen


def anomaly(**fields: object) -> Anomaly:
    reason = Reason(
        code="place", sentence="far away", detector="place", type=AnomalyType.PLACE, entity_kind="user"
    )
    values = {
        "anomaly_id": transaction_anomaly_id("topic", 0, 7),
        "kind": "transaction",
        "type": AnomalyType.AMOUNT,
        "timestamp": NOON,
        "detected_at": NOON,
        "severity": Severity.MEDIUM,
        "score": 60.0,
        "reasons": (reason,),
        "entity_kind": "user",
        "entity_id": "u1",
        "user_id": "u1",
        "merchant_id": "m1",
        "transaction_id": "t7",
        "rules": ("velocity",),
    }
    return Anomaly(**(values | fields))


def test_what_was_appended_comes_back_whole(store):
    """Every column of a transaction survives, nulls included."""
    full = rows(
        2, status=Status.DECLINED, channel="web", country="DE", lat=52.5, lon=13.4, device_id="d",
        ip="10.0.0.1", card_id="c", merchant_category="food", extra='{"a": 1}',
    )  # fmt: skip
    bare = rows(2, first=2)

    store.append(full)
    store.append(bare)

    found = store.feed({}, 10)
    assert found.schema == pl.Schema(FEED)
    assert found.drop("arrival").equals(pl.concat([full, bare]))


def test_arrivals_grow_strictly_even_when_the_clock_steps_back(store, clock):
    """A clock that is set back neither repeats nor reorders anything."""
    store.append(rows(3))
    clock.advance(-timedelta(hours=1))
    store.append(rows(3, first=3))

    arrivals = store.feed({}, 10)["arrival"].to_list()

    assert arrivals == sorted(set(arrivals))
    assert read_all(store, 2) == [("topic", 0, n) for n in range(6)]


def test_a_redelivery_after_a_restart_changes_nothing(store):
    """The same messages again are the same records; a reader who has passed them sees nothing new."""
    store.append(rows(5))
    last = store.feed({}, 10).row(-1, named=True)
    cursors = {Partition("topic", 0): Cursor(last["arrival"], last["sequence"])}

    store.append(rows(7))

    assert keys(store.feed(cursors, 10)) == [("topic", 0, 5), ("topic", 0, 6)]
    assert store.counts()["transactions"] == 7


def test_what_is_at_or_below_the_last_sequence_is_a_redelivery(store):
    """However the batches were cut before the restart, and within one batch too."""
    store.append(rows(3, first=5))
    store.append(pl.concat([rows(9), rows(10)]))

    assert read_all(store, 4) == [("topic", 0, n) for n in range(5, 10)]


@pytest.mark.parametrize(
    "text", ["it's", 'say "hi"', "a,b c=d", "back\\slash\\", "line\nbreak", "tab\t", "ü 😀", "x" * 5000]
)
def test_any_text_of_a_producer_survives(store, text):
    """No character of an id or of another field is special, in writing or in asking."""
    written = rows(1, source=text, user_id=text, merchant_id=text, transaction_id=text, extra=text)
    store.append(written)

    assert store.feed({}, 10).drop("arrival").equals(written)
    assert store.transactions(TransactionQuery(user_id=text)).drop("arrival").equals(written)


def test_closing_twice_is_safe(opener, tmp_path, clock):
    """Whoever cleans up need not know who was first."""
    store = opener(tmp_path, clock)

    store.close()
    store.close()


def test_two_topics_with_the_same_partition_and_offsets_stay_apart(store):
    """The source is part of the identity."""
    store.append(rows(3, source="a"))
    store.append(rows(3, source="b"))

    assert sorted(read_all(store, 2)) == [(s, 0, n) for s in ("a", "b") for n in range(3)]


def test_ten_thousand_transactions_of_one_and_the_same_time_stay_ten_thousand(store):
    """Date-only timestamps, as some producers send them, lose nothing."""
    store.append(rows(10_000, timestamp=NOON))

    assert store.feed({}, 20_000).height == 10_000
    assert store.transactions(TransactionQuery(since=NOON, until=NOON + MINUTE)).height == 10_000


def test_an_old_event_time_is_found_by_its_arrival(store):
    """The feed is by arrival: history that is replayed later is read later, not missed."""
    store.append(rows(2))
    cursors = {Partition("topic", 0): Cursor(store.feed({}, 10)["arrival"][-1], 1)}

    store.append(rows(1, first=2, timestamp=NOON - timedelta(days=20)))
    store.append(rows(1, source="replay", timestamp=NOON - timedelta(days=20)))

    assert keys(store.feed(cursors, 10)) == [("topic", 0, 2), ("replay", 0, 0)]


@given(
    batches=st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 1), st.integers(1, 4)), max_size=8
    ),
    limit=st.integers(1, 7),
)
@settings(max_examples=25, deadline=None)
def test_the_feed_never_skips_or_repeats(opener, tmp_path_factory, batches, limit):
    """Whatever the interleaving of partitions and the size of a read, each row is read once."""
    store = opener(tmp_path_factory.mktemp("store"), ManualClock(NOON))
    following: dict[tuple[str, int], int] = {}
    for source, partition, count in batches:
        first = following.get((source, partition), 0)
        store.append(rows(count, source=source, partition=partition, first=first))
        following[source, partition] = first + count

    seen = read_all(store, limit)
    store.close()

    assert sorted(seen) == sorted((s, p, n) for (s, p), end in following.items() for n in range(end))


def test_transactions_are_found_by_time_user_merchant_and_id(store):
    """Half-open in time, oldest first, the newest where a limit cuts."""
    store.append(rows(12))

    def ids(**query: object) -> list[int]:
        return store.transactions(TransactionQuery(**query))["sequence"].to_list()

    assert ids(since=NOON + timedelta(seconds=2), until=NOON + timedelta(seconds=5)) == [2, 3, 4]
    assert ids(user_id="u1") == [1, 4, 7, 10]
    assert ids(merchant_id="m0", limit=2) == [8, 10]
    assert ids(transaction_id="topic-0-9") == [9]


def test_a_regrade_leaves_one_anomaly(store):
    """The same anomaly found again replaces the first."""
    store.put_anomalies([anomaly()])
    store.put_anomalies([anomaly(severity=Severity.CRITICAL, score=97.0, type=AnomalyType.PATTERN)])

    found = store.anomalies(AnomalyQuery())

    assert [(a.severity, a.score) for a in found] == [(Severity.CRITICAL, 97.0)]


def test_what_is_withdrawn_is_found_by_its_id_or_when_asked_for(store):
    """It stays one record, but in no list, count or severity; found again, it is there as before."""
    gone = anomaly(state=AnomalyState.WITHDRAWN, revision=1, before=Severity.HIGH)
    store.put_anomalies([anomaly(severity=Severity.CRITICAL)])
    store.put_anomalies([gone])
    listed = store.anomalies(AnomalyQuery())
    high = store.anomalies(AnomalyQuery(withdrawn=True, min_severity=Severity.MEDIUM))
    asked = (
        store.anomalies(AnomalyQuery(withdrawn=True)),
        store.anomalies(AnomalyQuery(anomaly_id=gone.anomaly_id)),
    )
    store.put_anomalies([anomaly(revision=2)])

    assert (listed, high, asked) == ([], [], ([gone], [gone]))
    assert [a.revision for a in store.anomalies(AnomalyQuery())] == [2]


def test_two_merchants_in_the_same_minute_stay_two(store):
    """Series anomalies of one window are told apart by their series."""
    store.put_anomalies(
        [
            anomaly(anomaly_id=series_anomaly_id(name, NOON), kind="series", series=name, sequence=n)
            for n, name in enumerate(("merchant:m1", "merchant:m2"))
        ]
    )

    assert {a.series for a in store.anomalies(AnomalyQuery())} == {"merchant:m1", "merchant:m2"}


def test_an_anomaly_comes_back_as_it_was(store):
    """Reasons, facts and times survive."""
    found = anomaly(detectors={"place": 4.5}, versions={"rules": "abc"}, arrived_at=NOON, mode=Mode.SHADOW)

    store.put_anomalies([found])

    assert store.anomalies(AnomalyQuery(anomaly_id=found.anomaly_id)) == [found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"min_severity": Severity.HIGH}, "bc"),
        ({"type": "place"}, "abcd"),
        ({"type": "frequency"}, "c"),
        ({"rule": "velocity"}, "abd"),
        ({"rule": "velo"}, ""),
        ({"user_id": "u2"}, "b"),
        ({"merchant_id": "m2"}, "d"),
        ({"transaction_id": "t-c"}, "c"),
        ({"mode": Mode.SHADOW}, "d"),
        ({"mode": Mode.CANARY}, "e"),
        ({"anomaly_id": "e"}, "e"),
        ({"since": NOON + 2 * MINUTE}, "cd"),
        ({"until": NOON + 2 * MINUTE}, "ab"),
        ({"limit": 2}, "cd"),
    ],
    ids=str,
)
def test_anomalies_are_found_by_every_filter(store, query, expected):
    """Filters are exact, windows half-open, the newest come first."""
    store.put_anomalies(
        [
            anomaly(anomaly_id="a", timestamp=NOON),
            anomaly(anomaly_id="b", timestamp=NOON + MINUTE, severity=Severity.HIGH, user_id="u2"),
            anomaly(
                anomaly_id="c", timestamp=NOON + 2 * MINUTE, severity=Severity.CRITICAL, transaction_id="t-c",
                type=AnomalyType.FREQUENCY, rules=("other",),
            ),
            anomaly(anomaly_id="d", timestamp=NOON + 3 * MINUTE, merchant_id="m2", mode=Mode.SHADOW),
            anomaly(anomaly_id="e", timestamp=NOON + 4 * MINUTE, severity=Severity.HIGH, mode=Mode.CANARY),
        ]
    )  # fmt: skip

    found = [a.anomaly_id for a in store.anomalies(AnomalyQuery(**query))]

    assert found == sorted(expected, reverse=True)


def test_a_window_of_a_series_is_one_point(store):
    """Writing it again replaces it; windows come back oldest first and half-open."""
    points = [
        SeriesPoint(series=name, start=NOON + n * MINUTE, seconds=60, value=float(n))
        for n in (2, 0, 1)
        for name in ("all", "channel:web")
    ]
    store.put_series(points)
    revised = msgspec.structs.replace(points[0], value=9.0, expected=2.0, low=1.0, high=3.0, score=0.9)

    store.put_series([revised])

    found = store.series(SeriesQuery(series="all", since=NOON + MINUTE, until=NOON + 3 * MINUTE))
    assert found == [SeriesPoint(series="all", start=NOON + MINUTE, seconds=60, value=1.0), revised]


def test_a_quarantined_message_is_kept_once(store):
    """A redelivery of a bad message is the same record, and the first reason stays."""

    def record(n: int, code: str) -> Quarantined:
        why = Rejected(code=code, sentence="no", raw=b"\xff\x00", length=2, sha256="00")
        return Quarantined(source="topic", partition=0, sequence=n, received_at=NOON, rejected=why)

    store.quarantine([record(1, "not_json"), record(2, "missing_field")])
    store.quarantine([record(1, "other")])

    assert store.quarantined() == [record(2, "missing_field"), record(1, "not_json")]
    assert store.quarantined(code="not_json") == [record(1, "not_json")]
    assert store.quarantined(limit=1) == [record(2, "missing_field")]


def test_expiry_deletes_what_is_too_old_and_nothing_else(store):
    """By event time; what is exactly at the border stays."""
    store.append(rows(100, timestamp=NOON - timedelta(days=31)))
    store.append(rows(1, first=100, timestamp=NOON - timedelta(days=30)))
    store.put_anomalies([anomaly(timestamp=NOON - timedelta(days=500)), anomaly(anomaly_id="new")])

    gone = store.expire(RetentionPolicy(), NOON)

    assert gone == {"transactions": 100, "anomalies": 1, "series": 0, "quarantine": 0}
    assert store.counts()["transactions"] == 1
    assert [a.anomaly_id for a in store.anomalies(AnomalyQuery())] == ["new"]


def test_replay_then_score_reads_everything_once(store):
    """A second source with the same transactions is read beside the first, in order of arrival."""
    shuffled = list(range(20))
    random.Random(3).shuffle(shuffled)
    store.append(rows(20))
    for n in range(20):
        store.append(rows(1, source="replay", first=n))

    assert len(set(read_all(store, 3))) == 40


def test_columns_of_the_feed_are_the_published_ones():
    """Nothing was forgotten when a column was added."""
    assert set(FEED) == set(POSITION) | {"arrival"} | set(TRANSACTION)
