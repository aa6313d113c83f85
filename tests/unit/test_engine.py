"""What the engine makes of single situations."""

from datetime import UTC, datetime, timedelta
from typing import get_args

import numpy as np
import polars as pl
import pytest

from detectors.engine import Engine
from detectors.features import FeatureState
from detectors.kernels.stretch import SEGMENT_LEVEL
from detectors.methods import FEEDBACK, METHODS
from detectors.methods.forest import IsolationOfDeviations
from detectors.methods.user_amount import UserAmount
from detectors.ordinary import complete, stream
from detectors.rows import RowsBuilder
from detectors.settings import DetectionSettings, DetectorName, Severities
from detectors.trees import FEATURE_NAMES, FEATURES
from txwatch.errors import SnapshotError
from txwatch.model import Severity, transaction_anomaly_id

NOW = datetime(2024, 6, 1, tzinfo=UTC)
HISTORY = 3000


@pytest.fixture(scope="module")
def memory():
    """The memory of an engine that has seen three weeks of ordinary transactions."""
    engine = Engine(DetectionSettings())
    engine.step(stream(HISTORY))
    return engine.dump()


@pytest.fixture
def engine(memory):
    return Engine.restore(memory, DetectionSettings())


def next_rows(*changes: dict[str, object], seconds: float = 60.0) -> pl.DataFrame:
    """Rows after the history, a minute apart, each like the history's last but for its changes."""
    last = stream(HISTORY).row(-1, named=True)
    rows = [
        last
        | {"transaction_id": f"n{k}", "timestamp": last["timestamp"] + timedelta(seconds=seconds * (k + 1))}
        | change
        for k, change in enumerate(changes)
    ]
    return complete(pl.DataFrame(rows))


def test_a_huge_amount_is_a_critical_anomaly_of_its_user(engine):
    batch = next_rows({"amount": 90_000.0}).with_columns(
        source=pl.lit("file"),
        partition=pl.lit(2),
        sequence=pl.lit(77),
        arrival=pl.lit(1_700_000_000_000_000_001),
    )
    scored = engine.step(batch)

    (anomaly,) = engine.anomalies(batch, scored, NOW)

    assert anomaly.anomaly_id == transaction_anomaly_id("file", 2, 77)
    assert anomaly.severity == Severity.CRITICAL
    assert anomaly.entity_kind == "user"
    assert anomaly.entity_id == batch["user_id"][0]
    assert anomaly.type == "amount"
    assert anomaly.arrived_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert anomaly.detected_at == NOW
    assert anomaly.versions["code"]


def test_reasons_are_sorted_and_add_up(engine):
    batch = next_rows({"amount": 90_000.0, "country": "BR"})
    (reasons,) = (reasons for _, reasons in engine.reasons(engine.step(batch)))

    shares = [reason.contribution for reason in reasons]

    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100.0, abs=0.5)
    assert "times what this customer usually spends" in reasons[0].sentence + reasons[1].sentence


def test_an_ordinary_row_is_no_anomaly(engine):
    scored = engine.step(next_rows({}))

    assert not scored.is_anomaly.any()
    assert scored.score[0] < 50.0


def test_the_same_content_again_is_a_duplicate(engine):
    """It is neither scored nor learnt."""
    first = engine.step(next_rows({}))
    before = engine.dump()
    again = engine.step(next_rows({}))

    assert not first.is_duplicate[0]
    assert again.is_duplicate[0]
    assert again.score[0] == 0.0
    assert engine.dump() == before


def test_an_id_with_another_status_is_a_status_change(engine):
    scored = engine.step(next_rows({"transaction_id": "x"}, {"transaction_id": "x", "status": "reversed"}))

    assert scored.is_status_change.tolist() == [False, True]
    assert not scored.is_duplicate.any()


def test_an_id_with_another_content_is_another_payment(engine):
    """Otherwise a reused id would be a way past every detector."""
    scored = engine.step(next_rows({"transaction_id": "x"}, {"transaction_id": "x", "amount": 90_000.0}))

    assert not scored.is_duplicate.any()
    assert scored.is_anomaly.tolist() == [False, True]


def test_ids_are_remembered_within_a_bounded_window():
    """At least so many, at most twice as many."""
    engine = Engine(DetectionSettings(remember_ids=128))
    engine.step(stream(129))
    soon = engine.step(stream(129).tail(1))
    engine.step(stream(1000, seed=2).with_columns("other-" + pl.col("transaction_id")))
    later = engine.step(stream(129).tail(1))

    assert soon.is_duplicate[0]
    assert not later.is_duplicate[0]


