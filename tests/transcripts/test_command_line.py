"""The command line as people use it: each story is commands, what they print, and how they end."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import urllib3

from txwatch.clock import SystemClock
from txwatch.ledger import Ledger

ROOT = Path(__file__).parents[2]
LATER = "9000d"
"""Moves made-up times into the years that a transaction may have."""


class Shell:
    """Runs txwatch in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("TXWATCH_")}
        self.environment |= {"TXWATCH_HOME": str(folder / "home"), "TXWATCH_RULES": str(ROOT / "rules.yaml")}

    def __call__(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "txwatch", *arguments],
            cwd=self.folder,
            env=self.environment | {"PYTHONPATH": str(ROOT)},
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start a command that goes on by itself."""
        command = [sys.executable, "-m", "txwatch", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment | {"PYTHONPATH": str(ROOT)}, text=True
        )


def answer(url: str, process: subprocess.Popen) -> int:
    """Return the status of an answer a few rounds later; waits for the first while the process lives."""
    time.sleep(0.1)
    while process.poll() is None:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return urllib3.request("GET", url, retries=False).status
        time.sleep(0.1)
    return 0


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A small simulated stream that has run through `txwatch run`."""
    shell = Shell(tmp_path_factory.mktemp("world"))
    made = shell("simulate", "--output", "p.jsonl", "--labels", "l.csv", "--days", "8", "--users", "300")
    assert made.returncode == 0, made.stderr
    ran = shell("run", "p.jsonl", "--once")
    assert ran.returncode == 0, ran.stderr
    shell.ran = ran
    return shell


def test_a_run_ends_with_alerts_and_a_summary(world):
    """Alerts on standard output, one line each; what each room did on standard error."""
    assert re.search(r"^(HIGH|CRITICAL) +2026-01-\d\d", world.ran.stdout, re.MULTILINE)
    for room in ("collector:", "detectors:", "alerts:"):
        assert room in world.ran.stderr


def test_a_second_run_finds_nothing_new(world):
    """The file was read to its end: nothing is stored, scored or told again."""
    again = world("run", "p.jsonl", "--once")

    assert again.returncode == 0
    assert again.stdout == ""
    assert "0 stored" in again.stderr
    assert "0 scored" in again.stderr


def test_anomalies_are_listed_filtered_and_explained(world):
    """From the list to the explanation by the id that the list shows."""
    found = [json.loads(line) for line in world("anomalies", "--json", "--limit", "1000").stdout.splitlines()]
    high = [
        json.loads(line) for line in world("anomalies", "--severity", "high", "--json").stdout.splitlines()
    ]
    one = high[0]
    explained = world("explain", one["anomaly_id"])

    assert len(found) > len(high) > 0
    assert {a["severity"] for a in high} <= {3, 4}
    assert one["reasons"][0]["sentence"] in explained.stdout
    assert f"anomaly {one['anomaly_id']}, score" in explained.stdout
    assert {a["user_id"] for a in listed(world, "--user", str(one["user_id"]))} == {one["user_id"]}


def listed(world, *filters: str) -> list[dict]:
    return [json.loads(line) for line in world("anomalies", "--json", *filters).stdout.splitlines()]


def test_doctor_is_content(world):
    """Every check is named; nothing failed."""
    healthy = world("doctor", "--json")

    states = {check["check"]: check["state"] for check in map(json.loads, healthy.stdout.splitlines())}
    assert healthy.returncode == 0
    assert set(states) >= {"versions", "home", "disk", "clock", "rules", "store"}
    assert "failed" not in states.values()


