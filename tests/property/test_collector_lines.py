"""Files of any bytes: each record comes out once, whatever the cuts, and reading goes on at any of them."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from collector.decode import Decoder
from collector.readers import csvlines, lines
from collector.readers.endings import reader_for
from collector.readers.lines import LineStream, Oversized
from collector.schema import Schema
from txwatch.errors import InputError

DECODER = Decoder(Schema())
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
HEADER = ["transaction_id", "timestamp", "user_id", "merchant_id", "amount", "currency", "note"]

tricky = st.text("ab,;\"\n\r' ü\t", max_size=6)
rows = st.tuples(
    st.sampled_from(["t1", "t2", "", "a,b", 'say "x"']),
    st.sampled_from(["2026-03-02T12:00:00Z", "2026-03-02T12:00:01Z", "never"]),
    st.sampled_from(["u1", "ü2"]),
    st.just("m1"),
    st.sampled_from(["1", "2.50", "x"]),
    st.just("EUR"),
    tricky,
)


def written(records, **style):
    text = io.StringIO(newline="")
    writer = csv.writer(text, **style)
    writer.writerow(HEADER)
    writer.writerows(records)
    return text.getvalue().encode()


def read(path, start=0, size=65_536):
    """All of a file: ({number: transaction id}, {number: code}, the number that follows)."""
    taken, refused, following = {}, {}, start
    for chunk in reader_for(str(path))(str(path), DECODER, start, size):
        assert chunk.following >= following
        taken |= dict(chunk.rows.select("row", "transaction_id").iter_rows())
        refused |= {number: why.code for number, why in chunk.rejected}
        following = chunk.following
    return taken, refused, following


def beyond(whole, start):
    taken, refused, following = whole
    return (
        {n: t for n, t in taken.items() if n >= start},
        {n: c for n, c in refused.items() if n >= start},
        max(following, start),
    )


@given(
    st.lists(rows, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@RELAXED
def test_csv_comes_out_as_it_was_written(tmp_path, records, end, quoting):
    """Quotes, separators and line ends inside a field are content; each record keeps its number.

    A carriage return stands in quotes: where lines end without one, Python's writer leaves them out.
    """
    assume(quoting == csv.QUOTE_ALL or end == "\r\n" or not any("\r" in "".join(each) for each in records))
    path = tmp_path / "a.csv"
    path.write_bytes(written(records, lineterminator=end, quoting=quoting))

    taken, refused, following = read(path)

    good = {n: r[0] for n, r in enumerate(records) if r[0] and r[1] != "never" and r[4] != "x"}
    assert taken == good
    assert set(refused) == set(range(len(records))) - set(good)
    assert following == len(records)


pieces = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b'"', b",", b"t1,2026-03-02T12:00:00Z,u,m,1,EUR,x\n", b"\xff", b"\x00", b'""', b"a"]
    )
    | st.sampled_from([b'"t2","2026-03-02T12:00:00Z","u","m","1","EUR","a\nb"\n', b'x,"y\n', b"\r", b";"]),
    max_size=14,
).map(b"".join)
json_pieces = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"{", b"}", b"\xff", b"null\n", b" \n"])
    | st.just(
        json.dumps(dict(zip(HEADER, ["t", 1772452800, "u", "m", 1, "EUR", "x"], strict=True))).encode()
        + b"\n"
    ),
    max_size=14,
).map(b"".join)


@given(pieces, st.integers(1, 5), st.integers(2, 5))
@RELAXED
def test_any_csv_is_read_the_same_in_any_chunks(tmp_path, body, size, longest):
    """Torn quotes, stray bytes and blank lines neither hide a record nor make one depend on the cuts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csvlines, "LONGEST_RECORD", longest)
        check_cuts(tmp_path / "a.csv", ",".join(HEADER).encode() + b"\n" + body, size, patch)


