"""Health: whether txwatch itself takes, scores and tells what comes in."""

from grafana.audience import Audience
from grafana.dashboards.links import HEALTH
from grafana.dashboards.parts import (
    canary,
    kafka_lag,
    notifications,
    rules_file,
    runs,
    skipped_runs,
    store_size,
)
from grafana.dashboards.shared import changes
from grafana.panels.look import ACT, CALM, WATCH, Column, override
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, course, number, table
from grafana.queries import health as asked
from grafana.queries.choices import carried

LEAST = 0.0001
"""What is less a second is nothing."""

SILENT = ((60, WATCH), (300, ACT))
"""Seconds since a service said how it is."""


def health(audience: Audience) -> Page:
    """Return the page to open when nothing is found any more, or too late."""
    return Page(
        uid=HEALTH,
        title="Health",
        help="Whether txwatch itself takes, scores and tells what comes in.",
        variables=carried(),
        annotations=(changes(audience),),
        since="now-6h",
        rows=(
            Row(title="Services", panels=(_services(audience),)),
            Row(title="Intake", panels=_intake(audience)),
            Row(title="Refused", panels=_refused(audience)),
            Row(title="Store", panels=_store(audience)),
            Row(title="Detectors", panels=_detectors(audience)),
            Row(title="Notifications", panels=notifications(audience)),
            Row(title="Canary", panels=canary(audience)),
        ),
    )


def _intake(audience: Audience) -> tuple[Panel, ...]:
    return _rate(audience), kafka_lag(audience), _lag(audience), _end_to_end(audience)


def _refused(audience: Audience) -> tuple[Panel, ...]:
    return _quarantine(audience), _quarantine_reasons(audience)


def _store(audience: Audience) -> tuple[Panel, ...]:
    return _retries(audience), store_size(audience)


def _detectors(audience: Audience) -> tuple[Panel, ...]:
    behind = (_scored(audience), _behind(audience), _snapshots(audience))
    return (*behind, runs(audience), skipped_runs(audience), rules_file(audience))


def _services(audience: Audience) -> Panel:
    columns = (
        Column(name="component", title="Service", width=140),
        Column(name="state", title="State", state=True, width=110),
        Column(name="ago", title="Said so", unit="s", decimals=0, steps=SILENT, cell="color-text", width=110),
        Column(name="sentence", title="In its own words"),
    )
    return table(
        "What each service says",
        "Every service says how it is every ten seconds. Healthy: all ok, less than half a minute ago. One "
        "that is silent has died: look at its log, start it again; it goes on where it stopped.",
        asked.services(audience),
        columns,
        width=24,
        height=21,
    )


def _rate(audience: Audience) -> Panel:
    return course(
        "Transactions a second",
        "What came in, by the time of the event. Healthy: green, in the rhythm of the day. Red: nothing "
        "came; that is the source or the collector.",
        asked.rate(audience),
        name="transactions a second",
        steps=((LEAST, CALM),),
        start=ACT,
        interval="1m",
        width=6,
    )


def _lag(audience: Audience) -> Panel:
    return course(
        "Newest event, seconds ago",
        "How far the collector is behind the newest event it took. Healthy: below 5 s with live traffic; it "
        "grows at night when nobody pays.",
        asked.figure(audience, "collector", "event_lag_seconds"),
        name="newest event",
        unit="s",
        steps=((30, WATCH), (300, ACT)),
        interval="1m",
        width=6,
    )


def _end_to_end(audience: Audience) -> Panel:
    return course(
        "From event to being counted, p95",
        "The way from the event through the store to a reader. Healthy: below 5 s. When it grows and the "
        "intake does not, the store is slow.",
        asked.figure(audience, "metrics", "end_to_end_p95_seconds"),
        asked.figure(audience, "metrics", "ingest_lag_p95_seconds"),
        overrides=[
            override("end_to_end_p95_seconds", {"displayName": "to being counted"}),
            override("ingest_lag_p95_seconds", {"displayName": "to the store"}),
        ],
        unit="s",
        steps=((5, WATCH), (60, ACT)),
        interval="1m",
        width=6,
    )


def _quarantine(audience: Audience) -> Panel:
    return number(
        "In quarantine since the start",
        "Messages that did not become transactions. Healthy: none. `txwatch quarantine stats` says why, "
        "`replay` takes them again once the cause is gone.",
        asked.newest_figure(audience, "collector", "quarantined_total"),
        steps=((1, WATCH), (1000, ACT)),
        width=6,
        height=6,
    )


def _quarantine_reasons(audience: Audience) -> Panel:
    columns = (
        Column(name="reason", title="Reason"),
        Column(
            name="messages",
            title="Messages",
            decimals=0,
            cell="lcd-gauge",
            width=220,
            steps=((100, WATCH), (1_000, ACT)),
        ),
    )
    return table(
        "Quarantine by reason",
        "New in the time shown. Healthy: empty. A reason that grows steadily is a producer that changed.",
        asked.quarantined(audience),
        columns,
        width=18,
        height=6,
    )


def _retries(audience: Audience) -> Panel:
    return number(
        "Writes tried again",
        "How often the store did not take a write at once, since the collector's start. Healthy: 0, or a few "
        "after a restart of the store. Nothing is lost by them.",
        asked.newest_figure(audience, "collector", "store_retries_total"),
        steps=((1, WATCH), (100, ACT)),
        width=6,
        height=8,
    )


def _scored(audience: Audience) -> Panel:
    return course(
        "Scored a second",
        "Healthy: green, and follows the transactions a second. Below them for long, detectors fall behind; "
        "yellow while something comes in: they stand still.",
        asked.growth(audience, "detectors", "transactions_total"),
        name="scored a second",
        steps=((LEAST, CALM),),
        start=WATCH,
        interval="1m",
        width=8,
    )


def _behind(audience: Audience) -> Panel:
    return number(
        "Stored, not yet scored",
        "Transactions that the collector stored and the detectors have yet to score, since both started. "
        "Healthy: below a second's traffic. It says nothing when one of them was started later.",
        asked.behind(audience),
        steps=((1_000, WATCH), (100_000, ACT)),
        width=8,
        height=8,
    )


def _snapshots(audience: Audience) -> Panel:
    return course(
        "Snapshots a minute",
        "The detectors keep their state every ten seconds while something comes in. Healthy: green, about "
        "six. Yellow under traffic (fewer than one in ten minutes): a restart would replay for long; is "
        "their disk full?",
        asked.growth(audience, "detectors", "snapshots_total", "60s"),
        name="snapshots a minute",
        steps=((0.1, CALM),),
        start=WATCH,
        interval="1m",
        width=8,
    )
