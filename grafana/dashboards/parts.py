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
        "(windows of a minute), many after a standstill until all are made up for. Yellow is none: under "
        "traffic, runs are skipped, most likely since event times stand still.",
        asked.growth(audience, "detectors", "runs_total", "60s"),
        name="runs a minute",
        steps=((0.01, CALM),),
        start=WATCH,
        interval="1m",
        width=10,
    )


def skipped_runs(audience: Audience) -> Panel:
    """Return how often no window was judged although there was something to judge."""
    return number(
        "Skipped runs",
        "Half hours of the time shown in which transactions were scored and no window of the traffic was "
        "judged. Healthy: none. Do event times stand still? A window is run once events after its end come.",
        asked.skipped_runs(audience),
        steps=((1, WATCH), (4, ACT)),
        width=5,
        height=8,
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
        width=9,
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
        steps=((10, WATCH), (100, ACT)),
        interval="1m",
    )
    return outbox, sent, _groups(audience), _decisions(audience), *_channels(audience)


def canary(audience: Audience) -> tuple[Panel, ...]:
    """Return how long alerts take from end to end, where canaries are sent."""
    took = course(
        "Time to alert",
        "From sending a canary to the channel's answer. Healthy: a few seconds. Empty: nobody sends canaries "
        "(`txwatch canary`), or none arrives.",
        asked.figure(audience, "canary", "time_to_alert_seconds"),
        name="seconds",
        unit="s",
        steps=((10, WATCH), (60, ACT)),
        interval="1m",
    )
    silent = course(
        "Since the last canary",
        "Healthy: a saw that falls to nothing whenever one arrives. A slope that goes on: somewhere between "
        "source and channel alerts are stuck; look at the services above, from the first to the last.",
        asked.figure(audience, "canary", "silent_seconds"),
        name="silent for",
        unit="s",
        steps=((900, WATCH), (1800, ACT)),
        interval="1m",
    )
    return took, silent


def _groups(audience: Audience) -> Panel:
    return course(
        "Groups of alerts",
        "How many are open. Healthy: it falls when nothing new comes. It only climbs: `resolve_after` is "
        "long, or groups are too fine; `txwatch alerts list` shows them.",
        asked.figure(audience, "notifications", "groups"),
        name="open",
        steps=((100, WATCH), (1_000, ACT)),
        interval="1m",
    )


def _decisions(audience: Audience) -> Panel:
    return course(
        "Decisions and why",
        "A minute, by verdict: grouped, below, silenced, inhibited, held for an interval or a digest, each "
        "kind of message. `txwatch alerts why ID` tells of each anomaly and group. Healthy: below the lines, "
        "far more grouped than told. Much silenced: is a silence forgotten?",
        asked.decisions(audience),
        stack=True,
        steps=((1_000, WATCH), (10_000, ACT)),
        interval="1m",
    )


def _channels(audience: Audience) -> tuple[Panel, Panel]:
    oldest = course(
        "Oldest unsent, by channel",
        "How long the oldest notification of each channel waited. Healthy: seconds. It grows: the channel "
        "is away or refuses for now; it falls when the channel is back or its fallback takes over.",
        asked.channels(audience, "channel_oldest_seconds"),
        unit="s",
        steps=((60, WATCH), (600, ACT)),
        interval="1m",
    )
    dead = course(
        "Given up within an hour, by channel",
        "Notifications that a channel refused for good. Healthy: none. `txwatch alerts outbox --state dead` "
        "says what it answered; when that is mended, `txwatch alerts retry KEY` sends one again.",
        asked.channels(audience, "channel_dead_last_hour"),
        steps=((1, ACT),),
        interval="1m",
    )
    return oldest, dead
