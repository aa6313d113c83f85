"""The rules that administrators edit in Grafana: counts of urgent anomalies, by type, channel and country.

The thresholds are where to begin; `txwatch grafana apply` installs the rules where they are absent, and
whoever knows the traffic sets them.
"""

from grafana.alerting.rule import HOUR, Rule
from grafana.audience import OPERATIONS
from grafana.dashboards.links import NOW
from grafana.queries.alerting import urgent

URGENT = ("critical", "high")

BEGINNINGS = {"type": 50, "channel": 50, "country": 20}
"""By what is counted -> more than how many an hour fire."""


def _counted(by: str, more_than: int) -> Rule:
    return Rule(
        uid=f"txwatch-urgent-by-{by}",
        title=f"Many urgent anomalies of one {by}",
        query=urgent(OPERATIONS, URGENT, by),
        back=HOUR,
        condition=f"$A > {more_than}",
        lasting="1m",
        urgency="page",
        meaning=f"{{{{ humanize $values.A.Value }}}} high and critical anomalies of {by} "
        f"{{{{ $labels.{by} }}}} in the last hour.",
        advice="Look for what they have in common: a rule, a merchant, a user.",
        page=NOW,
        panel="Anomalies over time",
        filters=f"&var-severity=critical&var-severity=high&var-{by}={{{{ urlquery $labels.{by} }}}}",
        silent="OK",
    )


def _critical() -> Rule:
    return Rule(
        uid="txwatch-critical",
        title="Many critical anomalies",
        query=urgent(OPERATIONS, ("critical",), "severity"),
        back=HOUR,
        condition="$A > 20",
        lasting="0s",
        urgency="page",
        meaning="{{ humanize $values.A.Value }} critical anomalies in the last hour.",
        advice="Begin with the newest; its page says what else fired.",
        page=NOW,
        panel="Newest first",
        filters="&var-severity=critical",
        silent="OK",
    )


RULES: tuple[Rule, ...] = (_critical(), *(_counted(by, most) for by, most in BEGINNINGS.items()))
