"""Evaluates afterwards what was missed or failed: the same detection over the stored past.

It begins with empty baselines some days before the first gap, so it may judge a little otherwise than a
detector that ran all the time; anomalies that are known stay as they are, but for rules that failed then.
Series are left out: their windows were judged without the missing transactions, and stay so.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
import polars as pl

from detectors.detection import Configuration, Detection
from txwatch.coverage import BROKEN, FEED, SERIES, SHADOW, Counted, Tally, Window, added, missed, start_of
from txwatch.model import Anomaly

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
    looked_at: dict[datetime, dict[str, Tally]] = msgspec.field(default_factory=dict)
    transactions: int = 0


def filled(
    frames: Iterable[pl.DataFrame],
    configuration: Configuration,
    gaps: Gaps,
    known: Mapping[str, Anomaly],
    now: Callable[[], datetime],
    batch: int,
) -> Filled:
    """Return what the gaps hold; `frames` (columns FEED) begin before them, `known` are anomalies in them."""
    detection, result = Detection.fresh(configuration), Filled()
    again: list[Counted] = []
    for rows in (part for frame in frames for part in frame.iter_slices(batch)):
        findings = detection.step(rows, now)
        for anomaly in findings.anomalies:
            if anomaly.kind == "transaction":
                late = _late(anomaly, gaps, known.get(anomaly.anomaly_id))
                result.anomalies += [] if late is None else [late]
        again.append(findings.looked_at)
    result.looked_at = _evaluated(added(again), gaps)
    result.transactions = sum(window[FEED].filled for window in result.looked_at.values() if FEED in window)
    return result


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
