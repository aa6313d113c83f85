"""Every page keeps what all pages promise: help that says what is healthy, thresholds, links with filters."""

import re
from typing import Any

import pytest

from grafana.audience import AUDIENCES, OPERATIONS, Audience
from grafana.dashboards import pages_of
from grafana.dashboards.health import health
from grafana.dashboards.links import ADMINISTRATION, FILTERS
from grafana.panels.page import Page
from grafana.panels.panel import Panel

PAGES = [(audience, page) for audience in AUDIENCES for page in pages_of(audience)]
EACH_PAGE = pytest.mark.parametrize(
    ("audience", "page"), PAGES, ids=lambda v: getattr(v, "name", getattr(v, "uid", v))
)


@EACH_PAGE
def test_every_panel_says_what_is_healthy(audience: Audience, page: Page):
    """In the words that the corner of the panel shows."""
    silent = [
        panel.title for panel in page.panels if not re.search(r"\bhealthy\b", panel.help, re.IGNORECASE)
    ]

    assert silent == []


@EACH_PAGE
def test_no_two_panels_of_a_page_have_one_title(audience: Audience, page: Page):
    """Alert rules, and people on the telephone, name a panel by it."""
    titles = [panel.title for panel in page.panels]

    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("panel", health(OPERATIONS).panels, ids=lambda panel: panel.title)
def test_every_panel_of_health_says_from_where_on_to_look(panel: Panel):
    """By a colour that changes at a value: of what is drawn, of a column, or of the word for a number."""
    assert any(map(changes_colour, settings(panel)))


@EACH_PAGE
def test_links_between_pages_keep_the_filters_and_the_range(audience: Audience, page: Page):
    """All that the link does not set itself; an anomaly has a range of its own."""
    links = [url for panel in page.panels for url in urls(panel)]
    kept = [] if page.uid == ADMINISTRATION else list(FILTERS)

    for url in links:
        assert "${__url_time_range}" in url or "&from=${__data.fields.from}&to=" in url
        assert [
            name for name in kept if f"var-{name}=" not in url and f"${{{name}:queryparam}}" not in url
        ] == []


def settings(panel: Panel) -> list[dict[str, Any]]:
    """What is set for all values of a panel, and for those of each column or series."""
    overrides = [{each["id"]: each["value"] for each in made["properties"]} for made in panel.overrides]
    return [panel.defaults, *overrides]


def changes_colour(setting: dict[str, Any]) -> bool:
    steps = setting.get("thresholds", {}).get("steps", ())
    words = [word for mapping in setting.get("mappings", ()) for word in mapping["options"].values()]
    return len({each["color"] for each in (*steps, *words)}) > 1


def urls(panel: Panel) -> list[str]:
    """Where its values and its title lead."""
    return [link["url"] for setting in settings(panel) for link in setting.get("links", ())]
