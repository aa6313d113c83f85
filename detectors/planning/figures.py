"""What a trial says about the people on call: pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec

from detectors.planning.trial import Found, Trial
from txwatch.coverage import Tally
from txwatch.model import Severity, Verdict

SAMPLES = 5
All = Mapping[str, Found]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How many were found before, how many would be after, and how they meet."""

    name: str
    before: int
    after: int
    new: int
    lost: int
    unchanged: int


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """The hour with the most alerts after the change."""

    start: datetime
    before: int
    after: int


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """What else says what a changed rule says."""

    rule: str
    hits: int
    found_before: int
    """Of them, anomalies before the change too."""
    other_rules: dict[str, int]
    alone: int
    """Nothing else speaks for them, no detector either."""


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule in shadow would hit."""

    rule: str
    hits: int
    found: int
    """Of them, anomalies all the same."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What people said of anomalies that are new; nobody knows of the unlabelled."""

    fraud: int
    not_fraud: int
    unlabelled: int


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A plan's figures."""

    since: datetime
    until: datetime
    transactions: int
    ended_early: bool
    by_day: tuple[Change, ...]
    by_severity: tuple[Change, ...]
    alerts: Change
    """Of those of the severity from which on somebody is told."""
    regraded: int
    """Found by both, of another severity after the change."""
    busiest: Hour | None
    overlaps: tuple[Overlap, ...]
    shadows: tuple[Shadow, ...]
    """Of every rule that is in shadow after the change."""
    samples_new: tuple[Found, ...]
    samples_lost: tuple[Found, ...]
    labelled_new: Judged
    labelled_lost: Judged
    share: float
    share_high: float
    """Of transactions that would be anomalies, and those of high severity or more: what the guard expects."""
    begins_anew: tuple[str, ...]
    state_bytes_before: int
    state_bytes_after: int


def figures_of(
    trial: Trial,
    rules: Sequence[str],
    told_from: Severity,
    labels: Mapping[str, Verdict],
    shadows: Sequence[str] = (),
) -> Figures:
    """Return the figures of a trial of changed rules and of those in shadow; labels are by anomaly id."""
    old, new = trial.before, trial.after
    added = _worst_first({key: found for key, found in new.items() if key not in old})
    lost = _worst_first({key: found for key, found in old.items() if key not in new})
    per = max(trial.transactions, 1)
    return Figures(
        since=trial.since,
        until=trial.until,
        transactions=trial.transactions,
        ended_early=trial.ended_early,
        by_day=_grouped(old, new, lambda found: f"{found.at:%Y-%m-%d}"),
        by_severity=tuple(
            sorted(
                _grouped(old, new, lambda found: found.severity.word),
                key=lambda each: -Severity.parse(each.name),
            )
        ),
        alerts=_change("alerts", _from(old, told_from), _from(new, told_from)),
        regraded=sum(key in old and old[key].severity != found.severity for key, found in new.items()),
        busiest=_busiest(old, new, told_from),
        overlaps=tuple(_overlap(rule, old, new) for rule in rules),
        shadows=tuple(_shadow(rule, trial.shadow.get(rule, Tally())) for rule in shadows),
        samples_new=tuple(new[key] for key in added[:SAMPLES]),
        samples_lost=tuple(old[key] for key in lost[:SAMPLES]),
        labelled_new=_judged(added, labels),
        labelled_lost=_judged(lost, labels),
        share=len(new) / per,
        share_high=sum(found.severity >= Severity.HIGH for found in new.values()) / per,
        begins_anew=trial.anew,
        state_bytes_before=trial.state_bytes[0],
        state_bytes_after=trial.state_bytes[1],
    )


def _shadow(rule: str, tally: Tally) -> Shadow:
    return Shadow(rule=rule, hits=tally.hits, found=tally.known)


def _grouped(old: All, new: All, name_of: Callable[[Found], str]) -> tuple[Change, ...]:
    names = sorted({name_of(found) for found in (*old.values(), *new.values())})
    return tuple(
        _change(name, *({k for k, found in all_.items() if name_of(found) == name} for all_ in (old, new)))
        for name in names
    )


def _from(all_: All, severity: Severity) -> set[str]:
    return {key for key, found in all_.items() if found.severity >= severity}


def _change(name: str, old: set[str], new: set[str]) -> Change:
    return Change(
        name=name,
        before=len(old),
        after=len(new),
        new=len(new - old),
        lost=len(old - new),
        unchanged=len(old & new),
    )


def _busiest(old: All, new: All, told_from: Severity) -> Hour | None:
    hours = [Counter(_hour(all_[key]) for key in _from(all_, told_from)) for all_ in (old, new)]
    if not hours[1]:
        return None
    start, after = max(hours[1].items(), key=lambda item: (item[1], item[0]))
    return Hour(start=start, before=hours[0][start], after=after)


def _hour(found: Found) -> datetime:
    return found.at.replace(minute=0, second=0, microsecond=0)


def _overlap(rule: str, old: All, new: All) -> Overlap:
    hits = {key: found for key, found in new.items() if rule in found.rules}
    others = Counter(other for found in hits.values() for other in found.rules if other != rule)
    return Overlap(
        rule=rule,
        hits=len(hits),
        found_before=sum(key in old for key in hits),
        other_rules=dict(others.most_common(SAMPLES)),
        alone=sum(found.only_rules and len(found.rules) == 1 for found in hits.values()),
    )


def _worst_first(all_: All) -> list[str]:
    return sorted(all_, key=lambda key: (-all_[key].severity, all_[key].at, key))


def _judged(keys: Sequence[str], labels: Mapping[str, Verdict]) -> Judged:
    said = Counter(labels[key] for key in keys if key in labels)
    fraud, not_fraud = said[Verdict.FRAUD], said[Verdict.FALSE_POSITIVE]
    return Judged(fraud=fraud, not_fraud=not_fraud, unlabelled=len(keys) - fraud - not_fraud)
