"""A plan as lines of text."""

from collections.abc import Iterator, Sequence

from detectors.planning.differing import Difference
from detectors.planning.figures import Change, Figures, Judged
from detectors.planning.trial import Found


def told_differences(found: Sequence[Difference]) -> Iterator[str]:
    """Yield what is otherwise, one thing a line."""
    if not found:
        yield "nothing is detected, told or kept otherwise"
    for each in found:
        yield f"{each.sign} {each.what}{': ' if each.sentence else ''}{each.sentence}"


def told_figures(figures: Figures) -> Iterator[str]:
    """Yield what a trial says, the worst first."""
    days = (figures.until - figures.since).total_seconds() / 86_400
    yield f"{figures.transactions:,} transactions in {days:.1f} days until {figures.until:%Y-%m-%d %H:%M}"
    if figures.ended_early:
        yield "  ended early: so many would be found that this is a flood"
    yield f"  {'':12}{'before':>9}{'after':>9}{'new':>9}{'lost':>9}{'unchanged':>11}"
    for each in (figures.alerts, *figures.by_severity, *figures.by_day):
        yield _line(each)
    if figures.regraded:
        yield f"  {figures.regraded:,} of the unchanged get another severity"
    if figures.busiest is not None:
        hour = figures.busiest
        yield f"  busiest hour {hour.start:%Y-%m-%d %H:%M}: {hour.after:,} alerts, {hour.before:,} before"
    yield (
        f"  {figures.share:.2%} of transactions would be anomalies, {figures.share_high:.2%} high or critical"
    )
    yield from _overlaps(figures)
    yield from _shadows(figures)
    yield from _samples("new", figures.samples_new, figures.labelled_new)
    yield from _samples("lost", figures.samples_lost, figures.labelled_lost)
    if figures.begins_anew:
        yield f"  begins anew: {', '.join(figures.begins_anew)}"
    before, after = figures.state_bytes_before / 1e6, figures.state_bytes_after / 1e6
    yield f"  memory {before:.1f} MB before, {after:.1f} MB after"


def _line(each: Change) -> str:
    return (
        f"  {each.name:12}{each.before:>9,}{each.after:>9,}{each.new:>9,}{each.lost:>9,}{each.unchanged:>11,}"
    )


def _overlaps(figures: Figures) -> Iterator[str]:
    for each in figures.overlaps:
        others = ", ".join(f"{rule} ({count:,})" for rule, count in each.other_rules.items())
        yield (
            f"  rule {each.rule}: {each.hits:,} hits, {each.found_before:,} of them found before too, "
            f"{each.alone:,} for which nothing else speaks" + (f"; also hit by {others}" if others else "")
        )


def _shadows(figures: Figures) -> Iterator[str]:
    for each in figures.shadows:
        yield (
            f"  rule {each.rule}, in shadow: {each.hits:,} hits, {each.found:,} of them anomalies without "
            "it; nobody is told of it"
        )


def _samples(word: str, samples: Sequence[Found], judged: Judged) -> Iterator[str]:
    if not samples:
        return
    known = judged.fraud + judged.not_fraud
    said = "nobody labelled them"
    if known:
        precision = judged.fraud / known
        said = f"precision {precision:.2f} of the {known:,} labelled, {judged.unlabelled:,} unlabelled"
    yield f"  {word}, for example ({said}):"
    for each in samples:
        yield f"    {each.at:%Y-%m-%d %H:%M:%S}  {each.severity.word:8}  {each.who}: {each.sentence}"
