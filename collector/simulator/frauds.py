"""The frauds of the world: each kind a function that changes or adds rows of a day.

A function gets the day's rows and returns them with its own in them, marked with the episode's number.
To add a kind: write its function, and its line in KINDS.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from collector.simulator.rows import DECLINED, PLACES, Rows, purchases
from collector.simulator.world import CITIES, FAR_PLACES, Floats, World

MINUTE = 60.0
HOUR = 3600.0


class Episode(NamedTuple):
    """One fraud: what, who, from when to when (seconds since the first day's midnight)."""

    number: int
    kind: str
    entity_kind: str
    entity: int
    start: float
    end: float


Apply = Callable[[World, Episode, Rows, float, np.random.Generator], Rows]
"""(world, episode, the day's rows, the day's midnight in seconds, randomness) -> the day's rows."""


class Kind(NamedTuple):
    """A kind of fraud: its share of the mix, whom it befalls, how long it lasts."""

    name: str
    entity_kind: str
    share: float
    shortest: float
    longest: float
    apply: Apply


def account_takeover(world: World, e: Episode, rows: Rows, midnight: float, rng: np.random.Generator) -> Rows:
    """Half of a user's payments become three to eight times as large, most of them from a strange device."""
    mine = np.flatnonzero((rows.user == e.entity) & _during(e, rows.seconds + midnight))
    mine = mine[rng.random(len(mine)) < 0.5]
    amount, device, episode = rows.amount.copy(), rows.device.copy(), rows.episode.copy()
    amount[mine] *= rng.uniform(3, 8, len(mine))
    device[mine[rng.random(len(mine)) < 0.7]] = e.number
    episode[mine] = e.number
    return rows.having(amount=amount, device=device, episode=episode)


def card_testing(world: World, e: Episode, rows: Rows, midnight: float, rng: np.random.Generator) -> Rows:
    """Eight to fifteen tiny amounts within minutes at one online merchant, most of them declined."""
    times = _burst(e, midnight, rng, int(rng.integers(8, 16)))
    user = np.full(len(times), e.entity)
    made = purchases(
        world, times, user, _online(world, rng, len(times)), rng.uniform(0.5, 2.5, len(times)), e.number
    )
    status = np.where(rng.random(len(times)) < 0.7, DECLINED, made.status)
    return rows.and_then(made.having(status=status, device=np.full(len(times), e.number)))


def high_amount_new_place(
    world: World, e: Episode, rows: Rows, midnight: float, rng: np.random.Generator
) -> Rows:
    """One or two large payments far from home, in a country where the user never was."""
    times = _burst(e, midnight, rng, int(rng.integers(1, 3)))
    amount = world.amount_level[e.entity] * rng.uniform(6, 14, len(times))
    return rows.and_then(_abroad(world, e, times, amount, rng))


def impossible_travel(
    world: World, e: Episode, rows: Rows, midnight: float, rng: np.random.Generator
) -> Rows:
    """A payment at home, and half an hour later one of a usual amount on another continent."""
    times = _burst(e, midnight, rng, 1)
    home = purchases(
        world, times, np.array([e.entity]), _in_town(world, e.entity, rng), world.amount_level[[e.entity]]
    )
    amount = world.amount_level[e.entity] * rng.uniform(0.7, 2, 1)
    return rows.and_then(home).and_then(_abroad(world, e, times + rng.uniform(20, 40) * MINUTE, amount, rng))


def velocity_burst(world: World, e: Episode, rows: Rows, midnight: float, rng: np.random.Generator) -> Rows:
    """Ten to twenty approved purchases within hours, each of them ordinary."""
    times = _burst(e, midnight, rng, int(rng.integers(10, 21)))
    merchant = world.favourites[e.entity, rng.integers(0, world.favourites.shape[1], len(times))]
    amount = world.amount_level[e.entity] * np.exp(rng.normal(0.3, 0.3, len(times)))
    return rows.and_then(purchases(world, times, np.full(len(times), e.entity), merchant, amount, e.number))


def compromised_merchant(
    world: World, e: Episode, rows: Rows, midnight: float, rng: np.random.Generator
) -> Rows:
    """A merchant's amounts are doubled or tripled for a day or two."""
    mine = (rows.merchant == e.entity) & _during(e, rows.seconds + midnight)
    factor = rng.uniform(2.0, 3.0)
    amount = np.where(mine, rows.amount * factor, rows.amount)
    return rows.having(amount=amount, episode=np.where(mine, e.number, rows.episode))


def merchant_outage(world: World, e: Episode, rows: Rows, midnight: float, rng: np.random.Generator) -> Rows:
    """A busy merchant falls silent; its customers' payments do not happen."""
    gone = (rows.merchant == e.entity) & _during(e, rows.seconds + midnight)
    return rows.keep(~gone)


def merchant_flood(world: World, e: Episode, rows: Rows, midnight: float, rng: np.random.Generator) -> Rows:
    """A hundred and more small payments of many users at one merchant within an hour."""
    times = _burst(e, midnight, rng, int(rng.integers(100, 200)))
    user = rng.integers(0, len(world.rate), len(times))
    amount = world.amount_level[user] * 0.5 * np.exp(rng.normal(0, 0.3, len(times)))
    made = purchases(world, times, user, np.full(len(times), e.entity), amount, e.number)
    return rows.and_then(made)


KINDS = (
    Kind("account_takeover", "user", 0.22, 72 * HOUR, 144 * HOUR, account_takeover),
    Kind("card_testing", "user", 0.18, 8 * MINUTE, 20 * MINUTE, card_testing),
    Kind("high_amount_new_place", "user", 0.16, 10 * MINUTE, 60 * MINUTE, high_amount_new_place),
    Kind("impossible_travel", "user", 0.12, 1 * MINUTE, 2 * MINUTE, impossible_travel),
    Kind("velocity_burst", "user", 0.16, 2 * HOUR, 5 * HOUR, velocity_burst),
    Kind("compromised_merchant", "merchant", 0.06, 24 * HOUR, 48 * HOUR, compromised_merchant),
    Kind("merchant_outage", "busy merchant", 0.04, 3 * HOUR, 8 * HOUR, merchant_outage),
    Kind("merchant_flood", "merchant", 0.06, 20 * MINUTE, 60 * MINUTE, merchant_flood),
)
"""Every kind of fraud; a new one is added here."""


def _during(e: Episode, seconds: Floats) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return (seconds >= e.start) & (seconds < e.end)


def _burst(e: Episode, midnight: float, rng: np.random.Generator, count: int) -> Floats:
    """Times within the episode, as seconds of the day on which it starts, kept within that day."""
    times: Floats = np.sort(rng.uniform(e.start, e.end, count)) - midnight
    return np.clip(times, 0.0, 86_390.0)


def _online(
    world: World, rng: np.random.Generator, count: int
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    shops = np.flatnonzero(world.online)
    chosen = rng.choice(shops) if len(shops) else 0
    return np.full(count, chosen)


def _in_town(
    world: World, user: int, rng: np.random.Generator
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    shops = np.flatnonzero(~world.online & (world.shop_city == world.home_city[user]))
    return np.array([rng.choice(shops) if len(shops) else world.favourites[user, 0]])


def _abroad(world: World, e: Episode, times: Floats, amount: Floats, rng: np.random.Generator) -> Rows:
    """Purchases of a user in person in a far place."""
    place = len(CITIES) + int(rng.integers(0, len(FAR_PLACES)))
    shops = np.flatnonzero(~world.online)
    merchant = rng.choice(shops if len(shops) else np.arange(len(world.online)), len(times))
    made = purchases(world, times, np.full(len(times), e.entity), merchant, amount, e.number)
    return made.having(
        place=np.full(len(times), place),
        lat=np.full(len(times), PLACES[place].lat),
        lon=np.full(len(times), PLACES[place].lon),
    )
