"""The guard: after a change of the rules, does the change bring more anomalies than it may?

Where nothing but rules changed, the rules before it are evaluated beside them, and what they would have found
too does not count: an attack right after a change is no fault of the change.

Pure.  It counts what detection found, in event time, and is part of the detection's memory, so a crash
and a replay lead to the same verdict.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import polars as pl

from detectors.rules.former import Former
from txwatch.model import Anomaly, Mode, Severity

SLOT_MS = 600_000
"""Counts are kept by ten minutes of event time."""
SLOTS = 144
"""A day of them is the past."""
PRIOR = (2.0, 200.0)
"""Anomalies among transactions that are taken for seen before any past: one in a hundred."""
CERTAIN = 14.0
"""Nats: chance does not lead so far in more than one of a million cases."""

Positive = Annotated[float, msgspec.Meta(gt=0)]
Factor = Annotated[float, msgspec.Meta(gt=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
KINDS = ("all", "high")
RULE = "rule "
"""Begins the names of what is planned of a single rule."""
NOTHING_PLANNED: Mapping[str, float] = {}


class GuardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a change is watched, and how many more anomalies it may bring.

    `tolerance` times as large a share of anomalies as in the day before the change is the most, of all
    of them and of those of high severity or more.  Fewer than `least` never count as a flood.
    """

    on: bool = True
    tolerance: Factor = 10.0
    minutes: Positive = 60.0
    """Of event time."""
    transactions: Count = 1000
    """A change is watched for so many at least."""
    least: Count = 20
    second_person: Literal["none", "high", "all"] = "none"
    """Which changes somebody else than their author has to approve: none; all; or those that concern rules
    of high severity or more, detectors, or how severity is graded."""


