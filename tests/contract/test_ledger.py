"""The ledger: what was committed stays, what raised left nothing, what is there twice is queued once."""

import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from txwatch.coverage import WINDOW, Tally
from txwatch.errors import ConfigurationError, SnapshotError, StoreBusyError, StoreError
from txwatch.ledger import Ledger, Outgoing, Step, database
from txwatch.model import Anomaly, AnomalyState, AnomalyType, Cursor, Partition, Severity
from txwatch.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
A, B = Partition("topic", 0), Partition("topic", 1)


def anomaly(number: int, severity: Severity = Severity.HIGH, **fields: object) -> Anomaly:
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
        **fields,
    )


def open_ledger(folder: Path) -> Ledger:
    return Ledger.open(f"sqlite:///{folder / 'ledger.db'}", ManualClock(NOON))


@pytest.fixture(params=["sqlite", "postgres"])
def again(request, tmp_path):
    """Open the ledger of this test, on either database, as often as is asked for."""
    address = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgres":
        address = request.getfixturevalue("postgres").new_database()
    opened = []

    def again():
        opened.append(Ledger.open(address, ManualClock(NOON), home=tmp_path))
        return opened[-1]

    yield again
    for each in opened:
        each.close()


@pytest.fixture
def ledger(again):
    return again()


def test_positions_are_kept_by_source_and_partition(ledger, again):
    """They survive the process and move forward."""
    ledger.commit_positions({A: 5, B: 7})
    ledger.commit_positions({A: 9, Partition("other", 0): 1})
    ledger.close()

    assert again().positions("topic") == {A: 9, B: 7}


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


def test_what_late_data_changed_is_queued_once_whatever_its_severity(ledger):
    """Of two gradings the one of the later revision counts; a detector that repeats itself adds nothing."""
    story = [
        anomaly(1, Severity.HIGH),
        anomaly(1, Severity.MEDIUM, revision=1),
        anomaly(1, Severity.MEDIUM, revision=2, state=AnomalyState.WITHDRAWN),
    ]
    for each in [*story, *story]:
        ledger.commit_step("detectors", {}, [each])
    ledger.commit_step("detectors", {}, story)

    queued = [msgspec.json.decode(entry.document, type=Anomaly) for entry in ledger.discovered(0, 10)]
    assert queued == story


def test_an_anomaly_named_twice_in_one_step_is_queued_once(ledger):
    """Unless the second time is graver."""
    ledger.commit_step("detectors", {}, [anomaly(1, Severity.LOW), anomaly(1, Severity.LOW)])
    ledger.commit_step("detectors", {}, [anomaly(2, Severity.LOW), anomaly(2, Severity.HIGH)])

    queued = [(entry.anomaly_id, entry.severity) for entry in ledger.discovered(0, 10)]
    assert queued == [("a1", Severity.LOW), ("a2", Severity.LOW), ("a2", Severity.HIGH)]


def test_a_discovery_is_the_anomaly_as_it_was_found(ledger):
    """The notifier needs no store to tell what happened."""
    ledger.commit_step("detectors", {}, [anomaly(1)])

    (entry,) = ledger.discovered(0, 10)

    assert msgspec.json.decode(entry.document, type=Anomaly) == anomaly(1)


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


def test_damaged_snapshots_are_no_reason_to_forget_silently(ledger, tmp_path):
    """All damaged is a sentence with a way out; all deleted is that way out."""
    for n in range(2):
        ledger.save_snapshot("detectors", {A: Cursor(n, n)}, f"state {n}".encode(), "1")
    files = list((tmp_path / "snapshots").iterdir())
    for file in files:
        file.write_bytes(b"")

    with pytest.raises(SnapshotError, match=r"every snapshot of detectors in .* is damaged; to start"):
        ledger.load_snapshot("detectors")
    for file in files:
        file.unlink()
    assert ledger.load_snapshot("detectors") is None


def test_what_a_crash_left_half_written_is_swept_and_nothing_of_others(ledger, tmp_path):
    """Consumers whose names begin alike are not each other's."""
    ledger.save_snapshot("detectors", {}, b"one", "1")
    left = [".detectors-0123456789abcdef.snapshot.77", "detectors-0123456789abcdef.snapshot"]
    others = ["detectors-two-0123456789abcdef.snapshot", "notes.txt"]
    for name in left + others:
        (tmp_path / "snapshots" / name).write_bytes(b"half")

    ledger.save_snapshot("detectors", {}, b"two", "1")

    there = {path.name for path in (tmp_path / "snapshots").iterdir()}
    assert there >= set(others)
    assert not there & set(left)


def test_acts_come_back_in_order_with_their_cursors(ledger, again):
    """Of one consumer, beyond a number; two at the same cursors stay two."""
    first = ledger.record_act("detectors", {A: Cursor(1, 1)}, b"one")
    ledger.record_act("somebody else", {}, b"other")
    ledger.record_act("detectors", {A: Cursor(1, 1)}, b"two")
    ledger.record_act("detectors", {A: Cursor(2, 2), B: Cursor(9, 7)}, b"three")
    ledger.close()

    found = again().acts("detectors", first)
    assert [(each.document, each.cursors) for each in found] == [
        (b"two", {A: Cursor(1, 1)}),
        (b"three", {A: Cursor(2, 2), B: Cursor(9, 7)}),
    ]
    assert found[0].number < found[1].number


