"""SIGKILL at any moment: every group is told, and twice only where an answer was left open."""

import os
import random
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from alert_builders import SOMEWHERE, found
from slack_standin import slack

from txwatch.clock import SystemClock
from txwatch.ledger import Ledger
from txwatch.model import Cursor, Severity

USERS = 300
ANOMALIES = 10_000
PROGRAM = textwrap.dedent(
    """
    import sys
    from datetime import timedelta
    from alert_builders import notifier, settings
    from alerts.slack import SlackSender
    from slack_standin import TOKEN
    from txwatch.clock import SystemClock
    from txwatch.ledger import Ledger
    from txwatch.supervise import work

    class Later(SystemClock):
        def now(self):
            return super().now() + timedelta(seconds=float(sys.argv[3]))

    clock = Later()
    ledger = Ledger.open(sys.argv[1], clock)
    policy = settings("ops", group_by=("user",), group_wait="0s", group_interval="10m")
    service = notifier(ledger, policy, {"ops": SlackSender(("#fraud",), TOKEN, sys.argv[2])}, clock)
    print("ready", flush=True)
    work([service], clock, once=True)
    """
)


def start(ledger: str, address: str, later: float) -> subprocess.Popen[bytes]:
    """Start a notifier whose clock is so many seconds ahead."""
    path = os.pathsep.join([str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "servers")])
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, ledger, address, str(later)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
    )


def on(database: str, request, folder: Path) -> str:
    """Return the address of an empty ledger on a database."""
    if database == "postgres":
        return request.getfixturevalue("postgres").new_database()
    return f"sqlite:///{folder / 'ledger.db'}"


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.long)])
def test_every_group_is_told_however_often_it_is_killed(tmp_path, request, kills, database):
    """A storm of 10,000 anomalies of 300 users; the count of doubles is printed."""
    where = on(database, request, tmp_path)
    chance = random.Random(kills)
    ledger = Ledger.open(where, SystemClock())
    batches = [range(n, ANOMALIES, kills) for n in range(kills)]
    with slack() as (server, address):
        for turn, batch in enumerate(batches):
            new = USERS // kills
            users = [f"u{turn * new + i}" for i in range(new)]
            users += [f"u{chance.randrange((turn + 1) * new)}" for _ in batch[new:]]
            pairs = zip(batch, users, strict=True)
            storm = [found(f"a{n}", user, Severity.CRITICAL) for n, user in pairs]
            ledger.commit_step("detectors", {SOMEWHERE: Cursor(turn, turn)}, storm)
            process = start(where, address, later=0)
            process.stdout.readline()
            try:
                process.wait(timeout=chance.uniform(0.01, 0.6))
            except subprocess.TimeoutExpired:
                process.kill()
            process.wait()
            process.stdout.close()
        last = start(where, address, later=120)
        last.communicate(timeout=300)
        told = Counter(post["blocks"][-1]["elements"][0]["text"] for post in server.posts)

    unanswered = sum(each.unanswered for each in ledger.alerts().outbox(limit=100_000))
    doubles = sum(told.values()) - len(told)
    ledger.close()
    sys.stdout.write(
        f"{kills} kills, {database}: {len(told)} groups told, {doubles} twice, {unanswered} left open\n"
    )
    assert last.returncode == 0
    assert len(told) == USERS
    assert doubles <= unanswered