class Watch(msgspec.Struct, kw_only=True):
    """One change under watch."""

    version: str
    trusted: str
    """The version that comes back if the change is a flood."""
    since: int
    """Event time in milliseconds."""
    expected: dict[str, float]
    """Share of transactions that are anomalies, in the past."""
    transactions: int = 0
    found: dict[str, int] = msgspec.field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    """Anomalies that the change brings; all of them, where that cannot be told."""
    former: Former | None = None
    """What the change replaced; None where it changed more than rules."""
    planned: dict[str, float] = {}
    """Share of transactions that a plan says a rule hits, by id."""
    hits: dict[str, int] = msgspec.field(default_factory=dict)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a guard remembers."""

    now: int
    past: dict[int, tuple[int, int, int]]
    watch: Watch | None
    quiet: tuple[str, ...] = ()


class Guard:
    """Counts transactions and live anomalies, and watches the last change."""

    def __init__(self, settings: GuardSettings, kept: Memory | None = None) -> None:
        self._settings = settings
        self._now = kept.now if kept else 0
        self._past = dict(kept.past) if kept else {}
        self.watch = kept.watch if kept else None
        self._quiet = list(kept.quiet) if kept else []

    def begin(
        self,
        settings: GuardSettings,
        version: str,
        trusted: str | None,
        planned: Mapping[str, float] = NOTHING_PLANNED,
        former: Former | None = None,
    ) -> "Guard":
        """Return the guard of another version, which it watches; None trusts that version.

        `former` is what the change replaced, if that is known and nothing but rules changed; of a change
        while another is watched, what both replaced.

        What was `planned` is expected where it is more than the past.  A change while another is watched is
        held against what was trusted before both.
        """
        guard = Guard(settings, self.kept())
        before = self.watch
        guard.watch = None
        if trusted is not None and settings.on:
            guard.watch = Watch(
                version=version,
                trusted=before.trusted if before else trusted,
                since=self._now,
                expected=_larger(before.expected if before else self._expected(), planned),
                former=former,
                planned={
                    name.removeprefix(RULE): share for name, share in planned.items() if name.startswith(RULE)
                },
            )
        elif before is not None:
            guard._forget(before.since)  # what was found meanwhile is no past to go by
        return guard

    def step(
        self, rows: pl.DataFrame, anomalies: Sequence[Anomaly], before: Mapping[str, int] | None = None
    ) -> None:
        """Count a batch (column timestamp) and what was found in it.

        `before` has the severity under the rules before the change, 0 for none, of each anomaly (by id) that
        a rule can make; what is not in it has nothing to do with rules.
        """
        if rows.is_empty():
            return
        counted = [each for each in anomalies if each.mode is Mode.LIVE and each.revision == 0]
        high = [each for each in counted if each.severity >= Severity.HIGH]
        self._count(rows["timestamp"].dt.epoch("ms").to_numpy(), counted, high)
        if self.watch is not None:
            self._watch(self.watch, rows.height, counted, before)
            if self._is_over(self.watch):
                self._quiet += _quiet(self.watch, self._settings)
                self.watch = None

    def flood(self) -> str | None:
        """Return a sentence if the change brings more anomalies than it may, else None."""
        watch = self.watch
        if watch is None:
            return None
        for kind in KINDS:
            share, most = self._share(watch, kind), self._most(watch, kind)
            if watch.found[kind] >= self._settings.least and _is_beyond(watch.transactions, share, most):
                return self._sentence(watch, kind)
        return None

    def quiet(self) -> list[str]:
        """Return, once, which rules hit far less than a plan said, in sentences."""
        told, self._quiet = self._quiet, []
        return told

    def said(self) -> str:
        """Return what is watched, in words; empty when nothing is."""
        if self.watch is None:
            return ""
        share, most = self._share(self.watch, "all"), self._most(self.watch, "all")
        what = "anomalies" if self.watch.former is None else "anomalies by this change"
        return f"watched: {share:.2%} of {self.watch.transactions:,} are {what}, at most {most:.2%} may be"

    def kept(self) -> Memory:
        """Return a copy of everything that is remembered."""
        watch = None if self.watch is None else msgspec.structs.replace(self.watch)
        return Memory(now=self._now, past=dict(self._past), watch=watch, quiet=tuple(self._quiet))

    def _watch(
        self, watch: Watch, rows: int, counted: Sequence[Anomaly], before: Mapping[str, int] | None
    ) -> None:
        brought = _brought(counted, before if watch.former is not None else None)
        watch.transactions += rows
        watch.found = {kind: watch.found[kind] + brought[kind] for kind in KINDS}
        watch.hits = {
            rule: watch.hits.get(rule, 0) + sum(rule in each.rules for each in counted)
            for rule in watch.planned
        }

    def _count(self, times: Any, counted: Sequence[Anomaly], high: Sequence[Anomaly]) -> None:
        self._now = max(self._now, int(times.max()))
        for slot, number in zip(*np.unique(times // SLOT_MS, return_counts=True), strict=True):
            self._add(int(slot), (int(number), 0, 0))
        for found, ones in ((counted, (0, 1, 0)), (high, (0, 0, 1))):
            for each in found:
                self._add(int(each.timestamp.timestamp() * 1000) // SLOT_MS, ones)
        oldest = self._now // SLOT_MS - SLOTS
        self._past = {slot: counts for slot, counts in self._past.items() if slot >= oldest}

    def _add(self, slot: int, more: tuple[int, int, int]) -> None:
        known = self._past.get(slot, (0, 0, 0))
        self._past[slot] = (known[0] + more[0], known[1] + more[1], known[2] + more[2])

    def _forget(self, since: int) -> None:
        self._past = {slot: counts for slot, counts in self._past.items() if slot < since // SLOT_MS}

    def _expected(self) -> dict[str, float]:
        found, of = PRIOR
        transactions = of + sum(counts[0] for counts in self._past.values())
        totals = (sum(counts[place] for counts in self._past.values()) for place in (1, 2))
        return {kind: (found + total) / transactions for kind, total in zip(KINDS, totals, strict=True)}

    def _is_over(self, watch: Watch) -> bool:
        minutes = (self._now - watch.since) / 60_000
        return minutes >= self._settings.minutes and watch.transactions >= self._settings.transactions

    def _share(self, watch: Watch, kind: str) -> float:
        return min(watch.found[kind] / max(watch.transactions, 1), 1.0)

    def _most(self, watch: Watch, kind: str) -> float:
        return min(self._settings.tolerance * watch.expected[kind], 0.9)

    def _sentence(self, watch: Watch, kind: str) -> str:
        severe = " of high severity or more" if kind == "high" else ""
        severe += "" if watch.former is None else " by this change"
        minutes = (self._now - watch.since) / 60_000
        return (
            f"{watch.found[kind]:,} of {watch.transactions:,} transactions in {minutes:.1f} min of event "
            f"time are anomalies{severe}, {self._share(watch, kind):.1%}; it was "
            f"{watch.expected[kind]:.2%} before or in a plan, at most {self._most(watch, kind):.1%} may be"
        )


def _brought(counted: Sequence[Anomaly], before: Mapping[str, int] | None) -> dict[str, int]:
    """Return how many anomalies there would not be without the change, or not as severe."""
    high = [each for each in counted if each.severity >= Severity.HIGH]
    if before is None:
        return {"all": len(counted), "high": len(high)}
    return {
        "all": sum(before.get(each.anomaly_id) == 0 for each in counted),
        "high": sum(before.get(each.anomaly_id, Severity.HIGH) < Severity.HIGH for each in high),
    }


def _quiet(watch: Watch, settings: GuardSettings) -> list[str]:
    """Return a sentence for each rule of which surely fewer than a tolerated part of the plan came true."""
    said = []
    for rule, share in watch.planned.items():
        least, found = share / settings.tolerance, watch.hits.get(rule, 0)
        if _is_below(watch.transactions, found / max(watch.transactions, 1), least):
            said.append(
                f"rule {rule} hit {found:,} of {watch.transactions:,} transactions; a plan said {share:.2%}, "
                f"which were {share * watch.transactions:,.0f}"
            )
    return said


def _larger(past: Mapping[str, float], planned: Mapping[str, float]) -> dict[str, float]:
    return {kind: max(past[kind], planned.get(kind, 0.0)) for kind in KINDS}


def _is_below(transactions: int, share: float, least: float) -> bool:
    """Tell whether a share is surely below `least`: the same bound on the other tail."""
    return share < least and _is_beyond(transactions, 1.0 - share, 1.0 - least)


def _is_beyond(transactions: int, share: float, most: float) -> bool:
    """Tell whether a share is surely above `most`: Chernoff's bound on the binomial tail."""
    if share <= most:
        return False
    apart = share * math.log(share / most)
    if share < 1:
        apart += (1 - share) * math.log((1 - share) / (1 - most))
    return transactions * apart > CERTAIN
