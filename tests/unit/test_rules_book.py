"""The rule book: hits, reasons, shadow rules, set-aside rules, state."""

import re

import numpy as np
import polars as pl
import pytest

from detectors.published import PUBLISHED
from detectors.rulebook import RuleBook as WhatTheEngineAsks
from detectors.rules.book import Hits, RuleBook, compile_rules
from txwatch.columns import TIME
from txwatch.errors import SnapshotError
from txwatch.model import AnomalyType, Severity
from txwatch.problems import Problem
from txwatch.rulesfile import parse

HEAD = "version: 1\nbase_currency: EUR\n"


def book(text: str) -> RuleBook:
    document = parse((HEAD + text).encode(), "rules.yaml")
    assert not isinstance(document, list), document
    compiled = compile_rules(document)
    assert isinstance(compiled, RuleBook), compiled
    return compiled


def rule(when: str, **fields: str) -> RuleBook:
    lines = "".join(f"    {name}: {value}\n" for name, value in ({"severity": "low"} | fields).items())
    return book(f"rules:\n  - id: r\n    when: {when}\n{lines}")


def frame(*rows: dict) -> pl.DataFrame:
    ordinary = {"user_id": "u", "merchant_id": "m", "amount": 25.0, "currency": "EUR", "status": "approved"}
    data = [{name: (ordinary | row).get(name) for name in PUBLISHED} for row in rows]
    schema = {name: column.dtype for name, column in PUBLISHED.items()}
    made = pl.DataFrame(data, schema=schema)
    times = pl.Series("timestamp", [1_750_000_000_000 + 1000 * i for i in range(len(rows))]).cast(TIME)
    return made.with_columns(times) if made["timestamp"].null_count() else made


def held(rules: RuleBook, *rows: dict) -> list[bool]:
    return rules.step(frame(*rows), {}).matrix[:, 0].tolist()


def test_the_engine_finds_what_it_asks_for():
    """The rule book has the engine's interface: a static promise, checked by mypy as well."""
    rules: WhatTheEngineAsks = rule("amount > 10")

    assert rules.columns == {"amount", "timestamp"}
    assert rules.step(frame({"amount": 11}, {"amount": 9}), {}).matrix.tolist() == [[True], [False]]


def test_what_is_not_known_is_no_hit():
    """Null, and NaN where the engine should let one slip, neither hit nor hit under NOT."""
    rows = [{"user_amount_ratio": None}, {"user_amount_ratio": float("nan")}, {"user_amount_ratio": 9.0}]

    assert held(rule("user_amount_ratio > 3"), *rows) == [False, False, True]
    assert held(rule("NOT user_amount_ratio > 3"), *rows) == [False, False, False]
    assert held(rule("user_amount_ratio IS NULL"), *rows) == [True, True, False]


def test_what_has_no_value_is_no_hit():
    """Division by zero, roots and logarithms of what has none are null, never an infinity."""
    rows = [{"amount": 5, "user_amount_median": 0.0}]

    assert held(rule("amount / user_amount_median > 1"), *rows) == [False]
    assert held(rule("amount % user_amount_median >= 0"), *rows) == [False]
    assert held(rule("sqrt(0 - amount) <> 1"), *rows) == [False]
    assert held(rule("ln(user_amount_median) < 0"), *rows) == [False]
    assert held(
        rule("round(amount / 3, 1) = 1.7 AND floor(amount / 3) = 1 AND ceil(amount / 3) = 2"), *rows
    ) == [True]


def test_lists_are_asked_by_name():
    """in_list over a written-out list; a null is neither in it nor outside of it."""
    lists = "lists: {watch: [m1, m2]}\nrules:\n"
    on_it = book(f"{lists}  - {{id: r, when: \"in_list(card_id, 'watch')\", severity: low}}\n")
    off_it = book(f"{lists}  - {{id: r, when: \"NOT in_list(card_id, 'watch')\", severity: low}}\n")
    rows = [{"card_id": "m1"}, {"card_id": "x"}, {"card_id": None}]

    assert held(on_it, *rows) == [True, False, False]
    assert held(off_it, *rows) == [False, True, False]


def test_a_list_may_stand_in_a_file_beside_the_rules(tmp_path):
    """One value a line, comments allowed; another content is another version."""
    text = (
        f"{HEAD}lists: {{deny: {{file: deny.txt}}}}\n"
        "rules:\n  - {id: r, when: \"in_list(user_id, 'deny')\", severity: low}\n"
    )
    versions = []
    for content in ("# who cheated\nu1\nu2  # twice\n", "u3\n"):
        (tmp_path / "deny.txt").write_text(content)
        rules = compile_rules(parse(text.encode(), str(tmp_path / "rules.yaml")))
        versions.append(rules.version)
        assert held(rules, {"user_id": "u2"}) == [content.startswith("#")]

    assert versions[0] != versions[1]


