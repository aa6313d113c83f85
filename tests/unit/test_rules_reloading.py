"""An edited rules file reaches running detectors between two batches, or is refused for everybody to see."""

from datetime import timedelta
from pathlib import Path

import pytest
from rules_bench import TWO, Bench, two_days

from detectors.reloading import RulesService
from txwatch.errors import ConfigurationError
from txwatch.ports import AnomalyQuery
from txwatch.testing import AtOnce

SHIPPED = (Path(__file__).parents[2] / "rules.yaml").read_text()


@pytest.fixture(scope="module")
def rows():
    return two_days()


@pytest.fixture
def bench(tmp_path, rows):
    made = Bench(tmp_path, rows)
    yield made
    made.ledger.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, rows):
    """What is found when nobody edits anything."""
    made = Bench(tmp_path_factory.mktemp("undisturbed"), rows)
    made.score()
    found = made.found()
    made.ledger.close()
    return found


def hits(found: dict[str, list[str]], rule: str) -> set[str]:
    return {anomaly for anomaly, rules in found.items() if rule in rules}


def test_an_edited_threshold_counts_from_the_next_batch_on_and_touches_nothing_else(bench, undisturbed):
    """The other rule, whose window reaches over the change, finds what it would have found."""
    bench.score(steps=5)
    before = hits(bench.found(), "large")
    bench.edit(TWO.replace("amount > 300", "amount > 100"))
    bench.score()

    after = bench.found()
    assert before <= hits(undisturbed, "large") < hits(after, "large")
    assert hits(after, "often") == hits(undisturbed, "often")


def test_edited_back_everything_is_as_it_was(bench, undisturbed):
    """When nothing was scored under the other rules in between."""
    bench.score(steps=5)
    bench.edit(TWO.replace("amount > 300", "amount > 100").replace("payments_1h > 2", "payments_1h > 9"))
    bench.edit(TWO)
    bench.score()

    assert bench.found() == undisturbed
    assert [each.number for each in bench.ledger.rules().newest()] == [3, 2, 1]


def test_a_rule_that_is_switched_off_or_removed_stops_at_once(bench):
    bench.score(steps=5)
    before = hits(bench.found(), "often")
    bench.edit(TWO.replace("id: often,", "id: often, mode: off,").replace("mode: off", 'mode: "off"'))
    bench.score()

    assert before
    assert hits(bench.found(), "often") == before


def test_a_feature_that_is_defined_otherwise_begins_anew_and_is_named(bench):
    bench.score(steps=5)
    bench.edit(TWO.replace("by: user_id, window: 1h", "by: user_id, window: 2h"))

    assert "beginning anew: payments_1h" in bench.rules.health().sentence


def test_a_feature_by_another_name_goes_on(bench, undisturbed):
    """What counts is what it is, not what it is called."""
    bench.score(steps=5)
    bench.edit(TWO.replace("payments_1h", "payments"))
    bench.score()

    assert "anew" not in bench.rules.health().sentence
    assert hits(bench.found(), "often") == hits(undisturbed, "often")


def test_thresholds_and_severities_of_detectors_are_taken_too(bench):
    """With their memory: calibration and baselines go on."""
    bench.score(steps=5)
    before = set(bench.found())
    bench.edit(TWO.replace("threshold: 100", "threshold: 20"))
    bench.score()

    assert "anew" not in bench.rules.health().sentence
    assert [rules for anomaly, rules in bench.found().items() if not rules and anomaly not in before]


def test_a_refused_file_changes_nothing_and_everybody_is_told_once(bench, undisturbed):
    """By the health, the audit, and an anomaly in the queue of what is told."""
    bench.score(steps=5)
    bench.edit(TWO.replace("amount > 300", "amont > 300"))
    bench.look()
    health = bench.rules.health()
    bench.score()

    assert bench.found() == undisturbed
    assert (health.state, health.figures["refused"]) == ("degraded", 1.0)
    assert bench.actions() == ["rules in use", "rules refused"]
    (told,) = bench.told()
    assert told.startswith("the edited rules are refused, ")


def test_a_mended_file_is_taken_and_the_health_recovers(bench):
    bench.edit("version: [")
    broken = bench.rules.health().state
    bench.edit(TWO.replace("300", "400"))

    assert (broken, bench.rules.health().state) == ("degraded", "ok")
    assert bench.rules.health().figures == {"pending": 0.0, "refused": 0.0, "changes_total": 1.0}


@pytest.mark.parametrize("text", ["", "version: 1\nrules: []\n# and more", "- list"])
def test_an_empty_or_odd_file_never_stops_detection(bench, text):
    bench.edit(text)
    bench.score(steps=2)

    assert bench.rules.health().state in {"ok", "degraded"}


def test_a_file_that_is_gone_is_refused(bench):
    bench.path.unlink()
    bench.look()

    assert "is empty, or cannot be read" in bench.rules.health().sentence


