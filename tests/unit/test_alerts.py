"""The notifier tells what the policy lets through, once, in order of discovery."""

import io
import json
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import pytest

from alerts.channels import ConsoleChannel, FileChannel
from alerts.policy import AlertSettings, decide
from alerts.service import NotifierService
from txwatch.errors import InputError
from txwatch.model import Anomaly, AnomalyType, Mode, Reason, Severity

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def anomaly(severity: Severity = Severity.HIGH, **fields: object) -> Anomaly:
    reason = Reason(
        code="user_amount",
        sentence="412.00 EUR is 6.1 times what this customer usually spends",
        detector="user_amount",
        type=AnomalyType.AMOUNT,
        entity_kind="user",
    )
    values = {
        "anomaly_id": "a1",
        "kind": "transaction",
        "type": AnomalyType.AMOUNT,
        "timestamp": NOON,
        "detected_at": NOON,
        "severity": severity,
        "score": 80.0,
        "reasons": (reason,),
        "entity_kind": "user",
        "entity_id": "u1",
    }
    return Anomaly(**(values | fields))


class Entry(NamedTuple):
    number: int
    document: bytes


class Queue:
    """A queue in memory that remembers what was advanced."""

    def __init__(self, *anomalies: Anomaly) -> None:
        self.entries = [Entry(n, msgspec.json.encode(a)) for n, a in enumerate(anomalies, start=1)]
        self.position = 0

    def discovered(self, after: int, limit: int) -> list[Entry]:
        return [e for e in self.entries if e.number > after][:limit]

    def queue_position(self, name: str) -> int:
        return self.position

    def advance(self, name: str, number: int) -> None:
        self.position = number


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (anomaly(Severity.CRITICAL), True),
        (anomaly(Severity.HIGH), True),
        (anomaly(Severity.MEDIUM), False),
        (anomaly(Severity.CRITICAL, mode=Mode.SHADOW), False),
    ],
    ids=["critical", "high", "medium", "shadow"],
)
def test_the_policy_tells_from_the_minimum_severity_on(found, told):
    """At or above the minimum and live: told; every decision has its reason."""
    decision = decide(found, AlertSettings(min_severity="high"))

    assert decision.notify is told
    assert found.severity.word in decision.reason or "shadow" in decision.reason


def test_a_minimum_that_is_no_severity_is_refused():
    """A typo in the policy is an error where it is read, not a silent default."""
    with pytest.raises(ValueError, match="hgih"):
        AlertSettings(min_severity="hgih")


def test_the_console_gets_one_line_with_the_numbers():
    """Severity, time, entity, sentence and id stand in one line."""
    stream = io.StringIO()
    service = NotifierService(Queue(anomaly()), [ConsoleChannel(stream)], AlertSettings())

    service.step()

    line = stream.getvalue()
    assert line.count("\n") == 1
    for word in ("HIGH", "2026-03-02 12:00:00", "user u1", "6.1 times", "[a1]"):
        assert word in line


def test_what_was_handled_is_not_told_again():
    """The position moves past what was sent and what was held back."""
    stream = io.StringIO()
    queue = Queue(anomaly(), anomaly(Severity.LOW), anomaly(anomaly_id="a3"))

    for _ in range(3):
        NotifierService(queue, [ConsoleChannel(stream)], AlertSettings()).step()

    assert stream.getvalue().count("\n") == 2
    assert queue.position == 3


def test_a_crash_before_the_commit_leaves_no_double_in_the_file(tmp_path):
    """A file line that was written but not committed is recognised and not written again."""
    path = tmp_path / "alerts.jsonl"
    queue = Queue(anomaly(anomaly_id="a1"), anomaly(anomaly_id="a2"))
    queue.advance = lambda name, number: None

    for _ in range(2):
        channel = FileChannel(path)
        NotifierService(queue, [channel], AlertSettings()).step()
        channel.close()

    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_half_written_line_is_cut_off_and_written_anew(tmp_path):
    """A crash in the middle of a line costs nothing."""
    path = tmp_path / "alerts.jsonl"
    first = FileChannel(path)
    first.send(1, anomaly())
    first.close()
    path.write_bytes(path.read_bytes() + b'{"number": 2, "head')

    second = FileChannel(path)
    second.send(2, anomaly())
    second.close()

    assert [json.loads(line)["number"] for line in path.read_text().splitlines()] == [1, 2]


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path):
    """A folder in place of the file is named, with what the system says."""
    with pytest.raises(InputError, match="cannot write alerts to"):
        FileChannel(tmp_path)


def test_the_console_heeds_silences():
    """They are read again for each batch, and what they hide is held back."""
    stream, reads = io.StringIO(), []

    def silenced():
        reads.append(1)
        return lambda found: found.anomaly_id == anomaly().anomaly_id

    service = NotifierService(Queue(anomaly()), [ConsoleChannel(stream)], AlertSettings(), silenced)
    service.step()

    assert (stream.getvalue(), len(reads)) == ("", 1)
    assert service.health().figures["held_total"] == 1
