"""Evaluates afterwards what was missed or failed: the same detection over the stored past.

It begins with empty baselines some days before the first gap, so it may judge a little otherwise than a
detector that ran all the time; anomalies that are known stay as they are, but for rules that failed then.
Series that are watched are made up for, too: their windows of a gap are counted and judged again from what is
stored, and replace what was judged without it.  What was told of such a window then (a silence, say) stays.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
import polars as pl

from detectors.detection import Configuration, Detection, Findings
from txwatch.coverage import BROKEN, FEED, SERIES, SHADOW, Counted, Tally, Window, added, missed, start_of
from txwatch.model import Anomaly
from txwatch.ports import SeriesPoint

EMPTY: Window = {}


class Gaps(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be evaluated afterwards."""

    windows: Counted
    """Everything that was looked at, around it."""
    stored: Mapping[datetime, int]

    def missed(self, start: datetime) -> int:
        """Return how many transactions of a window nobody evaluated."""
        return missed(self.windows.get(start, EMPTY), self.stored.get(start, 0))

    def failed(self, start: datetime) -> dict[str, int]:
        """Return the rules that failed in a window, and for how many transactions."""
        window = self.windows.get(start, EMPTY)
        return {
            name.removeprefix(BROKEN): tally.failed - tally.filled
            for name, tally in window.items()
            if tally.failed > tally.filled
        }


class Filled(msgspec.Struct, kw_only=True):
    """What came to light, and what may be counted as evaluated now."""

    anomalies: list[Anomaly] = msgspec.field(default_factory=list)
    points: list[SeriesPoint] = msgspec.field(default_factory=list)
    """Windows of series."""
    looked_at: dict[datetime, dict[str, Tally]] = msgspec.field(default_factory=dict)
    transactions: int = 0


def filled(
    frames: Iterable[pl.DataFrame],
    configuration: Configuration,
    gaps: Gaps,
    known: Mapping[str, Anomaly],
    now: Callable[[], datetime],
    batch: int,
    watched: Sequence[str] = (),
) -> Filled:
    """Return what the gaps hold.

    Args:
        frames: rows (columns FEED) in order of event time; they begin before the gaps.
        configuration: what is in force.
        gaps: what is to be evaluated.
        known: anomalies in the gaps.
        now: stamps what is found.
        batch: rows that are scored together.
        watched: the series that the detector watches, by their registered numbers; others are left out.
    """
    detection, result = Detection.fresh(configuration), Filled()
    events: dict[str, Anomaly] = {}
    numbers = {name: number for number, name in enumerate(watched)}
    again: list[Counted] = []
    for rows in (part for frame in frames for part in frame.iter_slices(batch)):
        findings = detection.step(rows, now)
        for anomaly in findings.anomalies:
            if anomaly.kind == "transaction":
                late = _late(anomaly, gaps, known.get(anomaly.anomaly_id))
                result.anomalies += [] if late is None else [late]
        result.points += [point for point in findings.points if _is_missed(point, gaps, numbers)]
        events |= {each.anomaly_id: each for each in _late_events(findings, gaps, numbers)}
        again.append(findings.looked_at)
    result.anomalies += [each for name, each in events.items() if name not in known]
    result.looked_at = added([_evaluated(added(again), gaps), _judged(result.points)])
    result.transactions = sum(window[FEED].filled for window in result.looked_at.values() if FEED in window)
    return result


def _is_missed(point: SeriesPoint, gaps: Gaps, numbers: Mapping[str, int]) -> bool:
    """Tell whether it is a window of a gap in which something was expected: else it would say less."""
    known = point.series in numbers and point.expected is not None
    return known and gaps.missed(start_of(point.start)) > 0


def _late_events(findings: Findings, gaps: Gaps, numbers: Mapping[str, int]) -> Iterator[Anomaly]:
    """Yield the anomalies of watched series in the gaps, under the numbers that their series have."""
    for each in findings.anomalies:
        number = numbers.get(each.series or "") if each.kind == "series" else None
        if number is not None and gaps.missed(start_of(each.timestamp)):
            yield msgspec.structs.replace(each, late=True, sequence=number)


def _judged(points: Sequence[SeriesPoint]) -> dict[datetime, dict[str, Tally]]:
    """Return how many windows of series were judged afterwards."""
    counts = Counter(start_of(point.start) for point in points)
    return {start: {SERIES: Tally(filled=count)} for start, count in counts.items()}


def _late(anomaly: Anomaly, gaps: Gaps, known: Anomaly | None) -> Anomaly | None:
    """Return what is new about an anomaly of a gap, marked late; None where nothing is."""
    start = start_of(anomaly.timestamp)
    rules = [rule for rule in anomaly.rules if rule in gaps.failed(start)]
    if known is not None:
        return _with_rules(known, anomaly, [rule for rule in rules if rule not in known.rules])
    if gaps.missed(start) or rules:
        return msgspec.structs.replace(anomaly, late=True)
    return None


def _with_rules(known: Anomaly, again: Anomaly, rules: Sequence[str]) -> Anomaly | None:
    if not rules:
        return None
    reasons = [each for each in again.reasons if each.detector == "rules" and each.code in rules]
    return msgspec.structs.replace(
        known,
        late=True,
        rules=(*known.rules, *rules),
        reasons=(*known.reasons, *reasons),
        severity=max(known.severity, again.severity),
    )


def _evaluated(again: Counted, gaps: Gaps) -> dict[datetime, dict[str, Tally]]:
    """Return what may be counted as evaluated afterwards, of what was looked at again."""
    found: dict[datetime, dict[str, Tally]] = {}
    for start, window in again.items():
        lacking, before = gaps.missed(start), gaps.windows.get(start, EMPTY)
        fills = {
            name: min(lacking, _rows(tally) - _rows(before.get(name, Tally())))
            for name, tally in window.items()
            if name != SERIES and not name.startswith((BROKEN, SHADOW))
        }
        fills |= {
            f"{BROKEN}{rule}": count
            for rule, count in gaps.failed(start).items()
            if f"{BROKEN}{rule}" not in window  # it fails again
        }
        tallies = {name: Tally(filled=count) for name, count in fills.items() if count > 0}
        found |= {start: tallies} if tallies else {}
    return found


def _rows(tally: Tally) -> int:
    return tally.evaluated + tally.warming_up + tally.without + tally.filled
