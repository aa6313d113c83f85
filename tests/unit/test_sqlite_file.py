"""The embedded file: one ingester, clear sentences, nothing half-written."""

import signal
import subprocess
import sys
import textwrap

import polars as pl
import pytest

from txwatch.clock import SystemClock
from txwatch.columns import POSITION, TRANSACTION
from txwatch.errors import ConfigurationError, StoreBusyError, StoreError, StoreLockedError
from txwatch.stores import open_store
from txwatch.stores.sqlite import SqliteStore, file
from txwatch.testing import ManualClock

ROWS = textwrap.dedent(
    """
    import polars as pl
    from pathlib import Path
    from txwatch.clock import SystemClock
    from txwatch.columns import POSITION, TRANSACTION
    from txwatch.stores.sqlite import SqliteStore

    def rows(first, count):
        return pl.DataFrame({"sequence": range(first, first + count)}).select(
            pl.lit("topic").alias("source"),
            pl.lit(0).alias("partition"),
            "sequence",
            pl.format("t{}", "sequence").alias("transaction_id"),
            pl.from_epoch(pl.lit(1_772_452_800)).dt.replace_time_zone("UTC").alias("timestamp"),
            pl.lit("u").alias("user_id"), pl.lit("m").alias("merchant_id"), pl.lit(1.0).alias("amount"),
            pl.lit("EUR").alias("currency"), pl.lit("approved").alias("status"),
            *(pl.lit(None).alias(n) for n in list(TRANSACTION)[7:]),
        ).cast(POSITION | TRANSACTION)
    """
)
SCOPE: dict[str, object] = {}
exec(ROWS, SCOPE)  # the same few lines for this process and for the ones that are killed


def rows(first: int, count: int) -> pl.DataFrame:
    return SCOPE["rows"](first, count)


def run(tmp_path, program: str, *, writer: bool = True) -> subprocess.Popen:
    path = str(tmp_path / "store.db")
    text = f"{ROWS}\nstore = SqliteStore(Path({path!r}), SystemClock(), writer={writer})\n"
    return subprocess.Popen(
        [sys.executable, "-c", text + textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )


def test_a_second_ingester_is_refused_and_told_who_is_first(tmp_path):
    """The other process is named; readers are welcome."""
    first = SqliteStore(tmp_path / "store.db", SystemClock(), writer=True)

    with pytest.raises(StoreLockedError, match=r"already being ingested into by process \d+"):
        SqliteStore(tmp_path / "store.db", SystemClock(), writer=True)

    reader = SqliteStore(tmp_path / "store.db", SystemClock(), writer=False)
    first.append(rows(0, 3))
    assert reader.counts()["transactions"] == 3
    reader.close()
    first.close()
    SqliteStore(tmp_path / "store.db", SystemClock(), writer=True).close()


def test_sigkill_during_appends_leaves_whole_batches_only(tmp_path):
    """However the ingester dies, a batch is there or not, and the lock is free."""
    for turn in range(3):
        process = run(
            tmp_path,
            """
            print("ready", flush=True)
            first = store.counts()["transactions"]
            while True:
                store.append(rows(first, 500))
                first += 500
            """,
        )
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.2 + 0.1 * turn)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()

        store = SqliteStore(tmp_path / "store.db", SystemClock(), writer=True)
        count = store.counts()["transactions"]
        assert count % 500 == 0
        assert store.feed({}, count + 1)["sequence"].to_list() == list(range(count))
        store.close()


def test_several_processes_read_while_one_ingests(tmp_path):
    """Every reader sees a growing number of whole batches, never an error."""
    SqliteStore(tmp_path / "store.db", SystemClock(), writer=False).close()
    reading = """
        from txwatch.ports import TransactionQuery
        seen = [0]
        print("ready", flush=True)
        while seen[-1] < 20_000:
            seen.append(store.counts()["transactions"])
            newest = store.transactions(TransactionQuery(user_id="u", limit=3))["sequence"].to_list()
            assert newest == sorted(newest) and len(newest) == min(3, seen[-1] or len(newest))
        assert seen == sorted(seen) and all(count % 500 == 0 for count in seen)
    """
    readers = [run(tmp_path, reading, writer=False) for _ in range(2)]
    for reader in readers:
        reader.stdout.readline()
    writer = run(tmp_path, "for n in range(40): store.append(rows(n * 500, 500))")

    for process in (writer, *readers):
        process.communicate(timeout=120)

    assert [process.returncode for process in (writer, *readers)] == [0, 0, 0]


