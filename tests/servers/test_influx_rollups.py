"""Roll-ups in the real InfluxDB: each is the sum of its parts, after late data and regrades as well."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from influx_tasks import Tasks
from influxdb_client.client.write_api import SYNCHRONOUS

from txwatch.clock import SystemClock
from txwatch.model import Anomaly, AnomalyState, AnomalyType, Mode, Reason, Severity
from txwatch.ports import RetentionPolicy, TrafficPoint
from txwatch.stores.influx.connection import Connection
from txwatch.stores.influx.store import InfluxStore
from txwatch.testing import ManualClock

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
FULL_HOUR = NOW.replace(minute=0, second=0, microsecond=0) - 5 * HOUR
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


@pytest.fixture
def tasks(influx_stores):
    influx_stores.initialise()
    made = Tasks(influx_stores)
    yield made
    made.client.close()


@pytest.fixture
def store(influx_stores, tasks):
    opened = InfluxStore(influx_stores.access(), SystemClock(), pseudonym=lambda kind, raw: f"~{len(raw)}")
    yield opened
    opened.close()


@pytest.fixture
def connection(influx_stores, tasks):
    opened = Connection(influx_stores.access("operator"), SystemClock())
    yield opened
    opened.close()


def window(start, **fields) -> TrafficPoint:
    values = {
        "source": "orders",
        "partition": 0,
        "seconds": 60,
        "start": start,
        "dimension": "all",
        "value": "",
        "through": 10,
        "count": 3,
        "declined": 1,
        "total": 12.5,
        "lag_total": 0.75,
        "lag_max": 0.5,
        "users": 2,
        "p50": 4.0,
        "p95": 9.5,
        "user_sketch": b"",
        "amount_sketch": b"",
    }
    return TrafficPoint(**(values | fields))


def minutes(start, count):
    """Minutes of two partitions, all different."""
    return [
        window(start + timedelta(minutes=n), partition=p, count=n + p, total=n / 4, lag_max=float(n % 17))
        for n in range(count)
        for p in range(2)
    ]


def rolled(connection, bucket, fields="count, declined, total, lag_max", dimension="all"):
    select = f"SELECT {fields} FROM traffic WHERE dimension = '{dimension}'"
    (result,) = connection.results(bucket, select)
    rows = [row for series in result.get("series", ()) for row in series["values"]]
    return {datetime.fromtimestamp(row[0] / 1e9, UTC): row[1:] for row in rows}


def sums(windows):
    added = [sum(getattr(w, name) for w in windows) for name in ("count", "declined", "total")]
    return [*added, max(w.lag_max for w in windows)]


def test_an_hour_is_the_sum_of_its_minutes_over_partitions(store, tasks, connection):
    """Half-open, every field in its own way."""
    parts = minutes(FULL_HOUR, 120)
    store.put_traffic(parts)
    tasks.run("traffic_1h")

    first, second = ([w for w in parts if (w.start >= FULL_HOUR + HOUR) == late] for late in (False, True))
    assert rolled(connection, "traffic_1h") == {FULL_HOUR: sums(first), FULL_HOUR + HOUR: sums(second)}


def test_a_day_is_the_sum_of_its_minutes(store, tasks, connection):
    """A day of UTC."""
    parts = minutes(MIDNIGHT, 1440)
    store.put_traffic(parts)
    tasks.run("traffic_1d")

    assert rolled(connection, "traffic_1d") == {MIDNIGHT: sums(parts)}


def test_a_late_window_is_followed_however_old_its_hour(store, tasks, connection):
    """What was rolled up is computed again where a part was written since, and nowhere else."""
    old = NOW.replace(minute=0, second=0, microsecond=0) - timedelta(days=25)
    store.put_traffic([*minutes(old, 60), *minutes(FULL_HOUR, 60)])
    tasks.run("traffic_1h")
    late = window(old + timedelta(minutes=30), partition=2, count=1000)
    grown = window(FULL_HOUR, through=11, count=500)
    store.put_traffic([late, grown])
    tasks.run("traffic_1h")

    hours = rolled(connection, "traffic_1h")
    assert hours[old] == sums([*minutes(old, 60), late])
    assert hours[FULL_HOUR] == sums([*minutes(FULL_HOUR, 60)[1:], grown])


def an_hour_ago(influx_stores, windows):
    """Write them as a writer whose clock is an hour behind."""
    clock = ManualClock(datetime.now(UTC) - HOUR)
    opened = InfluxStore(influx_stores.access(), clock, pseudonym=lambda kind, raw: f"~{len(raw)}")
    with closing(opened):
        opened.put_traffic(windows)


def spoil(tasks, hour):
    """Put an hour that no minutes add up to; only who computes it anew mends it."""
    text = f"traffic,dimension=all,seconds=3600,value=% count=777i {int(hour.timestamp())}000000000"
    tasks.client.write_api(SYNCHRONOUS).write("traffic_1h", record=text)


def test_an_hour_whose_minutes_stayed_as_they_were_is_not_computed_again(
    influx_stores, store, tasks, connection
):
    """What was written an hour ago, before the task last succeeded, is left alone; what came since is not."""
    old, other = FULL_HOUR - 30 * HOUR, FULL_HOUR - 60 * HOUR
    an_hour_ago(influx_stores, [*minutes(old, 60), *minutes(other, 60)])
    tasks.run("traffic_1h")
    spoil(tasks, old)
    spoil(tasks, other)
    grown = window(other, through=11, count=500)
    store.put_traffic([grown])
    tasks.run("traffic_1h")

    hours = rolled(connection, "traffic_1h")
    assert hours[old][0] == 777
    assert hours[other] == sums([*minutes(other, 60)[1:], grown])


def test_a_task_whose_text_changed_computes_everything_once(influx_stores, tasks, connection):
    """A roll-up that learns something new has it for the past as well."""
    an_hour_ago(influx_stores, minutes(FULL_HOUR - 30 * HOUR, 60))
    tasks.run("traffic_1h")
    spoil(tasks, FULL_HOUR - 30 * HOUR)
    influx_stores.initialise(RetentionPolicy(traffic_1m=timedelta(days=40)))
    tasks.run("traffic_1h")

    assert rolled(connection, "traffic_1h")[FULL_HOUR - 30 * HOUR] == sums(minutes(FULL_HOUR, 60))


def test_every_value_of_every_dimension_is_rolled_up(store, tasks, connection):
    """Not only the windows of everything, by which changes are noticed."""
    store.put_traffic([window(FULL_HOUR), window(FULL_HOUR, dimension="country", value="DE", count=7)])
    tasks.run("traffic_1h")

    hours = rolled(connection, "traffic_1h", 'count, "value"', "country")
    assert hours == {FULL_HOUR: [7, "DE"]}


def test_windows_older_than_their_bucket_keeps_are_left_out(influx_stores, store, connection):
    """A transaction three weeks late has a minute, and no ten seconds any more."""
    influx_stores.initialise(RetentionPolicy())
    opened = influx_stores.open()
    late = NOW.replace(second=0, microsecond=0) - timedelta(days=21)
    opened.put_traffic([window(late), window(late, seconds=10), window(FULL_HOUR, seconds=10)])

    assert list(rolled(connection, "traffic_1m")) == [late]
    assert list(rolled(connection, "traffic_10s")) == [FULL_HOUR]


def anomaly(minute, severity=Severity.LOW, **fields):
    reason = Reason(code="r", sentence="s", detector="d", type=AnomalyType.AMOUNT, entity_kind="user")
    values = {
        "anomaly_id": str(minute),
        "kind": "transaction",
        "type": AnomalyType.AMOUNT,
        "timestamp": FULL_HOUR + timedelta(minutes=minute),
        "detected_at": NOW,
        "severity": severity,
        "score": 50.0,
        "reasons": (reason,),
        "entity_kind": "user",
        "entity_id": "u1",
        "source": "orders",
        "sequence": minute,
        "channel": "web",
        "country": "DE",
    }
    return Anomaly(**(values | fields))


def counted(connection):
    """Counts above nothing, by hour, severity and channel."""
    (result,) = connection.results("anomalies", "SELECT count, severity, channel FROM anomaly_counts")
    rows = [row for series in result.get("series", ()) for row in series["values"] if row[1]]
    return {(datetime.fromtimestamp(at / 1e9, UTC), s, c): count for at, count, s, c in rows}


def test_anomalies_are_counted_by_hour_and_a_regrade_moves_its_count(store, tasks, connection):
    """The same anomaly is one, with its last severity; what has no channel is unknown."""
    store.put_anomalies([anomaly(0), anomaly(1), anomaly(2, channel=None), anomaly(61)])
    tasks.run("anomaly_counts")
    before = counted(connection)
    store.put_anomalies([anomaly(1, Severity.HIGH), anomaly(3, Severity.HIGH)])
    tasks.run("anomaly_counts")

    later = {(FULL_HOUR + HOUR, "low", "web"): 1}
    unknown = {(FULL_HOUR, "low", "unknown"): 1}
    assert before == {(FULL_HOUR, "low", "web"): 2, **unknown, **later}
    assert counted(connection) == {
        (FULL_HOUR, "low", "web"): 1,
        (FULL_HOUR, "high", "web"): 2,
        **unknown,
        **later,
    }


def test_an_anomaly_that_waited_for_days_to_be_written_is_counted(store, tasks, connection):
    """It counts from when it is there, not from when it was found."""
    store.put_anomalies([anomaly(0)])
    tasks.run("anomaly_counts")
    store.put_anomalies([anomaly(1, detected_at=NOW - timedelta(days=2))])
    tasks.run("anomaly_counts")

    assert counted(connection) == {(FULL_HOUR, "low", "web"): 2}


def test_what_is_withdrawn_is_counted_no_more(store, tasks, connection):
    """Its hour has one less the next time the task runs; its reasons are nobody's reasons any more."""
    found = anomaly(1, Severity.HIGH, kind="series")
    store.put_anomalies([anomaly(0), found])
    tasks.run("anomaly_counts")
    before = counted(connection)
    store.put_anomalies(
        [msgspec.structs.replace(found, state=AnomalyState.WITHDRAWN, revision=1, before=found.severity)]
    )
    tasks.run("anomaly_counts")

    assert before == {(FULL_HOUR, "low", "web"): 1, (FULL_HOUR, "high", "web"): 1}
    assert counted(connection) == {(FULL_HOUR, "low", "web"): 1}


