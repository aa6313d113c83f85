"""Windows, medians and places against the slow way of saying the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.kernels.medians import WIDTH, WINDOW, running_median
from detectors.kernels.places import great_circle_km
from detectors.kernels.seen import first_seen
from detectors.kernels.windows import window_totals

amounts = st.lists(st.integers(1, 100_000).map(lambda cents: cents / 4), min_size=1, max_size=90)


@settings(deadline=None)
@given(values=amounts)
def test_the_running_median_is_that_of_the_last_values(values):
    """Median and spread over the last WINDOW values, before each row."""
    array = np.array(values)
    zeros = np.zeros(len(array), dtype=np.int32)
    count, median, spread = np.empty((3, len(array)))
    state = np.zeros((1, WIDTH), dtype=np.float32)
    running_median(array, zeros, np.ones(len(array)), state, 1, count, median, spread)

    for i in range(1, len(array)):
        last = array[max(0, i - WINDOW) : i]
        assert count[i] == i
        assert median[i] == pytest.approx(np.median(last))
        upper = np.sort(np.abs(last - np.median(last)))[len(last) // 2]
        assert spread[i] == pytest.approx(1.4826 * upper, rel=1e-5, abs=1e-4)


minutes = st.lists(st.integers(0, 400), min_size=1, max_size=60).map(sorted)


@settings(deadline=None)
@given(times=minutes, slots=st.integers(1, 24))
def test_a_window_counts_the_running_bucket_and_those_before(times, slots):
    numbers = np.array(times, dtype=np.int64) + 1
    out = np.empty(len(numbers))
    window_totals(
        numbers,
        np.zeros(len(numbers), dtype=np.int32),
        np.ones(len(numbers)),
        np.zeros((1, 1 + slots)),
        np.zeros(1, dtype=np.int64),
        out,
    )

    for i, now in enumerate(times):
        assert out[i] == sum(now - slots < t <= now for t in times[: i + 1])


@settings(deadline=None)
@given(values=st.lists(st.integers(-1, 12), min_size=1, max_size=60), places=st.integers(1, 6))
def test_new_is_what_is_not_among_the_last_different_ones(values, places):
    array = np.array(values, dtype=np.int32)
    out = np.empty(len(array), dtype=np.int8)
    first_seen(array, np.zeros(len(array), dtype=np.int32), np.zeros((1, 1 + places), dtype=np.int32), out)

    met: list[int] = []
    for value, said in zip(values, out, strict=True):
        if value < 0:
            assert said == -1
            continue
        assert said == (0 if value in met else (1 if met else -1))
        if value not in met:
            met = [*met, value][-places:]


def test_great_circles_are_as_long_as_the_atlas_says():
    """Berlin to Madrid, and across the date line."""
    assert great_circle_km(52.52, 13.405, 40.4168, -3.7038) == pytest.approx(1869, abs=5)
    assert great_circle_km(0.0, 179.5, 0.0, -179.5) == pytest.approx(111.2, abs=0.2)
