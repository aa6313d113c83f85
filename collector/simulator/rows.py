"""The transactions of one day while it is being made: plain columns, one entry a transaction."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import polars as pl

from collector.simulator.world import CATEGORIES, CITIES, EUR_RATES, FAR_PLACES, Flags, Floats, Ints, World
from txwatch.columns import TRANSACTION
from txwatch.model import Status

APPROVED, DECLINED, REVERSED = range(3)
STATUSES = (Status.APPROVED.value, Status.DECLINED.value, Status.REVERSED.value)
PLACES = (*CITIES, *FAR_PLACES)
OWN = -1
"""A device or card that is the user's own."""
NO_EPISODE = -1
PER_DAY = 1_000_000
"""Transaction numbers of a day start at day times this."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Columns of equal length; `amount` in EUR, `place` an index into PLACES, `device` OWN or strange."""

    seconds: Floats
    user: Ints
    merchant: Ints
    amount: Floats
    status: Ints
    place: Ints
    lat: Floats
    lon: Floats
    device: Ints
    card: Ints
    episode: Ints

    def __len__(self) -> int:
        """Return the number of transactions."""
        return len(self.seconds)

    def keep(self, which: Flags | Ints) -> "Rows":
        """Return some of the rows, or all in another order."""
        return Rows(**{field.name: getattr(self, field.name)[which] for field in fields(self)})

    def having(self, **columns: Any) -> "Rows":
        """Return the rows with other columns."""
        return replace(self, **columns)

    def and_then(self, more: "Rows") -> "Rows":
        """Return these rows and more."""
        joined = {
            f.name: np.concatenate((getattr(self, f.name), getattr(more, f.name))) for f in fields(self)
        }
        return Rows(**joined)


def purchases(
    world: World, seconds: Floats, user: Ints, merchant: Ints, amount: Floats, episode: int = NO_EPISODE
) -> Rows:
    """Return approved purchases with the users' own cards and devices: at the shop, or online at home."""
    count = len(seconds)
    place = world.shop_place[merchant]
    online = world.online[merchant]
    return Rows(
        seconds=seconds,
        user=user,
        merchant=merchant,
        amount=amount,
        status=np.full(count, APPROVED),
        place=np.where(online, world.home_city[user], world.shop_city[merchant]),
        lat=np.where(online, np.nan, place[:, 0]),
        lon=np.where(online, np.nan, place[:, 1]),
        device=np.full(count, OWN),
        card=np.full(count, OWN),
        episode=np.full(count, episode),
    )


def as_frame(world: World, day: int, rows: Rows) -> pl.DataFrame:
    """Return the rows as a frame with the columns of TRANSACTION, and `episode`."""
    codes = np.array([place.currency for place in PLACES])[rows.place]
    rates = np.array([EUR_RATES[place.currency] for place in PLACES])[rows.place]
    midnight = int(world.settings.start.timestamp() * 1000) + day * 86_400_000
    table = pl.DataFrame(
        {
            "number": np.arange(len(rows)) + day * PER_DAY,
            "timestamp": midnight + (rows.seconds * 1000).astype(np.int64),
            "user": rows.user,
            "merchant": rows.merchant,
            "amount": np.maximum(np.round(rows.amount / rates, 2), 0.01),
            "currency": codes,
            "status": np.array(STATUSES)[rows.status],
            "channel": np.array([category.channel for category in CATEGORIES])[world.category[rows.merchant]],
            "country": np.array([place.country for place in PLACES])[rows.place],
            "lat": np.round(rows.lat, 5),
            "lon": np.round(rows.lon, 5),
            "device": rows.device,
            "card": rows.card,
            "merchant_category": np.array([c.name for c in CATEGORIES])[world.category[rows.merchant]],
            "episode": rows.episode,
        }
    )
    return table.select(*_ours(), "episode").cast(pl.Schema(TRANSACTION | {"episode": pl.Int64()}))


def _ours() -> list[pl.Expr]:
    user = pl.col("user").cast(pl.String).str.zfill(6)
    own_device, own_card = pl.format("d{}", user), pl.format("c{}", user)
    address = pl.format(
        "10.{}.{}.{}", pl.col("user") // 65536, pl.col("user") // 256 % 256, pl.col("user") % 256
    )
    return [
        pl.format("t{}", pl.col("number").cast(pl.String).str.zfill(9)).alias("transaction_id"),
        pl.from_epoch("timestamp", "ms").dt.replace_time_zone("UTC").alias("timestamp"),
        pl.format("u{}", user).alias("user_id"),
        pl.format("m{}", pl.col("merchant").cast(pl.String).str.zfill(4)).alias("merchant_id"),
        *map(pl.col, ("amount", "currency", "status", "channel", "country")),
        pl.col("lat").fill_nan(None),
        pl.col("lon").fill_nan(None),
        pl.when(pl.col("device") == OWN)
        .then(own_device)
        .otherwise(pl.format("dx{}", "device"))
        .alias("device_id"),
        pl.when(pl.col("channel") == "ecommerce").then(address).alias("ip"),
        pl.when(pl.col("card") == OWN).then(own_card).otherwise(pl.format("cx{}", "card")).alias("card_id"),
        pl.col("merchant_category"),
        pl.lit(None, dtype=pl.String).alias("extra"),
    ]
