"""`txwatch backtest` on a small file: both forms of output, and the run with labels as feedback beside it."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from detectors.ordinary import stream
from txwatch.cli import app


@pytest.fixture
def files(tmp_path):
    """Ten days of payments, three of them far beyond everybody's."""
    is_bad = pl.int_range(pl.len()).is_in([1200, 1300, 1400])
    frame = stream(1500).with_columns(amount=pl.when(is_bad).then(99_999.0).otherwise("amount"))
    frame.drop("extra").write_parquet(tmp_path / "payments.parquet")
    frame.filter(is_bad).select("transaction_id").write_csv(tmp_path / "labels.csv")
    return [str(tmp_path / "payments.parquet"), "--labels", str(tmp_path / "labels.csv")]


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["backtest", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_program_reads_one_object_a_contender(files, tmp_path):
    """The second has the labels as feedback; the page is written beside."""
    page = tmp_path / "page.html"
    lines = said(*files, "--label-delay", "2d", "--draws", "5", "--json", "--html", str(page)).splitlines()
    without, taught = map(json.loads, lines)

    assert without["average_precision"] == 1.0
    assert without["frauds"] == 3
    assert taught["name"].endswith("labels 2 days late")
    assert "user_confirmed" not in {part["detector"] for part in without["without"]}
    assert "user_confirmed" in {part["detector"] for part in taught["without"]}
    assert page.read_text().count("<svg") == 3


def test_a_person_reads_lines(files):
    text = said(*files, "--budget", "3", "--draws", "5")

    assert "average precision 1.000" in text
    assert "alerts a day           precision  recall" in text
