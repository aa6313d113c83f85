"""One check-list over every method on a series."""

import numpy as np
import pytest

from detectors.series.calibration import Calibration
from detectors.series.jump import Jump
from detectors.series.level import Level
from detectors.series.profile import Profile
from detectors.series.scorer import methods
from detectors.series.shape import Shape
from detectors.series.snapshot import dump_records, restored_records
from detectors.series.volatility import Volatility

MINUTE = 60_000
MONDAY = 1_741_564_800_000

METHODS = {
    "jump": Jump,
    "shape_4": lambda: Shape(4),
    "shape_48": lambda: Shape(48),
    "level": Level,
    "volatility": Volatility,
    "profile": lambda: Profile(60.0),
}


def counts(rows, seed=1):
    """Poisson counts with a daily season, one a minute from a Monday on."""
    minutes = np.arange(rows)
    mean = 20.0 * (1.0 + 0.6 * np.sin(2 * np.pi * minutes / 1440))
    return MONDAY + minutes * MINUTE, np.random.default_rng(seed).poisson(mean).astype(float)


@pytest.fixture(params=METHODS)
def fresh(request):
    return METHODS[request.param]


def test_the_list_of_methods_is_the_list_that_is_checked():
    """No method escapes this check-list."""
    names = {method.name for method in methods()}

    assert names | {"profile"} == set(METHODS)


def test_scoring_twice_gives_the_same(fresh):
    """Two fresh methods agree to the last bit."""
    times, values = counts(4000)

    np.testing.assert_array_equal(fresh().step(times, values), fresh().step(times, values))


def test_the_input_is_left_as_it_was(fresh):
    """A method never writes to what it is given."""
    times, values = counts(4000)
    times.flags.writeable = values.flags.writeable = False
    kept = values.copy()

    fresh().step(times, values)

    np.testing.assert_array_equal(values, kept)


def test_too_little_history_gives_no_opinion(fresh):
    """The first row, alone, is neither normal nor strange; nor is an empty call an error."""
    times, values = counts(1)
    method = fresh()

    assert len(method.step(times[:0], values[:0])) == 0
    assert np.isnan(method.step(times, values)).all()


def test_a_constant_history_is_not_strange(fresh):
    """Whatever the constant, the evidence is as low as it can be, and finite."""
    times, _ = counts(6000)
    for constant in (0.0, 7.0):
        statistic = fresh().step(times, np.full(6000, constant))
        known = statistic[np.isfinite(statistic)]

        assert not np.isinf(statistic).any()
        assert np.ptp(known) < 2.0 if len(known) else True


def test_gaps_and_repeated_times_are_survived(fresh):
    """Irregular, repeated and backward times give finite statistics or none."""
    times, values = counts(5000)
    times[2000:] += 7 * 3_600_000
    times[3000] = times[2999]
    times[4000] = times[3900]

    statistic = fresh().step(times, values)

    assert not np.isinf(statistic).any()
    assert np.isfinite(statistic[-1])


def test_a_planted_spike_ranks_first(fresh):
    """The largest evidence of all is at the spike, or within the method's window after it."""
    times, values = counts(5000)
    values[4000:4003] += 500
    method = fresh()
    statistic = method.step(times, values)
    evidence = statistic if method.name == "profile" else Calibration().step(statistic)

    assert 4000 <= int(np.nanargmax(evidence)) < 4000 + 340


def test_the_state_moves_with_a_dump(fresh):
    """A restored method goes on where the dumped one stood."""
    times, values = counts(4000)
    whole = fresh().step(times, values)
    first, second = fresh(), fresh()
    first.step(times[:2500], values[:2500])

    second.state = restored_records("m", second.state, dump_records("m", first.state))

    np.testing.assert_array_equal(second.step(times[2500:], values[2500:]), whole[2500:])


def test_rows_do_not_know_what_comes_after(fresh):
    """The statistic of a prefix is the prefix of the statistic."""
    times, values = counts(4000)

    np.testing.assert_array_equal(
        fresh().step(times[:3000], values[:3000]), fresh().step(times, values)[:3000]
    )
