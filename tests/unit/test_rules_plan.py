"""A plan says what an edit means, and what it would have found, as detection itself finds it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from rules_bench import TWO, two_days

from detectors.configuration import drafted, known_configuration
from detectors.detection import Detection
from detectors.planning.differing import changed_rules, differences
from detectors.planning.figures import figures_of
from detectors.planning.told import told_figures
from detectors.planning.trial import Found, Trial, tried
from txwatch.coverage import Tally
from txwatch.model import Severity, Verdict

PATH = Path("rules.yaml")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def said(before: str, after: str) -> list[str]:
    old, new = (drafted(PATH, text.encode()) for text in (before, after))
    return [f"{each.sign} {each.what}: {each.sentence}" for each in differences(old, new)]


@pytest.mark.parametrize(
    ("edit", "sentences"),
    [
        (("# nothing", ""), []),
        (("amount > 300", "amount > 200"), ["~ rule large: when: amount > 300 -> amount > 200"]),
        (("severity: medium", "severity: low"), ["~ rule often: severity: medium -> low"]),
        (
            ("by: user_id, window: 1h", "by: user_id, window: 2h"),
            [
                (
                    "~ feature payments_1h: count by user_id in 1h -> count by user_id in 2h; "
                    "it begins empty and is whole after 2h"
                )
            ],
        ),
        (
            ("payments_1h", "payments"),
            [
                "+ feature payments: what it knows under another name is kept",
                "- feature payments_1h: ",
                "~ rule often: when: payments_1h > 2 -> payments > 2",
                "~ rule often: message: {payments_1h} payments -> {payments} payments",
            ],
        ),
        (("threshold: 100", "threshold: 90"), ["~ detectors.threshold: 100 -> 90"]),
        (("  threshold: 100\n", ""), ["~ detectors.threshold: 100 -> as shipped"]),
        (("id: often, when: payments_1h > 2", "id: often, hours: 1-5, when: payments_1h > 2"),
         ["~ rule often: hours: None -> 1-5"]),
    ],
)  # fmt: skip
def test_a_difference_is_said_in_the_words_of_the_file(edit, sentences):
    assert said(TWO, TWO.replace(*edit)) == sentences


def test_rules_that_come_go_or_read_what_changed_are_the_changed_ones():
    """A rule whose feature has another window detects otherwise, though its own words are the same."""
    more = TWO.replace("detectors:", "  - {id: more, when: amount > 900, severity: low}\ndetectors:")
    wider = TWO.replace("by: user_id, window: 1h", "by: user_id, window: 2h")
    old = drafted(PATH, TWO.encode())

    assert changed_rules(old, drafted(PATH, more.encode())) == ["more"]
    assert changed_rules(old, drafted(PATH, wider.encode())) == ["often"]


@pytest.fixture(scope="module")
def rows():
    return two_days().with_columns(arrival=pl.int_range(pl.len(), dtype=pl.Int64))


def test_a_trial_finds_what_detection_finds(rows):
    """With the ids that anomalies have, so that labels fit; what lies before the days only warms up."""
    texts = TWO, TWO.replace("amount > 300", "amount > 150")
    before, after = (known_configuration(PATH, text.encode()) for text in texts)
    until = rows["timestamp"].max()
    since = until - timedelta(days=1)
    trial = tried([rows[:700], rows[700:]], before, after, since, until, batch=500)
    alone = Detection.fresh(after).step(rows, lambda: NOON)

    wanted = {each.anomaly_id for each in alone.anomalies if each.timestamp >= since and each.rules}
    assert {key for key, found in trial.after.items() if found.rules} == wanted
    assert {key for key, found in trial.before.items() if "large" in found.rules} < wanted
    assert trial.transactions == rows.filter(pl.col("timestamp") >= since).height
    assert trial.anew == ()


def test_a_trial_counts_what_a_rule_in_shadow_would_hit(rows):
    """As many as it would find if it were live, from the moment on that counts; it finds nothing itself."""
    shadow = TWO.replace(
        "rules:\n", "rules:\n  - {id: mid, when: amount > 150, severity: high, mode: shadow}\n"
    )
    before, after = (known_configuration(PATH, text.encode()) for text in (TWO, shadow))
    since = rows["timestamp"].max() - timedelta(days=1)

    trial = tried([rows], before, after, since, NOON, batch=500)

    large = rows.filter(pl.col("timestamp") >= since, pl.col("amount") > 150)
    also = rows.filter(pl.col("timestamp") >= since, pl.col("amount") > 300)
    assert trial.after == trial.before
    assert trial.shadow["mid"].hits == large.height
    assert also.height <= trial.shadow["mid"].known < large.height


def test_a_trial_of_a_flood_ends_early(rows):
    """Nobody has to wait for millions of anomalies to know that they are too many."""
    many = pl.concat([rows.with_columns(source=pl.lit(f"s{n}")) for n in range(12)])
    many = many.with_columns(transaction_id=pl.col("source") + pl.col("transaction_id"))
    flood = TWO.replace("amount > 300", "amount > 0").replace("payments_1h > 2", "payments_1h > 900")
    calm = flood.replace("amount > 0", "amount > 1e9")
    before, after = (known_configuration(PATH, text.encode()) for text in (calm, flood))
    trial = tried([many], before, after, rows["timestamp"].min(), NOON, batch=1000)

    assert trial.ended_early
    assert len(trial.after) < many.height


def found(hour: int, severity: Severity, *rules: str, only_rules: bool = True) -> Found:
    return Found(
        at=NOON + timedelta(hours=hour),
        severity=severity,
        rules=rules,
        only_rules=only_rules,
        who="user u",
        sentence="odd",
    )


@pytest.fixture
def figures():
    """Two that both find, one of them higher after; one lost; three new, two of them in one hour."""
    trial = Trial(since=NOON, until=NOON + timedelta(days=1), transactions=100)
    trial.before = {
        "same": found(0, Severity.HIGH, "a"),
        "higher": found(1, Severity.LOW, "a"),
        "lost": found(13, Severity.CRITICAL, "b"),
    }
    trial.after = {
        "same": found(0, Severity.HIGH, "a", "c"),
        "higher": found(1, Severity.HIGH, "c", only_rules=False),
        "new-1": found(14, Severity.HIGH, "c"),
        "new-2": found(14, Severity.HIGH, "c"),
        "new-3": found(14, Severity.LOW, "d"),
    }
    labels = {"new-1": Verdict.FRAUD, "new-3": Verdict.FALSE_POSITIVE, "lost": Verdict.UNCLEAR}
    return figures_of(trial, ["c"], Severity.HIGH, labels)


def test_new_lost_and_unchanged_are_counted_by_day_and_severity(figures):
    counts = {each.name: (each.new, each.lost, each.unchanged) for each in figures.by_day}

    assert counts == {"2026-03-02": (0, 0, 2), "2026-03-03": (3, 1, 0)}
    assert [each.name for each in figures.by_severity] == ["critical", "high", "low"]
    assert (figures.alerts.before, figures.alerts.after, figures.alerts.new) == (2, 4, 3)
    assert figures.regraded == 1


def test_the_busiest_hour_is_that_of_alerts_after_the_change(figures):
    assert (figures.busiest.start, figures.busiest.after) == (NOON + timedelta(hours=14), 2)


def test_a_changed_rule_is_held_against_what_else_speaks(figures):
    (rule,) = figures.overlaps

    assert (rule.hits, rule.found_before, rule.alone) == (4, 2, 2)
    assert rule.other_rules == {"a": 1}


def test_precision_is_of_the_labelled_and_the_others_are_counted(figures):
    """Unclear is no label to count by."""
    assert (figures.labelled_new.fraud, figures.labelled_new.not_fraud) == (1, 1)
    assert figures.labelled_new.unlabelled == 1
    assert figures.labelled_lost.unlabelled == 1
    assert any("precision 0.50 of the 2 labelled, 1 unlabelled" in line for line in told_figures(figures))


def test_the_figures_name_every_rule_in_shadow():
    """One that hits nothing too."""
    trial = Trial(since=NOON, until=NOON + timedelta(days=1), transactions=100)
    trial.shadow = {"mid": Tally(hits=7, known=2)}

    lines = list(told_figures(figures_of(trial, [], Severity.HIGH, {}, ["mid", "never"])))

    assert "  rule mid, in shadow: 7 hits, 2 of them anomalies without it; nobody is told of it" in lines
    assert "  rule never, in shadow: 0 hits, 0 of them anomalies without it; nobody is told of it" in lines
