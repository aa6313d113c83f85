"""A backtest says what was found, by what, how soon, and never shows a label to what detects."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from detectors.backtest.contest import Contender, contest
from detectors.backtest.figures import Plan, figures_of, judge
from detectors.backtest.page import page
from detectors.backtest.reliability import reliability
from detectors.backtest.told import told
from detectors.backtest.truth import read_truth
from detectors.engine import Engine
from detectors.ordinary import stream
from detectors.settings import DetectionSettings
from detectors.severity import score_at
from txwatch.errors import InputError

ROWS = 4000
BAD = (3000, 3300, 3600, 3900)
"""Rows with an amount far beyond everybody's; the last two are one episode."""
PLAN = Plan(budgets=(1, 5), draws=20)


@pytest.fixture(scope="module")
def frame():
    """Twenty days of payments."""
    times = [datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=7.2 * i) for i in range(ROWS)]
    is_bad = pl.int_range(pl.len()).is_in(BAD)
    return stream(ROWS).with_columns(
        amount=pl.when(is_bad).then(99_999.0).otherwise("amount"),
        timestamp=pl.Series(times, dtype=pl.Datetime("ms", "UTC")),
    )


@pytest.fixture
def labels(tmp_path, frame):
    path = tmp_path / "labels.csv"
    ids = [frame["transaction_id"][row] for row in BAD]
    pl.DataFrame(
        {"transaction_id": ids, "kind": ["large", "large", "run", "run"], "episode": [4, 7, 9, 9]}
    ).write_csv(path)
    return path


def outcomes(frame: pl.DataFrame, *settings: DetectionSettings):
    contenders = [Contender(name=f"c{k}", engine=Engine(each)) for k, each in enumerate(settings)]
    return contest([frame], contenders, 500)


def figures(frame, labels, *settings, leave_out=(), plan=PLAN):
    return figures_of(judge(outcomes(frame, *settings), read_truth(labels, leave_out), plan), plan)


def test_planted_frauds_are_found_at_once_and_by_the_right_hypothesis(frame, labels):
    (found,) = figures(frame, labels, DetectionSettings(budget_per_day=2.0))

    assert found.frauds == 4
    assert found.average_precision == pytest.approx(1.0)
    assert found.recall == 1.0
    assert (found.delay.episodes, found.delay.found, found.delay.median_hours) == (3, 3, 0.0)
    assert [at.recall for at in found.budgets] == [1.0, 1.0]
    assert sum(part.alerts for part in found.by_detector) == found.own.alerts
    assert sum(part.alerts for part in found.by_severity) == found.own.alerts


def test_bands_of_probability_hold_every_payment_once(frame, labels):
    """Each band's mean lies within it; their shares of frauds add up to the frauds."""
    (found,) = figures(frame, labels, DetectionSettings())

    assert sum(band.payments for band in found.reliability) == found.payments
    assert all(band.low <= band.said <= band.high for band in found.reliability)
    assert sum(band.payments * band.was for band in found.reliability) == pytest.approx(found.frauds)


def test_a_probability_stands_in_one_band():
    """The lower edge belongs to a band, the upper one to the next; certainty to the last."""
    score = np.array([score_at(0.5), score_at(0.4999), 100.0])
    found = reliability(score, np.array([True, False, True]))

    assert [(band.low, band.payments, band.was) for band in found] == [
        (0.3, 1, 0.0),
        (0.5, 1, 1.0),
        (0.99, 1, 1.0),
    ]


def test_a_challenger_that_is_blind_loses(frame, labels):
    sees = DetectionSettings(budget_per_day=2.0)
    blind = DetectionSettings(budget_per_day=2.0, off=("amount_tail", "user_amount", "merchant_amount"))
    champion, challenger = figures(frame, labels, sees, blind)

    assert challenger.average_precision < champion.average_precision
    assert challenger.better_than_champion == 0.0


def test_skipped_days_and_kinds_that_are_left_out_do_not_count(frame, labels):
    plan = Plan(budgets=(5,), skip_days=16, draws=0)
    (found,) = figures(frame, labels, DetectionSettings(), leave_out=("large",), plan=plan)

    assert (found.days, found.frauds, found.spread) == (4, 2, None)


def test_alerts_of_kinds_that_are_left_out_are_told_apart(frame, labels):
    """Else the precision beside alerts and right ones is of other numbers than those."""
    (found,) = figures(frame, labels, DetectionSettings(), leave_out=("large",))

    own = found.own
    assert own.left_out > 0
    assert own.precision == own.right / (own.alerts - own.left_out)
    assert any("left out" in line for line in told([found]))


def test_labels_change_no_score(frame, labels):
    """The same stream, judged by other labels: the scores are those of a plain engine."""
    (outcome,) = outcomes(frame, DetectionSettings())
    alone = Engine(DetectionSettings())
    scores = np.concatenate([alone.step(part).score for part in frame.iter_slices(333)])

    assert np.array_equal(outcome.score, scores)


def test_labels_of_other_transactions_are_a_sentence(frame, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("transaction_id\nnobody\n")

    with pytest.raises(InputError, match=r"none of the 4,000 payments that count is a fraud"):
        figures(frame, path, DetectionSettings())


def test_an_unknown_kind_to_leave_out_is_a_sentence(labels):
    with pytest.raises(InputError, match=r"no frauds of kind 'small'; it has large, run"):
        read_truth(labels, ("small",))


def test_text_and_page_show_every_contender(frame, labels):
    """Names are text in the page, never markup."""
    judged = judge(outcomes(frame, DetectionSettings(), DetectionSettings()), read_truth(labels, ()), PLAN)
    found = figures_of(judged, PLAN)
    html = page("<script>", found, judged)

    assert html.count("<svg") == 3
    assert html.count("<polyline") == 6
    assert "<script>" not in html
    verdict = "c1 against c0: average precision +0.000"
    assert verdict in html
    assert any(line.startswith(verdict) for line in told(found))