def test_acts_stay_until_both_kept_snapshots_have_them(ledger):
    """The older snapshot is needed when the newer one is damaged, with every act since."""
    numbers = [ledger.record_act("detectors", {}, f"{n}".encode()) for n in range(3)]
    left = []
    for act in (0, numbers[1], numbers[2], numbers[2]):
        ledger.save_snapshot("detectors", {}, f"state {act}".encode(), "1", act)
        left.append([each.number for each in ledger.acts("detectors", 0)])

    assert left == [numbers, numbers, numbers[2:], []]
    assert ledger.load_snapshot("detectors").act == numbers[2]


def test_the_number_of_an_act_is_never_given_again(ledger):
    """Else one that comes after all were forgotten would be taken for part of a snapshot."""
    first = ledger.record_act("detectors", {}, b"one")
    for _ in range(2):
        ledger.save_snapshot("detectors", {}, b"state", "1", first)

    assert ledger.acts("detectors", 0) == []
    assert ledger.record_act("detectors", {}, b"two") > first


def test_a_ledger_without_acts_gets_them_and_keeps_its_snapshots(ledger, again):
    """What layout 1 had is read as before: no act is in it."""
    ledger.save_snapshot("detectors", {A: Cursor(1, 1)}, b"state", "1")
    with ledger._writing() as connection:
        connection.exec_driver_sql("DROP TABLE acts")
        connection.exec_driver_sql("ALTER TABLE snapshots DROP COLUMN act")
        connection.exec_driver_sql("UPDATE layout SET version = 1")
    ledger.close()

    for opened in (again(), again()):
        found = opened.load_snapshot("detectors")
        assert (found.payload, found.cursors, found.act) == (b"state", {A: Cursor(1, 1)}, 0)
        assert opened.record_act("detectors", {}, b"one") > 0


def test_the_audit_is_a_chain(ledger):
    """A record that was changed afterwards is found."""
    for n in range(3):
        ledger.record("admin", "reveal", {"n": n})
    assert ledger.verify() is None

    with ledger._writing() as connection:
        connection.exec_driver_sql("UPDATE audit SET facts = '{\"n\": 9}' WHERE number = 2")

    assert ledger.verify() == 2


def test_sigkill_in_a_step_leaves_all_or_nothing(tmp_path):
    """Cursor and queue always agree, however a process dies."""
    program = textwrap.dedent(
        f"""
        import tests_ledger as t
        ledger = t.open_ledger(t.Path({str(tmp_path)!r}))
        first = ledger.cursors("detectors").get(t.A, t.Cursor(-1, -1)).sequence + 1
        for n in range(first, 100_000):
            ledger.commit_step("detectors", {{t.A: t.Cursor(n, n)}}, [t.anomaly(n)])
            n == first and print("ready", flush=True)
        """
    )
    (tmp_path / "tests_ledger.py").write_text(Path(__file__).read_text())
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE)
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.kill()
        process.wait()
        process.stdout.close()

        ledger = open_ledger(tmp_path)
        found = [entry.anomaly_id for entry in ledger.discovered(0, 1_000_000)]
        assert found == [f"a{n}" for n in range(ledger.cursors("detectors")[A].sequence + 1)]
        ledger.close()


def test_sigkill_while_saving_snapshots_leaves_a_whole_one_with_its_own_cursors(tmp_path):
    """State and cursors belong together, however a process dies."""
    program = textwrap.dedent(
        f"""
        import tests_ledger as t
        ledger = t.open_ledger(t.Path({str(tmp_path)!r}))
        for n in range(1, 100_000):
            ledger.save_snapshot("detectors", {{t.A: t.Cursor(n, n)}}, n.to_bytes(4) * 250_000, "1")
            n == 1 and print("ready", flush=True)
        """
    )
    (tmp_path / "tests_ledger.py").write_text(Path(__file__).read_text())
    for turn in range(4):
        process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE)
        process.stdout.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.05 + 0.07 * turn)
        process.kill()
        process.wait()
        process.stdout.close()

        ledger = open_ledger(tmp_path)
        found = ledger.load_snapshot("detectors")
        ledger.save_snapshot("detectors", {}, b"the next one", "1")
        ledger.close()
        number = found.cursors[A].sequence
        assert found.payload == number.to_bytes(4) * 250_000
        assert found.note == ""
        assert len(list((tmp_path / "snapshots").iterdir())) == 2


def test_an_address_nobody_knows_is_one_sentence():
    """The known form is named."""
    with pytest.raises(ConfigurationError, match="starts with sqlite:///"):
        Ledger.open("mongodb://somewhere", ManualClock(NOON))


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    """No traceback of the database."""
    with pytest.raises(StoreError, match=r"ledger\.db refuses: unable to open the file; check"):
        open_ledger(tmp_path / "nowhere")


