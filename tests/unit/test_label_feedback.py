"""Label feedback: confirmed frauds raise what follows, never before their delay, wherever batches are cut."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from detectors.engine import Engine
from detectors.labels import LateLabels, read_frauds
from detectors.offline import score
from detectors.ordinary import complete, stream
from detectors.settings import DetectionSettings, Feedback, Forest
from txwatch.errors import InputError
from txwatch.registry import ModelEvent

DELAY = 7
DAYS = 60
BAD_FROM, BAD_TO = 20, 50
START = datetime(2025, 1, 1, tzinfo=UTC)
SETTINGS = DetectionSettings(feedback=Feedback(delay_days=DELAY))


def world(seed: int = 1) -> tuple[pl.DataFrame, frozenset[str]]:
    """Ordinary payments at 20 merchants; all those at `m0` from day 20 to 49 are frauds."""
    rng = np.random.default_rng(seed)
    count = DAYS * 200
    day = np.sort(rng.random(count)) * DAYS
    merchant = rng.integers(0, 20, count)
    frame = complete(
        pl.DataFrame(
            {
                "transaction_id": [f"t{i}" for i in range(count)],
                "timestamp": [START + timedelta(days=float(d)) for d in day],
                "user_id": [f"u{u}" for u in rng.integers(0, 100, count)],
                "merchant_id": [f"m{m}" for m in merchant],
                "amount": np.round(np.exp(rng.normal(3.0, 0.4, count)), 2),
                "currency": "EUR",
                "status": "approved",
            }
        )
    )
    bad = (merchant == 0) & (day >= BAD_FROM) & (day < BAD_TO)
    return frame, frozenset(frame["transaction_id"].filter(pl.Series(bad)).to_list())


def evidence(frame: pl.DataFrame, frauds: frozenset[str], name: str, micro_batch: int = 500) -> np.ndarray:
    engine = Engine(SETTINGS)
    parts = score([frame], engine, micro_batch, LateLabels(frauds, DELAY))
    return np.concatenate([scored.evidence[:, engine.names.index(name)] for _, scored in parts])


@pytest.fixture(scope="module")
def told():
    frame, frauds = world()
    days = (frame["timestamp"] - START).dt.total_days().to_numpy()
    at_m0 = (frame["merchant_id"] == "m0").to_numpy()
    return days, at_m0, evidence(frame, frauds, "merchant_confirmed")


def test_nothing_is_said_before_the_first_label_is_due(told):
    days, _, found = told

    assert (found[days < BAD_FROM + DELAY + 1] == -20.0).all()


def test_a_confirmed_merchant_is_suspected_once_due_labels_have_shown_that_it_pays(told):
    days, at_m0, found = told

    assert (found[at_m0 & (days > BAD_FROM + 2 * DELAY + 2) & (days < BAD_TO)] > 0.0).all()


def test_other_merchants_stay_silent(told):
    _, at_m0, found = told

    assert (found[~at_m0] == -20.0).all()


def test_a_merchant_that_is_clean_again_is_believed_after_a_while(told):
    days, at_m0, found = told

    assert found[at_m0 & (days == DAYS - 1)].max() < found[at_m0 & (days == BAD_TO - 1)].min()


def test_batch_cuts_change_nothing():
    frame, frauds = world(seed=2)

    coarse = evidence(frame, frauds, "merchant_confirmed", micro_batch=900)

    np.testing.assert_array_equal(coarse, evidence(frame, frauds, "merchant_confirmed", micro_batch=53))
    assert (coarse > 0.0).any()


def test_a_restart_goes_on_with_the_same_numbers():
    frame, frauds = world(seed=3)
    labels, one = LateLabels(frauds, DELAY), Engine(SETTINGS)
    list(score([frame[:9000]], one, 500, labels))
    other = Engine.restore(one.dump(), SETTINGS)
    kept = LateLabels(frauds, DELAY)
    list(score([frame[:9000]], Engine(SETTINGS), 500, kept))

    first = [scored.evidence for _, scored in score([frame[9000:]], one, 500, labels)]
    second = [scored.evidence for _, scored in score([frame[9000:]], other, 500, kept)]

    np.testing.assert_array_equal(np.concatenate(first), np.concatenate(second))


def test_switching_feedback_on_keeps_what_the_others_learnt():
    frame, _ = world(seed=4)
    without = Engine(DetectionSettings())
    list(score([frame[:9000]], without, 500))

    with_feedback = Engine.restore(without.dump(), SETTINGS)
    names = with_feedback.names

    first, second = without.step(frame[9000:9500]), with_feedback.step(frame[9000:9500])
    shared = [names.index(name) for name in without.names]
    np.testing.assert_array_equal(second.evidence[:, shared], first.evidence)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"transaction_id": [1, 2, 3], "is_fraud": [True, False, True]}, {"1", "3"}),
        ({"transaction_id": ["a", "b", "c"], "label": ["fraud", "false-positive", "unclear"]}, {"a"}),
        ({"transaction_id": ["a", "b"], "scenario": [1, 2]}, {"a", "b"}),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_labels_are_read_from_every_kind_of_file(tmp_path, columns, expected, suffix):
    path = tmp_path / f"labels{suffix}"
    table = pl.DataFrame(columns)
    write = {".csv": table.write_csv, ".parquet": table.write_parquet, ".jsonl": table.write_ndjson}
    write[suffix](path)

    assert read_frauds(path) == expected


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("labels.txt", "x", "no labels file"),
        ("missing.csv", None, "cannot be read"),
        ("labels.csv", "id,is_fraud\n1,true\n", "no column transaction_id"),
        ("labels.parquet", "no parquet", "cannot be read"),
    ],
)
def test_a_bad_labels_file_gets_one_sentence(tmp_path, name, content, part):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)

    with pytest.raises(InputError, match=part) as caught:
        read_frauds(path)
    assert "\n" not in str(caught.value)


def test_confirmed_frauds_are_in_no_later_fit_of_the_forest():
    """With or without feedback as a hypothesis of its own."""
    engine = Engine(DetectionSettings(forest=Forest(warm_up=700, refit_days=1)))
    frame = stream(4000)
    engine.step(frame[:2000])
    engine.model_changes()
    engine.confirm(frame[:300].select("transaction_id", "timestamp", "user_id", "merchant_id"))

    engine.step(frame[2000:])

    fitted = [change for change in engine.model_changes() if change.event is ModelEvent.FITTED]
    assert fitted[0].facts["left_out"] >= 250


def test_feedback_is_silent_until_its_own_past_shows_that_it_finds_more(told):
    """The first labels are due a delay after the first fraud; what it says then is due a delay later."""
    days, at_m0, found = told

    assert (found[at_m0 & (days <= BAD_FROM + 2 * DELAY)] == -20.0).all()


def test_feedback_that_finds_nothing_never_speaks():
    """Frauds here and there: a merchant or user with one is as good as any other afterwards."""
    frame, _ = world(seed=5)
    frauds = frozenset(frame["transaction_id"].gather_every(200).to_list())

    for name in ("merchant_confirmed", "user_confirmed"):
        assert (evidence(frame, frauds, name) == -20.0).all()