def test_min_baseline_keeps_a_rule_quiet_about_newcomers():
    """user_count, or merchant_count for rules about merchants."""
    rows = [{"amount": 99, "user_count": 3, "merchant_count": 50}, {"amount": 99, "user_count": 5}]

    assert held(rule("amount > 50", min_baseline="5"), *rows) == [False, True]
    assert held(rule("amount > 50", min_baseline="5", entity="merchant"), *rows) == [True, False]


@pytest.mark.parametrize(
    ("hours", "held_at"), [("9-17", range(9, 17)), ("22-6", [22, 23, *range(6)]), ("0-24", range(24))]
)
def test_hours_are_half_open_and_may_pass_midnight(hours, held_at):
    """22-6 holds at 22:00 and no more at 6:00."""
    answers = held(rule("amount > 0", hours=hours), *({"amount": 1, "hour": hour} for hour in range(24)))

    assert [hour for hour, holds in enumerate(answers) if holds] == sorted(held_at)


def test_a_mean_and_a_largest_are_null_before_anything_counted():
    """A sum is 0 then; in a condition the others are no hit."""
    features = "".join(
        f"  {kind}_it: {{{kind}: amount, where: \"status = 'approved'\", by: user_id, window: 1h}}\n"
        for kind in ("sum", "mean", "max")
    )
    rules = book(
        f"features:\n{features}rules:\n"
        "  - {id: r, when: sum_it = 0 AND mean_it IS NULL AND max_it IS NULL, severity: low}\n"
        "  - {id: s, when: sum_it = 30 AND mean_it = 15 AND max_it = 20, severity: low}\n"
    )
    hits = rules.step(frame({"status": "declined"}, {"amount": 10}, {"amount": 20}), {})

    assert hits.matrix.tolist() == [[True, False], [False, False], [False, True]]


def test_shadow_rules_stand_apart_and_off_rules_are_gone():
    """What may alert is in the matrix; what is only watched is beside it."""
    rules = book(
        "rules:\n"
        "  - {id: a, when: amount > 1, severity: high, mode: shadow}\n"
        "  - {id: b, when: amount > 1, severity: low}\n"
        "  - {id: c, when: amount > 1, severity: low, mode: off}\n"
    )
    hits = rules.step(frame({}), {})

    assert (list(hits.ids), hits.matrix.tolist()) == (["b"], [[True]])
    assert (list(hits.shadow.ids), hits.shadow.matrix.tolist()) == (["a"], [[True]])
    assert [reason.code for reason in rules.reasons(hits.shadow, 0, frame({}).row(0, named=True))] == ["a"]


def test_a_reason_carries_sentence_numbers_and_facts():
    """The severest rule first; observed and expected where the rule names them."""
    rules = book(
        "rules:\n"
        "  - {id: small, when: amount > 1, severity: low}\n"
        "  - id: large\n"
        "    when: amount > 3 * user_amount_median AND country_is_new\n"
        "    severity: critical\n"
        "    type: place\n"
        "    observed: amount\n"
        "    expected: user_amount_median\n"
        "    tags: [takeover]\n"
        '    message: "{amount} {currency} from {country} at {lat}, {user_amount_ratio:.1f}x {{usual}}"\n'
    )
    row = frame(
        {
            "amount": 1250.5,
            "user_amount_median": 100.0,
            "user_amount_ratio": 12.505,
            "country": "BR",
            "country_is_new": True,
            "user_count": 31,
        }
    )
    hits = rules.step(row, {})
    large, small = rules.reasons(hits, 0, row.row(0, named=True))

    assert hits.severities.tolist() == [int(Severity.LOW), int(Severity.CRITICAL)]
    assert (large.code, large.type, large.entity_kind) == ("large", AnomalyType.PLACE, "user")
    assert large.sentence == "1,250.50 EUR from BR at unknown, 12.5x {usual}"
    assert (large.observed, large.expected, large.baseline_size) == (1250.5, 100.0, 31)
    assert large.facts == {
        "severity": "critical",
        "tags": ["takeover"],
        "amount": 1250.5,
        "country_is_new": True,
        "user_amount_median": 100.0,
    }
    assert (small.type, small.sentence) == (AnomalyType.RULE, "rule small holds: amount > 1")


def test_a_rule_that_fails_at_run_time_is_set_aside_and_the_others_go_on():
    """Visible in `faults`, for good; the other rules hit as before."""
    rules = book(
        "rules:\n"
        "  - {id: broken, when: lat > 1, severity: low}\n"
        "  - {id: sound, when: amount > 1, severity: low}\n"
    )
    damaged = frame({}).with_columns(lat=pl.Series([[1.0]]))
    first, second = rules.step(damaged, {}), rules.step(frame({"lat": 2.0}), {})

    assert first.matrix.tolist() == [[False, True]]
    assert second.matrix.tolist() == [[False, True]]
    assert len(rules.faults()) == 1
    assert "broken is set aside" in rules.faults()[0]


