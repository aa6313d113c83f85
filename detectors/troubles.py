"""Anomalies about the detection itself: a rules file that is refused, a rule that fails."""

from datetime import datetime

import msgspec

from txwatch.model import Anomaly, AnomalyType, Reason, Severity, configuration_anomaly_id

KIND = "configuration"
ENTITY = "rules.yaml"


def refused_rules(digest: str, fault: str, version: str, at: datetime) -> Anomaly:
    """Return the anomaly of a rules file of this SHA-256 that has faults; `version` stays in force."""
    head, _, rest = fault.partition("\n")
    sentence = f"the edited rules are refused, {version} stays in force: {head.rstrip(':')}"
    return _anomaly(f"refused {digest} {version}", "rules-refused", sentence, rest, version, at)


def broken_rule(fault: str, version: str, at: datetime) -> Anomaly:
    """Return the anomaly of a rule that failed while it was evaluated."""
    return _anomaly(f"broken {fault} {version}", "rule-set-aside", fault, "", version, at)


def rolled_back(bad: str, version: str, why: str, at: datetime) -> Anomaly:
    """Return the anomaly of rules that flooded, and that `version` was put in the place of."""
    sentence = f"rules {bad} were rolled back to {version} and stay out: {why}"
    return _anomaly(f"rolled back {bad} {version}", "rules-rolled-back", sentence, "", version, at)


def unusable_model(order: int, fault: str, at: datetime) -> Anomaly:
    """Return the anomaly of an order to let a model count that cannot be used."""
    made = _anomaly(f"model {order} {at.isoformat()}", "model-unusable", fault, "", "", at)
    reason = msgspec.structs.replace(made.reasons[0], entity_kind="models")
    return msgspec.structs.replace(
        made, reasons=(reason,), entity_kind="models", entity_id="models", versions={}
    )


def _anomaly(what: str, code: str, sentence: str, detail: str, version: str, at: datetime) -> Anomaly:
    reason = Reason(
        code=code,
        sentence=sentence,
        detector=KIND,
        type=AnomalyType.CONFIGURATION,
        entity_kind="rules",
        contribution=100.0,
        facts={"detail": detail} if detail else {},
    )
    return Anomaly(
        anomaly_id=configuration_anomaly_id(what),
        kind=KIND,
        type=AnomalyType.CONFIGURATION,
        timestamp=at,
        detected_at=at,
        severity=Severity.HIGH,
        score=100.0,
        reasons=(reason,),
        entity_kind="rules",
        entity_id=ENTITY,
        versions={"rules": version},
    )
