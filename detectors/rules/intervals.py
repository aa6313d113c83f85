"""Between which bounds a number lies: interval arithmetic, for finding rules that never or always hold."""

import math
from collections.abc import Sequence

import msgspec


class Interval(msgspec.Struct, frozen=True):
    """All numbers from `low` to `high`; an end that is `open` does not belong to it."""

    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no number lies in it."""
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def __and__(self, other: "Interval") -> "Interval":
        """Return what lies in both."""
        low = max((self.low, self.low_open), (other.low, other.low_open))
        high = min((self.high, not self.high_open), (other.high, not other.high_open))
        return Interval(low[0], high[0], low[1], not high[1])

    def __or__(self, other: "Interval") -> "Interval":
        """Return the smallest interval with both in it."""
        low = min((self.low, self.low_open), (other.low, other.low_open))
        high = max((self.high, not self.high_open), (other.high, not other.high_open))
        return Interval(low[0], high[0], low[1], not high[1])


ANY = Interval()
NOT_NEGATIVE = Interval(0.0)


def exactly(number: float) -> Interval:
    """Return the interval of one number."""
    return Interval(number, number)


def below(number: Interval, *, or_equal: bool) -> Interval:
    """Return where x lies when x < y (or x <= y) for some y in the interval."""
    return Interval(-math.inf, number.high, high_open=number.high_open or not or_equal)


def above(number: Interval, *, or_equal: bool) -> Interval:
    """Return where x lies when x > y (or x >= y) for some y in the interval."""
    return Interval(number.low, math.inf, low_open=number.low_open or not or_equal)


def add(left: Interval, right: Interval) -> Interval:
    """Return where x + y lies."""
    return Interval(
        left.low + right.low,
        left.high + right.high,
        left.low_open or right.low_open,
        left.high_open or right.high_open,
    )


def negate(number: Interval) -> Interval:
    """Return where -x lies."""
    return Interval(-number.high, -number.low, number.high_open, number.low_open)


def multiply(left: Interval, right: Interval) -> Interval:
    """Return where x * y lies (ends count as closed, which only makes it larger)."""
    ends = [_times(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    return Interval(min(ends), max(ends))


def absolute(number: Interval) -> Interval:
    """Return where |x| lies."""
    if number.low >= 0.0:
        return number
    return Interval(0.0, max(-number.low, number.high))


def union(numbers: Sequence[Interval]) -> Interval:
    """Return the smallest interval with all in it."""
    found = numbers[0]
    for number in numbers[1:]:
        found |= number
    return found


def _times(left: float, right: float) -> float:
    return 0.0 if left == 0.0 or right == 0.0 else left * right
