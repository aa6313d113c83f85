"""Whatever arrives is a transaction or a rejection with a reason; never an exception."""

import json
import math
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.decode import Decoder
from collector.fastpath import read_frame
from collector.schema import FIELDS, Schema
from txwatch.columns import transaction
from txwatch.model import Rejected, Transaction

SCHEMA = Schema()
DECODER = Decoder(SCHEMA)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GOOD = {
    "transaction_id": "t1",
    "timestamp": "2026-03-02T12:00:00.123Z",
    "user_id": "u1",
    "merchant_id": "m1",
    "amount": 12.5,
    "currency": "EUR",
}

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def with_field(field: str, literal: str) -> bytes:
    """A good message with one field's JSON text replaced."""
    parts = [f'"{name}": {json.dumps(value)}' for name, value in GOOD.items() if name != field]
    return ("{" + ", ".join([*parts, f'"{field}": {literal}']) + "}").encode()


@given(st.binary(max_size=300))
def test_any_bytes_give_a_value(raw):
    """Bytes of any kind are judged, not stumbled over."""
    assert isinstance(DECODER.decode(raw), Transaction | Rejected)


@given(st.dictionaries(st.sampled_from(FIELDS), anything))
def test_any_json_object_gives_a_value(record):
    """Any type in any field is judged; a transaction holds what the schema promises."""
    result = DECODER.read(GOOD | record)

    if isinstance(result, Transaction):
        assert math.isfinite(result.amount)
        assert result.amount >= 0
        assert result.timestamp.utcoffset() == timedelta(0)
        assert 0 < len(result.user_id) <= 128
    else:
        assert result.code
        assert result.sentence


@given(st.data())
def test_a_truncated_message_is_rejected(data):
    """Half a message is never taken for a whole one."""
    raw = json.dumps(GOOD).encode()

    result = DECODER.decode(raw[: data.draw(st.integers(0, len(raw) - 1))])

    assert isinstance(result, Rejected)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"\xff\xfe{}", "not_json"),
        (b'{"user_id": "\xff"}', "not_utf8"),
        (b"[" * 100_000, "too_deep"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "too_deep"),
        (b"[1, 2]", "not_an_object"),
        (b"", "not_json"),
        (b"x" * 2_000_000, "too_large"),
        (with_field("amount", "NaN"), "not_json"),
        (with_field("amount", '"NaN"'), "wrong_type"),
        (with_field("amount", "1e999999999"), "not_json"),
        (with_field("amount", '"1e999"'), "not_finite"),
        (with_field("amount", "9" * 400), "not_finite"),
        (with_field("amount", "-0.01"), "out_of_range"),
        (with_field("amount", "1e13"), "out_of_range"),
        (with_field("amount", "true"), "wrong_type"),
        (with_field("amount", "null"), "missing_field"),
        (with_field("timestamp", '"2026-03-02T12:00:00"'), "naive_time"),
        (with_field("timestamp", '"2026-03-02"'), "date_only"),
        (with_field("timestamp", '"yesterday"'), "bad_time"),
        (with_field("timestamp", "0"), "time_out_of_range"),
        (with_field("timestamp", '"2100-01-01T00:00:00Z"'), "time_out_of_range"),
        (with_field("timestamp", "1e30"), "time_out_of_range"),
        (with_field("timestamp", '"0001-01-01T00:00:00+10:00"'), "time_out_of_range"),
        (with_field("user_id", '""'), "missing_field"),
        (with_field("user_id", json.dumps("x" * 129)), "too_long"),
        (with_field("user_id", '"a\\u0000b"'), "bad_character"),
        (with_field("user_id", "[1]"), "wrong_type"),
        (with_field("currency", '"EURO"'), "unknown_code"),
        (with_field("currency", '"ABC"'), "unknown_code"),
        (with_field("country", '"XX"'), "unknown_code"),
        (with_field("status", '"maybe"'), "unknown_word"),
        (with_field("status", "{}"), "unknown_word"),
        (with_field("lat", "90.5"), "out_of_range"),
        (with_field("lon", '"east"'), "wrong_type"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:24],
)
def test_each_fault_has_its_code(raw, code):
    """The code is stable, the head of the message and its length and hash are kept."""
    result = DECODER.decode(raw)

    assert isinstance(result, Rejected)
    assert result.code == code
    assert raw.startswith(result.raw)
    assert result.length == len(raw)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"2026-03-02T12:00:00Z"', datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ('"2026-03-02T14:00:00.123456+02:00"', datetime(2026, 3, 2, 12, 0, 0, 123000, tzinfo=UTC)),
        ("1772452800", datetime(2026, 3, 2, 12, tzinfo=UTC)),
        ("1772452800.5", datetime(2026, 3, 2, 12, 0, 0, 500000, tzinfo=UTC)),
        ("1772452800123", datetime(2026, 3, 2, 12, 0, 0, 123000, tzinfo=UTC)),
        ("1772452800123456", datetime(2026, 3, 2, 12, 0, 0, 123000, tzinfo=UTC)),
        ("1772452800123456789", datetime(2026, 3, 2, 12, 0, 0, 123000, tzinfo=UTC)),
        ('"1772452800"', datetime(2026, 3, 2, 12, tzinfo=UTC)),
    ],
)
def test_times_are_read_in_every_usual_form(written, read):
    """RFC 3339 and epoch in four units become aware UTC, to the millisecond."""
    result = DECODER.decode(with_field("timestamp", written))

    assert isinstance(result, Transaction)
    assert result.timestamp == read


