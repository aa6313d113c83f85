"""A micro-batch as the detectors see it: plain arrays, entities as dense row numbers.

Amounts are in the base currency where a rate is known.  Where it is not, they stay in their own and
get baselines of their own: the money account of (user, currency), and a population of that currency.
"""

from collections.abc import Mapping

import msgspec
import numpy as np
import polars as pl

from detectors.entities import EntityIndex
from detectors.settings import DetectionSettings
from detectors.types import Flags, Floats, Hashes, Rows32, Times

_SEPARATOR = "\x1f"
_MOST_GROUPS = 255


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one micro-batch, in feed order; every array has shape (n,)."""

    times: Times
    keys: Hashes
    """Of the transaction ids, never 0."""
    amount: Floats
    """In the base currency where a rate is known, else in its own; at least a hundredth."""
    approved: Floats
    """1.0 where the payment was approved: only those are learnt as spending."""
    declined: Floats
    lat: Floats
    lon: Floats
    user: Rows32
    merchant: Rows32
    user_money: Rows32
    """The user's account of this currency: the user, unless the currency has no rate."""
    merchant_money: Rows32
    group: Rows32
    """Whose amounts can be compared: 0 for the base currency and all with a rate."""
    segment: Rows32
    """The merchant's category, -1 when unknown."""
    country: Rows32
    device: Rows32
    has_rate: Flags
    sizes: Mapping[str, int]
    """How many users, merchants, accounts, ... are known, these rows included."""
    features: dict[str, Floats]
    """What the feature pass measured, by name; see `features.FeatureState`."""

    def __len__(self) -> int:
        return len(self.times)

    def take(self, kept: Times) -> "Rows":
        """Return only these rows, by position, before any feature was measured."""
        arrays = {name: getattr(self, name)[kept] for name in _ARRAYS}
        return msgspec.structs.replace(self, **arrays, features={})


_ARRAYS = tuple(name for name in Rows.__struct_fields__ if name not in {"sizes", "features"})


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """Earlier payments that turned out to be frauds; every array has shape (n,)."""

    times: Times
    keys: Hashes
    user: Rows32
    merchant: Rows32
    sizes: Mapping[str, int]


class MoneyIndex:
    """Accounts: an entity's row, or its row for one currency without a rate.

    While every currency has a rate, accounts are the entities themselves and cost nothing.
    """

    def __init__(self, ids: list[str] | None = None) -> None:
        self._own = None if ids is None else EntityIndex(ids)

    def rows(
        self, entities: EntityIndex, known: int, ids: pl.Series, currency: pl.Series, rated: Flags
    ) -> Rows32:
        """Return the account of each row; `known` is how many entities there were before these rows."""
        if self._own is None:
            self._own = EntityIndex(entities.ids()[:known])
        return self._own.rows(_accounts(ids, currency, rated))

    @property
    def is_shared(self) -> bool:
        """Whether accounts are still the entities themselves."""
        return self._own is None

    def size(self, entities: EntityIndex) -> int:
        """Return how many accounts there are."""
        return len(entities if self._own is None else self._own)

    def ids(self) -> list[str] | None:
        """Return what a snapshot keeps: nothing while accounts are the entities."""
        return None if self._own is None else self._own.ids()


def _accounts(ids: pl.Series, currency: pl.Series, rated: Flags) -> pl.Series:
    frame = pl.DataFrame({"id": ids, "currency": currency, "rated": rated})
    own = pl.concat_str("id", pl.lit(_SEPARATOR), "currency")
    return frame.select(pl.when("rated").then("id").otherwise(own)).to_series()


