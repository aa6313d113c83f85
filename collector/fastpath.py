"""A frame of a producer's columns at once: what is surely good is taken, the rest is read row by row.

The row path (`collector.decode`) alone decides what a record is and words every reason.  The fast path
only recognises, a column at a time, rows of which the row path would make exactly the same transaction.
"""

from collections.abc import Callable

import msgspec
import polars as pl

from collector.codes import COUNTRIES, CURRENCIES
from collector.decode import Decoder
from collector.fields import LENGTHS, MAX_ID, READERS, Allowed
from collector.schema import FIELDS, REQUIRED, Schema
from collector.timecolumns import Judged, as_time
from txwatch.columns import TRANSACTION, frame
from txwatch.model import Rejected, Status, Transaction

ROW = "__row"
_GOOD = "__good"
_PLAIN = r"^[\x21-\x7e\p{L}\p{N}][\x20-\x7e\p{L}\p{N}]*$"
_DECIMAL = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"
_EXACT = 2.0**53


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """Records taken apart: `rows` (columns TRANSACTION, and `row`, the record's number), and the rest."""

    rows: pl.DataFrame
    rejected: tuple[tuple[int, Rejected], ...]


def read_frame(records: pl.DataFrame, decoder: Decoder) -> Read:
    """Return every row as a transaction or a rejection, the transactions in the order of the frame."""
    numbered = records.with_row_index(ROW)
    if not set(records.columns) <= decoder.columns:
        return _row_by_row(numbered, decoder)
    sure, rest = take_sure(numbered, decoder.schema)
    return Read(rows=sure, rejected=()) if rest.is_empty() else join(sure, _row_by_row(rest, decoder))


def take_sure(records: pl.DataFrame, schema: Schema) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Part records into the surely good, as columns TRANSACTION and `row`, and those still to be judged.

    `records` holds columns of the schema, and `ROW`, the number of each.
    """
    judged = [_judge(field, records, schema) for field in FIELDS]
    known = [column for column in judged if column is not None]
    if len(known) < len(judged):
        return _NOTHING, records
    values = [value.alias(field) for field, (value, _) in zip(FIELDS, known, strict=True)]
    extra = pl.lit(None, dtype=TRANSACTION["extra"]).alias("extra")
    good = pl.all_horizontal(good for _, good in known).fill_null(value=False).alias(_GOOD)
    # Lazily, because then polars works out once what values and conditions have in common.
    seen = records.lazy().select(*values, extra, pl.col(ROW).cast(pl.Int64).alias("row"), good).collect()
    is_good = seen[_GOOD]
    if is_good.all():
        return seen.select(*TRANSACTION, "row"), records.clear()
    return seen.filter(is_good).select(*TRANSACTION, "row"), records.filter(~is_good)


def join(sure: pl.DataFrame, rest: Read) -> Read:
    """Return the surely good with what became of the others, in order."""
    return Read(rows=pl.concat([sure, rest.rows]).sort("row"), rejected=rest.rejected)


def numbered_frame(taken: list[Transaction], numbers: list[int]) -> pl.DataFrame:
    """Return transactions as columns TRANSACTION and `row`."""
    return frame(taken).with_columns(row=pl.Series(numbers, dtype=pl.Int64))


_NOTHING = numbered_frame([], [])


def _row_by_row(records: pl.DataFrame, decoder: Decoder) -> Read:
    numbers: list[int] = []
    taken: list[Transaction] = []
    rejected: list[tuple[int, Rejected]] = []
    for record in records.iter_rows(named=True):
        number = record.pop(ROW)
        result = decoder.read(record)
        if isinstance(result, Transaction):
            numbers.append(number)
            taken.append(result)
        else:
            rejected.append((number, result))
    return Read(rows=numbered_frame(taken, numbers), rejected=tuple(rejected))


def _judge(field: str, records: pl.DataFrame, schema: Schema) -> Judged | None:
    """A field's values and which of them are surely right; None where none can be judged at once."""
    name = schema.column(field)
    default = _default(field, schema)
    if name not in records.columns or records.schema[name] == pl.Null():
        if "." in name and name.split(".")[0] in records.columns:
            return None
        return None if field in REQUIRED and default is None else _constant(field, default)
    column, given = pl.col(name), records[name]
    if given.dtype in (pl.Categorical, pl.Enum):
        column, given = column.cast(pl.String), given.cast(pl.String)
    if field in schema.values:
        if given.dtype != pl.String():
            return None
        column = column.replace(schema.values[field])
    judged = _JUDGES[field](column, given, schema)
    return judged if judged is None else _where_null(field, column, judged, default)


def _default(field: str, schema: Schema) -> object:
    default = schema.defaults.get(field, Status.APPROVED.value if field == "status" else None)
    read = None if default is None else READERS[field](default, schema)
    return read.value if isinstance(read, Status) else read


def _constant(field: str, default: object) -> Judged:
    return pl.lit(default).cast(TRANSACTION[field]), pl.lit(value=True)


def _where_null(field: str, column: pl.Expr, judged: Judged, default: object) -> Judged:
    value, good = judged
    if default is not None:
        value = value.fill_null(pl.lit(default).cast(TRANSACTION[field]))
    elif field in REQUIRED:
        return value, good
    return value, good | column.is_null()


Judge = Callable[[pl.Expr, pl.Series, Allowed], Judged | None]


def _text_judge(longest: int) -> Judge:
    def judge(column: pl.Expr, given: pl.Series, _: Allowed) -> Judged | None:
        if given.dtype.is_integer():
            return column.cast(pl.String), column.is_not_null()
        if given.dtype != pl.String():
            return None
        return column, (column.str.len_bytes() <= longest) & column.str.contains(_PLAIN)

    return judge


def _amount_judge(column: pl.Expr, given: pl.Series, allowed: Allowed) -> Judged | None:
    numbers = _numbers(column, given)
    if numbers is None:
        return None
    value, good = numbers
    return value.abs(), good & value.is_between(0, allowed.max_amount)


def _degrees_judge(largest: float) -> Judge:
    def judge(column: pl.Expr, given: pl.Series, _: Allowed) -> Judged | None:
        numbers = _numbers(column, given)
        return numbers and (numbers[0], numbers[1] & (numbers[0].abs() <= largest))

    return judge


def _numbers(column: pl.Expr, given: pl.Series) -> Judged | None:
    value = column.cast(pl.Float64, strict=False)
    if given.dtype.is_float() or given.dtype.is_integer():
        return value, value.is_finite()
    if isinstance(given.dtype, pl.Decimal):
        return value, value.abs() < _EXACT / 10**given.dtype.scale
    if given.dtype == pl.String():
        return value, column.str.contains(_DECIMAL)
    return None


def _word_judge(words: frozenset[str]) -> Judge:
    known = sorted(words)

    def judge(column: pl.Expr, given: pl.Series, _: Allowed) -> Judged | None:
        return (column, column.is_in(known)) if given.dtype == pl.String() else None

    return judge


_JUDGES: dict[str, Judge] = {
    "transaction_id": _text_judge(MAX_ID),
    "timestamp": as_time,
    "user_id": _text_judge(MAX_ID),
    "merchant_id": _text_judge(MAX_ID),
    "amount": _amount_judge,
    "currency": _word_judge(CURRENCIES),
    "status": _word_judge(frozenset(status.value for status in Status)),
    "country": _word_judge(COUNTRIES),
    "lat": _degrees_judge(90.0),
    "lon": _degrees_judge(180.0),
    **{field: _text_judge(longest) for field, longest in LENGTHS.items()},
}
