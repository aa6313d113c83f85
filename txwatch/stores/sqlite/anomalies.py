"""Anomalies in SQLite: one row an `anomaly_id`, the document beside the columns to filter by.

What is withdrawn has severity 0, so that nothing counts it that asks for a severity.
"""

from collections.abc import Iterable, Sequence

import msgspec

from txwatch.model import Anomaly
from txwatch.ports import AnomalyQuery
from txwatch.stores.sqlite.conditions import Conditions, milliseconds
from txwatch.stores.sqlite.file import StoreFile

TABLES = (
    (
        "CREATE TABLE anomalies (anomaly_id TEXT PRIMARY KEY, timestamp INTEGER NOT NULL, "
        "severity INTEGER NOT NULL, mode TEXT NOT NULL, user_id TEXT, merchant_id TEXT, transaction_id TEXT, "
        "series TEXT, types TEXT NOT NULL, rules TEXT NOT NULL, document BLOB NOT NULL)"
    ),
    "CREATE INDEX anomalies_by_time ON anomalies (timestamp DESC, anomaly_id, severity, mode, types, rules)",
    "CREATE INDEX anomalies_by_user ON anomalies (user_id, timestamp)",
    "CREATE INDEX anomalies_by_merchant ON anomalies (merchant_id, timestamp)",
    "CREATE INDEX anomalies_by_transaction ON anomalies (transaction_id)",
    "CREATE INDEX anomalies_by_series ON anomalies (series, timestamp) WHERE series IS NOT NULL",
)
"""The index by time holds what else is filtered by, so that a rare rule is found without its documents."""

_PUT = "REPLACE INTO anomalies VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


def put(file: StoreFile, anomalies: Sequence[Anomaly]) -> None:
    """Write anomalies, all or none; a known id is replaced."""
    if anomalies:
        with file.writing() as writing:
            writing.executemany(_PUT, [_row(anomaly) for anomaly in anomalies])


def select(file: StoreFile, query: AnomalyQuery) -> list[Anomaly]:
    """Return the matching anomalies, newest event time first."""
    where = _conditions(query)
    text = f"SELECT document FROM anomalies{where} ORDER BY timestamp DESC, anomaly_id LIMIT ?"
    limit = -1 if query.limit is None else query.limit
    with file.reading() as reading:
        rows = reading.execute(text, (*where.values, limit)).fetchall()
    return [msgspec.json.decode(document, type=Anomaly) for (document,) in rows]


def _conditions(query: AnomalyQuery) -> Conditions:
    where = Conditions()
    where.equal("anomaly_id", query.anomaly_id)
    where.at_least("timestamp", milliseconds(query.since))
    where.below("timestamp", milliseconds(query.until))
    where.at_least("severity", query.least_level)
    where.equal("mode", query.mode)
    where.add("mode <> ?", query.without_mode)
    where.equal("user_id", query.user_id)
    where.equal("merchant_id", query.merchant_id)
    where.equal("transaction_id", query.transaction_id)
    where.equal("series", query.series)
    where.add("instr(types, ?)", query.type and _words([query.type]))
    where.add("instr(rules, ?)", query.rule and _words([query.rule]))
    return where


def _row(anomaly: Anomaly) -> tuple[object, ...]:
    types = {anomaly.type.value, *(reason.type.value for reason in anomaly.reasons)}
    return (
        anomaly.anomaly_id,
        milliseconds(anomaly.timestamp),
        anomaly.level,
        anomaly.mode.value,
        anomaly.user_id,
        anomaly.merchant_id,
        anomaly.transaction_id,
        anomaly.series,
        _words(sorted(types)),
        _words(anomaly.rules),
        msgspec.json.encode(anomaly),
    )


def _words(words: Iterable[str]) -> str:
    """Words between separators, so that a search for one finds it whole."""
    return "".join(f"\n{word}\n" for word in words)
