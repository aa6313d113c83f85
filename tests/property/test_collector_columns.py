"""Columns judged at once and records read one by one agree, whatever the columns hold."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collector.batch import decode_batch
from collector.decode import Decoder
from collector.fastpath import ROW, read_frame, take_sure
from collector.schema import Schema
from txwatch.columns import transaction
from txwatch.model import Rejected, Transaction

SCHEMAS = {
    "plain": Schema(),
    "lenient": Schema(naive_times="utc", date_only=True, defaults={"currency": "eur", "status": "DECLINED"}),
    "renamed": Schema(
        rename={"user_id": "who", "amount": "payment.value", "currency": "payment.unit"},
        values={"status": {"OK": "approved", "KO": "declined", "1": "reversed", "true": "declined"}},
        max_amount=1000,
    ),
}
DECODERS = {name: Decoder(schema) for name, schema in SCHEMAS.items()}

good_ids = st.text("abcXYZ09-_ üß日", min_size=1, max_size=5).filter(lambda text: not text.isspace())
bad_ids = st.text(max_size=3) | st.sampled_from(["", " ", "a\nb", "a\u200bb", "é" * 128, "x" * 129])


def naive(year, month, day):
    return datetime(year, month, day, tzinfo=UTC).replace(tzinfo=None)


good_moments = st.datetimes(naive(1980, 1, 2), naive(2099, 12, 30))
bad_moments = st.datetimes(naive(1979, 12, 30), naive(1980, 1, 2)) | st.datetimes(naive(2099, 12, 30))
zones = st.sampled_from(["Z", "+00:00", "-07:30"])
bad_zones = st.sampled_from(["", "z", " Z", "+0200", "+01", "+25:00", "-00:60"])
fractions = st.sampled_from(["", ".1", ".12", ".123", ".999999"])


@st.composite
def time_texts(draw, zones=zones, separators="T ", fractions=fractions, moments=good_moments):
    """RFC 3339 in all its forms."""
    when = draw(moments)
    return f"{when:%Y-%m-%d}{draw(st.sampled_from(separators))}{when:%H:%M:%S}{draw(fractions)}{draw(zones)}"


odd_times = (
    time_texts(zones=zones | bad_zones, separators="Tt _", fractions=st.sampled_from([".1234567", ".", ",5"]))
    | time_texts(zones=zones | bad_zones)
    | time_texts(moments=bad_moments)
    | st.sampled_from(
        [
            "",
            "now",
            "2026-03-02",
            "2026-02-30",
            "2026-02-30T12:00:00Z",
            "2026-03-02T24:00:00Z",
            "2016-12-31T23:59:60Z",
            "2026-03-02T12:00Z",
            "20260302",
            "9999-12-31T23:59:60Z",
            "1772452800.5",
            "0001-01-01T00:00:00+10:00",
            "\uff12026-03-02T12:00:00Z",
        ]
    )
)
epochs = st.one_of(
    [st.integers(316_000_000 * unit, 4_100_000_000 * unit) for unit in (1, 10**3, 10**6, 10**9)]
)
bad_epochs = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 20260302, -62_135_596_801])
amounts = st.floats(0, 1000) | st.sampled_from([0.0, -0.0])
bad_amounts = st.floats() | st.sampled_from([1e12, 1e13, 1000.1])
amount_texts = st.decimals(0, 1000, places=2).map(str) | st.sampled_from(["007.5", "-0", "5", "0.1234567890"])
bad_texts = st.floats().map(str) | st.sampled_from(
    ["", "+1", "1_000", "1,5", " 2 ", "1e5", "٣", "0x10", "inf", "NaN", "9" * 70, "1" * 15 + "." + "9" * 15]
)
codes = st.sampled_from(["EUR", "GBP", "HRK"])
bad_codes = st.sampled_from(["eur", "XYZ", "", "EURO", "Eur", "\u017fEK"])
statuses = st.sampled_from(["approved", "declined", "reversed"])
bad_statuses = st.sampled_from(["DECLINED", "bad", "", "OK", "KO", "1", "true"])
aware = good_moments.map(lambda when: when.replace(tzinfo=UTC))
bad_aware = bad_moments.map(lambda when: when.replace(tzinfo=UTC))
none = st.none()

KINDS = {
    "transaction_id": [(pl.String, good_ids, bad_ids), (pl.Int64, st.integers(-5, 10**18), none)],
    "user_id": [
        (pl.String, good_ids, bad_ids | none),
        (pl.UInt8, st.integers(0, 255), none),
        (pl.Categorical, good_ids, bad_ids),
    ],
    "merchant_id": [(pl.String, good_ids, bad_ids)],
    "timestamp": [
        (pl.String, time_texts(zones=st.just("Z"), separators="T"), odd_times | none),
        (pl.String, time_texts(zones=st.just("-07:30"), separators="T"), odd_times | none),
        (pl.String, time_texts(zones=st.just("+02:00"), separators=" "), odd_times | none),
        (pl.String, time_texts(zones=st.just("Z"), separators=" "), odd_times),
        (pl.String, time_texts(zones=st.just(""), separators="T "), odd_times),
        (pl.String, good_moments.map(lambda when: f"{when:%Y-%m-%d}"), odd_times),
        (pl.Int64, epochs, bad_epochs),
        (pl.Datetime("us", "Europe/Berlin"), aware, bad_aware | none),
        (pl.Datetime("ns", "UTC"), aware.filter(lambda when: when.year < 2260), none),
        (pl.Datetime("ms"), good_moments, bad_moments),
    ],
    "amount": [
        (pl.Float64, amounts, bad_amounts | none),
        (pl.String, amount_texts, bad_texts),
        (pl.Int64, st.integers(0, 1000), st.integers(-(2**63), 2**63 - 1)),
        (pl.Decimal(18, 4), st.decimals(0, 1000, places=4), st.decimals(-5, 10**13, places=4)),
    ],
    "currency": [
        (pl.String, codes, bad_codes | none),
        (pl.Enum(["EUR", "xx"]), st.just("EUR"), st.just("xx")),
    ],
    "status": [(pl.String, statuses | none, bad_statuses), (pl.Null, none, none)],
    "country": [(pl.String, st.sampled_from(["DE", "XK", None]), st.sampled_from(["de", "ZZ", ""]))],
    "lat": [
        (pl.Float64, none | st.floats(-90, 90), st.floats()),
        (pl.String, none | amount_texts, bad_texts),
    ],
    "card_id": [(pl.Int64, none | st.integers(0, 99), none)],
}
"""Per field the types of columns in which files hold it: (dtype, what is usual, what is not)."""

ODD_KINDS = {
    "user_id": [(pl.Float64, st.floats()), (pl.Boolean, st.booleans()), (pl.Null, none)],
    "timestamp": [
        (pl.UInt64, st.integers(0, 2**64 - 1)),
        (pl.Float64, st.floats(3e8, 4e9)),
        (pl.Date, st.dates(date(1979, 1, 1), date(2101, 1, 1))),
        (pl.Time, st.times()),
    ],
    "amount": [(pl.Float32, st.floats(0, 100, width=32)), (pl.Boolean, st.booleans())],
    "currency": [(pl.Int64, st.integers(0, 9)), (pl.Struct({"code": pl.String}), st.just({"code": "EUR"}))],
    "status": [(pl.Int64, st.integers(0, 2)), (pl.Boolean, st.booleans())],
    "country": [(pl.List(pl.String), st.lists(codes, max_size=1))],
    "card_id": [(pl.Binary, st.binary(max_size=3))],
}


@st.composite
def frames(draw):
    """A schema's name and a frame: usual columns with a few unusual values, now and then an odd column."""
    name, height = draw(st.sampled_from(sorted(SCHEMAS))), draw(st.integers(1, 6))
    odd = draw(st.sampled_from([None] * 12 + sorted(ODD_KINDS)))
    left_out = draw(st.sampled_from([None] * 12 + sorted(KINDS)))
    held = {}
    for field, kinds in KINDS.items():
        if field == odd:
            dtype, values = draw(st.sampled_from(ODD_KINDS[field]))
            cells = [draw(values) for _ in range(height)]
        else:
            dtype, values, unusual = draw(st.sampled_from(kinds))
            cells = [draw(values) for _ in range(height)]
            if draw(st.integers(0, 9)) == 0:
                cells[draw(st.integers(0, height - 1))] = draw(unusual)
        if field != left_out:
            held[SCHEMAS[name].column(field)] = pl.Series(cells, dtype=dtype, strict=False)
    return name, pl.DataFrame(held)


