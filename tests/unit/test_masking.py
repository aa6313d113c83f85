"""What people without the right to raw ids see of an anomaly: pseudonyms, and everything else as it was."""

from datetime import UTC, datetime

import msgspec
import polars as pl
import pytest

from detectors.ordinary import stream
from detectors.rules.book import compile_rules
from txwatch.masking import pseudonymous
from txwatch.model import Anomaly, AnomalyType, Reason, Severity
from txwatch.rulesfile import parse

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def pseudonym(kind, raw):
    return f"<{kind}:{sum(raw.encode()) % 997}>"


def seen(sentence: str, facts: dict, user: str = "u-4711", card: str | None = None) -> Anomaly:
    reason = Reason(
        code="r",
        sentence=sentence,
        detector="rules",
        type=AnomalyType.AMOUNT,
        entity_kind="user",
        facts=facts,
    )
    return pseudonymous(
        Anomaly(
            anomaly_id="a",
            kind="transaction",
            type=AnomalyType.AMOUNT,
            timestamp=NOW,
            detected_at=NOW,
            severity=Severity.HIGH,
            score=90.0,
            reasons=(reason,),
            entity_kind="user",
            entity_id=user,
            user_id=user,
            card_id=card,
        ),
        pseudonym,
    )


def test_ids_that_a_message_alone_names_are_hidden():
    """The condition knows nothing of device and address; what the message shows is a fact, and hidden."""
    rules = compile_rules(
        parse(
            b"version: 1\nrules:\n  - {id: r, when: amount > 1, severity: low,"
            b" message: 'seen on {device_id} from {ip} by{user_id}'}\n",
            "rules.yaml",
        )
    )
    ids = {"device_id": "dev-9f3", "ip": "10.1.2.3", "user_id": "u-4711"}
    frame = stream(1).with_columns(pl.lit(raw).alias(name) for name, raw in ids.items())
    hits = rules.step(frame, {})
    (reason,) = rules.reasons(hits, 0, frame.row(0, named=True))

    hidden = seen(reason.sentence, dict(reason.facts)).reasons[0]

    text = msgspec.json.encode(hidden).decode()
    assert not [raw for raw in ("dev-9f3", "10.1.2.3", "u-4711") if raw in text]


def test_numbers_are_no_ids():
    """A user called 9 changes no amount and no count."""
    reason = seen("900.00 EUR, 9 attempts, 9.5 times", {"count": 9, "amount": 900.0}, user="9").reasons[0]

    assert reason.sentence == "900.00 EUR, 9 attempts, 9.5 times"
    assert reason.facts == {"count": 9, "amount": 900.0}


def test_a_short_id_that_a_reason_names_is_hidden_as_a_word():
    """Only where it stands alone, so that numbers stay numbers."""
    reason = seen("user 9 paid 900.9 EUR, 9.5 times", {"user_id": "9"}, user="9").reasons[0]

    assert reason.sentence == f"user {pseudonym('user_id', '9')} paid 900.9 EUR, 9.5 times"


def test_nothing_within_a_pseudonym_is_replaced_again():
    """The card's id is a part of the user's pseudonym."""
    reason = seen("u-4711 with user", {"card_id": "user"}, card="user").reasons[0]

    assert reason.sentence == f"{pseudonym('user_id', 'u-4711')} with {pseudonym('card_id', 'user')}"


def test_the_same_text_as_user_and_as_card_is_two_pseudonyms():
    """Each by its own kind."""
    anomaly = seen("x", {"card_id": "same-1", "user_id": "same-1"}, user="same-1", card="same-1")

    assert anomaly.user_id == anomaly.entity_id == pseudonym("user_id", "same-1")
    assert anomaly.card_id == anomaly.reasons[0].facts["card_id"] == pseudonym("card_id", "same-1")


@pytest.mark.parametrize(
    "facts",
    [{"users": ["u-4711", "other"]}, {"usual_user": "u-4711"}, {"deep": {"user_id": "u-4711"}}],
)
def test_ids_are_hidden_wherever_facts_hold_them(facts):
    """In lists, under other names, and further down."""
    assert "u-4711" not in str(seen("x", facts).reasons[0].facts)
