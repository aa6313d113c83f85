"""Who hears of an anomaly: a pure decision that always gives its reason."""

from typing import Literal

import msgspec

from alerts.calendar import Times
from alerts.inhibiting import Inhibition
from alerts.routes import Route, Way, every_way, filled_in
from txwatch.model import Anomaly, Mode, Severity


class ChannelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One channel of `alerts.channels`: where messages go; tokens and passwords are settings."""

    kind: Literal["slack", "email"]
    to: tuple[str, ...]
    """A Slack channel's id or #name; addresses."""
    fallback: str = ""
    """The channel that takes over what this one cannot deliver."""


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `alerts:` section of rules.yaml."""

    min_severity: str = "high"
    """Anomalies below this severity are stored and shown, but nobody is told."""
    channels: dict[str, ChannelSettings] = {}
    route: Route | None = None
    """Where notifications go; without it there are the console and the file alone."""
    mute_timings: dict[str, tuple[Times, ...]] = {}
    """Times in which routes that name them tell nothing."""
    inhibit: tuple[Inhibition, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a word that is no severity, names of nothing, two routes of one name."""
        Severity.parse(self.min_severity)
        ways = [] if self.route is None else list(every_way(filled_in(self.route)))
        named = [name for way in ways for name in _channels(way)]
        named += [channel.fallback for channel in self.channels.values() if channel.fallback]
        for name in named:
            if name not in self.channels:
                raise ValueError(f"channel {name!r} is not described under channels")
        for name in (name for way in ways for name in way.mute):
            if name not in self.mute_timings:
                raise ValueError(f"mute timing {name!r} is not described under mute_timings")
        if len({each.name for each in self.inhibit}) != len(self.inhibit):
            raise ValueError("two inhibitions have the same name")
        if len({way.name for way in ways}) != len(ways):
            raise ValueError("two routes have the same name")


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to tell, and why or why not."""

    notify: bool
    reason: str


def decide(anomaly: Anomaly, settings: AlertSettings) -> Decision:
    """Return whether somebody is told of this anomaly, with the reason."""
    minimum = Severity.parse(settings.min_severity)
    if anomaly.mode is Mode.SHADOW:
        return Decision(notify=False, reason="found in shadow mode, which never alerts")
    if anomaly.severity < minimum:
        return Decision(notify=False, reason=f"severity {anomaly.severity.word} is below {minimum.word}")
    return Decision(notify=True, reason=f"severity {anomaly.severity.word} reaches {minimum.word}")


def _channels(way: Way) -> list[str]:
    return [*way.channels, *(name for _, channels in way.escalation for name in channels)]
