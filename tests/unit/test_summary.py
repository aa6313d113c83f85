"""What dashboards filter and list by stands in one text, a line each, whatever values hold."""

import re

import pytest

from grafana.queries.flux import CHOSEN, CHOSEN_REASON, STANDING, line
from txwatch.summary import ANOMALY, REASON, summary

ALL = ".*"
LINES = {"anomalies": ANOMALY, "reasons": REASON}
STANDS = {
    "level": 3,
    "severity": "high",
    "types": " amount  place ",
    "rules": " burst ",
    "type": "amount",
    "channel": "web",
    "country": "DE",
    "merchant_id": "shop-1",
    "user_id": "ann",
    "transaction_id": "t7",
}


def text_of(of, **values):
    nothing = dict.fromkeys(LINES[of])
    return summary(nothing | {name: STANDS.get(name) for name in nothing} | values, LINES[of])


def fits(pattern, text, **chosen):
    """Whether a summary fits the pattern of a page, as Grafana fills it in."""
    everything = dict.fromkeys(("severity", "type", "rule", "channel", "country"), ALL)
    variables = everything | dict.fromkeys(("merchant", "user", "transaction"), "") | chosen
    for name, value in variables.items():
        pattern = pattern.replace(f"${{{name}:regex}}", value)
    return re.search(pattern, text) is not None


@pytest.mark.parametrize("of", LINES)
def test_every_value_is_found_in_its_own_line(of):
    """Also where others say nothing, and where one has line breaks of its own."""
    for name in LINES[of]:
        text = text_of(of, **{name: "one\nand\nanother"})

        assert re.search(line(name, "one and another", of), text)
        assert not any(re.search(line(o, "one.*", of), text) for o in LINES[of] if o != name)
        assert text.count("\n") == len(LINES[of])


@pytest.mark.parametrize(("of", "pattern"), [("anomalies", CHOSEN), ("reasons", CHOSEN_REASON)])
def test_a_page_that_filters_by_nothing_shows_everything_but_what_was_withdrawn(of, pattern):
    """Even an anomaly without rules, channel, country, merchant, user and transaction."""
    bare = dict.fromkeys(("channel", "country", "merchant_id", "user_id", "transaction_id"))
    empty = text_of(of, **({"rules": "  "} if of == "anomalies" else {}), **bare)
    withdrawn = text_of(of, level=0, severity="withdrawn")

    assert fits(pattern, empty)
    assert not fits(pattern, withdrawn)
    assert not re.search(STANDING, withdrawn)


@pytest.mark.parametrize(("of", "pattern"), [("anomalies", CHOSEN), ("reasons", CHOSEN_REASON)])
@pytest.mark.parametrize(
    ("name", "hit", "miss"),
    [
        ("severity", "(high|critical)", "hig"),
        ("type", "amount", "time"),
        ("channel", "web", "DE"),
        ("country", "DE", "web"),
        ("merchant", "hop", "ann"),
        ("user", "an", "shop"),
        ("transaction", "7", "ann"),
    ],
)
def test_a_filter_looks_at_its_own_line(of, pattern, name, hit, miss):
    """Lists are exact, ids are found by any part of them; another line's words are no hit."""
    assert fits(pattern, text_of(of), **{name: hit})
    assert not fits(pattern, text_of(of), **{name: miss})


def test_one_of_several_words_is_found_whole():
    """Types and rules of an anomaly are words; a part of one is no hit."""
    text = text_of("anomalies")

    assert fits(CHOSEN, text, type="place", rule="burst")
    assert not fits(CHOSEN, text, type="plac")
    assert not fits(CHOSEN, text, rule="place")
