"""What the page Health and an alert rule ask, of a real InfluxDB with traffic and health of known times."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from grafana_queries import Asking, rows_of
from influx_tasks import Tasks

from grafana.alerting.watching import RULES
from grafana.audience import OPERATIONS
from grafana.dashboards.health import health
from txwatch.clock import SystemClock
from txwatch.ports import HealthPoint, TrafficPoint
from txwatch.stores.influx.store import InfluxStore

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NOW = datetime.now(UTC)
THIS_HOUR = NOW.replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def store(influx_stores):
    influx_stores.initialise()
    opened = InfluxStore(influx_stores.access(), SystemClock())
    yield opened
    opened.close()


def asked(
    influx_stores, title: str, since: datetime, until: datetime, interval: timedelta
) -> list[dict[str, Any]]:
    """The rows that the first query of a panel brings."""
    (panel,) = (panel for panel in health(OPERATIONS).json()["panels"] if panel["title"] == title)
    return rows_of(panel["targets"][0], asking(influx_stores, since, until, interval))


def asking(influx_stores, since: datetime, until: datetime, interval: timedelta) -> Asking:
    """Ask as an operator."""
    return Asking(
        url=influx_stores.server.url,
        org=influx_stores.org,
        token=influx_stores.tokens["operator"],
        since=since,
        until=until,
        interval=interval,
    )


def rates(influx_stores, since: datetime, until: datetime, interval: timedelta) -> dict[datetime, float]:
    """Transactions a second, by when each interval began."""
    rows = asked(influx_stores, "Transactions a second", since, until, interval)
    return {datetime.fromisoformat(row["_time"]): float(row["rate"]) for row in rows}


def traffic(start: datetime, count: int, seconds: int = 60) -> TrafficPoint:
    return TrafficPoint(
        source="orders", partition=0, seconds=seconds, start=start, dimension="all", value="",
        through=10, count=count, declined=0, total=1.0, lag_total=0.1, lag_max=0.1, users=1,
        p50=1.0, p95=1.0, user_sketch=b"", amount_sketch=b"",
    )  # fmt: skip


def detectors(at: datetime, scored: float, runs: float) -> HealthPoint:
    return HealthPoint(
        component="detectors", at=at, values={"transactions_total": scored, "runs_total": runs}, sentence=""
    )


def test_a_minute_in_which_nothing_came_is_none_a_second(influx_stores, store):
    """It is drawn as such: a line that only ends says nothing."""
    begin = THIS_HOUR - 3 * HOUR
    store.put_traffic([traffic(begin, 120), traffic(begin + 3 * MINUTE, 60)])

    assert rates(influx_stores, begin, begin + 5 * MINUTE, MINUTE) == {
        begin + n * MINUTE: rate for n, rate in enumerate([2.0, 0.0, 0.0, 1.0, 0.0])
    }


def test_where_nothing_came_at_all_the_rate_is_nothing(influx_stores, store):
    """And no empty panel."""
    begin = THIS_HOUR - 3 * HOUR

    assert set(rates(influx_stores, begin, begin + HOUR, 10 * MINUTE).values()) == {0.0}


def test_a_minute_that_goes_on_is_not_taken_for_a_fall(influx_stores, store):
    """The rate ends with the last whole minute."""
    this_minute = datetime.now(UTC).replace(second=0, microsecond=0)
    store.put_traffic([traffic(this_minute - n * MINUTE, 120) for n in range(6)])
    seen = rates(influx_stores, this_minute - 4 * MINUTE, datetime.now(UTC), MINUTE)

    assert set(seen.values()) == {2.0}


@pytest.mark.parametrize("days", [1, 3])
def test_the_rate_is_the_same_over_any_range(influx_stores, store, days):
    """Minutes for a day, hours for three: transactions a second are no others for it."""
    begin = THIS_HOUR - days * 24 * HOUR
    store.put_traffic([traffic(begin + n * MINUTE, 30) for n in range(days * 24 * 60)])
    tasks = Tasks(influx_stores)
    tasks.run("traffic_1h")
    tasks.client.close()
    seen = rates(influx_stores, begin, THIS_HOUR - 2 * HOUR, 15 * MINUTE)

    assert set(seen.values()) == {0.5}


@pytest.mark.parametrize(
    ("stored", "scored", "share"),
    [(10_000, 7_000, 30.0), (10_000, 9_500, 0.0), (0, 5_000, 0.0), (900, 0, 0.0)],
)
def test_detectors_fall_behind_by_what_was_stored_and_not_scored(influx_stores, store, stored, scored, share):
    """In percent; not by a few, not while they catch up, and whenever each of both was started."""
    rule = next(rule for rule in RULES if rule.uid == "txwatch-detectors-behind")
    begin = THIS_HOUR - 3 * HOUR
    until = begin + timedelta(seconds=rule.back)
    said = {"collector": (7e6, 7e6 + stored), "detectors": (5e3, 5e3 + scored)}
    store.put_health(
        [
            HealthPoint(
                component=name, at=begin + n * MINUTE, values={"transactions_total": value}, sentence=""
            )
            for name, values in said.items()
            for n, value in enumerate(values)
        ]
    )
    (row,) = rows_of(rule.query.json("A"), asking(influx_stores, begin, until, MINUTE))

    assert float(row["value"]) == pytest.approx(share)


@pytest.mark.parametrize(
    ("halves", "skipped"),
    [
        ([(0, 0), (100, 30), (200, 30), (200, 30), (300, 60), (400, 60)], 2),
        ([(0, 0), (100, 30), (200, 60), (200, 60), (300, 90)], 0),
        ([], 0),
    ],
)
def test_half_hours_with_scored_payments_and_no_run_are_counted(influx_stores, store, halves, skipped):
    """Not those in which windows were judged, and not those in which nothing came; none is a zero."""
    begin = THIS_HOUR - 3 * HOUR
    store.put_health([detectors(begin + n * 30 * MINUTE, *said) for n, said in enumerate(halves)])
    (row,) = asked(influx_stores, "Skipped runs", begin, begin + 3 * HOUR, MINUTE)

    assert int(row["skipped"]) == skipped
