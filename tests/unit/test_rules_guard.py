"""The guard calls a flood what the past cannot explain, and nothing else."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest

from detectors.guard import Guard, GuardSettings, Memory
from detectors.rules.former import Former
from txwatch.model import Anomaly, AnomalyType, Mode, Severity

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
SETTINGS = GuardSettings()


class Stream:
    """Ten transactions a second, some of which are anomalies."""

    def __init__(self, guard: Guard) -> None:
        self.guard, self.now, self.number = guard, START, 0

    def run(
        self, minutes: float, share: float, severity=Severity.MEDIUM, mode=Mode.LIVE, before=None, rules=()
    ) -> float | None:
        """Step batches of 100; return after how many minutes the guard calls a flood, None if never.

        `before` is the severity that all of them had under the rules before, `rules` what hit them.
        """
        since = self.now
        while self.now < since + timedelta(minutes=minutes):
            times = [self.now + timedelta(milliseconds=100 * n) for n in range(100)]
            found = [
                msgspec.structs.replace(each, rules=rules)
                for each in self.anomalies(times, share, severity, mode)
            ]
            self.guard.step(
                pl.DataFrame({"timestamp": pl.Series(times, dtype=pl.Datetime("ms", "UTC"))}),
                found,
                None if before is None else {each.anomaly_id: before for each in found},
            )
            self.now += timedelta(seconds=10)
            if self.guard.flood() is not None:
                return (self.now - since).total_seconds() / 60
        return None

    def anomalies(self, times, share, severity, mode) -> list[Anomaly]:
        chosen = np.random.default_rng(self.number).random(100) < share
        self.number += 1
        return [
            Anomaly(
                anomaly_id=f"{self.number}-{n}",
                kind="transaction",
                type=AnomalyType.RULE,
                timestamp=times[n],
                detected_at=times[n],
                severity=severity,
                score=90.0,
                reasons=(),
                entity_kind="user",
                entity_id="u",
                mode=mode,
            )
            for n in np.flatnonzero(chosen)
        ]


def changed(stream: Stream, version: str = "new", trusted: str | None = "old") -> None:
    stream.guard = stream.guard.begin(SETTINGS, version, trusted)


@pytest.fixture
def stream():
    """Two hours with one anomaly in two hundred, then a change."""
    made = Stream(Guard(SETTINGS))
    made.run(120, 0.005)
    changed(made)
    return made


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_flood_is_called_within_two_minutes(stream, share):
    assert stream.run(10, share) <= 2


@pytest.mark.parametrize("share", [0.0, 0.005, 0.02, 0.045])
def test_what_the_tolerance_allows_is_never_called_a_flood(stream, share):
    """Ten times the past; thirteen batches a minute are judged for an hour."""
    assert stream.run(70, share) is None


def test_a_flood_of_the_severe_alone_is_called(stream):
    """As many as ever, but all of them high."""
    assert stream.run(70, 0.012, Severity.CRITICAL) is not None


def test_shadows_are_no_flood(stream):
    assert stream.run(10, 1.0, mode=Mode.SHADOW) is None


def test_a_change_is_watched_for_an_hour_and_for_enough_transactions(stream):
    stream.run(59, 0.005)
    still = stream.guard.watch
    stream.run(2, 0.005)

    assert still is not None
    assert stream.guard.watch is None
    assert stream.run(10, 1.0) is None


def test_without_any_past_only_a_tenth_is_a_flood():
    """Detection that has just begun knows no rate to hold a change against."""
    calm, flooded = Stream(Guard(SETTINGS)), Stream(Guard(SETTINGS))
    changed(calm)
    changed(flooded)

    assert calm.run(30, 0.05) is None
    assert flooded.run(30, 0.5) <= 2


def test_a_change_over_another_is_held_against_what_was_before_both(stream):
    """So an edit of a flood does not make the flood the past, and what comes back is what was trusted."""
    stream.run(1, 0.04)
    changed(stream, "newer", "new")

    assert stream.guard.watch.trusted == "old"
    assert stream.run(10, 0.2) <= 2


def test_what_a_flood_found_is_no_past(stream):
    """After the way back the next flood is called as soon as the first."""
    stream.run(10, 0.5)
    changed(stream, "old", None)
    changed(stream, "again", "old")

    assert stream.guard.watch.expected["all"] < 0.01
    assert stream.run(10, 0.2) <= 2


def test_switched_off_it_watches_nothing(stream):
    off = msgspec.structs.replace(SETTINGS, on=False)
    stream.guard = stream.guard.begin(off, "newer", "new")

    assert stream.guard.watch is None
    assert stream.guard.said() == ""


def test_kept_and_restored_it_goes_on(stream):
    """Through the form in which it lies in snapshots."""
    stream.run(0.5, 0.02)
    kept = msgspec.msgpack.decode(msgspec.msgpack.encode(stream.guard.kept()), type=Memory)
    other = Stream(Guard(SETTINGS, kept))
    other.now, other.number = stream.now, stream.number

    assert stream.run(10, 0.12) == other.run(10, 0.12)


def test_its_sentence_has_the_numbers(stream):
    stream.run(10, 1.0)

    said = stream.guard.flood()
    assert said.startswith(
        "100 of 100 transactions in 0.2 min of event time are anomalies, 100.0%; it was 0."
    )
    assert said.endswith("may be")


FORMER = Former(changed=("r",), rules=())


def compared(stream: Stream, **planned: float) -> None:
    """A change of rules alone, with the rules before it evaluated beside."""
    plan = {f"rule {name}": share for name, share in planned.items()}
    stream.guard = stream.guard.begin(SETTINGS, "new", "old", plan, FORMER)


@pytest.fixture
def settled():
    """Two hours with one anomaly in two hundred."""
    made = Stream(Guard(SETTINGS))
    made.run(120, 0.005)
    return made


def test_an_attack_that_the_rules_before_would_have_found_too_is_no_flood(settled):
    """However many it brings, and however severe."""
    compared(settled)

    assert settled.run(30, 0.6, Severity.CRITICAL, before=Severity.CRITICAL) is None


def test_what_only_the_change_finds_is_a_flood(settled):
    compared(settled)

    assert settled.run(10, 0.2, before=0) <= 2
    assert "are anomalies by this change" in settled.guard.flood()


def test_what_the_change_makes_severe_is_a_flood(settled):
    """They were found before, and nobody was woken for them."""
    compared(settled)

    assert settled.run(70, 0.2, Severity.CRITICAL, before=Severity.LOW) <= 2


def test_anomalies_that_no_rule_can_make_do_not_count_where_only_rules_changed(settled):
    """Those of series: they are in no comparison."""
    compared(settled)
    settled.guard.step(
        pl.DataFrame({"timestamp": pl.Series([settled.now], dtype=pl.Datetime("ms", "UTC"))}),
        settled.anomalies([settled.now] * 100, 1.0, Severity.CRITICAL, Mode.LIVE),
        {},
    )

    assert settled.guard.watch.found == {"all": 0, "high": 0}


def test_a_rule_that_hits_far_less_than_planned_is_told_once_when_the_watch_ends(settled):
    """One that does what the plan said is not."""
    compared(settled, silent=0.01, right=0.005)
    settled.run(59, 0.005, before=0, rules=("right",))
    early = settled.guard.quiet()
    settled.run(2, 0.005, before=0, rules=("right",))

    (said,) = settled.guard.quiet()
    assert early == []
    assert said.startswith("rule silent hit 0 of 36,")
    assert "a plan said 1.00%" in said
    assert settled.guard.quiet() == []


def test_a_few_hits_less_than_a_rare_plan_are_chance(settled):
    """Two planned in 36,000, none seen."""
    compared(settled, rare=2 / 36_000)
    settled.run(61, 0.005, before=0)

    assert settled.guard.quiet() == []
