"""Links in messages: signed, expiring, shown by GET, done by POST, on record."""

import http.client
import threading
from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
from alert_builders import found, notifier, open_ledger, settings

from alerts.groups import Group
from alerts.links import Link, Links
from alerts.linkserver import LedgerActs, LinkService
from alerts.outbox import Outbox
from alerts.sending import Delivered
from txwatch.model import Severity
from txwatch.testing import ManualClock

KEY = b"k" * 32
ENVIRONMENT = {"TXWATCH_PSEUDONYM_KEY": KEY.hex()}


class Kept:
    """Keeps what it is to send."""

    def __init__(self):
        self.notices = []

    def send(self, notice, key, reference):
        self.notices.append(notice)
        return Delivered(reference="1")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def ledger(tmp_path, clock):
    opened = open_ledger(tmp_path, clock)
    yield opened
    opened.close()


@pytest.fixture
def links():
    return Links("https://alerts.example.org", KEY)


@pytest.fixture
def sent(ledger, clock, links):
    """A group that was told, with its links: (service, notices)."""
    policy, kept = settings("ops", group_wait="0s"), Kept()
    service = notifier(ledger, policy, {"ops": kept}, clock)
    service._outbox.close(0)
    service._outbox = Outbox(ledger.alerts(), {"ops": kept}, policy.channels, service._outbox._chance, links)
    ledger.commit_step("detectors", {}, [found("a1", "customer-77", Severity.CRITICAL, transaction_id="t-9")])
    while not service.step().finished:
        pass
    yield service, kept.notices
    service.close()


@pytest.fixture
def ask(tmp_path, ledger, clock, links):
    own = open_ledger(tmp_path, clock)
    acts = LedgerActs(own, clock, settings("ops"), ENVIRONMENT)
    service = LinkService(links, acts, own, clock, ("127.0.0.1", 0))

    def ask(method, address, **form):
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)
        body = urlencode(form) if form else None
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if form else {}
        connection.request(method, urlsplit(address).path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text

    yield ask
    service.close()


def group(ledger):
    (document,) = ledger.alerts().groups(limit=9, only_open=True)
    return msgspec.json.decode(document, type=Group)


def test_only_a_post_acknowledges(sent, ask, ledger):
    """Mail scanners follow links; the page shows persons as pseudonyms; the audit names link and person."""
    service, (notice,) = sent

    status, page = ask("GET", notice.acknowledge_link)
    assert (status, ask("HEAD", notice.acknowledge_link)[0]) == (200, 200)
    assert "user:user-1-" in page
    assert "customer-77" not in page
    assert group(ledger).acknowledged_by == ""

    status, page = ask("POST", notice.acknowledge_link, name="Ada <b>")

    assert status == 200
    assert "acknowledged by Ada &lt;b&gt;" in page
    assert group(ledger).acknowledged_by == "Ada <b> (by the link for #fraud)"
    assert [record.actor for record in ledger.audited(0, 9)] == ["Ada <b> (by the link for #fraud)"]
    service.step()


def test_an_anomaly_is_labelled(sent, ask, ledger):
    """With its transaction, so that detectors learn from it."""
    _, (notice,) = sent
    link = notice.found[0].label_link

    assert 'value="false-positive"' in ask("GET", link)[1]
    assert ask("POST", link, name="Ada", verdict="nonsense")[0] == 400
    assert ask("POST", link, name="Ada", verdict="fraud")[0] == 200

    (label,) = ledger.labels()
    assert (label.anomaly_id, label.transaction_id, label.verdict) == ("a1", "t-9", "fraud")
    assert label.by == "Ada (by the link for #fraud)"


@pytest.mark.parametrize("name", ["", "   ", "x" * 61])
def test_who_acts_says_who(sent, ask, ledger, name):
    _, (notice,) = sent

    assert ask("POST", notice.acknowledge_link, name=name, other="1")[0] == 400

    assert group(ledger).acknowledged_by == ""


def test_a_changed_link_does_nothing(sent, ask, ledger, links):
    """Another subject, another signature, another key, half of it, anything."""
    _, (notice,) = sent
    text, _, signed = notice.acknowledge_link.rpartition("/")[2].partition(".")
    other = Links("https://alerts.example.org", b"x" * 32)
    forged = other.address(Link(act="acknowledge", subject=notice.group_id, recipient="", until=2**40))

    for token in (
        text,
        f"{text}.",
        f".{signed}",
        f"{text[:-4]}AAAA.{signed}",
        f"{text}.{signed[:-4]}AAAA",
        "",
        "é",
    ):
        assert ask("POST", "/" + token.encode().decode("ascii", "ignore"), name="Eve")[0] == 404
    assert ask("POST", forged, name="Eve")[0] == 404

    assert group(ledger).acknowledged_by == ""


def test_a_link_is_good_for_a_week(sent, ask, ledger, clock):
    _, (notice,) = sent
    clock.advance(timedelta(days=7))

    status, page = ask("POST", notice.acknowledge_link, name="Ada")

    assert (status, group(ledger).acknowledged_by) == (410, "")
    assert "too old" in page


def test_a_group_that_is_over_is_said_to_be(sent, ask, clock):
    service, (notice,) = sent
    clock.advance(timedelta(hours=2))
    while not service.step().finished:
        pass

    status, page = ask("GET", notice.acknowledge_link)

    assert (status, "over already" in page) == (409, True)
    assert ask("POST", notice.acknowledge_link, name="Ada")[0] == 409


def test_many_readers_at_once(sent, ask, ledger):
    """Each gets an answer; one of them does not hold up the others."""
    _, (notice,) = sent
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask("GET", notice.acknowledge_link)[0]))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [200] * 8
