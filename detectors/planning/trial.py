"""Two configurations over the same history: what each finds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial

import msgspec
import polars as pl

from detectors.detection import Configuration, Detection
from txwatch.coverage import Counted, Tally, added, shadow_hits
from txwatch.model import Anomaly, AnomalyState, Mode, Severity

ENOUGH = 20_000
"""Anomalies after which a flood has shown itself and the trial ends."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One anomaly of a trial, as far as it is counted and shown."""

    at: datetime
    severity: Severity
    rules: tuple[str, ...]
    only_rules: bool
    """Whether nothing but rules speaks for it."""
    who: str
    sentence: str


class Trial(msgspec.Struct, kw_only=True):
    """What two configurations found in the time that counts, by anomaly id."""

    since: datetime
    until: datetime
    transactions: int = 0
    before: dict[str, Found] = msgspec.field(default_factory=dict)
    after: dict[str, Found] = msgspec.field(default_factory=dict)
    anew: tuple[str, ...] = ()
    """What begins anew when the one goes over into the other."""
    state_bytes: tuple[int, int] = (0, 0)
    ended_early: bool = False
    shadow: dict[str, Tally] = msgspec.field(default_factory=dict)
    """What rules in shadow would hit after the change, by id."""


def tried(
    frames: Iterable[pl.DataFrame],
    before: Configuration,
    after: Configuration,
    since: datetime,
    until: datetime,
    *,
    batch: int,
    looked: Callable[[datetime, int], None] = lambda *_: None,
) -> Trial:
    """Step both over frames (columns FEED, in order of event time); what is before `since` warms up.

    `looked` hears how far it is, and how many transactions it has seen.
    """
    trial = Trial(since=since, until=until)
    old, new = Detection.fresh(before), Detection.fresh(after)
    looked_at: list[Counted] = []
    seen = 0
    for rows in _batches(frames, since, batch):
        at = _newest(rows)
        for detection, found in ((old, trial.before), (new, trial.after)):
            findings = detection.step(rows, partial(_said, at))
            found.update(_counted(findings.anomalies, since))
            for each in findings.anomalies:
                if each.state is AnomalyState.WITHDRAWN:
                    found.pop(each.anomaly_id, None)
        if at >= since:
            trial.transactions += rows.height
            looked_at.append(findings.looked_at)
        seen += rows.height
        looked(at, seen)
        if len(trial.after) > ENOUGH + 10 * len(trial.before):
            trial.ended_early, trial.until = True, at
            break
    trial.state_bytes = (old.state_bytes(), new.state_bytes())
    trial.shadow = shadow_hits(added(looked_at))
    trial.anew = tuple(old.changed(after, trusted=True)[1])
    return trial


def _batches(frames: Iterable[pl.DataFrame], since: datetime, batch: int) -> Iterator[pl.DataFrame]:
    """Yield batches, each of them either before `since` or not; cutting changes no finding."""
    for rows in (part for frame in frames for part in frame.iter_slices(batch)):
        counts = pl.col("timestamp") >= since
        yield from (part for part in (rows.filter(~counts), rows.filter(counts)) if not part.is_empty())


def _said(at: datetime) -> datetime:
    return at


def _newest(rows: pl.DataFrame) -> datetime:
    newest = rows["timestamp"].max()
    assert isinstance(newest, datetime)
    return newest


def _counted(anomalies: Sequence[Anomaly], since: datetime) -> dict[str, Found]:
    return {
        each.anomaly_id: Found(
            at=each.timestamp,
            severity=each.severity,
            rules=each.rules,
            only_rules=all(reason.detector == "rules" for reason in each.reasons),
            who=f"{each.entity_kind} {each.entity_id}",
            sentence=each.reasons[0].sentence,
        )
        for each in anomalies
        if each.mode is Mode.LIVE and each.timestamp >= since and each.state is AnomalyState.FOUND
    }
