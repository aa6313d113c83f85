"""From a pseudonym back to its id: nobody can compute that, so the ids that are stored are tried.

Operators see pseudonyms of whoever an anomaly names and of the transactions around it, so anomalies are
tried first and transactions second, the newest first.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import chain

import msgspec

from txwatch.errors import ConfigurationError, UsageError
from txwatch.masking import personal_ids
from txwatch.ports import AnomalyQuery, Store, TransactionQuery
from txwatch.pseudonym import KINDS, Pseudonyms

ANOMALIES_AT_ONCE = timedelta(days=7)
TRANSACTIONS_AT_ONCE = timedelta(hours=1)

_FORM = re.compile(rf"({'|'.join(KINDS.values())})-([0-9]{{1,9}})-[a-z2-7]{{16}}")
_FIELDS = {word: field for field, word in KINDS.items()}


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """A pseudonym, and the field of a transaction whose ids it may stand for."""

    text: str
    field: str


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """How far back to look, from `now`: among anomalies, then among transactions."""

    now: datetime
    anomalies: timedelta
    transactions: timedelta


def hidden(text: str, pseudonyms: Pseudonyms) -> Hidden:
    """Return what a pseudonym says of itself.

    Raises UsageError for what is none, ConfigurationError for one of another key.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        form = f"{next(iter(_FIELDS))}-{pseudonyms.version}-..."
        raise UsageError(f"{text!r} is no pseudonym; one looks like {form}, as Grafana and messages show it")
    if int(match[2]) != pseudonyms.version:
        raise ConfigurationError(
            f"{text} was made with version {match[2]} of the key, and the key here is version "
            f"{pseudonyms.version}: set TXWATCH_PSEUDONYM_KEY to that one to reveal it"
        )
    return Hidden(text=text, field=_FIELDS[match[1]])


def revealed(
    store: Store,
    pseudonyms: Pseudonyms,
    wanted: Hidden,
    reach: Reach,
    looked: Callable[[float], None] = lambda _: None,
) -> str | None:
    """Return the id behind a pseudonym, None where no stored one has it.

    `looked` hears which share of the whole way back was looked through.
    """
    tried: set[str] = set()
    for share, ids in _stored(store, wanted.field, reach):
        for each in ids - tried:
            if pseudonyms(wanted.field, each) == wanted.text:
                return each
        tried |= ids
        looked(share)
    return None


def _stored(store: Store, field: str, reach: Reach) -> Iterator[tuple[float, set[str]]]:
    """Yield the ids of one kind, window by window, with the share of the way that is behind."""
    steps = [*_windows(reach.now, reach.anomalies, ANOMALIES_AT_ONCE)]
    later = [*_windows(reach.now, reach.transactions, TRANSACTIONS_AT_ONCE)]
    of_anomalies = (_of_anomalies(store, field, *window) for window in steps)
    of_transactions = (_of_transactions(store, field, *window) for window in later)
    whole = len(steps) + len(later)
    for done, ids in enumerate(chain(of_anomalies, of_transactions), start=1):
        yield done / whole, ids


def _windows(now: datetime, back: timedelta, length: timedelta) -> Iterator[tuple[datetime | None, datetime]]:
    """Yield half-open windows, the newest first, and at last whatever is older.

    The newest reaches beyond now, as event times may.
    """
    until = now + length
    while until > now - back:
        yield until - length, until
        until -= length
    yield None, until


def _of_anomalies(store: Store, field: str, since: datetime | None, until: datetime) -> set[str]:
    found = store.anomalies(AnomalyQuery(since=since, until=until, limit=None))
    return {raw for anomaly in found for raw, kind in personal_ids(anomaly) if kind == field}


def _of_transactions(store: Store, field: str, since: datetime | None, until: datetime) -> set[str]:
    rows = store.transactions(TransactionQuery(since=since, until=until))
    return set(rows[field].drop_nulls().unique())
