"""Administrators' commands as people use them: versions, the guard at work, who may not."""

import json
import os
import random
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from web_standin import web

from txwatch.clock import SystemClock
from txwatch.ledger import Ledger

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULES = """\
version: 1
base_currency: EUR
rules:
  - {id: large, when: amount > 300, severity: high, message: "{amount} is large"}
detectors:
  threshold: 100
alerts:
  channels:
    ops: {kind: webhook, to: [ADDRESS]}
  route: {name: all, channels: [ops], group_by: [type], group_wait: 0s}
"""


class Desk:
    """Runs txwatch in a folder of its own, with a rules file of its own."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.rules = folder, folder / "rules.yaml"
        self.text = RULES.replace("ADDRESS", address)
        self.rules.write_text(self.text)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("TXWATCH_")}
        self.environment |= {
            "TXWATCH_HOME": str(folder / "home"),
            "TXWATCH_PSEUDONYM_KEY": "5e" * 32,
            "TXWATCH_WEBHOOK_SECRET": "not very secret",
            "PYTHONPATH": str(ROOT),
        }

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "txwatch", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def payments(self, name: str, minutes: int, start: datetime) -> str:
        """Ten payments a second; one in two hundred is large."""
        chance = random.Random(name)
        lines = [
            json.dumps(
                {
                    "transaction_id": f"{name}-{n}",
                    "timestamp": (start + timedelta(milliseconds=100 * n)).isoformat(),
                    "user_id": f"u{chance.randrange(400)}",
                    "merchant_id": f"m{chance.randrange(40)}",
                    "amount": 400.0 if chance.random() < 0.005 else round(chance.uniform(10, 90), 2),
                    "currency": "EUR",
                }
            )
            for n in range(600 * minutes)
        ]
        (self.folder / name).write_text("\n".join(lines) + "\n")
        return name

    def audit(self) -> list[tuple[str, dict]]:
        ledger = Ledger.open(f"sqlite:///{self.folder / 'home/ledger.db'}", SystemClock())
        found = [(each.action, json.loads(each.facts)) for each in ledger.audited(0, 1000)]
        ledger.close()
        return found

    def found_in(self, name: str) -> int:
        """How many payments of a file are anomalies."""
        lines = self("anomalies", "--json", "--limit", "100000").stdout.splitlines()
        return sum((json.loads(line)["transaction_id"] or "").startswith(name) for line in lines)


def opened(folder: Path, address: str) -> Desk:
    """Ten minutes of payments under the first rules."""
    desk = Desk(folder, address)
    done = desk("run", desk.payments("calm.jsonl", 10, START), "--once")
    assert done.returncode == 0, done.stderr
    return desk


@pytest.fixture
def ran(tmp_path):
    with web() as (_, address):
        yield opened(tmp_path, address)


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """For commands that change nothing."""
    with web() as (_, address):
        yield opened(tmp_path_factory.mktemp("standing"), address)


def test_a_threshold_edited_to_flood_is_rolled_back_within_two_minutes_of_event_time(ran):
    """With an audit record and a notification in the outbox; after a restart it stays out."""
    calm = ran.found_in("calm")
    ran.rules.write_text(ran.text.replace("amount > 300", "amount > 3"))
    flood = ran("run", ran.payments("flood.jsonl", 10, START + timedelta(minutes=10)), "--once")
    again = ran("run", ran.payments("later.jsonl", 10, START + timedelta(minutes=20)), "--once")
    outbox = [json.loads(line) for line in ran("alerts", "outbox", "--json").stdout.splitlines()]
    history = [json.loads(line) for line in ran("rules", "history", "--json").stdout.splitlines()]

    (facts,) = [facts for action, facts in ran.audit() if action == "rules rolled back"]
    minutes = float(re.search(r"in ([\d.]+) min of event time", facts["reason"])[1])
    told = [each for each in outbox if "were rolled back to" in json.dumps(each["document"])]
    assert (flood.returncode, again.returncode) == (0, 0), flood.stderr + again.stderr
    assert 20 < calm < 60
    assert minutes <= 2
    assert ran.found_in("flood") < 600 * 2 + 60
    assert [each["state"] for each in told] == ["sent"]
    assert [(each["number"], each["state"], each["actor"]) for each in history] == [
        (3, "in force", "the guard"),
        (2, "blocked", "rules.yaml"),
        (1, "over", "rules.yaml"),
    ]
    assert ran.found_in("later") < 60
    assert "were rolled back and stay out" in again.stderr


def test_versions_are_applied_shown_compared_and_rolled_back(ran):
    """Each under a number, with who and why; the file says what is in force."""
    draft = ran.folder / "draft.yaml"
    draft.write_text(ran.text.replace("300", "350"))
    applied = ran("rules", "apply", "draft.yaml", "--reason", "too many")
    shown, differs = ran("rules", "show", "2"), ran("rules", "diff", "2")
    after = ran.rules.read_text()
    back = ran("rules", "rollback", "1", "--reason", "too few")
    history = ran("rules", "history")
    ended = ran("run", ran.payments("more.jsonl", 1, START + timedelta(minutes=10)), "--once")

    assert applied.stdout.startswith("number 2 ("), applied.stderr
    assert "1 lines more, 1 less" in applied.stdout
    assert shown.stdout == after == draft.read_text()
    assert "-  - {id: large, when: amount > 300," in differs.stdout
    assert "+  - {id: large, when: amount > 350," in differs.stdout
    assert back.stdout.startswith("number 3 ("), back.stderr
    assert ran.rules.read_text() == ran.text
    assert len(history.stdout.splitlines()) == 3
    assert ": back to 1: too few" in history.stdout.splitlines()[0]
    assert "number 3" in ended.stderr or "rules" in ended.stderr
    assert [action for action, _ in ran.audit()][-2:] == ["rules applied", "rules rolled back"]


def test_a_file_that_is_somebodys_work_is_left_alone(ran):
    """It was never in force; what is applied counts all the same."""
    ran.rules.write_text("# half an idea\n" + ran.text)
    (ran.folder / "draft.yaml").write_text(ran.text.replace("300", "350"))
    applied = ran("rules", "apply", "draft.yaml", "--reason", "too many")

    assert applied.returncode == 0
    assert "has edits that were never in force; it was left as it is" in applied.stderr
    assert ran.rules.read_text().startswith("# half an idea")


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("apply", "none.yaml", "--reason", "x"), 4, "none.yaml cannot be read"),
        (("apply", "rules.yaml", "--reason", " "), 2, "--reason is empty"),
        (("apply", "rules.yaml", "--reason", "x"), 1, "this is what is in force already (number 1"),
        (("apply", "typo.yaml", "--reason", "x"), 3, "did you mean `amount`?"),
        (("show", "7"), 2, "there is no version 7; `txwatch rules history` lists them"),
        (("diff", "1", "9"), 2, "there is no version 9"),
        (("rollback", "5", "--reason", "x"), 2, "there is no version 5"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_is_one_sentence(standing, arguments, status, sentence):
    (standing.folder / "typo.yaml").write_text(standing.text.replace("amount >", "amont >"))

    ended = standing("rules", *arguments)

    assert ended.returncode == status, ended.stderr
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_file_is_checked_with_the_sections_of_every_room(standing):
    """The alert policy and retention too, with place and suggestion."""
    (standing.folder / "odd.yaml").write_text(
        standing.text.replace("group_by: [type]", "group_py: [type]") + "retention: {anomalys: 10d}\n"
    )

    checked = standing("rules", "check", "odd.yaml")

    assert checked.returncode == 3
    assert "error: unknown key `group_py`, did you mean `group_by`?" in checked.stdout
    assert "unknown key `anomalys`, did you mean `anomalies`?" in checked.stdout


@pytest.mark.skipif(os.getuid() == 0, reason="root may write every file")
def test_who_may_not_write_the_file_may_not_apply_either(ran):
    """And it is on record that somebody tried, by account and not by a name that was typed."""
    (ran.folder / "draft.yaml").write_text(ran.text.replace("300", "350"))
    ran.rules.chmod(0o400)
    ran.environment |= {"LOGNAME": "somebody-else"}
    denied = ran("rules", "apply", "draft.yaml", "--reason", "because")

    assert denied.returncode == 5
    assert "only who may write" in denied.stderr
    assert ran.audit()[-1][0] == "rules apply denied"


def test_the_audit_is_listed_and_proves_itself(ran):
    """A record that was changed is found; so is an end that was cut off, by a hash that was kept."""
    ran("rules", "apply", "none.yaml", "--reason", "x")
    (ran.folder / "draft.yaml").write_text(ran.text.replace("300", "350"))
    ran("rules", "apply", "draft.yaml", "--reason", "too many")
    listed = ran("audit", "list", "--action", "rules")
    sound = ran("audit", "verify")
    last = sound.stdout.split()[-1]
    database = sqlite3.connect(ran.folder / "home/ledger.db")
    with database:
        database.execute("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)")
    cut, noticed = ran("audit", "verify"), ran("audit", "verify", "--has", last)
    with database:
        database.execute("UPDATE audit SET actor = 'nobody' WHERE number = 1")
    database.close()
    changed = ran("audit", "verify", "--json")

    assert len(listed.stdout.splitlines()) == 2
    assert "rules applied  before: 1, number: 2, reason: too many" in listed.stdout
    assert "records are sound; the last hash is " in sound.stdout
    assert (sound.returncode, cut.returncode, noticed.returncode, changed.returncode) == (0, 0, 1, 1)
    assert "records were cut off at the end" in noticed.stderr
    assert json.loads(changed.stdout)["broken"] == 1


def test_a_plan_says_what_would_be_and_the_guard_expects_it(ran):
    """What was planned is no flood, however many it are; unplanned it would be rolled back."""
    (ran.folder / "draft.yaml").write_text(ran.text.replace("amount > 300", "amount > 70"))
    told = ran("rules", "plan", "draft.yaml")
    figures = json.loads(ran("rules", "plan", "draft.yaml", "--json").stdout)["figures"]
    ran("rules", "apply", "draft.yaml", "--reason", "planned")
    ended = ran("run", ran.payments("more.jsonl", 10, START + timedelta(minutes=10)), "--once")

    assert told.returncode == 0, told.stderr
    assert "~ rule large: when: amount > 300 -> amount > 70" in told.stdout
    assert re.search(r"^  alerts +\d+ +[\d,]+ +[\d,]+ +0 +\d+$", told.stdout, re.MULTILINE)
    assert 0.2 < figures["share_high"] < 0.3
    assert figures["alerts"]["lost"] == 0
    assert ended.returncode == 0, ended.stderr
    assert "rules rolled back" not in [action for action, _ in ran.audit()]
    assert ran.found_in("more") > 1000


def test_what_is_suppressed_is_found_and_counted_and_nobody_is_told(ran):
    """The list has owner, reason and end; `why` names it; the audit says when it began."""
    today = datetime.now(UTC).date()
    ran.rules.write_text(
        ran.text + "suppressions:\n  - {name: known, match: {rule: [large]}, owner: ada, reason: ticket 7, "
        f"since: {today}, until: {today + timedelta(days=9)}}}\n"
    )
    before = len(ran("alerts", "outbox").stdout.splitlines())
    ended = ran("run", ran.payments("more.jsonl", 10, START + timedelta(minutes=10)), "--once")
    (listed,) = ran("suppressions", "list").stdout.splitlines()
    found = [json.loads(line) for line in ran("anomalies", "--json").stdout.splitlines()]

    assert ended.returncode == 0, ended.stderr
    assert ran.found_in("more") > 20
    assert len(ran("alerts", "outbox").stdout.splitlines()) == before
    assert re.match(rf"suppression known active until {today + timedelta(days=9)}, ada: ticket 7", listed)
    assert int(re.search(r"hid (\d+)", listed)[1]) == ran.found_in("more")
    assert "suppression known of ada" in ran("alerts", "why", found[0]["anomaly_id"]).stdout


def test_an_anomaly_is_assigned_commented_labelled_and_counted(ran):
    """`explain` shows who and what, the list finds it, `rules stats` counts the label."""
    (line,) = ran("anomalies", "--rule", "large", "--limit", "1").stdout.splitlines()
    one = line.split("\t")[0]
    ran("anomalies", "assign", one, "bo")
    ran("anomalies", "comment", one, "it was her son")
    ran("anomalies", "label", one, "false-positive")
    empty, unknown = ran("anomalies", "comment", one, " "), ran("anomalies", "assign", "nothing", "bo")
    explained, mine = ran("explain", one), ran("anomalies", "--assigned", "bo")
    stats = [json.loads(line) for line in ran("rules", "stats", "--json").stdout.splitlines()]

    assert "With bo (" in explained.stdout
    assert "it was her son (" in explained.stdout
    assert mine.stdout == line + "\n"
    assert (empty.returncode, unknown.returncode) == (2, 1)
    (large,) = [each for each in stats if each["name"] == "large"]
    assert (large["false_positive"], large["precision"]) == (1, 0.0)
    assert large["unlabelled"] == large["anomalies"] - 1
    assert ("anomaly commented", {"anomaly": one, "text": "it was her son"}) in ran.audit()
