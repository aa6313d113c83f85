"""E-mails, and the page behind their links, in a real browser: on a wide and a narrow screen, and clicked."""

import msgspec
import pytest
from alert_builders import HIDING, NOON, found, open_ledger, settings

from alerts.groups import Group, joined
from alerts.links import Links
from alerts.linkserver import LedgerActs, LinkService
from alerts.mail import as_html
from alerts.notice import hiding_of, notice_of
from txwatch.ledger import Step, StoredGroup
from txwatch.model import Severity
from txwatch.testing import ManualClock

KEY = b"k" * 32
HOSTILE = "<img src=x onerror='window.hacked=1'>"
LATE = (
    "412.00 EUR is 6.1 times what this customer usually spends, from a country where the customer never paid "
    "before, 8,700 km from where the customer usually pays"
)


@pytest.fixture
def served(tmp_path):
    """Links and the ledger behind them, with one open group in it."""
    clock = ManualClock(NOON)
    ledger = open_ledger(tmp_path, clock)
    acts = LedgerActs(ledger, clock, settings("ops"), {"TXWATCH_PSEUDONYM_KEY": KEY.hex()})
    links = Links("http://127.0.0.1", KEY)
    service = LinkService(links, acts, ledger, clock, ("127.0.0.1", 0))
    yield Links(f"http://127.0.0.1:{service.port}", KEY), ledger
    service.close()


@pytest.fixture
def mail(served):
    """The HTML of a message about three anomalies, one of which came from somebody hostile."""
    links, ledger = served
    at = NOON.timestamp()
    group = Group(
        group_id="5b0c7aa1d2e3", route="default", labels=(("entity", "user:u1"),), opened_at=at, last_at=at
    )
    group = joined(group, found("a0", "customer-1", Severity.CRITICAL, country="BR"), at)
    group = joined(group, found("a1", HOSTILE, Severity.HIGH), at)
    reasons = tuple(msgspec.structs.replace(each, sentence=LATE) for each in found("a").reasons)
    group = joined(group, found("a2", "customer-2", merchant_id="m" * 80, reasons=reasons * 3), at)
    stored = StoredGroup(group_id=group.group_id, open=True, document=msgspec.json.encode(group))
    ledger.alerts().commit("", 0, Step(groups=[stored]))
    hide = hiding_of(HIDING, raw_ids=False)
    grafana = "https://grafana.example.org"
    told = notice_of(group, "first", "critical does not wait", hide=hide, dashboards=grafana, at=at)
    return as_html(links.within(told, "fraud@example.org"))


@pytest.mark.parametrize("width", [1000, 360])
def test_a_mail_reads_well(browser, mail, width):
    """Nothing runs off the side, every link is there, nothing from outside is markup."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_content(mail)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").inner_text().startswith("CRITICAL user user-1-")
    assert page.get_by_text("Open the dashboard").count() == 3
    assert page.get_by_text("Say what it was").count() == 3
    assert page.locator("img, script").count() == 0
    assert page.evaluate("window.hacked") is None
    page.close()


def test_who_clicks_in_a_mail_acknowledges(browser, served, mail):
    """The link shows a page; its form does it."""
    _, ledger = served
    page = browser.new_page()
    page.set_content(mail)
    page.get_by_text("Acknowledge", exact=True).click()
    assert page.locator("h1").inner_text() == "Acknowledge this group?"
    assert msgspec.json.decode(ledger.alerts().group("5b0c7aa1d2e3"), type=Group).acknowledged_by == ""

    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("is acknowledged by Ada").wait_for()

    group = msgspec.json.decode(ledger.alerts().group("5b0c7aa1d2e3"), type=Group)
    assert group.acknowledged_by == "Ada (by the link for fraud@example.org)"
    page.close()


def test_who_says_what_it_was_labels(browser, served, mail):
    _, ledger = served
    page = browser.new_page(viewport={"width": 360, "height": 700})
    page.set_content(mail)
    page.get_by_text("Say what it was").first.click()

    page.get_by_label("false-positive").check()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_role("button", name="Confirm").click()
    page.get_by_text("is labelled false-positive by Ada").wait_for()

    assert [label.verdict for label in ledger.labels()] == ["false-positive"]
    page.close()
