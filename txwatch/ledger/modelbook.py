"""The registry of fitted models: what was fitted to what, what became of it, and what people want.

Noting a change again changes nothing, so a detector that scores rows again after a crash may tell all of it
once more.  The last `KEPT` models of a detector keep their payload, and so does the one that counts.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.errors import SnapshotError
from txwatch.ledger.tables import model_events, model_orders, models
from txwatch.registry import ModelChange, ModelEvent, ModelOrder, ModelState, RegisteredModel

KEPT: Final = 50
DETECTORS: Final = "detectors"
"""Who acts where no person does."""

_AFTER = {
    ModelEvent.FITTED: ModelState.CHALLENGER,
    ModelEvent.PROMOTED: ModelState.CHAMPION,
    ModelEvent.REJECTED: ModelState.REJECTED,
}


def note(connection: Connection, at: float, changes: Sequence[ModelChange], actor: str) -> list[ModelChange]:
    """Keep what happened; returns what was not known yet."""
    new = [change for change in changes if not _is_known(connection, change, actor)]
    for change in new:
        if change.event is ModelEvent.FITTED and _number(connection, change) is None:
            _register(connection, at, change)
        values = {"at": at, "name": change.name, "version": change.version, "event": change.event.value}
        values |= {"event_time": change.at.timestamp(), "actor": actor, "sentence": change.sentence}
        connection.execute(sql.insert(model_events).values(**values, facts=json.dumps(change.facts)))
    return new


def listed(connection: Connection) -> list[RegisteredModel]:
    """Return every model with where it stands, the newest first."""
    told = connection.execute(sql.select(model_events).order_by(model_events.c.number)).mappings().all()
    rows = connection.execute(sql.select(models).order_by(models.c.number.desc())).mappings().all()
    numbers = {(row["name"], row["version"]): row["number"] for row in rows}
    return [_registered(row, told, numbers) for row in rows]


def payload(connection: Connection, number: int) -> bytes:
    """Return a kept model; raises SnapshotError where there is none, or it is damaged."""
    row = connection.execute(sql.select(models).where(models.c.number == number)).mappings().first()
    if row is None:
        raise SnapshotError(f"there is no model {number}; `txwatch models list` shows them")
    if not row["payload"]:
        raise SnapshotError(f"model {number} is too old: only the last {KEPT} of a detector are kept")
    if hashlib.sha256(row["payload"]).hexdigest() != row["sha256"]:
        raise SnapshotError(f"model {number} is damaged: its content is not what was fitted")
    return bytes(row["payload"])


def order(connection: Connection, at: float, given: ModelOrder) -> int:
    """Append an order; return its number."""
    values = {"at": at, "model": given.model, "held": int(given.held)}
    done = connection.execute(
        sql.insert(model_orders).values(values | {"actor": given.actor, "reason": given.reason})
    )
    (number,) = done.inserted_primary_key or (0,)
    return int(number)


def orders(connection: Connection, after: int) -> list[ModelOrder]:
    """Return orders beyond a number, the oldest first."""
    beyond = sql.select(model_orders).where(model_orders.c.number > after).order_by(model_orders.c.number)
    return [
        ModelOrder(
            model=row["model"],
            held=bool(row["held"]),
            actor=row["actor"],
            reason=row["reason"],
            number=row["number"],
        )
        for row in connection.execute(beyond).mappings()
    ]


def _is_known(connection: Connection, change: ModelChange, actor: str) -> bool:
    """Tell whether the detectors told this before; what a person does twice happened twice."""
    if actor != DETECTORS:
        return False
    same = sql.select(model_events.c.number).where(
        model_events.c.name == change.name,
        model_events.c.version == change.version,
        model_events.c.event == change.event.value,
        model_events.c.event_time == change.at.timestamp(),
        model_events.c.actor == actor,
    )
    return connection.scalar(same.limit(1)) is not None


def _number(connection: Connection, change: ModelChange) -> int | None:
    same = sql.select(models.c.number).where(models.c.name == change.name, models.c.version == change.version)
    return connection.scalar(same)


def _register(connection: Connection, at: float, change: ModelChange) -> None:
    values = {"name": change.name, "version": change.version, "at": at, "fitted_at": change.at.timestamp()}
    digest = hashlib.sha256(change.payload).hexdigest()
    connection.execute(
        sql.insert(models).values(
            **values, facts=json.dumps(change.facts), sha256=digest, payload=change.payload
        )
    )
    mine = models.c.name == change.name
    newest = sql.select(models.c.number).where(mine).order_by(models.c.number.desc()).limit(KEPT)
    old = models.c.number.not_in(list(connection.scalars(newest)))
    counts = sql.select(model_events.c.version).where(
        model_events.c.name == change.name, model_events.c.event == ModelEvent.PROMOTED.value
    )
    champion = connection.scalar(counts.order_by(model_events.c.number.desc()).limit(1))
    connection.execute(sql.update(models).where(mine, old, models.c.version != champion).values(payload=b""))


def _registered(
    row: Mapping[Any, Any], told: Sequence[Mapping[Any, Any]], numbers: Mapping[tuple[str, str], int]
) -> RegisteredModel:
    of_name = [event for event in told if event["name"] == row["name"] and event["event"] in _AFTER]
    mine = [event for event in of_name if event["version"] == row["version"]]
    promoted = [event for event in of_name if event["event"] == ModelEvent.PROMOTED.value]
    judged = [event for event in mine if event["event"] != ModelEvent.FITTED.value and event["facts"] != "{}"]
    last, state = mine[-1], _AFTER[ModelEvent(mine[-1]["event"])]
    sentence = last["sentence"]
    if state is ModelState.CHAMPION and promoted[-1]["version"] != row["version"]:
        state, last = ModelState.RETIRED, _follower(promoted, row["version"])
        sentence = f"model {numbers[row['name'], last['version']]} counts instead"
    return RegisteredModel(
        number=row["number"],
        name=row["name"],
        version=row["version"],
        at=row["at"],
        fitted_at=row["fitted_at"],
        facts=json.loads(row["facts"]),
        state=state,
        since=last["at"],
        sentence=sentence,
        held_back=json.loads(judged[-1]["facts"]) if judged else {},
    )


def _follower(promoted: Sequence[Mapping[Any, Any]], version: str) -> Mapping[Any, Any]:
    """Return the promotion that came after a version's last one."""
    place = max(i for i, event in enumerate(promoted) if event["version"] == version)
    return promoted[place + 1]
