"""What comes after its window closed: the window is judged again, and what was said of it is amended."""

import numpy as np
import polars as pl
import pytest
from test_series_traffic import EVENT_DAY, FIVE_MINUTES, at, silence, traffic, watched

from detectors.series.events import Events
from detectors.series.traffic import TrafficSettings, TrafficWatch
from txwatch.model import AnomalyState, Severity

FOUND, WITHDRAWN = AnomalyState.FOUND, AnomalyState.WITHDRAWN


def delayed(batch, which, until):
    """The same feed, but those rows come after everything before `until`."""
    late = batch["timestamp"].is_between(at(EVENT_DAY, 14), at(EVENT_DAY, 14, 29)) & which(batch)
    later = batch["timestamp"] >= until
    parts = [batch.filter(~late & ~later), batch.filter(late), batch.filter(later)]
    return pl.concat(parts).with_columns(arrival=np.arange(batch.height))


def nearly_all(batch):
    return pl.Series(np.random.default_rng(5).random(batch.height) < 0.9)


def all_of_m0(batch):
    return batch["merchant_id"] == "m0"


def last_word(anomalies):
    """Of each anomaly what holds in the end."""
    return {
        a.anomaly_id: (a.state, a.severity)
        for a in sorted(anomalies, key=lambda a: (a.revision, a.severity))
        if a.timestamp >= at(EVENT_DAY, 0)
    }


@pytest.fixture(scope="module")
def in_order():
    return watched(traffic())


@pytest.fixture(scope="module", params=[nearly_all, all_of_m0])
def out_of_order(request):
    return watched(delayed(traffic(), request.param, at(EVENT_DAY, 14, 50)))


def values(points):
    """The last writing of each window is what a store keeps."""
    return {(p.series, p.start): p.value for p in points}


def test_a_drop_that_was_a_delay_is_withdrawn(out_of_order):
    """Half an hour comes twenty minutes late: what was raised is withdrawn, and nothing else stands."""
    _, _, anomalies = out_of_order
    raised = [a for a in anomalies if a.timestamp >= at(EVENT_DAY, 14)]
    withdrawn = [a for a in raised if a.state is WITHDRAWN]

    assert any(a.reasons[0].code in {"drop", "silence"} for a in raised if a.state is FOUND)
    assert {a.anomaly_id for a in raised} == {a.anomaly_id for a in withdrawn}
    assert all(a.late and a.revision == 1 and a.before == a.severity for a in withdrawn)


def test_in_the_end_every_window_has_what_was_in_it(in_order, out_of_order):
    """The points that are written last are those of the same feed in order."""
    assert values(out_of_order[1]) == values(in_order[1])


def test_a_withdrawal_says_what_late_data_made_of_it(out_of_order):
    """The same windows as before, with what is in them now, what was expected, and what it was before."""
    about = [
        a for a in out_of_order[2] if a.series == "count/merchant/m0" and a.timestamp >= at(EVENT_DAY, 14)
    ]
    before, after = about[-2].reasons[0], about[-1].reasons[0]

    assert (after.facts["from"], after.facts["to"]) == (before.facts["from"], before.facts["to"])
    assert before.observed < before.facts["low"] <= after.observed
    assert after.expected == pytest.approx(before.expected)
    assert after.sentence.endswith(f"; it was {before.observed:.0f} before late data came")


def test_what_half_explains_it_grades_it_down():
    """A silence in which three of five payments come after all is a drop: less grave, the same anomaly."""
    batch, gone = traffic(change=silence), traffic()
    quiet_hour = gone["timestamp"].is_between(at(EVENT_DAY, 14), at(EVENT_DAY, 15))
    most = (gone["merchant_id"] == "m0") & pl.Series(np.arange(gone.height) % 5 < 3)
    late = gone.filter(quiet_hour & most)
    before = batch["timestamp"] < at(EVENT_DAY, 15, 10)
    _, _, anomalies = watched(pl.concat([batch.filter(before), late, batch.filter(~before)]))
    about = [a for a in anomalies if a.series == "count/merchant/m0" and a.timestamp.day == 25]

    down = [a for a in about if a.before is not None and a.severity < a.before]
    assert len({a.anomaly_id for a in about}) == 1
    assert [(a.state, a.revision) for a in down] == [(FOUND, 1)]


