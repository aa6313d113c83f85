"""The forest that walks by our kernel is scikit-learn's, and is refitted and replaced by the stream alone."""

from itertools import pairwise

import msgspec
import numpy as np
import pytest

from detectors.fittedforest import FittedForest
from detectors.heldback import HeldBack, why_worse
from detectors.isolation import Isolation
from detectors.settings import Forest
from detectors.trees import FEATURES, sklearn_forest
from txwatch.errors import SnapshotError
from txwatch.registry import ModelEvent

DAY_MS = 86_400_000
SETTINGS = Forest(trees=20, warm_up=600, sample_rows=1024, rows_per_day=300, refit_days=2)


def sample(count: int, seed: int = 3) -> np.ndarray:
    x = np.zeros((count, FEATURES), dtype=np.float32)
    x[:, :5] = np.random.default_rng(seed).normal(size=(count, 5))
    return x


def run(
    x: np.ndarray, times: np.ndarray, cuts: tuple[int, ...] = (), settings: Forest = SETTINGS
) -> tuple[Isolation, np.ndarray]:
    """Score rows in batches that end at `cuts`, each cut again where the forest asks for it."""
    isolation, parts = Isolation(settings), []
    for start, stop in pairwise([0, *cuts, len(x)]):
        parts.append(step(isolation, times[start:stop], x[start:stop], first=start))
    return isolation, np.concatenate(parts)


def step(
    isolation: Isolation, times: np.ndarray, x: np.ndarray, first: int = 0, suspected=None
) -> np.ndarray:
    odd = np.zeros(len(x), dtype=bool) if suspected is None else suspected
    keys = np.arange(first + 1, first + len(x) + 1, dtype=np.uint64)
    bounds = sorted({0, len(x), *isolation.cuts(times).tolist()})
    return np.concatenate(
        [isolation.score(times[a:b], keys[a:b], x[a:b], odd[a:b]).observed for a, b in pairwise(bounds)]
    )


