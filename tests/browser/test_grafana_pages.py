"""Each role logs into a real Grafana and opens each of its pages: nothing empty, links lead on.

`applied_grafana` says which Grafana; TXWATCH_PICTURES names a folder in which pictures of the pages are kept.
"""

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from applied_grafana import AppliedGrafana, grafana_at_hand
from influx_fixtures import InfluxStores
from influx_tasks import Tasks
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect
from simulated_week import fill

from grafana.audience import AUDIENCES, Audience
from grafana.dashboards import pages_of
from grafana.panels.page import Page as Dashboard

PEOPLE = {"operations": "olga", "investigations": "ivan", "administration": "ada"}
RANGE = {"administration": "from=now-9d&to=now"}
USUAL_RANGE = "from=now-2d&to=now"
WIDTH, GRID, HEAD = 1600, 38, 150
"""In pixels: of the window, of one line of Grafana's grid, of what is above the panels."""
PATIENCE_MILLISECONDS = 60_000
"""A busy machine draws a page of thirty panels in more than playwright's five seconds."""
PAGES = [(audience, page) for audience in AUDIENCES for page in pages_of(audience)]


@pytest.fixture(scope="module")
def grafana(influxdb, tmp_path_factory) -> Iterator[AppliedGrafana]:
    """One to which `txwatch grafana apply` brought everything, over a simulated week."""
    stores = InfluxStores(influxdb)
    stores.initialise()
    with grafana_at_hand(stores, tmp_path_factory.mktemp("grafana")) as applied:
        live = timedelta(minutes=5)
        tasks = Tasks(stores)
        with tasks.paused():
            week = fill(stores.access(), tmp_path_factory.mktemp("week"), live=live, window_seconds=900)
        tasks.run("rule_counts")
        tasks.client.close()
        applied.steps("apply")
        yield applied
        week.store.close()


@pytest.fixture(scope="module")
def people(grafana, browser: Browser) -> Iterator[dict[str, Page]]:
    """A tab for each audience, in which somebody of it is logged in."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    tabs = {}
    for audience, login in PEOPLE.items():
        tab = browser.new_context(viewport=size(40), device_scale_factor=1).new_page()
        tab.goto(f"{grafana.url}/login?orgId={grafana.numbers[audience]}")
        tab.fill("input[name=user]", login)
        tab.fill("input[name=password]", grafana.secret(login))
        tab.click("button[type=submit]")
        tab.wait_for_url(lambda url: "/login" not in url)
        tab.goto(f"{grafana.url}/?orgId={grafana.numbers[audience]}")
        tab.wait_for_load_state("networkidle")
        tabs[audience] = tab
    yield tabs
    for tab in tabs.values():
        tab.context.close()


def size(lines: int) -> ViewportSize:
    """A window in which so many lines of panels are seen at once: what is outside is not drawn."""
    return {"width": WIDTH, "height": HEAD + lines * GRID}


def lines(page: Dashboard) -> int:
    """How high a page is, in lines of Grafana's grid."""
    places = [panel["gridPos"] for panel in page.json()["panels"]]
    return max(place["y"] + place["h"] for place in places)


def opened(grafana: AppliedGrafana, tab: Page, uid: str, query: str = USUAL_RANGE) -> list[str]:
    """Open a page and wait until it is still; return requests that went wrong, or to somebody else."""
    wrong: list[str] = []
    tab.on("response", lambda r: wrong.append(f"{r.status} {r.url}") if r.status >= 400 else None)
    tab.on("request", lambda r: wrong.append(r.url) if foreign(r.url, grafana.url) else None)
    tab.goto(f"{grafana.url}/d/{uid}?{query}")
    tab.wait_for_load_state("networkidle")
    expect(tab.locator(".panel-loading")).to_have_count(0)
    return wrong


def foreign(asked: str, own: str) -> bool:
    """Whether an address is neither of this Grafana nor of the page itself, such as its pictures."""
    return not asked.startswith((f"{own}/", "data:", "blob:"))