def test_comments_make_no_version(bench):
    bench.edit(TWO + "# asked for by ada\n")

    assert len(bench.ledger.rules().newest()) == 1
    assert bench.rules.health().figures["pending"] == 0.0


def test_a_half_written_file_is_not_taken(bench):
    """A content counts when the next look finds the same."""
    bench.path.write_text(TWO[:200])
    bench.clock.advance(timedelta(seconds=1))
    bench.rules.step()
    bench.path.write_text(TWO.replace("300", "400"))
    bench.look()

    assert bench.told() == []
    assert len(bench.ledger.rules().newest()) == 2


def test_a_list_beside_the_file_counts_as_part_of_it(tmp_path, rows):
    """Edited alone, while it runs and while nothing runs; without the guard, which would call it a flood."""
    text = TWO.replace("  threshold: 100", "  threshold: 100\n  guard: {on: false}")
    text = text.replace("rules:\n", "lists:\n  watch: {file: watch.txt}\nrules:\n", 1)
    text = text.replace("when: amount > 300", "when: \"in_list(merchant_id, 'watch')\"")
    (tmp_path / "watch.txt").write_text("nobody\n")
    bench = Bench(tmp_path, rows, text)
    bench.score(steps=2)
    nothing = hits(bench.found(), "large")
    (tmp_path / "watch.txt").write_text("\n".join(rows["merchant_id"].unique()) + "\n")
    bench.look()
    bench.score(steps=2)
    everything = len(hits(bench.found(), "large"))
    bench.detector.close()
    (tmp_path / "watch.txt").write_text("nobody at all\n")
    bench.open()
    bench.score()

    assert (nothing, everything) == (set(), 800)
    assert len(hits(bench.found(), "large")) == 800
    bench.ledger.close()


def test_another_base_currency_is_refused(bench):
    """Every baseline is in the one of before."""
    bench.edit(TWO.replace("base_currency: EUR", "base_currency: USD"))

    assert "base_currency is USD, and every baseline is in EUR" in bench.rules.health().sentence


@pytest.mark.parametrize("steps", [1, 3])
def test_a_crash_after_a_change_is_replayed_to_the_same_anomalies(tmp_path, rows, steps):
    """Rows before the change by the rules of before, rows after it by the others, as the first time."""
    after = TWO.replace("amount > 300", "amount > 100").replace("window: 1h", "window: 2h")
    calm, crashed = (Bench(folder, rows) for folder in folders(tmp_path))
    for bench in (calm, crashed):
        bench.score(steps=4)
        bench.edit(after)
    calm.score()
    crashed.score(steps=steps)
    scored = crashed.detector.health().figures["transactions_total"]
    crashed.open()
    crashed.score()

    assert crashed.found() == calm.found()
    assert crashed.detector.health().figures["replayed_total"] == scored > 4 * 400
    for bench in (calm, crashed):
        bench.ledger.close()


def test_an_edit_while_it_was_down_counts_from_the_first_new_row_on(tmp_path, rows):
    """What was scored before the crash is scored again by the rules of before."""
    bench, same = (Bench(folder, rows) for folder in folders(tmp_path))
    for each in (bench, same):
        each.score(steps=4)
    same.edit(TWO.replace("amount > 300", "amount > 100"))
    same.score()
    bench.path.write_text(TWO.replace("amount > 300", "amount > 100"))
    bench.open()
    bench.score()

    assert bench.found() == same.found()
    for each in (bench, same):
        each.ledger.close()


def test_a_start_with_a_file_that_has_faults_goes_on_with_the_version_in_force(bench, undisturbed):
    """Whoever runs once is stopped instead."""
    bench.score(steps=5)
    bench.detector.close()
    bench.path.write_text("rules: [")
    bench.open()
    bench.score()

    assert bench.found() == undisturbed
    assert len(bench.told()) == 1
    with pytest.raises(ConfigurationError, match="is not in order"):
        RulesService(bench.path, bench.detector, bench.ledger, bench.clock, AtOnce()).catch_up(strictly=True)


def test_every_anomaly_names_the_version_that_made_it(bench):
    bench.score(steps=3)
    bench.edit(TWO.replace("amount > 300", "amount > 100"))
    bench.score(steps=3)

    made = {a.versions["rules"] for a in bench.store.anomalies(AnomalyQuery(limit=None))}
    assert made == {each.version for each in bench.ledger.rules().newest()}


def test_the_shipped_rules_change_under_a_running_detector(tmp_path, rows):
    """All features and detectors of the shipped file go on when one severity changes."""
    bench = Bench(tmp_path, rows, SHIPPED)
    bench.score(steps=3)
    bench.edit(SHIPPED.replace("severity: high", "severity: critical", 1))

    assert "anew" not in bench.rules.health().sentence
    assert bench.rules.health().figures["changes_total"] == 1.0
    bench.ledger.close()


def folders(parent: Path) -> list[Path]:
    made = [parent / "one", parent / "other"]
    for each in made:
        each.mkdir()
    return made
