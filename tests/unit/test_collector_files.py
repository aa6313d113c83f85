"""Files of every kind give the same transactions, in order, resumable; faults are one clear sentence."""

import gzip
import json
from datetime import UTC, datetime

import polars as pl
import pytest

from collector.files import FileSource, find_files, source_name
from collector.offline import read_inputs
from collector.readers.endings import READERS
from collector.schema import Schema, load_schema, with_options
from txwatch.errors import ConfigurationError, InputError
from txwatch.model import Partition

SCHEMA = Schema()
RECORDS = [
    {
        "transaction_id": f"t{n}",
        "timestamp": f"2026-03-02T12:00:{n:02}Z",
        "user_id": f"u{n % 3}",
        "merchant_id": f"m{n % 2}",
        "amount": 10.0 + n,
        "currency": "EUR",
    }
    for n in range(20)
]


def now() -> datetime:
    return datetime(2026, 3, 2, tzinfo=UTC)


def write(path, records=RECORDS):
    text = "".join(json.dumps(record) + "\n" for record in records)
    if path.name.endswith(".jsonl"):
        path.write_text(text)
    elif path.name.endswith(".jsonl.gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif path.name.endswith(".csv"):
        pl.DataFrame(records).write_csv(path)
    else:
        pl.DataFrame(records).write_parquet(path)
    return path


def everything(source, limit=7):
    rows, rejected, positions = [], [], {}
    while not (part := source.read(limit)).finished:
        rows += part.rows.rows(named=True)
        rejected += part.rejected
        positions |= part.positions
    return rows, rejected, positions


def open_source(*paths, positions=lambda name: {}):
    return FileSource(list(paths), SCHEMA, positions, now)


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])
def test_every_kind_of_file_gives_the_same_transactions(tmp_path, name):
    """Only the name of the source differs."""
    rows, rejected, _ = everything(open_source(write(tmp_path / name)))

    assert [row["transaction_id"] for row in rows] == [record["transaction_id"] for record in RECORDS]
    assert [row["amount"] for row in rows] == [record["amount"] for record in RECORDS]
    assert [row["sequence"] for row in rows] == list(range(20))
    assert rejected == []


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize("start", [0, 1, 7, 19, 20])
def test_reading_goes_on_at_a_position(tmp_path, name, start):
    """Rows and identities are those of reading from the beginning, less what came before."""
    path = write(tmp_path / name)
    whole, _, _ = everything(open_source(path))

    rest, _, _ = everything(open_source(path, positions=lambda name: {Partition(name, 0): start}))

    assert rest == whole[start:]


def test_positions_after_a_read_are_where_the_next_read_goes_on(tmp_path):
    """Each cut of the stream, with corrupt lines in it, loses and doubles nothing."""
    path = write(tmp_path / "a.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{torn\n", b"\n", *lines[3:], b"\xff\n"]))

    rows, rejected, _ = everything(open_source(path))
    seen = []
    position = 0
    while position < 23:
        source = open_source(path, positions=lambda name, at=position: {Partition(name, 0): at})
        part = source.read(2)
        seen += part.rows["sequence"].to_list() + [record.sequence for record in part.rejected]
        (position,) = part.positions.values()

    assert [record.sequence for record in rejected] == [3, 22]
    assert sorted(seen) == sorted([row["sequence"] for row in rows] + [3, 22])


def test_a_corrupt_csv_line_is_quarantined_and_the_rest_goes_on(tmp_path):
    """Too few columns, no number, no UTF-8: each line alone is refused."""
    path = tmp_path / "a.csv"
    good = "t{n},2026-03-02T12:00:0{n}Z,u,m,5,EUR\n"
    lines = [
        b"transaction_id,timestamp,user_id,merchant_id,amount,currency\n",
        good.format(n=1).encode(),
        b"t2,2026-03-02T12:00:00Z\n",
        b"t3,2026-03-02T12:00:00Z,u,m,much,EUR\n",
        b"t4,2026-03-02T12:00:00Z,\xff\xfe,m,5,EUR\n",
        b"t5,2026-03-02T12:00:00Z,u,m," + b"9" * 200_000 + b",EUR\n",
        good.format(n=6).encode(),
    ]
    path.write_bytes(b"".join(lines))

    rows, rejected, _ = everything(open_source(path))

    assert [row["transaction_id"] for row in rows] == ["t1", "t6"]
    assert {r.sequence: r.rejected.code for r in rejected} == {
        1: "wrong_column_count",
        2: "wrong_type",
        3: "not_utf8",
        4: "not_csv",
    }


def test_a_chunk_border_changes_nothing(tmp_path, monkeypatch):
    """Files larger than a chunk come out the same."""
    path = write(tmp_path / "a.csv")
    whole = everything(open_source(path))

    monkeypatch.setattr("collector.files.CHUNK", 3)

    assert everything(open_source(path)) == whole


