"""Traffic: what is counted, what is found, what is said."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from detectors.series.account import Sum, code, sentence
from detectors.series.events import Events
from detectors.series.stl import HOUR_MS, StlBands, next_season
from detectors.series.traffic import TrafficSettings, TrafficWatch
from detectors.series.watched import Watched
from detectors.series.windows import OpenWindows
from txwatch import columns
from txwatch.errors import SnapshotError
from txwatch.model import Severity, series_anomaly_id

START = datetime(2025, 3, 10, tzinfo=UTC)
DAYS = 17
EVENT_DAY = 15
FIVE_MINUTES = TrafficSettings(window_seconds=300)


def at(day, hour, minute=0):
    return START + timedelta(days=day, hours=hour, minutes=minute)


def traffic(days=DAYS, rate=8.0, seed=1, change=lambda keep, times, merchant, draw: keep):
    """Payments of eight merchants with a daily season; `change` gives how often each row counts."""
    draw = np.random.default_rng(seed)
    minutes = np.arange(days * 1440)
    mean = rate * (1.0 + 0.6 * np.sin(2 * np.pi * (minutes % 1440) / 1440 - 1.5))
    times = np.repeat(minutes, draw.poisson(mean)) * 60_000
    times = np.sort(times + draw.integers(0, 60_000, len(times)))
    merchant = draw.choice(8, len(times), p=[0.3, 0.2, 0.15, 0.1, 0.1, 0.05, 0.05, 0.05])
    counts = change(np.ones(len(times), int), times / 60_000, merchant, draw)
    return feed(np.repeat(times, counts), np.repeat(merchant, counts), draw)


def feed(times, merchant, draw):
    rows = len(times)
    start = int(START.timestamp() * 1000)
    frame = pl.DataFrame(
        {
            "source": "test",
            "sequence": np.arange(rows),
            "arrival": np.arange(rows),
            "transaction_id": np.arange(rows).astype(str),
            "timestamp": pl.Series(times + start).cast(columns.TIME),
            "user_id": "u",
            "merchant_id": np.char.add("m", merchant.astype(str)),
            "amount": np.round(draw.lognormal(3, 1, rows), 2),
            "currency": "EUR",
            "status": np.where(draw.random(rows) < 0.05, "declined", "approved"),
            "channel": np.where(draw.random(rows) < 0.7, "web", "pos"),
            "country": "DE",
            "partition": 0,
        }
    )
    missing = [pl.lit(None).alias(name) for name in columns.FEED if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in columns.FEED.items())


def during(hour, minutes, day=EVENT_DAY):
    begin = (day * 24 + hour) * 60
    return lambda minute: (minute >= begin) & (minute < begin + minutes)


def silence(keep, minute, merchant, draw):
    return np.where(during(14, 60)(minute) & (merchant == 0), 0, keep)


def spike(keep, minute, merchant, draw):
    return np.where(during(14, 10)(minute), 4, keep)


def drop(keep, minute, merchant, draw):
    return np.where(during(14, 30)(minute) & (draw.random(len(keep)) < 0.7), 0, keep)


def shift(keep, minute, merchant, draw):
    return np.where(during(10, 600)(minute) & (merchant == 1) & (draw.random(len(keep)) < 0.5), 2, keep)


def watched(batch, settings=FIVE_MINUTES, cut=20_000):
    watch = TrafficWatch(settings)
    points, anomalies = [], []
    for begin in range(0, batch.height, cut):
        new_points, new_anomalies = watch.step(batch[begin : begin + cut])
        points += new_points
        anomalies += new_anomalies
    return watch, points, anomalies


@pytest.fixture(scope="module")
def quiet():
    return watched(traffic())


@pytest.mark.parametrize(
    ("change", "series", "codes", "hour", "within"),
    [
        (silence, "count/merchant/m0", {"silence", "drop"}, 14, 20),
        (spike, "count/all", {"spike"}, 14, 10),
        (drop, "count/all", {"drop", "silence"}, 14, 15),
        (shift, "count/merchant/m1", {"spike", "shift"}, 10, 120),
    ],
    ids=["silence", "spike", "drop", "shift"],
)
def test_a_planted_event_is_found_where_it_is(change, series, codes, hour, within):
    """The series it happens in raises it, with its kind, soon after it begins."""
    _, _, anomalies = watched(traffic(change=change))

    found = [a for a in anomalies if a.series == series and a.timestamp >= at(EVENT_DAY, hour)]
    assert found
    assert found[0].timestamp < at(EVENT_DAY, hour) + timedelta(minutes=within)
    assert found[0].reasons[0].code in codes


def test_an_anomaly_says_what_it_is_about():
    """Ids, entity, times, numbers: everything a person or a store needs."""
    _, _, anomalies = watched(traffic(change=silence))
    first = next(a for a in anomalies if a.series == "count/merchant/m0" and a.timestamp >= at(EVENT_DAY, 14))
    reason = first.reasons[0]

    assert first.anomaly_id == series_anomaly_id("count/merchant/m0", first.timestamp)
    assert (first.kind, first.entity_kind, first.entity_id) == ("series", "merchant", "m0")
    assert first.merchant_id == "m0"
    assert first.source == "series"
    assert reason.observed < reason.facts["low"] <= reason.expected <= reason.facts["high"]
    assert reason.sentence.startswith("merchant m0: ")
    assert 0 < first.score <= 100


def test_an_event_is_raised_once_and_again_only_when_graver():
    """One id for the whole silence, its severity growing each time it is given."""
    _, _, anomalies = watched(traffic(change=silence))
    found = [a for a in anomalies if a.series == "count/merchant/m0" and a.timestamp.day == 25]

    assert len({a.anomaly_id for a in found}) == 1
    assert [a.severity for a in found] == sorted({a.severity for a in found})
    assert found[-1].severity >= Severity.HIGH


def test_quiet_traffic_is_quiet(quiet):
    """Seventeen days of thirty series without an event: a handful of anomalies at most."""
    watch, _, anomalies = quiet

    assert len(watch.series) > 30
    assert len(anomalies) <= 6


def test_every_closed_window_has_one_point_for_every_series(quiet):
    """Windows are never skipped, and no series has two points in one."""
    watch, points, _ = quiet
    starts = [p.start for p in points if p.series == "count/all"]

    assert starts == [START + timedelta(minutes=5 * n) for n in range(len(starts))]
    assert len(starts) >= DAYS * 288 - 2
    assert len({(p.series, p.start) for p in points}) == len(points)
    assert {p.series for p in points} == set(watch.series)


def test_points_add_up(quiet):
    """The counts of the two channels are the count of everything."""
    _, points, _ = quiet
    value = {(p.series, p.start): p.value for p in points}
    moment = at(10, 12)

    assert (
        value["count/all", moment] == value["count/channel/web", moment] + value["count/channel/pos", moment]
    )


def test_the_band_holds_what_happens(quiet):
    """From the third day on nearly all points of everything lie between low and high."""
    _, points, _ = quiet
    known = [p for p in points if p.series == "count/all" and p.start >= at(3, 0)]

    assert all(p.low <= p.expected <= p.high for p in known)
    assert np.mean([p.low <= p.value <= p.high for p in known]) > 0.97


def test_nothing_is_said_in_the_first_day(quiet):
    """Without a day of history there is no expectation and no score."""
    _, points, _ = quiet
    first = [p for p in points if p.start < at(0, 23)]

    assert {(p.expected, p.score) for p in first} == {(None, None)}


def test_a_share_is_watched_though_many_windows_are_empty():
    """Declined payments of a merchant with one payment in two windows: a wave of them is found."""

    def quiet(keep, minute, merchant, draw):
        return np.where((merchant != 7) & (draw.random(len(keep)) < 0.9), 0, keep)

    batch = traffic(change=quiet)
    wave = (pl.col("merchant_id") == "m7") & pl.col("timestamp").is_between(
        at(EVENT_DAY, 10), at(EVENT_DAY, 16)
    )
    declined = pl.when(wave).then(pl.lit("declined")).otherwise(pl.col("status"))

    _, points, anomalies = watched(batch.with_columns(status=declined))

    shares = [p for p in points if p.series == "declined/merchant/m7"]
    assert len(shares) < 0.9 * DAYS * 288
    assert any(a.series == "declined/merchant/m7" and a.timestamp >= at(EVENT_DAY, 10) for a in anomalies)


@pytest.mark.parametrize("seconds", [60, 900, 3600])
def test_windows_of_any_length_work(seconds):
    """An hour in which everything comes three times is found in windows of a minute as of an hour."""

    def crowd(keep, minute, merchant, draw):
        return np.where(during(14, 60)(minute), 3, keep)

    _, _, anomalies = watched(traffic(change=crowd), TrafficSettings(window_seconds=seconds, merchants=0))

    found = [a for a in anomalies if a.series == "count/all" and a.timestamp >= at(EVENT_DAY, 14)]
    assert found
    assert found[0].timestamp <= at(EVENT_DAY, 14, 10)


def test_empty_windows_count_as_zero():
    """An hour without any transaction is twelve windows of zero, and strange."""

    def nobody(keep, minute, merchant, draw):
        return np.where(during(14, 60)(minute), 0, keep)

    _, points, anomalies = watched(traffic(change=nobody))
    zeros = [
        p for p in points if p.series == "count/all" and at(EVENT_DAY, 14) <= p.start < at(EVENT_DAY, 15)
    ]

    assert [p.value for p in zeros] == [0.0] * 12
    assert any(a.series == "count/all" and a.reasons[0].code == "silence" for a in anomalies)


def test_the_result_does_not_depend_on_batches_nor_on_a_restart():
    """Odd batches with a dump and a restore midway give the same points and anomalies."""
    batch = traffic(days=4)
    _, points, anomalies = watched(batch)
    first, second = TrafficWatch(FIVE_MINUTES), TrafficWatch(FIVE_MINUTES)
    half = first.step(batch[:17_777])

    second.restore(first.dump())
    rest = [second.step(batch[begin : begin + 777]) for begin in range(17_777, batch.height, 777)]

    assert half[0] + [p for part, _ in rest for p in part] == points
    assert half[1] + [a for _, part in rest for a in part] == anomalies


def test_a_prefix_of_the_feed_gives_a_prefix_of_the_result():
    """What comes later changes nothing that was said."""
    batch = traffic(days=3)
    _, points, _ = watched(batch)

    _, earlier, _ = watched(batch[:20_000])

    assert earlier == points[: len(earlier)]


def test_a_dump_of_other_windows_is_refused():
    """State of one-minute windows is no state of five-minute windows."""
    with pytest.raises(SnapshotError, match="window length"):
        TrafficWatch(FIVE_MINUTES).restore(TrafficWatch().dump())
    with pytest.raises(SnapshotError, match="lacks"):
        TrafficWatch().restore({"traffic.window_seconds": 60})


def test_amounts_are_money_of_approved_payments_in_the_base_currency():
    """Declined payments add nothing; a currency is converted, an unknown one adds nothing."""
    rows = traffic(days=1)[:4].with_columns(
        amount=pl.Series([10.0, 10.0, 10.0, 10.0]),
        currency=pl.Series(["EUR", "USD", "XXX", "EUR"]),
        status=pl.Series(["approved", "approved", "approved", "declined"]),
        timestamp=pl.lit(START).cast(columns.TIME),
    )
    windows = OpenWindows(60, 0.0, {"EUR": 1.0, "USD": 0.5})
    windows.add(rows)
    windows.add(traffic(days=1).tail(1))

    _, totals = next(windows.closed())

    assert totals["all", ""] == (4, 15_000, 1, 10_000)


def test_more_than_a_week_of_nothing_is_skipped():
    """A source that pauses for a year does not make half a million empty windows."""
    batch = traffic(days=1)
    later = batch.with_columns(pl.col("timestamp") + pl.duration(days=365))
    windows = OpenWindows(60, 0.0, {})
    windows.add(batch)
    windows.add(later)

    assert len(list(windows.closed())) <= 2 * 1440


def test_the_busiest_are_watched_for_good():
    """At the end of a period the busiest fill the places; later ones find them taken."""
    choice = Watched({"merchant": 2}, period=10, least=5)
    for window in range(10):
        choice.note(window, {("merchant", f"m{n}"): (n, 0, 0, 0) for n in range(5)})
    for window in range(10, 31):
        choice.note(window, {("merchant", "new"): (100, 0, 0, 0)})

    assert list(dict.fromkeys(choice.keys)) == [
        ("all", ""),
        ("merchant", "m4"),
        ("merchant", "m3"),
    ]


def test_the_sentence_has_the_numbers_in_it():
    """Who, what was seen, when, what was expected, and between what."""
    found = Sum(
        metric="count", kind="merchant", entity="m17", start=at(0, 10), end=at(0, 10, 5),
        seen=0.0, due=41.0, spread=6.4, windows=9000, evidence=9.0,
    )  # fmt: skip

    assert sentence(found) == "merchant m17: 0 transactions from 10:00 to 10:05, expected 41 (24 to 62)"
    assert code(found) == "silence"


def test_an_event_ends_after_its_rest():
    """Strange windows within the rest belong together; after it a new event begins."""
    events = Events(threshold=5.0, rest=3, steps=(6.0,))
    evidence = [5.5, 0.0, 5.2, 6.5, 0.0, 0.0, 0.0, 0.0, 5.1]

    raised = [
        (window, r.event.opened, r.event.level)
        for window, e in enumerate(evidence)
        for r in events.step(window, np.array([e]))
    ]

    assert raised == [(0, 0, 0), (3, 0, 1), (8, 8, 0)]


@pytest.mark.parametrize("last", range(7))
def test_stl_with_a_season_of_a_week_knows_the_day_after_a_sunday(last):
    """Of a shop with quiet Sundays every next day is expected within a tenth, whatever weekday it is."""
    hours = np.arange(24 * (21 + last + 1))
    mean = np.where((hours % 24 >= 8) & (hours % 24 < 20), 60.0, 3.0) * np.where(
        hours // 24 % 7 == 6, 1 / 3, 1
    )
    seen = np.random.default_rng(1).poisson(12 * mean) / 12

    ahead = next_season(seen[:-24], 168)[:24]

    assert np.abs(ahead - mean[-24:]).sum() < 0.1 * mean[-24:].sum()


def test_the_hour_that_clocks_leave_out_moves_no_season():
    """After a missing hour each hour of the day is still expected to be what it was."""
    bands, last = StlBands(), 23 * 24 + 10
    for hour in range(last):
        if hour != 20 * 24 + 2:
            for part in (0, HOUR_MS // 2):
                found = bands.step(hour * HOUR_MS + part, np.array([float(hour % 24)]))

    assert found[0] == pytest.approx((last - 1) % 24, abs=0.3)


def test_stl_carries_trend_and_season_forward():
    """A rising wave goes on rising and waving."""
    hours = np.arange(24 * 10)
    past = 100 + 0.2 * hours + 20 * np.sin(2 * np.pi * hours / 24)

    ahead = next_season(past, 24)

    np.testing.assert_allclose(ahead, 100 + 0.2 * 240 + 20 * np.sin(2 * np.pi * np.arange(24) / 24), atol=5)
