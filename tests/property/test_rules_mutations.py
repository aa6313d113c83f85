"""200 damaged rule files: no crash, every fault with its line, and the undamaged file is as it was."""

import random
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collector.simulator.settings import SimulationSettings
from collector.simulator.simulation import Simulation
from detectors.configuration import known_configuration, read_configuration
from detectors.detection import Configuration, Detection
from detectors.rules.book import RuleBook, compile_rules
from detectors.rules.check import check_bytes
from detectors.rules.draft import draft
from detectors.rules.examples import run_examples
from txwatch.columns import TRANSACTION
from txwatch.errors import ConfigurationError
from txwatch.problems import errors, render
from txwatch.rulesfile import parse

SHIPPED = Path(__file__).parents[2] / "rules.yaml"
TEXT = SHIPPED.read_text()
LINES = TEXT.split("\n")
NOW = datetime(2026, 3, 12, tzinfo=UTC)
NOISE = [
    "\t",
    "{",
    "}",
    "[",
    ":",
    "'",
    '"',
    "- ",
    "&a",
    "*a",
    "!",
    "%",
    "\x00",
    "é",
    "NaN",
    "1e999",
    "~",
    "#",
]


def damaged(seed: int) -> str:
    """The shipped file with one to four random edits: characters, words, lines."""
    generator = random.Random(seed)
    text = TEXT
    for _ in range(generator.randint(1, 4)):
        text = generator.choice([_drop, _insert, _swap_words, _repeat_line, _drop_line, _indent, _cut])(
            text, generator
        )
    return text


def _drop(text, generator):
    at = generator.randrange(len(text))
    return text[:at] + text[at + generator.randint(1, 8) :]


def _insert(text, generator):
    at = generator.randrange(len(text))
    return text[:at] + generator.choice(NOISE) + text[at:]


def _swap_words(text, generator):
    words = re.findall(r"\w+", text)
    return text.replace(generator.choice(words), generator.choice(words), generator.randint(1, 3))


def _repeat_line(text, generator):
    lines = text.split("\n")
    at = generator.randrange(len(lines))
    return "\n".join([*lines[:at], lines[at], *lines[at:]])


def _drop_line(text, generator):
    lines = text.split("\n")
    del lines[generator.randrange(len(lines))]
    return "\n".join(lines)


def _indent(text, generator):
    lines = text.split("\n")
    at = generator.randrange(len(lines))
    lines[at] = " " * generator.randint(1, 3) + lines[at] if generator.random() < 0.5 else lines[at].lstrip()
    return "\n".join(lines)


def _cut(text, generator):
    return (
        text[: generator.randrange(len(text))] if generator.random() < 0.2 else text + generator.choice(NOISE)
    )


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_file_is_checked_without_a_crash_and_faults_have_lines(seed):
    """Whatever was edited, the answer is a list of problems inside the file, and each can be shown."""
    text = damaged(seed)
    problems = check_bytes(text.encode(), str(SHIPPED))

    height = text.count("\n") + 1
    assert all(1 <= problem.line <= height and problem.column >= 1 for problem in problems)
    assert all(problem.sentence in render(problem, text) for problem in problems)


@pytest.mark.parametrize("seed", range(0, 200, 5))
def test_a_damaged_file_is_refused_exactly_when_it_has_errors(seed):
    """What runs is what was checked; only an example that fails stops no rule from running."""
    text = damaged(seed)
    document = parse(text.encode(), str(SHIPPED))
    book = compile_rules(document) if not isinstance(document, list) else document

    if isinstance(book, RuleBook):
        of_examples = set(run_examples(draft(document)))
        assert set(errors(check_bytes(text.encode(), str(SHIPPED)))) == of_examples
    else:
        assert errors(book)


