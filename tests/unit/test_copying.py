"""Copies of the ledger's records: what is new or differs is written, and nothing is lost meanwhile."""

from datetime import UTC, datetime, timedelta

import msgspec

from txwatch.copies import Copy
from txwatch.copying import CopyService
from txwatch.errors import StoreBusyError
from txwatch.testing import ManualClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HIDES = Copy(kind="hidings", at=NOON - MINUTE, labels={"name": "noise"}, values={"hid": 1})
SILENCE = Copy(kind="hidings", at=NOON - MINUTE, labels={"name": "0a1b"}, values={"hid": 0})


class Kept:
    """A store that keeps every writing, or is away."""

    def __init__(self) -> None:
        self.writings: list[list[Copy]] = []
        self.away = False

    def put_copies(self, copies):
        if self.away:
            raise StoreBusyError("the store is away")
        self.writings.append(list(copies))


def service(store: Kept, records: list[Copy], clock: ManualClock) -> CopyService:
    return CopyService("copies", store, [lambda: records], clock, MINUTE)


def test_only_what_is_new_or_differs_is_written():
    """All at the start, then what changed since."""
    store, clock, records = Kept(), ManualClock(NOON), [HIDES]
    copying = service(store, records, clock)
    copying.step()

    more = msgspec.structs.replace(HIDES, values={"hid": 2})
    records[:] = [more, SILENCE]
    clock.advance(MINUTE)
    copying.step()
    clock.advance(MINUTE)
    copying.step()

    assert store.writings == [[HIDES], [more, SILENCE], []]


def test_nothing_is_asked_before_its_time():
    """The ledger is not read every round."""
    store, clock = Kept(), ManualClock(NOON)
    copying = service(store, [HIDES], clock)
    copying.step()
    copying.step()

    assert len(store.writings) == 1


def test_what_could_not_be_written_is_written_later():
    """And the health says that dashboards are behind meanwhile."""
    store, clock = Kept(), ManualClock(NOON)
    copying = service(store, [HIDES], clock)
    store.away = True
    copying.step()
    said = copying.health()
    store.away = False
    clock.advance(MINUTE)
    copying.step()

    assert said.state == "degraded"
    assert store.writings == [[HIDES]]
    assert copying.health().state == "ok"


def test_the_end_of_a_run_is_copied():
    """Whoever runs once does not wait a minute for the last state."""
    store, clock, records = Kept(), ManualClock(NOON), [HIDES]
    copying = service(store, records, clock)
    copying.step()
    records.append(SILENCE)
    copying.close()

    assert store.writings[-1] == [SILENCE]
