"""What an analyst says of an anomaly is kept, audited, shown, and goes out as a labels file."""

from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from detectors.labels import read_frauds
from txwatch.cli import app
from txwatch.errors import TxwatchError
from txwatch.model import Anomaly, AnomalyType, Severity
from txwatch.settings import current_settings
from txwatch.workplace import open_workplace

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def found(number: int) -> Anomaly:
    return Anomaly(
        anomaly_id=f"a{number}",
        kind="transaction",
        type=AnomalyType.AMOUNT,
        timestamp=NOON,
        detected_at=NOON,
        severity=Severity.HIGH,
        score=80.0,
        reasons=(),
        entity_kind="user",
        entity_id="u1",
        transaction_id=f"t{number}",
        user_id="u1",
        merchant_id="m1",
        amount=10.0,
        currency="EUR",
    )


@pytest.fixture
def say(tmp_path, monkeypatch):
    """Run a command where two anomalies are stored; errors of ours come out as they are."""
    monkeypatch.setenv("TXWATCH_HOME", str(tmp_path))
    with open_workplace(current_settings(), writer=True) as workplace:
        workplace.store.put_anomalies([found(1), found(2)])

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_the_newest_label_is_shown_and_the_audit_has_both(say):
    """With who gave it."""
    say("anomalies", "label", "a1", "unclear", "--by", "ada")
    say("anomalies", "label", "a1", "fraud", "--by", "grace")

    assert "Labelled fraud by grace" in say("explain", "a1")
    assert "Labelled" not in say("explain", "a2")
    with open_workplace(current_settings(), writer=False) as workplace:
        audited = [(record.actor, record.action) for record in workplace.ledger.audited(0, 10)]
        assert workplace.ledger.verify() is None
    assert audited == [("ada", "anomaly labelled"), ("grace", "anomaly labelled")]


def test_labels_go_out_as_a_file_that_detection_reads(say, tmp_path):
    """Only frauds are frauds in it."""
    say("anomalies", "label", "a1", "fraud", "--by", "ada")
    say("anomalies", "label", "a2", "false-positive", "--by", "ada")
    say("anomalies", "labels", "--output", str(tmp_path / "labels.csv"))

    assert read_frauds(tmp_path / "labels.csv") == {"t1"}
    assert [line.split("\t")[:2] for line in say("anomalies", "labels").splitlines()] == [
        ["t1", "fraud"],
        ["t2", "false-positive"],
    ]


def test_listing_takes_its_filters_as_before(say):
    """The commands beside it are no filters."""
    assert say("anomalies", "--user", "u1", "--limit", "1").count("\n") == 1


def test_an_unknown_anomaly_gets_no_label(say):
    with pytest.raises(TxwatchError, match="there is no anomaly a9; `txwatch anomalies` lists them"):
        say("anomalies", "label", "a9", "fraud")


def test_a_folder_that_is_not_there_is_a_sentence(say, tmp_path):
    with pytest.raises(TxwatchError, match=r"cannot write the labels .*: No such file"):
        say("anomalies", "labels", "--output", str(tmp_path / "none" / "labels.csv"))
