"""Whatever arrives is a transaction or a rejection with a reason; never an exception."""

import hashlib
import json
import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import Decoder
from collector.fields import READERS
from collector.jsonschema import as_sent, example_message, json_schema
from collector.schema import FIELDS, REQUIRED, Schema
from txwatch.canary import Canaries
from txwatch.model import Rejected, Transaction

SCHEMA = Schema()
DECODER = Decoder(SCHEMA)
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
        (b"1" * 5_000, "not_json"),
        (b'{"user_id": "a", "user_id": "a"}', "duplicate_key"),
        (b'{"user\\u005fid": "a", "user_id": "b"}', "duplicate_key"),
        (with_field("user_id", '"a", "amount": 5'), "duplicate_key"),
        (with_field("user_id", '"\\ud800"'), "not_json"),
        (with_field("user_id", '"a\\u202eb"'), "bad_character"),
        (with_field("user_id", '" "'), "empty"),
        (with_field("user_id", "9" * 300), "too_long"),
        (with_field("timestamp", "20260302"), "time_out_of_range"),
        (with_field("timestamp", "-62135596801"), "time_out_of_range"),
        (with_field("timestamp", '"20260302"'), "time_out_of_range"),
        (with_field("timestamp", '"9999-12-31T23:59:60Z"'), "bad_time"),
        (with_field("timestamp", '"2026-W10-1"'), "bad_time"),
        (with_field("timestamp", "true"), "wrong_type"),
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
        ('"2026-03-02T13:00:00.999999+01"', datetime(2026, 3, 2, 12, 0, 0, 999000, tzinfo=UTC)),
        ('"2016-12-31T23:59:60Z"', datetime(2017, 1, 1, tzinfo=UTC)),
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


def test_fields_inside_other_objects_are_found_by_their_path():
    """A name with that very path is preferred; the object stays in `extra`, because it may hold more."""
    decoder = Decoder(Schema(rename={"amount": "payment.value", "currency": "payment.unit"}))
    record = {name: value for name, value in GOOD.items() if name not in {"amount", "currency"}}
    payment = {"payment": {"value": 3, "unit": "EUR", "tip": 1}}

    nested = decoder.read(record | payment)
    preferred = decoder.read(record | payment | {"payment.value": 4})
    astray = decoder.read(record | {"payment": [3]})

    assert (nested.amount, nested.currency) == (3, "EUR")
    assert nested.extra == '{"payment":{"value":3,"unit":"EUR","tip":1}}'
    assert preferred.amount == 4
    assert (astray.code, astray.field) == ("missing_field", "payment.value")


def test_words_are_translated_whatever_their_type():
    """A producer may say true, 1 or KO for declined."""
    decoder = Decoder(Schema(values={"status": {"KO": "declined", "1": "declined", "true": "declined"}}))

    assert {decoder.read(GOOD | {"status": said}).status for said in ("KO", "1", 1, True)} == {"declined"}
    assert decoder.read(GOOD | {"status": []}).code == "unknown_word"


def test_a_missing_field_names_what_was_probably_meant():
    """A name that differs by case or signs alone is pointed at."""
    record = {name: value for name, value in GOOD.items() if name != "user_id"}

    assert DECODER.read(record | {"userID": "u"}).sentence == "user_id is missing; the message has 'userID'"
    assert DECODER.read(record | {"user_id": ""}).sentence == "user_id is empty"


def test_only_the_head_of_a_rejected_message_is_kept():
    """With the length and hash of all of it."""
    raw = b"x" * 3_000_000

    result = DECODER.decode(raw)

    assert (result.raw, result.length) == (raw[:65_536], 3_000_000)
    assert result.sha256 == hashlib.sha256(raw).hexdigest()


def test_the_default_schema_is_the_transaction():
    """Every field but `extra` has a reader, a description and a place in the schema."""
    assert set(FIELDS) == set(Transaction.__struct_fields__) - {"extra"}
    assert set(READERS) == set(FIELDS)
    assert set(json_schema(SCHEMA)["properties"]) == set(FIELDS)
    assert [f.name for f in msgspec.structs.fields(Transaction) if f.required] == list(REQUIRED)


SHOP = Schema(
    rename={"user_id": "customer", "amount": "payment.value"},
    defaults={"currency": "EUR"},
    values={"status": {"OK": "approved", "KO": "declined"}},
    max_amount=500,
)


@pytest.mark.parametrize("schema", [SCHEMA, SHOP])
def test_the_example_message_is_a_transaction(schema):
    """What `txwatch schema --example` prints is accepted, and has every required property."""
    example, described = example_message(schema), json_schema(schema)

    assert isinstance(Decoder(schema).read(example), Transaction)
    assert set(described["required"]) <= set(example)
    assert set(example) <= set(described["properties"])


@pytest.mark.parametrize("schema", [SCHEMA, SHOP])
def test_a_canary_is_sent_as_the_producer_would_send_it(schema):
    """By its names, and no larger than it may be: otherwise it would end in quarantine, and be missed."""
    canaries, now = Canaries(b"k" * 32), datetime(2026, 3, 2, 12, tzinfo=UTC)
    taken = Decoder(schema).read(as_sent(canaries.transaction(now, "EUR"), schema))

    assert isinstance(taken, Transaction)
    assert canaries.is_one(taken.transaction_id)
    assert taken.amount == min(9_999.0, schema.max_amount)


def test_json_schema_says_what_the_producer_has_to_send():
    """In the producer's names and words, with the schema's bounds."""
    described = json_schema(SHOP)

    assert "currency" not in described["required"]
    assert described["properties"]["currency"]["default"] == "EUR"
    assert described["properties"]["payment"]["required"] == ["value"]
    assert described["properties"]["payment"]["properties"]["value"]["maximum"] == 500
    assert {"OK", "KO"} <= set(described["properties"]["status"]["enum"])
