"""From the rules file to what detection works with."""

from pathlib import Path

import msgspec

from detectors.detection import Configuration
from detectors.rules.book import RuleBook, compile_rules
from detectors.series.traffic import TrafficSettings
from detectors.settings import DetectionSettings, Severities
from txwatch.rulesfile import RulesDocument
from txwatch.shipped import refusal, rules_document, section


class DetectorsSection(DetectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `detectors:` section of rules.yaml: transactions, and traffic series beside them."""

    traffic: TrafficSettings = TrafficSettings()


def read_configuration(path: Path, *, window_seconds: int | None = None) -> Configuration:
    """Return the configuration of a rules file; raises ConfigurationError with every fault in its place.

    `window_seconds` overrides the length of the traffic series' windows.
    """
    document = rules_document(path)
    _compiled(path, document)
    detection = _detection(document)
    return Configuration(
        detection=detection,
        traffic=_traffic(detection, window_seconds),
        rulebook=lambda: _compiled(path, document),
    )


def _detection(document: RulesDocument) -> DetectorsSection:
    settings = section(document, "detectors", DetectorsSection, DetectorsSection())
    severity = section(document, "severity", Severities, settings.severity)
    currency = section(document, "base_currency", str, settings.base_currency)
    return msgspec.structs.replace(settings, severity=severity, base_currency=currency)


def _traffic(detection: DetectorsSection, window_seconds: int | None) -> TrafficSettings:
    """The traffic settings, with what they share with the other detectors."""
    return msgspec.structs.replace(
        detection.traffic,
        rates={detection.base_currency: 1.0} | detection.rates,
        severity=detection.severity,
        window_seconds=window_seconds or detection.traffic.window_seconds,
    )


def _compiled(path: Path, document: RulesDocument) -> RuleBook:
    compiled = compile_rules(document)
    if isinstance(compiled, list):
        raise refusal(path, compiled, document.source)
    return compiled
