"""A month of what dashboards read, at the density of 100 transactions a second, straight into InfluxDB."""

import hashlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import numpy as np
import polars as pl
from dashboards_decided import RULES, audit, batched, decided, looked_at
from influxdb_client import InfluxDBClient
from influxdb_server import InfluxdbServer

from txwatch.clock import SystemClock
from txwatch.columns import FEED, MERCHANT_HOUR
from txwatch.model import Anomaly, AnomalyType, Reason, Severity, Status, transaction_anomaly_id
from txwatch.pseudonym import Pseudonyms
from txwatch.stores.influx.anomalies import pseudonymous
from txwatch.stores.influx.connection import Access, Connection
from txwatch.stores.influx.entities import entity_bucket
from txwatch.stores.influx.layout import ANOMALIES, CASES, METRICS, TRAFFIC
from txwatch.stores.influx.rollups import base_name
from txwatch.stores.influx.store import InfluxStore
from txwatch.stores.influx.surroundings import context_lines
from txwatch.stores.influx.tasks import MOST
from txwatch.stores.influx.text import tag

DAYS = 30
RATE = 100
PARTITIONS = 4
ENTITY_BUCKETS = 4096
MERCHANTS = 50_000
USERS_OF_A_BUCKET = 244
"""A million users in as many buckets as there are."""

USER, MERCHANT = "user-7", "merchant-7"
PSEUDONYMS = Pseudonyms(b"b" * 32)
COUNTRIES = ("DE", "FR", "PL", "IT", "ES", "NL", "AT", "CZ", "US", "GB", "SE", "PT")
CHANNELS = ("web", "pos", "app", "atm")
DIMENSIONS = {
    "all": ("%",),
    "channel": CHANNELS,
    "country": COUNTRIES,
    "status": tuple(Status),
    "merchant": tuple(f"merchant-{n}" for n in range(20)),
}
SERIES = [f"{metric}/{name}" for metric in ("count", "amount", "declined") for name in ("all", *COUNTRIES)]
SERIES += [f"drift:{name}" for name in ("scores", "anomalies", "own baselines", "new users")]
HEALTH = {
    "collector": (
        "transactions_total",
        "event_lag_seconds",
        "store_retries_total",
        "quarantined_total",
        "quarantined_not_json_total",
        "quarantined_missing_field_total",
    ),
    "metrics": ("transactions_total", "end_to_end_p95_seconds", "ingest_lag_p95_seconds"),
    "entities": ("transactions_total", "merchant_hours_written_total"),
    "detectors": ("transactions_total", "runs_total", "anomalies_total", "snapshots_total", "replayed_total"),
    "rules": ("pending", "refused"),
    "notifications": ("sent_total", "waiting", "dead", "groups"),
    "canary": ("time_to_alert_seconds", "silent_seconds", "missing"),
    "store": ("whole_bytes",),
}
CHANNELS_TOLD = ("slack", "mail")
CHANNEL_FIGURES = ("channel_sent", "channel_waiting", "channel_dead_last_hour", "channel_oldest_seconds")
LABELLED = {
    "collector": [({"topic": "orders", "partition": str(n)}, ("kafka_lag",)) for n in range(PARTITIONS)],
    "store": [({"part": f"bucket-{n}"}, ("size_bytes",)) for n in range(11)],
    "notifications": [
        *(
            (
                {"channel": name},
                ("channel_sent", "channel_waiting", "channel_dead_last_hour", "channel_oldest_seconds"),
            )
            for name in CHANNELS_TOLD
        ),
        *(
            ({"verdict": name}, ("decisions_total",))
            for name in ("told", "grouped", "silenced", "suppressed")
        ),
    ],
}
"""Figures that a service says several times, with labels."""