def test_an_empty_batch_is_a_batch():
    """No rows, no hits, no error."""
    hits = rule("amount > 10").step(frame({}).clear(), {})

    assert hits.matrix.shape == (0, 1)


STORY = (
    "features:\n  n: {count: '*', by: user_id, window: 1h}\n"
    "rules:\n  - {id: r, when: n >= 3, severity: low}\n"
)


def test_the_state_of_windows_survives_a_snapshot():
    """Two before the dump and one after it are three."""
    first, second = book(STORY), book(STORY)
    first.step(frame({}, {}), {})
    second.restore(first.dump())

    assert held(second, {}) == [True]


@pytest.mark.parametrize("other", [("n >= 3", "n >= 4 OR n = 3"), ("id: r", "id: q"), ("n", "payments")])
def test_windows_go_on_under_other_rules(other):
    """What counts is what a feature is: in a snapshot, and from one book to the next."""
    first, restored, following = book(STORY), book(renamed(*other)), book(renamed(*other))
    first.step(frame({}, {}), {})
    restored.restore(first.dump())
    begun = following.take_over(first)

    assert begun == []
    assert held(restored, {}) == held(following, {}) == [True]


def renamed(old: str, new: str) -> str:
    return re.sub(rf"\b{re.escape(old)}(?=[: ])", new, STORY) if old == "n" else STORY.replace(old, new)


def test_a_feature_that_is_defined_otherwise_begins_anew():
    """It is named, and knows nothing of before."""
    first, second, third = (book(STORY), *(book(STORY.replace("window: 1h", "window: 2h")) for _ in "ab"))
    first.step(frame({}, {}), {})
    second.restore(first.dump())

    assert third.take_over(first) == ["n"]
    assert held(second, {}) == held(third, {}) == [False]


def test_two_features_that_are_the_same_are_counted_once_each():
    """Each has a memory of its own, before and after another book takes over."""
    twice = STORY.replace("rules:", "  m: {count: '*', by: user_id, window: 1h}\nrules:").replace(
        "n >= 3", "m + n >= 6"
    )
    first, second = book(twice), book(twice)
    first.step(frame({}, {}), {})
    second.take_over(first)

    assert held(second, {}) == [True]


def test_a_snapshot_that_is_none_is_refused():
    """A clear error, and the state stays as it was."""
    rules = book(STORY)
    with pytest.raises(SnapshotError, match="cannot be read"):
        rules.restore(b"\x00nonsense")

    assert held(rules, {}, {}, {}) == [False, False, True]


def test_given_entity_rows_and_own_ones_count_the_same():
    """Users by the engine's rows or by their ids: the same features."""
    rows = [{"user_id": name} for name in "abcaabca"]
    given = np.array(["abc".index(row["user_id"]) for row in rows], np.int32)
    mine = book(STORY).step(frame(*rows), {})
    theirs = book(STORY).step(frame(*rows), {"user_id": given})

    assert mine.matrix.tolist() == theirs.matrix.tolist()


@pytest.mark.parametrize("rows", [{}, {"user_id": "given", "merchant_id": "given"}], ids=["own", "given"])
def test_a_pair_has_windows_of_its_own(rows):
    """The same user at another merchant is another pair; a missing id is no pair."""
    rules = book(
        "features:\n  n: {count: '*', by: [user_id, merchant_id], window: 1h}\n"
        "rules:\n  - {id: r, when: n >= 2, severity: low}\n"
    )
    data = frame(
        *({"user_id": user, "merchant_id": shop} for user, shop in ("ax", "ay", "bx", "ax", "by", "ay"))
    )
    given = {name: data[name].rank("dense").to_numpy().astype(np.int32) for name in rows}

    assert rules.step(data, given).matrix[:, 0].tolist() == [False, False, False, True, False, True]


def test_a_file_with_an_error_gives_no_rule_book():
    """All errors, and no half a rule book."""
    document = parse(
        f"{HEAD}rules:\n  - {{id: a, when: amont > 1, severity: low}}\n  - {{id: b}}\n".encode(), "r"
    )
    found = compile_rules(document)

    assert all(isinstance(problem, Problem) for problem in found)
    assert len(found) == 3


def test_hits_of_no_rules_are_empty():
    """A file without rules is a rule book that never hits."""
    hits = book("rules: []\n").step(frame({}), {})

    assert isinstance(hits, Hits)
    assert hits.matrix.shape == (1, 0)
