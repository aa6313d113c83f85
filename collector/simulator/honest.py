"""What honest people do on a day: habits, rhythm, the odd trip, the odd large purchase, a few declines."""

import numpy as np

from collector.simulator.rows import APPROVED, DECLINED, REVERSED, Rows, purchases
from collector.simulator.world import CATEGORIES, CITIES, FAVOURITES, Floats, Ints, World

WEEKDAYS = np.array([0.95, 0.95, 0.98, 1.0, 1.15, 1.2, 0.8])
"""Monday to Sunday."""
DECLINED_SHARE = 0.02
REVERSED_SHARE = 0.003
LARGE_SHARE = 0.003
TRAVELLER_SHARE = 0.002
TRIP_DAYS = 4
FAVOURITE_SHARE = 0.92


def honest_day(world: World, day: int) -> Rows:
    """Return the day's honest transactions, in no order."""
    rng = np.random.default_rng([world.settings.seed, 2, day])
    factor = WEEKDAYS[(world.settings.start.weekday() + day) % 7]
    counts = rng.poisson(world.rate * factor) * (world.joined <= day)
    user = np.repeat(np.arange(len(counts)), counts)
    merchant = _merchants(world, rng, day, user)
    rows = purchases(world, _times(world, rng, user), user, merchant, _amounts(world, rng, user, merchant))
    return rows.having(status=_statuses(rng, len(user)))


def _times(world: World, rng: np.random.Generator, user: Ints) -> Floats:
    usual = world.peak_hour[user] + rng.normal(0, 2.8, len(user))
    any_time = rng.uniform(7, 23, len(user))
    hours = np.where(rng.random(len(user)) < 0.85, usual, any_time)
    seconds: Floats = np.clip(hours, 5.0, 23.99) * 3600
    return np.minimum(seconds + rng.uniform(0, 30, len(user)), 86_399.0)


def _merchants(world: World, rng: np.random.Generator, day: int, user: Ints) -> Ints:
    rank = np.minimum(rng.geometric(0.22, len(user)) - 1, FAVOURITES - 1)
    favourite = world.favourites[user, rank]
    merchant: Ints = np.where(rng.random(len(user)) < FAVOURITE_SHARE, favourite, _nearby(world, rng, user))
    away = _travels_to(world, day)[user]
    for city in np.unique(away[away >= 0]):
        here = np.flatnonzero(away == city)
        shops = np.flatnonzero(world.shop_city == city)
        if len(shops):
            merchant[here] = rng.choice(shops, len(here))
    return merchant


def _nearby(world: World, rng: np.random.Generator, user: Ints) -> Ints:
    """Somebody else's favourite in the same town: the people of a town know its shops."""
    order = np.argsort(world.home_city, kind="stable")
    starts = np.searchsorted(world.home_city[order], np.arange(len(CITIES) + 1))
    city = world.home_city[user]
    neighbour = order[(starts[city] + rng.random(len(user)) * (starts[city + 1] - starts[city])).astype(int)]
    found: Ints = world.favourites[neighbour, rng.integers(0, FAVOURITES, len(user))]
    return found


def _travels_to(world: World, day: int) -> Ints:
    """The city that each user is on a trip to, -1 at home; trips last TRIP_DAYS."""
    rng = np.random.default_rng([world.settings.seed, 3, day // TRIP_DAYS])
    travels = rng.random(len(world.home_city)) < TRAVELLER_SHARE
    found: Ints = np.where(travels, rng.integers(0, len(CITIES), len(travels)), -1)
    return found


def _amounts(world: World, rng: np.random.Generator, user: Ints, merchant: Ints) -> Floats:
    level = np.array([category.level for category in CATEGORIES])[world.category[merchant]]
    usual = world.amount_level[user] * level * world.shop_level[merchant]
    amount: Floats = usual * np.exp(rng.normal(0, 1, len(user)) * world.amount_spread[user])
    large = rng.random(len(user)) < LARGE_SHARE
    amount[large] *= rng.uniform(3, 8, int(large.sum()))
    return amount


def _statuses(rng: np.random.Generator, count: int) -> Ints:
    draw = rng.random(count)
    found: Ints = np.where(draw < DECLINED_SHARE, DECLINED, APPROVED)
    found[(draw >= DECLINED_SHARE) & (draw < DECLINED_SHARE + REVERSED_SHARE)] = REVERSED
    return found
