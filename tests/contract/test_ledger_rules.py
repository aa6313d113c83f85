"""The ledger's versions of the rules, and its notes about anomalies, on either database."""

from datetime import UTC, datetime

import pytest

from txwatch.ledger import Ledger
from txwatch.model import AnomalyNote, RulesVersion
from txwatch.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request, tmp_path):
    address = f"sqlite:///{tmp_path / 'ledger.db'}"
    if request.param == "postgres":
        address = request.getfixturevalue("postgres").new_database()
    opened = Ledger.open(address, ManualClock(NOON), home=tmp_path)
    yield opened
    opened.close()


def version(name: str, content: str = "", **beside: bytes) -> RulesVersion:
    text = (content or name).encode()
    return RulesVersion(version=name, content=text, beside=beside, actor="ada", reason="as asked")


def test_what_is_decided_is_numbered_and_the_newest_is_in_force(ledger):
    """With what stood in the file and in the lists beside it."""
    shelf = ledger.rules()
    nothing = shelf.head()
    shelf.edited(version("a", deny=b"x\n"))
    shelf.applied(version("b"))
    shelf.applied(version("a"))

    assert nothing == (0, "")
    assert shelf.head() == (3, "a")
    assert [each.version for each in shelf.newest()] == ["a", "b", "a"]
    assert shelf.numbered(1).beside == {"deny": b"x\n"}
    assert shelf.numbered(4) is None
    assert shelf.found("a").number == 3


def test_an_edit_that_detects_the_same_is_no_version_and_one_that_is_applied_is(ledger):
    """Who applies another alert policy gets it kept, though its hash is the same."""
    shelf = ledger.rules()
    shelf.edited(version("a"))
    shelf.edited(version("a", "# a comment"))
    shelf.applied(version("a", "# another policy"))
    shelf.applied(version("a", "# another policy"))

    assert shelf.head() == (2, "a")
    assert shelf.numbered(2).content == b"# another policy"


def test_what_is_rolled_back_is_blocked_until_it_is_applied_all_the_same(ledger):
    """All of it in one transaction, with its record."""
    shelf = ledger.rules()
    shelf.edited(version("good"))
    shelf.edited(version("bad"))
    shelf.rolled_back("bad", version("good"))
    blocked = shelf.blocked()
    shelf.applied(version("bad"))

    assert blocked == {"bad": "as asked"}
    assert shelf.blocked() == {}
    assert [each.action for each in ledger.audited(0, 10)] == [
        "rules in use",
        "rules in use",
        "rules rolled back",
        "rules applied",
    ]
    assert ledger.verify() is None


def test_a_file_is_remembered_as_it_was_considered_and_a_plan_as_it_was_last(ledger):
    shelf = ledger.rules()
    nothing = shelf.considered("rules.yaml"), shelf.expected("a")
    for digest, share in (("one", 0.5), ("two", 0.25)):
        shelf.consider("rules.yaml", digest)
        shelf.expect("a", {"all": share})

    assert nothing == ("", {})
    assert shelf.considered("rules.yaml") == "two"
    assert shelf.expected("a") == {"all": 0.25}


def test_notes_are_kept_in_order_and_the_newest_assignment_counts(ledger):
    """Whoever is given back to nobody is with nobody."""
    for anomaly, kind, text in (
        ("a1", "assigned", "bo"),
        ("a1", "comment", "it was her son"),
        ("a1", "assigned", "cy"),
        ("a2", "assigned", "bo"),
        ("a2", "assigned", ""),
    ):
        ledger.note(AnomalyNote(anomaly_id=anomaly, kind=kind, text=text, by="ada"))

    assert [(each.kind, each.text) for each in ledger.notes("a1")] == [
        ("assigned", "bo"),
        ("comment", "it was her son"),
        ("assigned", "cy"),
    ]
    assert ledger.assigned() == {"a1": "cy"}
    assert [each.action for each in ledger.audited(0, 10)].count("anomaly assigned") == 4
