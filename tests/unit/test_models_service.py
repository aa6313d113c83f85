"""A person's word about models and anomalies reaches a running detector between two batches, exactly once."""

import pytest
import sqlalchemy as sql
from people_bench import FEEDBACK, RULES, PeopleBench
from rules_bench import simulated

from txwatch.ledger.tables import models as table
from txwatch.model import Verdict
from txwatch.registry import ModelOrder, ModelState


@pytest.fixture(scope="module")
def rows():
    return simulated(5)


@pytest.fixture
def bench(tmp_path, rows):
    bench = PeopleBench(tmp_path, rows)
    yield bench
    bench.ledger.close()


@pytest.fixture
def shelf(bench):
    return bench.ledger.models()


def crashed(bench: PeopleBench) -> None:
    """The process is gone; what comes next opens store and ledger."""
    bench.open()


def champion(bench: PeopleBench) -> int:
    (number,) = [each.number for each in bench.ledger.models().listed() if each.state is ModelState.CHAMPION]
    return number


def order(bench: PeopleBench, model: int, *, held: bool = False) -> None:
    bench.ledger.models().order(ModelOrder(model=model, held=held, actor="ada", reason="as asked"))


def test_a_running_detector_keeps_its_models_in_the_registry(bench, shelf):
    bench.score()

    listed = shelf.listed()
    assert len(listed) >= 3
    assert listed[-1].facts["rows"] >= 256
    assert {each.state for each in listed} >= {ModelState.CHAMPION, ModelState.RETIRED}
    assert f"forest: model {champion(bench)} counts" in bench.models.health().sentence


def test_every_anomaly_names_the_forest_that_judged_it(bench, shelf):
    bench.score()

    known = {each.version for each in shelf.listed()}
    named = [each.versions["forest"] for each in bench.anomalies() if "forest" in each.versions]
    assert named
    assert set(named) <= known


def test_a_crash_registers_nothing_twice_and_changes_no_score(bench, shelf, tmp_path, rows):
    bench.score(steps=6)
    crashed(bench)
    bench.score()

    (tmp_path / "other").mkdir()
    undisturbed = PeopleBench(tmp_path / "other", rows)
    undisturbed.score()
    assert [(each.number, each.version) for each in shelf.listed()] == [
        (each.number, each.version) for each in undisturbed.ledger.models().listed()
    ]
    assert bench.scores() == undisturbed.scores()
    undisturbed.ledger.close()


def test_an_ordered_model_counts_from_the_next_batch_on_and_stays_where_it_is_held(bench, shelf):
    bench.score(steps=9)
    before = champion(bench)
    order(bench, 1, held=True)
    bench.score()

    assert before != 1
    assert champion(bench) == 1
    assert bench.anomalies()[-1].versions["forest"] == shelf.listed()[-1].version
    assert any("the forest is held" in each.sentence for each in shelf.listed())


def test_what_is_scored_again_after_a_crash_is_scored_by_the_ordered_model(bench):
    """Otherwise the same rows would get other scores than those that were written."""
    bench.score(steps=9)
    order(bench, 1, held=True)
    bench.score(steps=2)
    crashed(bench)
    bench.score(steps=0)
    assert bench.detector.replaying
    bench.score()

    assert champion(bench) == 1
    assert bench.detector.health().figures["replayed_total"] == 11 * 400
    assert bench.actions().count("model ordered") == 1


def test_an_order_that_cannot_be_carried_out_changes_nothing_and_everybody_is_told(bench, shelf):
    bench.score(steps=9)
    before = champion(bench)
    with bench.ledger._writing() as connection:
        connection.execute(sql.update(table).where(table.c.number == 1).values(payload=b"other"))
    order(bench, 1)
    bench.score(steps=1)

    assert champion(bench) == before
    assert bench.models.health().state == "degraded"
    assert "model 1 cannot count, the one before stays: model 1 is damaged" in bench.told()[0]
    assert "model refused" in bench.actions()
    order(bench, before)
    bench.score(steps=1)
    assert bench.models.health().state == "ok"


def test_labels_reach_the_detector_in_their_order(bench):
    bench.score(steps=5)
    found = [each.anomaly_id for each in bench.anomalies()]
    for anomaly_id in found:
        bench.label(anomaly_id, Verdict.FRAUD)
    bench.score()

    assert bench.labels.health().figures["frauds_total"] == len(found) > 0
    assert bench.detector.labels == len(found)


def test_labels_are_learnt_once_whatever_crashes(tmp_path, rows):
    bench = labelled(tmp_path / "one", rows, Verdict.FRAUD, crash=False)
    other = labelled(tmp_path / "other", rows, Verdict.FRAUD, crash=True)
    vague = labelled(tmp_path / "vague", rows, Verdict.UNCLEAR, crash=False)

    assert bench.scores() == other.scores()
    assert bench.scores() != vague.scores()
    for each in (bench, other, vague):
        each.ledger.close()


def labelled(folder, rows, verdict: Verdict, *, crash: bool) -> PeopleBench:
    folder.mkdir()
    bench = PeopleBench(folder, rows, FEEDBACK)
    bench.score(steps=4)
    for each in bench.anomalies():
        bench.label(each.anomaly_id, verdict)
    bench.score(steps=2)
    if crash:
        crashed(bench)
    bench.score()
    return bench


def test_a_label_that_is_withdrawn_leaves_no_trace(tmp_path, rows):
    scores = []
    for verdicts in ((Verdict.FRAUD, Verdict.FALSE_POSITIVE), (Verdict.UNCLEAR,)):
        folder = tmp_path / verdicts[0]
        folder.mkdir()
        bench = PeopleBench(folder, rows, FEEDBACK.replace("warm_up: 300", "warm_up: 100000"))
        bench.score(steps=4)
        first = bench.anomalies()[0].anomaly_id
        for verdict in verdicts:
            bench.label(first, verdict)
            bench.people()
        bench.score()
        scores.append(bench.scores())
        bench.ledger.close()

    assert scores[0] == scores[1]


def test_feedback_that_is_switched_on_learns_what_was_said_before(bench):
    bench.score(steps=4)
    for each in bench.anomalies():
        bench.label(each.anomaly_id, Verdict.FRAUD)
    for _ in range(3):
        bench.people()
    given = bench.detector.labels
    bench.edit(RULES.replace("detectors:\n", "detectors:\n  feedback: {delay_days: 1}\n"))
    again = bench.detector.labels
    bench.score()

    assert (given > 0, again) == (True, 0)
    assert bench.detector.labels == given
    assert bench.labels.health().figures["frauds_total"] == 2 * given