def test_other_fields_are_kept_as_extra_and_bounded():
    """What the schema does not know goes into one text; too much of it is only counted."""
    small = DECODER.read(GOOD | {"till": 3})
    large = DECODER.read(GOOD | {"blob": "x" * 10_000})

    assert small.extra == '{"till":3}'
    assert json.loads(large.extra)["omitted"].startswith("1 fields")


def test_a_producer_with_other_names_needs_only_a_schema():
    """Renaming, defaults, words and naive times are data."""
    schema = Schema(
        rename={"user_id": "customer", "timestamp": "at"},
        defaults={"currency": "EUR"},
        values={"status": {"KO": "declined"}},
        naive_times="utc",
        date_only=True,
    )
    record = {"transaction_id": 7, "customer": 12, "merchant_id": "m", "amount": "3.50", "at": "2026-03-02"}

    result = Decoder(schema).read(record | {"status": "KO"})

    assert isinstance(result, Transaction)
    assert (result.transaction_id, result.user_id, result.currency, result.status) == (
        "7",
        "12",
        "EUR",
        "declined",
    )
    assert result.timestamp == datetime(2026, 3, 2, tzinfo=UTC)


def at(tens: int) -> str:
    return f"{EPOCH + timedelta(seconds=tens * 10):%Y-%m-%dT%H:%M:%S}.125Z"


cell = {
    "transaction_id": st.text(max_size=4) | st.just("x" * 200),
    "timestamp": st.integers(-3_000_000, 415_000_000).map(at)
    | st.sampled_from(["", "2026-03-02", "2026-13-02T12:00:00Z", "2026-02-30T12:00:00Z", "now"]),
    "user_id": st.sampled_from(["u1", "", "ü", "a\nb"]),
    "merchant_id": st.sampled_from(["m1", "m2"]),
    "amount": st.floats() | st.sampled_from([0.0, -0.0, 1e12, 1e13]),
    "currency": st.sampled_from(["EUR", "eur", "XYZ", "", "GBP"]),
    "status": st.sampled_from(["approved", "DECLINED", "bad", None]),
    "country": st.sampled_from(["DE", "de", "ZZ", None]),
    "lat": st.none() | st.floats(-100, 100),
}


@given(st.lists(st.fixed_dictionaries(cell), min_size=1, max_size=6))
@settings(max_examples=200)
def test_columns_at_once_and_row_by_row_agree(records):
    """The fast path takes no row that the row path would not, and makes the same of it."""
    table = pl.DataFrame(
        records, schema_overrides={"status": pl.String, "country": pl.String, "lat": pl.Float64}
    )
    one_by_one = [DECODER.read(record) for record in table.iter_rows(named=True)]

    read = read_frame(table, DECODER)

    taken = {row["row"]: transaction(row) for row in read.rows.iter_rows(named=True)}
    assert taken == {n: t for n, t in enumerate(one_by_one) if isinstance(t, Transaction)}
    assert dict(read.rejected) == {n: r for n, r in enumerate(one_by_one) if isinstance(r, Rejected)}
