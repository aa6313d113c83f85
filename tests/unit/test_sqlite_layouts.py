"""A file of an earlier layout is carried over whole; one that is not ours is left alone."""

import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from txwatch.clock import SystemClock
from txwatch.errors import StoreError
from txwatch.model import Anomaly, AnomalyType, Cursor, Partition, Quarantined, Rejected, Severity
from txwatch.ports import AnomalyQuery, TrafficQuery, TransactionQuery
from txwatch.stores.sqlite import SqliteStore
from txwatch.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIRST_LAYOUT = """
CREATE TABLE sources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE partitions (source INTEGER NOT NULL, partition INTEGER NOT NULL, sequence INTEGER NOT NULL,
  arrival INTEGER NOT NULL, PRIMARY KEY (source, partition)) WITHOUT ROWID;
CREATE TABLE transactions (source INTEGER NOT NULL, partition INTEGER NOT NULL, sequence INTEGER NOT NULL,
  arrival INTEGER NOT NULL, transaction_id TEXT NOT NULL, timestamp INTEGER NOT NULL, user_id TEXT NOT NULL,
  merchant_id TEXT NOT NULL, amount REAL NOT NULL, currency TEXT NOT NULL, status TEXT NOT NULL,
  channel TEXT, country TEXT, lat REAL, lon REAL, device_id TEXT, ip TEXT, card_id TEXT,
  merchant_category TEXT, extra TEXT, PRIMARY KEY (source, partition, sequence)) WITHOUT ROWID;
CREATE INDEX transactions_by_time ON transactions (timestamp);
CREATE INDEX transactions_by_user ON transactions (user_id, timestamp);
CREATE INDEX transactions_by_merchant ON transactions (merchant_id, timestamp);
CREATE INDEX transactions_by_id ON transactions (transaction_id);
CREATE TABLE anomalies (anomaly_id TEXT PRIMARY KEY, timestamp INTEGER NOT NULL, severity INTEGER NOT NULL,
  mode TEXT NOT NULL, user_id TEXT, merchant_id TEXT, transaction_id TEXT, series TEXT, types TEXT NOT NULL,
  rules TEXT NOT NULL, document BLOB NOT NULL) WITHOUT ROWID;
CREATE INDEX anomalies_by_time ON anomalies (timestamp);
CREATE INDEX anomalies_by_user ON anomalies (user_id, timestamp);
CREATE INDEX anomalies_by_merchant ON anomalies (merchant_id, timestamp);
CREATE TABLE series (series TEXT NOT NULL, start INTEGER NOT NULL, seconds INTEGER NOT NULL,
  value REAL NOT NULL, expected REAL, low REAL, high REAL, score REAL, PRIMARY KEY (series, start))
  WITHOUT ROWID;
CREATE INDEX series_by_time ON series (start);
CREATE TABLE quarantine (source TEXT NOT NULL, partition INTEGER NOT NULL, sequence INTEGER NOT NULL,
  received_at INTEGER NOT NULL, code TEXT NOT NULL, document BLOB NOT NULL,
  PRIMARY KEY (source, partition, sequence)) WITHOUT ROWID;
CREATE INDEX quarantine_by_time ON quarantine (received_at);
PRAGMA user_version=1;
"""
ANOMALY = Anomaly(
    anomaly_id="a", kind="transaction", type=AnomalyType.AMOUNT, timestamp=NOON, detected_at=NOON,
    severity=Severity.HIGH, score=80.0, reasons=(), entity_kind="user", entity_id="u",
)  # fmt: skip
BAD = Quarantined(
    source="b", partition=0, sequence=9, received_at=NOON, rejected=Rejected(code="not_json", sentence="no")
)


def milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def old_file(folder: Path, count: int = 3000) -> Path:
    """A store as the first version wrote it: `count` transactions in partition 1 of `b`, one in `a`."""
    path = folder / "store.db"
    rows = [
        (2, 1, n, 1000 + n, f"t{n}", milliseconds(NOON) + n, f"u{n % 7}", "m", 1.5, "EUR", "approved")
        for n in range(count)
    ]
    rows.append((1, 0, 5, 1, "only", milliseconds(NOON), "u", "m", 2.5, "EUR", "declined"))
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_LAYOUT)
    connection.executemany("INSERT INTO sources VALUES (?, ?)", [(1, "a"), (2, "b")])
    connection.executemany(
        f"INSERT INTO transactions VALUES ({'?,' * 11} NULL, 'DE' {', NULL' * 7})",
        rows,
    )
    connection.executemany(
        "INSERT INTO partitions VALUES (?, ?, ?, ?)", [(1, 0, 5, 1), (2, 1, count - 1, 999 + count)]
    )
    document = msgspec.json.encode(ANOMALY)
    connection.execute(
        "INSERT INTO anomalies VALUES ('a',?,3,'live',NULL,NULL,NULL,NULL,'\namount\n','',?)",
        (milliseconds(NOON), document),
    )
    connection.execute(
        "INSERT INTO quarantine VALUES ('b',0,9,?,'not_json',?)",
        (milliseconds(NOON), msgspec.json.encode(BAD)),
    )
    connection.commit()
    connection.close()
    return path


def tables(path: Path) -> list[tuple[str, str]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    return [(name, " ".join((text or "").split())) for name, text in found]


def test_an_old_file_is_carried_over_with_everything_in_it(tmp_path):
    """Transactions, cursors, anomalies and quarantine are as they were; appending goes on."""
    store = SqliteStore(old_file(tmp_path), ManualClock(NOON), writer=True)

    rest = store.feed({Partition("b", 1): Cursor(1000, 0)}, 10_000)
    assert rest["sequence"].to_list() == [5, *range(1, 3000)]
    assert rest["arrival"].to_list() == [1, *range(1001, 4000)]
    assert store.transactions(TransactionQuery(transaction_id="t17"))["country"].to_list() == ["DE"]
    assert store.anomalies(AnomalyQuery(type="amount")) == [ANOMALY]
    assert store.quarantined(code="not_json") == [BAD]
    assert store.traffic(TrafficQuery()) == []
    store.append(rest.drop("arrival").tail(1))
    assert store.counts() == {"transactions": 3001, "anomalies": 1, "series": 0, "quarantine": 1}
    store.close()


def test_a_file_carried_over_is_a_file_made_new(tmp_path):
    """The same tables and indexes, word for word."""
    (tmp_path / "old").mkdir()
    old, new = old_file(tmp_path / "old"), tmp_path / "store.db"
    for path in (old, new):
        SqliteStore(path, ManualClock(NOON), writer=True).close()

    assert tables(old) == tables(new)


def test_a_migration_that_fails_leaves_the_old_file(tmp_path):
    """Half of it is never kept."""
    path = old_file(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute("DROP TABLE quarantine")
    connection.close()
    before = tables(path)

    with pytest.raises(StoreError, match="quarantine"):
        SqliteStore(path, ManualClock(NOON), writer=True)

    assert tables(path) == before


def test_a_newer_layout_is_refused(tmp_path):
    """An older program never touches what it does not know."""
    path = old_file(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()

    with pytest.raises(StoreError, match=r"comes from a newer txwatch \(layout 99\)"):
        SqliteStore(path, ManualClock(NOON), writer=False)


def test_a_database_of_somebody_else_is_left_as_it_is(tmp_path):
    """Its tables are none of ours."""
    path = tmp_path / "theirs.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="not a txwatch store; it was left as it is"):
        SqliteStore(path, ManualClock(NOON), writer=True)

    assert path.read_bytes() == before


def test_processes_that_open_a_new_file_at_once_make_it_once(tmp_path):
    """Whoever comes second finds the tables."""
    program = (
        "import sys; from pathlib import Path; from txwatch.clock import SystemClock; "
        "from txwatch.stores.sqlite import SqliteStore; sys.stdin.readline(); "
        f"print(SqliteStore(Path({str(tmp_path / 'store.db')!r}), SystemClock(), writer=False).counts())"
    )
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(6)
    ]
    for opener in openers:
        opener.stdin.write("go\n")
        opener.stdin.flush()

    answers = [opener.communicate()[0] for opener in openers]

    assert [opener.returncode for opener in openers] == [0] * 6
    assert len(set(answers)) == 1
    SqliteStore(tmp_path / "store.db", SystemClock(), writer=True).close()