PLANTED = [
    ("when: user_amount_ratio > 3 AND country_is_new", "when: user_amount_ration > 3 AND country_is_new"),
    ("count: status = 'declined'", "count: status = declined"),
    ("window: 10m", "window: 10 minutes"),
    ("severity: critical", "severity: urgent"),
    ("by: card_id", "by: card"),
    ("base_currency: EUR", "base_currency: Euro"),
    ("version: 1", "version: 2"),
    ("type: velocity", "type: speed"),
    ("min_baseline: 15\n", "min_baseline: fifteen\n"),
    ("hours: 0-5", "hours: 0 to 5"),
    ("id: denied", "id: velocity-burst"),
    ("in_list(merchant_id, 'watch')", "in_list(merchant_id, 'wach')"),
    ('message: "{amount} {currency} from', 'message: "{amuont} {currency} from'),
    ("    tags: [list]\n    hits:", "    tag: [list]\n    hits:"),
    ("observed: travel_kmh", "observed: travel_kph"),
    ("- {user_count_20m: 8}", "- {user_count_20m: 7}"),
    ("- {user_count_20m: 7}", "- {user_count_20: 7}"),
    ("when: user_merchants_10m >= 5", "when: count(merchant_id) >= 5"),
    ("when: device_cards_1d >= 4", "when: device_cards_1d >= 4 AND"),
    ("distinct: country", "distinct: amount"),
    ("lists:\n", "list:\n"),
    ("deny: [test-denied-merchant]", "deny: {file: there-is-no-such-file.txt}"),
    ("when: travel_kmh > 1000 AND distance_km > 200", "when: travel_kmh > 1000 AND distance_km > '200'"),
]


@pytest.mark.parametrize(("right", "wrong"), PLANTED, ids=[wrong.strip()[:40] for _, wrong in PLANTED])
def test_a_planted_fault_is_found_in_its_line(right, wrong):
    """An error at the very line that was edited."""
    assert right in TEXT
    at = TEXT.index(right)
    text = TEXT[:at] + wrong + TEXT[at + len(right) :]
    edited = {i + 1 for i, (a, b) in enumerate(zip(LINES, text.split("\n"), strict=True)) if a != b}

    found = errors(check_bytes(text.encode(), str(SHIPPED)))

    assert edited & {problem.line for problem in found}


def test_reverting_an_edit_brings_back_the_same_version():
    """The version depends on what the rules mean: not on comments, spaces or examples."""
    book = compile_rules(parse(TEXT.encode(), "rules.yaml"))
    edited = compile_rules(
        parse(TEXT.replace("travel_kmh > 1000", "travel_kmh > 900").encode(), "rules.yaml")
    )
    reverted = compile_rules(parse((TEXT + "# a comment\n").encode(), "elsewhere.yaml"))

    assert edited.version != book.version
    assert reverted.version == book.version


@pytest.fixture(scope="module")
def batches():
    """Two simulated days in small batches."""
    days = Simulation(SimulationSettings(seed=5, users=150, merchants=30, days=2)).days()
    return [part for day in days for part in day.transactions.select(*TRANSACTION).iter_slices(6)]


def test_detection_goes_on_through_all_of_them_and_the_way_back_is_exact(batches):
    """Taken between two batches, and taken back: the same findings as if nobody had edited anything."""
    shipped = read_configuration(SHIPPED, window_seconds=3600)
    undisturbed, edited = Detection.fresh(shipped), Detection.fresh(shipped)
    taken = compared = 0
    for seed, batch in zip(range(200), batches, strict=False):
        configuration = taken_or_refused(damaged(seed))
        anew: list[str] = []
        if configuration is not None and configuration.version != shipped.version:
            taken += 1
            edited, gone = edited.changed(configuration)
            edited, begun = edited.changed(shipped)
            anew = gone + begun
        expected = undisturbed.step(batch, lambda: NOW)
        if anew:  # what was defined otherwise begins anew, and is named
            edited = Detection.restored(shipped, undisturbed.dump())
        else:
            compared += 1
            assert edited.step(batch, lambda: NOW) == expected, f"seed {seed}"

    assert (taken > 10, compared > 150) == (True, True), (taken, compared)


def taken_or_refused(text: str) -> Configuration | None:
    """What a running detector would make of the file."""
    try:
        return known_configuration(SHIPPED, text.encode(), window_seconds=3600)
    except ConfigurationError:
        return None
