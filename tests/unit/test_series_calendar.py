"""Holidays and changes of the clock, from the section `calendar` of the rules file."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from detectors.configuration import known_configuration
from detectors.series.calendar import Calendar, Days, Holiday
from detectors.series.traffic import TrafficSettings, TrafficWatch
from txwatch import columns
from txwatch.errors import ConfigurationError

START = datetime(2025, 3, 3, tzinfo=UTC)
"""A Monday; clocks in Berlin go forward four weeks later, on the 30th."""
HOLIDAY_DAY = 23
HOLIDAY = "2025-03-26"
"""A Wednesday."""
MINUTES = 1440


def shop(days, *, quiet=(), silent=range(0), zone="UTC", country="DE", seed=1):
    """Payments of a shop, open from 8 to 20 on the clock of a zone; on Sundays and `quiet` days a third.

    `silent` are minutes since START without any payment.
    """
    draw = np.random.default_rng(seed)
    minutes = np.arange(days * MINUTES)
    local = pl.Series(minutes * 60_000 + int(START.timestamp() * 1000)).cast(pl.Datetime("ms", "UTC"))
    local = local.dt.convert_time_zone(zone)
    open_now = ((local.dt.hour() >= 8) & (local.dt.hour() < 20)).to_numpy()
    rate = np.where(open_now, 12.0, 0.5)
    is_quiet = (local.dt.weekday() == 7).to_numpy() | np.isin(minutes // MINUTES, quiet)
    rate = np.where(is_quiet, rate / 3.0, rate)
    rate[list(silent)] = 0.0
    times = np.repeat(minutes, draw.poisson(rate)) * 60_000
    return feed(np.sort(times + draw.integers(0, 60_000, len(times))), country)


def feed(times, country):
    rows = len(times)
    frame = pl.DataFrame(
        {
            "source": "test",
            "sequence": np.arange(rows),
            "arrival": np.arange(rows),
            "transaction_id": np.arange(rows).astype(str),
            "timestamp": pl.Series(times + int(START.timestamp() * 1000)).cast(columns.TIME),
            "user_id": "u",
            "merchant_id": "m",
            "amount": 10.0,
            "currency": "EUR",
            "status": "approved",
            "country": country,
            "partition": 0,
        }
    )
    missing = [pl.lit(None).alias(name) for name in columns.FEED if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in columns.FEED.items())


def watched(rows, *holidays, zone="UTC", cut=50_000):
    """Return points and anomalies of counts under a calendar."""
    calendar = Calendar(zone=zone, holidays=holidays)
    watch = TrafficWatch(TrafficSettings(window_seconds=900, merchants=0, statuses=0, calendar=calendar))
    points, anomalies = [], []
    for begin in range(0, rows.height, cut):
        new_points, new_anomalies = watch.step(rows[begin : begin + cut])
        points += new_points
        anomalies += new_anomalies
    return points, [each for each in anomalies if each.series.startswith("count/")]


def on(anomalies, day, days=1):
    first = START + timedelta(days=day)
    return [each for each in anomalies if first <= each.timestamp < first + timedelta(days=days)]


@pytest.fixture(scope="module")
def with_a_holiday():
    return shop(31, quiet=[HOLIDAY_DAY])


@pytest.fixture(scope="module")
def listed(with_a_holiday):
    return watched(with_a_holiday, HOLIDAY)


def test_a_day_off_is_a_drop_unless_it_is_listed(with_a_holiday, listed):
    """A Wednesday with the traffic of a Sunday is told, and is not when the calendar says so."""
    _, unlisted = watched(with_a_holiday)
    _, listed = listed

    assert {each.reasons[0].code for each in on(unlisted, HOLIDAY_DAY)} & {"drop", "shift"}
    assert not on(listed, HOLIDAY_DAY)


def test_days_after_a_holiday_are_expected_as_ever(listed):
    """A holiday teaches little: the Thursday after it and the next Wednesday raise nothing."""
    points, anomalies = listed

    noon = START + timedelta(days=HOLIDAY_DAY + 1, hours=12)
    expected = {each.start: each.expected for each in points if each.series == "count/all"}
    for day in (noon, noon + timedelta(days=6)):
        assert expected[day] == pytest.approx(expected[noon - timedelta(days=2)], rel=0.1)
    assert not on(anomalies, HOLIDAY_DAY + 1, days=6)


def test_the_band_of_a_holiday_is_that_of_the_weekday_it_is_like(listed):
    """At noon of the holiday about as much is expected as at noon of the Sunday before."""
    points, _ = listed

    noon = START + timedelta(days=HOLIDAY_DAY, hours=12)
    expected = {each.start: each.expected for each in points if each.series == "count/all"}
    assert expected[noon] == pytest.approx(12.0 / 3.0 * 15.0, rel=0.2)


def test_silence_on_a_holiday_is_told_and_that_it_is_one():
    """What is expected on a holiday is doubted, not abandoned."""
    begin = HOLIDAY_DAY * MINUTES + 10 * 60
    rows = shop(25, quiet=[HOLIDAY_DAY], silent=range(begin, begin + 120))

    _, anomalies = watched(rows, Holiday(date=HOLIDAY, name="Founders' Day"))

    (first, *_) = on(anomalies, HOLIDAY_DAY)
    assert first.reasons[0].code == "silence"
    assert first.reasons[0].sentence.endswith("; Founders' Day, a holiday: expected as on a Sunday")


def test_a_holiday_of_one_country_changes_no_other_series(with_a_holiday):
    """Only the country's own series expects less; all traffic goes by its weekday, and drops."""
    _, anomalies = watched(with_a_holiday, Holiday(date=HOLIDAY, countries=("DE",)))

    found = {each.series for each in on(anomalies, HOLIDAY_DAY)}
    assert "count/all" in found
    assert "count/country/DE" not in found


