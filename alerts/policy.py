"""Who hears of an anomaly: a pure decision that always gives its reason."""

import msgspec

from txwatch.model import Anomaly, Mode, Severity


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `alerts:` section of rules.yaml."""

    min_severity: str = "high"
    """Anomalies below this severity are stored and shown, but nobody is told."""

    def __post_init__(self) -> None:
        """Refuse a word that is no severity."""
        Severity.parse(self.min_severity)


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
