"""`txwatch models` on the ledger of a detector that ran for some simulated days."""

import json

import numpy as np
import pytest
import sklearn
from people_bench import PeopleBench
from rules_bench import simulated
from typer.testing import CliRunner

from txwatch import __version__
from txwatch.cli import app
from txwatch.errors import TxwatchError


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    bench = PeopleBench(folder, simulated(5))
    bench.score()
    bench.detector.close()
    bench.ledger.close()
    return folder


@pytest.fixture
def say(home, monkeypatch):
    """Run a command there; errors of ours come out as they are."""
    monkeypatch.setenv("TXWATCH_HOME", str(home))
    monkeypatch.setenv("TXWATCH_LEDGER", f"sqlite:///{home / 'ledger.db'}")
    monkeypatch.setenv("TXWATCH_RULES", str(home / "rules.yaml"))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["models", *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_models_are_listed_the_newest_first_with_where_they_stand(say):
    lines = say("list").splitlines()

    numbers = [int(line.split()[0]) for line in lines]
    assert numbers == sorted(numbers, reverse=True)
    assert "champion" in say("list")
    assert lines[-1].split()[1] == "retired"
    assert "counts instead" in lines[-1]


def test_one_model_is_shown_with_what_it_learnt_and_did(say):
    shown = say("show", "2")

    assert "payments of 2026-01-" in shown
    assert "held-back payments: isolation of ordinary ones 0." in shown
    assert "not judged yet" in say("show", "1")


def test_a_model_says_its_features_and_by_what_it_was_made(say):
    shown = say("show", "2")

    assert "deviations of user_amount, merchant_amount, amount_tail" in shown
    assert f"txwatch {__version__}, scikit-learn {sklearn.__version__}, numpy {np.__version__}" in shown


def test_json_says_the_same(say):
    listed = [json.loads(line) for line in say("list", "--json").splitlines()]

    assert listed[0] == json.loads(say("show", str(listed[0]["number"]), "--json"))


def test_two_models_are_compared_on_the_same_payments(say):
    found = json.loads(say("compare", "1", "2", "--json"))["comparison"]
    same = json.loads(say("compare", "2", "2", "--json"))["comparison"]

    assert found["payments"] > 256
    assert -1 < found["agreement"] < 1
    assert (same["agreement"], same["shared_percent"]) == (1.0, 1.0)
    assert "their order agrees by" in say("compare", "1", "2")


def test_promote_and_rollback_leave_an_order_with_its_reason(say, home):
    assert "model 1 of forest counts from the detector's next batch on" in say(
        "promote", "1", "--reason", "seen"
    )
    assert "is not replaced before `txwatch models promote`" in say("rollback")


@pytest.mark.parametrize(
    "command", [("show", "99"), ("promote", "99"), ("compare", "1", "99"), ("rollback", "99")]
)
def test_a_model_that_is_not_there_is_one_sentence(say, command):
    with pytest.raises(TxwatchError, match="there is no model 99; `txwatch models list` shows them"):
        say(*command)


def test_who_may_not_change_the_rules_may_order_no_model(say, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)

    with pytest.raises(TxwatchError, match="only who may write"):
        say("promote", "1")


def test_before_the_first_fit_the_list_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("TXWATCH_HOME", str(tmp_path))
    result = CliRunner().invoke(app, ["models", "list"], catch_exceptions=False)

    assert result.exit_code == 0
    assert "no model is fitted yet: the first one takes 2,000 payments" in result.output
