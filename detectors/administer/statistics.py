"""How rules and detectors do, by what people said of their anomalies: pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from txwatch.coverage import Tally
from txwatch.model import Anomaly, Mode, Verdict

KINDS = ("rule", "detector", "shadow")
NOTHING: Mapping[str, Tally] = {}


class Statistic(msgspec.Struct, frozen=True, kw_only=True):
    """One rule, or one detector that gave the largest reason.

    `precision` is that of the labelled, None where nobody labelled one as fraud or false positive.
    """

    kind: str
    """rule | detector | shadow: a rule that is only counted"""
    name: str
    anomalies: int
    alone: int
    """Of them, those that no other rule hit; for a detector, those that no rule hit; for a rule in shadow,
    those that were no anomalies without it."""
    fraud: int
    false_positive: int
    unlabelled: int
    precision: float | None


def statistics(
    anomalies: Sequence[Anomaly],
    rules: Sequence[str],
    labels: Mapping[str, Verdict],
    shadow: Mapping[str, Tally] = NOTHING,
) -> list[Statistic]:
    """Return how each rule does, those that hit nothing too, then each detector; the busiest first.

    Last come rules in `shadow`, of which only hits are counted: nobody was asked what these were.
    """
    counted = [each for each in anomalies if each.mode is Mode.LIVE]
    found = [
        _of("rule", rule, [each for each in counted if rule in each.rules], labels)
        for rule in _rules(counted, rules)
    ]
    for detector in sorted({name for each in counted if (name := _largest(each))}):
        mine = [each for each in counted if _largest(each) == detector]
        found.append(_of("detector", detector, mine, labels))
    found += [_in_shadow(rule, tally) for rule, tally in shadow.items()]
    return sorted(found, key=lambda each: (KINDS.index(each.kind), -each.anomalies, each.name))


def told(found: Sequence[Statistic], days: float) -> Iterator[str]:
    """Yield statistics as lines of text."""
    head = ("anomalies", "alone", "fraud", "not", "precision", "unlabelled")
    widths = (10, 8, 8, 6, 11, 12)
    yield f"{f'in {days:g} days':40}" + "".join(f"{w:>{n}}" for w, n in zip(head, widths, strict=True))
    for each in found:
        precision = "-" if each.precision is None else f"{each.precision:.2f}"
        share = "-" if not each.anomalies else f"{each.unlabelled / each.anomalies:.0%}"
        yield (
            f"{each.kind + ' ' + each.name:40}{each.anomalies:>10,}{each.alone:>8,}{each.fraud:>8,}"
            f"{each.false_positive:>6,}{precision:>11}{share:>12}"
        )


def _in_shadow(rule: str, tally: Tally) -> Statistic:
    return Statistic(
        kind="shadow",
        name=rule,
        anomalies=tally.hits,
        alone=tally.hits - tally.known,
        fraud=0,
        false_positive=0,
        unlabelled=tally.hits,
        precision=None,
    )


def _rules(anomalies: Sequence[Anomaly], known: Sequence[str]) -> list[str]:
    return sorted({*known, *(rule for each in anomalies for rule in each.rules)})


def _largest(anomaly: Anomaly) -> str:
    """Return the detector of the largest reason that is no rule's, empty where there is none."""
    first = anomaly.reasons[0].detector if anomaly.reasons else ""
    return "" if first == "rules" else first


def _of(kind: str, name: str, mine: Sequence[Anomaly], labels: Mapping[str, Verdict]) -> Statistic:
    said = Counter(labels[each.anomaly_id] for each in mine if each.anomaly_id in labels)
    fraud, wrong = said[Verdict.FRAUD], said[Verdict.FALSE_POSITIVE]
    return Statistic(
        kind=kind,
        name=name,
        anomalies=len(mine),
        alone=sum(not set(each.rules) - {name} for each in mine),
        fraud=fraud,
        false_positive=wrong,
        unlabelled=len(mine) - fraud - wrong,
        precision=fraud / (fraud + wrong) if fraud + wrong else None,
    )
