"""How far from home, and how fast from the last place."""

from math import asin, cos, pi, sin, sqrt
from typing import Final

import numpy as np

from detectors.kernels.compiled import kernel
from detectors.types import Floats, Rows32, Times

WEIGHT: Final = 0
CENTRE_LAT: Final = 1
CENTRE_LON: Final = 2
USUAL_KM: Final = 3
LAST_LAT: Final = 4
LAST_LON: Final = 5
LAST_MS: Final = 6
WIDTH: Final = 7

_EARTH_KM: Final = 6371.0
_MINUTE_MS: Final = 60_000.0
_KEEP: Final = 50.0


@kernel
def place_features(
    times: Times, lat: Floats, lon: Floats, entity: Rows32, states: Floats, distance: Floats, speed: Floats
) -> None:
    """Return the distance from the entity's centre and the speed from its last place, then learn them.

    Places far outside the usual distance move the centre by a tenth, so that a stolen card does not
    drag it along.

    Args:
        times: shape (n,).
        lat: shape (n,); degrees, NaN when unknown.
        lon: shape (n,).
        entity: shape (n,).
        states: shape (entities, WIDTH); updated.
        distance: shape (n,); km, NaN without a place or before the first.
        speed: shape (n,); km/h, the time counted as at least a minute; NaN as above.
    """
    for i in range(times.size):
        distance[i] = np.nan
        speed[i] = np.nan
        if np.isnan(lat[i]) or np.isnan(lon[i]):
            continue
        state = states[entity[i]]
        if state[WEIGHT] > 0.0:
            distance[i] = great_circle_km(state[CENTRE_LAT], state[CENTRE_LON], lat[i], lon[i])
            way = great_circle_km(state[LAST_LAT], state[LAST_LON], lat[i], lon[i])
            speed[i] = 3_600_000.0 * way / max(times[i] - state[LAST_MS], _MINUTE_MS)
        _learn(state, times[i], lat[i], lon[i], distance[i])


@kernel
def great_circle_km(lat: float, lon: float, to_lat: float, to_lon: float) -> float:
    """Return the length of the great circle between two places in degrees (haversine)."""
    radian = pi / 180.0
    north = sin(0.5 * radian * (to_lat - lat))
    east = sin(0.5 * radian * (to_lon - lon))
    chord = north * north + cos(radian * lat) * cos(radian * to_lat) * east * east
    return 2.0 * _EARTH_KM * asin(min(1.0, sqrt(chord)))


@kernel
def _learn(state: Floats, time: int, lat: float, lon: float, distance: float) -> None:
    weight = 1.0
    if state[WEIGHT] > 0.0:
        weight = 1.0 if distance <= 5.0 * state[USUAL_KM] + 10.0 else 0.1
        state[USUAL_KM] += weight * (distance - state[USUAL_KM]) / (state[WEIGHT] + weight)
    state[WEIGHT] = min(state[WEIGHT] + weight, _KEEP)
    share = weight / state[WEIGHT]
    state[CENTRE_LAT] += share * (lat - state[CENTRE_LAT])
    east = (lon - state[CENTRE_LON] + 180.0) % 360.0 - 180.0
    state[CENTRE_LON] = (state[CENTRE_LON] + share * east + 180.0) % 360.0 - 180.0
    if time >= state[LAST_MS]:
        state[LAST_LAT] = lat
        state[LAST_LON] = lon
        state[LAST_MS] = time
