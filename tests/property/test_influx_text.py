"""Whatever a message says comes out of line protocol and of the feed as it went in."""

import csv
import io
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from txwatch.columns import FEED
from txwatch.stores.influx.lines import TEXTS, transaction_lines
from txwatch.stores.influx.packed import FIELD, feed_lines, pack, unpack
from txwatch.stores.influx.points import point
from txwatch.stores.influx.text import decode_tag

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
awkward = st.text(st.sampled_from("a%2C,\"\\'= \n\r\x1f\x00é\U0001f600"), max_size=12)
texts = words | awkward
times = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001 - hypothesis wants naive bounds
    lambda time: time.replace(tzinfo=UTC, microsecond=time.microsecond // 1000 * 1000)
)
places = st.none() | st.floats(-180, 180)

rows = st.fixed_dictionaries(
    {
        "source": texts,
        "partition": st.integers(0, 1000),
        "sequence": st.integers(0, 2**62),
        "arrival": st.integers(0, 2**62),
        "timestamp": times,
        "amount": st.floats(0, 1e300),
        "lat": places,
        "lon": places,
        **dict.fromkeys(("transaction_id", "user_id", "merchant_id", "currency", "status"), texts),
        **{
            name: st.none() | texts
            for name in TEXTS
            if name not in {"transaction_id", "user_id", "merchant_id", "currency", "status"}
        },
    }
)
frames = st.lists(rows, min_size=1, max_size=5).map(lambda several: pl.DataFrame(several, schema=FEED))


def take(text: str, stops: str) -> tuple[str, str]:
    """Read up to an unescaped stop; only a comma, an equals sign and a space can be escaped."""
    value = []
    while text and text[0] not in stops:
        if text[0] == "\\" and text[1:2] in {",", "=", " "}:
            text = text[1:]
        value.append(text[0])
        text = text[1:]
    return "".join(value), text


def take_quoted(text: str) -> tuple[str, str]:
    value, text = [], text[1:]
    while text[0] != '"':
        if text[0] == "\\" and text[1] in '\\"':
            text = text[1:]
        value.append(text[0])
        text = text[1:]
    return "".join(value), text[1:]


def parse_field(text: str) -> tuple[object, str]:
    if text.startswith('"'):
        return take_quoted(text)
    word, text = take(text, ", ")
    if word in {"true", "false"}:
        return word == "true", text
    return (int(word[:-1]) if word.endswith("i") else float(word)), text


def parse(line: str) -> tuple[str, dict[str, str], dict[str, object], int]:
    """Read one line by the published grammar of line protocol, a character at a time."""
    measurement, text = take(line, ", ")
    tags: dict[str, str] = {}
    while text[0] == ",":
        name, text = take(text[1:], "=")
        tags[name], text = take(text[1:], ", ")
    fields: dict[str, object] = {}
    text = "," + text[1:]
    while text[0] == ",":
        name, text = take(text[1:], "=")
        fields[name], text = parse_field(text[1:])
    return measurement, tags, fields, int(text[1:])


def csv_as_influxdb_writes_it(lines: pl.Series) -> bytes:
    """Return what `SELECT p1 ... GROUP BY source, partition` answers."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["name", "tags", "time", FIELD, "source", "partition"])
    for line in lines:
        measurement, tags, fields, time = parse(line)
        writer.writerow([measurement, "", time, fields[FIELD], tags["source"], tags["partition"]])
    return table.getvalue().encode()


@given(frames)
def test_a_transaction_comes_out_of_its_line(frame):
    """Every field, tag and time is read back by a parser that knows nothing of the writer."""
    lines = transaction_lines(frame)

    for line, row in zip(lines, frame.iter_rows(named=True), strict=True):
        measurement, tags, fields, time = parse(line)
        expected = {name: row[name] for name in row if row[name] is not None}
        assert measurement == "transactions"
        assert (decode_tag(tags["source"]), int(tags["partition"])) == (row["source"], row["partition"])
        assert "\n" not in tags["source"]
        assert int(tags["lap"]) == row["sequence"] // 1_000_000 % 64
        milliseconds = (row["timestamp"] - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        assert time == milliseconds * 1_000_000 + row["sequence"] % 1_000_000
        assert fields == {k: v for k, v in expected.items() if k not in {"source", "partition", "timestamp"}}


@given(frames)
def test_a_transaction_comes_out_of_the_feed(frame):
    """What was packed into one field is unpacked from InfluxDB's CSV, empty texts and missing ones apart."""
    answer = csv_as_influxdb_writes_it(feed_lines(frame, pack(frame)))

    assert unpack(answer).select(list(FEED)).equals(frame.select(list(FEED)))


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), texts),
    texts,
    st.integers(),
    st.floats(0, 1),
)
def test_a_point_comes_out_of_its_line(tags, text, integer, number):
    """Tags, texts, integers, floats and booleans are read back by an independent parser."""
    line = point("m", tags, {"t": text, "i": integer, "f": number, "b": True, "none": None}, 7)

    measurement, found_tags, fields, time = parse(line)

    assert (measurement, time) == ("m", 7)
    assert {name: decode_tag(value) for name, value in found_tags.items()} == tags
    assert fields == {"t": text, "i": integer, "f": number, "b": True}
