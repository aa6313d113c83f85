"""Many JSON messages at once: the same results as one by one, several times as fast.

Every message is parsed alone, so that one bad message costs no other; then whole columns are judged.
A value of an unusual type sends only its own message to the row path.
"""

from collections import Counter
from collections.abc import Sequence
from types import NoneType
from typing import Any

import msgspec
import polars as pl

from collector.decode import Decoder, Record, getter
from collector.fastpath import ROW, Read, join, numbered_frame, take_sure
from collector.schema import FIELDS
from collector.uniform import Columns, uniform_columns
from txwatch.model import Rejected, Transaction

BLOCK = 1024
"""So many parsed messages still fit into a processor's cache."""

_NUMBERS = frozenset({"amount", "lat", "lon"})
_LARGEST_WHOLE = 2**53
_FAULTS = (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError)

Place = int
"""A message's number in the batch."""


def decode_batch(messages: Sequence[bytes], decoder: Decoder) -> Read:
    """Return every message as a transaction or a rejection; `row` is its place among the messages."""
    blocks = [
        _read_block(messages[first : first + BLOCK], first, decoder)
        for first in range(0, len(messages), BLOCK)
    ]
    sure, doubtful = _judge(blocks, decoder)
    doubtful += [place for block in blocks for place in block.odd]
    sure = _with_extra(sure, {place: text for block in blocks for place, text in block.extra.items()})
    if not doubtful:
        return Read(rows=sure, rejected=())
    return join(sure, _one_by_one(messages, sorted(doubtful), decoder))


class _Block(msgspec.Struct, frozen=True, kw_only=True):
    """Some messages as columns; those that are not in `table` are `odd` and have to be read alone."""

    table: pl.DataFrame
    odd: list[Place]
    extra: dict[Place, str | None]


def _read_block(messages: Sequence[bytes], first: Place, decoder: Decoder) -> _Block:
    columns = uniform_columns(messages, decoder)
    if columns is not None:
        table = _uniform_table(columns, range(first, first + len(messages)), decoder)
        if table is not None:
            return _Block(table=table, odd=[], extra={})
    return _read_mixed_block(messages, first, decoder)


def _read_mixed_block(messages: Sequence[bytes], first: Place, decoder: Decoder) -> _Block:
    parsed = list(map(decoder.parse, messages))
    places = [place for place, record in enumerate(parsed, first) if not isinstance(record, Rejected)]
    records = [record for record in parsed if not isinstance(record, Rejected)]
    odd = [False] * len(records)
    table = _table(records, places, decoder, odd)
    named = decoder.columns
    refused = sorted({*range(first, first + len(messages))}.difference(places))
    return _Block(
        table=table.filter(~pl.Series(odd)) if any(odd) else table,
        odd=refused + [place for place, is_odd in zip(places, odd, strict=True) if is_odd],
        extra={
            place: decoder.remainder(record)
            for place, record in zip(places, records, strict=True)
            if not named.issuperset(record)
        },
    )


def _judge(blocks: list[_Block], decoder: Decoder) -> tuple[pl.DataFrame, list[Place]]:
    """The surely good rows, and the places of the others.  Blocks of the same columns are judged at once."""
    alike: dict[object, list[pl.DataFrame]] = {}
    for block in blocks:
        alike.setdefault(tuple(block.table.schema.items()), []).append(block.table)
    sure: list[pl.DataFrame] = []
    doubtful: list[Place] = []
    for tables in alike.values():
        good, rest = take_sure(pl.concat(tables, rechunk=True), decoder.schema)
        sure.append(good)
        doubtful += rest[ROW].to_list()
    if len(sure) == 1:
        return sure[0], doubtful
    return pl.concat([numbered_frame([], []), *sure]).sort("row"), doubtful


def _table(records: Sequence[Record], places: list[Place], decoder: Decoder, odd: list[bool]) -> pl.DataFrame:
    """The records' columns; marks as odd which of them hold a value that fits in none."""
    columns = {ROW: pl.Series(places, dtype=pl.Int64)}
    for field in FIELDS:
        name = decoder.schema.column(field)
        series = _series(_values(records, name), numeric=field in _NUMBERS, odd=odd)
        if series is not None:
            columns[name] = series
    return pl.DataFrame(columns)


def _uniform_table(columns: Columns, places: range, decoder: Decoder) -> pl.DataFrame | None:
    """The columns as a table; None where one holds a value that fits in none."""
    series = {ROW: pl.Series(places, dtype=pl.Int64)}
    numeric = {decoder.schema.column(field) for field in _NUMBERS}
    ordered = [decoder.schema.column(field) for field in FIELDS]
    for name in (name for name in ordered if name in columns):
        _, dtype = _family(type(columns[name][0]), numeric=name in numeric)
        try:
            series[name] = pl.Series(columns[name], dtype=dtype, strict=True)
        except _FAULTS:
            return None
    return pl.DataFrame(series)


def _values(records: Sequence[Record], column: str) -> list[Any]:
    if "." in column:
        return list(map(getter(column), records))
    return [record.get(column) for record in records]


def _series(values: list[Any], *, numeric: bool, odd: list[bool]) -> pl.Series | None:
    """The values of the commonest type; the places of all others are marked as odd."""
    kinds = set(map(type, values)) - {NoneType}
    if not kinds:
        return None
    family, dtype = _family(_commonest(values, kinds), numeric=numeric)
    if not kinds <= family:
        values = _without(values, odd, family)
    try:
        return pl.Series(values, dtype=dtype, strict=True)
    except _FAULTS:
        return pl.Series(_tamed(values, odd), dtype=dtype, strict=True)


def _commonest(values: list[Any], kinds: set[type]) -> type:
    if len(kinds) == 1:
        return next(iter(kinds))
    return next(kind for kind, _ in Counter(map(type, values)).most_common() if kind is not NoneType)


def _family(kind: type, *, numeric: bool) -> tuple[set[type], pl.DataType]:
    if numeric and kind in {int, float}:
        return {int, float}, pl.Float64()
    return ({int}, pl.Int64()) if kind is int else ({str}, pl.String())


def _without(values: list[Any], odd: list[bool], family: set[type]) -> list[Any]:
    kept = list(values)
    for place, value in enumerate(values):
        if value is not None and type(value) not in family:
            kept[place], odd[place] = None, True
    return kept


def _tamed(values: list[Any], odd: list[bool]) -> list[Any]:
    """Without the numbers and texts that no column can hold."""
    kept = list(values)
    for place, value in enumerate(values):
        if value is not None and not _can_be_held(value):
            kept[place], odd[place] = None, True
    return kept


def _can_be_held(value: Any) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return not isinstance(value, int) or abs(value) <= _LARGEST_WHOLE


def _with_extra(sure: pl.DataFrame, extra: dict[Place, str | None]) -> pl.DataFrame:
    if not extra:
        return sure
    values = [extra.get(place) for place in sure["row"].to_list()]
    return sure.with_columns(pl.Series("extra", values, dtype=pl.String))


def _one_by_one(messages: Sequence[bytes], places: list[Place], decoder: Decoder) -> Read:
    numbers: list[int] = []
    taken: list[Transaction] = []
    rejected: list[tuple[int, Rejected]] = []
    for place in places:
        result = decoder.decode(messages[place])
        if isinstance(result, Transaction):
            numbers.append(place)
            taken.append(result)
        else:
            rejected.append((place, result))
    return Read(rows=numbered_frame(taken, numbers), rejected=tuple(rejected))
