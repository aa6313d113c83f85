"""The detectors say early that the rules file on disk is another, or one they would refuse."""

from datetime import timedelta
from pathlib import Path

import pytest

from detectors.configuration import read_configuration
from detectors.pending import RulesFileService
from txwatch.testing import ManualClock

SHIPPED = (Path(__file__).parents[2] / "rules.yaml").read_text()


def version(path):
    return read_configuration(path).rulebook().version


@pytest.fixture
def watched(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(SHIPPED)
    clock = ManualClock()
    return path, RulesFileService(path, version(path), version, clock), clock


def said(service, clock, seconds=10):
    clock.advance(timedelta(seconds=seconds))
    service.step()
    return service.health()


def test_the_file_in_use_is_neither_pending_nor_refused(watched):
    _, service, clock = watched

    assert said(service, clock).figures == {"pending": 0.0, "refused": 0.0}


def test_another_file_is_pending_until_a_restart(watched):
    path, service, clock = watched
    path.write_text(SHIPPED.replace("severity: high", "severity: critical", 1))

    health = said(service, clock)
    assert (health.state, health.figures) == ("ok", {"pending": 1.0, "refused": 0.0})
    assert "a restart takes" in health.sentence


def test_a_file_with_faults_is_refused_with_its_reason_until_it_is_mended(watched):
    path, service, clock = watched
    path.write_text(SHIPPED + "\nnonsense: 1\n")
    broken = said(service, clock)
    path.write_text(SHIPPED)

    assert (broken.state, broken.figures["refused"]) == ("degraded", 1.0)
    assert "is not in order (1 to mend)" in broken.sentence
    assert said(service, clock).figures["refused"] == 0.0


def test_a_file_that_is_gone_is_refused(watched):
    path, service, clock = watched
    path.unlink()

    assert said(service, clock).figures["refused"] == 1.0


def test_it_looks_every_ten_seconds_only(watched):
    path, service, clock = watched
    path.write_text("version: [")

    assert said(service, clock, seconds=9).figures["refused"] == 0.0
