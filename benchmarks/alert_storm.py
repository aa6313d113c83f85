"""How long the first message of a critical group takes in a storm, from the anomaly's write to the channel.

    python benchmarks/alert_storm.py [--runs N] [--ledger sqlite|postgres] [--json]

10,000 anomalies of 300 users come as a detector writes them, 500 every quarter of a second: to a real
InfluxDB, then into the ledger's queue.  One user in ten becomes critical, somewhere in the storm; all others
are high.
`txwatch alert`, a process of its own, tells each group to a real SMTP server (TLS, login) and to a stand-in
that keeps to Slack's published API; `group_wait` is 2 s, so the messages of 270 others wait in the outbox
meanwhile.  Server and stand-in take as long for each message as --answer says.

`critical_*_seconds`, by channel, is the time from the end of the write of a user's first critical anomaly
until the channel has all of the first message that calls it so.  `*_messages` are all that the channel got;
`untold_users` and `uncounted_anomalies` are what its messages do not account for: both must be 0.
"""

# ruff: noqa: S311 - the storm's dice keep no secret
import argparse
import asyncio
import contextlib
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import ingest
import numpy as np
from alert_builders import SOMEWHERE, found
from influxdb_server import start_influxdb
from mail_server import Kept, mail_server
from postgres_server import start_postgres
from private_authority import Authority
from slack_standin import TOKEN, SlackStandIn, slack

from alerts.mail import MailServer
from txwatch.clock import SystemClock
from txwatch.ledger import Ledger
from txwatch.model import Cursor, Severity
from txwatch.pseudonym import Pseudonyms
from txwatch.stores.influx.connection import Access
from txwatch.stores.influx.store import InfluxStore

ANOMALIES, USERS, CRITICAL = 10_000, 300, 30
PART, EVERY_SECONDS = 500, 0.25
KEY = "5e" * 32
READY_SECONDS = 5.0
QUIET_SECONDS = 8.0
"""Longer than group_interval: nothing more is to come."""
RULES = """
version: 1
alerts:
  channels:
    chat: {kind: slack, to: ["#fraud"]}
    mail: {kind: email, to: [fraud@example.org]}
  route:
    channels: [chat, mail]
    group_by: [user]
    group_wait: 2s
    group_interval: 5s
"""
Figures = dict[str, float]


def main() -> None:
    options = parse()
    runs = [one_run(options, seed) for seed in range(options.runs)]
    figures = {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}
    for name, value in figures.items():
        print(f"{name:32} {value:,}")
    if options.json:
        print(json.dumps(figures))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--ledger", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--answer", type=float, default=0.1, help="seconds that a channel takes to answer")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


class Arrivals:
    """What the channels got, and when: (seconds since 1970, the user's name, severity, anomalies so far)."""

    def __init__(self, answer: float) -> None:
        self._answer = answer
        self.by_channel: dict[str, list[tuple[float, str, str, int]]] = {"chat": [], "mail": []}

    def listen(self, standin: SlackStandIn, kept: Kept) -> None:
        """Take note of what the stand-in and the mail server get from now on, and make both slow."""
        answered, handled = standin.answer, kept.handle_DATA

        def answer(method: str, token: str, fields: dict) -> dict:
            time.sleep(self._answer)
            self._note("chat", fields["text"], json.dumps(fields["blocks"]))
            return answered(method, token, fields)

        async def handle(server, session, envelope) -> str:
            await asyncio.sleep(self._answer)
            said = await handled(server, session, envelope)
            mail = kept.messages[-1]
            self._note("mail", mail["Subject"], mail.get_body(("plain",)).get_content())
            return said

        standin.answer, kept.handle_DATA = answer, handle

    def wait_for_quiet(self) -> None:
        """Return when nothing has come for a while."""
        last = time.time()
        while time.time() - last < QUIET_SECONDS:
            last = max([last, *(times[-1][0] for times in self.by_channel.values() if times)])
            time.sleep(0.1)

    def figures(self, written: dict[str, float]) -> Figures:
        """Return the figures; `written` says when each critical user's first critical anomaly was."""
        told: Figures = {}
        for channel, messages in self.by_channel.items():
            first: dict[str, float] = {}
            for at, user, severity, _ in messages:
                if severity == "CRITICAL":
                    first.setdefault(user, at)
            took = [first.get(user, np.inf) - at for user, at in written.items()]
            for name, quantile in (("median", 0.5), ("p95", 0.95), ("largest", 1.0)):
                told[f"critical_{name}_seconds_{channel}"] = float(np.quantile(took, quantile))
            counts = {user: count for _, user, _, count in messages}
            told[f"{channel}_messages"] = float(len(messages))
            told[f"{channel}_untold_users"] = float(USERS - len(counts))
            told[f"{channel}_uncounted_anomalies"] = float(ANOMALIES - sum(counts.values()))
        return told

    def _note(self, channel: str, title: str, text: str) -> None:
        severity, user = re.search(r"(CRITICAL|HIGH) user (\S+?):?(?: |$)", title).groups()
        count = int(re.search(r"(\d+) in this group", text)[1])
        self.by_channel[channel].append((time.time(), user, severity, count))


