"""Arrivals: growing, never back, never across an hour; redeliveries get none."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from txwatch.columns import FEED, POSITION
from txwatch.model import Cursor, Partition
from txwatch.stores.influx.feed import without_redeliveries
from txwatch.stores.influx.transactions import HOUR, LONGEST, numbered, within_an_hour, without_unstorable

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def rows(*positions):
    return pl.DataFrame(
        [{"source": s, "partition": p, "sequence": n, "timestamp": NOW} for s, p, n in positions], schema=FEED
    ).drop("arrival")


@given(st.integers(0, 10 * HOUR), st.integers(1, 100_000))
def test_one_write_lies_in_one_hour(first, count):
    """The arrivals of a write are never before the first possible one and never in two shards."""
    start = within_an_hour(first, count)

    assert start >= first
    assert start // HOUR == (start + count - 1) // HOUR


def test_a_row_that_was_fed_gets_no_arrival():
    """Rows at or below the last sequence of their own partition are redeliveries; the others grow."""
    last = {Partition("a", 0): Cursor(5, 1), Partition("b", 0): Cursor(-1, -1)}
    found = numbered(rows(("a", 0, 1), ("b", 0, 0), ("a", 0, 2), ("b", 0, 1)), last, 100)

    assert found["arrival"].to_list() == [None, 101, 102, 103]


sequences = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), max_size=30)


@given(sequences, st.integers(-1, 20))
def test_a_reader_sees_growing_sequences_only(written, cursor):
    """Whatever was written twice, each partition's rows come out above the cursor and strictly growing."""
    frame = rows(*(("a", partition, sequence) for partition, sequence in written))
    found = without_redeliveries(frame, {Partition("a", p): Cursor(0, cursor) for p in (0, 1)})

    for partition in (0, 1):
        own = found.filter(pl.col("partition") == partition)["sequence"].to_list()
        all_sequences = [n for p, n in written if p == partition and n > cursor]
        assert own == sorted(set(own))
        assert max(own, default=None) == max(all_sequences, default=None)


def test_what_the_store_never_takes_is_refused_with_a_sentence():
    """Too old and too long are told apart; the rest is left."""
    frame = rows(("a", 0, 1), ("a", 0, 2), ("a", 0, 3)).with_columns(
        extra=pl.Series(["", "x" * (LONGEST + 1), ""]),
        timestamp=pl.Series([NOW, NOW, NOW - timedelta(days=31)], dtype=FEED["timestamp"]),
    )
    refused, rest = without_unstorable(frame, NOW, timedelta(days=30))

    assert [(each.sequence, each.sentence) for each in refused] == [
        (2, f"its texts are longer than {LONGEST} bytes"),
        (3, "its time is more than 30 days ago"),
    ]
    assert rest.select(list(POSITION)).rows() == [("a", 0, 1)]
