"""`txwatch alerts ...` on a ledger with one group in it."""

import pytest
from alert_builders import SOMEWHERE, found, notifier, open_ledger, settings
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
    monkeypatch.setenv("TXWATCH_RULES", str(tmp_path / "rules.yaml"))
    clock = SystemClock()
    ledger = open_ledger(tmp_path, clock)
    ledger.commit_step(
        "detectors",
        {SOMEWHERE: Cursor(1, 1)},
        [found("a1", severity=Severity.CRITICAL), found("a2", severity=Severity.LOW)],
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


def test_an_acknowledged_group_says_by_whom(said):
    """In the list and in the audit trail of the group."""
    group = said("list").split()[0]

    assert "acknowledged by ada" in said("ack", group, "--by", "ada")

    assert "(acknowledged by ada)" in said("list")
    assert "acknowledged: by ada" in said("show", group)


def test_a_silence_is_listed_until_it_is_ended(said):
    """And hides what it is about from the rehearsal."""
    silence = said("silence", "add", "--user", "u1", "--for", "4h", "--comment", "known").strip()

    assert f"{silence} active" in said("silence", "list")
    assert f"silence {silence} hides it: known" in said("test", "--user", "u1")
    said("silence", "expire", silence)
    assert "nothing is silenced" in said("silence", "list")


def test_a_rehearsal_shows_the_route(said):
    """With what it groups by and how long it waits."""
    assert "route listed -> ops" in said("test", "--rule", "denied", "--merchant", "m1")
    assert "group entity=user:u1; first message after 30 s" in said("test")


def test_the_outbox_shows_what_became_of_a_message(said):
    """Here there is no such channel any more."""
    assert "CRITICAL user user-1-" in said("outbox")
