"""The embedded store answers like the simple one, whatever happened before and however it is asked."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from txwatch.columns import POSITION, frame
from txwatch.model import Cursor, Partition, Transaction
from txwatch.ports import RetentionPolicy, Store, TransactionQuery
from txwatch.stores.sqlite import SqliteStore
from txwatch.testing import ManualClock, MemoryStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
USERS = ("ann", "bob", "plumless", "buckeroo")  # the last two have the same fingerprint

days = st.integers(0, 40)
rows = st.tuples(st.integers(0, 1), st.integers(0, 30), days, st.sampled_from(USERS))
steps = st.one_of(
    st.tuples(st.just("append"), st.lists(rows, min_size=1, max_size=30)),
    st.tuples(st.just("expire"), days),
    st.tuples(st.just("clock"), st.integers(-3600, 3600)),
)
times = st.none() | days.map(lambda n: NOON - n * DAY) | st.just(NOON - DAY + timedelta(microseconds=1))
queries = st.builds(
    TransactionQuery,
    since=times,
    until=times,
    user_id=st.none() | st.sampled_from(USERS),
    transaction_id=st.none() | st.integers(0, 30).map(str),
    limit=st.none() | st.integers(0, 9),
)


def batch(made: list[tuple[int, int, int, str]]) -> pl.DataFrame:
    """Rows as a source may deliver them, again and out of order ones among them."""
    transactions = [
        Transaction(
            transaction_id=str(sequence), timestamp=NOON - day * DAY, user_id=user, merchant_id="m",
            amount=1.0, currency="EUR",
        )
        for _, sequence, day, user in made
    ]  # fmt: skip
    places = pl.DataFrame(
        [("s", partition, sequence) for partition, sequence, *_ in made], schema=POSITION, orient="row"
    )
    return places.hstack(frame(transactions))


def perform(store: Store, clock: ManualClock, step: tuple) -> object:
    """Do one thing to a store; returns what it answers."""
    match step:
        case "append", made:
            return store.append(batch(made))
        case "expire", days:
            return store.expire(RetentionPolicy(transactions=days * DAY), NOON)
        case "clock", seconds:
            return clock.advance(timedelta(seconds=seconds))


def pages(store: Store, limit: int) -> list[list[tuple]]:
    cursors: dict[Partition, Cursor] = {}
    found = []
    while not (page := store.feed(cursors, limit)).is_empty():
        found.append(page.drop("arrival").rows())
        for source, partition, sequence, arrival in page.select(
            "source", "partition", "sequence", "arrival"
        ).rows():
            cursors[Partition(source, partition)] = Cursor(arrival, sequence)
    return found


@given(
    steps=st.lists(steps, max_size=25),
    asked=st.lists(queries, min_size=1, max_size=6),
    limit=st.integers(1, 9),
)
@settings(max_examples=60)
def test_the_embedded_store_answers_like_the_simple_one(tmp_path_factory, steps, asked, limit):
    """Feed page by page, every question, every count."""
    clocks = ManualClock(NOON), ManualClock(NOON)
    path: Path = tmp_path_factory.mktemp("store") / "store.db"
    sqlite, memory = SqliteStore(path, clocks[0], writer=True), MemoryStore(clocks[1])
    for step in steps:
        assert perform(sqlite, clocks[0], step) == perform(memory, clocks[1], step)

    answers = [[s.transactions(query).drop("arrival").rows() for query in asked] for s in (sqlite, memory)]
    read = [pages(s, limit) for s in (sqlite, memory)]
    counts = [s.counts() for s in (sqlite, memory)]
    sqlite.close()

    assert answers[0] == answers[1]
    assert read[0] == read[1]
    assert counts[0] == counts[1]
