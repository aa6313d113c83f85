"""Panels about what models and people decided: models, drift, labels; versions and what is hidden."""

from grafana.audience import Audience
from grafana.panels.look import ACT, CALM, UNDRAWN, WATCH, Column, Json, override
from grafana.panels.panel import Panel, course, table
from grafana.queries import ledger as asked
from grafana.queries import quality

DRIFT = {
    "scores": ("Scores", "The score that one payment in twenty exceeds.", "short"),
    "anomalies": ("Anomalies of 1,000 payments", "How many payments became anomalies.", "short"),
    "own baselines": (
        "Judged by their own past, share",
        "Payments whose amount the user's own baseline could judge.",
        "percentunit",
    ),
    "new users": (
        "Of new users, share",
        "Payments of users with fewer than five earlier ones.",
        "percentunit",
    ),
}
"""Figures by which detection watches itself: title, what it is, unit."""


def models(audience: Audience) -> tuple[Panel, ...]:
    """Return the fitted models, and how each in shadow did beside the one that counts."""
    columns = (
        Column(name="_time", title="Fitted", unit="dateTimeAsIso", width=165),
        Column(name="number", title="Model", decimals=0, width=70),
        Column(name="detector", title="Detector", width=90),
        Column(name="state", title="State", width=100),
        Column(name="payments", title="Learnt from", decimals=0, width=100),
        Column(name="held_back", title="Judged on", decimals=0, width=100),
        Column(name="sentence", title="Why"),
    )
    listed = table(
        "Models",
        "Each scores in shadow for a day, then counts (champion) if no worse. Healthy: a new one a day, "
        "most of them promoted. Many rejected in a row: the stream changed, or an attack is being learnt. "
        "`txwatch models compare` puts two side by side.",
        asked.models(audience),
        columns,
        width=14,
        height=9,
    )
    beside = course(
        "Champion against shadow",
        "How isolated ordinary payments are for the model in shadow and for the one that counts, on the same "
        "payments: the lower, the better it describes them. Healthy: near each other. A shadow that is more "
        "than 0.02 above is not promoted.",
        asked.champion_and_shadow(audience, "ordinary"),
        name="${__field.labels.which}",
        points="always",
        interval="1h",
        width=10,
        height=9,
    )
    return listed, beside


def drift(audience: Audience) -> tuple[Panel, ...]:
    """Return the figures of detection beside their own past."""
    return tuple(
        course(
            title,
            f"{what} Healthy: within the band of its own past at that time of day (none while it is learnt). "
            "Outside it an anomaly of type drift was told: did the stream change, or detection?",
            quality.drift(audience, figure),
            unit=unit,
            interval="1h",
            points="auto",
            overrides=[override("value", {"displayName": "seen", "custom.lineWidth": 2}), *_band()],
            width=12,
            height=7,
        )
        for figure, (title, what, unit) in DRIFT.items()
    )


def labels(audience: Audience) -> tuple[Panel, ...]:
    """Return what people said of anomalies, and what follows for rules and detectors."""
    return _given(audience), _precision(audience)


def _given(audience: Audience) -> Panel:
    return course(
        "Labels given",
        "Labelled anomalies, at the time of the anomaly, by what was said. Healthy: most of what is urgent "
        "has a label within days; precision means nothing without.",
        asked.labels_over_time(audience),
        draw="bars",
        stack=True,
        name="${__field.labels.verdict}",
        interval="1h",
        width=9,
        height=10,
    )


def _precision(audience: Audience) -> Panel:
    columns = (
        Column(name="kind", title="Kind", width=80),
        Column(name="name", title="Rule or detector"),
        Column(name="anomalies", title="Anomalies", cell="lcd-gauge", width=150),
        Column(name="fraud", title="Fraud", width=70),
        Column(name="wrong", title="Wrong", width=75),
        _precision_column(),
        Column(name="unlabelled", title="Unlabelled", unit="percent", decimals=0, width=95),
    )
    return table(
        "Precision by rule and detector",
        "A rule by each anomaly it hit, a detector by those it led. Precision is the share of fraud among "
        "the labelled; a dash where nobody labelled one. Healthy: above 20 %. Many anomalies and "
        "a low precision: `txwatch rules stats` says more, `txwatch rules plan` what an edit would do.",
        asked.statistics(audience),
        columns,
        width=15,
        height=10,
    )


def _precision_column() -> Column:
    return Column(
        name="precision",
        title="Precision",
        unit="percent",
        decimals=0,
        width=95,
        unsaid=-1,
        cell="color-text",
        steps=((0, ACT), (20, WATCH), (50, CALM)),
    )


def versions(audience: Audience) -> Panel:
    """Return the versions of the rules."""
    columns = (
        Column(name="_time", title="Since", unit="dateTimeAsIso", width=165),
        Column(name="number", title="Number", decimals=0, width=80),
        Column(name="state", title="State", width=90),
        Column(name="actor", title="Who", width=110),
        Column(name="reason", title="Why"),
        Column(name="changed", title="Changed", width=180),
        Column(name="version", title="Version", width=155),
    )
    return table(
        "Versions of the rules",
        "Each content of the rules file that came into force. Healthy: reasons that somebody announced, none "
        "blocked. Blocked: it flooded and was rolled back by itself; `txwatch rules diff` shows what it "
        "changed.",
        asked.versions(audience),
        columns,
        width=24,
        height=8,
    )


def rules(audience: Audience) -> Panel:
    """Return how each rule does."""
    columns = (
        Column(name="rule", title="Rule"),
        Column(name="mode", title="Mode", width=90),
        Column(name="hits", title="Hits", cell="lcd-gauge", width=260),
        Column(name="fraud", title="Fraud", width=90),
        Column(name="wrong", title="Wrong", width=90),
        _precision_column(),
        Column(name="last", title="Last hit (its hour)", unit="dateTimeAsIso", width=165),
    )
    return table(
        "Rules and what they do",
        "Each rule in force: how often it hit in the time shown, when last, and what people said of those "
        "anomalies. Gone: not in the file any more. In shadow: would have hit. Healthy: precision above "
        "20 %, a hit now and then. One that never hits watches for something that "
        "does not happen, or is wrong.",
        asked.rules(audience),
        columns,
        width=24,
        height=11,
    )


def hidings(audience: Audience) -> Panel:
    """Return what hides anomalies from messages, and how much it hid."""
    columns = (
        Column(name="state", title="State", width=80),
        Column(name="kind", title="Kind", width=105),
        Column(name="name", title="Name", width=160),
        Column(name="owner", title="Owner", width=110),
        Column(name="reason", title="Why"),
        Column(name="conditions", title="Hides", width=260),
        Column(name="until", title="Until (UTC)", width=145),
        Column(name="hid", title="Hid", decimals=0, cell="lcd-gauge", width=130),
    )
    return table(
        "Suppressions and silences",
        "What kept anomalies from being told in the time shown, whenever it began. Healthy: few, each with "
        "an owner who knows of it. One that hid much more than expected hides an attack, or is too wide.",
        asked.hidings(audience),
        columns,
        width=24,
        height=8,
    )


def _band() -> list[Json]:
    return [
        override("high", {"custom.fillBelowTo": "low", "custom.fillOpacity": 15, **UNDRAWN}),
        override("low", {"custom.fillOpacity": 0, **UNDRAWN}),
    ]
