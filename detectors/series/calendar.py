"""The section `calendar` of rules.yaml: whose clock the seasons follow, and which days are like no other.

Blind to what it is not told: a day off that is not listed looks like a drop.
"""

from collections.abc import Sequence
from datetime import date as Date  # noqa: N812 - a holiday has a field `date`
from datetime import timedelta
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
import polars as pl

from detectors.series.baseline import DAY_MS, HOLIDAY
from detectors.series.method import Times
from detectors.series.windows import Key

Like = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "own"]
Day = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([0-9]{4}-)?(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
        description="a day such as 2026-12-25, or 12-25 for that of every year",
    ),
]
Country = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Z]{2}$", description="a country by its two letters, such as DE")
]

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LEAP: Final = "2000-"
"""A year with a 29th of February, to look at a day of every year."""


class Holiday(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One day, or one of every year, that is like another weekday and not quite."""

    date: Day
    name: str = ""
    like: Like = "sun"
    """The weekday whose traffic is expected; `own`: its own, but less surely."""
    countries: tuple[Country, ...] = ()
    """Only the series of these countries; none named: every series."""

    def __post_init__(self) -> None:
        """Refuse a day that no year has."""
        try:
            Date.fromisoformat(self.date if len(self.date) > 5 else f"{_LEAP}{self.date}")
        except ValueError as error:
            raise ValueError(f"there is no day {self.date}") from error

    def is_on(self, day: Date) -> bool:
        """Tell whether it is on this day."""
        return day.isoformat().endswith(self.date)

    def concerns(self, key: Key) -> bool:
        """Tell whether it is one for this series."""
        return not self.countries or (key[0] == "country" and key[1] in self.countries)


class Calendar(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times of the traffic series: a zone, whose changes of the clock the seasons follow, and holidays."""

    zone: str = "UTC"
    holidays: tuple[Day | Holiday, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an unknown zone, and a day that no year has."""
        self.days_off()
        try:
            pl.Series([0]).cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone(self.zone)
        except pl.exceptions.ComputeError as error:
            raise ValueError(f"there is no time zone {self.zone!r}; an example is Europe/Berlin") from error

    def days_off(self) -> list[Holiday]:
        """Return every holiday, also those of which only the date is given."""
        return [each if isinstance(each, Holiday) else Holiday(date=each) for each in self.holidays]


class Days:
    """Which weekday a local day counts as for each series, and what it is called."""

    def __init__(self, calendar: Calendar) -> None:
        self._holidays = calendar.days_off()

    def of(self, local_ms: int, keys: Sequence[Key]) -> Times:
        """Return the day of each series, as `baseline.day_of` has it, shape (series,)."""
        today = self._on(local_ms)
        own = _date(local_ms).weekday()
        if not today:
            return np.full(len(keys), own, np.int64)
        return np.array([_code(own, _first(today, key)) for key in keys], np.int64)

    def note(self, local_ms: int, key: Key) -> str:
        """Return what is told of the day beside a series; empty on an ordinary one."""
        holiday = _first(self._on(local_ms), key)
        if holiday is None:
            return ""
        day = _date(local_ms)
        weekday = WEEKDAYS[_code(day.weekday(), holiday) % 7]
        name = f"{holiday.name}, " if holiday.name else ""
        return f"{name}a holiday: expected as on a {weekday}"

    def _on(self, local_ms: int) -> list[Holiday]:
        if not self._holidays:
            return []
        day = _date(local_ms)
        return [each for each in self._holidays if each.is_on(day)]


def _first(holidays: Sequence[Holiday], key: Key) -> Holiday | None:
    """Return the holiday of a series: of several on one day one that names its country, else the first."""
    found = [each for each in holidays if each.concerns(key)]
    return next((each for each in found if each.countries), found[0] if found else None)


def _code(own: int, holiday: Holiday | None) -> int:
    if holiday is None:
        return own
    return HOLIDAY + (own if holiday.like == "own" else _SHORT.index(holiday.like))


def _date(local_ms: int) -> Date:
    return Date(1970, 1, 1) + timedelta(days=local_ms // DAY_MS)
