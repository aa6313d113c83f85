"""A process logs changes of state at once, what goes wrong every ten seconds, a sign of life a minute."""

import io
import json
from datetime import timedelta

import pytest

from txwatch.logs import HealthLog, open_log
from txwatch.ports import Health, Progress
from txwatch.testing import ManualClock


class Patient:
    """A service whose health is set by hand."""

    name = "collector"

    def __init__(self) -> None:
        self.state, self.figures = "ok", {}

    def step(self) -> Progress:
        return Progress(handled=0)

    def health(self) -> Health:
        return Health(name=self.name, state=self.state, sentence="5 stored", figures=dict(self.figures))

    def close(self) -> None:
        pass


class Journal:
    """A log of one service on a clock that is moved by hand."""

    def __init__(self) -> None:
        self.patient, self.clock, self._stream = Patient(), ManualClock(), io.StringIO()
        self.log = HealthLog([self.patient], open_log("json", self._stream), self.clock)

    def after(self, seconds: float) -> list[dict]:
        """Return the events of a round so much later."""
        self._stream.seek(0)
        self._stream.truncate()
        self.clock.advance(timedelta(seconds=seconds))
        self.log()
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]


@pytest.fixture
def journal():
    return Journal()


def test_a_change_of_state_is_logged_once_and_so_is_its_end(journal):
    """A service in trouble does not fill the log with its trouble."""
    journal.patient.state = "degraded"
    first, then = journal.after(1), journal.after(1)
    journal.patient.state = "ok"
    last = journal.after(1)

    assert [(e["event"], e["level"], e["state"], e["was"]) for e in first] == [
        ("state", "warning", "degraded", "ok")
    ]
    assert then == []
    assert [(e["level"], e["state"], e["was"]) for e in last] == [("info", "ok", "degraded")]


def test_what_went_wrong_is_counted_by_reason_every_ten_seconds(journal):
    """Good ones are not logged, and what was told is not told again."""
    journal.patient.figures = {
        "transactions_total": 9.0,
        "quarantined_total": 3.0,
        "quarantined_not_json_total": 3.0,
    }
    early, due = journal.after(5), journal.after(5)
    journal.patient.figures["quarantined_not_json_total"] = 4.0
    again = journal.after(10)

    assert early == []
    assert [{k: e[k] for k in e if k != "timestamp"} for e in due] == [
        {"event": "counted", "level": "warning", "service": "collector", "quarantined_not_json": 3}
    ]
    assert [e["quarantined_not_json"] for e in again] == [1]


def test_a_quiet_process_gives_a_sign_of_life_a_minute(journal):
    """So that silence in the log means something."""
    events = [event for _ in range(150) for event in journal.after(1)]

    assert [(e["event"], e["sentence"]) for e in events] == [("progress", "5 stored")] * 2


def test_text_is_a_line_for_people():
    """No colours where there is no terminal."""
    stream = io.StringIO()
    open_log("text", stream).warning("state", service="collector", sentence="it is slow")

    assert "\x1b" not in stream.getvalue()
    assert "state" in stream.getvalue()
    assert "sentence='it is slow'" in stream.getvalue()
