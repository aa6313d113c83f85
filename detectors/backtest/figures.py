"""The figures of a backtest: scores meet labels here, after everything has been scored."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from detectors.backtest.contest import Outcome
from detectors.backtest.measures import average_precision, bootstrap, place_in_day
from detectors.backtest.reliability import Band, reliability
from detectors.kernels.join import join
from detectors.types import Codes, Flags, Floats, Times
from txwatch.errors import InputError
from txwatch.model import Severity

DAY_MS: Final = 86_400_000
NO_EPISODE: Final = 0
_SILENT: Final = -20.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How to count."""

    budgets: Sequence[int]
    """Alerts a day."""
    skip_days: int = 0
    """Days at the start that are scored and not counted."""
    draws: int = 100
    seed: int = 1


class AtBudget(msgspec.Struct, frozen=True, kw_only=True):
    """The highest scores of each day, as many as the budget."""

    budget: int
    precision: float | None
    recall: float | None
    episode_recall: float | None


class Alerts(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts by the contender's own threshold, or a part of them."""

    name: str
    alerts: int
    right: int
    left_out: int
    """Frauds of kinds that are left out: neither right nor wrong."""
    precision: float | None


class Without(msgspec.Struct, frozen=True, kw_only=True):
    """A contender without one detector's evidence."""

    detector: str
    average_precision: float
    episode_recall: float | None
    """At the largest budget."""


class Delay(msgspec.Struct, frozen=True, kw_only=True):
    """From an episode's first payment to the first alert that is one of its payments."""

    episodes: int
    found: int
    median_hours: float | None
    p90_hours: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One contender, judged."""

    name: str
    payments: int
    frauds: int
    days: int
    average_precision: float
    spread: tuple[float, float] | None
    """2.5 and 97.5 % of the average precision over resampled days."""
    better_than_champion: float | None
    """Share of the draws in which it beats the first contender; None for the first."""
    alerts_a_day: float
    alerts_by_day: Sequence[int]
    own: Alerts
    recall: float
    delay: Delay | None
    budgets: Sequence[AtBudget]
    by_detector: Sequence[Alerts]
    """Alerts by their largest hypothesis."""
    by_severity: Sequence[Alerts]
    reliability: Sequence[Band]
    without: Sequence[Without]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """The counted rows of one outcome beside the truth; arrays of shape (n,)."""

    outcome: Outcome
    rows: npt.NDArray[np.int64]
    """Which rows of the outcome these are."""
    score: Floats
    day: Times
    time: Times
    place: npt.NDArray[np.int64]
    """Place of the score within its day, 0 the highest."""
    is_fraud: Flags
    """Frauds that count."""
    counts: Flags
    """False for frauds that are left out."""
    episode: npt.NDArray[np.int64]
    """NO_EPISODE for none."""
    is_alert: Flags
    severity: Codes

    def with_score(self, score: Floats) -> "Judged":
        """Return the same rows with other scores."""
        return msgspec.structs.replace(self, score=score, place=place_in_day(score, self.day))


def judge(outcomes: Sequence[Outcome], truth: pl.DataFrame, plan: Plan) -> list[Judged]:
    """Return the counted rows of each outcome beside the truth; all are about the same payments.

    Raises InputError when no payment or no fraud is counted.
    """
    judged = [_judged(outcome, truth, plan) for outcome in outcomes]
    first = judged[0]
    if not first.is_fraud.any():
        raise InputError(
            f"none of the {len(first.time):,} payments that count is a fraud by these labels; "
            "a backtest needs labels of the same transaction_id, after the skipped days"
        )
    return judged


def figures_of(judged: Sequence[Judged], plan: Plan) -> list[Figures]:
    """Return the figures of each contender; the first is the champion."""
    first = judged[0]
    scores = [one.score[one.counts] for one in judged]
    is_fraud, day = first.is_fraud[first.counts], first.day[first.counts]
    draws = bootstrap(scores, is_fraud, day, plan.draws, plan.seed)
    return [_figures(one, draws, k, plan) for k, one in enumerate(judged)]


def _judged(outcome: Outcome, truth: pl.DataFrame, plan: Plan) -> Judged:
    begin = int(outcome.time.min(initial=0x7FFF_FFFF_FFFF)) // DAY_MS + plan.skip_days
    rows = np.flatnonzero(outcome.time // DAY_MS >= begin)
    ids = outcome.transaction_id.gather(rows).alias("transaction_id").to_frame()
    known = ids.join(truth, on="transaction_id", how="left", maintain_order="left")
    is_left_out = known["is_left_out"].fill_null(value=False).to_numpy()
    score, time = outcome.score[rows], outcome.time[rows]
    return Judged(
        outcome=outcome,
        rows=rows,
        score=score,
        day=time // DAY_MS,
        time=time,
        place=place_in_day(score, time // DAY_MS),
        is_fraud=known["kind"].is_not_null().to_numpy() & ~is_left_out,
        counts=~is_left_out,
        episode=known["episode"].fill_null(NO_EPISODE).to_numpy(),
        is_alert=outcome.is_anomaly[rows],
        severity=outcome.severity[rows],
    )


def _figures(one: Judged, draws: Floats, k: int, plan: Plan) -> Figures:
    finite = draws[np.isfinite(draws).all(axis=1)]
    own = _alerts("own threshold", one, one.is_alert)
    by_day = np.bincount(one.day - one.day.min(), weights=one.is_alert).astype(int).tolist()
    return Figures(
        name=one.outcome.name,
        payments=len(one.time),
        frauds=int(one.is_fraud.sum()),
        days=len(by_day),
        average_precision=average_precision(one.score[one.counts], one.is_fraud[one.counts]),
        spread=_spread(finite[:, k]) if len(finite) else None,
        better_than_champion=float((finite[:, k] > finite[:, 0]).mean()) if k and len(finite) else None,
        alerts_a_day=own.alerts / len(by_day),
        alerts_by_day=by_day,
        own=own,
        recall=float(one.is_alert[one.is_fraud].mean()),
        delay=_delay(one),
        budgets=[at_budget(one, budget) for budget in plan.budgets],
        by_detector=_by_detector(one),
        by_severity=[_alerts(s.word, one, one.severity == int(s)) for s in Severity],
        reliability=reliability(one.score[one.counts], one.is_fraud[one.counts]),
        without=_without_each(one, max(plan.budgets)),
    )


def at_budget(one: Judged, budget: int) -> AtBudget:
    """Return what the highest scores of each day find."""
    taken = one.place < budget
    counted = taken & one.counts
    return AtBudget(
        budget=budget,
        precision=float(one.is_fraud[counted].mean()) if counted.any() else None,
        recall=float(taken[one.is_fraud].mean()),
        episode_recall=_episode_recall(one, taken),
    )


def _episode_recall(one: Judged, taken: Flags) -> float | None:
    labelled = one.is_fraud & (one.episode != NO_EPISODE)
    if not labelled.any():
        return None
    return len(np.unique(one.episode[labelled & taken])) / len(np.unique(one.episode[labelled]))


def _spread(found: Floats) -> tuple[float, float]:
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def _alerts(name: str, one: Judged, part: Flags) -> Alerts:
    counted = part & one.counts
    right = int((one.is_fraud & part).sum())
    precision = right / int(counted.sum()) if counted.any() else None
    left_out = int((part & ~one.counts).sum())
    return Alerts(name=name, alerts=int(part.sum()), right=right, left_out=left_out, precision=precision)


def _by_detector(one: Judged) -> list[Alerts]:
    largest = np.full(len(one.rows), -1)
    flagged = np.flatnonzero(one.is_alert)
    evidence = one.outcome.evidence[one.rows[flagged]]
    largest[flagged] = evidence.argmax(axis=1)
    largest[flagged[(evidence <= _SILENT).all(axis=1)]] = -1
    found = [_alerts(name, one, largest == k) for k, name in enumerate(one.outcome.detectors)]
    by_rules = _alerts("rules alone", one, one.is_alert & (largest == -1))
    return [part for part in (*found, by_rules) if part.alerts]


def _without_each(one: Judged, budget: int) -> list[Without]:
    """Leave each detector's evidence out of the join; the others' calibration stays as it was."""
    names, evidence = one.outcome.detectors, one.outcome.evidence[one.rows].astype(np.float64)
    if len(names) < 2:
        return []
    found, joint = [], np.empty(len(one.rows))
    for k, name in enumerate(names):
        join(np.ascontiguousarray(np.delete(evidence, k, axis=1)), joint)
        other = one.with_score(joint.copy())
        found.append(
            Without(
                detector=name,
                average_precision=average_precision(joint[one.counts], one.is_fraud[one.counts]),
                episode_recall=at_budget(other, budget).episode_recall,
            )
        )
    return found


def _delay(one: Judged) -> Delay | None:
    labelled = one.is_fraud & (one.episode != NO_EPISODE)
    if not labelled.any():
        return None
    table = pl.DataFrame(
        {"episode": one.episode[labelled], "time": one.time[labelled], "alert": one.is_alert[labelled]}
    )
    begun = table.group_by("episode").agg(pl.col("time").min())
    first = table.filter("alert").group_by("episode").agg(pl.col("time").min().alias("first"))
    hours = begun.join(first, on="episode")
    delays = ((hours["first"] - hours["time"]) / 3_600_000.0).to_numpy()
    median, p90 = np.quantile(delays, [0.5, 0.9]).tolist() if len(delays) else (None, None)
    return Delay(episodes=begun.height, found=len(delays), median_hours=median, p90_hours=p90)