def content(shown: Locator, kind: str) -> Locator:
    """What a panel of this kind has when there is something to show; an empty one shows a dash at most."""
    if kind == "table":
        return shown.get_by_role("cell").first
    return shown.locator("span", has_text=re.compile(r"\w")).or_(shown.locator("canvas")).first


@pytest.mark.parametrize(("audience", "page"), PAGES, ids=lambda v: getattr(v, "name", getattr(v, "uid", v)))
def test_every_panel_shows_something(grafana, people, audience: Audience, page: Dashboard):
    """No panel has an error or no data, and no request fails."""
    tab = people[audience.name]
    tab.set_viewport_size(size(lines(page)))
    wrong = opened(grafana, tab, page.uid, RANGE.get(audience.name, USUAL_RANGE))

    for panel in page.panels:
        shown = tab.get_by_role("region", name=f"{panel.title} panel", exact=True)
        expect(shown).to_be_visible()
        if panel.kind == "table":
            expect(shown.get_by_role("cell").first).to_be_visible()
        else:
            expect(
                shown.locator("canvas").or_(shown.locator("span", has_text=re.compile(r"\w"))).first
            ).to_be_visible()
    assert wrong == []
    assert tab.get_by_text("No data", exact=True).count() == 0
    assert tab.locator(".panel-info-corner--error").count() == 0
    if folder := os.environ.get("TXWATCH_PICTURES"):
        tab.screenshot(path=Path(folder) / f"{audience.name}-{page.uid.removeprefix('txwatch-')}.png")


@pytest.mark.parametrize("audience", AUDIENCES[:2], ids=lambda a: a.name)
def test_a_reason_leads_to_its_anomaly(grafana, people, audience: Audience):
    """From the list to the page of one, which shows that one."""
    tab = people[audience.name]
    opened(grafana, tab, "txwatch-now", f"{USUAL_RANGE}&var-severity=high")
    link = tab.locator("a[href*='/d/txwatch-anomaly'][href*='var-anomaly=']").first
    reason = link.inner_text()
    link.click()
    tab.wait_for_url("**/d/txwatch-anomaly**")
    tab.wait_for_load_state("networkidle")

    expect(tab.get_by_text("high", exact=True).first).to_be_visible()
    expect(tab.get_by_text(reason, exact=True).first).to_be_visible()


@pytest.mark.parametrize("audience", AUDIENCES[:2], ids=lambda a: a.name)
@pytest.mark.parametrize("page", ["user", "merchant"])
def test_the_page_of_one_says_whose_it_is(grafana, people, audience: Audience, page: str):
    """Where no name was given as well: by the one in use, as it stands in the rows below."""
    tab = people[audience.name]
    tab.set_viewport_size(size(60))
    opened(grafana, tab, f"txwatch-{page}")
    heading = tab.get_by_text(re.compile("^(Amounts|Traffic) of .+"))
    (name,) = re.findall(" of (.+)", heading.inner_text())

    assert "$" not in name
    expect(tab.get_by_role("cell").filter(has_text=name).first).to_be_visible()


@pytest.mark.parametrize("audience", AUDIENCES[:2], ids=lambda a: a.name)
@pytest.mark.parametrize(
    ("page", "panel"), [("user", "Places"), ("merchant", "Where its anomalies came from")]
)
def test_a_country_leads_to_its_anomalies(grafana, people, audience: Audience, page: str, panel: str):
    """On the page Now, with all other filters as they were."""
    tab = people[audience.name]
    tab.set_viewport_size(size(60))
    opened(grafana, tab, f"txwatch-{page}", f"{USUAL_RANGE}&var-channel=pos")
    link = (
        tab.get_by_role("region", name=f"{panel} panel", exact=True).locator("a[href*='var-country=']").first
    )
    country = link.inner_text()
    link.click()
    tab.wait_for_url("**/d/txwatch-now**")

    assert re.fullmatch("[A-Z]{2}", country)
    for kept in (f"var-country={country}", "var-channel=pos", "from=now-2d"):
        assert kept in tab.url


