"""Each process runs with the token of its role and no other; nobody reads what is not for them."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import urllib3
from influx_fixtures import InfluxStores

from txwatch.clock import SystemClock
from txwatch.ledger import Ledger
from txwatch.stores.influx.layout import ROLES, needed_by

KEY = "5e" * 32
USER = "u-personal-4711"


@pytest.fixture
def installed(influx_stores: InfluxStores, tmp_path):
    """An organisation that is set up, and what runs a command in it as a role."""
    influx_stores.initialise()
    address = influx_stores.server.url.replace("http://", "influx://")

    def run(role: str, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "PYTHONPATH": ":".join(sys.path),
            "TXWATCH_HOME": str(tmp_path / "home"),
            "TXWATCH_STORE": f"{address}/{influx_stores.org}",
            "TXWATCH_INFLUX_TOKEN": influx_stores.tokens[role],
            "TXWATCH_PSEUDONYM_KEY": KEY,
        }
        if (tmp_path / "rules.yaml").exists():
            environment["TXWATCH_RULES"] = str(tmp_path / "rules.yaml")
        return subprocess.run(
            [sys.executable, "-m", "txwatch", *command],
            env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip

    return influx_stores, run


def payments(path, count: int = 1500):
    """Payments of the last hours; the last one is far beyond what the user ever spent."""
    start = datetime.now(UTC) - timedelta(hours=6)
    rows = [
        {
            "transaction_id": f"t{n}",
            "timestamp": (start + timedelta(seconds=12 * n)).isoformat(),
            "user_id": USER if n % 50 == 0 else f"u{n % 50}",
            "merchant_id": f"m{n % 20}",
            "amount": 20.0 + n % 7,
            "currency": "EUR",
            "status": "approved",
        }
        for n in range(count)
    ]
    rows[-1] |= {"user_id": USER, "amount": 90_000.0}
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


def ask(stores: InfluxStores, role: str, bucket: str, influxql: str) -> dict:
    answer = urllib3.request(
        "GET",
        f"{stores.server.url}/query",
        fields={"db": bucket, "q": influxql, "org": stores.org},
        headers={"Authorization": f"Token {stores.tokens[role]}"},
    )
    return answer.json()


def write(stores: InfluxStores, role: str, bucket: str) -> int:
    answer = urllib3.request(
        "POST",
        f"{stores.server.url}/api/v2/write?org={stores.org}&bucket={bucket}",
        body=b"probe value=1",
        headers={"Authorization": f"Token {stores.tokens[role]}"},
    )
    return answer.status


@pytest.mark.parametrize("role", ["collector", "detector", "notifier", "investigator", "services"])
def test_a_store_opens_with_exactly_the_rights_of_its_role(influx_stores, role):
    influx_stores.initialise()
    store = influx_stores.open(role=role, buckets=needed_by(role))

    assert set(store.counts()) <= {"transactions", "anomalies", "series", "quarantine"}


@pytest.mark.parametrize("role", ROLES)
def test_a_token_writes_where_its_role_writes_and_nowhere_else(influx_stores, role):
    influx_stores.initialise()
    buckets = sorted({bucket for each in ROLES.values() for bucket in (*each.read, *each.write)})

    allowed = {bucket for bucket in buckets if write(influx_stores, role, bucket) == 204}

    assert allowed == set(ROLES[role].write)


def test_the_whole_path_runs_with_the_tokens_of_the_roles(installed, tmp_path):
    stores, run = installed
    collected = run(
        "collector", "collect", "--no-derive", str(payments(tmp_path / "payments.jsonl")), "--once"
    )
    derived = run("collector", "derive", "--once")
    detected = run("detector", "detect", "--once")
    told = run("notifier", "alert", "--once")
    listed = run("investigator", "anomalies", "--json")

    for done in (collected, derived, detected, told, listed):
        assert done.returncode == 0, done.stderr
    counted = ask(stores, "collector", "traffic_1m", "SELECT sum(count) FROM traffic WHERE dimension = 'all'")
    filed = ask(stores, "collector", "transactions", "SELECT count(amount) FROM by_user")
    assert [each["results"][0]["series"][0]["values"][0][1] for each in (counted, filed)] == [1500, 1500]
    assert USER in listed.stdout
    seen = ask(stores, "operator", "anomalies", "SELECT * FROM anomalies")
    assert "user-1-" in json.dumps(seen)
    assert USER not in json.dumps(seen)


def test_the_health_of_every_process_is_on_record(installed, tmp_path):
    stores, run = installed
    run("collector", "collect", str(payments(tmp_path / "payments.jsonl")), "--once")
    run("detector", "detect", "--once")

    answer = ask(stores, "operator", "metrics", "SELECT last(state) FROM health GROUP BY component")

    components = {series["tags"]["component"] for series in answer["results"][0]["series"]}
    assert {"collector", "detectors"} <= components


def test_a_detector_without_a_key_for_pseudonyms_says_so(installed):
    stores, _ = installed
    environment = {
        "TXWATCH_STORE": f"{stores.server.url.replace('http://', 'influx://')}/{stores.org}",
        "TXWATCH_INFLUX_TOKEN": stores.tokens["detector"],
        "PYTHONPATH": ":".join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "txwatch", "detect", "--once"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 3
    assert "TXWATCH_PSEUDONYM_KEY is not set" in done.stderr


def test_only_who_reads_raw_ids_reveals_them_and_each_attempt_is_recorded(installed, tmp_path):
    """With the operator's token it is denied; with the investigator's it is found."""
    _, run = installed
    run("collector", "collect", str(payments(tmp_path / "payments.jsonl")), "--once")
    shown = run("operator", "pseudonym", USER).stdout.strip()
    denied = run("operator", "reveal", shown, "--reason", "curious")
    found = run("investigator", "reveal", shown, "--reason", "case 17")

    ledger = Ledger.open(f"sqlite:///{tmp_path / 'home/ledger.db'}", SystemClock())
    actions = [each.action for each in ledger.audited(0, 100)]
    ledger.close()
    assert (denied.returncode, found.returncode) == (5, 0), denied.stderr + found.stderr
    assert USER not in denied.stdout + denied.stderr
    assert found.stdout == f"{USER}\n"
    assert actions[-2:] == ["reveal denied", "id revealed"]


def test_only_the_administrators_token_puts_rules_into_force(installed, tmp_path):
    """Whoever has another one is refused, and that is on record; no name that is typed counts."""
    _, run = installed
    draft = tmp_path / "draft.yaml"
    draft.write_text("version: 1\nbase_currency: EUR\n")
    (tmp_path / "rules.yaml").write_text("version: 1\nbase_currency: EUR\nrules: []\n")
    ended = run("services", "detect", "--once")
    denied = [
        run(role, "rules", "apply", str(draft), "--reason", "a try") for role in ("operator", "services")
    ]
    allowed = run("administrator", "rules", "apply", str(draft), "--reason", "a change")

    ledger = Ledger.open(f"sqlite:///{tmp_path / 'home' / 'ledger.db'}", SystemClock())
    actions = [each.action for each in ledger.audited(0, 100) if each.action.startswith("rules")]
    ledger.close()
    assert ended.returncode == 0, ended.stderr
    assert [each.returncode for each in denied] == [5, 5]
    assert "only who has the administrator's token may do this" in denied[0].stderr
    assert allowed.returncode == 0, allowed.stderr
    assert actions == ["rules in use", "rules apply denied", "rules apply denied", "rules applied"]
