"""Every rule that is shipped in rules.yaml does what it says: one check-list, every rule by name."""

from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest

from detectors.entities import EntityIndex
from detectors.published import PUBLISHED
from detectors.rules.book import RuleBook, compile_rules
from detectors.rules.check import check_file
from detectors.rules.draft import draft
from detectors.rules.examples import START, run_examples
from detectors.rules.rule import Rule
from detectors.rules.windowing import read_duration
from txwatch.rulesfile import load

SHIPPED = Path(__file__).parents[2] / "rules.yaml"
DRAFT = draft(load(SHIPPED))
RULES = {rule.spec.id: rule for rule in DRAFT.rules}
WANTED = {
    "high-amount-new-country",
    "repeated-declines",
    "impossible-travel",
    "velocity-burst",
    "card-testing-round-amounts",
}


def book() -> RuleBook:
    return compile_rules(load(SHIPPED))


def told(rule: Rule, example: dict | list) -> pl.DataFrame:
    """An example as a frame of published columns, written out independently of `rules check`."""
    steps = example if isinstance(example, list) else [example]
    at = START
    rows = []
    for step in steps:
        at += timedelta(milliseconds=read_duration(step.get("after", "0s")))
        ordinary = {
            "user_id": "u",
            "merchant_id": "m",
            "amount": 25.0,
            "currency": "EUR",
            "status": "approved",
        }
        row = ordinary | {"timestamp": at, "hour": at.hour, "amount_base": step.get("amount", 25.0)} | step
        rows.append({name: row.get(name) for name in PUBLISHED})
    schema = {name: column.dtype for name, column in PUBLISHED.items()}
    return pl.DataFrame(rows, schema=schema, strict=False)


def gives_only_published(example: dict | list) -> bool:
    steps = example if isinstance(example, list) else [example]
    return all(name in PUBLISHED or name == "after" for step in steps for name in step)


def test_the_shipped_file_has_nothing_wrong_with_it():
    """`rules check` finds neither an error nor a warning."""
    assert check_file(SHIPPED) == []


def test_the_shipped_rules_are_many_and_the_wanted_ones_among_them():
    """Twelve useful rules at least."""
    assert len(RULES) >= 12
    assert set(RULES) >= WANTED


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_has_examples_of_both_kinds_and_words_for_a_person(name):
    """At least one hit, one miss, a description and a message."""
    spec = RULES[name].spec

    assert spec.hits
    assert spec.misses
    assert spec.description
    assert spec.message


@pytest.mark.parametrize(
    ("name", "key", "number"),
    [
        (rule.spec.id, key, number)
        for rule in DRAFT.rules
        for key in ("hits", "misses")
        for number, example in enumerate(getattr(rule.spec, key))
        if gives_only_published(example)
    ],
)
def test_a_rule_book_hits_and_misses_as_the_examples_say(name, key, number):
    """The last transaction of each example, stepped through a fresh rule book one by one."""
    frame = told(RULES[name], getattr(RULES[name].spec, key)[number])
    rules = book()
    known = {column: EntityIndex() for column in ("user_id", "merchant_id")}
    for row in range(frame.height):
        one = frame[row]
        hits = rules.step(one, {column: index.rows(one[column]) for column, index in known.items()})

    assert (name in [reason.code for reason in rules.reasons(hits, 0, one.row(0, named=True))]) == (
        key == "hits"
    )
    assert rules.faults() == []


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_hits_and_misses_what_it_names(name):
    """`rules check` has nothing to say of its examples, and something of each when they are swapped."""
    rule, place = RULES[name], [r.spec.id for r in DRAFT.rules].index(name)
    alone = msgspec.structs.replace(DRAFT, rules=(rule,), places=(place,))
    spec = msgspec.structs.replace(rule.spec, hits=rule.spec.misses, misses=rule.spec.hits)
    swapped = msgspec.structs.replace(alone, rules=(msgspec.structs.replace(rule, spec=spec),))

    assert list(run_examples(alone)) == []
    assert len(list(run_examples(swapped))) == len(spec.hits) + len(spec.misses)


@pytest.mark.parametrize(
    "name", sorted(name for name, rule in RULES.items() if gives_only_published(rule.spec.hits[0]))
)
def test_a_reason_fills_in_every_number(name):
    """What the message of a hit shows is what the example gives."""
    frame = told(RULES[name], RULES[name].spec.hits[0])
    rules = book()
    hits = rules.step(frame, {})
    last = frame.row(frame.height - 1, named=True)
    [reason] = [r for r in rules.reasons(hits, frame.height - 1, last) if r.code == name]

    assert "{" not in reason.sentence
    assert "unknown" not in reason.sentence or RULES[name].spec.observed is None
    assert (reason.observed is not None) == (RULES[name].spec.observed is not None)
