"""Whoever goes from page to page keeps what he filtered by."""

import json
import re

import pytest

from grafana.audience import AUDIENCES, OPERATIONS
from grafana.dashboards import pages_of
from grafana.dashboards.links import ADMINISTRATION, FILTERS, NOW, TO_ANOMALY, TO_MERCHANT, TO_USER, only

WATCHING = [page for audience in AUDIENCES for page in pages_of(audience) if page.uid != ADMINISTRATION]
LINKS = [TO_ANOMALY, TO_USER, TO_MERCHANT, only("rule", "code")]


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.title)
def test_a_link_takes_each_filter_along_once(link):
    """The one that it sets itself is not doubled."""
    taken = re.findall(r"\$\{(\w+):queryparam\}", link.url)
    set_here = re.findall(r"var-(\w+)=", link.url)

    assert sorted([*taken, *(name for name in set_here if name in FILTERS)]) == sorted(FILTERS)


@pytest.mark.parametrize("page", WATCHING, ids=lambda page: page.uid)
def test_every_page_has_every_filter_and_shows_it_in_its_address(page):
    """Seen where it filters, unseen where it is only taken along."""
    listed = {each["name"]: each for each in page.json()["templating"]["list"]}

    assert set(FILTERS) <= set(listed)
    assert [name for name in FILTERS if listed[name]["skipUrlSync"]] == []


def test_each_link_within_the_pages_names_variables_that_are_there():
    for page in pages_of(OPERATIONS):
        names = {variable.name for variable in page.variables}

        assert set(re.findall(r"\$\{(\w+):queryparam\}", json.dumps(page.json()))) <= names


def test_the_page_now_shows_its_filters():
    page = next(page for page in pages_of(OPERATIONS) if page.uid == NOW)

    assert [each["hide"] for each in page.json()["templating"]["list"]] == [0] * len(FILTERS)
