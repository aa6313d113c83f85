"""What `rules check` finds in a file that is valid and still not meant, check by check."""

import pytest

from detectors.rules.check import CHECKS, check_bytes
from detectors.rules.schema import json_schema
from detectors.rules.spec import RuleSpec
from txwatch.problems import ERROR, WARNING, Problem
from txwatch.rulesfile import SECTIONS

OTHERS = "severity: low, message: m, hits: [{amount: 9}], misses: [{amount: 1}]"


def found(text: str) -> list[Problem]:
    return check_bytes(f"version: 1\n{text}".encode(), "rules.yaml")


def sentences(text: str) -> list[str]:
    return [problem.sentence for problem in found(text)]


def one_rule(when: str, **fields: str) -> list[str]:
    more = "".join(f", {name}: {value}" for name, value in fields.items())
    text = f'rules:\n  - {{id: r, when: "{when}", severity: low, message: m{more}}}\n'
    return [sentence for sentence in sentences(text) if "examples under" not in sentence]


@pytest.mark.parametrize(
    "when",
    [
        "amount > 10 AND amount < 5",
        "amount > 10 AND amount <= 10",
        "amount < 0",
        "hour = 24",
        "hour >= 9 AND NOT hour > 3",
        "status = 'approved' AND status = 'declined'",
        "status NOT IN ('approved') AND status = 'approved' AND FALSE",
        "merchant_declined_share_1h > 1",
        "amount BETWEEN 10 AND 5",
        "amount + 5 < 3",
        "(amount < 1 OR amount < 2) AND amount > 7",
        "user_count_20m * 2 < 2",
        "channel = 'web' AND channel = 'pos'",
        "hour IN (24, 25)",
    ],
)
def test_a_rule_that_can_never_hold_is_named(when):
    """Contradictory bounds, impossible values."""
    assert one_rule(when) == ["rule r can never hold"]


@pytest.mark.parametrize(
    "when",
    [
        "amount >= 0",
        "hour < 24",
        "user_count_1d > 0",
        "amount > 5 OR amount <= 5",
        "NOT amount < 0",
    ],
)
def test_a_rule_that_always_holds_is_named(when):
    """What every transaction meets says nothing."""
    assert one_rule(when) == ["rule r holds for every transaction for which it is known"]


@pytest.mark.parametrize(
    "when",
    [
        "amount > 10 AND amount < 50",
        "hour IN (23, 0)",
        "status <> 'approved'",
        "amount = 10 OR amount = 20",
        "NOT (amount > 10 AND amount > 20)",
        "country_is_new AND NOT merchant_is_new",
        "user_amount_z < 0 - 3",
        "amount > user_amount_median AND amount < 2 * user_amount_median",
    ],
)
def test_a_sound_rule_is_left_alone(when):
    """Neither never nor always."""
    assert one_rule(when) == []


def test_hours_and_baseline_are_part_of_what_can_hold():
    """A rule for the night that wants the afternoon never holds."""
    assert one_rule("hour > 12", hours="0-5") == ["rule r can never hold"]
    assert one_rule("user_count < 3", min_baseline="5") == ["rule r can never hold"]


def test_a_feature_that_no_rule_reads_is_named():
    """It costs memory for every entity."""
    text = "features:\n  f: {count: '*', by: user_id, window: 1h}\n"

    assert sentences(text) == ["no rule reads the feature `f`"]


def test_a_list_that_nothing_asks_for_is_named():
    """A list is asked for by a rule or by a feature."""
    asked = (
        "features:\n  f: {count: \"in_list(merchant_id, 'b')\", by: user_id, window: 1h}\n"
        f"rules:\n  - {{id: r, when: f > 3 OR amount > 5, {OTHERS}}}\n"
    )

    assert sentences(f"lists: {{a: [x], b: [y]}}\n{asked}") == ["nothing asks for the list `a`"]


def test_missing_examples_and_messages_are_named():
    """Warnings: the file works."""
    problems = found("rules:\n  - {id: r, when: amount > 3, severity: low, hits: [{amount: 4}]}\n")

    assert [p.sentence for p in problems] == ["rule r has no examples under misses", "rule r has no message"]
    assert {p.level for p in problems} == {WARNING}


def test_a_rule_inside_another_one_is_named():
    """All of its hits are hits of the wider rule, which is as severe."""
    rules = (
        f"rules:\n  - {{id: wide, when: amount > 5, {OTHERS}}}\n"
        f"  - {{id: narrow, when: amount > 5 AND hour > 3, {OTHERS}}}\n"
    )

    assert sentences(rules) == ["every hit of narrow is a hit of wide (line 3), as severe or more"]
    assert sentences(rules.replace("{id: narrow", "{mode: shadow, id: narrow")) == []


