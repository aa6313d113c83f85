"""Panels about the parts around the stream: Kafka, the store's disk, schedules, rules, notifications."""

from grafana.audience import Audience
from grafana.panels.look import ACT, CALM, WATCH, Json, override
from grafana.panels.panel import Panel, course, number
from grafana.queries import health as asked

GIGABYTE = 1_000_000_000


def kafka_lag(audience: Audience) -> Panel:
    """Return how much waits in Kafka."""
    return course(
        "Waiting in Kafka",
        "Messages that are in Kafka and not yet with the collector, by topic and partition. Healthy: below a "
        "few seconds' traffic, and falling after a burst. One partition that grows alone has lost its "
        "collector; all together: collector or store are too slow.",
        asked.kafka_lag(audience),
        steps=((10_000, WATCH), (100_000, ACT)),
        interval="1m",
        width=6,
    )


def store_size(audience: Audience) -> Panel:
    """Return how large the buckets are."""
    return course(
        "Size of the store",
        "Bytes on InfluxDB's disk, by bucket; those that the collector may not read are together as others. "
        "Healthy: a level line once the oldest points begin to go (30 days for transactions). A steady climb "
        "beyond that: look at the retention. Compare with the disk before it is full.",
        asked.store_size(audience),
        unit="decbytes",
        stack=True,
        steps=((50 * GIGABYTE, WATCH), (200 * GIGABYTE, ACT)),
        interval="1m",
        width=18,
    )


def runs(audience: Audience) -> Panel:
    """Return how many windows of the traffic were judged."""
    return course(
        "Runs over traffic",
        "Windows of the traffic that were judged, a minute. Healthy: one a minute while something comes in "
        "(windows of a minute), many after a standstill until all are made up for. None under traffic: runs "
        "are skipped, most likely since event times stand still.",
        asked.growth(audience, "detectors", "runs_total", "60s"),
        name="runs a minute",
        interval="1m",
        width=12,
    )


def rules_file(audience: Audience) -> Panel:
    """Return whether the rules file is the one in use."""
    return number(
        "Rules",
        "Whether an edited rules file is being read, and whether the one on disk is refused. Healthy: twice "
        "no. Changed: it is in force within seconds. Refused: `txwatch rules check` shows each fault; until "
        "it is mended, the version before it stays in force.",
        asked.newest_figure(audience, "rules", "pending"),
        asked.newest_figure(audience, "rules", "refused"),
        overrides=[
            override("pending", {"displayName": "changed", "mappings": [_no_or_yes(WATCH)]}),
            override("refused", {"displayName": "refused", "mappings": [_no_or_yes(ACT)]}),
        ],
        steps=((1, ACT),),
        width=12,
        height=8,
    )


def _no_or_yes(colour: str) -> Json:
    options = {
        "0": {"text": "no", "color": CALM, "index": 0},
        "1": {"text": "yes", "color": colour, "index": 1},
    }
    return {"type": "value", "options": options}


def notifications(audience: Audience) -> tuple[Panel, ...]:
    """Return what waits to be told, and how much was."""
    outbox = course(
        "Notifications",
        "What lies in the outbox: waiting to be sent, and given up (dead). Healthy: none dead, none waiting "
        "for longer than a minute. Waiting: the channel is away or slows us down; nothing is lost. Dead: it "
        "refused a message, look at `txwatch alerts list`.",
        asked.figure(audience, "notifications", "waiting"),
        asked.figure(audience, "notifications", "dead"),
        steps=((1, WATCH), (500, ACT)),
        interval="1m",
    )
    sent = course(
        "Notifications sent",
        "A minute. Healthy: a few an hour; a wall of them is an incident, or a rule that is too eager.",
        asked.growth(audience, "notifications", "sent_total", "60s"),
        name="sent a minute",
        interval="1m",
    )
    return outbox, sent
