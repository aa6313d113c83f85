"""An anomaly as people without the right to raw ids may see it: pseudonyms in place of persons."""

from collections.abc import Callable

import msgspec

from txwatch.model import Anomaly, Reason

Pseudonym = Callable[[str, str], str]
"""(kind of id, raw id) -> pseudonym."""

PERSONAL = ("user_id", "card_id", "device_id", "ip")
"""Ids that operators see as pseudonyms only."""


def pseudonymous(anomaly: Anomaly, pseudonym: Pseudonym) -> Anomaly:
    """Return the anomaly as operators may see it: no personal id left in fields, facts or sentences."""
    raw = _personal_ids(anomaly)
    hidden = {value: pseudonym(kind, value) for value, kind in raw.items()}
    return msgspec.structs.replace(
        anomaly,
        entity_id=hidden.get(anomaly.entity_id, anomaly.entity_id),
        user_id=hidden.get(anomaly.user_id or "", anomaly.user_id),
        card_id=hidden.get(anomaly.card_id or "", anomaly.card_id),
        reasons=tuple(_hide(reason, hidden) for reason in anomaly.reasons),
    )


def _personal_ids(anomaly: Anomaly) -> dict[str, str]:
    """Return the raw ids of persons that the anomaly mentions, each with its kind."""
    found = {anomaly.user_id: "user_id", anomaly.card_id: "card_id"}
    for reason in anomaly.reasons:
        found |= {str(reason.facts[kind]): kind for kind in PERSONAL if reason.facts.get(kind)}
    kind = f"{anomaly.entity_kind}_id" if anomaly.entity_kind != "ip" else "ip"
    if kind in PERSONAL:
        found[anomaly.entity_id] = kind
    return {raw: kind for raw, kind in found.items() if raw}


def _hide(reason: Reason, hidden: dict[str, str]) -> Reason:
    sentence = reason.sentence
    for raw in sorted(hidden, key=len, reverse=True):
        sentence = sentence.replace(raw, hidden[raw])
    facts = {name: hidden.get(str(value), value) for name, value in reason.facts.items()}
    return msgspec.structs.replace(reason, sentence=sentence, facts=facts)