def test_several_inputs_are_one_stream(tmp_path):
    """A folder's files in order of name, a glob's too, each a source of its own."""
    write(tmp_path / "b.jsonl", RECORDS[10:])
    write(tmp_path / "a.csv", RECORDS[:10])
    (tmp_path / "notes.txt").write_text("not data")

    folder = [path.name for path in find_files([str(tmp_path)])]
    rows = [row for part in read_inputs([str(tmp_path / "*.*l")], SCHEMA, now) for row in part.rows.rows()]

    assert folder == ["a.csv", "b.jsonl"]
    assert len(rows) == 10


def test_a_stream_out_of_order_is_sorted_and_said(tmp_path):
    """Offline reading is by event time, whatever the order of the files."""
    write(tmp_path / "a.jsonl", RECORDS[10:])
    write(tmp_path / "b.jsonl", RECORDS[:10])
    said = []

    parts = list(read_inputs([str(tmp_path)], SCHEMA, now, notice=said.append))

    times = pl.concat([part.rows for part in parts])["timestamp"]
    assert times.is_sorted()
    assert len(times) == 20
    assert said == ["the input is not in event-time order; sorting it in memory"]


@pytest.mark.parametrize("held", [0, 5, 1000])
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
def test_large_and_small_inputs_come_out_the_same(tmp_path, monkeypatch, held, order):
    """Whether all of it is held while it is looked through, a part of it, or nothing."""
    monkeypatch.setattr("collector.offline.HELD_ROWS", held)
    monkeypatch.setattr("collector.offline.CHUNK", 4)
    write(tmp_path / "a.jsonl", RECORDS[::order])

    parts = list(read_inputs([str(tmp_path)], SCHEMA, now))

    assert [row["transaction_id"] for part in parts for row in part.rows.rows(named=True)] == [
        record["transaction_id"] for record in RECORDS
    ]


def test_rows_of_the_same_time_keep_their_order(tmp_path):
    """Sorting is stable, so that which came first is not lost."""
    late = [record | {"timestamp": "2026-03-02T12:00:00Z"} for record in RECORDS]
    write(tmp_path / "a.jsonl", [RECORDS[-1], *late])

    (part,) = read_inputs([str(tmp_path)], SCHEMA, now)

    assert part.rows["transaction_id"].to_list() == [*(r["transaction_id"] for r in late), "t19"]


def test_a_replaced_file_is_a_new_source(tmp_path):
    """The fingerprint of how a file begins is part of its name as a source."""
    path = write(tmp_path / "a.jsonl")
    before = source_name(path)
    path.write_text(path.read_text() + "\n")
    grown = source_name(path)
    write(path, RECORDS[1:])

    assert before.startswith("a.jsonl@")
    assert source_name(path) != before
    assert grown != source_name(path)


def test_columns_that_the_schema_does_not_name_are_never_read(tmp_path):
    """A label in the file cannot reach a detector."""
    labelled = [record | {"is_fraud": 1, "scenario": 3} for record in RECORDS]

    for name in ("a.csv", "a.parquet"):
        rows, _, _ = everything(open_source(write(tmp_path / name, labelled)))
        assert {row["extra"] for row in rows} == {None}
        assert not {"is_fraud", "scenario"} & set(rows[0])


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda f: f / "none.csv", "there is no file .*none.csv"),
        (lambda f: write_text(f / "a.txt", "x"), "of no known kind; known endings are .csv"),
        (lambda f: write_text(f / "a.csv", ""), "a.csv is empty"),
        (
            lambda f: write_text(f / "a.csv", "customer,amount\n"),
            "needs transaction_id, .*it has customer, amount: use --map",
        ),
        (lambda f: write_text(f / "a.parquet", "no"), "cannot be read as Parquet"),
        (lambda f: f, "no CSV, JSON Lines or Parquet file is found under"),
    ],
    ids=["missing", "kind", "empty", "columns", "not-parquet", "empty-folder"],
)
def test_an_input_that_cannot_be_read_is_one_sentence(tmp_path, make, sentence):
    """The file is named, and what to do."""
    path = make(tmp_path)

    with pytest.raises(InputError, match=sentence):
        list(read_inputs([str(path)], SCHEMA, now))


def write_text(path, text):
    path.write_text(text)
    return path


def test_a_schema_with_an_unknown_field_says_which_was_meant(tmp_path):
    """A typo is refused with a suggestion."""
    path = write_text(tmp_path / "schema.yaml", "rename: {usr_id: customer}\n")

    with pytest.raises(ConfigurationError, match=r"usr_id.*user_id"):
        load_schema(path)
    with pytest.raises(ConfigurationError, match=r"amont.*amount"):
        with_options(SCHEMA, {"amont": "value"}, {})


def test_the_readers_are_known_by_their_endings():
    """Every ending leads to a reader."""
    assert set(READERS) >= {".csv", ".jsonl", ".parquet", ".csv.gz", ".jsonl.gz"}
