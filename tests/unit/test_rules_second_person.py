"""What a second person has to approve waits for one; nobody approves what is their own."""

import pytest
from rules_bench import TWO, Bench, two_days
from typer.testing import CliRunner

from txwatch.cli import app
from txwatch.clock import SystemClock
from txwatch.ledger import Ledger

GUARD = "detectors: {guard: {second_person: WHICH}}\n"
RULES = """\
version: 1
base_currency: EUR
features:
  calls: {count: channel = 'moto', by: user_id, window: 1h}
rules:
  - {id: large, when: amount > 300 AND calls > 2, severity: high, message: "{amount}"}
  - {id: small, when: amount < 1, severity: low, message: "{amount}"}
"""


class Office:
    """A folder with rules in force, and people who use the command line in it."""

    def __init__(self, folder, patched, which="high"):
        self.folder, self._patched = folder, patched
        self.text = RULES + GUARD.replace("WHICH", which)
        patched.chdir(folder)
        (folder / "rules.yaml").write_text(self.text)
        (folder / ".txwatch").mkdir()
        self("ada", "apply", "rules.yaml", "--reason", "the first")

    def __call__(self, who: str, *arguments: str):
        self._patched.setattr("txwatch.administering.account", lambda: who)
        return CliRunner().invoke(app, ["rules", *arguments])

    def apply(self, who: str, text: str):
        (self.folder / "draft.yaml").write_text(text)
        return self(who, "apply", "draft.yaml", "--reason", "a try")

    def ledger(self, read):
        ledger = Ledger.open(f"sqlite:///{self.folder / '.txwatch' / 'ledger.db'}", SystemClock())
        try:
            return read(ledger)
        finally:
            ledger.close()

    def head(self) -> int:
        return self.ledger(lambda ledger: ledger.rules().head()[0])

    def actions(self) -> list[str]:
        return self.ledger(lambda ledger: [each.action for each in ledger.audited(0, 100)])


@pytest.fixture
def office(tmp_path, monkeypatch):
    return Office(tmp_path, monkeypatch)


SEVERE = (
    ("amount > 300", "amount > 200"),
    ("channel = 'moto'", "channel = 'web'"),
    ("severity: high", "severity: low"),
    ("severity: low", "severity: critical"),
    ("second_person: high", "second_person: none"),
)


@pytest.mark.parametrize(("old", "new"), SEVERE)
def test_a_severe_change_waits(office, old, new):
    """So does one of a feature that a severe rule reads, and switching the second person off."""
    said = office.apply("ada", office.text.replace(old, new)).output

    assert "proposal 1" in said
    assert "waits for somebody else" in said
    assert office.head() == 1


def test_what_is_not_severe_comes_into_force_at_once(office):
    office.apply("ada", office.text.replace("amount < 1", "amount < 2"))

    assert office.head() == 2


def test_where_all_changes_need_one_even_a_comment_does(tmp_path, monkeypatch):
    office = Office(tmp_path, monkeypatch, which="all")

    said = office.apply("ada", office.text + "# why not\n").output

    assert "every change needs a second person" in said


def test_somebody_else_approves_and_the_history_names_both(office):
    office.apply("ada", office.text.replace("300", "200"))
    shown = office("ada", "proposals", "1").output

    said = office("grace", "approve", "1", "--reason", "tried it").output

    assert "+  - {id: large, when: amount > 200" in shown
    assert "number 2" in said
    (newest,) = office.ledger(lambda ledger: ledger.rules().newest(1))
    assert (newest.actor, newest.reason) == ("ada", "a try (approved by grace: tried it)")
    assert (office.folder / "rules.yaml").read_text() == office.text.replace("300", "200")
    assert office.actions()[-3:] == ["rules proposed", "rules approved", "rules applied"]


def test_the_author_is_refused_and_that_is_on_record(office):
    office.apply("ada", office.text.replace("300", "200"))

    denied = office("ada", "approve", "1", "--reason", "it is fine")

    assert str(denied.exception) == "ada proposed this; somebody else has to approve it"
    assert office.head() == 1
    assert office.actions()[-1] == "rules approve denied"


def test_a_rejected_proposal_is_over(office):
    """Its author may take it back the same way; nothing is decided twice."""
    office.apply("ada", office.text.replace("300", "200"))
    office("ada", "reject", "1", "--reason", "on second thoughts")

    again = office("grace", "approve", "1", "--reason", "tried it")

    assert str(again.exception) == "proposal 1 was rejected by ada"
    assert "rejected by ada" in office("grace", "proposals").output
    assert office.head() == 1


def test_a_proposal_that_was_overtaken_is_not_approved(office):
    """What it would take back with it, nobody has looked at."""
    office.apply("ada", office.text.replace("300", "200"))
    office.apply("ada", office.text.replace("amount < 1", "amount < 2"))

    late = office("grace", "approve", "1", "--reason", "tried it")

    assert "number 2 is in force by now" in str(late.exception)
    assert office.head() == 2


def test_going_back_needs_nobody_else(office):
    office.apply("ada", office.text.replace("300", "200"))
    office("grace", "approve", "1", "--reason", "tried it")

    office("ada", "rollback", "1", "--reason", "too loud at night")

    assert office.head() == 3


def test_an_edited_file_waits_where_a_second_person_may_be_needed(tmp_path):
    """Saving the file is no way around it, not even over a start."""
    bench = Bench(tmp_path, two_days())
    bench.edit(TWO.replace("threshold: 100", "threshold: 100\n  guard: {second_person: high}"))
    guarded = bench.detector.configuration.version
    bench.edit(TWO.replace("amount > 300", "amount > 200"))
    waits = bench.rules.health().sentence
    bench.detector.close()
    bench.open()
    bench.rules.step()

    assert "wait for `txwatch rules apply`" in waits
    assert bench.detector.configuration.version == guarded
    bench.ledger.close()
