"""What late data does to a group: one of its anomalies is graded down, withdrawn, or there again.

Pure.  What was told of the anomaly stays told; the difference stands in the group's changes, and is told in
the group's own thread.
"""

import msgspec

from alerts.groups import CHANGES, Group, Sample, sample_of, the_worst
from txwatch.model import Anomaly, AnomalyState


def amends(anomaly: Anomaly) -> bool:
    """Tell whether an anomaly is only news to those who were told of it: it is withdrawn, or less severe."""
    down = anomaly.before is not None and anomaly.severity < anomaly.before
    return anomaly.state is AnomalyState.WITHDRAWN or down


def amended(group: Group, anomaly: Anomaly, now: float) -> Group:
    """Return a group when one of its anomalies was judged otherwise."""
    if anomaly.state is AnomalyState.WITHDRAWN and anomaly.anomaly_id in group.withdrawn:
        return group
    group = msgspec.structs.replace(
        group,
        last_at=now,
        changes=(*group.changes, difference(anomaly))[-CHANGES:],
        changed=group.changed + 1,
        reopened=group.reopened or not group.open,
        open=True,
    )
    return _less(group, anomaly) if anomaly.state is AnomalyState.WITHDRAWN else _regraded(group, anomaly)


def there_again(group: Group, anomaly: Anomaly) -> Group:
    """Return a group from whose withdrawn anomalies one is back; it is still to be joined."""
    left = tuple(name for name in group.withdrawn if name != anomaly.anomaly_id)
    samples = tuple(sample for sample in group.samples if sample.anomaly_id not in group.withdrawn)
    return msgspec.structs.replace(group, withdrawn=left, samples=samples)


def difference(anomaly: Anomaly) -> str:
    """Return one sentence: what is otherwise; of why only what is said of series, which names no person."""
    was = "" if anomaly.before is None else f", it was {anomaly.before.word}"
    now = anomaly.standing if amends(anomaly) else f"{anomaly.severity.word} ({anomaly.score:.0f})"
    why = f": {anomaly.reasons[0].sentence}" if anomaly.kind == "series" and anomaly.reasons else ""
    return f"anomaly {anomaly.anomaly_id} is {now}{was}{why}"


def _less(group: Group, anomaly: Anomaly) -> Group:
    """Take an anomaly out; the last one stays as the sample by which the group is named."""
    name = f"{anomaly.entity_kind} {anomaly.entity_id}"
    entities = {each: count - (each == name) for each, count in group.entities.items()}
    samples = tuple(each for each in group.samples if each.anomaly_id != anomaly.anomaly_id)
    left = msgspec.structs.replace(
        group,
        members=max(group.members - 1, 0),
        entities={each: count for each, count in entities.items() if count > 0},
        others=group.others - int(name not in group.entities and group.others > 0),
        samples=samples or (sample_of(anomaly, ()),),
        withdrawn=(*group.withdrawn, anomaly.anomaly_id),
    )
    return _with_severity(left, samples)


def _regraded(group: Group, anomaly: Anomaly) -> Group:
    targets = next((each.targets for each in group.samples if each.anomaly_id == anomaly.anomaly_id), ())
    others = [each for each in group.samples if each.anomaly_id != anomaly.anomaly_id]
    if len(others) == len(group.samples):
        return group
    samples = the_worst([*others, sample_of(anomaly, targets)])
    return _with_severity(msgspec.structs.replace(group, samples=samples), samples)


def _with_severity(group: Group, samples: tuple[Sample, ...]) -> Group:
    """Return the group with the severity of its worst anomaly, where all of them are at hand."""
    if not samples or group.members > len(samples):
        return group
    return msgspec.structs.replace(group, severity=max(each.severity for each in samples))
