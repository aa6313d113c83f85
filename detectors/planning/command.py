"""A plan from the rules in force, an edited file and the stored past."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from detectors.configuration import drafted, known_configuration
from detectors.planning.differing import Difference, changed_rules, differences
from detectors.planning.figures import Figures, figures_of
from detectors.planning.history import between, newest
from detectors.planning.trial import tried
from txwatch.model import RulesVersion, Severity
from txwatch.workplace import Workplace

Looked = Callable[[float, str], None]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an edited file would do."""

    version: str
    """Of the edited rules."""
    differences: tuple[Difference, ...]
    figures: Figures | None
    """None where nothing was stored to try it on."""


def planned(
    workplace: Workplace, used: RulesVersion, file: Path, days: float, warm_up: float, looked: Looked
) -> Plan:
    """Return the plan of a file; `looked` hears the share that is done, and how long it will take."""
    content = file.read_bytes()
    before, after = drafted(file, used.content, used.beside), drafted(file, content)
    wanted = known_configuration(file, content)
    until = newest(workplace.store)
    figures = None
    if until is not None:
        until += timedelta(milliseconds=1)
        since = until - timedelta(days=days)
        first = since - timedelta(days=warm_up)
        trial = tried(
            between(workplace.store, first, until, wanted.canaries),
            known_configuration(file, used.content, used.beside),
            wanted,
            since,
            until,
            batch=workplace.settings.scored_together,
            looked=_timed(until, looked),
        )
        alerts = after.document.section("alerts") or {}
        labels = {each.anomaly_id: each.verdict for each in workplace.ledger.labels()}
        told_from = Severity.parse(alerts.get("min_severity", "high"))
        shadows = [rule.spec.id for rule in after.rules if rule.spec.mode == "shadow"]
        figures = figures_of(trial, changed_rules(before, after), told_from, labels, shadows)
    return Plan(version=wanted.version, differences=tuple(differences(before, after)), figures=figures)


def _timed(until: datetime, looked: Looked) -> Callable[[datetime, int], None]:
    """Tell the share of the time that is behind, and from that how long the rest takes.

    The first batch is not counted: it compiles, and may lie anywhere.
    """
    began: list[tuple[float, datetime]] = []

    def tell(at: datetime, seen: int) -> None:
        if not began:
            began.append((time.monotonic(), at))
            return
        started, start = began[0]
        behind = max((at - start) / (until - start), 1e-9)
        left = (time.monotonic() - started) * (1 - behind) / behind
        looked(behind, f"{seen:,} transactions, about {left:.0f} s more")

    return tell