WITHIN = [
    ("amount > 5", "amount > 6"),
    ("amount >= 5", "amount > 5 AND hour > 3"),
    ("amount > 5 AND amount < 50", "amount BETWEEN 10 AND 20"),
    ("status IN ('declined', 'reversed')", "status = 'declined'"),
    ("country IN ('DE', 'FR')", "country IN ('FR')"),
    ("status <> 'approved'", "amount > 2 AND status = 'declined'"),
    ("NOT amount < 5", "amount > 6"),
    ("amount > 1 AND merchant_is_new", "merchant_is_new AND amount > 2"),
]


def overlapping(wide: str, narrow: str) -> list[str]:
    """What is said of overlaps of two rules, `w` and `n`."""
    both = (("w", wide), ("n", narrow))
    rules = "".join(f'  - {{id: {name}, when: "{when}", {OTHERS}}}\n' for name, when in both)
    return [sentence for sentence in sentences("rules:\n" + rules) if sentence.startswith("every hit")]


@pytest.mark.parametrize(("wide", "narrow"), WITHIN)
def test_a_rule_inside_another_one_by_its_numbers_or_words_is_named(wide, narrow):
    assert overlapping(wide, narrow) == ["every hit of n is a hit of w (line 3), as severe or more"]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("user_amount_ratio >= 0", "amount > 6 AND hour > 3"),
        ("user_amount_ratio >= 0", "COALESCE(user_amount_ratio, 9) > 3"),
        ("amount > 5 AND country = 'DE'", "amount > 6"),
        ("amount > 5 AND amount < 50", "amount > 10"),
        ("status IN ('declined', 'reversed')", "status <> 'declined'"),
        ("merchant_is_new", "amount > 5 OR merchant_is_new"),
    ],
)
def test_a_rule_that_hits_where_another_does_not_is_no_part_of_it(wide, narrow):
    """Be it for a number, a word, or a column that may be unknown."""
    assert "every hit of n is a hit of w (line 3), as severe or more" not in overlapping(wide, narrow)


def test_no_rule_that_can_never_hold_is_part_of_another():
    assert overlapping("amount > 5", "amount > 5 AND amount < 4") == []


def test_an_example_that_does_not_do_what_it_says_is_an_error_and_says_why():
    """The usual cause is a column that the example leaves unknown."""
    rule = "rules:\n  - {id: r, when: lat > 3, severity: low, message: m, "
    [miss] = found(rule + "hits: [{lat: 4}], misses: [{lat: 5}]}\n")
    [hit] = found(rule + "hits: [{amount: 4}], misses: [{lat: 1}]}\n")

    assert (miss.level, miss.sentence) == (ERROR, "rule r holds for this example of a miss")
    assert (hit.sentence, hit.suggestion) == (
        "rule r does not hold for this example of a hit",
        "unknown in it: lat",
    )


def test_a_message_may_not_show_what_may_name_persons():
    """In the rest of what a producer sent, ids could not be told from other text."""
    text = "rules:\n  - {id: r, when: amount > 3, severity: low, message: 'sent {extra}'}\n"
    sentence = "a message may not show `extra`: it may name persons"

    assert [problem.sentence for problem in found(text) if problem.level == ERROR] == [sentence]


@pytest.mark.parametrize(
    ("example", "sentence"),
    [
        ("{amuont: 4}", "unknown column `amuont`"),
        ("{amount: four}", "`amount` is a number"),
        ("{amount: null}", "`amount` is never null"),
        ("{country: 49}", "`country` is text"),
        ("{country_is_new: 1}", "`country_is_new` is true or false"),
        ("{status: refused}", "`status` is one of approved, declined, reversed"),
        ("{timestamp: 2025-01-01}", "an example starts at noon"),
        ("[{amount: 9}, {amount: 9, after: soon}]", "`after` is a time since the step before, such as 30s"),
        ("[]", "an example has at least one transaction"),
    ],
)
def test_an_example_that_cannot_be_read_is_an_error_at_its_place(example, sentence):
    """Unknown columns, wrong kinds."""
    text = (
        "rules:\n  - id: r\n    when: amount > 3\n    severity: low\n    message: m\n"
        f"    misses: [{{amount: 1}}]\n    hits:\n      - {example}\n"
    )
    [problem] = found(text)

    assert (problem.level, problem.line, problem.sentence) == (ERROR, 9, sentence)


def test_a_story_is_told_in_event_time():
    """`after` moves the clock: five within ten minutes hit, five within an hour do not."""
    story = "[{}, {after: %s}, {after: %s}]"
    text = (
        "features:\n  n: {count: '*', by: user_id, window: 10m}\n"
        "rules:\n  - {id: r, when: n >= 3, severity: low, message: m, "
        f"hits: [{story % ('1m', '1m')}], misses: [{story % ('8m', '8m')}]}}\n"
    )

    assert sentences(text) == []


