"""Who hears of an anomaly: a pure decision that always gives its reason."""

from typing import Literal

import msgspec

from alerts.routes import Route, every_way, filled_in
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

    def __post_init__(self) -> None:
        """Refuse a word that is no severity, a channel that is not described, two routes of one name."""
        Severity.parse(self.min_severity)
        ways = [] if self.route is None else list(every_way(filled_in(self.route)))
        named = [name for way in ways for name in way.channels]
        named += [channel.fallback for channel in self.channels.values() if channel.fallback]
        for name in named:
            if name not in self.channels:
                raise ValueError(f"channel {name!r} is not described under channels")
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
