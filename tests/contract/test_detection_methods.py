"""The check-list that every detection method passes."""

from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest

from detectors.features import FeatureState
from detectors.feedback import FeedbackMethod
from detectors.kernels.tail import SILENT
from detectors.method import Evidence, FittedMethod, Found, level_word
from detectors.methods import FEEDBACK, METHODS
from detectors.ordinary import complete, stream
from detectors.rows import RowsBuilder, milliseconds
from detectors.settings import DetectionSettings, Feedback, Forest
from txwatch.columns import TRANSACTION

SETTINGS = DetectionSettings(forest=Forest(warm_up=1000), feedback=Feedback(delay_days=2))
COUNT = 3000
ALWAYS_EVERYBODY = {"amount_tail", "travel", "country", "forest"}
"""They compare with everybody whoever it is, and say so."""
BAD = (pl.col("user_id") == "u1") | (pl.col("merchant_id") == "m1")
OTHERWISE = {
    "seed": 7,
    "quiet": 0.99,
    "warm_up": 9000,
    "sample_rows": 300,
    "rows_per_day": 20,
    "refit_days": 1,
}


@pytest.fixture(params=METHODS, ids=lambda method: method.name)
def method_type(request):
    return request.param


@pytest.fixture(params=(*METHODS, *FEEDBACK), ids=lambda method: method.name)
def any_method(request):
    """Those on confirmed frauds, too; what they find is in `tests/unit/test_label_feedback.py`."""
    return request.param


@pytest.fixture(scope="module")
def ordinary():
    return stream(COUNT)


def score(
    method_type, frame: pl.DataFrame, micro_batch: int = 500, settings: DetectionSettings = SETTINGS
) -> tuple[object, Evidence, list]:
    """Run one method over the frame; the forest also gets what the others said.

    For those on confirmed frauds, payments of one user and at one merchant are frauds, as is told at once.
    """
    builder, features = RowsBuilder(settings), FeatureState({"user_amount_z"})
    method = method_type(settings)
    others = [other(settings) for other in METHODS[:-1]] if method_type.name == "forest" else []
    parts = []
    for batch in (piece for whole in frame.iter_slices(micro_batch) for piece in pieces(method, whole)):
        rows = builder.build(batch)
        features.step(rows)
        so_far: list[Evidence] = []
        for other in others:
            so_far.append(other.score(rows, so_far))
        parts.append(method.score(rows, so_far))
        if isinstance(method, FeedbackMethod):
            method.beside(np.full(len(rows), SILENT))
            method.confirm(builder.reported(batch.filter(BAD)))
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in Evidence.__struct_fields__
    }
    return method, Evidence(**joined), parts


def pieces(method, batch: pl.DataFrame) -> list[pl.DataFrame]:
    """Cut a batch where a method with a model asks for it, as the engine does."""
    is_asking = isinstance(method, FittedMethod | FeedbackMethod)
    cuts = method.cuts(milliseconds(batch["timestamp"])).tolist() if is_asking else []
    return [batch[start:stop] for start, stop in pairwise(sorted({0, batch.height, *cuts}))]


