"""An edited alert policy is followed while the notifier runs, or refused for everybody to see."""

from datetime import timedelta

import pytest

from alerts.policy import AlertSettings
from alerts.reloading import PolicyService
from txwatch.applied import Applied
from txwatch.errors import ConfigurationError
from txwatch.ledger import Ledger
from txwatch.model import RulesVersion
from txwatch.testing import ManualClock

TEXT = "version: 1\nalerts: {min_severity: high}\n"


class Following:
    """A policy service over a file, and what it followed."""

    def __init__(self, folder, *, require_apply=False):
        self.path = folder / "rules.yaml"
        self.path.write_text(TEXT)
        self.clock = ManualClock()
        self.ledger = Ledger.open(f"sqlite:///{folder / 'ledger.db'}", self.clock)
        self.followed: list[str] = []
        used = AlertSettings(min_severity="high")
        applied = Applied(self.ledger.rules(), require_apply=require_apply)
        self.service = PolicyService(self.path, used, self.take, self.ledger, self.clock, applied)

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

    def apply(self, text: str) -> None:
        given = RulesVersion(version="v", content=text.encode(), actor="ada", reason="why not")
        self.ledger.rules().applied(given)
        self.clock.advance(timedelta(seconds=1))
        self.service.step()

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


@pytest.fixture
def waiting(tmp_path):
    made = Following(tmp_path, require_apply=True)
    yield made
    made.ledger.close()


def test_where_apply_is_required_an_edited_policy_waits_for_it(waiting):
    """The first file counts as long as nothing was applied; then only what is applied does."""
    waiting.apply(TEXT)
    waiting.edit(TEXT.replace("high", "critical"))
    waits = list(waiting.followed)
    waiting.apply(TEXT.replace("high", "critical"))

    assert (waits, waiting.followed) == ([], ["critical"])
    assert waiting.service.health().sentence == "the alert policy that was applied is followed"


def test_a_policy_that_was_applied_and_cannot_be_followed_is_told(waiting):
    waiting.apply(TEXT)
    waiting.apply(TEXT.replace("high", "low"))

    assert waiting.service.health().state == "degraded"
    assert waiting.followed == []


def test_a_second_person_for_rules_makes_the_policy_wait_too(following):
    """The file waits for `apply` as a whole."""
    guarded = TEXT + "detectors: {guard: {second_person: high}}\n"
    following.apply(guarded)

    following.edit(guarded.replace("min_severity: high", "min_severity: critical"))

    assert following.followed == []
