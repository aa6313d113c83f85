"""How delivery is: a dead message is news for an hour, a channel that does not deliver until it does."""

from collections.abc import Mapping

from txwatch.ledger import Channel
from txwatch.ports import Figure, Health

DEAD_SECONDS = 3600.0
FULL = 500
"""So many unsent notifications are a full outbox."""
OLD_SECONDS = 600.0
"""A notification that waits so long is not being delivered."""


def health_of(name: str, groups: int, channels: Mapping[str, Channel], sent: int, now: float) -> Health:
    """Return the notifier's health; `channels` as of `now`, `sent` as this process counts."""
    waiting = sum(each.waiting for each in channels.values())
    dead = sum(each.dead for each in channels.values())
    troubles = [words for channel in sorted(channels) for words in _troubles(channel, channels[channel], now)]
    troubles += [f"the outbox is full with {waiting}"] if waiting > FULL else []
    counted = f"{groups} groups open, {sent} sent, {waiting} waiting, {dead} dead"
    return Health(
        name=name,
        state="degraded" if troubles else "ok",
        sentence="; ".join([counted, *troubles]),
        figures={"groups": groups, "waiting": waiting, "dead": dead, "sent_total": sent},
        labelled=tuple(
            figure for channel, each in channels.items() for figure in _figures(channel, each, now)
        ),
    )


def decided(counts: Mapping[str, int]) -> tuple[Figure, ...]:
    """Return how often each verdict was given since the start."""
    return tuple(
        Figure(name="decisions_total", value=float(count), labels={"verdict": verdict})
        for verdict, count in sorted(counts.items())
    )


def _troubles(channel: str, each: Channel, now: float) -> list[str]:
    late = each.oldest is not None and now - each.oldest > OLD_SECONDS
    return [
        *([f"{each.dead_lately} died within the last hour on {channel}"] if each.dead_lately else []),
        *(
            [f"{channel} does not deliver: the oldest waits for {now - each.oldest:.0f} s"]
            if late and each.oldest is not None
            else []
        ),
    ]


def _figures(channel: str, each: Channel, now: float) -> list[Figure]:
    age = 0.0 if each.oldest is None else max(now - each.oldest, 0.0)
    values = {
        "channel_sent": each.sent,
        "channel_waiting": each.waiting,
        "channel_dead": each.dead,
        "channel_dead_last_hour": each.dead_lately,
        "channel_oldest_seconds": age,
    }
    return [Figure(name=name, value=value, labels={"channel": channel}) for name, value in values.items()]
