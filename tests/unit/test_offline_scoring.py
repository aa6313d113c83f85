"""Scoring files: one line a transaction, whole or not at all."""

import json

import polars as pl
import pytest

from detectors.engine import Engine
from detectors.offline import JsonLines, Parquet, score
from detectors.ordinary import stream
from detectors.settings import DetectionSettings
from txwatch.errors import StoreError


@pytest.fixture(scope="module")
def frame():
    frame = stream(3000)
    spike = pl.int_range(pl.len()) == 2900
    twice = pl.when(pl.int_range(pl.len()) == 2950).then(pl.lit("t2949")).otherwise("transaction_id")
    return frame.with_columns(amount=pl.when(spike).then(99_999.0).otherwise("amount"), transaction_id=twice)


def engine() -> Engine:
    return Engine(DetectionSettings(budget_per_day=2.0))


def write_all(frames: list[pl.DataFrame], output, made: Engine) -> None:
    with output:
        for batch, scored in score(frames, made, 1000):
            output.write(batch, scored)


def test_json_lines_hold_every_transaction_with_its_reasons(frame, tmp_path):
    path, made = tmp_path / "out.jsonl", engine()
    with JsonLines(path, made) as output:
        for batch, scored in score([frame[:1700], frame[1700:]], made, micro_batch=300):
            output.write(batch, scored)

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["transaction_id"] for line in lines] == frame["transaction_id"].to_list()
    assert lines[2900]["is_anomaly"]
    assert lines[2900]["severity"] == "critical"
    assert lines[2900]["reasons"][0]["observed"] == 99_999.0
    assert lines[2900]["detectors"]["amount_tail"] > 0
    assert lines[0] == {
        "transaction_id": "t0",
        "score": lines[0]["score"],
        "severity": None,
        "is_anomaly": False,
        "reasons": [],
        "detectors": {},
    }


def test_parquet_holds_scores_and_severities(frame, tmp_path):
    path = tmp_path / "out.parquet"
    write_all([frame], Parquet(path), engine())

    written = pl.read_parquet(path)
    assert written.columns == ["transaction_id", "score", "severity"]
    assert written.height == frame.height
    assert written["severity"][2900] == "critical"
    assert written["severity"][0] is None


def test_nothing_appears_when_scoring_fails(frame, tmp_path):
    """Neither the output nor a part of it, and an older output stays."""
    path = tmp_path / "out.parquet"
    path.write_text("older")
    broken = frame[:10].drop("amount")
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        write_all([frame[:10], broken], Parquet(path), engine())

    assert [p.name for p in tmp_path.iterdir()] == ["out.parquet"]
    assert path.read_text() == "older"


def test_a_full_disk_is_a_sentence(frame, tmp_path):
    """The partial file is made to be /dev/full, which takes nothing."""
    (tmp_path / ".out.jsonl.partial").symlink_to("/dev/full")
    made = engine()
    with pytest.raises(StoreError, match="No space left"):
        write_all([frame] * 3, JsonLines(tmp_path / "out.jsonl", made), made)

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(StoreError, match="No such file"), Parquet(tmp_path / "none" / "out.parquet"):
        pass
