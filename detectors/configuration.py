"""From the rules file to what detection works with."""

from pathlib import Path

import msgspec

from detectors.detection import Configuration
from detectors.rules.book import RuleBook, compile_rules
from detectors.series.traffic import TrafficSettings
from detectors.settings import DetectionSettings, Severities
from txwatch.rulesfile import RulesDocument
from txwatch.shipped import refusal, rules_document, section


def read_configuration(path: Path, *, window_seconds: int | None = None) -> Configuration:
    """Return the configuration of a rules file; raises ConfigurationError with every fault in its place.

    `window_seconds` overrides the length of the traffic series' windows.
    """
    document = rules_document(path)
    traffic = TrafficSettings()
    if window_seconds is not None:
        traffic = msgspec.structs.replace(traffic, window_seconds=window_seconds)
    _compiled(path, document)
    return Configuration(
        detection=_detection(document),
        traffic=traffic,
        rulebook=lambda: _compiled(path, document),
    )


def _detection(document: RulesDocument) -> DetectionSettings:
    settings = section(document, "detectors", DetectionSettings, DetectionSettings())
    severity = section(document, "severity", Severities, settings.severity)
    currency = section(document, "base_currency", str, settings.base_currency)
    return msgspec.structs.replace(settings, severity=severity, base_currency=currency)


def _compiled(path: Path, document: RulesDocument) -> RuleBook:
    compiled = compile_rules(document)
    if isinstance(compiled, list):
        raise refusal(path, compiled, document.source)
    return compiled