def test_a_spike_that_comes_late_is_found_late():
    """Payments of an hour ago that are ten times too many are an anomaly of that hour."""
    batch = traffic()
    crowd = batch.filter(batch["timestamp"].is_between(at(EVENT_DAY, 14), at(EVENT_DAY, 14, 9)))
    before = batch["timestamp"] < at(EVENT_DAY, 15)
    _, _, anomalies = watched(pl.concat([batch.filter(before), *[crowd] * 5, batch.filter(~before)]))
    found = [a for a in anomalies if a.series == "count/all" and a.timestamp >= at(EVENT_DAY, 13)]

    assert found[0].late
    assert at(EVENT_DAY, 14) <= found[0].timestamp <= at(EVENT_DAY, 14, 10)
    assert found[0].reasons[0].code == "spike"
    assert (found[0].revision, found[0].before) == (0, None)


def test_beyond_the_span_nothing_is_judged_again():
    """Four hours later what was said stands; the rows are counted as ignored."""
    batch = traffic()
    watch, _, anomalies = watched(delayed(batch, all_of_m0, at(EVENT_DAY, 18)))

    assert watch.ignored > 0
    assert not [a for a in anomalies if a.state is WITHDRAWN]


def test_what_is_late_gives_the_same_wherever_the_feed_is_cut():
    """Late rows are judged at the next closing, so batches and a restart change nothing."""
    batch = delayed(traffic(days=16), nearly_all, at(EVENT_DAY, 14, 50))
    _, points, anomalies = watched(batch)
    cut = batch.height - 6_000
    first, second = TrafficWatch(FIVE_MINUTES), TrafficWatch(FIVE_MINUTES)
    parts = [first.step(batch[:cut])]

    for begin in range(cut, batch.height, 333):
        second.restore(first.dump())
        parts.append(second.step(batch[begin : begin + 333]))
        first = second

    assert [p for part, _ in parts for p in part] == points
    assert [a for _, part in parts for a in part] == anomalies


def test_the_span_is_as_long_as_the_profiles_remember():
    """Windows of ten seconds have sums of 240 windows, so that fewer may be judged again."""
    spans = {
        seconds: TrafficWatch(TrafficSettings(window_seconds=seconds))._past.span for seconds in (10, 60, 300)
    }

    assert spans == {10: 144, 60: 180, 300: 36}


def judged(events, *evidence, first):
    return [
        (r.event.opened, r.event.level, r.event.revision, r.event.withdrawn, r.before)
        for r in events.amend(0, 0, first, np.array(evidence))
    ]


def test_an_event_goes_down_away_and_comes_back_under_one_name():
    """Each time it is a revision of the same event, named by the window in which it was first seen."""
    events = Events(threshold=5.0, rest=2, steps=(6.0, 7.0), span=10)
    for window, e in enumerate([0.0, 7.5, 6.5]):
        events.step(window, np.array([e]))

    assert judged(events, 0.0, 6.1, 5.5, first=1) == [(1, 1, 1, False, 2)]
    assert judged(events, 0.0, 6.1, 5.5, first=1) == []
    assert judged(events, 0.0, 1.0, 1.0, first=1) == [(1, 1, 2, True, 1)]
    assert judged(events, 0.0, 1.0, 1.0, first=1) == []
    assert judged(events, 0.0, 1.0, 5.5, first=2) == [(1, 0, 3, False, 1)]


def test_what_is_strange_again_after_a_withdrawal_is_a_new_event():
    """A withdrawn drop says nothing of the next one."""
    events = Events(threshold=5.0, rest=5, steps=(6.0,), span=10)
    events.step(0, np.array([5.5]))
    judged(events, 0.0, first=0)

    (raised,) = events.step(2, np.array([5.5]))
    assert (raised.event.opened, raised.again) == (2, False)


def test_severity_of_what_stands_is_that_of_the_same_feed_in_order():
    """Late or not, in the end the same events of that day are told."""
    batch = traffic(change=silence)
    _, _, in_order = watched(batch)
    _, _, anomalies = watched(delayed(batch, nearly_all, at(EVENT_DAY, 14, 50)))
    standing = {key for key, (state, _) in last_word(anomalies).items() if state is FOUND}
    expected = {key for key, (_, severity) in last_word(in_order).items() if severity >= Severity.MEDIUM}

    assert expected
    assert expected <= standing