@pytest.mark.parametrize(("behind", "is_late"), [(59.0, False), (61.0, True)])
def test_a_row_beyond_the_allowed_lateness_is_late(engine, behind, is_late):
    last = stream(HISTORY)["timestamp"][-1]

    scored = engine.step(next_rows({"timestamp": last - timedelta(seconds=behind)}))

    assert scored.is_late.tolist() == [is_late]
    assert scored.score[0] > 0.0


def test_a_row_out_of_order_counts_in_its_window(engine):
    """Twelve attempts within a quarter of an hour are a burst in any order."""
    rows = next_rows(*({"amount": 2.0} for _ in range(12)), seconds=50.0)
    swapped = rows[[1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]]

    scored = engine.step(swapped)

    assert not scored.is_late.any()
    assert scored.evidence[-1, scored.names.index("user_burst")] > 0.0


def test_declined_rows_are_no_spending(memory):
    """A declined amount, however large, moves no amount baseline."""
    engine = Engine.restore(memory, DetectionSettings())
    scored = engine.step(next_rows({"amount": 90_000.0, "status": "declined"}, {}))
    undisturbed = Engine.restore(memory, DetectionSettings()).step(next_rows({"status": "declined"}, {}))

    k = scored.names.index("user_amount")

    assert scored.judged.found[k].expected[1] == undisturbed.judged.found[k].expected[1]


def test_a_currency_without_a_rate_has_baselines_of_its_own():
    """10,000 yen are no 10,000 euros."""
    frame = stream(4000).with_columns(currency=pl.when(pl.int_range(pl.len()) % 2 == 0)
        .then(pl.lit("JPY")).otherwise(pl.lit("EUR")))  # fmt: skip
    frame = frame.with_columns(
        amount=pl.when(pl.col("currency") == "JPY").then(pl.col("amount") * 150).otherwise("amount")
    )
    engine = Engine(DetectionSettings(budget_per_day=1.0))

    scored = engine.step(frame)

    late_half = scored.score[2000:]
    yen = (frame["currency"] == "JPY").to_numpy()[2000:]
    assert np.median(late_half[yen]) == pytest.approx(np.median(late_half[~yen]), abs=5.0)


def test_a_new_customer_is_compared_with_peers_at_merchants_of_the_kind():
    """A hundred is ordinary for furniture and strange for coffee, from the first payment on."""
    rows = stream(4000).with_columns(
        amount=pl.when(pl.col("merchant_category") == "c0").then(pl.col("amount") * 20).otherwise("amount")
    )
    first = rows.tail(2).with_columns(
        transaction_id=pl.Series(["new0", "new1"]),
        user_id=pl.Series(["new0", "new1"]),
        merchant_category=pl.Series(["c0", "c1"]),
        amount=800.0,
    )
    method = UserAmount(DetectionSettings())
    builder = RowsBuilder(DetectionSettings())
    method.score(builder.build(rows), [])

    found = method.score(builder.build(first), [])

    assert found.level.tolist() == [SEGMENT_LEVEL, SEGMENT_LEVEL]
    assert found.expected[0] > 10 * found.expected[1]


def test_a_currency_without_a_rate_has_no_peers_of_another():
    """Yen and euros at merchants of one kind: a mean of both would be neither's."""
    rows = stream(2000).with_columns(
        currency=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.lit("JPY")).otherwise("currency"),
        amount=pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("amount") * 160).otherwise("amount"),
    )
    method, builder = UserAmount(DetectionSettings()), RowsBuilder(DetectionSettings())
    method.score(builder.build(rows), [])
    new = rows.tail(2).with_columns(transaction_id=pl.Series(["a", "b"]), user_id=pl.Series(["a", "b"]))

    expected = dict(zip(new["currency"], method.score(builder.build(new), []).expected, strict=True))

    assert expected["JPY"] == pytest.approx(160 * expected["EUR"], rel=0.3)


def test_a_currency_with_a_rate_is_compared_with_the_base():
    frame = stream(3000).with_columns(currency=pl.lit("USD"))
    dollars = Engine(DetectionSettings(rates={"USD": 1.0})).step(frame)
    euros = Engine(DetectionSettings()).step(frame.with_columns(currency=pl.lit("EUR")))

    np.testing.assert_array_equal(dollars.score, euros.score)


def test_a_fixed_threshold_replaces_the_budget(memory):
    engine = Engine.restore(memory, DetectionSettings(threshold=100.0))

    assert not engine.step(next_rows({"amount": 300.0})).is_anomaly.any()


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.99])
def test_a_probability_may_fix_the_threshold(memory, probability):
    """Its odds are those of the joint evidence."""
    engine = Engine.restore(memory, DetectionSettings(threshold_probability=probability))
    scored = engine.step(next_rows({"amount": 900.0}, {"amount": 20.0}))
    joint = np.log(np.exp(scored.evidence.astype(np.float64)).sum(axis=1))

    np.testing.assert_array_equal(scored.is_anomaly, 1.0 / (1.0 + np.exp(-joint)) >= probability)