CONTEXT_ROWS = 8
"""What a user has within an hour of an anomaly, in a burst."""


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The end of the range, its length, and how much is found."""

    until: datetime
    days: int
    anomalies_a_day: int

    @property
    def since(self) -> datetime:
        """The beginning of the range."""
        return self.until - timedelta(days=self.days)

    @property
    def transactions(self) -> int:
        """How many there are altogether."""
        return RATE * 86_400 * self.days


def subjects(*, raw: bool) -> dict[str, str]:
    """Return the variables of the pages about one thing."""
    user = USER if raw else PSEUDONYMS("user_id", USER)
    anomaly = transaction_anomaly_id("orders", 0, 0)
    return {
        "who": user,
        "ub": entity_bucket(USER),
        "shop": MERCHANT,
        "mb": entity_bucket(MERCHANT),
        "where": MERCHANT,
        "anomaly": anomaly,
        "id": anomaly,
        "series": "count/all",
    }


def generate(influx: InfluxdbServer, tokens: dict[str, str], world: World) -> dict[str, int]:
    """Write everything and roll it up; returns how many points of each kind there are."""
    access = Access(
        url=influx.url, token=tokens["services"], org=influx.org, answer_within=timedelta(minutes=2)
    )
    connection = Connection(access, SystemClock())
    store = InfluxStore(access, SystemClock(), pseudonym=PSEUDONYMS)
    fives, tens = (_times(world, seconds).tolist() for seconds in (300, 600))
    with ThreadPoolExecutor(2) as pool:
        jobs = {
            "minutes of traffic": partial(_traffic, connection, world),
            "windows of series": partial(_series, connection, world),
            "points of health": partial(_health, connection, world),
            "anomalies, with reasons": partial(_anomalies, store, world),
            "transactions around anomalies": partial(_context, connection, world),
            "transactions by user, one bucket": partial(_by_user, store, world),
            "hours of merchants, one bucket": partial(_merchants, store, world),
            "labels, acts, models, versions, rules, suppressions": partial(
                decided, store, world.since, world.days, _found(world)
            ),
            "records of the audit": partial(audit, store, fives),
            "windows of what was looked at": partial(looked_at, store, tens, RATE * 600),
        }
        running = {name: pool.submit(job) for name, job in jobs.items()}
        counts = {name: job.result() for name, job in running.items()}
    counts |= {f"seconds of task {name}": _task(influx, name) for name in ("traffic_1h", "traffic_1d")}
    for name in ("anomaly_counts", "rule_counts"):
        counts[f"seconds of task {name}"] = _task(influx, name)
    store.close()
    connection.close()
    return counts


def _write(connection: Connection, bucket: str, lines: pl.Series, chunk: int = 10_000) -> int:
    for start in range(0, len(lines), chunk):
        connection.write(bucket, "\n".join(lines[start : start + chunk].to_list()).encode())
    return len(lines)


def _times(world: World, seconds: int) -> np.ndarray:
    first = int(world.since.timestamp()) // seconds * seconds
    return np.arange(first, int(world.until.timestamp()), seconds)


def _traffic(connection: Connection, world: World) -> int:
    """Each minute of each partition, by every value."""
    values = pl.DataFrame(
        [(d, v) for d, vs in DIMENSIONS.items() for v in vs], schema=["dimension", "value"], orient="row"
    )
    share = pl.when(pl.col("dimension") == "all").then(1.0).otherwise(0.1)
    parts = values.join(pl.DataFrame({"partition": range(PARTITIONS)}), how="cross")
    written = pl.format(",written={}000000000i", "time")
    line = pl.format(
        "traffic,dimension={},partition={},seconds=60,source=orders,value={} "
        "count={}i,declined={}i,total={},lag_total={},lag_max=1.5,through={}i,users={}i,p50=20.1,p95=95.2{} "
        "{}000000000",
        *("dimension", "partition", "value", "count"),
        pl.col("count") // 20,
        pl.col("count") * 31.7,
        pl.col("count") * 0.4,
        *("time", "count"),
        pl.when(pl.col("dimension") == "all").then(written).otherwise(pl.lit("")),
        "time",
    )
    count = 0
    for minutes in batched(_times(world, 60).tolist(), 60):
        frame = pl.DataFrame({"time": minutes}).join(parts, how="cross")
        amount = (
            share * (RATE * 60 / PARTITIONS) * (1 + 0.5 * ((pl.col("time") % 86_400) / 86_400 * 6.28).sin())
        )
        frame = frame.with_columns(count=amount.cast(pl.Int64))
        count += _write(connection, TRAFFIC[60], frame.select(line).to_series())
    return count


def _series(connection: Connection, world: World) -> int:
    count = 0
    for name in SERIES:
        frame = pl.DataFrame({"time": _times(world, 60)}).with_columns(
            value=100.0 + (pl.col("time") % 977) / 10, expected=pl.lit(140.0)
        )
        line = pl.format(
            f"series,series={tag(name)} seconds=60i,value={{}},known=15i,expected=140.0,low=90.0,high=190.0,"
            "score=12.5 {}000000000",
            "value",
            "time",
        )
        count += _write(connection, METRICS, frame.select(line).to_series())
    return count


def _health(connection: Connection, world: World) -> int:
    times = pl.DataFrame({"time": _times(world, 10)}).with_row_index("n")
    said = 'state=0.0,sentence="all is well",'
    plain = [(f"component={name}", figures, said) for name, figures in HEALTH.items()]
    labelled = [
        (",".join([f"component={name}", *(f"{key}={value}" for key, value in labels.items())]), figures, "")
        for name, parts in LABELLED.items()
        for labels, figures in parts
    ]
    return sum(_said(connection, times, *each) for each in (*plain, *labelled))


def _said(
    connection: Connection, times: pl.DataFrame, tags: str, figures: tuple[str, ...], before: str
) -> int:
    fields = ",".join(f"{name}={{}}" for name in figures)
    line = pl.format(
        f"health,{tags} {before}{fields} {{}}000000000",
        *(pl.col("n") * 1000.0 if name.endswith("_total") else pl.col("n") % 7 * 0.1 for name in figures),
        "time",
    )
    return _write(connection, METRICS, times.select(line).to_series())


def _found(world: World) -> Iterator[Anomaly]:
    """Yield the anomalies, the newest first; every 300th is of the user, every 50th of the merchant."""
    luck = random.Random(5)  # noqa: S311 - a made-up world
    total = world.days * world.anomalies_a_day
    for number in range(total):
        at = world.until - timedelta(seconds=60 + number * world.days * 86_400 / (total + 1))
        told = [_reason(luck, place) for place in range(luck.randint(1, 4))]
        reasons = tuple({each.code: each for each in told}.values())
        user = USER if number % 300 == 0 else f"user-{luck.randrange(1_000_000)}"
        yield Anomaly(
            anomaly_id=transaction_anomaly_id("orders", 0, number),
            kind="transaction",
            type=reasons[0].type,
            timestamp=at,
            detected_at=at + timedelta(seconds=1),
            arrived_at=at,
            severity=Severity(luck.choices((1, 2, 3, 4), (50, 30, 15, 5))[0]),
            score=luck.uniform(40, 100),
            reasons=reasons,
            entity_kind="user",
            entity_id=user,
            source="orders",
            partition=number % PARTITIONS if number else 0,
            sequence=number,
            transaction_id=f"t{number}",
            user_id=user,
            merchant_id=MERCHANT if number % 50 == 1 else f"merchant-{luck.randrange(2_000)}",
            amount=round(luck.lognormvariate(5, 1), 2),
            currency="EUR",
            status=Status.APPROVED,
            channel=luck.choice(CHANNELS),
            country=luck.choice(COUNTRIES),
            rules=tuple(each.code for each in reasons if each.detector == "rules"),
        )


def _reason(luck: random.Random, place: int) -> Reason:
    kind = luck.choice(list(AnomalyType)[:6])
    method, rule = luck.randrange(14), luck.randrange(RULES)
    by_rule = luck.random() < 0.2
    return Reason(
        code=f"rule-{rule}" if by_rule else f"code-{method}",
        sentence="the amount 512.00 EUR is 7.3 times what this user usually spends (70.10 EUR, 41 payments)",
        detector="rules" if by_rule else f"detector-{method}",
        type=kind,
        entity_kind="user",
        contribution=60.0 / (place + 1),
        observed=512.0,
        expected=70.1,
        baseline_size=luck.randrange(100),
        baseline_level="entity",
    )


def _anomalies(store: InfluxStore, world: World) -> int:
    found = list(_found(world))
    for part in batched(found, 1000):
        store.put_anomalies(part)
    store.put_change("rules", "1", "rules.yaml is in use", world.since + timedelta(hours=1))
    return len(found)


def _context(connection: Connection, world: World) -> int:
    """What the detectors write around each anomaly, raw for investigators and masked for operators."""
    count = 0
    for part in batched(_found(world), 500):
        for bucket, mask in ((CASES, False), (ANOMALIES, True)):
            lines = [line for each in part for line in _around(each, masked=mask)]
            count += _write(connection, bucket, pl.Series(lines))
    return count


def _around(anomaly: Anomaly, *, masked: bool) -> Iterator[str]:
    shown = pseudonymous(anomaly, PSEUDONYMS) if masked else anomaly
    times = [anomaly.timestamp + timedelta(minutes=minute) for minute in range(-30, 30, 60 // CONTEXT_ROWS)]
    rows = _payments(times, [str(shown.user_id)] * len(times), f"{anomaly.sequence}-")
    return context_lines(shown, rows)


def _payments(times: list[datetime], users: list[str], prefix: str) -> pl.DataFrame:
    count = len(times)
    number = np.arange(count)
    luck = np.random.default_rng(3)
    columns = {
        "source": ["orders"] * count,
        "partition": number % PARTITIONS,
        "sequence": number,
        "arrival": number,
        "transaction_id": [f"t{prefix}{n}" for n in range(count)],
        "timestamp": pl.Series(times, dtype=FEED["timestamp"]),
        "user_id": users,
        "merchant_id": [f"merchant-{n}" for n in luck.integers(0, MERCHANTS, count)],
        "amount": luck.lognormal(3, 1, count).round(2),
        "currency": ["EUR"] * count,
        "status": np.where(luck.random(count) < 0.05, "declined", "approved"),
        "channel": luck.choice(CHANNELS, count),
        "country": luck.choice(COUNTRIES, count),
    }
    missing = {name: pl.repeat(None, count, eager=True) for name in FEED if name not in columns}
    return pl.DataFrame({**columns, **missing}).select(list(FEED)).cast(FEED)


def _by_user(store: InfluxStore, world: World) -> int:
    """Fill the user's bucket with as many rows, of as many users, as there are on average."""
    users = _sharing(USER, "user", USERS_OF_A_BUCKET)
    luck = np.random.default_rng(4)
    count = world.transactions // ENTITY_BUCKETS
    seconds = np.sort(luck.random(count)) * world.days * 86_400
    times = [world.since + timedelta(seconds=s) for s in seconds.tolist()]
    store.put_by_user(_payments(times, [users[n] for n in luck.integers(0, len(users), count)], "u"))
    return count