class RowsBuilder:
    """Turns batches into Rows, giving every entity its row number."""

    _KINDS = ("user", "merchant", "group", "segment", "country", "device")

    def __init__(self, settings: DetectionSettings) -> None:
        self._base = settings.base_currency
        self._rates = {**settings.rates, self._base: 1.0}
        self._index = {kind: EntityIndex() for kind in self._KINDS}
        self._index["group"] = EntityIndex([settings.base_currency])
        self._money = {"user": MoneyIndex(), "merchant": MoneyIndex()}

    def build(self, batch: pl.DataFrame) -> Rows:
        """Return the batch (columns TRANSACTION) as arrays, new entities getting new rows."""
        known = {kind: len(self._index[kind]) for kind in ("user", "merchant")}
        rate, has_rate = self._rate(batch["currency"])
        amount = np.maximum(batch["amount"].to_numpy() * rate, 0.01)
        status = batch["status"]
        user = self._index["user"].rows(batch["user_id"])
        merchant = self._index["merchant"].rows(batch["merchant_id"])
        return Rows(
            times=milliseconds(batch["timestamp"]),
            keys=id_keys(batch["transaction_id"]),
            amount=amount,
            approved=(status == "approved").to_numpy().astype(np.float64),
            declined=(status == "declined").to_numpy().astype(np.float64),
            lat=_floats(batch["lat"]),
            lon=_floats(batch["lon"]),
            user=user,
            merchant=merchant,
            user_money=self._account("user", known, batch, user, has_rate),
            merchant_money=self._account("merchant", known, batch, merchant, has_rate),
            group=self._groups(batch["currency"], has_rate),
            segment=self._bounded("segment", batch["merchant_category"]),
            country=self._optional("country", batch["country"]),
            device=self._optional("device", batch["device_id"]),
            has_rate=has_rate,
            sizes=self.sizes(),
            features={},
        )

    def reported(self, frauds: pl.DataFrame) -> Reported:
        """Return payments that somebody reported (transaction_id, timestamp, user_id, merchant_id)."""
        return Reported(
            times=milliseconds(frauds["timestamp"]),
            keys=id_keys(frauds["transaction_id"]),
            user=self._index["user"].rows(frauds["user_id"]),
            merchant=self._index["merchant"].rows(frauds["merchant_id"]),
            sizes=self.sizes(),
        )

    def sizes(self) -> dict[str, int]:
        """Return how many members each kind of entity has."""
        sizes = {kind: len(index) for kind, index in self._index.items()}
        for kind, money in self._money.items():
            sizes[f"{kind}_money"] = money.size(self._index[kind])
        return sizes

    def dump(self) -> dict[str, list[str] | None]:
        """Return the ids of every kind, in row order."""
        ids: dict[str, list[str] | None] = {kind: index.ids() for kind, index in self._index.items()}
        return ids | {f"{kind}_money": money.ids() for kind, money in self._money.items()}

    def load(self, ids: Mapping[str, list[str] | None]) -> None:
        """Take over the ids of a dump."""
        self._index = {kind: EntityIndex(ids[kind] or ()) for kind in self._KINDS}
        self._money = {kind: MoneyIndex(ids[f"{kind}_money"]) for kind in self._money}

    def _rate(self, currency: pl.Series) -> tuple[Floats, Flags]:
        if (currency == self._base).all():
            return np.ones(len(currency)), np.ones(len(currency), dtype=bool)
        rates = currency.replace_strict(self._rates, default=None, return_dtype=pl.Float64)
        return rates.fill_null(1.0).to_numpy(), rates.is_not_null().to_numpy()

    def _account(
        self, kind: str, known: dict[str, int], batch: pl.DataFrame, rows: Rows32, rated: Flags
    ) -> Rows32:
        money = self._money[kind]
        if money.is_shared and rated.all():
            return rows
        return money.rows(self._index[kind], known[kind], batch[f"{kind}_id"], batch["currency"], rated)

    def _groups(self, currency: pl.Series, rated: Flags) -> Rows32:
        if rated.all():
            return np.zeros(len(currency), dtype=np.int32)
        own = pl.DataFrame({"currency": currency, "rated": rated}).select(
            pl.when("rated").then(pl.lit(self._base)).otherwise("currency").alias("currency")
        )
        return self._bounded("group", own["currency"])

    def _bounded(self, kind: str, names: pl.Series) -> Rows32:
        """Return rows of a kind of which only so many are told apart; further ones share the last row."""
        rows = self._optional(kind, names)
        return np.minimum(rows, _MOST_GROUPS - 1)

    def _optional(self, kind: str, names: pl.Series) -> Rows32:
        if names.null_count() == len(names):
            return np.full(len(names), -1, dtype=np.int32)
        return self._index[kind].rows(names)


def id_keys(ids: pl.Series) -> Hashes:
    """Return the hash of each id, never 0: shape (n,)."""
    keys: Hashes = np.maximum(ids.hash().to_numpy(), np.uint64(1))
    return keys


def milliseconds(times: pl.Series) -> Times:
    """Return times (`Datetime("ms")`, none null) as milliseconds since 1970: shape (n,), read only."""
    return times.to_numpy().view(np.int64)


def _floats(values: pl.Series) -> Floats:
    """Return numbers with NaN for null."""
    if values.null_count() == len(values):
        return np.full(len(values), np.nan)
    return values.to_numpy()