def test_what_comes_late_on_a_holiday_is_judged_as_if_in_order(with_a_holiday):
    """An hour that comes an hour late leaves nothing: its windows are those of a holiday then, too."""
    first = START + timedelta(days=HOLIDAY_DAY, hours=11)
    held = (pl.col("timestamp") >= first) & (pl.col("timestamp") < first + timedelta(hours=1))
    before = with_a_holiday.filter(pl.col("timestamp") < first + timedelta(hours=2))
    after = with_a_holiday.filter(pl.col("timestamp") >= first + timedelta(hours=2))
    rows = pl.concat([before.filter(~held), before.filter(held), after])

    _, anomalies = watched(rows, HOLIDAY)

    latest = {each.anomaly_id: each.state.value for each in on(anomalies, HOLIDAY_DAY)}
    assert latest
    assert set(latest.values()) == {"withdrawn"}


@pytest.mark.parametrize(("zone", "raises"), [("Europe/Berlin", False), ("UTC", True)])
def test_the_season_of_traffic_follows_the_clock_of_the_zone(zone, raises):
    """On the Monday after the clocks changed, the shop opens an hour earlier by UTC: told only there."""
    rows = shop(29, zone="Europe/Berlin")

    _, anomalies = watched(rows, zone=zone)

    assert bool(on(anomalies, 28)) is raises


def test_a_calendar_is_read_from_the_rules_file(tmp_path):
    """The zone, days of one year and of every year."""
    content = b"""
version: 1
calendar:
  zone: Europe/Berlin
  holidays:
    - 12-25
    - {date: 2026-04-03, name: Good Friday, like: sat, countries: [DE, AT]}
"""

    found = known_configuration(tmp_path / "rules.yaml", content).traffic.calendar

    assert found == Calendar(
        zone="Europe/Berlin",
        holidays=(
            "12-25",
            Holiday(date="2026-04-03", name="Good Friday", like="sat", countries=("DE", "AT")),
        ),
    )


@pytest.mark.parametrize(
    ("calendar", "line", "sentence"),
    [
        ("zone: Europe/Berln", 3, "there is no time zone 'Europe/Berln'; an example is Europe/Berlin"),
        ("holidays: [2025-13-01]", 3, "`2025-13-01` is not a day such as 2026-12-25"),
        ("holidays: [{date: 2025-02-30}]", 3, "there is no day 2025-02-30"),
        ("holidays: [02-30]", 3, "there is no day 02-30"),
        ("holidays: [{date: 12-25, like: sunday}]", 3, "`sunday` is none of mon, tue"),
        ("holidays: [{date: 12-25, countries: [germany]}]", 3, "is not a country by its two letters"),
        ("holydays: [12-25]", 3, "unknown key `holydays`"),
    ],
)
def test_a_wrong_calendar_is_a_sentence_in_its_line(tmp_path, calendar, line, sentence):
    """Before, anything could stand there, and meant nothing."""
    content = f"version: 1\ncalendar:\n  {calendar}\n".encode()

    with pytest.raises(ConfigurationError) as refused:
        known_configuration(tmp_path / "rules.yaml", content)

    assert sentence in str(refused.value)
    assert f"rules.yaml:{line}:" in str(refused.value)


def test_a_holiday_of_every_year_is_on_that_day_of_each():
    """Also on the 29th of February, in the years that have one."""
    days = Days(Calendar(holidays=("02-29", "12-25")))
    keys = [("all", "")]

    def code(year, month, day):
        moment = datetime(year, month, day, 12, tzinfo=UTC)
        return int(days.of(int(moment.timestamp() * 1000), keys)[0])

    assert code(2028, 2, 29) == 7 + 6
    assert code(2025, 12, 25) == 7 + 6
    assert code(2025, 12, 26) == 4
