"""The provisioned rules: what txwatch cannot say about itself.

`docs/operators.md` says of each what it means and what to do next.
"""

from grafana.alerting.rule import DAY, HOUR, MINUTE, Rule
from grafana.audience import OPERATIONS
from grafana.dashboards.links import HEALTH, NOW
from grafana.queries import alerting as asked

SERVICES = "What each service says"

RULES: tuple[Rule, ...] = (
    Rule(
        uid="txwatch-no-data",
        title="No transactions",
        query=asked.transactions(OPERATIONS),
        back=10 * MINUTE,
        condition="$A < 1",
        lasting="2m",
        urgency="page",
        meaning="Not one transaction came in the last ten minutes.",
        advice="Does the producer send? Does the collector run, and what does its log say?",
        page=HEALTH,
        panel="Transactions a second",
    ),
    Rule(
        uid="txwatch-lag-seconds",
        title="Transactions come late",
        query=asked.highest(OPERATIONS, "metrics", "ingest_lag_p95_seconds"),
        back=5 * MINUTE,
        condition="$A > 60",
        lasting="5m",
        urgency="look",
        meaning="95 of 100 transactions took up to {{ humanizeDuration $values.A.Value }} to the store.",
        advice="Late at the source, or is the collector behind? Compare Kafka's lag on the same page.",
        page=HEALTH,
        panel="From event to being counted, p95",
        silent="OK",
    ),
    Rule(
        uid="txwatch-kafka-lag",
        title="Messages wait in Kafka",
        query=asked.kafka_lag(OPERATIONS),
        back=5 * MINUTE,
        condition="$A > 100000",
        lasting="5m",
        urgency="page",
        meaning="{{ humanize $values.A.Value }} messages of topic {{ $labels.topic }} wait to be read.",
        advice="Does it shrink? If not, the collector or the store is too slow: start a second collector.",
        page=HEALTH,
        panel="Waiting in Kafka",
        silent="OK",
    ),
    Rule(
        uid="txwatch-silent-service",
        title="A service has died",
        query=asked.silence(OPERATIONS),
        back=7 * DAY,
        condition="$A > 120",
        lasting="1m",
        urgency="page",
        meaning="{{ $labels.component }} has said nothing for {{ humanizeDuration $values.A.Value }}.",
        advice="Look at its log and start it again; it goes on where it stopped. "
        "Taken out for good? Silence it for a week.",
        page=HEALTH,
        panel=SERVICES,
    ),
    Rule(
        uid="txwatch-degraded",
        title="A service is degraded",
        query=asked.worst_for_long(OPERATIONS),
        back=10 * MINUTE,
        condition="$A > 0",
        lasting="5m",
        urgency="look",
        meaning="{{ $labels.component }} has not been well for ten minutes.",
        advice="Read what it says of itself on the page.",
        page=HEALTH,
        panel=SERVICES,
        silent="OK",
    ),
    Rule(
        uid="txwatch-detectors-stalled",
        title="Detectors stand still",
        query=asked.without_result(
            OPERATIONS, ("collector", "transactions_total"), ("detectors", "transactions_total")
        ),
        back=10 * MINUTE,
        condition="$A > 0",
        lasting="2m",
        urgency="page",
        meaning="{{ humanize $values.A.Value }} transactions were stored in ten minutes and none was scored.",
        advice="Look at the detectors' log and start them again; they go on where they stopped.",
        page=HEALTH,
        panel="Scored a second",
    ),
    Rule(
        uid="txwatch-detectors-behind",
        title="Detectors fall behind",
        query=asked.share_without_result(
            OPERATIONS, ("collector", "transactions_total"), ("detectors", "transactions_total")
        ),
        back=30 * MINUTE,
        condition="$A > 20",
        lasting="10m",
        urgency="look",
        meaning="{{ humanize $values.A.Value }} % of the transactions of the last half hour were stored "
        "and are not scored yet.",
        advice="Is it a burst that passes? If it stays, detectors are too slow for the traffic. "
        "Nothing is lost if they catch up before the feed's points go (7 days).",
        page=HEALTH,
        panel="Stored, not yet scored",
    ),
    Rule(
        uid="txwatch-skipped-runs",
        title="Runs over traffic are skipped",
        query=asked.without_result(
            OPERATIONS, ("detectors", "transactions_total"), ("detectors", "runs_total")
        ),
        back=30 * MINUTE,
        condition="$A > 0",
        lasting="5m",
        urgency="look",
        meaning="{{ humanize $values.A.Value }} transactions were scored in half an hour, "
        "and no window of the traffic was.",
        advice="Do event times stand still? A window is run once events after its end come.",
        page=HEALTH,
        panel="Runs over traffic",
    ),
    Rule(
        uid="txwatch-rules-refused",
        title="Changed rules are refused",
        query=asked.newest(OPERATIONS, "rules", "refused"),
        back=10 * MINUTE,
        condition="$A > 0",
        lasting="1m",
        urgency="page",
        meaning="The rules file was changed and has a fault; the detectors go on with the rules they have.",
        advice="`txwatch rules check` shows each fault in its place. "
        "Once it is mended, it is taken within seconds.",
        page=HEALTH,
        panel="Rules",
        silent="OK",
    ),
    Rule(
        uid="txwatch-quarantine",
        title="Many messages are refused",
        query=asked.refused_share(OPERATIONS),
        back=10 * MINUTE,
        condition="$A > 1",
        lasting="5m",
        urgency="page",
        meaning="{{ humanize $values.A.Value }} % of the messages of the last ten minutes "
        "did not become transactions.",
        advice="`txwatch quarantine stats` says why; a producer has changed. "
        "Once the cause is gone, `txwatch quarantine replay` takes them again.",
        page=HEALTH,
        panel="Quarantine by reason",
    ),
    Rule(
        uid="txwatch-anomaly-rate",
        title="Anomalies out of their band",
        query=asked.unusual_hour(OPERATIONS),
        back=28 * DAY,
        condition="abs($A) > 6",
        lasting="5m",
        urgency="look",
        meaning="The anomalies of the last whole hour are {{ humanize $values.A.Value }} standard deviations "
        "from the mean of 28 days.",
        advice="Many: an incident, or a rule too eager? Look for changes marked on the page. "
        "None: do detectors run, and is the traffic the usual one?",
        page=NOW,
        panel="Anomalies over time",
    ),
    Rule(
        uid="txwatch-notifier-stuck",
        title="Notifications are stuck",
        query=asked.unsent(OPERATIONS),
        back=10 * MINUTE,
        condition="$A > 0",
        lasting="2m",
        urgency="page",
        meaning="{{ humanize $values.A.Value }} notifications have waited for ten minutes and none was sent.",
        advice="Is Slack or the mail server away? `txwatch alerts list` shows what waits; "
        "meanwhile look at the page Now.",
        page=HEALTH,
        panel="Notifications",
    ),
    Rule(
        uid="txwatch-notifications-dead",
        title="Notifications were given up",
        query=asked.growth(OPERATIONS, "notifications", "dead"),
        back=HOUR,
        condition="$A > 0",
        lasting="0s",
        urgency="look",
        meaning="{{ humanize $values.A.Value }} notifications of the last hour will not be sent any more.",
        advice="The channel refused them: a wrong channel name or address, or a token that was withdrawn.",
        page=HEALTH,
        panel="Notifications",
    ),
    Rule(
        uid="txwatch-canary-missing",
        title="The canary did not arrive",
        query=asked.highest(OPERATIONS, "canary", "missing"),
        back=5 * MINUTE,
        condition="$A > 0",
        lasting="0s",
        urgency="page",
        meaning="A marked transaction was sent the whole way, and no channel took its alert in time.",
        advice="Look at the services from the first to the last: collector, detectors, notifications. "
        "Until it arrives again, look at the page Now: alerts may not reach anybody.",
        page=HEALTH,
        panel="Since the last canary",
        silent="OK",
    ),
    Rule(
        uid="txwatch-store-unwritable",
        title="The store refuses",
        query=asked.growth(OPERATIONS, "collector", "store_retries_total"),
        back=5 * MINUTE,
        condition="$A > 5",
        lasting="1m",
        urgency="page",
        meaning="The store cannot be read, or did not take {{ humanize $values.A.Value }} writes.",
        advice="Does InfluxDB run, is its disk full, is the token still valid? Nothing is lost: "
        "the collector waits and goes on.",
        page=HEALTH,
        panel="Writes tried again",
        broken="Alerting",
    ),
)
