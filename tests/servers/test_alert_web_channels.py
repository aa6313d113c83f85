"""Webhook, PagerDuty, SMS and Slack's webhook against a local HTTP server with its troubles."""

import hashlib
import hmac
import json
import ssl
from urllib.parse import parse_qs

import msgspec
import pytest
import trustme
from alert_builders import HIDING, found, notifier, open_ledger
from web_standin import web

from alerts.connections import senders
from alerts.groups import Group, joined
from alerts.notice import hiding_of, notice_of
from alerts.pagerduty import PagerDutySender
from alerts.policy import AlertSettings, ChannelSettings
from alerts.posting import post
from alerts.routes import Route
from alerts.sending import Delivered, Failed
from alerts.slackhook import SlackHookSender
from alerts.sms import Gateway, SmsSender
from alerts.webhook import WebhookSender
from txwatch.errors import ConfigurationError
from txwatch.testing import ManualClock


def notice(kind="first", **fields):
    group = Group(group_id="5b0c7aa1d2e3", route="default", labels=(), opened_at=1e9, last_at=1e9, **fields)
    for n in range(3):
        group = joined(group, found(f"a{n}", 'customer "77" {to}'), 1e9)
    group = msgspec.structs.replace(group, told=1, told_at=1e9)
    hide = hiding_of(HIDING, raw_ids=False)
    return notice_of(
        group, kind, "first message", hide=hide, dashboards="https://grafana.example.org", at=1e9
    )


@pytest.fixture
def server():
    with web() as (standin, address):
        yield standin, address


