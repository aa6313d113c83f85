"""From the rules file to what detection works with."""

from pathlib import Path

import msgspec

from detectors.detection import Configuration
from detectors.guard import GuardSettings
from detectors.rules.book import RuleBook, drafted_rules, version_of
from detectors.rules.draft import Draft
from detectors.rules.lists import read_files
from detectors.series.calendar import Calendar
from detectors.series.traffic import TrafficSection, TrafficSettings
from detectors.settings import DetectionSettings, Severities
from txwatch.canary import canaries_of
from txwatch.rulesfile import RulesDocument, read_bytes
from txwatch.settings import current_environment
from txwatch.shipped import known_document, refusal, section


class DetectorsSection(DetectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `detectors:` section of rules.yaml: transactions, traffic series, the guard of changes."""

    traffic: TrafficSection = TrafficSection()
    guard: GuardSettings = GuardSettings()


def read_configuration(path: Path, *, window_seconds: int | None = None) -> Configuration:
    """Return the configuration of a rules file; raises ConfigurationError with every fault in its place.

    `window_seconds` overrides the length of the traffic series' windows.
    """
    return known_configuration(path, read_bytes(path), window_seconds=window_seconds)


def known_configuration(
    path: Path,
    content: bytes,
    beside: dict[str, bytes] | None = None,
    *,
    window_seconds: int | None = None,
) -> Configuration:
    """Return the configuration of what stood in a rules file and in the lists beside it; raises the same.

    Without `beside`, the lists are those that are there now.
    """
    return _compiled(drafted(path, content, beside), window_seconds)


def drafted(path: Path, content: bytes, beside: dict[str, bytes] | None = None) -> Draft:
    """Return what a rules file says, as `known_configuration` reads it; raises the same."""
    document = known_document(path, content)
    known = read_files(document) if beside is None else msgspec.structs.replace(document, beside=beside)
    found = drafted_rules(known)
    if isinstance(found, list):
        raise refusal(path, found, known.source)
    return found


def beside_of(path: Path, configuration: Configuration) -> list[Path]:
    """Return where the list files of a configuration are."""
    return [path.parent / name for name in sorted(configuration.beside)]


def _compiled(draft: Draft, window_seconds: int | None) -> Configuration:
    """Return the configuration of a draft without errors; raises ConfigurationError for other sections."""
    document = draft.document
    detection, version = _detection(document), version_of(draft)
    return Configuration(
        detection=detection,
        traffic=_traffic(detection, document, window_seconds),
        rulebook=lambda former=None: RuleBook(draft, version, former),
        draft=draft,
        version=version,
        content=document.source.encode(),
        beside=document.beside,
        canaries=canaries_of(current_environment()),
        guard=detection.guard,
    )


def beside_is_same(path: Path, configuration: Configuration) -> bool:
    """Tell whether the list files still have what the configuration was made of."""
    files = [(path.parent / name, known) for name, known in configuration.beside.items()]
    return all(file.is_file() and file.read_bytes() == known for file, known in files)


def _detection(document: RulesDocument) -> DetectorsSection:
    settings = section(document, "detectors", DetectorsSection, DetectorsSection())
    severity = section(document, "severity", Severities, settings.severity)
    currency = section(document, "base_currency", str, settings.base_currency)
    return msgspec.structs.replace(settings, severity=severity, base_currency=currency)


def _traffic(
    detection: DetectorsSection, document: RulesDocument, window_seconds: int | None
) -> TrafficSettings:
    """The traffic settings, with what they share with the other detectors, and the calendar."""
    own = msgspec.structs.asdict(detection.traffic)
    return TrafficSettings(
        **own | {"window_seconds": window_seconds or detection.traffic.window_seconds},
        rates={detection.base_currency: 1.0} | detection.rates,
        severity=detection.severity,
        calendar=section(document, "calendar", Calendar, Calendar()),
    )