def test_score_writes_one_line_for_every_transaction(world):
    """In event-time order, with the documented keys; the same scores in Parquet."""
    lines = world("score", "p.jsonl", "--output", "s.jsonl")
    table = world("score", "p.jsonl", "--output", "s.parquet")

    rows = [json.loads(line) for line in (world.folder / "s.jsonl").read_text().splitlines()]
    sent = [
        json.loads(line)["transaction_id"] for line in (world.folder / "p.jsonl").read_text().splitlines()
    ]
    scores = pl.read_parquet(world.folder / "s.parquet")
    assert (lines.returncode, table.returncode) == (0, 0)
    assert [row["transaction_id"] for row in rows] == sent
    keys = {"transaction_id", "score", "severity", "is_anomaly", "reasons", "detectors"}
    assert all(set(row) >= keys for row in rows)
    assert scores.columns == ["transaction_id", "score", "severity"]
    assert scores["score"].round(6).to_list() == [row["score"] for row in rows]


def test_score_reads_standard_input(world):
    """A dash is JSON Lines from standard input; the scores are those of the file."""
    text = (world.folder / "p.jsonl").read_text()

    piped = world("score", "-", "--output", "piped.jsonl", text=text)
    world("score", "p.jsonl", "--output", "filed.jsonl")

    assert piped.returncode == 0, piped.stderr
    assert (world.folder / "piped.jsonl").read_text() == (world.folder / "filed.jsonl").read_text()


def test_columns_with_other_names_are_mapped(shell):
    """Numbers as ids come back as numbers; labels beside them are not read."""
    pl.DataFrame(
        {
            "transaction_id": [3, 1, 2],
            "timestamp": pl.Series([3000, 1000, 2000]).cast(pl.Datetime("ms", "UTC"))
            + pl.duration(days=9000),
            "customer": [1, 2, 1],
            "shop": [7, 7, 8],
            "amount": [10.0, 20.0, 30.0],
            "is_fraud": [1, 0, 0],
        }
        | {
            "timestamp": pl.Series([3, 1, 2], dtype=pl.Int64)
            .cast(pl.Datetime("ms", "UTC"))
            .dt.offset_by("9000d")
        }
    ).write_parquet(shell.folder / "t.parquet")

    scored = shell(
        *("score", "t.parquet", "--output", "s.parquet", "--map", "user_id=customer"),
        *("--map", "merchant_id=shop", "--default", "currency=EUR"),
    )

    assert scored.returncode == 0, scored.stderr
    assert "not in event-time order" in scored.stderr
    assert pl.read_parquet(shell.folder / "s.parquet")["transaction_id"].to_list() == [1, 2, 3]


def test_a_corrupt_line_is_quarantined_and_counted(shell):
    """The rest goes on; the quarantine says what was wrong and shows a masked sample."""
    good = shell("schema", "--example").stdout
    (shell.folder / "in.jsonl").write_text(good + "{torn\n" + good.replace("41.9", "-1") + good)

    ran = shell("run", "in.jsonl", "--once")
    listed = shell("quarantine", "list")
    counted = shell("quarantine", "stats")

    assert ran.returncode == 0
    assert "2 stored, 2 in quarantine" in ran.stderr
    assert "not_json" in listed.stdout
    assert "amount is negative" in listed.stdout
    assert "u000123" not in listed.stdout
    assert re.search(r"1 +out_of_range +amount", counted.stdout)