def hits(connection):
    """Hits above nothing, by hour and rule, in the bucket of administrators."""
    (result,) = connection.results("audit", "SELECT count, rule FROM rule_counts")
    rows = [row for series in result.get("series", ()) for row in series["values"] if row[1]]
    return {(datetime.fromtimestamp(at / 1e9, UTC), rule): count for at, count, rule in rows}


def by_rules(minute, *rules, **fields):
    """An anomaly that these rules hit."""
    reasons = tuple(
        Reason(code=rule, sentence="s", detector="rules", type=AnomalyType.RULE, entity_kind="user")
        for rule in rules
    )
    return anomaly(minute, reasons=reasons, rules=rules, **fields)


def test_hits_of_rules_are_counted_by_hour_for_administrators(influx_stores, store, tasks):
    """Each rule of an anomaly counts; what is withdrawn later counts no more, nor what is no live rule's."""
    found = by_rules(62, "burst", kind="series")
    store.put_anomalies([by_rules(0, "burst", "abroad"), by_rules(59, "burst"), found, anomaly(5)])
    store.put_anomalies([by_rules(7, "canary", mode=Mode.CANARY)])
    with closing(Connection(influx_stores.access("administrator"), SystemClock())) as administrator:
        tasks.run("rule_counts")
        tasks.run("rule_counts")
        before = hits(administrator)
        withdrawn = {"state": AnomalyState.WITHDRAWN, "revision": 1, "before": found.severity}
        store.put_anomalies([msgspec.structs.replace(found, **withdrawn)])
        tasks.run("rule_counts")
        after = hits(administrator)

    first = {(FULL_HOUR, "burst"): 2, (FULL_HOUR, "abroad"): 1}
    assert before == {**first, (FULL_HOUR + HOUR, "burst"): 1}
    assert after == first


def test_tasks_with_nothing_to_do_succeed(tasks):
    """An installation without data, or without anomalies, shows no failed tasks."""
    for name in ("traffic_1h", "traffic_1d", "anomaly_counts", "rule_counts"):
        tasks.run(name)


def test_a_task_that_somebody_changed_is_brought_up_to_date(influx_stores, tasks):
    """Changed text or a task switched off; the others are left alone."""
    task = tasks.by_name["txwatch traffic_1h"]
    task.status = "inactive"
    task.every = None
    tasks.api.update_task(task)

    assert influx_stores.initialise() == ("task txwatch traffic_1h brought up to date",)
    assert influx_stores.initialise() == ()


def test_tasks_belong_to_a_user_who_owns_one_organisation_and_has_no_token(influx_stores, tasks):
    """Nobody can act as that user."""
    owners = {task.owner_id for task in tasks.by_name.values()}
    (owner,) = owners
    users = tasks.client.users_api().find_users(id=owner).users
    authorizations = tasks.client.authorizations_api().find_authorizations(user_id=owner)

    assert [user.name for user in users] == [f"txwatch-tasks-{influx_stores.org}"]
    assert authorizations == []
