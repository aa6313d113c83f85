"""What honest people do on a day: habits, rhythm, the odd trip, the odd large purchase, a few declines."""

import numpy as np

from collector.simulator.places import CATEGORIES, Flags, Floats, Ints
from collector.simulator.rows import APPROVED, DECLINED, NO_DEVICE, REVERSED, Rows, purchases
from collector.simulator.trips import Trips, trips
from collector.simulator.world import FAVOURITES, RANK_DECAY, World

WEEKDAYS = np.array([0.95, 0.95, 0.98, 1.0, 1.15, 1.2, 0.8])
"""Monday to Sunday."""
DECLINED_SHARE = 0.02
REVERSED_SHARE = 0.003
LARGE_SHARE = 0.003
FAVOURITE_SHARE = 0.92
WAKING = (5.0, 24.0)
LEVELS = np.array([category.level for category in CATEGORIES])
OPENS = np.array([category.opens for category in CATEGORIES])
CLOSES = np.array([category.closes for category in CATEGORIES])


def honest_day(world: World, day: int) -> Rows:
    """Return the day's honest transactions, in no order."""
    rng = np.random.default_rng([world.settings.seed, 2, day])
    factor = WEEKDAYS[(world.settings.start.weekday() + day) % 7]
    counts = rng.poisson(world.rate * factor) * (world.joined <= day)
    user = np.repeat(np.arange(len(counts)), counts)
    away = trips(world, day)
    merchant = _merchants(world, rng, day, user, away)
    happens = (world.opened[merchant] <= day) & (world.online[merchant] | ~away.in_plane[user])
    user, merchant = user[happens], merchant[happens]
    rows = purchases(
        world, _times(world, rng, user, merchant), user, merchant, _amounts(world, rng, user, merchant)
    )
    return _with_means(world, rng, rows)


def _merchants(world: World, rng: np.random.Generator, day: int, user: Ints, away: Trips) -> Ints:
    """Favourites, now and then a neighbour's: the people of a town know its shops; on a trip, those there."""
    rank = np.minimum(rng.geometric(RANK_DECAY, len(user)) - 1, FAVOURITES - 1)
    whose = np.where(rng.random(len(user)) < FAVOURITE_SHARE, user, world.neighbours(rng, user))
    merchant: Ints = world.favourites[whose, rank]
    city = np.where(world.online[merchant], -1, away.city[user])
    for there in np.unique(city[city >= 0]):
        visits = np.flatnonzero(city == there)
        merchant[visits] = rng.choice(world.shops_in(int(there), day), len(visits))
    return merchant


def _times(world: World, rng: np.random.Generator, user: Ints, merchant: Ints) -> Floats:
    """Seconds of the UTC day: one's own hours by the clock at home, while the merchant is open."""
    count = len(user)
    usual = _within(world.peak_hour[user] + rng.normal(0, 1, count) * world.peak_width[user], *WAKING)
    local = np.where(rng.random(count) < 0.88, usual, rng.uniform(7, 23, count))
    sleepless = world.online[merchant] & (rng.random(count) < 0.03)
    local = np.where(sleepless, rng.uniform(0, 24, count), local)
    local = _while_open(rng, local, world.category[merchant])
    seconds: Floats = (local - world.hours[user]) % 24 * 3600
    return np.minimum(seconds, 86_399.999)


def _within(hours: Floats, first: float, last: float) -> Floats:
    """Fold what lies outside back inside, so that no hour gets a heap at its edge."""
    folded = first + np.abs(hours - first)
    return np.clip(last - np.abs(last - folded), first, last)


def _while_open(rng: np.random.Generator, local: Floats, category: Ints) -> Floats:
    closed = np.flatnonzero((local < OPENS[category]) | (local >= CLOSES[category]))
    opens, closes = OPENS[category[closed]], CLOSES[category[closed]]
    moved = local.copy()
    moved[closed] = rng.triangular(opens, (opens + closes) / 2, closes)
    return moved


def _amounts(world: World, rng: np.random.Generator, user: Ints, merchant: Ints) -> Floats:
    usual = world.amount_level[user] * LEVELS[world.category[merchant]] * world.shop_level[merchant]
    amount: Floats = usual * np.exp(rng.normal(0, 1, len(user)) * world.amount_spread[user])
    large = rng.random(len(user)) < LARGE_SHARE
    amount[large] *= rng.uniform(3, 8, int(large.sum()))
    return amount


def _with_means(world: World, rng: np.random.Generator, rows: Rows) -> Rows:
    """Give every payment its outcome, card and device: online always one, in person now and then a phone."""
    other_card = world.second_card[rows.user] & (rng.random(len(rows)) < 0.25)
    by_phone = _chance(rng, len(rows), 0.4) & (CHANNEL_POS[world.category[rows.merchant]])
    laptop = world.second_device[rows.user] & world.online[rows.merchant] & _chance(rng, len(rows), 0.4)
    device = np.where((rows.device == NO_DEVICE) & by_phone, 0, rows.device)
    return rows.having(
        status=_statuses(rng, len(rows)),
        card=other_card.astype(np.int64),
        device=np.where(laptop, 1, device),
    )


CHANNEL_POS = np.array([category.channel == "pos" for category in CATEGORIES])


def _chance(rng: np.random.Generator, count: int, share: float) -> Flags:
    return rng.random(count) < share


def _statuses(rng: np.random.Generator, count: int) -> Ints:
    draw = rng.random(count)
    found: Ints = np.where(draw < DECLINED_SHARE, DECLINED, APPROVED)
    found[(draw >= DECLINED_SHARE) & (draw < DECLINED_SHARE + REVERSED_SHARE)] = REVERSED
    return found
