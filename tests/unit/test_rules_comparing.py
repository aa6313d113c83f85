"""What a change replaced: known where nothing but rules changed, and evaluated beside what is in force."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from rules_bench import TWO, Bench, two_days

from detectors.configuration import known_configuration
from detectors.detection import Detection
from detectors.rules.comparing import former_of, former_over

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PATH = Path("rules.yaml")
MORE = "  - {id: more, when: amount > 900, severity: low, message: m}\ndetectors:"


def configuration(text: str):
    return known_configuration(PATH, text.encode())


def former(text: str):
    return former_of(configuration(TWO).draft, configuration(text).draft)


@pytest.mark.parametrize(
    ("old", "new", "changed", "kept"),
    [
        ("amount > 300", "amount > 200", ("large",), ("large",)),
        ("severity: medium", "severity: high", ("often",), ("often",)),
        ("detectors:", MORE, ("more",), ()),
        ("by: user_id, window: 1h", "by: user_id, window: 2h", ("often",), ()),
        ('message: "{amount} is large"', "message: m, misses: []", ("large",), ("large",)),
        ("  threshold: 100", "  threshold: 100\n  guard: {minutes: 5}", (), ()),
    ],
)
def test_a_change_of_rules_alone_is_known(old, new, changed, kept):
    """A rule whose feature means something else by now cannot be evaluated as it was."""
    found = former(TWO.replace(old, new))

    assert found.changed == changed
    assert tuple(rule.id for rule in found.rules) == kept


@pytest.mark.parametrize(
    "text", [TWO.replace("threshold: 100", "threshold: 90"), TWO + "severity: {high: 80}\n"]
)
def test_what_changes_how_detectors_find_or_grade_cannot_be_compared(text):
    assert former(text) is None


LARGER = TWO.replace("amount > 300", "amount > 200")


@pytest.mark.parametrize(
    ("old", "new", "changed", "kept"),
    [
        ("severity: medium", "severity: high", ["large", "often"], ["amount > 300", "payments_1h > 2"]),
        ("amount > 200", "amount > 100", ["large"], ["amount > 300"]),
        ("amount > 200", "payments_1h > 5", ["large"], ["amount > 300"]),
        ("by: user_id, window: 1h", "by: user_id, window: 2h", ["large", "often"], ["amount > 300"]),
    ],
)
def test_a_change_while_another_is_watched_is_held_against_what_was_before_both(old, new, changed, kept):
    first, second = configuration(LARGER), configuration(LARGER.replace(old, new))

    found = former_over(former(LARGER), first.draft, second.draft)

    assert list(found.changed) == changed
    assert [rule.when for rule in found.rules] == kept


def test_what_an_earlier_change_made_of_a_feature_takes_its_rules_out_of_the_comparison():
    """Whether the rule as it was before both would hit, its windows cannot say any more."""
    counted = TWO.replace("payments_1h > 2", "payments_1h > 3")
    first, second = configuration(counted), configuration(counted.replace("window: 1h", "window: 2h"))

    found = former_over(former(counted), first.draft, second.draft)

    assert (found.changed, found.rules) == (("often",), ())


def test_one_change_that_cannot_be_compared_is_enough():
    """Before or after it."""
    graded = configuration(LARGER.replace("threshold: 100", "threshold: 90"))

    assert former_over(former(LARGER), configuration(LARGER).draft, graded.draft) is None
    assert former_over(None, graded.draft, configuration(LARGER).draft) is None


@pytest.fixture(scope="module")
def rows():
    return two_days().with_columns(arrival=pl.int_range(pl.len(), dtype=pl.Int64))


def test_the_rules_before_are_evaluated_beside_as_they_were(rows):
    """What is found under the change and would not have been before, is what a second detection lacks."""
    long = TWO.replace("threshold: 100", "threshold: 100\n  guard: {minutes: 10000}")
    before, after = configuration(long), configuration(long.replace("amount > 300", "amount > 150"))
    half = rows.height // 2
    old = Detection.fresh(before)
    old.step(rows[:half], lambda: NOON)
    new, _ = Detection.restored(before, old.dump()).changed(after)

    found = new.step(rows[half:], lambda: NOON).anomalies
    known = {each.anomaly_id for each in old.step(rows[half:], lambda: NOON).anomalies}

    brought = [each for each in found if each.anomaly_id not in known]
    assert brought
    assert new.guard.watch.found["all"] == len(brought)


def test_of_two_changes_counts_what_neither_version_before_them_would_have_found(rows):
    """An attack right after the second one is no fault of it."""
    long = TWO.replace("threshold: 100", "threshold: 100\n  guard: {minutes: 10000}")
    texts = [long, long.replace("amount > 300", "amount > 200")]
    texts.append(texts[1].replace("payments_1h > 2", "payments_1h > 1"))
    before, between, after = (configuration(text) for text in texts)
    half = rows.height // 2
    old = Detection.fresh(before)
    old.step(rows[:half], lambda: NOON)
    new, _ = Detection.restored(before, old.dump()).changed(between)
    new, _ = new.changed(after)

    found = new.step(rows[half:], lambda: NOON).anomalies
    known = {each.anomaly_id for each in old.step(rows[half:], lambda: NOON).anomalies}

    brought = [each for each in found if each.anomaly_id not in known]
    assert len(found) > len(brought) > 0
    assert new.guard.watch.trusted == before.version
    assert new.guard.watch.found["all"] == len(brought)


def test_after_a_restart_the_comparison_goes_on(rows):
    """The snapshot has what was replaced; wherever batches are cut, the count is the same."""
    after = configuration(TWO.replace("amount > 300", "amount > 150"))
    whole, _ = Detection.fresh(configuration(TWO)).changed(after)
    parts, _ = Detection.fresh(configuration(TWO)).changed(after)
    whole.step(rows[:600], lambda: NOON)
    for part in rows[:600].iter_slices(250):
        parts = Detection.restored(after, parts.dump())
        parts.step(part, lambda: NOON)

    assert whole.guard.watch.found["all"] > 0
    assert parts.guard.watch == whole.guard.watch


def test_a_rule_quieter_than_its_plan_is_told_and_stays(tmp_path):
    """With a record and a mark; nothing is rolled back."""
    bench = Bench(tmp_path, two_days())
    text = TWO.replace("amount > 300", "amount > 3000").replace(
        "threshold: 100", "threshold: 100\n  guard: {minutes: 60, transactions: 100}"
    )
    wanted = configuration(text)
    bench.ledger.rules().expect(wanted.version, {"all": 0.5, "high": 0.5, "rule large": 0.5})
    bench.edit(text)
    bench.score(steps=6)
    bench.look()

    assert bench.detector.configuration.version == wanted.version
    assert "rule quieter than planned" in bench.actions()
    assert "rule large hit 0 of" in bench.rules.health().sentence
    bench.ledger.close()
