"""Series: results do not depend on how the input is cut, nor on what comes later."""

import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.series.scorer import ScorerSettings, SeriesScorer
from detectors.series.traffic import TrafficSettings, TrafficWatch
from detectors.series.windows import OpenWindows, grouped
from txwatch import columns
from txwatch.model import Status, Transaction

START = datetime(2025, 3, 10, tzinfo=UTC)

values = st.lists(
    st.one_of(st.floats(-1e9, 1e9), st.integers(0, 50).map(float), st.just(float("nan"))), max_size=400
)
cuts = st.lists(st.integers(0, 400), max_size=6)


def transactions(rows):
    """Rows of (seconds after the start, merchant, amount, declined)."""
    return columns.frame(
        [
            Transaction(
                transaction_id=str(number),
                timestamp=START + timedelta(seconds=seconds),
                user_id="u",
                merchant_id=f"m{merchant}",
                amount=amount,
                currency="EUR",
                status=Status.DECLINED if declined else Status.APPROVED,
                channel="web" if merchant else None,
            )
            for number, (seconds, merchant, amount, declined) in enumerate(rows)
        ]
    )


rows = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(0, 3), st.floats(0, 1e6), st.booleans()), max_size=120
)


def pieces(length, at):
    edges = sorted({0, length, *(cut for cut in at if cut < length)})
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


@settings(max_examples=40, deadline=None)
@given(values=values, cuts=cuts, interval=st.sampled_from([None, 60.0, 3600.0]))
def test_scores_are_independent_of_cuts(values, cuts, interval):
    """Any cutting of calls gives the same scores to the last bit, and every score is within 0..1."""
    numbers = np.array(values)
    times = np.arange(len(numbers)) * 60_000
    whole = SeriesScorer(ScorerSettings(interval_seconds=interval)).step(times, numbers).score
    scorer = SeriesScorer(ScorerSettings(interval_seconds=interval))

    parts = [scorer.step(times[p], numbers[p]).score for p in pieces(len(numbers), cuts)]

    np.testing.assert_array_equal(np.concatenate([np.zeros(0), *parts]), whole)
    assert ((whole >= 0) & (whole < 1)).all()


@settings(max_examples=30, deadline=None)
@given(rows=rows, cuts=cuts)
def test_traffic_is_independent_of_batches(rows, cuts):
    """Points, anomalies, late rows and state are the same for any batches, a restart between each."""
    feed = transactions(rows)
    options = TrafficSettings(window_seconds=60, choice_hours=0.2, least_transactions=2)
    whole = TrafficWatch(options)
    expected = whole.step(feed)
    points, anomalies, watch = [], [], TrafficWatch(options)

    for part in pieces(feed.height, cuts):
        restarted = TrafficWatch(options)
        restarted.restore(watch.dump())
        watch = restarted
        new_points, new_anomalies = watch.step(feed[part])
        points += new_points
        anomalies += new_anomalies

    assert (points, anomalies) == expected
    assert (watch.late, watch.series) == (whole.late, whole.series)


@settings(max_examples=30, deadline=None)
@given(rows=rows)
def test_late_rows_leave_the_windows_that_rows_in_order_would(rows):
    """What is written last of each window is what was in it, in whatever order it came."""
    options = TrafficSettings(window_seconds=60, choice_hours=5.0)
    end = (20_000, 0, 1.0, False)
    came, in_order = TrafficWatch(options), TrafficWatch(options)
    first = [(-60, 0, 1.0, False), (-1, 0, 1.0, False), (60, 0, 1.0, False)]
    points, _ = came.step(transactions([*first, *rows, end]))
    expected, _ = in_order.step(transactions([*first, *sorted(rows), end]))

    assert came.ignored == 0
    assert {(p.series, p.start): p.value for p in points} == {(p.series, p.start): p.value for p in expected}


@settings(max_examples=60, deadline=None)
@given(rows=rows)
def test_every_row_is_counted_once_or_late(rows):
    """Closed, open and late rows add up; windows close in order, without a hole."""
    feed = transactions(rows)
    windows = OpenWindows(60, 5.0, {})

    windows.add(feed)
    closed = list(windows.closed())
    far = transactions([(10_000, 0, 1.0, False)])
    windows.add(far)
    closed += list(windows.closed())

    numbers = [window for window, _ in closed]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
    counted = sum(totals[("all", "")][0] for _, totals in closed if totals)
    assert counted + windows.late == feed.height


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-1, 3), st.integers(0, 10**6), st.integers(0, 1)),
        max_size=50,
    )
)
def test_grouping_is_what_a_dictionary_would_do(rows):
    """Counts, sums and maxima of groups agree with the plainest way."""
    expected = {}
    for window, entity, amount, declined in rows:
        if entity >= 0:
            n, a, d, m = expected.get((window, entity), (0, 0, 0, 0))
            expected[window, entity] = (n + 1, a + amount, d + declined, max(m, amount))
    columns_of = np.array(rows, np.int64).reshape(-1, 4).T

    found = {(w, e): tuple(rest) for w, e, *rest in grouped(*columns_of)}

    assert found == expected


def test_an_empty_batch_changes_nothing():
    """A feed without rows gives nothing and is no error."""
    watch = TrafficWatch()

    assert watch.step(pl.DataFrame(schema=columns.FEED)) == ([], [])