def test_reading_waits_for_nobody(tmp_path, monkeypatch):
    """A long write of another process holds up writes alone, and those may be tried again."""
    monkeypatch.setattr(database, "BUSY_MILLISECONDS", 50)
    ledger = open_ledger(tmp_path)
    ledger.commit_positions({A: 5})
    other = open_ledger(tmp_path)
    writer = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    assert other.positions("topic") == {A: 5}
    with pytest.raises(StoreBusyError, match="being written by another process") as caught:
        other.commit_positions({A: 6})
    writer.execute("ROLLBACK")
    other.commit_positions({A: 7})

    assert caught.value.retryable
    assert ledger.positions("topic") == {A: 7}
    writer.close()
    other.close()
    ledger.close()


def test_what_was_looked_at_adds_up_with_the_step_that_commits_it(ledger, again):
    """Windows keep growing over processes; a step that is refused adds nothing."""
    ledger.commit_step("detectors", {A: Cursor(1, 1)}, [], {NOON: {"hours": Tally(evaluated=3)}})
    ledger.commit_step("detectors", {A: Cursor(2, 2)}, [], {NOON: {"hours": Tally(late=1), "feed": Tally()}})
    with pytest.raises(AttributeError):
        ledger.commit_step("detectors", {A: Cursor(3, 3)}, ["no anomaly"], {NOON: {"hours": Tally(late=9)}})
    ledger.commit_step("detectors", {A: Cursor(3, 3)}, [], {NOON + WINDOW: {"hours": Tally(failed=2)}})

    shelf = again().coverage()
    assert shelf.between(NOON, NOON + WINDOW) == {
        NOON: {"hours": Tally(evaluated=3, late=1), "feed": Tally()}
    }
    assert shelf.newest() == NOON + WINDOW


def test_changed_windows_are_read_once_and_old_ones_are_forgotten(ledger):
    """A copier asks for what changed after the revision that it has."""
    shelf = ledger.coverage()
    for number in range(3):
        ledger.commit_step("detectors", {}, [], {NOON + number * WINDOW: {"hours": Tally(evaluated=1)}})

    first, windows = shelf.changed(0, 2)
    second, others = shelf.changed(first, 2)
    ledger.commit_step("detectors", {}, [], {NOON: {"hours": Tally(evaluated=1)}})

    assert (list(windows), list(others)) == ([NOON, NOON + WINDOW], [NOON + 2 * WINDOW])
    assert shelf.changed(second, 2)[1] == {NOON: {"hours": Tally(evaluated=2)}}
    assert (shelf.forget(NOON + WINDOW), shelf.forget(NOON + WINDOW)) == (1, 0)


def test_a_full_disk_records_nothing_of_a_step(tmp_path):
    """SQLite's own limit stands for the disk: neither cursors nor discoveries are there."""
    ledger = open_ledger(tmp_path)
    ledger.commit_step("detectors", {A: Cursor(1, 1)}, [anomaly(1)])
    with ledger._writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 2}")

    with pytest.raises(StoreError, match="the disk is full; nothing of this step was recorded"):
        ledger.commit_step("detectors", {A: Cursor(2, 2)}, [anomaly(n) for n in range(2, 500)])

    assert ledger.cursors("detectors") == {A: Cursor(1, 1)}
    assert [entry.anomaly_id for entry in ledger.discovered(0, 1000)] == ["a1"]
    ledger.close()


def test_a_file_that_is_no_ledger_is_one_sentence(tmp_path):
    """It is left as it is."""
    (tmp_path / "ledger.db").write_bytes(b"no database " * 200)

    with pytest.raises(StoreError, match="the file is not a ledger"):
        open_ledger(tmp_path)

    assert (tmp_path / "ledger.db").read_bytes() == b"no database " * 200


def test_a_newer_ledger_is_refused_and_one_without_a_version_is_taken(tmp_path):
    """Versions before the first one wrote no number."""
    open_ledger(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("DROP TABLE layout")
    connection.close()
    open_ledger(tmp_path).close()

    connection = sqlite3.connect(tmp_path / "ledger.db")
    with connection:
        connection.execute("UPDATE layout SET version = 99")
    connection.close()

    with pytest.raises(StoreError, match=r"newer txwatch \(layout 99\)"):
        open_ledger(tmp_path)


def test_a_ledger_of_an_earlier_layout_gets_the_columns_that_it_lacks(tmp_path):
    """What waits in it is sent as before, after what is urgent."""
    ledger = open_ledger(tmp_path)
    write(ledger, "old", urgent=0)
    ledger.close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    with connection:
        connection.execute("ALTER TABLE notifications DROP COLUMN urgent")
        connection.execute("UPDATE layout SET version = 1")
    connection.close()

    ledger = open_ledger(tmp_path)
    write(ledger, "new", urgent=1)
    open_ledger(tmp_path).close()

    assert [each.key for each in ledger.alerts().claim("ops", 9.0, 69.0, 5)] == ["new", "old"]
    ledger.close()


def write(ledger, key, *, urgent):
    book = ledger.alerts()
    each = Outgoing(key=key, group_id=key, channel="ops", document=b"", due_at=1.0, urgent=urgent)
    book.commit("alerts", book.epoch(), Step(outgoing=[each]))
