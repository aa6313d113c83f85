"""Who is away on a day: honest people travel, most of them not far."""

from typing import NamedTuple

import numpy as np

from collector.simulator.places import CITIES, OVERSEAS, Flags, Ints, kilometres
from collector.simulator.world import World

TRAVELLER_SHARE = 0.004
OVERSEAS_SHARE = 0.2
TRIP_DAYS = 5
LONG_WAY_KM = 1500.0


class Trips(NamedTuple):
    """For each user: the city they are in (-1 at home), and whether they sit in a plane all day."""

    city: Ints
    in_plane: Flags


def trips(world: World, day: int) -> Trips:
    """Return everybody's trips on a day.

    A trip lasts TRIP_DAYS; each user's begin on other days.  Where the way is long, the first and the last
    day are spent on it, so that nobody honest is faster than a plane.
    """
    at = np.arange(len(world.home)) * 7919 % TRIP_DAYS + day
    early, late = _plans(world, day // TRIP_DAYS), _plans(world, day // TRIP_DAYS + 1)
    city = np.where(at // TRIP_DAYS == day // TRIP_DAYS, early, late)
    open_cities = [bool(len(world.shops_in(city, day))) for city in range(len(CITIES))]
    city = np.where((city != world.home) & np.array([*open_cities, False])[city], city, -1)
    on_the_way = np.isin(at % TRIP_DAYS, (0, TRIP_DAYS - 1))
    return Trips(city, (city >= 0) & on_the_way & LONG_WAY[world.home, city])


def _plans(world: World, period: int) -> Ints:
    rng = np.random.default_rng([world.settings.seed, 3, period])
    travels = rng.random(len(world.home)) < TRAVELLER_SHARE
    weights = np.where(OVERSEAS, OVERSEAS_SHARE / OVERSEAS.sum(), (1 - OVERSEAS_SHARE) / (~OVERSEAS).sum())
    return np.where(travels, rng.choice(len(CITIES), len(travels), p=weights), -1)


def _long_way() -> Flags:
    lat, lon = (np.array([getattr(city, axis) for city in CITIES]) for axis in ("lat", "lon"))
    return kilometres(lat[:, None], lon[:, None], lat[None, :], lon[None, :]) > LONG_WAY_KM


LONG_WAY = _long_way()
