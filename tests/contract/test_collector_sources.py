"""What every source of the collector promises: one check-list, each source run through it."""

import gzip
import io
import json
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from collector.files import FileSource, find_files
from collector.pace import PacedSource
from collector.schema import Schema
from txwatch.columns import POSITION, TRANSACTION
from txwatch.testing import ManualClock

NOW = datetime(2026, 3, 2, tzinfo=UTC)
RECORDS = [
    {
        "transaction_id": f"t{n}",
        "timestamp": f"2026-03-02T12:{n // 60:02}:{n % 60:02}Z",
        "user_id": "u",
        "merchant_id": "m",
        "amount": 1.0 if n % 9 else -1.0,
        "currency": "EUR",
    }
    for n in range(100)
]
GOOD = [n for n in range(100) if n % 9]
BAD = [n for n in range(100) if n % 9 == 0]
LINES = "".join(json.dumps(record) + "\n" for record in RECORDS).encode()


def one_file(folder, name):
    path = folder / name
    if name.endswith(".parquet"):
        pl.DataFrame(RECORDS).write_parquet(path, row_group_size=13)
    elif ".csv" in name:
        path.write_bytes(packed(name, pl.DataFrame(RECORDS).write_csv().encode()))
    else:
        path.write_bytes(packed(name, LINES))
    return [str(path)]


def packed(name, content):
    return gzip.compress(content, mtime=0) if name.endswith(".gz") else content


def a_folder(folder, _):
    """Two files of different kinds: two partitions, one after the other."""
    (folder / "a.jsonl").write_bytes(b"".join(LINES.splitlines(keepends=True)[:50]))
    pl.DataFrame(RECORDS[50:]).write_csv(folder / "b.csv")
    return [str(folder)]


class Tireless(ManualClock):
    """A clock on which ten seconds pass between any two looks."""

    def now(self):
        self.advance(timedelta(seconds=10))
        return super().now()


def plain(source):
    return source


def paced(source):
    return PacedSource(source, 2.0, Tireless())


SOURCES = {
    **{
        name: (one_file, name, plain)
        for name in ("a.csv", "a.csv.gz", "a.jsonl", "a.jsonl.gz", "a.ndjson", "a.parquet")
    },
    "folder": (a_folder, "", plain),
    "paced file": (one_file, "a.jsonl", paced),
}


@pytest.fixture(params=SOURCES, ids=str)
def opened(request, tmp_path):
    """Opens the source at given positions."""
    write, name, wrap = SOURCES[request.param]
    files = find_files(write(tmp_path, name))

    def reopen(positions=None):
        return wrap(FileSource(files, Schema(), lambda _: positions or {}, lambda: NOW))

    return reopen


def parts(source, limit=7):
    """Everything a source gives, until it has finished."""
    found = []
    for _ in range(10_000):
        part = source.read(limit)
        if part.finished:
            return found
        found.append(part)
    raise AssertionError("the source never finishes")


def identities(found):
    rows = [row for part in found for row in part.rows.select(*POSITION).iter_rows()]
    refused = [(r.source, r.partition, r.sequence) for part in found for r in part.rejected]
    return rows, refused


def test_every_message_is_a_row_or_a_rejection(opened):
    """None is left out, none is both."""
    found = parts(opened())

    rows, refused = identities(found)
    assert len(rows) == len(GOOD)
    assert len(refused) == len(BAD)
    assert len({*rows, *refused}) == len(RECORDS)
    assert pl.concat([part.rows for part in found])["transaction_id"].to_list() == [f"t{n}" for n in GOOD]


def test_rows_have_the_agreed_columns(opened):
    """POSITION and TRANSACTION, in this order, with these types, also where nothing came."""
    for part in [*parts(opened()), opened().read(1)]:
        assert dict(part.rows.schema) == POSITION | TRANSACTION


def test_sequences_grow_and_positions_lie_beyond_them(opened):
    """Within a partition; a position is the next sequence."""
    last = {}
    for part in parts(opened()):
        for *partition, sequence in part.rows.select(*POSITION).iter_rows():
            assert sequence > last.get(tuple(partition), -1)
            last[tuple(partition)] = sequence
        for partition, following in part.positions.items():
            assert following > last.get(tuple(partition), -1)


def test_a_limit_bounds_the_rows(opened):
    """So memory is bounded, too."""
    assert max(part.rows.height for part in parts(opened(), 3)) <= 3


def test_reading_goes_on_at_every_position(opened):
    """What was read before and what is read after are everything, once."""
    whole = identities(parts(opened()))
    source, positions, before = opened(), {}, []

    for _ in range(25):
        part = source.read(9)
        before.append(part)
        positions |= part.positions
        after = parts(opened(positions), 9)
        assert sorted(identities(before)[0] + identities(after)[0]) == sorted(whole[0])
        assert sorted(identities(before)[1] + identities(after)[1]) == sorted(whole[1])


def test_what_was_not_committed_comes_again_the_same(opened):
    """With the same identities and the same content."""
    first, second = parts(opened(), 9), parts(opened(), 31)

    assert sorted(identities(first)[0]) == sorted(identities(second)[0])
    assert pl.concat([p.rows for p in first]).equals(pl.concat([p.rows for p in second]))


def test_the_end_stays_the_end_and_closing_twice_is_safe(opened):
    """After it has finished a source gives nothing, however often it is asked."""
    source = opened()
    parts(source)

    assert source.read(5).finished
    assert source.read(5).rows.is_empty()
    source.commit({})
    source.close()
    source.close()


def test_standard_input_is_a_source_of_its_own(monkeypatch):
    """Two runs over it are two sources, as nobody can know whether it is the same input."""
    names = []
    for second in (1, 2):
        stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(LINES)))
        monkeypatch.setattr("sys.stdin", stdin)
        clock = datetime(2026, 3, 2, 12, 0, second, tzinfo=UTC)
        found = parts(FileSource(find_files(["-"]), Schema(), lambda _: {}, lambda at=clock: at))
        assert sum(part.rows.height for part in found) == len(GOOD)
        names.append(found[0].rows["source"][0])

    assert names == ["stdin@20260302T120001000000", "stdin@20260302T120002000000"]
    assert find_files(["-"])[0].name == "-"
