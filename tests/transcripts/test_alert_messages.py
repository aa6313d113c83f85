"""Every kind of message as each channel words it, to be read in a diff: `alert_<kind>.txt`.

`TXWATCH_WRITE_MESSAGES=1` writes them anew.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from alert_builders import HIDING, NOON, found
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_standin import block_fault

from alerts.amending import amended
from alerts.calendar import Daily
from alerts.digest import daily_digest, held_digest
from alerts.groups import Group, joined
from alerts.links import Links
from alerts.mail import as_html, as_text, message
from alerts.notice import Found, Notice, hiding_of, notice_of
from alerts.pagerduty import event
from alerts.routebook import Held, RouteState
from alerts.routes import Way
from alerts.slack import blocks
from alerts.sms import text_of
from txwatch.model import Anomaly, AnomalyState, AnomalyType, Reason, Severity

FOLDER = Path(__file__).parent
HIDE = hiding_of(HIDING, raw_ids=False)
GRAFANA = "https://grafana.example.org"
NOW = NOON.timestamp()
LINKS = Links("https://alerts.example.org", b"k" * 32)
WHY = {
    "first": "first message: critical does not wait",
    "news": "2 more since the last message, group_interval of 5m is over",
    "amended": "1 found otherwise, group_interval of 5m is over",
    "worse": "it has become critical, which does not wait",
    "repeat": "repeat_interval of 4h is over",
    "escalated": "nobody acknowledged it within 15m",
    "acknowledged": "acknowledged by ada",
    "withdrawn": "late data showed that there was nothing",
    "resolved": "nothing new for 1h",
}


def a_drop(**fields: object) -> Anomaly:
    sentence = "merchant m17: 0 transactions from 10:00 to 10:12, expected 16 (5.5 to 32)"
    reason = Reason(
        code="silence", sentence=sentence, detector="profile", type=AnomalyType.SERIES, entity_kind="merchant"
    )
    about = {"entity_kind": "merchant", "entity_id": "m17", "merchant_id": "m17", "kind": "series"}
    nobody = {"user_id": None, "amount": None, "currency": None, "reasons": (reason,)}
    return found("a1", "", type=AnomalyType.SERIES, **about | nobody | fields)


def withdrawn_group() -> Group:
    about = a_drop().reasons[0]
    sentence = "merchant m17: 15 transactions from 10:00 to 10:12, expected 16 (5.5 to 32)"
    says = msgspec.structs.replace(about, sentence=f"{sentence}; it was 0 before late data came")
    built = Group(group_id="5b0c7aa1d2e3", route="merchants", labels=(), opened_at=NOW, last_at=NOW, told=2)
    back = {"state": AnomalyState.WITHDRAWN, "revision": 1, "before": Severity.HIGH, "reasons": (says,)}
    return amended(joined(built, a_drop(), NOW), a_drop(**back), NOW)


def group(kind: str = "first") -> Group:
    if kind == "withdrawn":
        return withdrawn_group()
    built = Group(
        group_id="5b0c7aa1d2e3",
        route="card-testing",
        labels=(),
        opened_at=NOW,
        last_at=NOW,
        told=3,
        acknowledged_by="ada" if kind == "acknowledged" else "",
        changes=("anomaly a1 is critical (97), it was high (88)",) if kind == "amended" else (),
        changed=1 if kind == "amended" else 0,
    )
    for n, severity in enumerate((Severity.CRITICAL, Severity.HIGH, Severity.HIGH, Severity.HIGH)):
        anomaly = found(f"a{n}", f"customer-{n % 3}", severity, score=97.0 - n, transaction_id=f"t{n}")
        built = joined(built, anomaly, NOW)
    return built


def notice(kind: str) -> Notice:
    way = Way(name="card-testing", budget_per_hour=20, daily_digest=Daily(at="08:00", zone="Europe/Berlin"))
    state = RouteState(name=way.name, hour=int(NOW // 3600), day_since=NOW - 86400)
    if kind == "digest":
        held = tuple(
            Held(group_id=f"{n:012x}", severity=3, members=n + 1, sample=group().samples[0])
            for n in range(20)
        )
        state = RouteState(name=way.name, hour=state.hour, held=held, others=7)
        return held_digest(state, way, HIDE, GRAFANA, NOW)
    if kind == "daily":
        state = RouteState(name=way.name, day_since=NOW - 86400, groups=3, found={"high": 9, "critical": 1})
        return daily_digest(state, way, [group()], HIDE, GRAFANA, NOW)
    return notice_of(group(kind), kind, WHY[kind], hide=HIDE, dashboards=GRAFANA, at=NOW)


def worded(told: Notice) -> str:
    """Return the message as all channels would send it."""
    linked = LINKS.within(told, "#fraud")
    mail = message(linked, f"{told.group_id}.3.mail", "txwatch@example.org", ("fraud@example.org",))
    head = "".join(f"{name}: {value}\n" for name, value in mail.items() if "Content" not in name)
    parts = {
        "e-mail": head.split("MIME-Version")[0],
        "text": as_text(linked),
        "html": as_html(linked).replace("><", ">\n<"),
        "slack": json.dumps(blocks(linked), indent=1, ensure_ascii=False),
        "pagerduty": json.dumps(event(linked), indent=1, ensure_ascii=False),
        "sms": text_of(linked),
    }
    return "".join(f"=== {name}\n{text.rstrip()}\n" for name, text in parts.items())


@pytest.mark.parametrize("kind", [*WHY, "digest", "daily"])
def test_messages_read_as_they_were_approved(kind):
    """What changes in a message is seen before anybody gets it; no person is named in any."""
    path, text = FOLDER / f"alert_{kind}.txt", worded(notice(kind))
    if os.environ.get("TXWATCH_WRITE_MESSAGES"):
        path.write_text(text)

    assert text == path.read_text()
    assert "customer-" not in text


TEXT = st.one_of(st.text(max_size=30), st.sampled_from(["<!channel>&" * 400, "x" * 5000, "&" * 3001, " "]))
FOUND = st.builds(
    Found,
    anomaly_id=TEXT,
    severity=st.sampled_from(["low", "medium", "high", "critical"]),
    entity=TEXT,
    when=st.just(datetime(2026, 3, 2, tzinfo=UTC)),
    amount=TEXT,
    reasons=st.lists(TEXT, min_size=1, max_size=3).map(tuple),
    link=st.one_of(st.just(""), st.just("https://grafana.example.org/d/" + "x" * 300)),
    label_link=st.one_of(st.just(""), st.just("https://alerts.example.org/" + "y" * 600)),
)
NOTICES = st.builds(
    Notice,
    group_id=st.just("5b0c7aa1d2e3"),
    kind=st.sampled_from([*WHY, "digest", "daily"]),
    told_at=st.just(datetime(2026, 3, 2, tzinfo=UTC)),
    sequence=st.just(1),
    why=TEXT,
    route=TEXT,
    severity=st.sampled_from(["low", "medium", "high", "critical"]),
    members=st.integers(1, 10**9),
    entities=st.lists(st.tuples(TEXT, st.integers(1, 9)), max_size=10).map(tuple),
    others=st.integers(0, 10**6),
    found=st.lists(FOUND, min_size=1, max_size=5).map(tuple),
    acknowledged_by=TEXT,
    acknowledge_link=st.one_of(st.just(""), st.just("https://alerts.example.org/" + "z" * 600)),
    lines=st.lists(TEXT, max_size=5).map(tuple),
)


@given(NOTICES)
@settings(max_examples=50)
def test_whatever_comes_keeps_to_the_limits_of_block_kit(told):
    """Blocks, elements, characters; and nothing from outside is taken for a link or a mention."""
    made = blocks(told)

    assert block_fault(made) is None
    read = [element for block in made for element in block.get("elements") or [block["text"]]]
    assert not any("<!channel>" in text["text"] for text in read if text["type"] == "mrkdwn")


@given(NOTICES)
@settings(max_examples=50)
def test_whatever_comes_keeps_to_the_limits_of_pagerduty_and_sms(told):
    made = event(told)

    assert len(text_of(told)) <= 160
    assert "payload" not in made or 0 < len(made["payload"]["summary"]) <= 1024