def spiked(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Append to the stream what is strange in every way at once: the rows of one user at one merchant."""
    last = frame.tail(1)
    home = frame.filter(pl.col("user_id") == last["user_id"][0])
    row = last.to_dicts()[0]
    strange = [
        row
        | {
            "transaction_id": f"spike{n}",
            "timestamp": row["timestamp"].replace(hour=3, minute=n) + np.timedelta64(2, "D").item(),
            "merchant_id": "m0",
            "amount": 40.0 * home["amount"].max(),
            "status": "declined" if n < 6 else "approved",
            "country": "BR",
            "lat": -20.0 - 8.0 * (n % 2),
            "lon": -45.0,
        }
        for n in range(12)
    ]
    return pl.concat([frame, complete(pl.DataFrame(strange))]), frame.height


def test_scoring_twice_gives_the_same(any_method, ordinary):
    _, first, _ = score(any_method, ordinary)
    _, second, _ = score(any_method, ordinary)

    for name in Evidence.__struct_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_batch_cuts_change_nothing(any_method, ordinary):
    _, whole, _ = score(any_method, ordinary, micro_batch=COUNT)
    _, cut, _ = score(any_method, ordinary, micro_batch=37)

    for name in Evidence.__struct_fields__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(cut, name), err_msg=name)


def test_the_input_stays_as_it_was(any_method, ordinary):
    before = ordinary.clone()

    score(any_method, ordinary)

    assert ordinary.equals(before)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_too_little_history_gives_neither_an_exception_nor_confidence(any_method, ordinary, count):
    _, evidence, _ = score(any_method, ordinary[:count])

    assert (evidence.log_odds <= 0.0).all()


def test_no_method_is_mute(any_method, ordinary):
    """Else everything that is asked of it here would hold of nothing."""
    _, evidence, _ = score(any_method, spiked(ordinary)[0])

    assert (evidence.log_odds > SILENT).any()


def test_a_constant_history_has_a_defined_outcome(any_method):
    """The same amount at the same place every time gives finite evidence, and no alarm."""
    frame = stream(COUNT).with_columns(amount=pl.lit(10.0), lat=pl.lit(48.0), lon=pl.lit(9.0))

    _, evidence, _ = score(any_method, frame)

    assert np.isfinite(evidence.log_odds).all()
    if any_method.type in {"amount", "place"}:
        assert (evidence.log_odds < 0.0).all()


@pytest.mark.parametrize(
    "name", ["channel", "country", "lat", "lon", "device_id", "card_id", "merchant_category"]
)
def test_missing_values_are_no_evidence(any_method, ordinary, name):
    _, evidence, _ = score(any_method, ordinary.with_columns(pl.lit(None, TRANSACTION[name]).alias(name)))

    assert np.isfinite(evidence.log_odds).all()


def test_a_place_method_is_silent_without_places(any_method, ordinary):
    bare = ordinary.with_columns(
        *(pl.lit(None, TRANSACTION[name]).alias(name) for name in ("lat", "lon", "country"))
    )

    _, evidence, _ = score(any_method, bare)

    if any_method.type == "place":
        assert (evidence.log_odds == SILENT).all()


def test_amounts_that_are_no_number_are_silent(any_method, ordinary):
    """The schema refuses NaN; should one come all the same, it neither counts nor spoils a baseline."""
    spoilt = ordinary.with_columns(
        amount=pl.when(pl.int_range(pl.len()) % 9 == 0).then(np.nan).otherwise("amount")
    )

    _, evidence, _ = score(any_method, spoilt)

    assert np.isfinite(evidence.log_odds).all()


def test_a_planted_spike_ranks_first(method_type, ordinary):
    frame, start = spiked(ordinary)

    _, evidence, _ = score(method_type, frame)

    assert np.argmax(evidence.log_odds) >= start


def test_a_spike_after_a_constant_history_is_not_silent():
    """No spread is no reason to say nothing: the classic silent zero."""
    frame, start = spiked(stream(COUNT).with_columns(amount=pl.lit(10.0)))

    _, evidence, _ = score(METHODS[0], frame)

    assert evidence.log_odds[start + 6] > 0.0


def test_a_reason_has_observed_and_expected(method_type, ordinary):
    frame, _ = spiked(ordinary)
    method, evidence, _ = score(method_type, frame)
    i = int(np.argmax(evidence.log_odds))

    found = Found(
        observed=float(evidence.observed[i]),
        expected=float(evidence.expected[i]),
        size=int(evidence.size[i]),
        level=level_word(int(evidence.level[i])),
        currency="EUR",
        row=frame.row(i, named=True),
    )
    sentence = method.sentence(found)

    assert np.isfinite([found.observed, found.expected]).all()
    assert any(character.isdigit() for character in sentence)
    assert "nan" not in sentence
    assert msgspec.json.encode(sentence)


def test_a_reason_says_when_it_compares_with_everybody(method_type):
    """Of somebody who is new the usual is not called their own; of the known it is not called everybody's."""
    method = method_type(SETTINGS)
    row = stream(1).row(0, named=True)

    def said(level):
        found = Found(observed=6.0, expected=2.0, size=7, level=level, currency="EUR", row=row)
        return method.sentence(found)

    if method.name not in ALWAYS_EVERYBODY:
        assert said("entity") != said("population")
        assert "7" in said("population")


def test_every_setting_of_a_method_changes_what_it_says(method_type):
    """No setting is dead, and none breaks: each is moved in turn, over weeks with refits."""
    frame, _ = spiked(stream(2 * COUNT))
    _, before, _ = score(method_type, frame)
    own = getattr(SETTINGS, method_type.name)

    for name in own.__struct_fields__:
        value = getattr(own, name)
        other = OTHERWISE.get(name) or (
            tuple(3 * each for each in value) if name == "stretches" else value * 0.3
        )
        moved = msgspec.structs.replace(own, **{name: type(value)(other)})
        settings = msgspec.structs.replace(SETTINGS, **{method_type.name: moved})
        _, evidence, _ = score(method_type, frame, settings=settings)

        assert np.isfinite(evidence.log_odds).all(), name
        assert not np.array_equal(evidence.log_odds, before.log_odds), name


def test_every_method_says_what_it_sees_and_when_it_is_blind(any_method):
    text = any_method.__doc__

    assert "Sees:" in text
    assert "Blind:" in text
    assert "From:" in text
