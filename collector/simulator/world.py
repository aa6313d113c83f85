"""Who lives in the world: users with homes and habits, merchants with places and prices."""

import numpy as np

from collector.simulator.places import (
    CATEGORIES,
    CITIES,
    ONLINE,
    OVERSEAS,
    Flags,
    Floats,
    Ints,
    category_named,
    city_named,
    kilometres,
)
from collector.simulator.settings import SimulationSettings

FAVOURITES = 12
KNOWN = 3 * FAVOURITES
"""Merchants that somebody has heard of, and chooses favourites from."""
RANK_DECAY = 0.22
"""Each next favourite is visited so much less."""
TOWN_SPREAD_DEGREES = 0.08
NEAR_KM = 8.0
LATE_SHARE_OF_PEOPLE = 0.1
LATE_SHARE_OF_SHOPS = 0.1
LATE_DAYS = 60
"""People and merchants that are not there at the start come within so many days."""
SHOPS_OVERSEAS = 0.05

FOUNDERS = (
    ("marketplace", "Berlin"),
    ("restaurant", "New York"),
    ("restaurant", "São Paulo"),
    ("grocery", "Berlin"),
)
"""The first merchants of every world: one online, two overseas, one where people live."""


class World:
    """The inhabitants as columns: row `u` of a user column is user `u`, row `m` merchant `m`.

    Amounts are in EUR, places are indexes into CITIES, `joined` and `opened` are days, `favourites` has the
    shape (users, FAVOURITES) with the dearest first, and `traffic` is a merchant's expected payments a day.
    """

    def __init__(self, settings: SimulationSettings) -> None:
        rng = np.random.default_rng([settings.seed, 1])
        self.settings = settings
        self._open_shops(rng, settings.merchants)
        self._settle(rng, settings.users)
        self._form_habits(rng, settings.users)
        self.favourites = self._choose_favourites(rng)
        self.traffic = self._expected_traffic()

    def shops_in(self, city: int, day: int) -> Ints:
        """Return the merchants that one can visit in a city on a day."""
        shops = self._shops_of_city[city]
        return shops[self.opened[shops] <= day]

    def online_shops(self, day: int) -> Ints:
        """Return the merchants that sell online on a day."""
        return np.flatnonzero(self.online & (self.opened <= day))

    def neighbours(self, rng: np.random.Generator, user: Ints) -> Ints:
        """Return a random inhabitant of each user's home town."""
        city = self.home[user]
        within = rng.random(len(user)) * (self._first_of_town[city + 1] - self._first_of_town[city])
        found: Ints = self._by_town[self._first_of_town[city] + within.astype(np.int64)]
        return found

    def _open_shops(self, rng: np.random.Generator, count: int) -> None:
        self.shop_city: Ints = rng.choice(len(CITIES), count, p=_shop_shares())
        self.category: Ints = rng.choice(len(CATEGORIES), count, p=_shares([c.share for c in CATEGORIES]))
        for shop, (category, city) in enumerate(FOUNDERS):
            self.category[shop], self.shop_city[shop] = category_named(category), city_named(city)
        self.online: Flags = ONLINE[self.category]
        self.shop_level: Floats = np.exp(rng.normal(0, 0.2, count))
        self.popularity: Floats = rng.pareto(1.5, count) + 0.3
        self.shop_place: Floats = _scatter(rng, self.shop_city)
        self.opened: Ints = _arrivals(rng, count, LATE_SHARE_OF_SHOPS)
        self._shops_of_city = [
            np.flatnonzero(~self.online & (self.shop_city == city)) for city in range(len(CITIES))
        ]
        self.opened[[0, *(shops[0] for shops in self._shops_of_city if len(shops))]] = 0

    def _settle(self, rng: np.random.Generator, count: int) -> None:
        """People live where there is a shop."""
        habitable = np.array([len(shops) > 0 for shops in self._shops_of_city])
        shares = _shares(habitable * np.array([city.share for city in CITIES]))
        self.home: Ints = rng.choice(len(CITIES), count, p=shares)
        self.home_place: Floats = _scatter(rng, self.home)
        self.hours: Floats = np.array([float(city.hours) for city in CITIES])[self.home]
        self.joined: Ints = _arrivals(rng, count, LATE_SHARE_OF_PEOPLE)
        self.joined[0] = 0
        self._by_town = np.argsort(self.home, kind="stable")
        self._first_of_town = np.searchsorted(self.home[self._by_town], np.arange(len(CITIES) + 1))

    def _form_habits(self, rng: np.random.Generator, count: int) -> None:
        self.amount_level: Floats = np.exp(rng.normal(3.1, 0.45, count))
        self.amount_spread: Floats = rng.uniform(0.3, 0.55, count)
        rate = np.clip(rng.gamma(2.5, 1 / 2.5, count), 0.1, 4.0)
        self.rate: Floats = self.settings.per_user_per_day * rate
        self.peak_hour: Floats = np.clip(rng.normal(14.5, 2.5, count), 8, 21)
        self.peak_width: Floats = rng.uniform(1.8, 3.4, count)
        self.online_share: Floats = rng.beta(2.0, 3.0, count)
        self.second_device: Flags = rng.random(count) < 0.5
        self.second_card: Flags = rng.random(count) < 0.3

    def _choose_favourites(self, rng: np.random.Generator) -> Ints:
        """Of the popular merchants in town and online, take the near ones and those of one's own taste."""
        taste = np.exp(rng.normal(0, 0.6, (len(self.home), len(CATEGORIES))))
        chosen = np.empty((len(self.home), FAVOURITES), dtype=np.int64)
        shops_online = np.flatnonzero(self.online)
        for city in np.unique(self.home):
            people = np.flatnonzero(self.home == city)
            known = self._pick(rng, self._shops_of_city[city], len(people))
            remote = rng.random(known.shape) < self.online_share[people, None]
            known = np.where(remote, self._pick(rng, shops_online, len(people)), known)
            liking = self._nearness(people, known) * taste[people[:, None], self.category[known]]
            order = np.argsort(rng.exponential(size=known.shape) / liking, axis=1)
            chosen[people] = np.take_along_axis(known, order[:, :FAVOURITES], axis=1)
        return chosen

    def _pick(self, rng: np.random.Generator, shops: Ints, people: int) -> Ints:
        return rng.choice(shops, (people, KNOWN), p=_shares(self.popularity[shops]))

    def _nearness(self, people: Ints, known: Ints) -> Floats:
        """1 next door and online, less with the distance."""
        home, shop = self.home_place[people][:, None], self.shop_place[known]
        distance = kilometres(home[..., 0], home[..., 1], shop[..., 0], shop[..., 1])
        return np.where(self.online[known], 0.4, np.exp(-distance / NEAR_KM))

    def _expected_traffic(self) -> Floats:
        weight = (1 - RANK_DECAY) ** np.arange(FAVOURITES)
        visits = self.rate[:, None] * weight / weight.sum()
        traffic = np.zeros(len(self.online))
        np.add.at(traffic, self.favourites, visits)
        return traffic


def _shares(weights: Floats | list[float]) -> Floats:
    found: Floats = np.asarray(weights, dtype=np.float64)
    shares: Floats = found / found.sum()
    return shares


def _shop_shares() -> Floats:
    """Shops stand where people live, some overseas."""
    abroad = SHOPS_OVERSEAS * OVERSEAS / OVERSEAS.sum()
    return _shares(np.array([city.share for city in CITIES]) * (1 - SHOPS_OVERSEAS) + abroad)


def _scatter(rng: np.random.Generator, city: Ints) -> Floats:
    """Latitude and longitude of points around the centres of their cities, shape (n, 2)."""
    centres = np.array([(place.lat, place.lon) for place in CITIES])[city]
    return centres + rng.normal(0, TOWN_SPREAD_DEGREES, centres.shape)


def _arrivals(rng: np.random.Generator, count: int, late_share: float) -> Ints:
    late = rng.random(count) < late_share
    return np.where(late, rng.integers(1, LATE_DAYS, count), 0)