def _merchants(store: InfluxStore, world: World) -> int:
    """Fill the merchant's bucket: every merchant with every hour of every partition."""
    merchants = _sharing(MERCHANT, "merchant", MERCHANTS // ENTITY_BUCKETS)
    starts = [datetime.fromtimestamp(s, UTC) for s in _times(world, 3600)[1:].tolist()]
    frame = (
        pl.DataFrame({"start": pl.Series(starts, dtype=MERCHANT_HOUR["start"])})
        .join(pl.DataFrame({"merchant_id": merchants}), how="cross")
        .join(pl.DataFrame({"partition": range(PARTITIONS)}), how="cross")
    )
    figures = {"through": 9, "count": 40, "declined": 2, "paid": 38}
    sums = {"total": 1200.5, "largest": 210.0, "log_total": 120.0, "log_squares": 400.0}
    values = {"source": "orders", **figures, **sums}
    full = frame.with_columns(pl.lit(value).alias(name) for name, value in values.items())
    store.put_merchant_hours(full.select(list(MERCHANT_HOUR)).cast(MERCHANT_HOUR))
    return full.height


def _sharing(name: str, prefix: str, count: int) -> list[str]:
    """Return `count` ids, `name` first, which share its entity bucket."""
    bucket, found, number = entity_bucket(name), [name], 0
    while len(found) < count:
        number += 1
        candidate = f"{prefix}-x{number}"
        if hashlib.sha256(candidate.encode()).hexdigest().startswith(bucket):
            found.append(candidate)
    return found


def _task(influx: InfluxdbServer, name: str) -> int:
    """Run a roll-up as InfluxDB does; returns how many seconds it took."""
    begin = time.monotonic()
    with InfluxDBClient(influx.url, influx.token, org=influx.org, timeout=600_000) as client:
        api = client.tasks_api()
        found = {base_name(each.name): each for each in api.find_tasks(org=influx.org, limit=MOST)}
        task = found[f"txwatch {name}"]
        run = api.run_manually(task.id)
        while not (ended := [r for r in api.get_runs(task.id) if r.id == run.id and r.finished_at]):
            time.sleep(0.2)
    if ended[0].status != "success":
        raise RuntimeError(f"task {name} failed: {[entry.message for entry in ended[0].log]}")
    return round(time.monotonic() - begin)