def test_a_second_ingester_is_refused(world):
    """Its sentence names the process that is at work."""
    first = subprocess.Popen(
        [sys.executable, "-m", "txwatch", "run", "p.jsonl", "--speed", "1"],
        cwd=world.folder,
        env=world.environment | {"TXWATCH_HOME": str(world.folder / "other"), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    lock = world.folder / "other" / "store.db.lock"
    while not (lock.exists() and lock.read_text()):
        assert first.poll() is None
    second = subprocess.run(
        [sys.executable, "-m", "txwatch", "run", "p.jsonl", "--once"],
        cwd=world.folder,
        env=world.environment | {"TXWATCH_HOME": str(world.folder / "other"), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    first.kill()
    first.wait()

    assert second.returncode == 5
    assert f"already being ingested into by process {first.pid}" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("score", "none.csv", "--output", "x.jsonl"), 4, "there is no file none.csv"),
        (("score", "a.csv", "--output", "x.txt"), 2, "ends neither in .jsonl nor in .parquet"),
        (("score", "a.csv", "--output", "x.jsonl", "--map", "usr=c"), 3, "there is no field 'usr'"),
        (("score", "a.csv", "--output", "x.jsonl", "--map", "user_id"), 2, "not of the form FIELD=VALUE"),
        (("run",), 2, "name at least one"),
        (("anomalies", "--severity", "urgent"), 2, "low, medium, high, critical"),
        (("simulate", "--output", "x.txt"), 2, "ends in none of .jsonl, .csv, .parquet"),
        (("score-series", "none.csv", "--output", "x.csv"), 4, "none.csv"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_wrong_arguments_are_one_sentence(shell, arguments, status, sentence):
    """No traceback, the documented exit code."""
    (shell.folder / "a.csv").write_text("transaction_id,timestamp,user_id,merchant_id,amount,currency\n")

    ended = shell(*arguments)

    assert ended.returncode == status, ended.stderr
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_rules_file_with_a_typo_is_shown_with_its_place(shell):
    """File, line, column, a caret and a suggestion; exit code 3."""
    text = (ROOT / "rules.yaml").read_text().replace("country_is_new", "country_is_now")
    (shell.folder / "rules.yaml").write_text(text)
    shell.environment["TXWATCH_RULES"] = "rules.yaml"

    ended = shell("detect", "--once")

    assert ended.returncode == 3
    assert re.search(r"rules.yaml:\d+:\d+", ended.stderr)
    assert "did you mean `country_is_new`?" in ended.stderr
    assert "^" in ended.stderr


def test_an_anomaly_that_is_not_there_is_said(world):
    """With where to find one that is."""
    ended = world("explain", "nothing")

    assert ended.returncode == 1
    assert "there is no anomaly nothing; `txwatch anomalies` lists them" in ended.stderr


@pytest.mark.parametrize(
    "command",
    [("anomalies",), ("explain", "a"), ("quarantine", "list"), ("alerts", "list"), ("alerts", "outbox")],
)
def test_who_looks_where_nothing_is_leaves_nothing_behind(shell, command):
    """A wrong folder is said, not made."""
    ended = shell(*command)

    assert ended.returncode == 4, ended.stdout
    assert "which is not there" in ended.stderr
    assert not (shell.folder / "home").exists()


def test_a_program_reads_the_log_as_json(shell):
    """From the start to the end every line is an object; what was quarantined is counted by its reason."""
    shell.environment["TXWATCH_LOG_FORMAT"] = "json"

    ended = shell("collect", "-", "--once", text="not json\n{}\nnor this\n")

    events = [json.loads(line) for line in ended.stderr.splitlines()]
    assert events[0]["event"] == "started"
    assert events[-1]["event"] == "ended"
    counted = {name: count for each in events if each["event"] == "counted" for name, count in each.items()}
    assert counted["quarantined_not_json"] == 2


@pytest.mark.parametrize("command", ["derive", "detect", "alert"])
def test_a_process_that_follows_others_goes_on_until_it_is_asked_to_stop(shell, command):
    """There is nothing to do yet, and there may be at any time; SIGTERM ends it in order."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with shell.start(command, "--metrics", address) as process:
        rounds = [answer(f"http://{address}/healthz", process) for _ in range(20)]
        process.terminate()

        assert rounds == [200] * 20
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    "command", ["demo", "run", "score", "collect", "derive", "detect", "alert", "anomalies", "explain"]
)
def test_every_command_has_help_with_an_example(shell, command):
    """Nobody has to read the source to try a command."""
    shown = shell(command, "--help")

    assert shown.returncode == 0
    assert f"Example: txwatch {command}" in " ".join(shown.stdout.split())


def test_the_demo_ends_with_figures_and_a_report(shell):
    """Plain lines where there is no terminal; the report holds what was found."""
    shown = shell("demo", "--duration", "8", "--users", "300", "--speed", "60000", "--report", "r.html")

    assert shown.returncode == 0, shown.stderr
    assert "a day of event time" in " ".join(shown.stdout.split())
    assert "card testing" in shown.stdout
    assert (shell.folder / "r.html").stat().st_size > 20_000


def test_grafana_apply_says_what_it_needs(shell):
    """No password; an address that is none; a server that is not there; a people file with a typo."""
    bare = shell("grafana", "apply")
    shell.environment |= {"GRAFANA_ADMIN_PASSWORD": "secret"}
    no_address = shell("grafana", "check", "--url", "localhost:3000")
    nobody = shell("grafana", "check", "--url", "http://127.0.0.1:9")
    (shell.folder / "people.yaml").write_text("people:\n  - {login: olga, roles: [operater]}\n")
    typo = shell("grafana", "check", "--people", "people.yaml")

    assert (bare.returncode, no_address.returncode, nobody.returncode, typo.returncode) == (3, 2, 7, 3)
    assert bare.stderr.startswith("txwatch: GRAFANA_ADMIN_PASSWORD is not set; `txwatch init` draws one")
    assert no_address.stderr == (
        "txwatch: 'localhost:3000' is no address of a Grafana; it starts with http:// or https://\n"
    )
    assert nobody.stderr.startswith("txwatch: Grafana at http://127.0.0.1:9 does not answer")
    assert (
        "people.yaml:2:27: error: `operater` is none of operator, investigator, administrator" in typo.stderr
    )


def test_an_id_and_its_pseudonym_lead_to_each_other(world):
    """The way back is written to the audit, with who and why, also when nothing is found."""
    world.environment["TXWATCH_PSEUDONYM_KEY"] = "5e" * 32
    user = json.loads((world.folder / "p.jsonl").read_text().splitlines()[0])["user_id"]
    shown, unknown = (world("pseudonym", each).stdout.strip() for each in (user, "nobody"))
    found = world("reveal", shown, "--reason", "case 17")
    nobody = world("reveal", unknown, "--reason", "case 18")
    unreasoned = world("reveal", shown, "--reason", " ")

    ledger = Ledger.open(f"sqlite:///{world.folder / 'home/ledger.db'}", SystemClock())
    newest = [(each.action, json.loads(each.facts)) for each in ledger.audited(0, 1000)][-2:]
    ledger.close()
    assert (found.returncode, found.stdout) == (0, f"{user}\n")
    assert (nobody.returncode, unreasoned.returncode) == (1, 2)
    assert "no id that is stored has the pseudonym" in nobody.stderr
    assert newest == [
        ("id revealed", {"pseudonym": shown, "reason": "case 17"}),
        ("id looked for in vain", {"pseudonym": unknown, "reason": "case 18"}),
    ]


def test_an_edited_rule_is_taken_by_a_running_detector(world):
    """A typo changes nothing and is told; the mended file is in force within seconds, and is kept."""
    rules = world.folder / "rules.yaml"
    shipped = (ROOT / "rules.yaml").read_text()
    rules.write_text(shipped)
    world.environment["TXWATCH_RULES"] = str(rules)
    ledger = Ledger.open(f"sqlite:///{world.folder / 'home/ledger.db'}", SystemClock())
    first = len(ledger.rules().newest())
    detecting = world.start("detect")
    rules.write_text(shipped.replace("severity: high", "severity: hihg", 1))
    refused = eventually(
        lambda: [a for a in ledger.audited(0, 1000) if a.action == "rules refused"], detecting
    )
    rules.write_text(shipped.replace("severity: high", "severity: critical", 1))
    taken = eventually(lambda: len(ledger.rules().newest()) > first, detecting)
    detecting.terminate()

    told = [json.loads(entry.document) for entry in ledger.discovered(0, 100_000)]
    ledger.close()
    assert detecting.wait(timeout=60) == 0
    assert refused
    assert taken
    assert "configuration" in {each["kind"] for each in told}


def eventually(found, process: subprocess.Popen):
    """What `found` returns once it is something, while the process lives."""
    value = found()
    while not value and process.poll() is None:
        time.sleep(0.1)
        value = found()
    return value
