"""An edited alert policy is followed while the notifier runs, or refused for everybody to see."""

from datetime import timedelta

import pytest

from alerts.policy import AlertSettings
from alerts.reloading import PolicyService
from txwatch.errors import ConfigurationError
from txwatch.ledger import Ledger
from txwatch.testing import ManualClock

TEXT = "version: 1\nalerts: {min_severity: high}\n"


class Following:
    """A policy service over a file, and what it followed."""

    def __init__(self, folder):
        self.path = folder / "rules.yaml"
        self.path.write_text(TEXT)
        self.clock = ManualClock()
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", self.clock)
        self.followed: list[str] = []
        used = AlertSettings(min_severity="high")
        self.service = PolicyService(self.path, used, self.take, self.ledger, self.clock)

    def take(self, settings: AlertSettings) -> None:
        if settings.min_severity == "low":
            raise ConfigurationError("channel ops needs TXWATCH_SLACK_TOKEN")
        self.followed.append(settings.min_severity)

    def edit(self, text: str) -> str:
        self.path.write_text(text)
        for _ in range(2):
            self.clock.advance(timedelta(seconds=1))
            self.service.step()
        return self.service.health().state

    def actions(self) -> list[str]:
        return [each.action for each in self.ledger.audited(0, 100)]


@pytest.fixture
def following(tmp_path):
    made = Following(tmp_path)
    yield made
    made.ledger.close()


def test_an_edited_policy_is_followed(following):
    assert following.edit(TEXT.replace("high", "critical")) == "ok"
    assert following.followed == ["critical"]
    assert following.actions() == ["alert policy in use"]


def test_other_sections_change_nothing(following):
    following.edit(TEXT + "base_currency: USD\n")

    assert following.followed == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TEXT.replace("high", "hihg"), "is not in order"),
        (TEXT.replace("high", "low"), "needs TXWATCH_SLACK_TOKEN"),
        ("version: [", "is not in order"),
        ("", "is empty"),
    ],
)
def test_a_policy_with_faults_changes_nothing_and_is_told(following, text, why):
    """Also one that is in order and cannot be followed here."""
    assert following.edit(text) == "degraded"
    assert why in following.service.health().sentence
    assert following.followed == []
    assert following.actions() == ["alert policy refused"]


def test_a_mended_policy_is_followed(following):
    following.edit("version: [")

    assert following.edit(TEXT.replace("high", "medium")) == "ok"
    assert following.followed == ["medium"]
