"""`timestamp,value` files in and out."""

import csv

import numpy as np
import polars as pl
import pytest

from detectors.series.offline import score_frame, score_series
from txwatch.errors import InputError, TxwatchError

HEADER = "timestamp,value\n"


@pytest.fixture
def series(tmp_path):
    """A file of 300 rows with a spike in row 250, times as NAB writes them."""
    path = tmp_path / "in.csv"
    values = np.random.default_rng(1).normal(10, 1, 300)
    values[250] = 40
    rows = [
        f"2024-01-0{1 + i // 288} {i % 288 // 12:02}:{i % 12 * 5:02}:00,{v!r}"
        for i, v in enumerate(values.tolist())
    ]
    path.write_text(HEADER + "\n".join(rows) + "\n")
    return path


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_and_texts_come_out_as_they_went_in(series, tmp_path):
    """Same rows, same order, the same text of time and value, a score of 0 to 1 beside."""
    output = tmp_path / "out.csv"

    summary = score_series(series, output)

    before, after = read(series), read(output)
    assert [(r["timestamp"], r["value"]) for r in after] == [(r["timestamp"], r["value"]) for r in before]
    scores = [float(r["anomaly_score"]) for r in after]
    assert all(0 <= s <= 1 for s in scores)
    assert scores.index(max(scores)) == 250
    assert (summary.rows, summary.interval_seconds, summary.missing) == (300, 300.0, 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("time,value\n1,2\n", "line 1: the header must name the columns timestamp and value"),
        ("", "line 1: the header must name"),
        (HEADER + "2024-01-01,1\nyesterday,2\n", "line 3: 'yesterday' is not a time"),
        (HEADER + "2024-01-01,1\n2024-01-02,two\n", "line 3: 'two' is not a number"),
        (HEADER + "2024-01-01,1,9\n", "line 2: 3 cells where the header has 2"),
        (HEADER + "2024-01-01,1\n\n2024-01-02,x\n", "line 4: 'x' is not a number"),
        (HEADER + "nan,1\n", "line 2: 'nan' is not a time"),
        (HEADER + "1e300,1\n", "line 2"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence_with_its_line(tmp_path, text, sentence):
    """The sentence names file and line, and nothing is written."""
    path, output = tmp_path / "bad.csv", tmp_path / "out.csv"
    path.write_text(text)

    with pytest.raises(InputError) as raised:
        score_series(path, output)

    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_read_is_said(tmp_path):
    """A missing file, a folder and bytes that are no text each give a sentence."""
    binary = tmp_path / "b.csv"
    binary.write_bytes(b"timestamp,value\n\xff\xfe,1\n")

    for path in (tmp_path / "none.csv", tmp_path, binary):
        with pytest.raises(InputError, match=r"cannot be read|not a CSV file"):
            score_series(path, tmp_path / "out.csv")


def test_an_output_that_cannot_be_written_leaves_nothing(series, tmp_path):
    """A folder that is not there is an error, not a traceback of the system."""
    with pytest.raises(TxwatchError, match="cannot be written"):
        score_series(series, tmp_path / "no" / "out.csv")


def test_an_older_output_stays_when_the_input_is_bad(tmp_path):
    """The output is replaced whole or not at all."""
    path, output = tmp_path / "bad.csv", tmp_path / "out.csv"
    path.write_text(HEADER + "2024-01-01,x\n")
    output.write_text("yesterday's result")

    with pytest.raises(InputError):
        score_series(path, output)

    assert output.read_text() == "yesterday's result"


@pytest.mark.parametrize(
    "time",
    ["2024-01-01T00:00:00Z", "2024-01-01 01:00:00+01:00", "2024-01-01", "1704067200", "1704067200000"],
)
def test_times_are_read_as_people_write_them(tmp_path, time):
    """RFC 3339, with an offset, a date, epoch seconds, epoch milliseconds."""
    path, output = tmp_path / "in.csv", tmp_path / "out.csv"
    path.write_text(f"{HEADER}{time},1\n{time},\n{time},NaN\n")

    summary = score_series(path, output)

    assert [row["timestamp"] for row in read(output)] == [time] * 3
    assert summary.missing == 2


def test_further_columns_are_never_read(series, tmp_path):
    """A label in the file changes nothing."""
    labelled, plain, output = (tmp_path / name for name in ("labelled.csv", "plain.csv", "out.csv"))
    rows = read(series)
    labelled.write_text(
        "label,timestamp,value\n" + "".join(f"1,{r['timestamp']},{r['value']}\n" for r in rows)
    )

    score_series(series, plain)
    score_series(labelled, output)

    assert output.read_bytes() == plain.read_bytes()


def test_a_wide_frame_gives_the_scores_of_its_columns(series, tmp_path):
    """Frame and file agree to what the file shows."""
    output = tmp_path / "out.csv"
    score_series(series, output)
    frame = pl.read_csv(series, try_parse_dates=True).rename({"value": "a"})

    wide = score_frame(frame.with_columns(b=pl.col("a") * 2))

    file = np.array([float(row["anomaly_score"]) for row in read(output)])
    np.testing.assert_allclose(wide["a"].to_numpy(), file, atol=1e-6)
    assert wide.columns == ["a", "b"]
