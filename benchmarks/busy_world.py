"""The made-up payments of a busy day: as many a second as wanted, by people who pay as people do.

Event time runs FASTER times as fast as the clock, from some hours before a midnight to after it: so a run
of ten minutes is a day, in which a user pays some thirty times and a merchant is paid a hundred; and the
midnight at which the forest is fitted anew is passed.  Every MARKED-th payment is found by a rule of its
own.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

FASTER = 144
MARKED = 10_000
MARKED_FROM = 1_000_000
USERS_EACH, MERCHANTS_EACH = 20, 5
"""For each payment a second."""

RULE = f"""
  - id: marked-by-the-benchmark
    when: amount >= {MARKED_FROM}
    severity: high
    entity: user

"""

_COUNTRIES = ("DE", "FR", "NL", "AT")
_CHANNELS = ("web", "pos", "app")
_NOISES, _DRAWS = 9_973, 1_000_003


class BusyWorld:
    """Payments by number, at a rate; the run lasts `seconds`, half of them before midnight."""

    def __init__(self, rate: int, seconds: float) -> None:
        chance = np.random.default_rng(7)
        self._users, self._merchants = USERS_EACH * rate, MERCHANTS_EACH * rate
        self._noise = np.exp(chance.normal(0.0, 0.5, _NOISES)).tolist()
        self._user = chance.integers(self._users, size=_DRAWS).tolist()
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self._start = midnight - timedelta(seconds=FASTER * seconds / 2)

    def messages(self, first: int, last: int, seconds: float, stamp: str) -> Iterator[str]:
        """Yield the payments of a moment, so many seconds after the beginning; `stamp` begins their ids."""
        time = (self._start + timedelta(seconds=FASTER * seconds)).isoformat(timespec="milliseconds")
        for number in range(first, last):
            user = self._user[(number * 7_919 + number // _DRAWS) % _DRAWS]
            amount = math.exp(3.0 + user % 5 / 3) * self._noise[number * 31 % _NOISES]
            if number % MARKED == MARKED - 1:
                amount += MARKED_FROM
            merchant = (user * 13 + number * 7 % 11 * 101) % self._merchants
            yield (
                f'{{"transaction_id":"{stamp}-{number}","user_id":"user{user}",'
                f'"merchant_id":"shop{merchant}","amount":{amount:.2f},"currency":"EUR",'
                f'"country":"{_COUNTRIES[user % 4]}","channel":"{_CHANNELS[number % 3]}",'
                f'"status":"{"declined" if number % 31 == 7 else "approved"}","timestamp":"{time}"}}'
            )


def rules_with_mark(shipped: Path) -> str:
    """Return the shipped rules, all of them, and the one that finds the marked payments."""
    before, rules, after = shipped.read_text().partition("\nrules:\n")
    return before + rules + RULE + after
