"""A backtest as lines of text."""

from collections.abc import Iterator, Sequence

from detectors.backtest.figures import Alerts, Figures


def told(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield the lines of every contender, the champion first."""
    for one in figures:
        yield from _contender(one)
        yield ""
    yield from verdicts(figures)


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure, "-" where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def spread(one: Figures) -> str:
    """Return the average precision's spread in words; empty where nothing was drawn."""
    return "" if one.spread is None else f"{one.spread[0]:.3f} to {one.spread[1]:.3f} over resampled days"


def verdicts(figures: Sequence[Figures]) -> Iterator[str]:
    """Yield, for every other contender, how it does against the champion."""
    champion, *others = figures
    for one in others:
        difference = one.average_precision - champion.average_precision
        share = (
            "" if one.better_than_champion is None else f", ahead in {one.better_than_champion:.0%} of draws"
        )
        yield f"{one.name} against {champion.name}: average precision {difference:+.3f}{share}"


def _contender(one: Figures) -> Iterator[str]:
    yield f"{one.name}: {one.payments:,} payments in {one.days} days, {one.frauds:,} of them frauds"
    yield f"  average precision {number(one.average_precision)}  ({spread(one)})"
    yield (
        f"  own threshold: {one.alerts_a_day:.1f} alerts a day, precision {number(one.own.precision)}, "
        f"recall {number(one.recall)}"
    )
    if one.delay is not None:
        yield (
            f"  episodes: {one.delay.found} of {one.delay.episodes} alerted; first alert after "
            f"{number(one.delay.median_hours, 1)} h (median), {number(one.delay.p90_hours, 1)} h (p90)"
        )
    yield f"  {'alerts a day':22} precision  recall  episodes"
    for at in one.budgets:
        yield (
            f"  {at.budget:<22} {number(at.precision):>9}  {number(at.recall):>6}  "
            f"{number(at.episode_recall):>8}"
        )
    yield from _parts("severity", one.by_severity)
    yield from _parts("largest hypothesis", one.by_detector)
    yield f"  {'probability':22} payments    said  came true"
    for band in one.reliability:
        between = f"{band.low:g} to {band.high:g}"
        yield f"  {between:22} {band.payments:>8,}  {number(band.said)}  {number(band.was):>9}"
    yield f"  {'without':22} average precision  episodes at {one.budgets[-1].budget if one.budgets else 0}"
    for without in one.without:
        yield (
            f"  {without.detector:22} {number(without.average_precision):>17}  "
            f"{number(without.episode_recall):>8}"
        )


def _parts(title: str, parts: Sequence[Alerts]) -> Iterator[str]:
    is_told = any(part.left_out for part in parts)
    yield f"  {title:22} alerts   right{'  left out' if is_told else ''}  precision"
    for part in parts:
        left_out = f"  {part.left_out:>8,}" if is_told else ""
        yield f"  {part.name:22} {part.alerts:>6,}  {part.right:>6,}{left_out}  {number(part.precision):>9}"
