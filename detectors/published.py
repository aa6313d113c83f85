"""The published columns: everything that a rule may read, with its name, type and definition.

Two kinds: what a transaction says (`columns.TRANSACTION`), and built-ins that the engine computes in
its one pass.  A built-in describes the past of the user or merchant; unless its definition says
"with this one", the transaction in question is not part of it.  What is not known yet is null, and a
comparison with null is no hit.

Windows are kept in event-time buckets: "20 min" is the running minute and the 19 before it, "1 h" the
running five minutes and the 11 before, "1 d" the running hour and the 23 before.  Amounts are in the
base currency where a rate is known, else in the transaction's own, compared only with its like.
"""

from collections.abc import Iterable

import msgspec
import polars as pl

from txwatch.columns import TRANSACTION


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column that a rule may read."""

    name: str
    dtype: pl.DataType
    definition: str
    """A sentence for the rule's author, with the unit and when it is null."""


def _built_in(name: str, dtype: pl.DataType, definition: str) -> Column:
    return Column(name=name, dtype=dtype, definition=definition)


_COUNT = pl.Int32()
_FLAG = pl.Boolean()
_REAL = pl.Float64()

BUILT_INS: tuple[Column, ...] = (
    _built_in("hour", pl.Int8(), "hour of the day in UTC, 0 to 23"),
    _built_in("weekday", pl.Int8(), "day of the week in UTC, 1 is Monday, 7 is Sunday"),
    _built_in("amount_base", _REAL, "amount in the base currency; null when the currency has no rate"),
    _built_in("user_count", _COUNT, "approved payments of this user behind its amount baseline"),
    _built_in(
        "user_amount_median", _REAL, "median of the user's last 31 approved amounts; null before the first"
    ),
    _built_in("user_amount_ratio", _REAL, "amount / user_amount_median; null when that is null or 0"),
    _built_in(
        "user_amount_z",
        _REAL,
        "(amount - user_amount_median) / spread, the spread being 1.4826 MAD of the same amounts, at least "
        "5 % of the median and 0.01; null before the fifth payment",
    ),
    _built_in("merchant_count", _COUNT, "approved payments at this merchant behind its amount baseline"),
    _built_in(
        "merchant_amount_median", _REAL, "median of the merchant's last 31 approved amounts; null before"
    ),
    _built_in("merchant_amount_ratio", _REAL, "amount / merchant_amount_median; null when that is null or 0"),
    _built_in("merchant_amount_z", _REAL, "as user_amount_z, over the merchant's last 31 approved amounts"),
    _built_in("user_count_20m", _COUNT, "attempts of the user within 20 min, any status, with this one"),
    _built_in("user_count_1d", _COUNT, "attempts of the user within 1 d, any status, with this one"),
    _built_in(
        "user_sum_1d", _REAL, "sum of the user's approved amounts within 1 d, with this one if approved"
    ),
    _built_in(
        "user_declined_1h", _COUNT, "declined attempts of the user within 1 h, with this one if declined"
    ),
    _built_in(
        "user_seconds_since_last",
        _REAL,
        "seconds since the user's latest earlier attempt, 0 for a row out of order; null for the first",
    ),
    _built_in("merchant_count_1h", _COUNT, "attempts at the merchant within 1 h, any status, with this one"),
    _built_in(
        "merchant_declined_share_1h",
        _REAL,
        "declined share (0 to 1) of the attempts at the merchant within 1 h, with this one",
    ),
    _built_in(
        "country_is_new",
        _FLAG,
        "the country is not among the last 16 different ones of this user; null without a country and for "
        "the user's first",
    ),
    _built_in(
        "merchant_is_new",
        _FLAG,
        "the merchant is not among the last 32 different ones of this user; null for the user's first",
    ),
    _built_in(
        "device_is_new",
        _FLAG,
        "the device is not among the last 8 different ones of this user; null without a device and for the "
        "user's first",
    ),
    _built_in(
        "distance_km",
        _REAL,
        "great-circle distance in km from the centre of the user's earlier places; null without a place "
        "and for the user's first",
    ),
    _built_in(
        "travel_kmh",
        _REAL,
        "speed in km/h that the way from the user's last place would have taken, the time counted as at "
        "least one minute; null without a place and for the user's first",
    ),
)
"""What the engine computes for every transaction, in the order in which it is documented."""

_TRANSACTION_DEFINITIONS: dict[str, str] = {
    "transaction_id": "the producer's id of the transaction",
    "timestamp": "event time, UTC, to the millisecond",
    "user_id": "who pays",
    "merchant_id": "who is paid",
    "amount": "amount in the transaction's currency",
    "currency": "ISO 4217 code",
    "status": "approved, declined or reversed",
    "channel": "how it was made, for example web, pos, atm; may be null",
    "country": "ISO 3166 code of where it was made; may be null",
    "lat": "latitude in degrees; may be null",
    "lon": "longitude in degrees; may be null",
    "device_id": "the device it was made with; may be null",
    "ip": "the address it came from; may be null",
    "card_id": "the card it was made with; may be null",
    "merchant_category": "the merchant's category; may be null",
    "extra": "every other field of the message, as one JSON object; may be null",
}

PUBLISHED: dict[str, Column] = {
    column.name: column
    for column in (
        *(
            Column(name=name, dtype=dtype, definition=_TRANSACTION_DEFINITIONS[name])
            for name, dtype in TRANSACTION.items()
        ),
        *BUILT_INS,
    )
}
"""Every column that a rule may read, by name."""


def unknown_columns(names: Iterable[str]) -> list[str]:
    """Return the names that no rule may read, in the order given."""
    return [name for name in names if name not in PUBLISHED]