def test_every_check_says_what_it_warns_of():
    """The list of checks is the documentation's list."""
    assert len({check.__name__ for check in CHECKS}) == len(CHECKS)
    assert all(check.__doc__ for check in CHECKS)


def test_the_schema_knows_every_section_and_every_key_of_a_rule():
    """Editors complete from it; made from the structs that the loader checks against."""
    schema = json_schema({"severity": dict[str, float]})

    assert set(schema["properties"]) == set(SECTIONS)
    assert set(schema["$defs"]["RuleSpec"]["properties"]) == set(RuleSpec.__struct_fields__)
    assert schema["$defs"]["RuleSpec"]["additionalProperties"] is False
    assert schema["properties"]["severity"]["additionalProperties"] == {"type": "number"}


def test_the_sections_of_detectors_and_severity_are_checked_too():
    """Against the structs that the detectors read; an unknown key is an error with its line."""
    problems = found("detectors:\n  budget_per_day: many\n  user_amuont: {}\n")

    assert [(p.line, p.sentence, p.suggestion) for p in problems] == [
        (3, "expected a number, got text", ""),
        (4, "unknown key `user_amuont`", "did you mean `user_amount`?"),
    ]


@pytest.mark.parametrize(
    ("when", "word"),
    [("status = 'declind' OR amount > 9", "declind"), ("status IN ('declined', 'no') AND amount > 9", "no")],
)
def test_a_word_that_a_column_never_has_is_named_at_its_place(when, word):
    """In rules and in features, with the one that was meant."""
    (told,) = one_rule(when)

    assert told == f"`status` is never '{word}', only approved, declined, reversed"


def test_a_rule_for_a_word_that_never_comes_can_never_hold():
    assert sorted(one_rule("status = 'denied'")) == [
        "`status` is never 'denied', only approved, declined, reversed",
        "rule r can never hold",
    ]


def test_a_feature_that_counts_a_word_that_never_comes_is_named():
    text = f"""\
features:
  refused: {{count: "amount > 5", where: status = 'decline', by: user_id, window: 10m}}
rules:
  - {{id: r, when: refused > 2, {OTHERS.replace("[{amount: 9}]", "[{refused: 3}]")}}}
"""
    (problem,) = found(text)

    assert (problem.line, problem.suggestion) == (3, "did you mean `declined`?")


@pytest.mark.parametrize(
    ("when", "advice"),
    [
        ("amount > 3 && hour < 4", "write AND"),
        ("amount > 3 || hour < 4", "write OR"),
        ("amount > 3 ADN hour < 4", "did you mean `AND`?"),
        ("amount > 1,000", "write numbers without commas"),
        ("user_amount_ratio > 300% AND hour < 4", "write 0.5 for 50 %"),
        ("merchant_id IN_LIST('watch')", "write in_list(merchant_id, 'watch')"),
    ],
)
def test_words_of_other_languages_get_advice(when, advice):
    told = found(f'rules:\n  - {{id: r, when: "{when}", severity: low}}\n')

    assert [each for each in told if advice in each.suggestion]


def test_what_only_follows_from_a_fault_is_not_told():
    """Neither that nothing reads the feature of a refused rule, nor that examples lack a refused feature."""
    feature = "features:\n  f: {count: '*', by: user_id, window: WINDOW}\n"
    rule = "rules:\n  - {id: r, when: COLUMN > 2 AND f > 2, severity: low, message: m, hits: [{f: 3}]}\n"

    refused_rule = found(feature.replace("WINDOW", "10m") + rule.replace("COLUMN", "amont"))
    refused_feature = found(feature.replace("WINDOW", "10min") + rule.replace("COLUMN", "amount"))

    assert [each.sentence for each in refused_rule] == ["unknown column `amont`"]
    assert [each.sentence.partition(";")[0] for each in refused_feature] == [
        "`10min` is no window",
        "rule r has no examples under misses",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("rules:\n  - id: r\n   when: amount > 3\n", "this does not fit the lines before"),
        ("rules:\n  - id: r\n\twhen: amount > 3\n", "a tab stands here"),
        ("lists: watch: [a]\n", "a second `key: value` in one line, or a wrong indent"),
    ],
)
def test_faults_of_yaml_are_told_without_a_parsers_words(text, sentence):
    assert sentences(text) == [sentence]


def test_a_detector_that_does_not_exist_cannot_be_switched_off_or_weighted():
    off = found("detectors: {off: [user_amout]}\n")
    weighted = found("severity: {weights: {travell: 2}}\n")

    assert [each.suggestion for each in off] == ["did you mean `user_amount`?"]
    assert len(weighted) == 1
