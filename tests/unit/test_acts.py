"""What is done to a running detector is recorded before it takes effect, and done again in its place."""

import msgspec
import polars as pl
import pytest
import sqlalchemy as sql
from acts_bench import OTHER, SEVERE, ActsBench
from people_bench import FEEDBACK
from rules_bench import simulated

from detectors.acts import LabelsLearnt, RulesChanged, pending, written
from detectors.configuration import known_configuration
from detectors.recalling import recalled
from detectors.service import CONSUMER
from txwatch.errors import SnapshotError
from txwatch.ledger import Ledger
from txwatch.ledger.acts import RecordedAct
from txwatch.ledger.tables import rules_versions as table
from txwatch.testing import ManualClock, WhenTold


@pytest.fixture(scope="module")
def rows():
    return simulated(5)


@pytest.fixture
def benches(tmp_path, rows):
    """Two of the same: one to disturb, one not."""
    made = ActsBench(tmp_path / "one", rows), ActsBench(tmp_path / "other", rows)
    yield made
    for each in made:
        each.ledger.close()


@pytest.fixture
def bench(benches):
    return benches[0]


def labels(bench):
    bench.label_all()


def model(bench):
    bench.order()


def edit(bench):
    bench.edit(OTHER)


ACTS = [edit, labels, model]


def same(one: ActsBench, other: ActsBench) -> None:
    assert one.scores() == other.scores()
    assert one.state == other.state


@pytest.mark.parametrize("act", ACTS)
def test_no_act_waits_for_a_state_to_be_written(bench, act):
    bench.score(steps=9)
    before = bench.detector.health().figures["snapshots_total"]
    act(bench)

    assert bench.acts()
    assert bench.detector.health().figures["snapshots_total"] == before


@pytest.mark.parametrize("act", ACTS)
def test_what_is_recorded_takes_effect_also_after_a_crash_before_it_did(benches, act):
    """The process dies between the ledger's answer and the act."""
    crashed, calm = benches
    for each in benches:
        each.score(steps=9)
    act(calm)
    record = crashed.ledger.record_act

    def record_and_die(*given):
        record(*given)
        raise ZeroDivisionError

    crashed.ledger.record_act = record_and_die
    with pytest.raises(ZeroDivisionError):
        act(crashed)
    crashed.ledger.record_act = record
    crashed.die()

    assert crashed.state == calm.state
    assert crashed.detector.configuration.version == calm.detector.configuration.version


@pytest.mark.parametrize("act", ACTS)
def test_what_cannot_be_recorded_does_not_take_effect(bench, act):
    """It can be tried again."""
    bench.score(steps=9)
    before, record = bench.state, bench.ledger.record_act

    def refuse(*_):
        raise ZeroDivisionError

    bench.ledger.record_act = refuse
    with pytest.raises(ZeroDivisionError):
        act(bench)
    bench.ledger.record_act = record

    assert bench.state == before
    act(bench)
    assert bench.state != before


def test_several_acts_are_replayed_each_at_its_rows(benches):
    """Two of them at the same rows, others further on; there is no snapshot but that of the beginning."""
    crashed, calm = benches
    for each in benches:
        each.score(steps=7)
        each.edit(SEVERE)
        each.label_all()
        each.score(steps=1)
        each.order()
        each.edit(OTHER)
        each.score(steps=1)
        each.label_all()
    assert len(crashed.acts()) == len(calm.acts()) >= 5
    crashed.die()
    same(crashed, calm)
    for each in benches:
        each.score()

    same(crashed, calm)
    assert crashed.looked_at() == calm.looked_at()


def test_an_act_at_the_very_place_of_a_snapshot_is_done_once(benches):
    """Before it: it is in the snapshot.  After it: it is not."""
    crashed, calm = benches
    for each in benches:
        each.score(steps=7)
        each.label_all()
        each.detector._keeping.wait()
    crashed.keep()
    calm.detector.step()
    for each in benches:
        each.edit(OTHER)
    crashed.die()

    same(crashed, calm)


def damage_newest(bench):
    files = (bench.path.parent / "snapshots").iterdir()
    max(files, key=lambda path: path.stat().st_mtime_ns).write_bytes(b"damaged")


