"""The frauds of the world: each kind a function that changes or adds rows of a day.

A function gets the scene, the episode and the day's rows, and returns them with its own in them, marked with
the episode's number.  To add a kind: write its function, and its line in KINDS.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from collector.simulator import victims
from collector.simulator.places import CITIES, OVERSEAS, Flags, Floats, Ints
from collector.simulator.rows import APPROVED, DECLINED, NO_EPISODE, STRANGE, Rows, purchases
from collector.simulator.world import FAVOURITES, World

MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0
STRANGE_EACH = 100
"""Strange devices and cards that one episode may bring."""


class Episode(NamedTuple):
    """One fraud: what, who, from when to when (seconds since the first day's midnight).

    `strength` is uniform between 0 and 1 and the same on all days of the episode.
    """

    number: int
    kind: str
    entity_kind: str
    entity: int
    start: float
    end: float
    strength: float


class Scene(NamedTuple):
    """Where a fraud happens: the world, the day (0 is the first), and randomness of its own."""

    world: World
    day: int
    rng: np.random.Generator


Apply = Callable[[Scene, Episode, Rows], Rows]


class Kind(NamedTuple):
    """A kind of fraud: its share of the mix, whom it befalls, how long it lasts in seconds."""

    name: str
    share: float
    entity_kind: str
    victims: victims.Victims
    shortest: float
    longest: float
    apply: Apply


def account_takeover(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """A user's amounts are three to eight times as large for days, most of them from a strange device."""
    mine = np.flatnonzero((rows.user == e.entity) & _honest(rows) & _during(scene, e, rows))
    mine = mine[scene.rng.random(len(mine)) < 0.5]
    amount, device, episode = rows.amount.copy(), rows.device.copy(), rows.episode.copy()
    amount[mine] *= scene.rng.uniform(3, 8, len(mine))
    device[mine[scene.rng.random(len(mine)) < 0.7]] = _strange(e)
    episode[mine] = e.number
    changed = rows.having(amount=amount, device=device, episode=episode)
    return changed.and_then(_shopping_of_the_thief(scene, e))


def card_testing(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """Eight to fifteen tiny amounts within minutes at one to three online merchants, most declined."""
    times = _burst(scene, e, int(scene.rng.integers(8, 16)))
    few = scene.rng.choice(scene.world.online_shops(scene.day), int(scene.rng.integers(1, 4)))
    made = _by_user(
        scene, e, times, scene.rng.choice(few, len(times)), scene.rng.uniform(0.5, 2.5, len(times))
    )
    status = np.where(scene.rng.random(len(times)) < 0.7, DECLINED, APPROVED)
    return rows.and_then(made.having(status=status, device=np.full(len(times), _strange(e))))


def high_amount_new_place(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """One or two large payments in person overseas."""
    times = _burst(scene, e, int(scene.rng.integers(1, 3)))
    amount = scene.world.amount_level[e.entity] * scene.rng.uniform(6, 14, len(times))
    return rows.and_then(_by_user(scene, e, times, _overseas(scene, e, len(times)), amount))


def impossible_travel(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """A payment at home, and half an hour later one of a usual amount on another continent."""
    world, user = scene.world, np.array([e.entity])
    times = _burst(scene, e, 1)
    shop = scene.rng.choice(world.shops_in(int(world.home[e.entity]), scene.day), 1)
    home = purchases(world, times, user, shop, world.amount_level[user])
    later = times + scene.rng.uniform(20, 40) * MINUTE
    amount = world.amount_level[user] * scene.rng.uniform(0.7, 2)
    return rows.and_then(home).and_then(_by_user(scene, e, later, _overseas(scene, e, 1), amount))


def velocity_burst(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """Ten to twenty approved purchases within hours, each of them ordinary."""
    times = _burst(scene, e, int(scene.rng.integers(10, 21)))
    shops = scene.world.favourites[e.entity, scene.rng.integers(0, FAVOURITES, len(times))]
    amount = scene.world.amount_level[e.entity] * np.exp(scene.rng.normal(0.3, 0.3, len(times)))
    return rows.and_then(_by_user(scene, e, times, _open_now(scene, shops), amount))


def compromised_merchant(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """A merchant's amounts are two to three times as large for a day or two."""
    mine = (rows.merchant == e.entity) & _honest(rows) & _during(scene, e, rows)
    amount = np.where(mine, rows.amount * (2 + e.strength), rows.amount)
    return rows.having(amount=amount, episode=np.where(mine, e.number, rows.episode))


def stolen_cards(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """Thirty to sixty payments with cards never seen before at one online merchant within hours."""
    made = _of_everybody(scene, e, int(scene.rng.integers(30, 61)), level=1.5)
    numbers = _strange(e) + np.arange(len(made))
    return rows.and_then(made.having(card=numbers, device=numbers))


def merchant_flood(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """A hundred and more small payments of many users at one online merchant within an hour."""
    return rows.and_then(_of_everybody(scene, e, int(scene.rng.integers(100, 200)), level=0.5))


def merchant_outage(scene: Scene, e: Episode, rows: Rows) -> Rows:
    """A busy merchant falls silent; nobody's payments to it happen."""
    return rows.keep((rows.merchant != e.entity) | ~_during(scene, e, rows))


KINDS = (
    Kind("account_takeover", 0.22, "user", victims.people, 72 * HOUR, 144 * HOUR, account_takeover),
    Kind("card_testing", 0.18, "user", victims.people, 8 * MINUTE, 20 * MINUTE, card_testing),
    Kind("high_amount_new_place", 0.15, "user", victims.people, 10 * MINUTE, HOUR, high_amount_new_place),
    Kind("impossible_travel", 0.12, "user", victims.people, MINUTE, 2 * MINUTE, impossible_travel),
    Kind("velocity_burst", 0.15, "user", victims.people, 2 * HOUR, 5 * HOUR, velocity_burst),
    Kind(
        "compromised_merchant", 0.05, "merchant", victims.visited, 24 * HOUR, 48 * HOUR, compromised_merchant
    ),
    Kind("stolen_cards", 0.04, "merchant", victims.online, 3 * HOUR, 5 * HOUR, stolen_cards),
    Kind("merchant_flood", 0.05, "merchant", victims.online, 20 * MINUTE, HOUR, merchant_flood),
    Kind("merchant_outage", 0.04, "merchant", victims.busiest, 3 * HOUR, 8 * HOUR, merchant_outage),
)
"""Every kind of fraud, applied in this order, the silence last; a new one is added here."""


def _honest(rows: Rows) -> Flags:
    honest: Flags = rows.episode == NO_EPISODE
    return honest


def _during(scene: Scene, e: Episode, rows: Rows) -> Flags:
    at = rows.seconds + scene.day * DAY
    return (at >= e.start) & (at < e.end)


def _burst(scene: Scene, e: Episode, count: int) -> Floats:
    """Times in order within the part of the episode that lies on this day, in seconds of the day."""
    first, last = max(e.start - scene.day * DAY, 0.0), min(e.end - scene.day * DAY, DAY - 1)
    times: Floats = np.sort(scene.rng.uniform(first, last, count))
    return times


def _strange(e: Episode) -> int:
    """The number of the first strange device or card of an episode."""
    return STRANGE + e.number * STRANGE_EACH


def _by_user(scene: Scene, e: Episode, times: Floats, shops: Ints, amount: Floats) -> Rows:
    return purchases(scene.world, times, np.full(len(times), e.entity), shops, amount, e.number)


def _shopping_of_the_thief(scene: Scene, e: Episode) -> Rows:
    """One or two large online purchases when the account is taken, few on the days after."""
    begins = e.start >= scene.day * DAY
    times = _burst(scene, e, int(scene.rng.poisson(0.5)) + int(begins))
    amount = scene.world.amount_level[e.entity] * scene.rng.uniform(3, 8, len(times))
    shops = scene.rng.choice(scene.world.online_shops(scene.day), len(times))
    return _by_user(scene, e, times, shops, amount).having(device=np.full(len(times), _strange(e)))


def _of_everybody(scene: Scene, e: Episode, count: int, *, level: float) -> Rows:
    """Payments of random people at the episode's merchant, `level` times what they usually pay."""
    user = scene.rng.choice(victims.people(scene.world, scene.day), count)
    amount = scene.world.amount_level[user] * level * np.exp(scene.rng.normal(0, 0.3, count))
    return purchases(scene.world, _burst(scene, e, count), user, np.full(count, e.entity), amount, e.number)


def _overseas(scene: Scene, e: Episode, count: int) -> Ints:
    """Merchants of one overseas city outside the user's country."""
    world = scene.world
    home = CITIES[world.home[e.entity]].country
    cities = [
        city
        for city in np.flatnonzero(OVERSEAS)
        if CITIES[city].country != home and len(world.shops_in(int(city), scene.day))
    ]
    return scene.rng.choice(world.shops_in(int(scene.rng.choice(cities)), scene.day), count)


def _open_now(scene: Scene, shops: Ints) -> Ints:
    """Replace merchants that do not exist yet by online ones."""
    instead = scene.rng.choice(scene.world.online_shops(scene.day), len(shops))
    return np.where(scene.world.opened[shops] <= scene.day, shops, instead)
