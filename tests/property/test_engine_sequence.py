"""The engine looks back only, and does not see where batches are cut."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.engine import Engine
from detectors.ordinary import START, stream
from detectors.settings import DetectionSettings, Forest

SETTINGS = DetectionSettings(
    rates={"USD": 0.9}, budget_per_day=5.0, remember_ids=512, forest=Forest(warm_up=700, refit_days=1)
)
COUNT = 2500


def eventful() -> pl.DataFrame:
    """Ordinary transactions, some in other currencies, out of order, twice, or with another status."""
    numbers = pl.int_range(pl.len())
    frame = stream(COUNT, users=30).with_columns(
        currency=pl.when(numbers % 11 == 5).then(pl.lit("JPY")).when(numbers % 13 == 5).then(pl.lit("USD"))
        .otherwise("currency"),
        timestamp=pl.col("timestamp") - pl.when(numbers % 17 == 3).then(pl.duration(seconds=50))
        .when(numbers % 101 == 3).then(pl.duration(hours=3)).otherwise(pl.duration()),
        amount=pl.when(numbers % 97 == 50).then(pl.col("amount") * 9).otherwise("amount"),
    )  # fmt: skip
    again = pl.when(numbers % 41 == 9).then(pl.col("transaction_id").shift(7)).otherwise("transaction_id")
    return frame.with_columns(again)


@pytest.fixture(scope="module")
def frame():
    return eventful()


@pytest.fixture(scope="module")
def whole(frame):
    return scores(frame, [COUNT])


def scores(frame: pl.DataFrame, cuts: list[int], *, restart: bool = False) -> dict[str, np.ndarray]:
    engine, parts, start = Engine(SETTINGS), [], 0
    for stop in cuts:
        scored = engine.step(frame[start:stop])
        parts.append(scored)
        start = stop
        if restart:
            engine = Engine.restore(engine.dump(), SETTINGS)
    names = ("score", "severity", "evidence", "threshold", "is_late", "is_duplicate", "is_status_change")
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}


def assert_same(left: dict[str, np.ndarray], right: dict[str, np.ndarray], count: int = COUNT) -> None:
    for name, values in left.items():
        np.testing.assert_array_equal(values[:count], right[name][:count], err_msg=name)


cut_lists = st.lists(st.integers(1, COUNT - 1), max_size=12, unique=True).map(sorted)


@settings(max_examples=15, deadline=None)
@given(cuts=cut_lists)
def test_cutting_the_stream_elsewhere_changes_nothing(frame, whole, cuts):
    """Scores, severities, evidence and flags are those of one single batch."""
    assert_same(whole, scores(frame, [*cuts, COUNT]))


@settings(max_examples=8, deadline=None)
@given(cuts=cut_lists)
def test_a_restart_changes_nothing(frame, whole, cuts):
    """A dump restored between any two batches goes on as if nothing had happened."""
    assert_same(whole, scores(frame, [*cuts, COUNT], restart=True))


@settings(max_examples=8, deadline=None)
@given(count=st.integers(1, COUNT))
def test_a_prefix_scores_as_it_does_within_the_whole(frame, whole, count):
    """No score depends on a later row."""
    assert_same(scores(frame[:count], [count]), whole, count)


def test_a_dump_does_not_depend_on_batch_cuts(frame):
    """Memory is a function of the rows alone."""
    one, many = Engine(SETTINGS), Engine(SETTINGS)
    one.step(frame)
    for batch in frame.iter_slices(173):
        many.step(batch)

    assert one.dump() == many.dump()


def test_anomalies_and_reasons_do_not_depend_on_batch_cuts(frame):
    """Neither do the sentences, with their numbers."""
    one, many = Engine(SETTINGS), Engine(SETTINGS)
    whole = [reasons for _, reasons in one.reasons(one.step(frame))]
    parts = [reasons for batch in frame.iter_slices(211) for _, reasons in many.reasons(many.step(batch))]

    assert len(whole) > 10
    assert whole == parts


def test_an_anomaly_names_the_forest_that_judged_it_wherever_batches_are_cut(frame):
    """Also where a batch goes on over the first fit, or over a change of forests."""
    named = []
    for size in (COUNT, 173):
        engine, found = Engine(SETTINGS), []
        for batch in frame.iter_slices(size):
            found += engine.anomalies(batch, engine.step(batch), START)
        named.append([(each.transaction_id, each.versions.get("forest")) for each in found])

    assert named[0] == named[1]
    assert len({version for _, version in named[0]}) > 2
