"""What the notifier must not lose: groups, decisions with their reasons, the outbox, silences.

Guarantee: a decision, the groups it changed, the notifications it made and the position in the queue are
one transaction.  Two notifiers never decide the same: each says with which epoch it has read the groups,
and the one that comes second is refused.  A notification is claimed before it is sent; one whose sender
died is claimed again when the claim has run out, and counted as unanswered.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine import Connection

from txwatch.errors import StoreBusyError
from txwatch.ledger import audit, queue
from txwatch.ledger.alertrecords import Channel, Outgoing, Step, StoredDecision, StoredGroup
from txwatch.ledger.tables import alert_decisions, alert_groups, alert_routes, notifications, silences

Opening = Callable[[], AbstractContextManager[Connection]]
EPOCH = "alerts/epoch"
"""Counts the changes of groups and silences, kept among the offsets."""
PART = 500
T = TypeVar("T", bound=msgspec.Struct)


class AlertBook:
    """The ledger's part for alerts; every method is one transaction."""

    def __init__(self, reading: Opening, writing: Opening) -> None:
        self._reading, self._writing = reading, writing

    def epoch(self) -> int:
        """Return the count of changes so far."""
        with self._reading() as connection:
            return queue.offset(connection, EPOCH)

    def open_groups(self) -> tuple[int, list[bytes]]:
        """Return the epoch and the documents of all open groups, as of one moment."""
        with self._reading() as connection:
            rows = connection.scalars(sql.select(alert_groups.c.document).where(alert_groups.c.open == 1))
            return queue.offset(connection, EPOCH), list(rows)

    def routes(self) -> list[bytes]:
        """Return what the routes remember."""
        with self._reading() as connection:
            return list(connection.scalars(sql.select(alert_routes.c.document)))

    def commit(self, consumer: str, epoch: int, step: Step) -> int:
        """Write a decision whole and return the new epoch; StoreBusyError if another one came first."""
        with self._writing() as connection:
            if queue.offset(connection, EPOCH) != epoch:
                raise StoreBusyError("another process changed the alert groups meanwhile; try again")
            self._write(connection, step)
            for each in step.audited:
                audit.append(connection, each.at, each.actor, each.action, each.facts)
            if step.position is not None:
                queue.advance(connection, consumer, step.position)
            queue.advance(connection, EPOCH, epoch + 1)
        return epoch + 1

    def known(self, anomaly_ids: Sequence[str]) -> dict[str, list[str]]:
        """Return those of the anomalies that are in groups, with the ids of these."""
        found: dict[str, list[str]] = {}
        d = alert_decisions
        with self._reading() as connection:
            for start in range(0, len(anomaly_ids), PART):
                part = anomaly_ids[start : start + PART]
                here = sql.and_(d.c.anomaly_id.in_(part), d.c.verdict == "grouped")
                rows = connection.execute(sql.select(d.c.anomaly_id, d.c.group_id).where(here).distinct())
                for anomaly_id, group in rows:
                    found.setdefault(anomaly_id, []).append(group)
        return found

    def told_at(self, anomaly_id: str) -> float | None:
        """Return when a channel took the first message about an anomaly's groups; None before that."""
        d, n = alert_decisions, notifications
        groups = sql.select(d.c.group_id).where(d.c.anomaly_id == anomaly_id, d.c.group_id.is_not(None))
        first = sql.select(sql.func.min(n.c.sent_at)).where(n.c.group_id.in_(groups), n.c.state == "sent")
        with self._reading() as connection:
            found = connection.scalar(first)
        return None if found is None else float(found)

    def decisions(self, subject: str) -> list[StoredDecision]:
        """Return what was decided about an anomaly or a group, in order."""
        table = alert_decisions
        here = sql.or_(table.c.anomaly_id == subject, table.c.group_id == subject)
        with self._reading() as connection:
            rows = connection.execute(sql.select(table).where(here).order_by(table.c.number)).mappings()
            return [_convert(row, StoredDecision) for row in rows]

    def groups(self, *, limit: int, only_open: bool) -> list[bytes]:
        """Return documents of groups, the last changed first."""
        query = sql.select(alert_groups.c.document).order_by(alert_groups.c.changed_at.desc()).limit(limit)
        with self._reading() as connection:
            return list(connection.scalars(query.where(alert_groups.c.open == 1) if only_open else query))

    def group(self, group_id: str) -> bytes | None:
        """Return the document of one group."""
        with self._reading() as connection:
            here = alert_groups.c.group_id == group_id
            return connection.scalar(sql.select(alert_groups.c.document).where(here))

    def channels_due(self, now: float) -> list[str]:
        """Return the channels for which something is due, or being sent for too long."""
        channels = sql.select(notifications.c.channel).where(_is_due(now)).distinct()
        with self._reading() as connection:
            return sorted(connection.scalars(channels))

    def claim(self, channel: str, now: float, until: float, limit: int) -> list[Outgoing]:
        """Return notifications of a channel that are due, and keep others from them until a time.

        Urgent ones come first.  Of one group and channel only the oldest unsent one is given out, so that
        they go in order.
        """
        if not self._any_due(channel, now):
            return []
        with self._writing() as connection:
            rows = connection.execute(_due(channel, now, limit)).mappings()
            return [self._claimed(connection, _convert(row, Outgoing), until) for row in rows.all()]

    def settle(self, number: int, changes: Mapping[str, object], more: Sequence[Outgoing] = ()) -> None:
        """Write what became of a notification, and those that take its place."""
        with self._writing() as connection:
            row = sql.update(notifications).where(notifications.c.number == number)
            connection.execute(row.values(**changes))
            self._write(connection, Step(outgoing=more))

    def reference(self, group_id: str, channel: str) -> str:
        """Return what the channel called the last message about this group; empty before the first."""
        n = notifications
        here = sql.and_(n.c.group_id == group_id, n.c.channel == channel, n.c.reference != "")
        with self._reading() as connection:
            newest = sql.select(n.c.reference).where(here).order_by(n.c.number.desc()).limit(1)
            return connection.scalar(newest) or ""

    def outbox(self, *, limit: int, state: str | None = None) -> list[Outgoing]:
        """Return notifications, the newest first."""
        query = sql.select(notifications).order_by(notifications.c.number.desc()).limit(limit)
        with self._reading() as connection:
            rows = connection.execute(query.where(notifications.c.state == state) if state else query)
            return [_convert(row, Outgoing) for row in rows.mappings()]

    def channels(self, dead_since: float) -> dict[str, Channel]:
        """Return what is in the outbox for each channel."""
        n = notifications
        lately = sql.case((n.c.due_at >= dead_since, 1), else_=0)
        columns = (sql.func.count(), sql.func.sum(lately), sql.func.min(n.c.written_at))
        query = sql.select(n.c.channel, n.c.state, *columns).group_by(n.c.channel, n.c.state)
        with self._reading() as connection:
            return _channels(connection.execute(query).all())

    def retry(self, key: str, now: float, actor: str) -> bool:
        """Put a dead notification back among those that wait; returns whether it was dead."""
        n = notifications
        with self._writing() as connection:
            row = sql.update(n).where(n.c.key == key, n.c.state == "dead")
            changed = connection.execute(row.values(state="waiting", due_at=now, attempts=0)).rowcount
            if changed:
                audit.append(connection, now, actor, "notification retried", {"key": key})
        return changed > 0

    def forget(self, before: float) -> int:
        """Delete what ended before then: groups, decisions, notifications of no open group; how many."""
        groups, decided, n = alert_groups, alert_decisions, notifications
        still = sql.select(groups.c.group_id).where(groups.c.open == 1)
        over = (
            sql.delete(groups).where(groups.c.open == 0, groups.c.changed_at < before),
            sql.delete(decided).where(
                decided.c.at < before,
                sql.or_(decided.c.group_id.is_(None), decided.c.group_id.not_in(still)),
            ),
            sql.delete(n).where(
                n.c.written_at < before, n.c.state.in_(("sent", "dead")), n.c.group_id.not_in(still)
            ),
        )
        with self._writing() as connection:
            return sum(connection.execute(each).rowcount for each in over)

    def silences(self) -> list[bytes]:
        """Return the documents of all silences."""
        with self._reading() as connection:
            return list(connection.scalars(sql.select(silences.c.document).order_by(silences.c.silence_id)))

    def silenced(self, silence_id: str) -> tuple[int, float | None]:
        """Return how many anomalies a silence hid, and when it did so last."""
        return self._hid("silenced", f"silence {silence_id} ")

    def suppressed(self, name: str) -> tuple[int, float | None]:
        """Return how many anomalies a suppression hid, and when it did so last."""
        return self._hid("suppressed", f"suppression {name} ")

    def _hid(self, verdict: str, beginning: str) -> tuple[int, float | None]:
        d = alert_decisions
        here = sql.and_(d.c.verdict == verdict, d.c.reason.startswith(beginning, autoescape=True))
        with self._reading() as connection:
            count, last = connection.execute(
                sql.select(sql.func.count(), sql.func.max(d.c.at)).where(here)
            ).one()
        return int(count), None if last is None else float(last)

    def put_silence(self, silence_id: str, document: bytes, at: float, actor: str) -> None:
        """Write or replace a silence, with a record in the audit; notifiers heed it from their next step."""
        with self._writing() as connection:
            connection.execute(sql.delete(silences).where(silences.c.silence_id == silence_id))
            connection.execute(sql.insert(silences).values(silence_id=silence_id, document=document))
            audit.append(connection, at, actor, "silence", {"silence_id": silence_id})
            queue.advance(connection, EPOCH, queue.offset(connection, EPOCH) + 1)

    def _any_due(self, channel: str, now: float) -> bool:
        with self._reading() as connection:
            return connection.execute(_due(channel, now, 1)).first() is not None

    def _claimed(self, connection: Connection, each: Outgoing, until: float) -> Outgoing:
        values = {
            "state": "sending",
            "due_at": until,
            "attempts": each.attempts + 1,
            "unanswered": each.unanswered + (1 if each.state == "sending" else 0),
        }
        row = sql.update(notifications).where(notifications.c.number == each.number)
        connection.execute(row.values(**values))
        return msgspec.structs.replace(each, **values)

    def _write(self, connection: Connection, step: Step) -> None:
        if step.groups:
            ids = [{"key": group.group_id} for group in step.groups]
            connection.execute(
                sql.delete(alert_groups).where(alert_groups.c.group_id == sql.bindparam("key")), ids
            )
            connection.execute(sql.insert(alert_groups), [_group_row(group, step) for group in step.groups])
        for route in step.routes:
            connection.execute(sql.delete(alert_routes).where(alert_routes.c.route == route.route))
            connection.execute(sql.insert(alert_routes).values(msgspec.structs.asdict(route)))
        if step.decisions:
            rows = [msgspec.structs.asdict(decision) for decision in step.decisions]
            connection.execute(sql.insert(alert_decisions), rows)
        if step.outgoing:
            rows = [msgspec.structs.asdict(each) for each in step.outgoing]
            connection.execute(sql.insert(notifications), [_without(row, "number") for row in rows])
            self._hurry(connection, [each for each in step.outgoing if each.urgent])

    def _hurry(self, connection: Connection, urgent: Sequence[Outgoing]) -> None:
        """What an urgent notification has to wait for, since it is of the same group, is urgent too."""
        if not urgent:
            return
        n = notifications
        same = sql.and_(n.c.group_id == sql.bindparam("group"), n.c.channel == sql.bindparam("to"))
        unsent = sql.or_(n.c.state == "waiting", n.c.state == "sending")
        waiting = sql.update(n).where(same, unsent).values(urgent=1)
        connection.execute(waiting, [{"group": each.group_id, "to": each.channel} for each in urgent])