def days(count: int, each: int, first: int = 1) -> np.ndarray:
    """Return event times of `each` rows a day."""
    return first * DAY_MS + np.arange(count) * (DAY_MS // each)


def events(isolation: Isolation) -> list[ModelEvent]:
    return [change.event for change in isolation.changes()]


@pytest.mark.parametrize("kept", [256, 300, 1024])
def test_the_kernel_gives_what_sklearn_gives(kept):
    """Every score equals `-score_samples` of the same forest."""
    settings = Forest(trees=20, warm_up=kept, sample_rows=1024)
    isolation, x = Isolation(settings), sample(kept)
    step(isolation, np.full(kept, DAY_MS), x)
    new = sample(500, seed=4)

    ours = step(isolation, np.full(500, DAY_MS), new)

    np.testing.assert_allclose(ours, -sklearn_forest(x, settings, 0).score_samples(new), rtol=1e-6)


def test_nothing_is_said_before_the_first_fit():
    _, scores = run(sample(500), np.arange(500) * 1000 + DAY_MS)

    assert np.isnan(scores).all()


def test_fits_take_effect_at_the_same_rows_wherever_batches_are_cut():
    x, times = sample(9000), days(9000, each=700)
    one, whole = run(x, times)
    many, parts = run(x, times, (1, 599, 600, 601, 2222, 4000, 7001))

    np.testing.assert_array_equal(whole, parts)
    assert [change.version for change in one.changes()] == [change.version for change in many.changes()]
    for part, state in one.states().items():
        for name, array in state.dump().items():
            np.testing.assert_array_equal(array, many.states()[part].dump()[name], err_msg=f"{part} {name}")


def test_a_restart_while_a_fit_is_under_way_changes_nothing():
    x, times = sample(3000), days(3000, each=700)
    _, whole = run(x, times)
    isolation, scores = Isolation(SETTINGS), []

    for start in range(0, 3000, 10):  # a day has 700 rows and its first hour 30: several fall between
        scores.append(step(isolation, times[start : start + 10], x[start : start + 10], start))
        kept, isolation = isolation, Isolation(SETTINGS)
        for name, state in kept.states().items():
            isolation.states()[name].load(state.dump())

    np.testing.assert_array_equal(np.concatenate(scores), whole)


def test_a_new_forest_scores_in_shadow_for_a_day_before_it_counts():
    isolation, _ = run(sample(650), days(650, each=700))
    first = isolation.champion.version
    step(isolation, days(650, each=700, first=2), sample(650), 650)

    before, told = isolation.champion.version, events(isolation)
    step(isolation, days(10, each=700, first=3), sample(10), 1300)

    assert before == first
    assert told == [ModelEvent.FITTED, ModelEvent.PROMOTED, ModelEvent.FITTED]
    assert events(isolation) == [ModelEvent.PROMOTED]
    assert isolation.champion.version != first


def test_a_forest_that_is_worse_on_held_back_payments_never_counts():
    isolation, _ = run(sample(700), days(700, each=700))
    first = isolation.champion.version
    odd = np.arange(1400) % 20 == 0
    apart = sample(1400)
    apart[odd, :5] += 5.0
    step(isolation, days(10, each=700, first=2), apart[:10], 700)
    isolation.states()  # waits for the fit; then it is spoilt, so that everything is isolated
    isolation.challenger.state["length"][:] *= 0.5

    step(isolation, days(1400, each=700, first=2)[10:], apart[10:], 710, suspected=odd[10:])
    step(isolation, days(5, each=700, first=4), apart[:5], 2200)

    last = isolation.changes()[-1]
    assert last.event is ModelEvent.REJECTED
    assert "describes ordinary payments worse" in last.sentence
    assert isolation.champion.version == first


@pytest.mark.parametrize(
    ("challenger", "sentence"),
    [
        ({}, ""),
        ({"ordinary": 0.45, "ranking": 0.65}, ""),
        ({"ordinary": 0.53}, "their isolation is 0.530 where today's forest gives them 0.500"),
        ({"ranking": 0.57}, "ranking 0.570 where today's forest has 0.800"),
        ({"ranking": 0.3, "suspected": 10}, ""),
        ({"alone": 24}, ""),
        ({"alone": 36}, "suspects 36 of 5,000 payments where today's forest suspects 15"),
    ],
)
def test_worse_is_a_poorer_description_or_sight_lost_or_many_more_suspicions(challenger, sentence):
    same = {"rows": 5000, "suspected": 100, "ranking": 0.8, "ordinary": 0.5, "alone": 15}

    reason = why_worse(HeldBack(**same | challenger), HeldBack(**same))

    assert sentence in reason
    assert bool(reason) == bool(sentence)


def test_suspected_rows_are_not_learnt():
    x = sample(1000)
    isolation = Isolation(SETTINGS)
    step(isolation, np.full(1000, DAY_MS), x, suspected=np.ones(1000, dtype=bool))

    scores = step(isolation, np.full(10, 5 * DAY_MS), x[:10], 1000)

    assert np.isnan(scores).all()


def test_what_is_left_out_is_in_no_later_fit():
    isolation, _ = run(sample(700), days(700, each=700))
    isolation.leave_out(np.arange(101, 201, dtype=np.uint64))

    step(isolation, days(40, each=700, first=2), sample(40), 700)

    fit = isolation.changes()[-1]
    kept = sample(700)[np.r_[0:100, 200:700]]
    expected = sklearn_forest(kept, SETTINGS, 1).score_samples(sample(50, seed=9))
    np.testing.assert_allclose(isolation.challenger.score(sample(50, seed=9)).observed, -expected, rtol=1e-6)
    assert (fit.facts["rows"], fit.facts["left_out"]) == (600, 100)


def test_a_kept_forest_counts_again_and_stays_where_it_is_held():
    isolation, _ = run(sample(3000), days(3000, each=700))
    changes = isolation.changes()
    first, today = changes[0], isolation.champion.version
    assert first.version != today

    isolation.install(first.payload, held=True)
    step(isolation, days(5000, each=700, first=6), sample(5000), 3000)

    assert isolation.champion.version == first.version
    assert "the forest is held" in isolation.changes()[-1].sentence
    isolation.install(first.payload, held=False)
    assert not isolation.is_held


@pytest.mark.parametrize(
    "spoil", [lambda payload: payload[:-9], lambda payload: b"", lambda _: b"\x81\xa1a\x01"]
)
def test_a_damaged_forest_is_refused_and_changes_nothing(spoil):
    isolation, _ = run(sample(700), days(700, each=700))
    before, payload = isolation.champion.version, isolation.champion.payload()

    with pytest.raises(SnapshotError, match="model"):
        isolation.install(spoil(payload), held=False)

    assert isolation.champion.version == before


def test_a_forest_of_another_shape_is_refused():
    other = FittedForest(Forest(trees=5))
    isolation, _ = run(sample(700), days(700, each=700))

    with pytest.raises(SnapshotError, match="another shape"):
        isolation.install(other.payload(), held=False)


def test_a_forest_of_other_features_is_refused():
    """Fitted when there were other detectors, its columns would mean something else, unnoticed."""
    isolation, _ = run(sample(700), days(700, each=700))
    kept = msgspec.msgpack.decode(isolation.champion.payload())
    kept["features"][0], kept["features"][1] = kept["features"][1], kept["features"][0]

    with pytest.raises(SnapshotError, match="other detectors"):
        isolation.install(msgspec.msgpack.encode(kept), held=False)


def test_what_lies_apart_is_isolated():
    x = sample(1000)
    apart = np.zeros((1, FEATURES), dtype=np.float32)
    apart[0, :5] = 6.0
    isolation, _ = run(x, np.full(1000, DAY_MS))

    scores = step(isolation, np.full(11, DAY_MS), np.concatenate([x[:10], apart]), 1000)

    assert np.argmax(scores) == 10