@given(frames())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_frame_gives_what_its_rows_give(drawn):
    """The fast path takes no row that the row path would not, and makes the same of it."""
    name, table = drawn
    decoder = DECODERS[name]
    one_by_one = [decoder.read(record) for record in table.iter_rows(named=True)]

    read = read_frame(table, decoder)

    taken = {row["row"]: transaction(row) for row in read.rows.iter_rows(named=True)}
    assert taken == {n: t for n, t in enumerate(one_by_one) if isinstance(t, Transaction)}
    assert dict(read.rejected) == {n: r for n, r in enumerate(one_by_one) if isinstance(r, Rejected)}


def usual(draw_from, count):
    """Values of a strategy, the same ones in every run."""
    found = []

    @given(st.lists(draw_from, min_size=count, max_size=count))
    @settings(max_examples=1, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def collect(values):
        found[:] = values

    collect()
    return found


@pytest.mark.parametrize(
    ("field", "kind"), [(field, n) for field, kinds in KINDS.items() for n in range(len(kinds))]
)
def test_usual_columns_are_judged_at_once(field, kind):
    """The fast path is taken for every usual type of column, not only right."""
    schema = SCHEMAS["lenient"]
    columns = {
        name: pl.Series(usual(values, 5), dtype=dtype)
        for name, (dtype, values, _) in ((f, k[kind if f == field else 0]) for f, k in KINDS.items())
    }

    sure, rest = take_sure(pl.DataFrame(columns).with_row_index(ROW), schema)

    assert (sure.height, rest.height) == (5, 0)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
good = st.fixed_dictionaries(
    {
        "transaction_id": good_ids | st.integers(0, 9),
        "timestamp": time_texts() | epochs,
        "user_id": good_ids,
        "merchant_id": st.sampled_from(["m1", 7]),
        "amount": amounts | st.integers(0, 10) | amount_texts,
        "currency": codes,
    },
    optional={"status": statuses, "lat": st.floats(-90, 90), "shop": anything, "country": st.just("DE")},
)
renamed = good.map(
    lambda record: (
        {**record, "who": record["user_id"]}
        | {"payment": {"value": record["amount"], "unit": record["currency"]}}
    )
)
unusual = st.fixed_dictionaries(
    {},
    optional={
        "transaction_id": bad_ids | anything,
        "timestamp": odd_times | bad_epochs | anything,
        "who": bad_ids | anything,
        "user_id": bad_ids | anything,
        "amount": bad_amounts | bad_texts | st.integers() | st.just(10**400) | anything,
        "currency": bad_codes | anything,
        "status": bad_statuses | anything,
        "payment": anything,
        "lat": bad_texts | anything,
        "extra": anything,
    },
)
objects = st.one_of(good, renamed, st.tuples(renamed, unusual).map(lambda pair: pair[0] | pair[1]))
whole = objects.map(lambda record: json.dumps(record).encode())
messages = st.one_of(
    whole,
    whole,
    whole.map(lambda raw: raw[:-1] + b', "user_id": "twice"}'),
    st.tuples(whole, st.integers(0, 300)).map(lambda pair: pair[0][: pair[1]]),
    st.binary(max_size=30),
)


@given(st.lists(messages, max_size=8), st.sampled_from(sorted(SCHEMAS)))
@settings(max_examples=300, deadline=None)
@example([b"{}", b'{"till":1}'], "renamed")
@example([b'{"user_id":"\\ud800"}', b"1" * 5000, b'{"amount":' + b"9" * 400 + b"}"], "plain")
def test_a_batch_gives_what_its_messages_give(raws, name):
    """Parsed together or alone, each message becomes the same."""
    decoder = DECODERS[name]
    one_by_one = [decoder.decode(raw) for raw in raws]

    read = decode_batch(raws, decoder)

    taken = {row["row"]: transaction(row) for row in read.rows.iter_rows(named=True)}
    assert taken == {n: t for n, t in enumerate(one_by_one) if isinstance(t, Transaction)}
    assert list(read.rejected) == [(n, r) for n, r in enumerate(one_by_one) if isinstance(r, Rejected)]


@pytest.mark.parametrize("count", [1023, 1024, 1025, 3000])
def test_blocks_of_a_batch_are_put_together_in_order(count):
    """A batch of several blocks with different columns keeps every message at its place."""
    raws = [
        json.dumps(
            {"transaction_id": n if n % 2000 < 1000 else f"t{n}", "timestamp": 1772452800 + n, "user_id": "u"}
            | {"merchant_id": "m", "amount": n, "currency": "EUR" if n % 7 else "?"}
            | ({"shop": n} if n % 5 == 0 else {})
        ).encode()
        for n in range(count)
    ]

    read = decode_batch(raws, DECODERS["plain"])

    assert read.rows["row"].to_list() == [n for n in range(count) if n % 7]
    assert [n for n, _ in read.rejected] == list(range(0, count, 7))
    assert read.rows["amount"].to_list() == read.rows["row"].to_list()
    assert read.rows.filter(pl.col("row") % 5 == 0)["extra"].null_count() == 0


@given(good_moments, st.integers(-12 * 60, 14 * 60))
def test_a_time_is_the_same_in_every_zone(when, minutes):
    """The zone in which a producer writes its times changes nothing."""
    aware = when.replace(tzinfo=UTC)
    abroad = aware.astimezone(timezone(timedelta(minutes=minutes)))
    table = pl.DataFrame({"transaction_id": ["t"], "user_id": ["u"], "merchant_id": ["m"]}).with_columns(
        amount=pl.lit(Decimal("1.50")), currency=pl.lit("EUR")
    )

    here = read_frame(table.with_columns(timestamp=pl.lit(aware.isoformat())), DECODERS["plain"])
    there = read_frame(table.with_columns(timestamp=pl.lit(abroad.isoformat())), DECODERS["plain"])

    assert here.rows.equals(there.rows)