def test_administrators_find_what_was_done_in_the_audit(grafana, people):
    """From how often it was done to the records that say so, and no others."""
    tab = people["administration"]
    tab.set_viewport_size(size(60))
    opened(grafana, tab, "txwatch-administration", RANGE["administration"])
    tab.locator("a", has_text="acknowledge").click()
    tab.wait_for_url("**var-action=acknowledge**")
    audit = tab.get_by_role("region", name="Audit panel", exact=True)

    expect(audit.get_by_role("row")).to_have_count(2)
    expect(audit.get_by_role("cell").filter(has_text="acknowledge")).to_be_visible()


@pytest.mark.parametrize("audience", AUDIENCES[:2], ids=lambda a: a.name)
def test_filters_go_along_to_the_next_page(grafana, people, audience: Audience):
    """And so does the range of time."""
    tab = people[audience.name]
    opened(grafana, tab, "txwatch-now", f"{USUAL_RANGE}&var-severity=high&var-country=DE")
    tab.locator("a[href*='/d/txwatch-explore']").first.click()
    tab.wait_for_url("**/d/txwatch-explore**")

    for kept in ("var-severity=high", "var-country=DE", "from=now-2d"):
        assert kept in tab.url


@pytest.mark.parametrize("audience", AUDIENCES[:2], ids=lambda a: a.name)
@pytest.mark.parametrize("page", ["anomaly", "user", "merchant"])
def test_filters_go_by_way_of_one_anomaly_and_come_back(grafana, people, audience: Audience, page: str):
    """To the page of one, where they filter nothing, and on from there."""
    tab = people[audience.name]
    chosen = "var-severity=high&var-severity=critical&var-channel=pos"
    opened(grafana, tab, "txwatch-now", f"{USUAL_RANGE}&{chosen}")
    tab.locator(f"a[href*='/d/txwatch-{page}']").first.click()
    tab.wait_for_url(f"**/d/txwatch-{page}**")
    tab.wait_for_load_state("networkidle")
    tab.locator("a[href*='/d/txwatch-explore']").first.click()
    tab.wait_for_url("**/d/txwatch-explore**")

    for kept in chosen.split("&"):
        assert kept in tab.url


@pytest.mark.parametrize("audience", AUDIENCES, ids=lambda a: a.name)
def test_the_first_page_is_the_one_to_begin_with(grafana, people, audience: Audience):
    """Whoever logs in sees it without looking for it."""
    tab = people[audience.name]
    first = pages_of(audience)[0]
    tab.goto(f"{grafana.url}/?orgId={grafana.numbers[audience.name]}")
    tab.wait_for_load_state("networkidle")

    expect(tab.get_by_role("region", name=f"{first.panels[0].title} panel", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("name", "audience"), [("olga", "investigations"), ("ada", "investigations"), ("ivan", "administration")]
)
def test_a_page_of_another_organisation_is_not_shown(grafana, people, name, audience):
    """Not even to somebody who knows its address."""
    (own,) = (each for each, login in PEOPLE.items() if login == name)
    tab = people[own]
    tab.goto(f"{grafana.url}/d/txwatch-user?orgId={grafana.numbers[audience]}")
    tab.wait_for_load_state("networkidle")
    number = tab.evaluate("() => fetch('/api/org').then(answer => answer.json()).then(org => org.id)")
    tab.goto(f"{grafana.url}/?orgId={grafana.numbers[own]}")

    assert number != grafana.numbers[audience]


def test_the_session_of_a_browser_is_kept_from_scripts_and_other_sites(people):
    """The cookie goes over secure connections only, with requests of this site only, and to no script."""
    cookies = {each["name"]: each for each in people["operations"].context.cookies()}
    session = cookies["grafana_session"]

    assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")
