"""Versions of the rules: applied by command, kept waiting, rolled back by hand and by the guard."""

import pytest
from rules_bench import TWO, Bench, two_days

from detectors.configuration import known_configuration
from detectors.service import CONSUMER
from txwatch.ports import AnomalyQuery

OTHER = TWO.replace("amount > 300", "amount > 200")
FLOOD = TWO.replace("amount > 300", "amount > 1")


@pytest.fixture(scope="module")
def rows():
    return two_days()


@pytest.fixture
def bench(tmp_path, rows):
    made = Bench(tmp_path, rows)
    yield made
    made.ledger.close()


@pytest.fixture
def strict(tmp_path, rows):
    """Edited files wait for `apply`."""
    made = Bench(tmp_path, rows, require_apply=True)
    yield made
    made.ledger.close()


def in_force(bench: Bench) -> str:
    return bench.detector.configuration.content.decode()


def again(bench: Bench) -> None:
    """The process ends and another one starts."""
    bench.detector.close()
    bench.open()
    bench.rules.step()


def test_what_is_applied_is_taken_by_a_running_detector(bench):
    """Under the number that the ledger gave it, while the file says something else."""
    bench.score(steps=2)
    bench.apply(OTHER)

    assert in_force(bench) == OTHER
    assert "(number 2)" in bench.rules.health().sentence
    assert bench.versions() == [(1, "rules.yaml"), (2, "ada")]
    assert bench.actions() == ["rules in use", "rules applied"]


def test_what_was_applied_stays_after_a_restart_whatever_the_file_says(bench):
    """The file was saved before; only another content of it is an edit."""
    bench.apply(OTHER)
    again(bench)
    stays = in_force(bench)
    bench.edit(TWO + "# saved again\n")

    assert stays == OTHER
    assert in_force(bench).startswith(TWO)
    assert bench.versions()[-1] == (3, "rules.yaml")


def test_what_was_applied_while_nothing_ran_is_taken_at_the_start(bench):
    bench.score(steps=2)
    bench.detector.close()
    bench.ledger.rules().applied(applied(bench, OTHER))
    bench.open()
    bench.rules.step()

    assert in_force(bench) == OTHER


def applied(bench: Bench, text: str):
    return known_configuration(bench.path, text.encode()).as_version("ada", "as asked")


def test_a_detector_that_forgot_everything_starts_with_what_was_applied(bench):
    """Its snapshots are gone; the file still says what was in force before."""
    bench.apply(OTHER)
    bench.detector.close()
    assert bench.ledger.load_snapshot(CONSUMER) is not None
    for file in (bench.path.parent / "snapshots").iterdir():
        file.unlink()
    bench.open()
    bench.rules.step()

    assert in_force(bench) == OTHER


def test_where_apply_is_required_an_edited_file_waits(strict):
    """It is said once; comments wait for nothing; who applies it puts it into force."""
    strict.edit(OTHER)
    waiting, said = in_force(strict), strict.rules.health()
    again(strict)
    strict.edit(OTHER + "# and more\n")
    strict.apply(OTHER + "# and more\n")

    assert waiting == TWO
    assert "wait for `txwatch rules apply`" in said.sentence
    assert strict.actions() == ["rules in use", "rules wait", "rules wait", "rules applied"]
    assert in_force(strict) == OTHER + "# and more\n"
    assert "wait" not in strict.rules.health().sentence


def test_applied_again_word_for_word_nothing_is_numbered(bench):
    bench.apply(OTHER)
    bench.apply(OTHER)

    assert bench.versions() == [(1, "rules.yaml"), (2, "ada")]


def test_a_flood_is_rolled_back_and_told(bench):
    """By the health, the audit, the list of versions, and an anomaly in the queue."""
    bench.score(steps=2)
    bench.edit(FLOOD)
    bench.score(steps=2)

    (told,) = bench.told()
    newest = bench.ledger.rules().newest(1)[0]
    assert in_force(bench) == TWO
    assert bench.rules.health().state == "degraded"
    assert (newest.number, newest.actor) == (3, "the guard")
    assert told.startswith("rules ")
    assert "were rolled back to " in told
    assert "399 of 400 transactions" in told  # the rules before would have found one of them too
    assert bench.actions() == ["rules in use", "rules in use", "rules rolled back"]


def test_a_flood_stays_out_after_a_restart_and_when_it_is_saved_again(bench):
    """Comments make no other rules of it."""
    bench.score(steps=2)
    bench.edit(FLOOD)
    bench.score(steps=1)
    again(bench)
    bench.edit(FLOOD + "# please\n")
    bench.score()

    assert in_force(bench) == TWO
    assert bench.rules.health().state == "degraded"
    assert len(bench.ledger.rules().blocked()) == 1


def test_a_flood_is_out_for_a_detector_that_forgot_everything(bench):
    bench.score(steps=2)
    bench.edit(FLOOD)
    bench.score(steps=1)
    bench.detector.close()
    for file in (bench.path.parent / "snapshots").iterdir():
        file.unlink()
    bench.open()

    assert in_force(bench) == TWO


def test_a_mended_file_is_taken_after_a_flood(bench):
    bench.score(steps=2)
    bench.edit(FLOOD)
    bench.score(steps=1)
    bench.edit(OTHER)

    assert in_force(bench) == OTHER
    assert bench.rules.health().state == "ok"


def test_who_applies_a_flood_all_the_same_gets_it(bench):
    """It is watched again, and rolled back again."""
    bench.score(steps=2)
    bench.edit(FLOOD)
    bench.score(steps=1)
    bench.apply(FLOOD)
    forced, blocked = in_force(bench), bench.ledger.rules().blocked()
    bench.score(steps=1)

    assert (forced, blocked) == (FLOOD, {})
    assert in_force(bench) == TWO


@pytest.mark.parametrize("lost", ["before the change back", "before it was told"])
def test_a_crash_in_the_middle_of_a_rollback_ends_in_the_same(tmp_path, rows, lost):
    """What was decided is in the ledger; the next start does it and tells it."""
    bench = Bench(tmp_path, rows)
    bench.score(steps=2)
    bench.edit(FLOOD)
    if lost == "before the change back":
        bench.detector.change = lambda *_, **__: 1 / 0
    else:
        bench.detector.tell = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        bench.score(steps=1)
    bench.open()
    bench.score()

    assert in_force(bench) == TWO
    assert bench.actions().count("rules rolled back") == 1
    assert "were rolled back" in " ".join(bench.told())
    bench.ledger.close()


def test_what_the_flood_found_until_then_stays_and_names_its_version(bench):
    """Anomalies are never taken back; each says which rules made it."""
    bench.score(steps=2)
    bench.edit(FLOOD)
    bench.score(steps=1)
    bad = bench.ledger.rules().newest()[1].version
    bench.score()

    made = [a.versions.get("rules") for a in bench.store.anomalies(AnomalyQuery(limit=None))]
    assert made.count(bad) == 400
