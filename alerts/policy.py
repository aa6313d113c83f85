"""Who hears of an anomaly: a pure decision that always gives its reason."""

from typing import Literal

import msgspec

from alerts.calendar import Times
from alerts.inhibiting import Inhibition
from alerts.routes import Route, Way, every_way, filled_in
from alerts.suppressions import Suppression
from txwatch.errors import ConfigurationError
from txwatch.model import Anomaly, Mode, Severity
from txwatch.rulesfile import RulesDocument
from txwatch.shipped import section

CANARY = "canary"
"""The route of canaries, which stands in no file."""


class ChannelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One channel of `alerts.channels`: where messages go; tokens and passwords are settings."""

    kind: Literal["slack", "email", "webhook", "pagerduty", "sms"]
    to: tuple[str, ...] = ()
    """A Slack channel's id or #name; e-mail addresses; a webhook's address; a telephone number."""
    fallback: str = ""
    """The channel that takes over what this one cannot deliver."""
    secret: str = ""
    """The setting that holds the channel's secret, where several channels of a kind have their own."""
    url: str = ""
    """Of the SMS gateway."""
    template: dict[str, str] = {}
    """Fields of the request to the SMS gateway, with {to}, {text}, {key}, {group}, {severity} in them."""
    encoding: Literal["json", "form"] = "json"
    auth: Literal["bearer", "basic", "none"] = "bearer"

    def __post_init__(self) -> None:
        """Refuse a number of recipients that the kind cannot have, and an SMS that cannot be sent."""
        most = {"email": 50, "pagerduty": 0}.get(self.kind, 1)
        if not min(most, 1) <= len(self.to) <= most:
            wanted = {"email": "1 to 50", "pagerduty": "no"}.get(self.kind, "exactly one")
            raise ValueError(f"a channel of kind {self.kind} has {wanted} recipient under `to`")
        if self.secret and not self.secret.startswith("TXWATCH_"):
            raise ValueError("`secret` names a setting, TXWATCH_..., and never is the secret itself")
        if self.kind == "webhook" and not self.to[0].startswith(("http://", "https://")):
            raise ValueError("a webhook's `to` is an address, https://...")
        if self.kind == "sms" and not (self.url.startswith("https://") and self.template):
            raise ValueError("a channel of kind sms has the gateway's `url` (https://...) and a `template`")


class AlertsSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `alerts:` section of rules.yaml."""

    min_severity: str = "high"
    """Anomalies below this severity are stored and shown, but nobody is told."""
    channels: dict[str, ChannelSettings] = {}
    route: Route | None = None
    """Where notifications go; without it there are the console and the file alone."""
    canary: tuple[str, ...] = ()
    """Channels of canaries' alerts, which take no route."""
    mute_timings: dict[str, tuple[Times, ...]] = {}
    """Times in which routes that name them tell nothing."""
    inhibit: tuple[Inhibition, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a word that is no severity, names of nothing, two routes of one name."""
        Severity.parse(self.min_severity)
        if self.canary and self.route is None:
            raise ValueError("canaries are told beside a route; there is none")
        ways = [] if self.route is None else list(every_way(filled_in(self.route)))
        named = [name for way in ways for name in _channels(way)]
        named += self.canary
        named += [channel.fallback for channel in self.channels.values() if channel.fallback]
        for name in named:
            if name not in self.channels:
                raise ValueError(f"channel {name!r} is not described under channels")
        for name in (name for way in ways for name in way.mute):
            if name not in self.mute_timings:
                raise ValueError(f"mute timing {name!r} is not described under mute_timings")
        if len({each.name for each in self.inhibit}) != len(self.inhibit):
            raise ValueError("two inhibitions have the same name")
        if len({CANARY, *(way.name for way in ways)}) != len(ways) + 1:
            raise ValueError("two routes have the same name (canaries have a route of their own)")

    def down_the_line(self, name: str) -> str:
        """Return a channel with those that take over from it, as people read it."""
        line = [name]
        while (then := self.channels[line[-1]].fallback) and then not in line:
            line.append(then)
        return " or else ".join(line)


class AlertSettings(AlertsSection, frozen=True, kw_only=True):
    """The alert policy: the section `alerts`, with the list `suppressions` that stands beside it."""

    suppressions: tuple[Suppression, ...] = ()

    def __post_init__(self) -> None:
        """Refuse two suppressions of one name."""
        super().__post_init__()
        if len({each.name for each in self.suppressions}) != len(self.suppressions):
            raise ValueError("two suppressions have the same name")


def settings_of(document: RulesDocument) -> AlertSettings:
    """Return the alert policy of a rules file; raises ConfigurationError with every fault in its place."""
    alerts = section(document, "alerts", AlertsSection, AlertsSection())
    suppressions = section(document, "suppressions", tuple[Suppression, ...], ())
    try:
        return AlertSettings(**msgspec.structs.asdict(alerts), suppressions=suppressions)
    except ValueError as error:
        raise ConfigurationError(f"{document.file}: {error}") from error


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Whether to tell, and why or why not."""

    notify: bool
    reason: str


def decide(anomaly: Anomaly, settings: AlertSettings) -> Decision:
    """Return whether somebody is told of this anomaly, with the reason."""
    minimum = Severity.parse(settings.min_severity)
    if anomaly.mode is Mode.SHADOW:
        return Decision(notify=False, reason="found in shadow mode, which never alerts")
    if anomaly.mode is Mode.CANARY:
        return Decision(notify=False, reason="a canary, told on the channels of `alerts.canary` alone")
    if anomaly.severity < minimum:
        return Decision(notify=False, reason=f"severity {anomaly.severity.word} is below {minimum.word}")
    return Decision(notify=True, reason=f"severity {anomaly.severity.word} reaches {minimum.word}")


def canary_way(settings: AlertSettings) -> Way:
    """Return the way of canaries: each a group of its own, told at once and once."""
    return Way(
        name=CANARY, channels=settings.canary, group_by=("anomaly_id",), group_wait=0.0, resolve_after=0.0
    )


def _channels(way: Way) -> list[str]:
    return [*way.channels, *(name for _, channels in way.escalation for name in channels)]