def test_a_damaged_snapshot_is_made_up_for_by_the_acts_since_the_one_before(benches):
    crashed, calm = benches
    for each in benches:
        each.score(steps=6)
        each.keep()
        each.edit(SEVERE)
        each.score(steps=1)
        each.label_all()
        each.keep()
        each.score(steps=1)
        each.order()
    damage_newest(crashed)
    crashed.die()
    for each in benches:
        each.score()

    same(crashed, calm)
    assert "snapshot unusable" in crashed.actions()


def test_a_damaged_snapshot_takes_no_place_of_a_whole_one(benches):
    """The older one is still there when the next one is damaged too."""
    crashed, calm = benches
    for each in benches:
        each.score(steps=6)
        each.keep()
        each.edit(SEVERE)
        each.keep()
    damage_newest(crashed)
    crashed.die()
    for each in benches:
        each.label_all()
        each.keep()
    damage_newest(crashed)
    crashed.die()

    same(crashed, calm)


def test_acts_are_forgotten_when_both_kept_snapshots_have_them(bench):
    bench.score(steps=6)
    bench.edit(OTHER)
    bench.score(steps=1)
    bench.keep()
    one = len(bench.acts())
    bench.score(steps=1)
    bench.keep()

    assert (one, len(bench.acts())) == (1, 0)


def test_an_act_while_a_copy_is_written_is_not_taken_for_part_of_it(bench):
    """The snapshot names the act of its copy, not of its record."""
    bench.score(steps=6)
    bench.detector._keeping._every_seconds = 0.0
    bench.detector._keeping._aside = aside = WhenTold()
    bench.detector.step()
    bench.detector._keeping._every_seconds = 1e9
    bench.edit(OTHER)
    aside.work()
    bench.detector.step()
    after = bench.state
    bench.die()

    assert bench.state == after


def test_a_version_that_cannot_be_compiled_any_more_is_passed_over_and_told(bench, monkeypatch):
    """As after an upgrade that knows a word no longer: the version before stays in force."""
    bench.score(steps=6)
    before = bench.detector.configuration.version
    bench.edit(OTHER)
    bench.score(steps=1)
    with bench.ledger._writing() as connection:
        connection.execute(sql.update(table).where(table.c.number == 2).values(content=b"rules: ["))
    bench.path.write_text(FEEDBACK)
    bench.die()
    bench.look()

    assert bench.detector.configuration.version == before
    assert "rules refused" in bench.actions()
    assert bench.rules.health().state == "degraded"


def test_an_edit_comes_back_with_the_length_of_windows_that_was_asked_for(tmp_path):
    """As `txwatch demo` asks for; with another one the series would begin anew when it takes effect."""
    path, ledger = tmp_path / "rules.yaml", Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", ManualClock())
    path.write_text(FEEDBACK)
    recalled(ledger, path, require_apply=False, window_seconds=1800)
    edited = known_configuration(path, OTHER.encode())
    ledger.rules().edited(edited.as_version("ada", "edited"))
    act = RulesChanged(version=edited.version, trusted=True, planned={})
    ledger.record_act(CONSUMER, {}, written(act))

    back = recalled(ledger, path, require_apply=False, window_seconds=1800)

    assert back.configuration.version == edited.version
    assert back.configuration.traffic.window_seconds == 1800
    ledger.close()


def test_who_deletes_the_snapshots_begins_anew_and_no_act_comes_back(bench, tmp_path):
    bench.score(steps=6)
    bench.edit(OTHER)
    bench.label_all()
    bench.detector.close()
    for file in (tmp_path / "one" / "snapshots").iterdir():
        file.unlink()
    bench.open()

    assert not bench.detector._pending
    assert bench.detector.labels == 0


def test_an_act_of_another_edition_is_one_sentence():
    """Rather than a state that lacks something."""
    act = RecordedAct(number=7, cursors={}, document=msgspec.msgpack.encode({"type": "unheard of"}))

    with pytest.raises(SnapshotError, match="act 7 in the ledger was written by another version"):
        pending([act], lambda _: None)


def test_acts_come_back_from_the_ledger_as_they_were():
    frame = pl.DataFrame(
        {"transaction_id": ["é"], "user_id": [None]}, schema_overrides={"user_id": pl.String}
    )
    acts = [
        RulesChanged(version="v", trusted=True, planned={"all": 0.1}),
        LabelsLearnt.of(frame, frame[:0], 3),
    ]
    recorded = [RecordedAct(number=n, cursors={}, document=written(act)) for n, act in enumerate(acts)]

    found = pending(recorded, lambda _: None)
    assert [each.act for each in found] == acts
    assert pl.read_ipc(found[1].act.frauds).equals(frame)
