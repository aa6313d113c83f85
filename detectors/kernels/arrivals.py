"""Bursts of arrivals: a two-state filter on a Poisson process (Scott and Smyth 2003, MMPP).

An entity's events come at its own rate, shaped by the hour of the day.  In a burst further events come
on top at `surge` times its usual rate.  Each event multiplies the odds of being in a burst by how much
more likely the burst made it; each quiet stretch divides them.  They stop at MOST_ODDS.  The evidence
is the log odds that this very event belongs to a burst.
"""

from math import exp, log
from typing import Final

from detectors.kernels.compiled import kernel
from detectors.kernels.tail import LIMIT, SILENT
from detectors.types import Floats, Rows32, Times

EVENTS: Final = 0
EXPOSURE: Final = 1
LAST: Final = 2
ODDS: Final = 3
KNOWN: Final = 4
ENTITY_WIDTH: Final = 5

TOTAL_EVENTS: Final = 0
TOTAL_EXPOSURE: Final = 1
TOTAL_SEEN: Final = 2
HOUR_SUM: Final = 3
QUIET_PART: Final = 4
HOURS: Final = 5
SHARED_WIDTH: Final = 29

SURGE: Final = 0
ONSET: Final = 1
MEMORY_DAYS: Final = 2
PRIOR_DAYS: Final = 3
RATE_MEMORY_DAYS: Final = 4
WARM_UP: Final = 5
AFTERMATH: Final = 6
MOST_ODDS: Final = 7
SETTINGS_WIDTH: Final = 8

_DAY_MS: Final = 86_400_000.0
_HOUR_MS: Final = 3_600_000
_MOST_LIKELIER: Final = exp(20.0)


@kernel
def arrival_evidence(
    times: Times,
    entity: Rows32,
    event: Floats,
    states: Floats,
    shared: Floats,
    settings: Floats,
    out: Floats,
    rate: Floats,
    size: Floats,
) -> None:
    """Score arrivals against the entity's own rate, then learn them.

    Args:
        times: shape (n,).
        entity: shape (n,); whose rate.
        event: shape (n,); 1 where the row is an event, 0 where it only witnesses the state; an event
            of another weight speaks for a burst as so many do.
        states: shape (entities, ENTITY_WIDTH); updated.
        shared: shape (SHARED_WIDTH,); the population's rate and hour profile, updated.
        settings: shape (SETTINGS_WIDTH,); AFTERMATH is taken off the evidence of rows that are no
            events, and silences them when negative; MOST_ODDS is where odds stop.
        out: shape (n,); evidence in log odds.
        rate: shape (n,); the entity's expected events per day.
        size: shape (n,); the events behind it.
    """
    for i in range(times.size):
        state = states[entity[i]]
        first = 1 if state[KNOWN] == 0.0 else 0
        days = pass_time(state, times[i], settings[RATE_MEMORY_DAYS])
        shared[TOTAL_EXPOSURE] = shared[TOTAL_EXPOSURE] * 0.999999 + days
        shared[TOTAL_SEEN] += 1.0
        everyone = (shared[TOTAL_EVENTS] + 1.0) / (shared[TOTAL_EXPOSURE] + 1.0)
        own = (settings[PRIOR_DAYS] * everyone + state[EVENTS]) / (settings[PRIOR_DAYS] + state[EXPOSURE])
        extra = 0.5 * settings[SURGE] * (own + everyone)
        odds = faded_odds(state, days, extra * days, settings)
        rate[i] = own
        size[i] = state[EVENTS]
        out[i] = SILENT
        ready = shared[TOTAL_SEEN] >= settings[WARM_UP]
        if event[i] > 0.0:
            hour = HOURS + (times[i] // _HOUR_MS) % 24
            usual = own * 24.0 * shared[hour] / shared[HOUR_SUM]
            bad = odds * (extra / usual)
            state[ODDS] = min(odds * _likelier((usual + extra) / usual, event[i]), settings[MOST_ODDS])
            _learn(state, shared, hour, 1.0 / (1.0 + bad) if ready else 1.0, first)
            if ready:
                out[i] = min(log(bad), LIMIT)
        else:
            state[ODDS] = odds
            if ready and settings[AFTERMATH] >= 0.0 and odds > 2.0 * settings[ONSET]:
                out[i] = log(state[ODDS]) - settings[AFTERMATH]


@kernel
def _likelier(ratio: float, weight: float) -> float:
    """Return how much likelier a burst made an event of this weight, of which each single one is `ratio`."""
    if weight == 1.0:
        return float(min(ratio, _MOST_LIKELIER))
    return float(min(ratio**weight, _MOST_LIKELIER))


@kernel
def pass_time(state: Floats, time: int, memory: float) -> float:
    """Let the entity's rate fade and its exposure grow; return the days since its last row."""
    if state[KNOWN] == 0.0:
        state[KNOWN] = 1.0
        state[LAST] = float(time)
    days = max(time - state[LAST], 0.0) / _DAY_MS
    fade = exp(-days / memory)
    state[EVENTS] *= fade
    state[EXPOSURE] = state[EXPOSURE] * fade + memory * (1.0 - fade)
    state[LAST] = max(state[LAST], float(time))
    return float(days)


@kernel
def faded_odds(state: Floats, days: float, missed: float, settings: Floats) -> float:
    """Return the odds of a burst right before this row, never below its onset.

    They fade over the days since the last row, and with every event that a burst would have brought in
    them (`missed`) and that did not come.
    """
    kept = exp(-days / settings[MEMORY_DAYS] - min(missed, 50.0))
    return float(max(state[ODDS] * kept, settings[ONSET]))


@kernel
def _learn(state: Floats, shared: Floats, hour: int, weight: float, first: int) -> None:
    """Count the event; an entity's first only starts its clock, since no exposure lies before it."""
    count_hour(shared, hour, weight)
    if first == 0:
        state[EVENTS] += weight
        shared[TOTAL_EVENTS] = shared[TOTAL_EVENTS] * 0.999999 + weight


@kernel
def count_hour(shared: Floats, hour: int, weight: float) -> None:
    """Count an event in the population's hour profile; `hour` counts from HOURS."""
    shared[hour] += weight
    shared[HOUR_SUM] += weight
    if shared[TOTAL_SEEN] % 32768.0 == 0.0:
        shared[HOURS:] *= 0.9
        shared[HOUR_SUM] = shared[HOURS:].sum()
