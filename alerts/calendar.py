"""Times of the week in a time zone, by the clock on the wall there: what routes match and mute by.

A clock that is put back shows an hour twice, and both count; one that is put forward skips an hour, which
then never was.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Minute = Annotated[
    str, msgspec.Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", description="a time such as 07:30")
]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MINUTE = 60
LOOK_AHEAD = 8 * 24 * 60
"""Minutes: every weekly time begins and ends within them; who is always muted is looked at again then."""


class Times(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Half-open: from one time of the day to another; one that ends next morning belongs to its first day."""

    zone: str = "UTC"
    days: tuple[Day, ...] = ()
    """None named: every day."""
    since: Minute = msgspec.field(name="from", default="00:00")
    until: Minute = msgspec.field(name="to", default="24:00")

    def __post_init__(self) -> None:
        """Refuse an unknown zone and an empty span."""
        zone_of(self.zone)
        if self.since == self.until:
            raise ValueError(f"from {self.since} to {self.until} is no time")


class Daily(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Once a day, at a time of the day in a zone."""

    at: Minute = "08:00"
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse an unknown zone and a time that no day has."""
        zone_of(self.zone)
        if self.at == "24:00":
            raise ValueError("once a day is at 00:00 to 23:59")


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone; raises ValueError for a name that none has."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}; an example is Europe/Berlin") from error


def within(times: Times, at: datetime) -> bool:
    """Tell whether an aware time lies in these times."""
    local = at.astimezone(zone_of(times.zone))
    now, since, until = local.hour * 60 + local.minute, _minutes(times.since), _minutes(times.until)
    if since < until:
        return since <= now < until and _is_day(times, local)
    yesterday = local - timedelta(days=1)
    return (now >= since and _is_day(times, local)) or (now < until and _is_day(times, yesterday))


def next_daily(daily: Daily, after: float) -> float:
    """Return the first time of this kind after a time; both in seconds since 1970."""
    zone, at = zone_of(daily.zone), time.fromisoformat(daily.at)
    day = datetime.fromtimestamp(after, zone).date()
    while (found := datetime.combine(day, at, zone).timestamp()) <= after:
        day += timedelta(days=1)
    return found


class Mutes:
    """Named times in which routes are silent."""

    def __init__(self, timings: Mapping[str, tuple[Times, ...]]) -> None:
        self._timings = timings
        self._free: dict[tuple[tuple[str, ...], int], float] = {}

    def free_at(self, names: tuple[str, ...], at: float) -> float:
        """Return the first time from `at` on that lies in none of these timings (seconds since 1970)."""
        if not names:
            return at
        minute = int(at // _MINUTE)
        found = self._free.get((names, minute))
        if found is None:
            if len(self._free) > LOOK_AHEAD:
                self._free.clear()
            found = self._free[names, minute] = float(self._first_free(names, minute) * _MINUTE)
        return max(found, at)

    def active(self, names: tuple[str, ...], at: float) -> str:
        """Return the first of these timings in which a time lies; empty if it lies in none."""
        moment = datetime.fromtimestamp(at, UTC)
        return next((name for name in names if any(within(t, moment) for t in self._timings[name])), "")

    def _first_free(self, names: tuple[str, ...], minute: int) -> int:
        """Walk minute by minute: offsets of zones are whole minutes, so no change of clocks is missed."""
        ahead = range(minute, minute + LOOK_AHEAD)
        return next((each for each in ahead if not self.active(names, each * _MINUTE)), minute + LOOK_AHEAD)


def _minutes(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def _is_day(times: Times, local: datetime) -> bool:
    return not times.days or _DAYS[local.weekday()] in times.days
