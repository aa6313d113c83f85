"""A canary is scored by the code, settings and rules in force, and is missed when they find nothing."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from detectors import rehearsal
from detectors.configuration import known_configuration
from detectors.coverage.stored import stored_counts
from detectors.detection import Detection
from detectors.joining import Joining
from detectors.kernels.tail import SILENT
from detectors.methods.user_amount import UserAmount
from detectors.ordinary import stream
from detectors.planning.history import between
from detectors.rehearsal import FINDERS
from txwatch.canary import Canaries, parted
from txwatch.columns import FEED
from txwatch.model import Mode
from txwatch.testing import ManualClock, MemoryStore

NIGHT = datetime(2026, 3, 2, 3, 12, tzinfo=UTC)
KEY = b"k" * 32
OURS = Canaries(KEY)


@pytest.fixture
def detection(tmp_path, monkeypatch):
    """Make a detection by what stands in a rules file."""
    monkeypatch.setenv("TXWATCH_CANARY_KEY", KEY.hex())

    def make(text="version: 1"):
        return Detection.fresh(known_configuration(tmp_path / "rules.yaml", text.encode()))

    return make


def feed(rows):
    """Rows as the feed gives them."""
    placed = rows.with_columns(
        source=pl.lit("topic"), partition=0, sequence=pl.int_range(pl.len()), arrival=pl.int_range(pl.len())
    )
    missing = [pl.lit(None).alias(name) for name in FEED if name not in placed.columns]
    return placed.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in FEED.items())


def canary(at=NIGHT, **changed):
    fields = OURS.transaction(at, "EUR") | {"timestamp": at, "status": "approved"} | changed
    return feed(pl.DataFrame([fields]))


def told(detection, rows):
    return [each for each in detection.step(rows, lambda: NIGHT).anomalies if each.mode is Mode.CANARY]


def test_a_canary_is_found_by_detectors_and_says_by_which(detection):
    """Its anomaly has the reasons of whatever found it, after the one by which people know it."""
    (found,) = told(detection(), canary())
    names = [reason.detector for reason in found.reasons]

    assert names[0] == "canary"
    assert set(names[1:]) & FINDERS
    assert detection().missed() == []


def test_nothing_learns_from_it(detection):
    """Alone or among payments: what is found, counted and measured afterwards is what it is without."""
    rows = feed(stream(3000, users=400))
    one, other = detection(), detection()
    one.step(rows[:2000], lambda: NIGHT)
    other.step(pl.concat([rows[:1000], canary(), rows[1000:2000]]), lambda: NIGHT)
    other.step(canary(), lambda: NIGHT)
    findings = [each.step(rows[2000:], lambda: NIGHT) for each in (one, other)]

    assert findings[0].anomalies
    assert findings[0] == findings[1]
    assert one.figures() == other.figures()


@pytest.mark.parametrize("name", sorted(FINDERS))
def test_each_of_those_detectors_finds_it_alone(detection, name):
    """So switching off others, or all but one, makes no false alarm."""
    off = sorted(set(detection()._engine.names) - {name})
    alone = detection(f"version: 1\ndetectors: {{off: [{', '.join(off)}]}}")

    assert [reason.detector for reason in told(alone, canary())[0].reasons] == ["canary", name]


def test_where_no_detector_could_find_it_it_is_scored_and_told(detection):
    """Who works with rules alone still sees that alerts arrive."""
    off = sorted(FINDERS)
    without = detection(f"version: 1\ndetectors: {{off: [{', '.join(off)}]}}")

    assert len(told(without, canary())) == 1


@pytest.mark.parametrize("hour", [0, 6, 12, 18])
def test_it_is_found_at_any_hour(detection, hour):
    assert len(told(detection(), canary(NIGHT.replace(hour=hour)))) == 1


def test_thresholds_that_nothing_reaches_lose_it(detection):
    """An edit after which no fraud would be told is no reason to say that all is well."""
    deaf = detection("version: 1\ndetectors: {threshold: 100}")

    assert told(deaf, canary()) == []
    assert "scored as an ordinary payment" in deaf.missed()[0]


def test_an_amount_that_is_lost_on_the_way_loses_it(detection):
    """The fraud as it was stored is scored, not a copy of it."""
    assert told(detection(), canary(amount=0.0, country=None, lat=None, lon=None)) == []


def test_scoring_that_ends_in_an_error_loses_it_and_costs_no_payment(detection, monkeypatch):
    """Alone on a quiet stream, too: then nothing else would show that scoring is broken."""
    running = detection()

    def broken(*_):
        raise ZeroDivisionError("scoring is broken")

    monkeypatch.setattr(UserAmount, "score", broken)

    assert told(running, canary()) == []
    assert running.missed() == ["a canary could not be scored: ZeroDivisionError: scoring is broken"]


def test_evidence_that_is_lost_on_the_way_to_the_score_loses_it(detection, monkeypatch):
    """Detectors speak, and nobody hears them."""
    monkeypatch.setattr(
        Joining, "calibrated", lambda self, found, count: np.full((count, len(found)), SILENT)
    )

    assert told(detection(), canary()) == []


def test_a_running_engine_that_has_fallen_silent_loses_it_until_it_speaks_again(detection, monkeypatch):
    """Its memory may be blind where a fresh engine sees well."""
    monkeypatch.setattr(rehearsal, "MUTE_ROWS", 300)
    rows = feed(stream(1200))
    running = detection()
    running.step(rows[:600], lambda: NIGHT)
    heard, judged = told(running, canary()), running._engine._judged
    monkeypatch.setattr(running._engine, "_judged", lambda *given: _silenced(judged(*given)))
    running.step(rows[600:900], lambda: NIGHT)
    mute, said = told(running, canary()), running.missed()
    monkeypatch.undo()
    running.step(rows[900:], lambda: NIGHT)

    assert len(heard) == 1
    assert mute == []
    assert said == ["no detector has said anything of the last 300 payments"]
    assert len(told(running, canary())) == 1
    assert running.missed() == []


def _silenced(judged):
    judged.evidence[:] = SILENT
    return judged


def test_an_engine_that_knows_nobody_yet_is_not_mute(detection):
    """A new installation says nothing of its first payments."""
    running = detection()
    running.step(feed(stream(100)), lambda: NIGHT)

    assert len(told(running, canary())) == 1


def test_the_stored_past_is_looked_through_without_canaries():
    """A plan of rules counts no hit on one, and coverage tells of no gap where one was alone at night."""
    rows = pl.concat([canary(), canary(transaction_id="t1")]).drop("arrival")
    store = MemoryStore(ManualClock(NIGHT))
    store.append(rows.with_columns(sequence=pl.Series([0, 1])))
    span = NIGHT - timedelta(hours=1), NIGHT + timedelta(hours=1)
    looked_through = pl.concat(between(store, *span, OURS))

    assert looked_through["transaction_id"].to_list() == ["t1"]
    assert list(stored_counts(store, *span, OURS).values()) == [1]
    assert list(stored_counts(store, *span, None).values()) == [2]


def test_without_the_key_a_canary_is_a_payment(detection, monkeypatch):
    """Nothing is taken out that the key does not mark."""
    strange = canary(transaction_id="canary-1-abc")

    assert parted(strange, OURS)[1].is_empty()
    assert told(detection(), strange) == []
