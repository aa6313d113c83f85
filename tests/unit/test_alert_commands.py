"""`txwatch alerts ...` on a ledger with one group in it."""

from datetime import UTC, datetime, timedelta

import pytest
from alert_builders import HIDING, SOMEWHERE, found, notifier, open_ledger, settings
from slack_standin import TOKEN, slack
from typer.testing import CliRunner

from txwatch.cli import app
from txwatch.clock import SystemClock
from txwatch.errors import UsageError
from txwatch.model import AnomalyType, Cursor, Severity

RULES = """
version: 1
alerts:
  channels:
    ops: {kind: slack, to: ["#fraud"], fallback: mail}
    mail: {kind: email, to: [fraud@example.org]}
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
        return result.stdout

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


def test_a_new_silence_says_what_it_is_and_what_it_quiets(said):
    """For whoever added it at night: until when, about whom, and which group is quiet for it."""
    group = said("list").split()[0]
    arguments = ["alerts", "silence", "add", "--user", "customer-1", "--for", "4h", "--comment", "known"]
    told = CliRunner().invoke(app, arguments).stderr

    assert "until" in told
    assert HIDING("user_id", "customer-1") in told
    assert f"group {group} is open, and is not repeated meanwhile" in told
    assert "is about it: nothing is repeated until" in said("show", group)


def test_a_silence_of_a_rule_that_there_is_not_is_told(said, tmp_path):
    """It is taken, since the rule may come back, but it would hide nothing."""
    with (tmp_path / "rules.yaml").open("a") as file:
        file.write("rules:\n  - {id: velocity-burst, when: amount > 1, severity: low}\n")
    arguments = ["alerts", "silence", "add", "--rule", "velocity-brust", "--comment", "known"]
    told = CliRunner().invoke(app, arguments).stderr

    assert "there is no rule velocity-brust in the rules file; did you mean `velocity-burst`?" in told
    assert "no rule" not in CliRunner().invoke(app, [*arguments[:4], "velocity-burst", *arguments[5:]]).stderr


def test_a_country_may_be_written_in_small_letters(said):
    """Otherwise it would hide nothing, and say so a day later."""
    said("silence", "add", "--country", "de", "--comment", "known")

    assert "hides it: known" in said("test", "--country", "DE")
    assert "hides it" not in said("test", "--country", "FR")


def test_a_rehearsal_shows_who_hears_of_it_later(said, tmp_path):
    """Escalation, a budget, and what a suppression would hide."""
    today = datetime.now(UTC).date()
    policy = f"""{RULES}    escalation: [{{after: 15m, channels: [mail]}}]
    budget_per_hour: 20
suppressions:
  - name: noise
    match: {{rule: [velocity]}}
    owner: ada
    reason: a partner sends each twice
    since: {today - timedelta(days=1)}
    until: {today + timedelta(days=9)}
"""
    (tmp_path / "rules.yaml").write_text(policy)

    assert "  mail after 15m unless somebody acknowledges it" in said("test")
    assert "  at most 20 messages an hour, the others in one digest" in said("test")
    assert "suppression noise of ada hides it: a partner sends each twice" in said(
        "test", "--rule", "velocity"
    )


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
    assert "group entity=user:u1; first message after 30s" in said("test")
    assert "route default -> ops or else mail" in said("test")
    assert "first message at once" in said("test", "--severity", "critical")


def test_the_outbox_shows_what_became_of_a_message(said):
    """Here there is no such channel any more."""
    assert "CRITICAL user user-1-" in said("outbox")


SPAN = "--for is more than nothing and at most 366 days"
TIMES = "--for is a time such as 30m, 4h or 2d, not "


def refused(*arguments: str) -> str:
    """Run a command that must end with one sentence about what was wrong with it."""
    with pytest.raises(UsageError) as error:
        CliRunner().invoke(app, ["alerts", *arguments], catch_exceptions=False)
    return str(error.value)


@pytest.mark.usefixtures("said")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("outbox", "--state", "lost"), "--state is one of waiting, sending, sent, dead, not 'lost'"),
        (
            ("silence", "add", "--merchant", "m", "--for", "4x", "--comment", "c"),
            "--for is a time such as 30m, 4h or 2d, not '4x'",
        ),
        (("silence", "add", "--comment", "c"), "a silence needs at least one condition, such as --merchant"),
        (
            ("silence", "add", "--merchant", "m", "--for", "0h", "--comment", "c"),
            f"{SPAN}, not 0h; what is known for longer is a suppression in rules.yaml",
        ),
        (("silence", "add", "--merchant", "m", "--for", "", "--comment", "c"), f"{TIMES}''"),
        (("silence", "add", "--merchant", "m", "--for", "-4h", "--comment", "c"), f"{TIMES}'-4h'"),
        (("silence", "add", "--merchant", "m", "--for", "infh", "--comment", "c"), f"{TIMES}'infh'"),
        (
            ("silence", "add", "--merchant", "m", "--comment", " "),
            "--comment says why: whoever asks later reads it",
        ),
        (
            ("silence", "add", "--severity", "urgent", "--comment", "c"),
            "--severity is one of low, medium, high, critical, not 'urgent'",
        ),
        (("test", "--severity", "urgent"), "--severity is one of low, medium, high, critical, not 'urgent'"),
        (
            ("test", "--type", "money"),
            f"--type is one of {', '.join(AnomalyType)}, not 'money'",
        ),
        (
            ("test", "--entity-kind", "merchant"),
            "--entity-kind is user or, with --merchant, merchant, not 'merchant'",
        ),
        (("send-test", "nobody"), "there is no channel nobody; there are: ops, mail"),
        (
            ("ack", "nothing"),
            "there is no group nothing; `txwatch alerts list --closed` lists all",
        ),
    ],
)
def test_a_wrong_argument_gets_one_clear_sentence(arguments, sentence):
    """What is wrong, and what would be right."""
    assert refused(*arguments) == sentence


def test_a_test_message_goes_to_a_channel_that_has_a_fallback(said, monkeypatch):
    """To that channel alone, with words by which nobody takes it for more."""
    with slack() as (standin, address):
        monkeypatch.setenv("TXWATCH_SLACK_TOKEN", TOKEN)
        monkeypatch.setenv("TXWATCH_SLACK_URL", address)
        said("send-test", "ops")

    (post,) = standin.posts
    assert post["text"].endswith("a test: nothing was found, nothing has to be done")


def test_an_empty_outbox_says_so(said):
    assert said("outbox", "--state", "sending") == "no notification is there\n"