def one_run(options: argparse.Namespace, seed: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running:
        home = Path(folder)
        (home / "influx").mkdir()
        influx = start_influxdb(home / "influx")
        running.callback(influx.close)
        access = ingest.fresh(influx)
        kept, mail = running.enter_context(mail_server(Authority(home), "tls"))
        standin, address = running.enter_context(slack())
        arrivals = Arrivals(options.answer)
        arrivals.listen(standin, kept)
        url, clock = ledger_url(options.ledger, home, running), SystemClock()
        ledger, store = Ledger.open(url, clock), InfluxStore(access, clock)
        running.callback(ledger.close)
        running.callback(store.close)
        notifier = start_notifier(home, access, channels(mail, address) | {"TXWATCH_LEDGER": url})
        running.callback(notifier.wait)
        running.callback(notifier.terminate)
        time.sleep(READY_SECONDS)
        written = storm(store, ledger, random.Random(seed))
        arrivals.wait_for_quiet()
        if notifier.poll() is not None:
            raise SystemExit((home / "alert.log").read_text())
        return arrivals.figures(written)


def ledger_url(kind: str, home: Path, running: contextlib.ExitStack) -> str:
    if kind == "sqlite":
        return f"sqlite:///{home / 'ledger.db'}"
    postgres = start_postgres(home)
    running.callback(postgres.close)
    return postgres.new_database()


def channels(mail: MailServer, slack_address: str) -> dict[str, str]:
    """Return the settings by which the notifier reaches both channels."""
    return {
        "TXWATCH_SLACK_TOKEN": TOKEN,
        "TXWATCH_SLACK_URL": slack_address,
        "TXWATCH_SMTP_HOST": mail.host,
        "TXWATCH_SMTP_PORT": str(mail.port),
        "TXWATCH_SMTP_SECURITY": mail.security,
        "TXWATCH_SMTP_USER": mail.user,
        "TXWATCH_SMTP_PASSWORD": mail.password,
        "TXWATCH_SMTP_CERTIFICATES": mail.certificates,
    }


def start_notifier(home: Path, access: Access, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    (home / "rules.yaml").write_text(RULES)
    environment = (
        {name: value for name, value in os.environ.items() if not name.startswith("TXWATCH_")}
        | {
            "PYTHONPATH": str(ingest.ROOT),
            "TXWATCH_HOME": str(home),
            "TXWATCH_RULES": str(home / "rules.yaml"),
            "TXWATCH_STORE": access.url.replace("http://", "influx://") + f"/{access.org}",
            "TXWATCH_INFLUX_TOKEN": access.token,
            "TXWATCH_PSEUDONYM_KEY": KEY,
        }
        | settings
    )
    with (home / "alert.log").open("wb") as log:
        command = [sys.executable, "-m", "txwatch", "alert"]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def storm(store: InfluxStore, ledger: Ledger, chance: random.Random) -> dict[str, float]:
    """Write the anomalies as a detector does; return when each critical user's first one was written."""
    pseudonym = Pseudonyms(bytes.fromhex(KEY))
    critical = chance.sample(range(USERS), CRITICAL)
    turns = {user: chance.randrange(ANOMALIES // PART) for user in critical}
    written: dict[str, float] = {}
    begun = time.time()
    for turn in range(ANOMALIES // PART):
        time.sleep(max(0.0, begun + turn * EVERY_SECONDS - time.time()))
        now = datetime.now(UTC)
        users = [(turn * PART + n) % USERS for n in range(PART)]
        anomalies = [
            found(
                f"{turn:08}{n:08}",
                f"u{user}",
                Severity.CRITICAL if turn >= turns.get(user, ANOMALIES) else Severity.HIGH,
                timestamp=now,
                detected_at=now,
                transaction_id=f"t{turn}-{n}",
                source="topic",
                sequence=turn * PART + n,
            )
            for n, user in enumerate(users)
        ]
        store.put_anomalies(anomalies)
        ledger.commit_step("detectors", {SOMEWHERE: Cursor(turn, turn)}, anomalies)
        for each in anomalies:
            if each.severity is Severity.CRITICAL:
                written.setdefault(pseudonym("user_id", each.user_id), time.time())
    return written


if __name__ == "__main__":
    main()
