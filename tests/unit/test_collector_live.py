"""Live messages have live times; rejected ones are shown by their form."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import Decoder
from collector.live import decode_live, decode_one_live, live_window
from collector.masking import masked, printable
from collector.schema import Schema
from txwatch.columns import transaction
from txwatch.model import Rejected, Transaction

NOW = datetime(2026, 3, 2, 12, 0, 0, 123_999, tzinfo=UTC)
WINDOW = live_window(NOW, timedelta(days=30))
DECODER = Decoder(Schema())


def message(when):
    record = {"transaction_id": "t", "timestamp": when.isoformat(), "user_id": "u", "merchant_id": "m"}
    return json.dumps(record | {"amount": 1, "currency": "EUR"}).encode()


@pytest.mark.parametrize(
    ("offset", "sentence"),
    [
        (timedelta(), None),
        (timedelta(minutes=4, seconds=59), None),
        (timedelta(minutes=5, seconds=1), "timestamp is more than 5 min ahead of the clock"),
        (-timedelta(days=29, hours=23), None),
        (-timedelta(days=30, seconds=1), "timestamp is older than what the store keeps, 30 days"),
        (-timedelta(days=9000), "timestamp is older than what the store keeps, 30 days"),
    ],
)
def test_a_time_beyond_the_window_is_refused(offset, sentence):
    """Two sides, two sentences, the message kept for a replay."""
    raw = message(NOW + offset)

    result = decode_one_live(raw, DECODER, WINDOW)

    if sentence is None:
        assert isinstance(result, Transaction)
    else:
        assert (result.code, result.sentence, result.raw) == ("time_out_of_range", sentence, raw)


offsets = st.timedeltas(-timedelta(days=31), timedelta(minutes=6)) | st.sampled_from(
    [
        timedelta(minutes=5),
        timedelta(minutes=5, milliseconds=1),
        -timedelta(days=30),
        -timedelta(days=30, milliseconds=1),
    ]
)


@given(st.lists(offsets.map(lambda offset: message(NOW + offset)) | st.just(b"{torn"), max_size=6))
def test_many_at_once_are_refused_like_one(raws):
    """A batch and its messages agree, on the border too."""
    one_by_one = [decode_one_live(raw, DECODER, WINDOW) for raw in raws]

    read = decode_live(raws, DECODER, WINDOW)

    taken = {row["row"]: transaction(row) for row in read.rows.iter_rows(named=True)}
    assert taken == {n: t for n, t in enumerate(one_by_one) if isinstance(t, Transaction)}
    assert list(read.rejected) == [(n, r) for n, r in enumerate(one_by_one) if isinstance(r, Rejected)]


@given(st.binary(max_size=80))
def test_a_masked_sample_can_always_be_printed(raw):
    """No sign in it moves a cursor, rings a bell or hides."""
    assert masked(raw).isprintable()


@given(st.text("abcüß 0123456789.,-:@", max_size=40))
def test_a_masked_sample_tells_no_content(text):
    """No digit but 9, no letter but x, in a value and in what is no JSON."""
    for shown in (masked(text.encode()), masked(json.dumps({"-": text}).encode())):
        assert {sign for sign in shown if sign.isalnum()} <= {"x", "9"}


def test_a_masked_sample_keeps_names_and_form():
    """One sees what was sent and how, not whom it concerns."""
    raw = json.dumps(
        {"user": "u17", "at": "2026-03-02", "card": {"no": [4111]}, "ok": True, "x": None}
    ).encode()

    assert masked(raw) == '{"user":"x99","at":"9999-99-99","card":{"no":["9999"]},"ok":true,"x":null}'
    assert masked(b"t1,4111;Ana\n") == "x9,9999;xxx "
    assert masked(b"[" * 100_000).startswith("[[[")
    assert printable("a\x1b[31mb") == "a\\x1b[31mb"
