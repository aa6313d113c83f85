"""What becomes of fitted models is kept, once, and people may go back to each that is kept."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sql

from txwatch.errors import SnapshotError
from txwatch.ledger import Ledger, modelbook
from txwatch.ledger.tables import models as table
from txwatch.registry import ModelChange, ModelEvent, ModelOrder, ModelState
from txwatch.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HELD_BACK = {"rows": 900, "suspected": 30, "ranking": 0.8, "ordinary": 0.45, "alone": 2}


def change(version: str, event: ModelEvent, hours: int = 0, name: str = "forest") -> ModelChange:
    is_new = event is ModelEvent.FITTED
    return ModelChange(
        name=name,
        version=version,
        event=event,
        at=NOON + timedelta(hours=hours),
        sentence=f"{version} {event.value}",
        facts={"rows": 100} if is_new else HELD_BACK,
        payload=version.encode() if is_new else b"",
    )


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", ManualClock(NOON))
    yield ledger
    ledger.close()


@pytest.fixture
def shelf(ledger):
    return ledger.models()


def standing(shelf) -> dict[int, ModelState]:
    return {model.number: model.state for model in shelf.listed()}


def test_each_model_stands_somewhere(shelf):
    shelf.changed([change("a", ModelEvent.FITTED), change("a", ModelEvent.PROMOTED)])
    shelf.changed([change("b", ModelEvent.FITTED, 1), change("b", ModelEvent.REJECTED, 2)])
    shelf.changed([change("c", ModelEvent.FITTED, 3), change("c", ModelEvent.PROMOTED, 4)])
    shelf.changed([change("d", ModelEvent.FITTED, 5)])

    assert standing(shelf) == {
        1: ModelState.RETIRED,
        2: ModelState.REJECTED,
        3: ModelState.CHAMPION,
        4: ModelState.CHALLENGER,
    }
    by_number = {model.number: model for model in shelf.listed()}
    assert by_number[1].sentence == "model 3 counts instead"
    assert by_number[2].sentence == "b rejected"
    assert by_number[3].held_back == HELD_BACK
    assert by_number[4].held_back == {}


def test_telling_it_again_changes_nothing(shelf, ledger):
    """As a detector does that scores rows again after a crash."""
    told = [change("a", ModelEvent.FITTED), change("a", ModelEvent.PROMOTED)]
    first = shelf.changed(told)
    again = shelf.changed(told)

    assert (first, again) == (told, [])
    assert [each.action for each in ledger.audited(0, 10)] == ["model fitted", "model promoted"]


def test_a_model_that_counts_again_is_champion_again(shelf):
    shelf.changed([change("a", ModelEvent.FITTED), change("a", ModelEvent.PROMOTED)])
    shelf.changed([change("b", ModelEvent.FITTED, 1), change("b", ModelEvent.PROMOTED, 2)])
    for _ in range(2):  # what a person does twice at one event time happened twice
        shelf.changed([change("a", ModelEvent.PROMOTED, 2)], "ada")

    assert standing(shelf) == {1: ModelState.CHAMPION, 2: ModelState.RETIRED}


def test_a_refused_order_changes_no_standing(shelf):
    shelf.changed([change("a", ModelEvent.FITTED), change("a", ModelEvent.PROMOTED)])
    shelf.changed([change("a", ModelEvent.REFUSED, 1)], "ada")

    assert standing(shelf) == {1: ModelState.CHAMPION}


def test_models_of_two_detectors_have_champions_of_their_own(shelf):
    for name in ("forest", "other"):
        shelf.changed(
            [change("a", ModelEvent.FITTED, name=name), change("a", ModelEvent.PROMOTED, name=name)]
        )

    assert standing(shelf) == {1: ModelState.CHAMPION, 2: ModelState.CHAMPION}


def test_a_damaged_model_is_one_sentence(shelf, ledger):
    shelf.changed([change("a", ModelEvent.FITTED)])
    with ledger._writing() as connection:
        connection.execute(sql.update(table).values(payload=b"other"))

    with pytest.raises(SnapshotError, match="model 1 is damaged: its content is not what was fitted"):
        shelf.payload(1)
    with pytest.raises(SnapshotError, match="there is no model 2"):
        shelf.payload(2)


def test_the_last_models_and_the_one_that_counts_keep_their_content(shelf, monkeypatch):
    monkeypatch.setattr(modelbook, "KEPT", 3)
    shelf.changed([change("first", ModelEvent.FITTED), change("first", ModelEvent.PROMOTED)])
    for hour in range(1, 6):
        shelf.changed([change(f"v{hour}", ModelEvent.FITTED, hour)])

    assert shelf.payload(1) == b"first"
    assert shelf.payload(4) == b"v3"
    with pytest.raises(SnapshotError, match="model 3 is too old: only the last 3"):
        shelf.payload(3)


def test_orders_are_read_in_their_order(shelf, ledger):
    orders = [
        ModelOrder(model=1, held=True, actor="ada", reason="too many alerts"),
        ModelOrder(model=2, held=False, actor="grace", reason="better"),
    ]
    numbers = [shelf.order(each) for each in orders]

    assert numbers == [1, 2]
    assert [(each.model, each.held, each.actor) for each in shelf.orders(0)] == [
        (1, True, "ada"),
        (2, False, "grace"),
    ]
    assert [each.number for each in shelf.orders(1)] == [2]
    assert [(each.actor, each.action) for each in ledger.audited(0, 10)] == [
        ("ada", "model ordered"),
        ("grace", "model ordered"),
    ]