def test_a_webhook_is_signed_and_known_again(server):
    """By the receiver's own reckoning: HMAC-SHA-256 over time and body; the key is the same at every try."""
    standin, address = server
    clock = ManualClock()
    sender = WebhookSender(f"{address}/hook?a=1", "s3cret", clock)

    assert isinstance(sender.send(notice(), "g.1.hook", ""), Delivered)

    ((path, headers, body),) = standin.requests
    assert path == "/hook?a=1"
    at = headers["X-Txwatch-Timestamp"]
    assert int(at) == clock.now().timestamp()
    expected = hmac.new(b"s3cret", f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["X-Txwatch-Signature"] == f"sha256={expected}"
    assert headers["Idempotency-Key"] == "g.1.hook"
    told = json.loads(body)
    assert (told["version"], told["notice"]["group_id"]) == (1, "5b0c7aa1d2e3")
    assert "customer" not in body.decode()


@pytest.mark.parametrize(
    ("trouble", "retryable", "wait", "unanswered"),
    [
        ("429 7", True, 7.0, False),
        ("503", True, None, False),
        ("400", False, None, False),
        ("301", False, None, False),
        ("lost", True, None, True),
    ],
)
def test_troubles_are_told_apart(server, trouble, retryable, wait, unanswered):
    """For now or for good, and whether it may have arrived; redirects are not followed."""
    standin, address = server
    standin.troubles.append(trouble)

    failed = WebhookSender(address, "s", ManualClock()).send(notice(), "k", "")

    assert isinstance(failed, Failed)
    assert (failed.retryable, failed.wait, failed.unanswered) == (retryable, wait, unanswered)


def test_nobody_there_is_tried_again_and_nothing_arrived():
    failed = post("http://127.0.0.1:9/", b"{}", {})

    assert isinstance(failed, Failed)
    assert (failed.retryable, failed.unanswered) == (True, False)


def test_a_stranger_with_another_certificate_gets_nothing(tmp_path, monkeypatch):
    """Trusted authorities are the system's, or SSL_CERT_FILE's."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with web(context) as (standin, address):
        refused = post(address, b"{}", {})
        assert isinstance(refused, Failed)
        assert (standin.requests, refused.unanswered) == ([], False)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

        assert not isinstance(post(address, b"{}", {}), Failed)


def test_pagerduty_has_one_incident_a_group(server):
    """Triggered, acknowledged, resolved under one key; the fields that Events v2 requires are there."""
    standin, address = server
    sender = PagerDutySender("R0UT1NG", address)

    for kind in ("first", "escalated", "acknowledged", "resolved"):
        assert isinstance(sender.send(notice(kind), "k", ""), Delivered)

    events = [json.loads(request.body) for request in standin.requests]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "acknowledge", "resolve"]
    assert {event["dedup_key"] for event in events} == {"5b0c7aa1d2e3"}
    assert {event["routing_key"] for event in events} == {"R0UT1NG"}
    payload = events[0]["payload"]
    assert payload["severity"] in {"critical", "error", "warning", "info"}
    assert 0 < len(payload["summary"]) <= 1024
    assert payload["source"]
    assert events[0]["links"][0]["href"].startswith("https://grafana.example.org/")


@pytest.mark.parametrize("encoding", ["json", "form"])
def test_an_sms_is_asked_for_by_the_template(server, encoding):
    """Whatever stands in the text, it stays text; it fits into one SMS."""
    standin, address = server
    template = {"recipient": "{to}", "message": "fraud: {text}", "id": "{key}"}
    gateway = Gateway(url=address, template=template, encoding=encoding, auth="basic", token="u:p")

    SmsSender("+49", gateway).send(notice(), "k1", "")

    ((_, headers, body),) = standin.requests
    fields = json.loads(body) if encoding == "json" else {k: v[0] for k, v in parse_qs(body.decode()).items()}
    assert (fields["recipient"], fields["id"]) == ("+49", "k1")
    assert fields["message"].startswith("fraud: HIGH user user-1-")
    assert fields["message"].endswith("[5b0c7aa1d2e3]")
    assert len(fields["message"]) <= len("fraud: ") + 160
    assert headers["Authorization"] == "Basic dTpw"


def test_slacks_webhook_posts(server):
    standin, address = server
    standin.answer = 200

    assert isinstance(SlackHookSender(address).send(notice(), "k", ""), Delivered)

    assert json.loads(standin.requests[0].body)["blocks"][0]["type"] == "header"


def test_channels_fall_back_one_after_the_other(tmp_path, server):
    """Each says which one failed; a ring of fallbacks ends."""
    standin, address = server
    clock = ManualClock()
    standin.troubles.extend(["400", "404"])
    hook = ChannelSettings(kind="webhook", to=(address,), fallback="second")
    channels = {
        "first": hook,
        "second": msgspec.structs.replace(hook, fallback="third"),
        "third": msgspec.structs.replace(hook, fallback="first"),
    }
    settings = AlertSettings(channels=channels, route=Route(channels=("first",), group_wait="0s"))
    environment = {"TXWATCH_WEBHOOK_SECRET": "s"}
    ledger = open_ledger(tmp_path, clock)
    service = notifier(ledger, settings, senders(settings, environment), clock)
    ledger.commit_step("detectors", {}, [found("a1")])
    while not service.step().finished:
        pass
    assert [each.state for each in ledger.alerts().outbox(limit=9)] == ["sent", "dead", "dead"]
    (request,) = standin.requests
    assert "first failed: 127.0.0.1 refuses: 400" in request.body.decode()
    assert "second failed: 127.0.0.1 refuses: 404" in request.body.decode()
    standin.troubles.extend(["400", "400", "400"])
    ledger.commit_step("detectors", {}, [found("a2", "u2")])
    while not service.step().finished:
        pass

    assert [each.state for each in ledger.alerts().outbox(limit=3)] == ["dead"] * 3
    service.close()
    ledger.close()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "sms", "to": ("+49",), "template": {"a": "b"}, "url": "http://sms"}, "https"),
        ({"kind": "slack", "to": ("#a", "#b")}, "exactly one"),
        ({"kind": "webhook", "to": ("example.org",)}, "address"),
        ({"kind": "pagerduty", "secret": "abcdef"}, "never is the secret itself"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        ChannelSettings(**fields)


def test_a_template_names_known_fields():
    channel = ChannelSettings(kind="sms", to=("+49",), url="https://sms", template={"m": "{name}"})

    with pytest.raises(ConfigurationError, match=r"\{name\} is none of \{to\}"):
        senders(AlertSettings(channels={"phone": channel}), {"TXWATCH_SMS_TOKEN": "t"})
