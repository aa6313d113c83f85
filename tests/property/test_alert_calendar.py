"""Times of the week by the clock on the wall, over every change of clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alerts.calendar import Daily, Mutes, Times, next_daily, within

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CHANGES = [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)]
MOMENTS = st.one_of(
    st.integers(0, 366 * 1440).map(lambda m: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=m)),
    st.tuples(st.sampled_from(CHANGES), st.integers(-300, 300)).map(lambda c: c[0] + timedelta(minutes=c[1])),
)
CLOCK = st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda hm: f"{hm[0]:02}:{hm[1]:02}")
TIMES = st.builds(
    lambda zone, days, ends: Times(zone=zone, days=tuple(days), since=ends[0], until=ends[1]),
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(DAYS), unique=True, max_size=4),
    st.lists(st.one_of(CLOCK, st.just("02:30")), min_size=2, max_size=2, unique=True),
)


def on_the_wall(times: Times, at: datetime) -> bool:
    """The reference: read the clock and the calendar as text."""
    local = at.astimezone(ZoneInfo(times.zone))
    clock, today = local.strftime("%H:%M"), local.strftime("%a").lower()
    yesterday = DAYS[DAYS.index(today) - 1]
    meant = set(times.days or DAYS)
    if times.since < times.until:
        return today in meant and times.since <= clock < times.until
    return (today in meant and clock >= times.since) or (yesterday in meant and clock < times.until)


@given(TIMES, MOMENTS)
@example(Times(zone="Europe/Berlin", since="02:00", until="03:00"), datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
def test_times_are_read_off_the_wall(times, at):
    assert within(times, at) == on_the_wall(times, at)


@given(st.lists(TIMES, min_size=1, max_size=2), MOMENTS)
def test_a_mute_ends_at_the_first_moment_outside(times, at):
    """Never within, never later than need be, and at the latest after eight days."""
    mutes = Mutes({"quiet": tuple(times)})

    free = datetime.fromtimestamp(mutes.free_at(("quiet",), at.timestamp()), UTC)

    assert at <= free <= at + timedelta(days=8)
    minutes = int((free - at).total_seconds() // 60)
    muted = [any(on_the_wall(t, at + timedelta(minutes=m)) for t in times) for m in range(min(minutes, 3000))]
    assert all(muted)
    assert free == at + timedelta(days=8) or not any(on_the_wall(t, free) for t in times)


@given(CLOCK, st.sampled_from(ZONES), MOMENTS)
def test_once_a_day_is_once_a_day(at, zone, after):
    """Within 25 hours, at that time by the clock, unless the day skips it."""
    daily = Daily(at=at, zone=zone)

    found = datetime.fromtimestamp(next_daily(daily, after.timestamp()), ZoneInfo(zone))

    assert timedelta(0) < found - after <= timedelta(hours=25)
    there = datetime.combine(found.date(), datetime.strptime(at, "%H:%M").time(), ZoneInfo(zone))  # noqa: DTZ007 - the zone is given beside it
    skipped = there.astimezone(UTC).astimezone(ZoneInfo(zone)).strftime("%H:%M") != at
    assert found.strftime("%H:%M") == at or skipped


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"zone": "Mars"}', "Mars"),
        ('{"from": "07:00", "to": "07:00"}', "no time"),
        ('{"from": "7"}', "07:30|match"),
    ],
)
def test_what_is_no_time_is_refused(text, word):
    """Where it is read, in words."""
    with pytest.raises(msgspec.ValidationError, match=word):
        msgspec.json.decode(text, type=Times)
