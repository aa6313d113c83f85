"""What a person reads first: one line, with the numbers."""

from txwatch.model import Anomaly


def headline(anomaly: Anomaly) -> str:
    """Return one line: severity, when, who, why, and the id to look it up by."""
    why = anomaly.reasons[0].sentence if anomaly.reasons else anomaly.type.value
    when = anomaly.timestamp.strftime("%Y-%m-%d %H:%M:%S")
    return (
        f"{anomaly.standing.upper():8} {when} {anomaly.entity_kind} {anomaly.entity_id}: "
        f"{why} [{anomaly.anomaly_id}]"
    )
