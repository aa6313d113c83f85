"""Suppressions hide what they mean and nothing else, count it, and end."""

from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from alerts.deciding import Decider
from alerts.ending import EndingService
from alerts.policy import AlertSettings, AlertsSection, settings_of
from alerts.routes import Route
from alerts.suppressions import Suppression, ends_at, state, suppressing
from txwatch.errors import ConfigurationError
from txwatch.ledger import Ledger
from txwatch.model import Anomaly, AnomalyType, Reason, Severity
from txwatch.rulesfile import parse
from txwatch.testing import ManualClock

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def suppression(match: dict | None = None, **changes) -> Suppression:
    given = {
        "name": "noise",
        "match": {"rule": ["burst"]} if match is None else match,
        "owner": "ada",
        "reason": "ticket 4711",
        "since": "2026-03-01",
        "until": "2026-03-20",
    }
    return msgspec.convert(given | changes, Suppression)


def anomaly(*rules: str, severity: Severity = Severity.HIGH, **changes) -> Anomaly:
    """Hit by rules, each of high severity; a detector speaks for it too, more quietly."""
    reasons = [_reason(rule, "rules", {"severity": "high"}) for rule in rules]
    given = {
        "anomaly_id": "a",
        "kind": "transaction",
        "type": AnomalyType.RULE,
        "timestamp": NOW,
        "detected_at": NOW,
        "severity": severity,
        "score": 90.0,
        "reasons": (*reasons, _reason("user_burst", "user_burst", {})),
        "entity_kind": "user",
        "entity_id": "u1",
        "user_id": "u1",
        "merchant_id": "m1",
        "rules": rules,
    }
    return Anomaly(**given | changes)


def _reason(code: str, detector: str, facts: dict) -> Reason:
    kinds = {"type": AnomalyType.RULE, "entity_kind": "user"}
    return Reason(code=code, sentence="odd", detector=detector, facts=facts, **kinds)


def hides(one: Suppression, found: Anomaly) -> bool:
    return suppressing(found, [one], NOW, {}) is not None


@pytest.mark.parametrize(
    ("match", "found", "hidden"),
    [
        ({"rule": ["burst"]}, anomaly("burst"), True),
        ({"rule": ["burst"]}, anomaly("burst", "denied"), False),
        ({"rule": ["burst", "denied"]}, anomaly("burst", "denied"), True),
        ({"rule": ["burst"]}, anomaly("burst", severity=Severity.CRITICAL), False),
        ({"rule": ["burst"]}, anomaly(), False),
        ({"detector": ["user_burst"]}, anomaly(), True),
        ({"detector": ["user_burst"]}, anomaly("burst"), False),
        ({"merchant": ["m1"]}, anomaly("burst", "denied", severity=Severity.CRITICAL), True),
        ({"merchant": ["m1"], "rule": ["burst"]}, anomaly("burst"), True),
        ({"merchant": ["m2"], "rule": ["burst"]}, anomaly("burst"), False),
        ({"times": {"from": "11:00", "to": "13:00"}}, anomaly("burst"), True),
        ({"times": {"from": "13:00", "to": "15:00"}}, anomaly("burst"), False),
    ],
)
def test_it_hides_what_it_means_where_nothing_else_speaks(match, found, hidden):
    """Another rule, a severity beyond the rule's, a larger reason: then somebody is told."""
    assert hides(suppression(match), found) is hidden


@pytest.mark.parametrize(
    ("day", "hid_last", "expected"),
    [
        (-2, None, "pending"),
        (0, None, "active"),
        (5, None, "idle"),
        (5, 4, "active"),
        (10, 4, "idle"),
        (18, 17, "over"),
    ],
)
def test_what_it_is_follows_from_its_times(day, hid_last, expected):
    """Idle after four days without anything to hide."""
    one = suppression(idle="4d")
    last = None if hid_last is None else (NOW + timedelta(days=hid_last)).timestamp()

    assert state(one, NOW + timedelta(days=day), last) == expected


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"match": {}}, "would hide everything"),
        ({"until": "2026-03-01"}, "ends after it begins"),
        ({"until": "2028-03-01"}, "within a year"),
        ({"owner": ""}, "length >= 1"),
        ({"until": "soon"}, "ISO8601|date"),
    ],
)
def test_one_without_a_condition_an_owner_or_an_end_is_refused(changes, sentence):
    with pytest.raises(msgspec.ValidationError, match=sentence):
        suppression(**changes)


def test_the_policy_has_them_from_their_own_section_and_names_are_unique():
    """One list, beside `alerts`; the section `alerts` knows no such key."""
    one = "{name: a, match: {user: [u]}, owner: o, reason: r, since: 2026-03-01, until: 2026-03-02}"
    good = settings_of(parse(f"version: 1\nsuppressions: [{one}]\n".encode(), "rules.yaml"))

    assert [each.until for each in good.suppressions] == [date(2026, 3, 2)]
    assert "suppressions" not in AlertsSection.__struct_fields__
    with pytest.raises(ConfigurationError, match="two suppressions have the same name"):
        settings_of(parse(f"version: 1\nsuppressions: [{one}, {one}]\n".encode(), "rules.yaml"))


def test_a_decision_says_who_suppressed_it_and_why():
    """In words that the ledger counts by; the second time it is not idle."""
    policy = AlertSettings(route=Route(channels=()), suppressions=(suppression(idle="4d"),))
    decider = Decider(policy, None, "")
    first = decider.take([(1, anomaly("burst"))], known={}, silences=(), now=NOW.timestamp())
    later = (NOW + timedelta(days=3)).timestamp()
    second = decider.take([(2, anomaly("burst"))], known={}, silences=(), now=later)
    much_later = (NOW + timedelta(days=12)).timestamp()
    third = decider.take([(3, anomaly("burst"))], known={}, silences=(), now=much_later)

    (decision,) = first.decisions
    assert decision.verdict == "suppressed"
    assert decision.reason == "suppression noise of ada until 2026-03-20: ticket 4711"
    assert [each.verdict for each in second.decisions] == ["suppressed"]
    assert [each.verdict for each in third.decisions] == ["grouped"]


def test_it_is_warned_of_once_before_it_ends(tmp_path):
    """Within three days of its date; after a restart not again."""
    clock = ManualClock(NOW)
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", clock)
    policy = AlertSettings(suppressions=(suppression(),))
    for _ in range(20):
        EndingService(ledger, lambda: policy, clock).step()
        clock.advance(timedelta(days=1))
    found = [msgspec.json.decode(each.document, type=Anomaly) for each in ledger.discovered(0, 100)]
    ledger.close()

    (warning,) = found
    assert warning.type is AnomalyType.CONFIGURATION
    assert warning.reasons[0].sentence == (
        "suppression noise of ada ends 2026-03-20 00:00 UTC: its time is over (ticket 4711)"
    )


def test_an_idle_one_ends_when_it_hid_nothing_for_so_long():
    one = suppression(idle="4d")

    assert ends_at(one, None) == datetime(2026, 3, 5, tzinfo=UTC)
    assert ends_at(one, NOW.timestamp()) == NOW + timedelta(days=4)