def _channels(rows: Iterable[Any]) -> dict[str, Channel]:
    found: dict[str, dict[str, Any]] = {}
    for channel, state, count, lately, oldest in rows:
        facts = found.setdefault(channel, {"waiting": 0})
        if state == "dead":
            facts |= {"dead": count, "dead_lately": int(lately)}
        elif state == "sent":
            facts["sent"] = count
        else:
            facts["waiting"] += count
            facts["oldest"] = min(oldest, facts.get("oldest", oldest))
    return {channel: Channel(**facts) for channel, facts in sorted(found.items())}


def _is_due(now: float) -> sql.ColumnElement[bool]:
    return sql.and_(notifications.c.state.in_(("waiting", "sending")), notifications.c.due_at <= now)


def _due(channel: str, now: float, limit: int) -> sql.Select[Any]:
    earlier = notifications.alias("earlier")
    waits_for_another = sql.exists().where(
        earlier.c.group_id == notifications.c.group_id,
        earlier.c.channel == notifications.c.channel,
        earlier.c.number < notifications.c.number,
        earlier.c.state.in_(("waiting", "sending")),
    )
    return (
        sql.select(notifications)
        .where(_is_due(now), notifications.c.channel == channel, ~waits_for_another)
        .order_by(notifications.c.urgent.desc(), notifications.c.due_at, notifications.c.number)
        .limit(limit)
    )


def _group_row(group: StoredGroup, step: Step) -> dict[str, object]:
    changed = max((decision.at for decision in step.decisions), default=0.0)
    return {
        "group_id": group.group_id,
        "open": int(group.open),
        "changed_at": changed,
        "document": group.document,
    }


def _without(row: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in row.items() if key != name}


def _convert(row: sql.RowMapping, kind: type[T]) -> T:
    names = {field.name for field in msgspec.structs.fields(kind)}
    return kind(**{name: value for name, value in row.items() if name in names})
