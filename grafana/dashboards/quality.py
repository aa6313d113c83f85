"""Detection quality: which detectors speak up, on how much history, and traffic against its baseline."""

from grafana.audience import Audience
from grafana.dashboards.decided import drift, labels, models
from grafana.dashboards.links import QUALITY
from grafana.dashboards.shared import changes
from grafana.panels.look import ACT, WATCH, Column, override
from grafana.panels.page import Page, Row
from grafana.panels.panel import Panel, course, table
from grafana.queries import health
from grafana.queries import quality as asked
from grafana.queries.choices import filters


def detection_quality(audience: Audience) -> Page:
    """Return the page for those who tune detectors and rules."""
    return Page(
        uid=QUALITY,
        title="Detection quality",
        help="Which detectors speak up, on how much history, and how traffic compares with expectation.",
        variables=(*filters(audience), asked.series_variable(audience)),
        annotations=(changes(audience),),
        since="now-7d",
        rows=(
            Row(title="Who speaks up", panels=(*_speaking(audience), _shares(audience))),
            Row(title="On what history", panels=(_levels(audience), _young(audience))),
            Row(title="What was looked at", panels=(_coverage(audience), _not_evaluated(audience))),
            Row(title="Traffic against its baseline", panels=(_series(audience),)),
            Row(title="What people said", panels=labels(audience)),
            Row(title="Models", panels=models(audience)),
            Row(title="Detection against its own past", panels=drift(audience)),
        ),
    )


def _speaking(audience: Audience) -> tuple[Panel, ...]:
    return _leading(audience), _alert_rate(audience), _scores(audience)


def _leading(audience: Audience) -> Panel:
    return course(
        "Anomalies by leading detector",
        "The detector whose reason is strongest. Healthy: several share the work; one that takes over after "
        "a purple mark was made too eager there.",
        asked.leading(audience),
        draw="bars",
        stack=True,
        name="${__field.labels.detector}",
        interval="1h",
        width=8,
    )


def _alert_rate(audience: Audience) -> Panel:
    return course(
        "Anomalies of 1,000 transactions",
        "Healthy: even. It rises with an attack, with a change of rules, or when baselines do not fit any "
        "more.",
        health.anomaly_share(audience),
        name="of 1,000",
        interval="1h",
        points="auto",
        width=8,
    )


def _scores(audience: Audience) -> Panel:
    return course(
        "Scores by detector",
        "The mean score of the anomalies for which each had a reason. Healthy: level. One that sinks speaks "
        "up at less and less; one that rises, or is alone at the top, meets something new.",
        asked.scores(audience),
        interval="1h",
        points="auto",
        fill=0,
        width=8,
    )


def _shares(audience: Audience) -> Panel:
    columns = (
        Column(name="detector", title="Detector", width=180),
        Column(name="code", title="Reason or rule"),
        Column(name="first", title="Strongest", cell="lcd-gauge", width=260),
        Column(name="reasons", title="Told", width=100),
        Column(name="share", title="Mean share", unit="percent", decimals=0, width=120),
    )
    return table(
        "What each contributes",
        "How often its reason was the strongest, how often it was told at all, and its mean share of the "
        "evidence. Healthy: nobody is never heard; a rule that always has a small share adds nothing.",
        asked.shares(audience),
        columns,
        width=24,
        height=10,
    )


def _levels(audience: Audience) -> Panel:
    return course(
        "Baselines behind reasons",
        "Healthy: most stand on the entity's own past. Population means that the entity is new, or rare.",
        asked.levels(audience),
        draw="bars",
        stack=True,
        name="${__field.labels.level}",
        interval="1h",
    )


def _young(audience: Audience) -> Panel:
    return course(
        f"Baselines that warm up (fewer than {asked.YOUNG} observations), percent",
        "Healthy: falls in the first weeks and then stays low. It rises when many new users or merchants "
        "come.",
        asked.young(audience),
        unit="percent",
        name="warming up",
        steps=((50, WATCH), (80, ACT)),
        interval="1h",
        points="auto",
    )


def _coverage(audience: Audience) -> Panel:
    columns = (
        Column(name="detector", title="Detector", width=170),
        Column(name="evaluated", title="Evaluated", cell="lcd-gauge"),
        Column(name="warming_up", title="Warming up", width=100),
        Column(name="without", title="Nothing to see", width=110),
        Column(name="failed", title="Failed", width=75, steps=((1, ACT),), cell="color-text"),
        Column(name="late", title="Late", width=75),
        Column(name="filled", title="Afterwards", width=95),
        Column(name="hits", title="Would hit", width=90),
    )
    return table(
        "Coverage by detector",
        "Payments (for series: windows) that each detector met in the time shown. Healthy: none failed; "
        "warming up falls in the first weeks; nothing to see is what has no place or no declined attempt. "
        "A rule in shadow would have hit so many. "
        "Failed: `txwatch coverage gaps` says when, `txwatch coverage fill` evaluates it afterwards.",
        asked.coverage(audience),
        columns,
        width=15,
        height=10,
    )


def _not_evaluated(audience: Audience) -> Panel:
    return course(
        "Failed, late, evaluated afterwards",
        "Over all detectors. Healthy: nothing but a few late ones. A block of failed ones is a gap: see the "
        "detectors' log of that time.",
        asked.not_evaluated(audience),
        draw="bars",
        interval="1h",
        overrides=[override("failed", {"color": {"mode": "fixed", "fixedColor": ACT}})],
        width=9,
        height=10,
    )


def _series(audience: Audience) -> Panel:
    return course(
        "Seen and expected",
        "Healthy: what was seen runs within the band. The series is chosen above; an empty band is a "
        "baseline that warms up.",
        asked.series(audience),
        interval="5m",
        overrides=[
            override(
                "expected", {"custom.lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom.fillOpacity": 0}
            ),
            override("high", {"custom.fillBelowTo": "low", "custom.lineWidth": 0, "custom.fillOpacity": 15}),
            override("low", {"custom.lineWidth": 0, "custom.fillOpacity": 0}),
        ],
        width=24,
        height=10,
    )