def test_short_writes_of_other_processes_wait_their_turn(tmp_path):
    """While one ingests at full speed, others write what they found; all of it is there."""
    SqliteStore(tmp_path / "store.db", SystemClock(), writer=False).close()
    writing = """
        import os
        from txwatch.ports import SeriesPoint
        from txwatch.clock import SystemClock
        for n in range(30):
            point = SeriesPoint(series=f"{os.getpid()}-{n}", start=SystemClock().now(), seconds=60, value=1.0)
            store.put_series([point])
    """
    processes = [run(tmp_path, "for n in range(60): store.append(rows(n * 500, 500))")]
    processes += [run(tmp_path, writing, writer=False) for _ in range(2)]

    for process in processes:
        process.communicate(timeout=120)

    store = SqliteStore(tmp_path / "store.db", SystemClock(), writer=False)
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert store.counts() == {"transactions": 30_000, "anomalies": 0, "series": 60, "quarantine": 0}
    store.close()


def test_a_short_write_waits_its_turn_and_then_says_it_is_busy(tmp_path, monkeypatch):
    """A writer that holds the file for too long is no loss: the same call may pass later."""
    monkeypatch.setattr(file, "BUSY_MILLISECONDS", 50)
    store = SqliteStore(tmp_path / "store.db", SystemClock(), writer=True)
    other = SqliteStore(tmp_path / "store.db", SystemClock(), writer=False)

    with other._file.writing(), pytest.raises(StoreBusyError, match="try again") as caught:
        store.append(rows(0, 10))
    store.append(rows(0, 10))

    assert caught.value.retryable
    assert store.counts()["transactions"] == 10
    store.close()
    other.close()


def test_a_full_disk_loses_nothing_and_leaves_nothing_half_written(tmp_path):
    """SQLite's own limit stands for the disk: the batch is refused whole, what was there stays."""
    store = SqliteStore(tmp_path / "store.db", SystemClock(), writer=True)
    store.append(rows(0, 100))
    pages = store._file.connection.execute("PRAGMA page_count").fetchone()[0]
    store._file.connection.execute(f"PRAGMA max_page_count={pages + 4}")

    with pytest.raises(StoreError, match="the disk is full; nothing of this batch was written"):
        store.append(rows(100, 5000))

    assert store.counts()["transactions"] == 100
    store.close()


def test_a_disk_that_takes_no_more_bytes_keeps_whole_batches(tmp_path):
    """The operating system's limit on a file's size, met in the middle of a batch: one sentence, no half."""
    process = run(
        tmp_path,
        """
        import resource
        from txwatch.errors import StoreError
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
        try:
            for n in range(1000):
                store.append(rows(n * 500, 500))
        except StoreError as error:
            print(error, flush=True)
        """,
    )
    sentence, _ = process.communicate(timeout=120)

    assert "the disk does not answer, or is full; nothing of this batch was written" in sentence
    store = SqliteStore(tmp_path / "store.db", SystemClock(), writer=True)
    count = store.counts()["transactions"]
    assert count > 0
    assert store.feed({}, count + 1)["sequence"].to_list() == list(range(count // 500 * 500))
    store.close()


def test_a_folder_that_is_none_is_one_sentence(tmp_path):
    """The lock beside the store is the first thing to be written."""
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match=r"cannot write .*store.db.lock: Not a directory"):
        SqliteStore(tmp_path / "file" / "store.db", ManualClock(), writer=True)
    with pytest.raises(StoreError, match="the file cannot be opened; check that its folder exists"):
        SqliteStore(tmp_path / "file" / "store.db", ManualClock(), writer=False)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"not a database at all, but long enough to be one" * 100, "not a txwatch store")],
)
def test_a_file_that_is_no_store_is_one_sentence(tmp_path, content, sentence):
    """It is left as it is."""
    (tmp_path / "store.db").write_bytes(content)

    with pytest.raises(StoreError, match=sentence):
        SqliteStore(tmp_path / "store.db", ManualClock(), writer=True)

    assert (tmp_path / "store.db").read_bytes() == content


def test_an_address_nobody_knows_is_one_sentence():
    """The known forms are named."""
    with pytest.raises(ConfigurationError, match="sqlite:///"):
        open_store("redis://localhost", ManualClock(), writer=False)


def test_columns_written_are_all_columns():
    """A column added to a transaction has to be added to the table."""
    assert set(rows(0, 1).columns) == set(POSITION) | set(TRANSACTION)
