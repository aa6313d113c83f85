"""A made day as a frame with the columns that every transaction has."""

import numpy as np
import polars as pl

from collector.simulator.names import Names, numbered
from collector.simulator.places import CATEGORIES, CITIES, EUR_RATES, ONLINE
from collector.simulator.rows import NO_DEVICE, Rows
from collector.simulator.world import World
from txwatch.columns import TRANSACTION
from txwatch.model import Status

STATUSES = pl.Series((Status.APPROVED.value, Status.DECLINED.value, Status.REVERSED.value))
CHANNELS = pl.Series([category.channel for category in CATEGORIES])
CATEGORY_NAMES = pl.Series([category.name for category in CATEGORIES])
COUNTRIES = pl.Series([city.country for city in CITIES])
CURRENCIES = pl.Series([city.currency for city in CITIES])
RATES = np.array([EUR_RATES[city.currency] for city in CITIES])


def as_frame(world: World, names: Names, day: int, rows: Rows) -> pl.DataFrame:
    """Return the rows as a frame with the columns of TRANSACTION, and `episode`."""
    category = world.category[rows.merchant]
    online = pl.Series(ONLINE[category])
    place = world.shop_place[rows.merchant].round(5)
    midnight = int(world.settings.start.timestamp() * 1000) + day * 86_400_000
    columns = {
        "transaction_id": numbered(f"t{day:04}-", np.arange(len(rows)), 6),
        "timestamp": pl.Series(midnight + (rows.seconds * 1000).astype(np.int64)),
        "user_id": names.users.gather(rows.user),
        "merchant_id": names.merchants.gather(rows.merchant),
        "amount": np.maximum(np.round(rows.amount / RATES[rows.city], 2), 0.01),
        "currency": CURRENCIES.gather(rows.city),
        "status": STATUSES.gather(rows.status),
        "channel": CHANNELS.gather(category),
        "country": COUNTRIES.gather(rows.city),
        "lat": _only(pl.Series(place[:, 0]), ~online),
        "lon": _only(pl.Series(place[:, 1]), ~online),
        "device_id": _only(names.devices(rows.user, rows.device), pl.Series(rows.device != NO_DEVICE)),
        "ip": _only(names.addresses(rows.user, rows.device), online),
        "card_id": names.cards(rows.user, rows.card),
        "merchant_category": CATEGORY_NAMES.gather(category),
        "extra": pl.repeat(None, len(rows), dtype=pl.String, eager=True),
        "episode": rows.episode,
    }
    times = pl.from_epoch("timestamp", "ms").dt.replace_time_zone("UTC")
    return pl.DataFrame(columns).with_columns(times).cast(pl.Schema(TRANSACTION | {"episode": pl.Int64()}))


def _only(values: pl.Series, where: pl.Series) -> pl.Series:
    """Return the values, null elsewhere."""
    return values.zip_with(where, pl.repeat(None, len(values), dtype=values.dtype, eager=True))
