"""Transactions in chunks: many small ones become few, damage is noticed, keys are told apart."""

import random
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from txwatch.columns import POSITION, TRANSACTION, frame
from txwatch.errors import StoreError
from txwatch.model import Cursor, Partition, Transaction
from txwatch.ports import RetentionPolicy, TransactionQuery
from txwatch.stores.sqlite import SqliteStore
from txwatch.stores.sqlite.chunks import CHUNK_ROWS
from txwatch.stores.sqlite.localdisk import file_system
from txwatch.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def store(tmp_path):
    opened = SqliteStore(tmp_path / "store.db", ManualClock(NOON), writer=True)
    yield opened
    opened.close()


def rows(first: int, count: int, *, partition: int = 0, **fields: object) -> pl.DataFrame:
    values = {"user_id": "u", "merchant_id": "m", "amount": 1.0, "currency": "EUR", "timestamp": NOON}
    made = [
        Transaction(**({"transaction_id": f"t{n}"} | values | fields)) for n in range(first, first + count)
    ]
    place = {"source": "s", "partition": partition}
    position = pl.DataFrame({"sequence": range(first, first + count)}).with_columns(
        pl.lit(value).alias(name) for name, value in place.items()
    )
    return position.select(list(POSITION)).cast(POSITION).hstack(frame(made))


def question(store: SqliteStore, text: str) -> list[tuple]:
    with store._file.reading() as reading:
        return reading.execute(text).fetchall()


def test_a_trickle_is_packed_into_few_chunks(store):
    """One transaction at a time costs no chunk each, and the feed is the same."""
    for n in range(300):
        store.append(rows(n, 1))

    ((count,),) = question(store, "SELECT count(*) FROM chunks")
    assert count <= 16
    assert store.feed({}, 1000)["sequence"].to_list() == list(range(300))
    assert store.feed({Partition("s", 0): Cursor(0, 150)}, 10)["sequence"].to_list() == list(range(151, 161))


def test_a_large_batch_is_cut_into_chunks(store):
    """So that finding one row never unpacks ten thousand."""
    store.append(rows(0, CHUNK_ROWS * 2 + 5))

    assert question(store, "SELECT rows FROM chunks ORDER BY number") == [(CHUNK_ROWS,), (CHUNK_ROWS,), (5,)]


def test_the_feed_goes_by_arrival_across_partitions(store):
    """The order in which rows were handed in, whatever their partitions."""
    mixed = pl.concat([rows(n, 1, partition=n % 3) for n in range(12)])
    store.append(mixed)

    assert store.feed({}, 7)["sequence"].to_list() == list(range(7))


def test_damage_on_the_disk_is_one_sentence(store):
    """A changed byte is never read as a transaction; other partitions are read on."""
    store.append(rows(0, 50))
    store.append(rows(0, 5, partition=1))
    with store._file.writing() as writing:
        ((data,),) = writing.execute("SELECT data FROM chunks WHERE partition = 0").fetchall()
        broken = bytearray(data)
        broken[len(broken) // 2] ^= 1
        writing.execute("UPDATE chunks SET data = ? WHERE partition = 0", (bytes(broken),))

    with pytest.raises(StoreError, match="transactions of s, partition 0, are damaged; restore"):
        store.feed({}, 10)
    assert store.feed({Partition("s", 0): Cursor(0, 49)}, 10).height == 5


def test_keys_with_the_same_fingerprint_are_told_apart(store):
    """The fingerprint only says where to look."""
    assert zlib.crc32(b"plumless") == zlib.crc32(b"buckeroo")
    store.append(rows(0, 1, user_id="plumless"))
    store.append(rows(1, 1, user_id="buckeroo"))

    assert store.transactions(TransactionQuery(user_id="buckeroo"))["sequence"].to_list() == [1]


@pytest.mark.parametrize("text", ["", "\0", "a\0b", "x'; DROP TABLE chunks; --", "ü😀", "\n\\\"'"])
def test_any_text_is_stored_and_found(store, text):
    """Ids are values, whatever characters they have."""
    store.append(rows(0, 1, user_id=text, extra=text))

    found = store.transactions(TransactionQuery(user_id=text))

    assert found.select("user_id", "extra").row(0) == (text, text)


def test_the_newest_are_found_without_unpacking_everything(store, monkeypatch):
    """A limit stops the search as soon as no older chunk can add anything."""
    for n in range(40):
        store.append(rows(n * 300, 300, timestamp=NOON + n * SECOND))
    with store._file.writing() as writing:
        writing.execute("UPDATE chunks SET checksum = 0 WHERE until < ?", (1000 * (NOON.timestamp() + 30),))

    found = store.transactions(TransactionQuery(user_id="u", limit=5))

    assert found["sequence"].to_list() == list(range(11_995, 12_000))


def test_a_batch_without_a_required_value_is_refused_whole(store):
    """Nobody has to guess later what an empty user means."""
    broken = rows(0, 3).with_columns(user_id=pl.lit(None, pl.String))

    with pytest.raises(StoreError, match="without user_id"):
        store.append(pl.concat([rows(3, 2, partition=1), broken]))

    assert store.counts()["transactions"] == 0


def test_expiry_of_one_and_the_same_time_goes_in_small_steps(tmp_path):
    """Date-only times make no giant transaction: after each step, others may write."""
    clock = ManualClock(NOON)
    store = SqliteStore(tmp_path / "store.db", clock, writer=True)
    store.append(rows(0, 20 * CHUNK_ROWS, timestamp=NOON - timedelta(days=40)))

    gone = store.expire(RetentionPolicy(), NOON)

    assert gone["transactions"] == 20 * CHUNK_ROWS
    assert clock.now() > NOON
    store.close()


def test_a_chunk_that_expires_in_part_keeps_the_rest_in_order(store):
    """What stays is read and found as before, and a redelivery of what went is still one."""
    random.seed(5)
    times = [NOON - timedelta(days=random.choice((10, 50))) for _ in range(100)]
    all_rows = rows(0, 100).with_columns(timestamp=pl.Series(times, dtype=TRANSACTION["timestamp"]))
    store.append(all_rows)

    gone = store.expire(RetentionPolicy(), NOON)["transactions"]
    store.append(all_rows)

    young = [n for n, time in enumerate(times) if time == NOON - timedelta(days=10)]
    assert gone == 100 - len(young)
    assert store.feed({}, 200)["sequence"].to_list() == young


MOUNTS = """overlay / overlay rw 0 0
server:/export /home nfs4 rw 0 0
/dev/sda1 /home/local ext4 rw 0 0
//box/share /mnt/my\\040share cifs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/txwatch", "overlay"),
        ("/home/me", "nfs4"),
        ("/home/local/me", "ext4"),
        ("/homeless", "overlay"),
        ("/mnt/my share/x", "cifs"),
    ],
)
def test_the_innermost_mount_says_what_a_path_lies_on(path, kind):
    """Names that only begin alike are not above one another."""
    assert file_system(Path(path), MOUNTS) == kind


def test_a_network_file_system_is_refused(tmp_path, monkeypatch):
    """Before anything is made there."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("txwatch.stores.sqlite.localdisk.MOUNTS", mounts)

    with pytest.raises(StoreError, match=r"network file system \(nfs4\)"):
        SqliteStore(tmp_path / "store.db", ManualClock(NOON), writer=False)

    assert [path.name for path in tmp_path.iterdir()] == ["mounts"]
