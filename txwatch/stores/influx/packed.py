"""A transaction packed into one field of the feed, and back.

The values stand in a fixed order, separated by U+001F.  What CSV or line protocol would quote is
percent-encoded, so the server's CSV needs no quoting, and turning the separator into a comma makes the
whole answer one table.  The field's name carries the version of this form.
"""

import polars as pl

from txwatch.columns import ARRIVAL, FEED, POSITION, TRANSACTION
from txwatch.stores.influx.layout import FEED as FEED_MEASUREMENT
from txwatch.stores.influx.lines import TEXTS, source_tag
from txwatch.stores.influx.text import EMPTY, ENCODED, UNSAFE, decode_tag

FIELD = "p1"
SEPARATOR = "\x1f"
SELECT = f'SELECT {FIELD}, source, "partition" FROM {FEED_MEASUREMENT}'  # noqa: S608 - InfluxQL
"""What a statement begins with whose answer `unpack` is given."""

HEADER = f"name,tags,time,{FIELD},source,partition\n".encode()

_PACKED = {"sequence": POSITION["sequence"], **TRANSACTION}
_TABLE = {
    "name": pl.String(),
    "tags": pl.String(),
    **ARRIVAL,
    **{name: pl.Int64() if name == "timestamp" else kind for name, kind in _PACKED.items()},
    "source": POSITION["source"],
    "partition": POSITION["partition"],
}


def pack(rows: pl.DataFrame) -> pl.Series:
    """Return each row (columns FEED) packed into one text."""
    values = [_as_text(rows, name).fill_null("") for name in _PACKED]
    return rows.select(pl.concat_str(values, separator=SEPARATOR).alias(FIELD))[FIELD]


def feed_lines(rows: pl.DataFrame, packed: pl.Series) -> pl.Series:
    """Return one line for each row for the bucket `feed`, at its arrival."""
    line = pl.format(
        f'{FEED_MEASUREMENT},partition={{}},source={{}} {FIELD}="{{}}" {{}}',
        "partition",
        "source_tag",
        FIELD,
        "arrival",
    )
    return rows.with_columns(source_tag(rows["source"]), packed).select(line.alias("line"))["line"]


def unpack(answer: bytes) -> pl.DataFrame:
    """Return the rows (columns FEED) of a CSV answer, which may hold several statements."""
    table = answer.replace(b"\n" + HEADER, b"").removeprefix(HEADER).replace(SEPARATOR.encode(), b",")
    if not table:
        return pl.DataFrame(schema=FEED)
    rows = pl.read_csv(table, has_header=False, schema=_TABLE)
    decoded = [_decoded(rows, name) for name in TEXTS]
    tags = rows["source"].unique()
    source = pl.col("source").replace_strict(
        tags, [decode_tag(each) for each in tags], return_dtype=pl.String
    )
    times = pl.col("timestamp").cast(FEED["timestamp"])
    return rows.with_columns(times, source, *decoded).select(list(FEED))


def first_value(packed: str) -> int:
    """Return the sequence of one packed row."""
    return int(packed.partition(SEPARATOR)[0])


def _as_text(rows: pl.DataFrame, name: str) -> pl.Expr:
    if name == "timestamp":
        return pl.col(name).dt.epoch("ms").cast(pl.String)
    if name not in TEXTS:
        return pl.col(name).cast(pl.String)
    return _encoded(rows, name)


def _encoded(rows: pl.DataFrame, name: str) -> pl.Expr:
    """Encode a column only if something in it needs it."""
    column, values = pl.col(name), rows[name]
    if values.str.contains_any(UNSAFE).any():
        column = column.str.replace_many(UNSAFE, ENCODED)
    if (values == "").any():
        column = pl.when(pl.col(name) == "").then(pl.lit(EMPTY)).otherwise(column).alias(name)
    return column


def _decoded(rows: pl.DataFrame, name: str) -> pl.Expr:
    column = pl.col(name)
    if not rows[name].str.contains("%", literal=True).any():
        return column
    decoded = column.str.replace_many(ENCODED, UNSAFE)
    return pl.when(column == EMPTY).then(pl.lit("")).otherwise(decoded).alias(name)
