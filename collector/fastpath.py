"""A frame of a producer's columns at once: what is surely good is taken, the rest is read row by row.

The row path (`collector.decode`) alone decides what a record is and words every reason.  The fast path
only recognises, a column at a time, rows of which the row path would make exactly the same transaction.
"""

from collections.abc import Callable

import msgspec
import polars as pl

from collector.codes import COUNTRIES, CURRENCIES
from collector.decode import read_record
from collector.fields import FIRST_TIME, LAST_TIME, LENGTHS, MAX_ID
from collector.schema import FIELDS, REQUIRED, Schema
from txwatch.columns import TIME, TRANSACTION, frame
from txwatch.model import Rejected, Status, Transaction

_UTC_TEXT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$"
_CONTROL = r"[\x00-\x1f\x7f]"


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """A frame taken apart: `rows` (columns TRANSACTION, and `row` the number in the frame), and the rest."""

    rows: pl.DataFrame
    rejected: tuple[tuple[int, Rejected], ...]


def read_frame(records: pl.DataFrame, schema: Schema) -> Read:
    """Return every row as a transaction or a rejection, the transactions in the order of the frame."""
    records = records.with_row_index("__row")
    good = _sure(records, schema)
    if good is None:
        return _row_by_row(records, schema)
    taken = _select(records.filter(good), schema)
    if taken.height == records.height:
        return Read(rows=taken, rejected=())
    rest = _row_by_row(records.filter(~good), schema)
    return Read(rows=pl.concat([taken, rest.rows]).sort("row"), rejected=rest.rejected)


def _row_by_row(records: pl.DataFrame, schema: Schema) -> Read:
    numbers: list[int] = []
    taken: list[Transaction] = []
    rejected: list[tuple[int, Rejected]] = []
    for record in records.iter_rows(named=True):
        number = record.pop("__row")
        result = read_record(record, schema)
        if isinstance(result, Transaction):
            numbers.append(number)
            taken.append(result)
        else:
            rejected.append((number, result))
    rows = frame(taken).with_columns(row=pl.Series(numbers, dtype=pl.UInt32))
    return Read(rows=rows, rejected=tuple(rejected))


def _sure(records: pl.DataFrame, schema: Schema) -> pl.Series | None:
    """Which rows are surely good; None when the columns are not of kinds that can be judged at once."""
    if schema.values or not _only_schema_columns(records, schema):
        return None
    conditions = []
    for field in FIELDS:
        name = schema.column(field)
        if name not in records.columns:
            if field in REQUIRED and field not in schema.defaults:
                return None
            continue
        test = _TESTS[field](pl.col(name), records.schema[name], schema)
        if test is None:
            return None
        conditions.append(test if field in REQUIRED else test | pl.col(name).is_null())
    return records.select(pl.all_horizontal(conditions).fill_null(value=False)).to_series()


def _only_schema_columns(records: pl.DataFrame, schema: Schema) -> bool:
    return set(records.columns) <= {schema.column(field) for field in FIELDS} | {"__row"}


def _select(records: pl.DataFrame, schema: Schema) -> pl.DataFrame:
    columns = [_as_ours(field, records, schema) for field in FIELDS]
    extra = pl.lit(None, dtype=TRANSACTION["extra"]).alias("extra")
    return records.select(*columns, extra, pl.col("__row").alias("row"))


def _as_ours(field: str, records: pl.DataFrame, schema: Schema) -> pl.Expr:
    name, kind = schema.column(field), TRANSACTION[field]
    default = schema.defaults.get(field, Status.APPROVED.value if field == "status" else None)
    if name not in records.columns:
        return pl.lit(default).cast(kind).alias(field)
    found = pl.col(name)
    if field == "timestamp":
        found = _utc(found, records.schema[name])
    found = found.cast(kind)
    if default is not None and field not in REQUIRED:
        found = found.fill_null(pl.lit(default).cast(kind))
    return found.alias(field)


def _utc(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    if isinstance(kind, pl.Datetime):
        zoned = column.dt.convert_time_zone("UTC") if kind.time_zone else column.dt.replace_time_zone("UTC")
        return zoned.cast(TIME)
    return column.str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="ms", time_zone="UTC", strict=False)


Test = Callable[[pl.Expr, pl.DataType, Schema], "pl.Expr | None"]


def _id_test(longest: int) -> Test:
    def test(column: pl.Expr, kind: pl.DataType, _: Schema) -> pl.Expr | None:
        if kind.is_integer():
            return column.is_not_null()
        if kind != pl.String():
            return None
        return column.str.len_bytes().is_between(1, longest) & ~column.str.contains(_CONTROL)

    return test


def _time_test(column: pl.Expr, kind: pl.DataType, schema: Schema) -> pl.Expr | None:
    bounds = (pl.lit(FIRST_TIME).cast(TIME), pl.lit(LAST_TIME).cast(TIME))
    if isinstance(kind, pl.Datetime):
        if kind.time_zone is None and schema.naive_times == "refuse":
            return None
        return _utc(column, kind).is_between(*bounds, closed="left")
    if kind != pl.String():
        return None
    return column.str.contains(_UTC_TEXT) & _utc(column, kind).is_between(*bounds, closed="left")


def _amount_test(column: pl.Expr, kind: pl.DataType, schema: Schema) -> pl.Expr | None:
    if not kind.is_float() and not kind.is_integer():
        return None
    value = column.cast(pl.Float64)
    return value.is_finite() & (value > 0) & (value <= schema.max_amount)


def _degrees_test(largest: float) -> Test:
    def test(column: pl.Expr, kind: pl.DataType, _: Schema) -> pl.Expr | None:
        if not kind.is_float() and not kind.is_integer():
            return None
        value = column.cast(pl.Float64)
        return value.is_finite() & (value.abs() <= largest)

    return test


def _word_test(words: frozenset[str]) -> Test:
    known = sorted(words)

    def test(column: pl.Expr, kind: pl.DataType, _: Schema) -> pl.Expr | None:
        return column.is_in(known) if kind == pl.String() else None

    return test


_TESTS: dict[str, Test] = {
    "transaction_id": _id_test(MAX_ID),
    "timestamp": _time_test,
    "user_id": _id_test(MAX_ID),
    "merchant_id": _id_test(MAX_ID),
    "amount": _amount_test,
    "currency": _word_test(CURRENCIES),
    "status": _word_test(frozenset(status.value for status in Status)),
    "channel": _id_test(LENGTHS["channel"]),
    "country": _word_test(COUNTRIES),
    "lat": _degrees_test(90.0),
    "lon": _degrees_test(180.0),
    "device_id": _id_test(LENGTHS["device_id"]),
    "ip": _id_test(LENGTHS["ip"]),
    "card_id": _id_test(LENGTHS["card_id"]),
    "merchant_category": _id_test(LENGTHS["merchant_category"]),
}
