"""How long each query of the generated dashboards takes, on a month at 100 transactions a second.

    python benchmarks/dashboards.py [--days N] [--a-day N] [--runs N] [--at URL] [--only-ask] [--panel TEXT]

260 million transactions do not fit here.  So what dashboards read is generated at full scale: minutes of
traffic of 4 partitions (hours and days by the installed tasks), health, series, anomalies with reasons and
the hour around each; of transactions by user and of merchants' hours, the entity buckets of those users
and merchants that are asked for, filled as densely as 260 million would fill them.  What was generated is
printed.  When this machine has come to rest (a month written in minutes keeps InfluxDB busy for some more,
as a month that passes does not), each query of `provisioning/dashboards` (panels and variables) is asked
over the whole range, and each alert rule's over its own, first once for its answer, then --runs times;
figures are milliseconds, as a client on this machine sees.  Queries that filter are asked with everything
chosen, and once more with each filter set alone.
With --at an InfluxDB is used that runs already (organisation txwatch, token in INFLUXDB_ADMIN_TOKEN), with
--only-ask what an earlier run generated there.  The last line with --json is one JSON object.
"""

# ruff: noqa: E402 - the servers' folder is put on the path first
import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "servers"))
sys.path.insert(0, str(ROOT / "benchmarks"))

import msgspec
from dashboards_data import DAYS, MERCHANT, World, generate, subjects
from grafana_queries import OPEN, Asking, question_of, rows_of
from idle import wait_until_idle
from influxdb_server import InfluxdbServer, start_influxdb

from grafana.alerting import counting, watching
from txwatch.stores.influx.setup import initialise

LIMIT_MILLISECONDS = 500
PATIENCE_SECONDS = 1800.0
"""For InfluxDB to compact what came at once, and for its tasks to see it."""
READERS = {"operations": "operator", "investigations": "investigator", "administration": "administrator"}
NARROWED = {
    "severity": "high",
    "type": "amount",
    "rule": "rule-7",
    "channel": "web",
    "country": "DE",
    "merchant": MERCHANT,
    "user": "",
    "transaction": "t77",
}
"""Filters that pages have, each with what is chosen; the user is the one whose page is asked for."""

POINTS_SHOWN = 720
"""How many points wide a panel is, by which Grafana chooses its interval."""


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One query: where it stands, how many rows it brings, its median and worst time in milliseconds."""

    page: str
    panel: str
    filter: str
    rows: int
    first: float
    p50: float
    worst: float


def main() -> None:
    """Generate, ask, print."""
    options = arguments()
    with server(options.at) as influx:
        done = initialise(influx.url, influx.token, influx.org)
        world = World(until=datetime.now(UTC), days=options.days, anomalies_a_day=options.a_day)
        generated = {} if options.only_ask else generate(influx, done.tokens, world)
        for name, count in generated.items():
            print(f"generated {count:>13,} {name}", flush=True)
        print(f"at rest after {wait_until_idle(PATIENCE_SECONDS):.0f} seconds", flush=True)
        askings = {role: asking(influx, done.tokens[role], world, role) for role in READERS.values()}
        timings = [
            each for audience, role in READERS.items() for each in pages(audience, askings[role], options)
        ]
        timings += alert_rules(askings["operator"], options)
    report(timings)
    if options.json:
        print(json.dumps({"generated": generated, "queries": msgspec.to_builtins(timings)}))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--a-day", type=int, default=300, help="anomalies a day")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--at", help="address of an InfluxDB; without it one is started and thrown away")
    parser.add_argument("--only-ask", action="store_true", help="generate nothing")
    parser.add_argument("--panel", default="", help="only panels whose page or title has this text")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A server that runs already."""

    url: str
    token: str
    org: str = "txwatch"


@contextlib.contextmanager
def server(at: str | None) -> Iterator[InfluxdbServer | Place]:
    if at:
        yield Place(url=at, token=os.environ["INFLUXDB_ADMIN_TOKEN"])
        return
    with tempfile.TemporaryDirectory() as folder:
        influx = start_influxdb(Path(folder))
        try:
            yield influx
        finally:
            influx.close()


