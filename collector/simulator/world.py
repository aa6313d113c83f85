"""Who lives in the world: users with homes and habits, merchants with places and prices."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from collector.simulator.settings import SimulationSettings

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

FAVOURITES = 12
HOME_SPREAD_DEGREES = 0.08


class City(NamedTuple):
    """A place where people live, and its share of them."""

    country: str
    currency: str
    lat: float
    lon: float
    share: float


class Category(NamedTuple):
    """A kind of merchant: its usual amount relative to a customer's own, its channel, its share."""

    name: str
    level: float
    channel: str
    share: float


CITIES = (
    City("DE", "EUR", 52.52, 13.41, 0.16),
    City("DE", "EUR", 48.14, 11.58, 0.11),
    City("DE", "EUR", 53.55, 9.99, 0.10),
    City("AT", "EUR", 48.21, 16.37, 0.10),
    City("FR", "EUR", 48.86, 2.35, 0.14),
    City("ES", "EUR", 40.42, -3.70, 0.10),
    City("IT", "EUR", 45.46, 9.19, 0.10),
    City("NL", "EUR", 52.37, 4.90, 0.07),
    City("GB", "GBP", 51.51, -0.13, 0.05),
    City("CH", "CHF", 47.38, 8.54, 0.04),
    City("PL", "PLN", 52.23, 21.01, 0.03),
)
FAR_PLACES = (
    City("BR", "BRL", -23.55, -46.63, 0.0),
    City("US", "USD", 40.71, -74.01, 0.0),
    City("TH", "THB", 13.76, 100.50, 0.0),
    City("ZA", "ZAR", -26.20, 28.05, 0.0),
)
"""Where nobody of this world lives; frauds come from there."""

CATEGORIES = (
    Category("grocery", 0.8, "pos", 0.28),
    Category("restaurant", 0.9, "pos", 0.18),
    Category("fuel", 1.3, "pos", 0.08),
    Category("fashion", 1.6, "pos", 0.10),
    Category("electronics", 3.0, "ecommerce", 0.08),
    Category("marketplace", 1.2, "ecommerce", 0.12),
    Category("digital", 0.4, "ecommerce", 0.08),
    Category("travel", 4.0, "ecommerce", 0.04),
    Category("cash", 1.8, "atm", 0.04),
)
EUR_RATES = {
    "EUR": 1.0,
    "GBP": 1.17,
    "CHF": 1.06,
    "PLN": 0.235,
    "BRL": 0.16,
    "USD": 0.92,
    "THB": 0.026,
    "ZAR": 0.05,
}
"""Fixed rates of the simulated world, so that a customer's habits mean the same in every currency."""


class World:
    """The inhabitants as columns: row `u` of a user column is user `u`, row `m` merchant `m`."""

    def __init__(self, settings: SimulationSettings) -> None:
        rng = np.random.default_rng([settings.seed, 1])
        self.settings = settings
        self._people(rng, settings.users)
        self._shops(rng, settings.merchants)
        self.favourites = self._choose_favourites(rng)

    def _people(self, rng: np.random.Generator, count: int) -> None:
        shares = np.array([city.share for city in CITIES])
        self.home_city: Ints = rng.choice(len(CITIES), count, p=shares / shares.sum())
        self.amount_level: Floats = np.exp(rng.normal(3.1, 0.45, count))
        self.amount_spread: Floats = rng.uniform(0.3, 0.55, count)
        rate = rng.gamma(2.5, 1 / 2.5, count)
        self.rate: Floats = self.settings.per_user_per_day * np.clip(rate, 0.1, 4.0)
        self.peak_hour: Floats = np.clip(rng.normal(14.5, 2.5, count), 8, 21)
        late = rng.random(count) < 0.1
        self.joined: Ints = np.where(late, rng.integers(1, 60, count), 0)

    def _shops(self, rng: np.random.Generator, count: int) -> None:
        city_shares = np.array([city.share for city in CITIES])
        kind_shares = np.array([category.share for category in CATEGORIES])
        self.shop_city: Ints = rng.choice(len(CITIES), count, p=city_shares / city_shares.sum())
        self.category: Ints = rng.choice(len(CATEGORIES), count, p=kind_shares / kind_shares.sum())
        self.shop_level: Floats = np.exp(rng.normal(0, 0.2, count))
        self.popularity: Floats = rng.pareto(1.3, count) + 0.3
        online = np.array([category.channel == "ecommerce" for category in CATEGORIES])
        self.online: Flags = online[self.category]
        places = np.array([(city.lat, city.lon) for city in CITIES])[self.shop_city]
        self.shop_place: Floats = places + rng.normal(0, HOME_SPREAD_DEGREES, (count, 2))

    def _choose_favourites(self, rng: np.random.Generator) -> Ints:
        """Shape (users, FAVOURITES): merchants of the home town and online ones, the dearest first."""
        chosen = np.empty((len(self.home_city), FAVOURITES), dtype=np.int64)
        for city in range(len(CITIES)):
            people = np.flatnonzero(self.home_city == city)
            weight = self.popularity * (self.online * 0.5 + (self.shop_city == city) + 1e-6)
            picks = rng.choice(len(weight), (len(people), FAVOURITES), p=weight / weight.sum())
            chosen[people] = picks
        return chosen
