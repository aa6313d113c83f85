"""`txwatch alerts ...` on a ledger with one group in it."""

import pytest
from alert_builders import HIDING, SOMEWHERE, found, notifier, open_ledger, settings
from typer.testing import CliRunner

from txwatch.cli import app
from txwatch.clock import SystemClock
from txwatch.model import Cursor, Severity

RULES = """
version: 1
alerts:
  channels:
    ops: {kind: slack, to: ["#fraud"]}
  route:
    channels: [ops]
    routes:
      - {name: listed, match: {rule: [denied]}, group_by: [merchant]}
"""


@pytest.fixture
def said(tmp_path, monkeypatch):
    """Run a command and return what it said; errors of ours come out as they are."""
    (tmp_path / "rules.yaml").write_text(RULES)
    monkeypatch.setenv("TXWATCH_HOME", str(tmp_path))
    monkeypatch.setenv("TXWATCH_PSEUDONYM_KEY", (b"k" * 32).hex())
    monkeypatch.setenv("TXWATCH_RULES", str(tmp_path / "rules.yaml"))
    clock = SystemClock()
    ledger = open_ledger(tmp_path, clock)
    ledger.commit_step(
        "detectors",
        {SOMEWHERE: Cursor(1, 1)},
        [
            found("a1", "customer-1", severity=Severity.CRITICAL),
            found("a2", "customer-1", severity=Severity.LOW),
        ],
    )
    service = notifier(ledger, settings("ops"), {}, clock)
    service.step()
    service.close()
    ledger.close()

    def say(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["alerts", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return say


def test_why_tells_what_was_and_what_was_not_told(said):
    """Down to the message of the group."""
    assert "grouped: route default, channels ops" in said("why", "a1")
    assert "first message: critical does not wait" in said("why", "a1")
    assert "below: severity low is below high" in said("why", "a2")


def test_persons_are_shown_as_pseudonyms(said, tmp_path):
    """In lists, groups and JSON, as in the messages; a route that is cleared shows them."""
    group = said("list").split()[0]
    hidden = HIDING("user_id", "customer-1")

    for text in (said("list"), said("show", group), said("show", group, "--json"), said("list", "--json")):
        assert hidden in text
        assert "customer-1" not in text.replace(hidden, "")
    (tmp_path / "rules.yaml").write_text(RULES.replace("[ops]", "[ops]\n    raw_ids: true", 1))
    assert "entity=user:customer-1" in said("list")


def test_a_silence_may_name_a_pseudonym(said):
    """Who reads messages knows nothing else."""
    silence = said("silence", "add", "--user", HIDING("user_id", "customer-1"), "--comment", "known").strip()

    assert f"silence {silence} hides it" in said("test", "--user", "customer-1")
    assert "hides it" not in said("test", "--user", "u2")


def test_an_acknowledgement_is_in_the_audit(said, tmp_path):
    """In the transaction that writes it."""
    said("ack", said("list").split()[0], "--by", "ada")

    ledger = open_ledger(tmp_path, SystemClock())
    assert [(each.actor, each.action) for each in ledger.audited(0, 9)] == [("ada", "acknowledge")]
    ledger.close()


def test_an_acknowledged_group_says_by_whom(said):
    """In the list and in the audit trail of the group."""
    group = said("list").split()[0]

    assert "acknowledged by ada" in said("ack", group, "--by", "ada")

    assert "(acknowledged by ada)" in said("list")
    assert "acknowledged: by ada" in said("show", group)


def test_a_silence_is_listed_until_it_is_ended(said):
    """And hides what it is about from the rehearsal."""
    silence = said("silence", "add", "--user", "customer-1", "--for", "4h", "--comment", "known").strip()

    assert f"{silence} active" in said("silence", "list")
    assert f"silence {silence} hides it: known" in said("test", "--user", "customer-1")
    said("silence", "expire", silence)
    assert "nothing is silenced" in said("silence", "list")


def test_a_silence_says_what_it_hid(said, tmp_path):
    """So that one that was forgotten is seen."""
    said("silence", "add", "--user", "customer-1", "--comment", "known")
    clock = SystemClock()
    ledger = open_ledger(tmp_path, clock)
    for n in range(3):
        ledger.commit_step("detectors", {SOMEWHERE: Cursor(2, n)}, [found(f"b{n}", "customer-1")])
    service = notifier(ledger, settings("ops"), {}, clock)
    service.step()
    service.close()
    ledger.close()

    assert "; hid 3, the last one " in said("silence", "list")
    assert '"hid":3' in said("silence", "list", "--json")


def test_a_rehearsal_shows_the_route(said):
    """With what it groups by and how long it waits."""
    assert "route listed -> ops" in said("test", "--rule", "denied", "--merchant", "m1")
    assert "group entity=user:u1; first message after 30 s" in said("test")


def test_the_outbox_shows_what_became_of_a_message(said):
    """Here there is no such channel any more."""
    assert "CRITICAL user user-1-" in said("outbox")