def asking(influx: InfluxdbServer, token: str, world: World, role: str) -> Asking:
    """Return a question over the whole range, with everything chosen and the busiest entities named."""
    named = subjects(raw=role == "investigator")
    interval = timedelta(seconds=max(60, world.days * 86_400 // POINTS_SHOWN))
    return Asking(
        url=influx.url,
        org=influx.org,
        token=token,
        since=world.until - timedelta(days=world.days),
        until=world.until,
        interval=interval,
        variables={**OPEN, **named},
    )


def pages(audience: str, general: Asking, options: argparse.Namespace) -> Iterator[Timing]:
    for path in sorted((ROOT / "provisioning" / "dashboards" / audience).glob("*.json")):
        page = json.loads(path.read_text())
        where = f"{audience} {page['title']}"
        filters = {each["name"] for each in page["templating"]["list"] if not each["hide"]}
        for title, target in targets(page):
            if options.panel in f"{where} {title}":
                for filtered, narrowed in narrowings(target, general, filters):
                    yield timed(where, title, filtered, target, narrowed, options.runs)


def narrowings(target: dict[str, Any], general: Asking, filters: set[str]) -> Iterator[tuple[str, Asking]]:
    """Yield the question with everything chosen, then with each of the page's filters that it heeds."""
    yield "", general
    for name, value in NARROWED.items():
        if name in filters and f"${{{name}:" in target["query"]:
            chosen = value or general.variables["who"]
            variables = {**general.variables, name: chosen}
            yield f"{name}={chosen}", msgspec.structs.replace(general, variables=variables)


def targets(page: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for variable in page["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]
            yield f"${variable['name']}", query if isinstance(query, dict) else {"query": query}
    for annotation in page.get("annotations", {}).get("list", ()):
        if annotation.get("target", {}).get("query"):
            yield f"marks: {annotation['name']}", annotation["target"]
    for panel in page["panels"]:
        for number, target in enumerate(panel.get("targets", ())):
            yield f"{panel['title']} [{number}]", target


def alert_rules(general: Asking, options: argparse.Namespace) -> Iterator[Timing]:
    """Ask each alert rule's question, of the time before now that it looks at."""
    for rule in (*watching.RULES, *counting.RULES):
        if options.panel in f"alert rules {rule.title}":
            now = msgspec.structs.replace(general, until=datetime.now(UTC))
            yield timed("alert rules", rule.title, "", *question_of(rule, now), options.runs)


def timed(page: str, panel: str, filtered: str, target: dict[str, Any], asking: Asking, runs: int) -> Timing:
    first, rows = once(target, asking)
    times = [once(target, asking)[0] for _ in range(runs)]
    return Timing(
        page=page,
        panel=panel,
        filter=filtered,
        rows=rows,
        first=first,
        p50=statistics.median(times),
        worst=max(times),
    )


def once(target: dict[str, Any], general: Asking) -> tuple[float, int]:
    begin = time.perf_counter()
    rows = rows_of(target, general)
    return round(1000 * (time.perf_counter() - begin), 1), len(rows)


def report(timings: list[Timing]) -> None:
    print(f"{'p50':>7} {'worst':>7} {'first':>7} {'rows':>6}  query")
    for each in sorted(timings, key=lambda timing: -timing.p50):
        mark = "  <-- over the limit" if each.p50 > LIMIT_MILLISECONDS else ""
        figures = f"{each.p50:7.0f} {each.worst:7.0f} {each.first:7.0f} {each.rows:6}"
        filtered = f", {each.filter}" if each.filter else ""
        print(f"{figures}  {each.page}: {each.panel}{filtered}{mark}")
    over = sum(each.p50 > LIMIT_MILLISECONDS for each in timings)
    narrowed = sum(bool(each.filter) for each in timings)
    print(
        f"{len(timings)} queries ({narrowed} with a filter set), {over} with a median over"
        f" {LIMIT_MILLISECONDS} ms, the slowest {max((each.p50 for each in timings), default=0.0):.0f} ms"
    )


if __name__ == "__main__":
    main()
