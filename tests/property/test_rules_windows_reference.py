"""Declared features against the slow and obvious way of computing them, bucket by bucket."""

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.rules.features import KINDS, Feature
from detectors.rules.windowing import BUCKETS, bucket_ms
from detectors.rules.windows import FORGET_EVERY, Windows

START = 1_735_732_800_000
WINDOW_MS = 60_000


class Row(NamedTuple):
    time: int
    entity: int
    counted: bool
    value: float


@st.composite
def streams(draw) -> list[Row]:
    """Rows of three entities in feed order, each at most 60 s behind the newest one."""
    now, found = START, []
    for _ in range(draw(st.integers(1, 60))):
        now += draw(st.sampled_from([0, 1, 700, 3_000, 9_000, 45_000, 400_000]))
        late = draw(st.sampled_from([0, 0, 0, 500, 4_000, 30_000, 60_000]))
        found.append(
            Row(now - late, draw(st.integers(0, 2)), draw(st.booleans()), float(draw(st.integers(-3, 9))))
        )
    return found


def reference(kind: str, rows: list[Row], window_ms: int) -> list[float]:
    """The definition in docs/rules.md, word for word: look at all earlier rows and this one."""
    width, out = bucket_ms(window_ms), []
    for i, row in enumerate(rows):
        last = row.time // width
        past = [r for r in rows[: i + 1] if r.entity == row.entity and r.counted]
        seen = [r for r in past if last - BUCKETS < r.time // width <= last]
        values = [r.value for r in seen]
        if kind == "count":
            out.append(float(len(seen)))
        elif kind == "sum":
            out.append(sum(values))
        elif kind == "mean":
            out.append(sum(values) / len(values) if values else np.nan)
        elif kind == "max":
            out.append(max(values, default=np.nan))
        elif kind == "distinct":
            out.append(float(len({r.value for r in past if r.time // width > last - BUCKETS})))
        else:
            earlier = [r.time for r in rows[:i] if r.entity == row.entity and r.counted]
            passed = max(row.time - max(earlier), 0) if earlier else window_ms
            out.append(passed / 1000.0 if passed < window_ms else np.nan)
    return out


def computed(kind: str, rows: list[Row], cuts: list[int], window_ms: int = WINDOW_MS) -> np.ndarray:
    windows = Windows([Feature(name="x", kind=kind, by=("card_id",), window_ms=window_ms)])
    out = []
    for start, stop in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        out.append(step(windows, rows[start:stop]))
    return np.concatenate(out)


def step(windows: Windows, rows: list[Row]) -> np.ndarray:
    times = pl.Series("timestamp", [r.time for r in rows], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))
    frame = pl.DataFrame({"timestamp": times, "card_id": [f"card-{r.entity}" for r in rows]})
    inputs = {"x": (np.array([r.counted for r in rows], bool), np.array([r.value for r in rows], float))}
    return windows.step(frame, inputs, {})["x"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "count"])
@settings(max_examples=60)
@given(rows=streams())
def test_a_feature_is_what_its_definition_says(kind, rows):
    """Exactly, for rows up to 60 s out of order, at the resolution of a bucket."""
    np.testing.assert_allclose(computed(kind, rows, []), reference(kind, rows, WINDOW_MS), rtol=1e-12)


@settings(max_examples=60)
@given(rows=streams())
def test_a_count_is_what_its_definition_says(rows):
    """A count adds one for each row that passes the filter."""
    ones = [row._replace(value=1.0) for row in rows]

    np.testing.assert_array_equal(computed("count", ones, []), reference("count", ones, WINDOW_MS))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(rows=streams(), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_where_batches_are_cut_changes_nothing(kind, rows, cuts):
    """The same rows give the same bits, one by one or all at once."""
    whole = computed(kind, rows, [])
    pieces = computed(kind, rows, sorted(min(cut, len(rows)) for cut in cuts))

    np.testing.assert_array_equal(whole, pieces)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15)
@given(rows=streams(), cut=st.integers(0, 60))
def test_a_restored_state_goes_on_as_if_nothing_had_happened(kind, rows, cut):
    """dump, restore into fresh windows, go on."""
    feature = Feature(name="x", kind=kind, by=("card_id",), window_ms=WINDOW_MS)
    first, second = Windows([feature]), Windows([feature])
    before = step(first, rows[:cut])
    second.restore(first.dump())
    after = step(second, rows[cut:])

    np.testing.assert_array_equal(np.concatenate([before, after]), computed(kind, rows, []))


@pytest.mark.parametrize("kind", KINDS)
def test_forgetting_silent_entities_changes_no_value(kind):
    """Cards that come once and go leave no trace in anybody's numbers, and no state for ever."""
    generator = np.random.default_rng(7)
    count = FORGET_EVERY * 3
    times = START + np.sort(generator.integers(0, 40 * count, count))
    entities = np.where(
        generator.random(count) < 0.3, generator.integers(0, 50, count), np.arange(count) + 50
    )
    rows = [Row(int(t), int(e), True, float(e % 7)) for t, e in zip(times, entities, strict=True)]
    windows = Windows([Feature(name="x", kind=kind, by=("card_id",), window_ms=10_000)])
    kept = step(windows, rows)
    watched = [i for i in range(count) if entities[i] < 50]
    alone = computed(kind, [rows[i] for i in watched], [], 10_000)

    np.testing.assert_array_equal(kept[watched], alone)
    assert len(windows.dump()["rosters"]["card_id"]["ids"]) < count / 3
