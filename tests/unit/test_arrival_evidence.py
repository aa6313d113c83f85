"""Suspicion of a burst: how it rises with events, stops where it is certain, and ends when they do."""

import msgspec
import numpy as np
import pytest

from detectors.rates import Rates
from detectors.settings import DetectionSettings

HOUR_MS = 3_600_000
USUAL, BURST, AFTERWARDS = 40, 2, 6
"""Days: three events a day, then one an hour, then three a day again."""


class Arrivals(msgspec.Struct, frozen=True):
    """The part of rows that a burst filter reads."""

    times: np.ndarray

    def __len__(self) -> int:
        return self.times.size


def evidence(certainty: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the hours of the last entity's events since the burst began, and the evidence of each."""
    calm = np.arange(0, USUAL * 24, 8)
    burst = np.arange(USUAL * 24, (USUAL + BURST) * 24)
    after = np.arange((USUAL + BURST) * 24, (USUAL + BURST + AFTERWARDS) * 24, 8)
    hours = np.concatenate([np.repeat(calm, 20), burst, after])
    entity = np.concatenate([np.tile(np.arange(20), calm.size), np.full(burst.size + after.size, 19)])
    rates = Rates(msgspec.structs.replace(DetectionSettings().user_day, certainty=certainty))
    rows, count = Arrivals(hours * HOUR_MS), hours.size
    found = rates.score(rows, entity.astype(np.int32), 20, np.ones(count), np.ones(count), days=1.0)
    late = hours >= USUAL * 24
    return hours[late] - USUAL * 24, found.log_odds[late]


def test_a_burst_is_certain_before_it_is_over():
    hours, found = evidence(DetectionSettings().user_day.certainty)

    assert found[0] < 0.0 < found[(hours > 12) & (hours < 24 * BURST)].min()


@pytest.mark.parametrize(("certainty", "ends_within_a_day"), [(6.0, True), (27.0, False)])
def test_certainty_decides_how_long_suspicion_outlives_a_burst(certainty, ends_within_a_day):
    """What the customer does on the days afterwards is nobody's fault any more."""
    hours, found = evidence(certainty)

    assert (found[hours >= 24 * (BURST + 1)].max() < 0.0) == ends_within_a_day
