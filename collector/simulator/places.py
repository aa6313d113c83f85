"""The map of the simulated world: cities, kinds of merchants, and what currencies are worth."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

EARTH_RADIUS_KM = 6371.0


class City(NamedTuple):
    """A place: its share of the people, its hours before UTC (no summer time), whether it is overseas."""

    name: str
    country: str
    currency: str
    lat: float
    lon: float
    share: float
    hours: int = 1
    overseas: bool = False


class Category(NamedTuple):
    """A kind of merchant.

    `level` multiplies a customer's own usual amount; `share` is of all merchants; in person one pays from
    the hour `opens` to the hour `closes`, local time.
    """

    name: str
    level: float
    channel: str
    share: float
    opens: float = 0.0
    closes: float = 24.0


CITIES = (
    City("Berlin", "DE", "EUR", 52.52, 13.41, 0.10),
    City("Hamburg", "DE", "EUR", 53.55, 9.99, 0.07),
    City("Munich", "DE", "EUR", 48.14, 11.58, 0.07),
    City("Cologne", "DE", "EUR", 50.94, 6.96, 0.06),
    City("Paris", "FR", "EUR", 48.86, 2.35, 0.11),
    City("Lyon", "FR", "EUR", 45.76, 4.84, 0.05),
    City("Madrid", "ES", "EUR", 40.42, -3.70, 0.09),
    City("Barcelona", "ES", "EUR", 41.39, 2.17, 0.06),
    City("Milan", "IT", "EUR", 45.46, 9.19, 0.07),
    City("Rome", "IT", "EUR", 41.90, 12.50, 0.06),
    City("Vienna", "AT", "EUR", 48.21, 16.37, 0.07),
    City("Amsterdam", "NL", "EUR", 52.37, 4.90, 0.06),
    City("Lisbon", "PT", "EUR", 38.72, -9.14, 0.03, 0),
    City("Helsinki", "FI", "EUR", 60.17, 24.94, 0.02, 2),
    City("London", "GB", "GBP", 51.51, -0.13, 0.03, 0),
    City("Zurich", "CH", "CHF", 47.38, 8.54, 0.02),
    City("Warsaw", "PL", "PLN", 52.23, 21.01, 0.02),
    City("New York", "US", "USD", 40.71, -74.01, 0.01, -5, overseas=True),
    City("São Paulo", "BR", "BRL", -23.55, -46.63, 0.0, -3, overseas=True),
    City("Bangkok", "TH", "THB", 13.76, 100.50, 0.0, 7, overseas=True),
    City("Johannesburg", "ZA", "ZAR", -26.20, 28.05, 0.0, 2, overseas=True),
    City("Dubai", "AE", "AED", 25.20, 55.27, 0.0, 4, overseas=True),
)
OVERSEAS = np.array([city.overseas for city in CITIES])

CATEGORIES = (
    Category("grocery", 0.8, "pos", 0.27, 7, 22),
    Category("restaurant", 0.9, "pos", 0.17, 11, 24),
    Category("fuel", 1.3, "pos", 0.08, 5, 24),
    Category("fashion", 1.6, "pos", 0.09, 9, 20),
    Category("cash", 1.8, "atm", 0.07),
    Category("electronics", 3.0, "ecommerce", 0.08),
    Category("marketplace", 1.2, "ecommerce", 0.12),
    Category("digital", 0.4, "ecommerce", 0.08),
    Category("travel", 4.0, "ecommerce", 0.04),
)
ONLINE = np.array([category.channel == "ecommerce" for category in CATEGORIES])

EUR_RATES = {
    "EUR": 1.0,
    "GBP": 1.17,
    "CHF": 1.06,
    "PLN": 0.235,
    "USD": 0.92,
    "BRL": 0.16,
    "THB": 0.026,
    "ZAR": 0.05,
    "AED": 0.25,
}
"""Fixed rates of the simulated world, so that a customer's habits mean the same in every currency."""


def city_named(name: str) -> int:
    """Return the index of a city in CITIES."""
    return next(index for index, city in enumerate(CITIES) if city.name == name)


def category_named(name: str) -> int:
    """Return the index of a category in CATEGORIES."""
    return next(index for index, category in enumerate(CATEGORIES) if category.name == name)


def kilometres(lat: Floats, lon: Floats, lat_to: Floats, lon_to: Floats) -> Floats:
    """Return great-circle distances of points in degrees (haversine formula)."""
    phi, phi_to = np.radians(lat), np.radians(lat_to)
    half = np.sin((phi - phi_to) / 2) ** 2
    half = half + np.cos(phi) * np.cos(phi_to) * np.sin(np.radians(lon - lon_to) / 2) ** 2
    distance: Floats = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(half))
    return distance
