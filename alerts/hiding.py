"""Everything that hides anomalies from messages, as one list: suppressions, and silences."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time

import msgspec

from alerts.matching import Match
from alerts.notifier import read_silences
from alerts.silences import state as silence_state
from alerts.suppressions import Suppression
from alerts.suppressions import state as suppression_state
from txwatch.copies import Copy
from txwatch.ledger import AlertBook


class Hiding(msgspec.Struct, frozen=True, kw_only=True):
    """A suppression or a silence, and what it hid."""

    kind: str
    name: str
    state: str
    owner: str
    reason: str
    since: date | datetime
    until: date | datetime
    match: Match
    hid: int
    hid_last: float | None


def hidings(book: AlertBook, suppressions: Sequence[Suppression], now: datetime) -> Iterator[Hiding]:
    """Yield suppressions, then silences, those that are over too."""
    for each in suppressions:
        count, last = book.suppressed(each.name)
        yield Hiding(
            kind="suppression",
            name=each.name,
            state=suppression_state(each, now, last),
            owner=each.owner,
            reason=each.reason,
            since=each.since,
            until=each.until,
            match=each.match,
            hid=count,
            hid_last=last,
        )
    for silence in read_silences(book):
        count, last = book.silenced(silence.silence_id)
        yield Hiding(
            kind="silence",
            name=silence.silence_id,
            state=silence_state(silence, now),
            owner=silence.author,
            reason=silence.comment,
            since=silence.since,
            until=silence.until,
            match=silence.match,
            hid=count,
            hid_last=last,
        )


def copied(each: Hiding, conditions: str) -> Copy:
    """Return it as dashboards show it; `conditions` says what it matches."""
    return Copy(
        kind="hidings",
        at=_moment(each.since),
        labels={"kind": each.kind, "name": each.name},
        values={
            "state": each.state,
            "owner": each.owner,
            "reason": each.reason,
            "until": f"{_moment(each.until):%Y-%m-%d %H:%M}",
            "conditions": conditions,
            "hid": each.hid,
            "hid_last": None if each.hid_last is None else int(each.hid_last * 1000),
        },
    )


def _moment(day: date | datetime) -> datetime:
    return day if isinstance(day, datetime) else datetime.combine(day, time(), UTC)