def test_two_thresholds_are_refused():
    with pytest.raises(ValueError, match="keep one"):
        DetectionSettings(threshold=80.0, threshold_probability=0.9)


@pytest.mark.parametrize("wrong", [{"medium": 90.0}, {"critical": 101.0}, {"medium": -1.0}])
def test_severities_that_do_not_rise_are_refused(wrong):
    """With medium above high nothing would ever be medium, and nobody was told."""
    with pytest.raises(ValueError, match="no rising scores from 0 to 100"):
        Severities(**wrong)


def test_a_detector_can_be_switched_off():
    engine = Engine(DetectionSettings(off=("forest", "hours")))

    scored = engine.step(stream(10))

    assert "forest" not in scored.names
    assert scored.evidence.shape == (10, len(scored.names))


def test_a_detector_that_is_switched_off_moves_no_column_of_the_forest():
    """A fitted forest outlives the switch: what it learnt of one detector is not asked of its neighbour."""
    rows, kept = stream(700), []
    for off in ((), ("user_burst",)):
        forest = IsolationOfDeviations(DetectionSettings(off=off))
        others = [method(DetectionSettings()) for method in METHODS[:-1] if method.name not in off]
        built, features = RowsBuilder(DetectionSettings()).build(rows), FeatureState(())
        features.step(built)
        forest.score(built, [other.score(built, []) for other in others])
        kept.append(forest.states()["sample"])

    _, here, there = np.intersect1d(kept[0]["number"], kept[1]["number"], return_indices=True)
    both, without = kept[0]["x"][here], kept[1]["x"][there]
    burst = FEATURE_NAMES.index("user_burst")
    assert both[:, burst].any()
    assert not without[:, burst].any()
    assert np.array_equal(np.delete(both, burst, 1), np.delete(without, burst, 1))


def test_the_columns_of_the_forest_are_the_detectors_before_it():
    """A method that is added in between makes kept forests unusable, which is said; see `fittedforest`."""
    assert tuple(method.name for method in METHODS[:-1]) == FEATURE_NAMES
    assert len(FEATURE_NAMES) <= FEATURES


def test_an_empty_batch_is_nothing(engine):
    scored = engine.step(stream(1)[:0])

    assert len(scored) == 0
    assert engine.anomalies(stream(1)[:0], scored, NOW) == []


@pytest.mark.parametrize("spoil", [lambda b: b[:-1] + b"\7", lambda b: b[:40], lambda _: b""])
def test_a_damaged_snapshot_is_refused_in_a_sentence(memory, spoil):
    with pytest.raises(SnapshotError, match="the snapshot"):
        Engine.restore(spoil(memory), DetectionSettings())


def test_a_snapshot_of_another_shape_is_refused(memory):
    settings = DetectionSettings(remember_ids=64)

    with pytest.raises(SnapshotError, match="does not fit"):
        Engine.restore(memory, settings)


def test_the_budget_is_kept():
    """Over weeks of a stream that stays as it is, about the budget a day is flagged."""
    frame = stream(40_000, users=200)
    engine = Engine(DetectionSettings(budget_per_day=20.0, lowest_threshold=1.0))
    scored = engine.step(frame)
    days = frame["timestamp"].dt.epoch("d").to_numpy()

    a_day = np.bincount((days - days[0])[scored.is_anomaly], minlength=days[-1] - days[0] + 1)[20:-1]

    assert 14.0 < a_day.mean() < 26.0


def test_a_weight_multiplies_the_odds_of_its_detector(memory):
    """Twice as loud is ln 2 more evidence, in all rows in which it speaks and in no other detector's."""
    plain = Engine.restore(memory, DetectionSettings())
    weighted = DetectionSettings(severity=Severities(weights={"user_amount": 2.0}))
    louder = Engine.restore(memory, weighted)
    batch = next_rows({"amount": 900.0}, {"amount": 20.0})

    before, after = plain.step(batch), louder.step(batch)
    place = before.names.index("user_amount")

    more = after.evidence - before.evidence
    assert more[:, place] == pytest.approx(np.log(2.0))
    assert np.delete(more, place, axis=1) == pytest.approx(0.0)
    assert (after.score > before.score).all()


def test_the_names_that_settings_know_are_those_of_the_methods():
    names = [method.name for method in (*METHODS, *FEEDBACK)]

    assert list(get_args(DetectorName)) == names
