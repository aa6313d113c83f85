"""The ledger: what was committed stays, what raised left nothing, what is there twice is queued once."""

import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sql

from txwatch.errors import ConfigurationError, StoreError
from txwatch.ledger import Ledger
from txwatch.model import Anomaly, AnomalyType, Cursor, Partition, Severity
from txwatch.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
A, B = Partition("topic", 0), Partition("topic", 1)


def anomaly(number: int, severity: Severity = Severity.HIGH) -> Anomaly:
    return Anomaly(
        anomaly_id=f"a{number}",
        kind="transaction",
        type=AnomalyType.AMOUNT,
        timestamp=NOON,
        detected_at=NOON,
        severity=severity,
        score=80.0,
        reasons=(),
        entity_kind="user",
        entity_id="u1",
    )


def open_ledger(folder: Path) -> Ledger:
    return Ledger.open(f"sqlite:///{folder / 'ledger.db'}", ManualClock(NOON))


@pytest.fixture
def ledger(tmp_path):
    opened = open_ledger(tmp_path)
    yield opened
    opened.close()


def test_positions_are_kept_by_source_and_partition(ledger, tmp_path):
    """They survive the process and move forward."""
    ledger.commit_positions({A: 5, B: 7})
    ledger.commit_positions({A: 9, Partition("other", 0): 1})
    ledger.close()

    assert open_ledger(tmp_path).positions("topic") == {A: 9, B: 7}


def test_a_step_moves_cursors_and_queues_anomalies_together(ledger):
    """Both are there afterwards, in order of discovery."""
    ledger.commit_step("detectors", {A: Cursor(100, 1)}, [anomaly(1), anomaly(2)])
    ledger.commit_step("detectors", {A: Cursor(200, 2)}, [anomaly(3)])

    assert ledger.cursors("detectors") == {A: Cursor(200, 2)}
    assert ledger.cursors("somebody else") == {}
    assert [entry.anomaly_id for entry in ledger.discovered(0, 10)] == ["a1", "a2", "a3"]


def test_an_anomaly_found_again_is_queued_again_only_when_it_is_graver(ledger):
    """A regrade to a higher severity is news, anything else is not."""
    ledger.commit_step("detectors", {}, [anomaly(1, Severity.MEDIUM)])
    ledger.commit_step("detectors", {}, [anomaly(1, Severity.MEDIUM), anomaly(2)])
    ledger.commit_step("detectors", {}, [anomaly(1, Severity.CRITICAL)])
    ledger.commit_step("detectors", {}, [anomaly(1, Severity.LOW)])

    queued = [(entry.anomaly_id, entry.severity) for entry in ledger.discovered(0, 10)]
    assert queued == [("a1", Severity.MEDIUM), ("a2", Severity.HIGH), ("a1", Severity.CRITICAL)]


def test_readers_of_the_queue_have_offsets_of_their_own(ledger):
    """Each goes on where it stopped."""
    ledger.commit_step("detectors", {}, [anomaly(n) for n in range(5)])
    ledger.advance("alerts", 3)
    ledger.advance("alerts", 4)

    assert ledger.queue_position("alerts") == 4
    assert ledger.queue_position("metrics") == 0
    assert [entry.number for entry in ledger.discovered(4, 10)] == [5]


def test_a_snapshot_comes_back_with_its_cursors(ledger):
    """The newest one, whole."""
    for n in range(4):
        ledger.save_snapshot("detectors", {A: Cursor(n, n)}, f"state {n}".encode(), "1")

    found = ledger.load_snapshot("detectors")

    assert (found.payload, found.cursors, found.version, found.note) == (
        b"state 3",
        {A: Cursor(3, 3)},
        "1",
        "",
    )
    assert ledger.load_snapshot("nobody") is None


def test_a_damaged_snapshot_falls_back_to_the_one_before(ledger, tmp_path):
    """And says so; only the last two files are kept."""
    for n in range(4):
        ledger.save_snapshot("detectors", {A: Cursor(n, n)}, f"state {n}".encode(), "1")
    files = sorted((tmp_path / "snapshots").iterdir(), key=lambda path: path.read_bytes())
    assert len(files) == 2
    files[-1].write_bytes(b"state X")

    found = ledger.load_snapshot("detectors")

    assert found.payload == b"state 2"
    assert found.cursors == {A: Cursor(2, 2)}
    assert "missing or damaged" in found.note


def test_the_audit_is_a_chain(ledger, tmp_path):
    """A record that was changed afterwards is found."""
    for n in range(3):
        ledger.record("admin", "reveal", {"n": n})
    assert ledger.verify() is None

    engine = sql.create_engine(f"sqlite:///{tmp_path / 'ledger.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE audit SET facts = '{\"n\": 9}' WHERE number = 2")
    engine.dispose()

    assert ledger.verify() == 2


def test_sigkill_in_a_step_leaves_all_or_nothing(tmp_path):
    """Cursor and queue always agree, however a process dies."""
    program = textwrap.dedent(
        f"""
        import sys, tests_ledger as t
        ledger = t.open_ledger(t.Path({str(tmp_path)!r}))
        print("ready", flush=True)
        for n in range(100_000):
            ledger.commit_step("detectors", {{t.A: t.Cursor(n, n)}}, [t.anomaly(n)])
        """
    )
    (tmp_path / "tests_ledger.py").write_text(Path(__file__).read_text())
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE)
        process.stdout.readline()
        try:
            process.wait(timeout=0.3)
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
        process.stdout.close()

        ledger = open_ledger(tmp_path)
        last = max(int(entry.anomaly_id[1:]) for entry in ledger.discovered(0, 1_000_000))
        assert ledger.cursors("detectors")[A].sequence <= last
        assert len({entry.anomaly_id for entry in ledger.discovered(0, 1_000_000)}) == last + 1
        ledger.close()


def test_an_address_nobody_knows_is_one_sentence():
    """The known form is named."""
    with pytest.raises(ConfigurationError, match="starts with sqlite:///"):
        Ledger.open("mongodb://somewhere", ManualClock(NOON))


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    """No traceback of the database."""
    with pytest.raises(StoreError, match="the ledger refuses: unable to open"):
        open_ledger(tmp_path / "nowhere")
