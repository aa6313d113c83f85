"""Activity in hours that are quiet for this entity: the burst filter, in those hours only.

The entity's profile over the 24 hours is its own counts, smoothed over the neighbouring hours and
shrunk to the population's profile.  An hour is quiet when its rate is below a share of the mean rate.
While an entity is active at strange hours, events come in its quiet hours at `surge` times its usual
rate; events in its busy hours say nothing.
"""

from math import exp, log
from typing import Final

from detectors.kernels.arrivals import ENTITY_WIDTH as OWN_HOURS
from detectors.kernels.arrivals import (
    EVENTS,
    EXPOSURE,
    HOUR_SUM,
    HOURS,
    KNOWN,
    MOST_ODDS,
    ODDS,
    PRIOR_DAYS,
    QUIET_PART,
    RATE_MEMORY_DAYS,
    SETTINGS_WIDTH,
    SURGE,
    TOTAL_EVENTS,
    TOTAL_EXPOSURE,
    TOTAL_SEEN,
    WARM_UP,
    count_hour,
    faded_odds,
    pass_time,
)
from detectors.kernels.compiled import kernel
from detectors.kernels.tail import LIMIT, SILENT
from detectors.types import Floats, Rows32, Times

ENTITY_WIDTH: Final = OWN_HOURS + 24

QUIET_SHARE: Final = SETTINGS_WIDTH
PRIOR_EVENTS: Final = SETTINGS_WIDTH + 1

ODDS_LIMIT: Final = 1e12
"""Where odds stop."""

_HOUR_MS: Final = 3_600_000


@kernel
def hour_evidence(
    times: Times,
    entity: Rows32,
    states: Floats,
    shared: Floats,
    settings: Floats,
    out: Floats,
    share: Floats,
    size: Floats,
) -> None:
    """Score each row by how strange its hour is for its entity, then learn it.

    Args:
        times: shape (n,).
        entity: shape (n,).
        states: shape (entities, ENTITY_WIDTH); updated.
        shared: shape (arrivals.SHARED_WIDTH,); updated.
        settings: as for arrivals, then QUIET_SHARE and PRIOR_EVENTS.
        out: shape (n,); evidence in log odds.
        share: shape (n,); the hour's expected share of the entity's rows (1/24 is average).
        size: shape (n,); rows behind the entity's profile.
    """
    for i in range(times.size):
        state = states[entity[i]]
        first = 1 if state[KNOWN] == 0.0 else 0
        events = state[EVENTS]
        days = pass_time(state, times[i], settings[RATE_MEMORY_DAYS])
        state[OWN_HOURS:] *= state[EVENTS] / events if events > 0.0 else 1.0
        shared[TOTAL_EXPOSURE] = shared[TOTAL_EXPOSURE] * 0.999999 + days
        shared[TOTAL_SEEN] += 1.0
        everyone = (shared[TOTAL_EVENTS] + 1.0) / (shared[TOTAL_EXPOSURE] + 1.0)
        own = (settings[PRIOR_DAYS] * everyone + state[EVENTS]) / (settings[PRIOR_DAYS] + state[EXPOSURE])
        extra = 0.5 * settings[SURGE] * (own + everyone)
        odds = faded_odds(state, days, extra * days * _quiet_part(shared, settings), settings)
        hour = (times[i] // _HOUR_MS) % 24
        profile = _profile(state, shared, hour, settings)
        share[i] = profile / 24.0
        size[i] = state[EVENTS]
        out[i] = SILENT
        state[ODDS] = odds
        weight = 1.0
        if profile < settings[QUIET_SHARE] and shared[TOTAL_SEEN] >= settings[WARM_UP]:
            usual = own * profile
            out[i] = min(log(odds) + log(extra / usual), LIMIT)
            state[ODDS] = min(odds * (usual + extra) / usual, settings[MOST_ODDS])
            weight = 1.0 / (1.0 + exp(out[i]))
        _learn(state, shared, hour, weight, first)


@kernel
def _quiet_part(shared: Floats, settings: Floats) -> float:
    """Return the part of the day that is quiet for the population."""
    if shared[TOTAL_SEEN] % 256.0 == 1.0:
        limit = settings[QUIET_SHARE] * shared[HOUR_SUM] / 24.0
        quiet = 0
        for hour in range(24):
            if shared[HOURS + hour] < limit:
                quiet += 1
        shared[QUIET_PART] = quiet / 24.0
    return float(shared[QUIET_PART])


@kernel
def _profile(state: Floats, shared: Floats, hour: int, settings: Floats) -> float:
    """Return the hour's rate relative to the mean rate, the entity's own shrunk to the population's."""
    own = 0.5 * state[OWN_HOURS + hour]
    own += 0.25 * (state[OWN_HOURS + (hour + 1) % 24] + state[OWN_HOURS + (hour + 23) % 24])
    common = shared[HOURS + hour] / shared[HOUR_SUM]
    shrunk = (settings[PRIOR_EVENTS] * common + own) / (settings[PRIOR_EVENTS] + state[EVENTS])
    return float(24.0 * shrunk)


@kernel
def _learn(state: Floats, shared: Floats, hour: int, weight: float, first: int) -> None:
    count_hour(shared, HOURS + hour, weight)
    if first == 0:
        state[EVENTS] += weight
        state[OWN_HOURS + hour] += weight
        shared[TOTAL_EVENTS] = shared[TOTAL_EVENTS] * 0.999999 + weight
