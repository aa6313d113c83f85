"""Silences that end, or hide nothing, are told of: once, to whoever is told of the configuration."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from alert_builders import found, notifier, open_ledger, settings

from alerts.ending import EndingService
from alerts.forgotten import noticed
from alerts.matching import Match
from alerts.policy import AlertSettings
from alerts.silences import Silence
from txwatch.model import Anomaly, AnomalyType
from txwatch.testing import ManualClock

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def silence(hours, **fields):
    values = {"silence_id": "0a1b", "match": Match(merchant=("m-17",)), "since": NOW, "author": "ada"}
    return Silence(**values | {"until": NOW + timedelta(hours=hours), "comment": "migration"} | fields)


@pytest.mark.parametrize(
    ("hours", "hid", "last", "later", "what"),
    [
        (8, 3, 5, 5.9, ""),
        (8, 3, 5, 6, "ends"),
        (8, 0, None, 6, ""),
        (3, 3, 1, 2, ""),
        (8, 3, 5, 8, ""),
        (72, 0, None, 23, ""),
        (72, 0, None, 24, "idle"),
        (72, 9, 20, 43, ""),
        (72, 9, 20, 44, "idle"),
        (72, 0, None, -1, ""),
    ],
)
def test_a_silence_is_told_of_when_somebody_should_act(hours, hid, last, later, what):
    """Two hours before it ends, if it lasts four and hid something; after a day in which it hid nothing."""
    hid_last = None if last is None else (NOW + timedelta(hours=last)).timestamp()

    assert noticed(silence(hours), hid, hid_last, NOW + timedelta(hours=later))[0] == what


def test_the_sentence_says_whose_until_when_and_what_to_do():
    last = NOW + timedelta(hours=5)

    ends = noticed(silence(8), 3, last.timestamp(), NOW + timedelta(hours=7))
    idle = noticed(silence(72), 3, last.timestamp(), NOW + timedelta(hours=40))
    assert ends[1] == (
        "silence 0a1b of ada ends 2026-03-02 20:00 UTC, then what it hid is told again: "
        "3 so far, the last one 2026-03-02 17:00 UTC (migration)"
    )
    assert idle[1] == (
        "silence 0a1b of ada has hidden nothing since 2026-03-02 17:00 UTC: "
        "`txwatch alerts silence expire 0a1b` ends it before 2026-03-05 12:00 UTC (migration)"
    )


class Taken:
    def send(self, notice, key, reference):
        raise AssertionError("nothing is to be told")


def test_each_end_is_warned_of_once_whatever_restarts(tmp_path):
    """It hid something on the first day: it is idle a day later, and ends on the third."""
    clock = ManualClock(NOW)
    ledger = open_ledger(tmp_path, clock)
    book = ledger.alerts()
    one = silence(72)
    book.put_silence(one.silence_id, msgspec.json.encode(one), NOW.timestamp(), "ada")
    ledger.commit_step("detectors", {}, [found("a1", merchant_id="m-17")])
    service = notifier(ledger, settings("ops"), {"ops": Taken()}, clock)
    service.step()
    service.close()
    for _ in range(80):
        EndingService(ledger, AlertSettings, clock).step()
        clock.advance(timedelta(hours=1))

    told = [msgspec.json.decode(each.document, type=Anomaly) for each in ledger.discovered(0, 100)][1:]
    ledger.close()
    assert [each.reasons[0].code for each in told] == ["silence-idle", "silence-ends"]
    assert {each.type for each in told} == {AnomalyType.CONFIGURATION}
