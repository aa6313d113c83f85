"""The report in a real browser: opened from disk, filtered, sorted, clicked."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from txwatch.model import Anomaly, AnomalyType, Reason, Severity
from txwatch.ports import SeriesPoint
from txwatch.views.report import DetectionFigures, KindFigures, ReportData, write_report

START = datetime(2026, 3, 2, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror='window.hacked=1'>"


def anomaly(n: int, chance: random.Random) -> Anomaly:
    severity = chance.choice(list(Severity))
    user = f"u{n % 7}" if n else HOSTILE
    kind = chance.choice([AnomalyType.AMOUNT, AnomalyType.PLACE, AnomalyType.RULE])
    reasons = tuple(
        Reason(
            code=code,
            sentence=f"{n}.00 EUR is {n + 2} times what {user} usually spends",
            detector=code,
            type=kind,
            entity_kind="user",
            contribution=share,
            observed=float(n),
            expected=12.5,
            baseline_size=143,
            baseline_level="entity",
        )
        for code, share in (("user_amount", 80.0), ("distance", 20.0))
    )
    return Anomaly(
        anomaly_id=f"a{n:04}",
        kind="transaction",
        type=kind,
        timestamp=START + timedelta(minutes=7 * n),
        detected_at=START,
        severity=severity,
        score=20.0 + n % 80,
        reasons=reasons,
        entity_kind="user",
        entity_id=user,
        user_id=user,
        merchant_id=f"m{n % 5}",
        transaction_id=f"t{n:05}",
        amount=float(n),
        currency="EUR",
        versions={"rules": "abc"},
    )


@pytest.fixture(scope="module")
def anomalies():
    chance = random.Random(5)
    return [anomaly(n, chance) for n in range(400)]


@pytest.fixture
def page(browser, anomalies, tmp_path):
    """The report's page, and whatever it complained about."""
    figures = DetectionFigures(
        kinds=[KindFigures(kind="card_testing", episodes=9, found=8, median_delay_seconds=260.0)],
        anomalies=400,
        true=120,
        days=2.0,
    )
    windows = [
        SeriesPoint(
            series="count/all", start=START + timedelta(hours=h), seconds=3600, value=h % 24, low=0, high=30
        )
        for h in range(48)
    ]
    path = tmp_path / "report.html"
    data = ReportData(
        title="test report",
        made_at=START,
        transactions=12_345,
        quarantined=6,
        anomalies=anomalies,
        traffic=windows,
        figures=figures,
    )
    write_report(path, data)
    opened = browser.new_page()
    opened.complaints = []
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on("console", lambda m: opened.complaints.append(m.text) if m.type == "error" else None)
    opened.goto(path.as_uri())
    yield opened
    assert opened.complaints == []
    opened.close()


def shown(page) -> int:
    return int(page.inner_text("#count").split(" of ")[0].replace(",", ""))


def test_everything_is_there_at_first(page, anomalies):
    """Title, figures, charts and all anomalies."""
    assert page.title() == "test report"
    assert "12,345" in page.inner_text("#figures")
    assert shown(page) == len(anomalies)
    assert page.locator("#timeline rect").count() > 20
    assert page.locator("#traffic path").count() == 2
    assert "card testing" in page.inner_text("#quality")


def test_filters_by_severity_and_user(page, anomalies):
    """What is shown equals the same selection made in Python; the address keeps the filters."""
    page.select_option("[name=severity]", "3")
    page.fill("[name=user]", "u3")

    expected = [a for a in anomalies if a.severity >= Severity.HIGH and a.user_id == "u3"]
    assert shown(page) == len(expected) > 0
    assert page.locator("#rows tr.row").count() == min(50, len(expected))
    assert "severity=3" in page.url
    assert "user=u3" in page.url


def test_filters_by_time_merchant_type_and_transaction(page, anomalies):
    """Times are half-open and in UTC; every filter narrows what the others left."""
    page.fill("[name=since]", "2026-03-02T02:00")
    page.fill("[name=until]", "2026-03-02T20:00")
    page.fill("[name=merchant]", "m2")
    page.select_option("[name=type]", "place")

    within = [
        a
        for a in anomalies
        if START + timedelta(hours=2) <= a.timestamp < START + timedelta(hours=20)
        and a.merchant_id == "m2"
        and a.type is AnomalyType.PLACE
    ]
    assert shown(page) == len(within) > 0

    page.fill("[name=transaction]", within[0].transaction_id)
    assert shown(page) == 1

    page.click("button[type=reset]")
    page.wait_for_function("document.getElementById('count').textContent.startsWith('400')")


def test_a_click_opens_the_reasons(page):
    """Sentence, contributions, observed and expected are shown; another click closes."""
    page.fill("[name=transaction]", "t00042")
    page.click("#rows tr.row")

    details = page.inner_text("#rows tr.details")
    assert "42.00 EUR is 44 times what u0 usually spends" in details
    assert "80 % · user_amount · observed 42.00 · expected 12.50 · from 143 (entity)" in details
    assert "t00042" in details

    page.click("#rows tr.row")
    assert page.locator("#rows tr.details").count() == 0


def test_rows_open_by_keyboard_and_sort_by_column(page, anomalies):
    """No mouse is needed; the largest amount comes first when asked for."""
    page.click("#head button:has-text('amount')")

    largest = max(anomalies, key=lambda a: a.amount or 0)
    first = page.locator("#rows tr.row").first
    assert first.get_attribute("data-id") == largest.anomaly_id
    first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#rows tr.details").count() == 1


def test_pages_hold_fifty_each(page):
    """The last page holds the rest."""
    for _ in range(7):
        page.click("#next")

    assert page.inner_text("#page") == "page 8 of 8"
    assert page.is_disabled("#next")
    assert page.locator("#rows tr.row").count() == 50


def test_hostile_ids_are_only_text(page):
    """Markup in an id is shown as it is and never runs."""
    page.fill("[name=transaction]", "t00000")
    page.click("#rows tr.row")

    assert HOSTILE in page.inner_text("#rows tr.details")
    assert page.evaluate("window.hacked === undefined")