@given(json_pieces, st.integers(1, 5))
@RELAXED
def test_any_json_lines_are_read_the_same_in_any_chunks(tmp_path, body, size):
    """The same for JSON Lines."""
    with pytest.MonkeyPatch.context() as patch:
        check_cuts(tmp_path / "a.jsonl", body, size, patch)


def check_cuts(path, content, size, patch):
    path.write_bytes(content)
    whole = read(path)

    patch.setattr(lines, "BLOCK", 7)
    assert read(path, size=size) == whole
    for start in range(whole[2] + 2):
        assert read(path, start=start, size=size) == beyond(whole, start)


@given(st.lists(st.binary(max_size=12), max_size=10), st.integers(1, 9), st.integers(1, 8), st.booleans())
def test_lines_are_those_of_the_file(parts, block, longest, ended):
    """Split at line ends; what is too long is measured, not kept; the last line needs no end."""
    content = b"\n".join(parts) + (b"\n" if ended else b"")
    content = content.replace(b"\xef\xbb\xbf", b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        patch.setattr(lines, "LONGEST_MESSAGE", longest)
        stream, taken = LineStream(io.BufferedReader(io.BytesIO(content)), "test"), []
        while part := stream.take(3):
            taken += part

    expected = content.split(b"\n")
    expected = expected if expected[-1] else expected[:-1]
    assert len(taken) == len(expected)
    for line, whole in zip(taken, expected, strict=True):
        if isinstance(line, Oversized):
            assert line.rejected.length == len(whole) > longest
        else:
            assert line == whole.removesuffix(b"\r")


def test_an_unclosed_quote_costs_one_line(tmp_path):
    """Thousands of good lines after it are read."""
    good = [f"t{n},2026-03-02T12:00:00Z,u,m,1,EUR,x" for n in range(3000)]
    lines_with_fault = [",".join(HEADER), *good[:10], 't,2026-03-02T12:00:00Z,u,m,1,EUR,"open', *good[10:]]
    (tmp_path / "a.csv").write_text("\n".join(lines_with_fault))

    taken, refused, _ = read(tmp_path / "a.csv")

    assert len(taken) == 3000
    assert refused == {10: "not_csv"}


def test_a_line_of_any_length_costs_no_memory(tmp_path):
    """A line of 40 MB is one rejection with its length and hash; the lines around it are read."""
    good = json.dumps(
        {"transaction_id": "t", "timestamp": 1772452800, "user_id": "u", "merchant_id": "m"}
        | {"amount": 1, "currency": "EUR"}
    ).encode()
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(good + b"\n" + b"x" * 40_000_000 + b"\n" + good))

    chunks = list(reader_for("a.jsonl.gz")(str(tmp_path / "a.jsonl.gz"), DECODER, 0, 10))

    ((number, why),) = [pair for chunk in chunks for pair in chunk.rejected]
    assert sum(chunk.rows.height for chunk in chunks) == 2
    assert (number, why.code, why.length, len(why.raw)) == (1, "too_large", 40_000_000, 65_536)


@pytest.mark.parametrize("damage", ["cut", "flipped", "trailing"])
def test_a_damaged_archive_gives_what_is_whole_and_then_says_so(tmp_path, damage):
    """What lies before the damage is handed on; then one sentence."""
    line = b'{"transaction_id": "t%d", "timestamp": 1772452800, "user_id": "u%d"}\n'
    packed = gzip.compress(b"".join(line % (n, n * 7919) for n in range(200_000)))
    damaged = {
        "cut": packed[: len(packed) // 2],
        "flipped": packed[:-8] + bytes([packed[-8] ^ 1]) + packed[-7:],
        "trailing": packed + b"no gzip",
    }[damage]
    (tmp_path / "a.jsonl.gz").write_bytes(damaged)
    chunks = reader_for("a.jsonl.gz")(str(tmp_path / "a.jsonl.gz"), DECODER, 0, 1000)

    before = [next(chunks).following for _ in range(90)]

    assert before[-1] > 89_000
    with pytest.raises(InputError, match=r"a.jsonl.gz is damaged: "):
        list(chunks)
