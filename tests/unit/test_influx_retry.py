"""When a failed request is tried again, and which points of a refused write are to blame."""

from datetime import timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txwatch.stores.influx.connection import PointsRefusedError
from txwatch.stores.influx.refusals import write_what_is_taken
from txwatch.stores.influx.retry import CAP_SECONDS, Failure, GiveUp, TryAgain, decide

PATIENCE = timedelta(seconds=30)
BUSY = Failure(503, "overloaded")


def after(failure, attempt=0, waited=timedelta(0), luck=0.5):
    return decide(failure, attempt, waited, PATIENCE, luck)


@pytest.mark.parametrize("status", [None, 429, 500, 502, 503, 504])
def test_what_may_pass_later_is_tried_again(status):
    """No answer, too many requests, and a server in trouble are retried."""
    assert isinstance(after(Failure(status, "trouble")), TryAgain)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_a_refusal_is_not_repeated(status):
    """What the server refuses for good is not asked again."""
    assert after(Failure(status, "no")) == GiveUp("the server refuses: no", later=False)


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_the_wait_grows_up_to_a_cap_and_is_never_none(attempt, luck):
    """Every wait is positive and bounded, and an unlucky one is at most twice a lucky one."""
    wait = after(BUSY, attempt, luck=luck)

    assert 0 < wait.seconds <= CAP_SECONDS
    assert after(BUSY, attempt, luck=1).seconds <= 2 * after(BUSY, attempt, luck=0).seconds


def test_the_servers_own_wish_is_kept():
    """Retry-After is a lower bound."""
    assert after(Failure(429, "slow down", retry_after=12.0)).seconds == 12.0


def test_patience_ends():
    """After `patience` of waiting the caller is told that the same call may pass later."""
    decision = after(BUSY, waited=PATIENCE)

    assert isinstance(decision, GiveUp)
    assert decision.later


class PickyServer:
    """Takes all lines but the bad ones, as InfluxDB does: it says how many it dropped, not which."""

    def __init__(self, bad, *, counts):
        self.bad, self.counts = bad, counts
        self.stored, self.requests = set(), 0

    def write(self, body):
        self.requests += 1
        lines = body.decode().split("\n")
        dropped = [line for line in lines if line in self.bad]
        self.stored |= set(lines) - set(dropped) if self.counts or not dropped else set()
        if dropped:
            raise PointsRefusedError(
                f"partial write dropped={len(dropped)}" if self.counts else "cannot parse"
            )


@given(st.sets(st.integers(0, 99)), st.booleans())
def test_exactly_the_bad_lines_are_found_and_all_others_written(bad, counts):
    """Whatever lines are bad, each is named by its row number and no other is lost."""
    lines = [f"line {number}" for number in range(100)]
    server = PickyServer({f"line {number}" for number in bad}, counts=counts)

    refused = write_what_is_taken(server.write, pl.Series(lines))

    assert set(refused) == bad
    assert server.stored == {line for number, line in enumerate(lines) if number not in bad}


def test_a_refusal_of_all_takes_one_request():
    """When the server says that it dropped every line, nothing is cut in halves."""
    lines = [f"line {number}" for number in range(100)]
    server = PickyServer(set(lines), counts=True)

    refused = write_what_is_taken(server.write, pl.Series(lines))

    assert len(refused) == 100
    assert server.requests == 1
