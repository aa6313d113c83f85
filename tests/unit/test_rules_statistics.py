"""Statistics count what hit and what people said of it, and never guess about the rest."""

from datetime import UTC, datetime

import pytest

from detectors.administer.statistics import statistics, told
from txwatch.coverage import Tally
from txwatch.model import Anomaly, AnomalyType, Mode, Reason, Severity, Verdict

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def anomaly(key: str, *rules: str, detector: str = "rules", mode=Mode.LIVE) -> Anomaly:
    reason = Reason(code="c", sentence="odd", detector=detector, type=AnomalyType.RULE, entity_kind="user")
    return Anomaly(
        anomaly_id=key,
        kind="transaction",
        type=AnomalyType.RULE,
        timestamp=NOON,
        detected_at=NOON,
        severity=Severity.HIGH,
        score=90.0,
        reasons=(reason,),
        entity_kind="user",
        entity_id="u",
        mode=mode,
        rules=rules,
    )


@pytest.fixture
def found():
    """Five anomalies, one of them a canary; two rules, one of which never hits."""
    anomalies = [
        anomaly("1", "a"),
        anomaly("2", "a", "b"),
        anomaly("3", "a", detector="user_burst"),
        anomaly("4", detector="user_burst"),
        anomaly("5", "a", mode=Mode.CANARY),
    ]
    labels = {"1": Verdict.FRAUD, "2": Verdict.FALSE_POSITIVE, "3": Verdict.FRAUD, "4": Verdict.UNCLEAR}
    return statistics(anomalies, ["a", "b", "never"], labels)


def test_rules_come_first_the_busiest_before_and_silent_ones_are_named(found):
    assert [(each.kind, each.name, each.anomalies) for each in found] == [
        ("rule", "a", 3),
        ("rule", "b", 1),
        ("rule", "never", 0),
        ("detector", "user_burst", 2),
    ]


def test_precision_is_of_the_labelled(found):
    """Unclear is no label to count by; without any there is no precision."""
    assert [each.precision for each in found] == [2 / 3, 0.0, None, 1.0]
    assert [each.unlabelled for each in found] == [0, 0, 0, 1]


def test_alone_is_what_no_other_rule_hit(found):
    assert [each.alone for each in found] == [2, 0, 0, 1]


def test_they_are_told_in_columns(found):
    lines = list(told(found, 30.0))

    assert lines[0].split() == [
        "in", "30", "days", "anomalies", "alone", "fraud", "not", "precision", "unlabelled",
    ]  # fmt: skip
    assert lines[1].split() == ["rule", "a", "3", "2", "2", "1", "0.67", "0%"]
    assert len({len(line) for line in lines}) == 1


def test_a_rule_in_shadow_shows_its_hits_and_how_many_are_anomalies_only_by_it():
    """Nobody was asked about them, so they have no precision."""
    (only,) = statistics([], [], {}, {"trial": Tally(hits=9, known=4)})

    assert (only.kind, only.name, only.anomalies, only.alone) == ("shadow", "trial", 9, 5)
    assert (only.precision, only.unlabelled) == (None, 9)
