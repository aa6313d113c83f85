"""An anomaly as people without the right to raw ids may see it: pseudonyms in place of persons."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from txwatch.model import Anomaly, Reason

Pseudonym = Callable[[str, str], str]
"""(kind of id, raw id) -> pseudonym."""

PERSONAL = ("user_id", "card_id", "device_id", "ip")
"""Ids that operators see as pseudonyms only."""

LONG = 4
"""Ids of so many letters are replaced wherever they stand, shorter ones as whole words only."""


def pseudonymous(anomaly: Anomaly, pseudonym: Pseudonym) -> Anomaly:
    """Return the anomaly as operators may see it: no personal id left in fields, facts or sentences.

    A sentence of a rule shows ids only if its facts have them (see `Rule.facts`); those of detectors show
    none.
    """
    kind = _entity_field(anomaly)
    known = {raw: kind for raw, kind in personal_ids(anomaly) if len(raw) >= LONG}
    return msgspec.structs.replace(
        anomaly,
        entity_id=pseudonym(kind, anomaly.entity_id) if kind in PERSONAL else anomaly.entity_id,
        user_id=anomaly.user_id and pseudonym("user_id", anomaly.user_id),
        card_id=anomaly.card_id and pseudonym("card_id", anomaly.card_id),
        reasons=tuple(_hide(reason, known, pseudonym) for reason in anomaly.reasons),
    )


def personal_ids(anomaly: Anomaly) -> list[tuple[str, str]]:
    """Return the raw ids of persons that the anomaly mentions, each with its kind."""
    kind = _entity_field(anomaly)
    found = [(anomaly.user_id, "user_id"), (anomaly.card_id, "card_id")]
    found += [(str(reason.facts[name]), name) for reason in anomaly.reasons for name in _named(reason)]
    if kind in PERSONAL:
        found.append((anomaly.entity_id, kind))
    return [(raw, kind) for raw, kind in found if raw]


def _entity_field(anomaly: Anomaly) -> str:
    """Return the field of a transaction in which the anomaly's entity stands."""
    return anomaly.entity_kind if anomaly.entity_kind == "ip" else f"{anomaly.entity_kind}_id"


def _named(reason: Reason) -> list[str]:
    return [name for name in PERSONAL if reason.facts.get(name)]


def _hide(reason: Reason, known: Mapping[str, str], pseudonym: Pseudonym) -> Reason:
    """Hide the known long ids, and the ids of every length that the reason itself names."""
    shown = {**known, **{str(reason.facts[name]): name for name in _named(reason)}}
    facts = {name: _hidden(name, value, shown, pseudonym) for name, value in reason.facts.items()}
    return msgspec.structs.replace(reason, sentence=_replaced(reason.sentence, shown, pseudonym), facts=facts)


def _hidden(name: str, value: Any, known: Mapping[str, str], pseudonym: Pseudonym) -> Any:
    if isinstance(value, Mapping):
        return {key: _hidden(str(key), each, known, pseudonym) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(name, each, known, pseudonym) for each in value]
    if name in PERSONAL and value:
        return pseudonym(name, str(value))
    return _replaced(value, known, pseudonym) if isinstance(value, str) else value


def _replaced(text: str, known: Mapping[str, str], pseudonym: Pseudonym) -> str:
    """Replace ids, the longest first, in one pass: nothing within a pseudonym is replaced again."""
    if not known:
        return text
    ways = "|".join(_anywhere_or_alone(raw) for raw in sorted(known, key=len, reverse=True))
    return re.sub(ways, lambda match: pseudonym(known[match[0]], match[0]), text)


def _anywhere_or_alone(raw: str) -> str:
    pattern = re.escape(raw)
    return pattern if len(raw) >= LONG else rf"(?<![\w.,]){pattern}(?![\w.,]*\w)"
