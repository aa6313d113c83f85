"""Every store keeps the promises of `txwatch.ports.TrafficStore`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from influx_fixtures import InfluxStores

from txwatch.clock import SystemClock
from txwatch.ports import RetentionPolicy, TrafficPoint, TrafficQuery
from txwatch.stores.sqlite import SqliteStore
from txwatch.testing import MemoryStore

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["memory", "sqlite", "influx"])
def store(request, tmp_path):
    opened = open_store(request, tmp_path)
    yield opened
    opened.close()


def open_store(request, folder: Path):
    clock = SystemClock()
    if request.param == "memory":
        return MemoryStore(clock)
    if request.param == "sqlite":
        return SqliteStore(folder / "store.db", clock, writer=True)
    return InfluxStores(request.getfixturevalue("influxdb")).open(clock)


def window(**fields) -> TrafficPoint:
    values = {
        "source": "topic, 1@=x",
        "partition": 0,
        "seconds": 60,
        "start": NOON,
        "dimension": "channel",
        "value": "web",
        "through": 10,
        "count": 3,
        "declined": 1,
        "total": 12.5,
        "lag_total": 0.75,
        "lag_max": 0.5,
        "users": 2,
        "p50": 4.0,
        "p95": 9.5,
        "user_sketch": b"\x00\xff users",
        "amount_sketch": b"",
    }
    return TrafficPoint(**(values | fields))


def test_a_window_comes_back_as_it_was(store):
    """Every field survives, whatever bytes and signs."""
    windows = [window(), window(value="odd, tag=\\ 'x'"), window(start=NOON + MINUTE, p50=None, p95=None)]

    store.put_traffic(windows)

    assert store.traffic(TrafficQuery()) == sorted(windows, key=lambda w: (w.start, w.value))


def test_a_window_that_reaches_as_far_or_further_replaces(store):
    """Writing again is how a window grows."""
    store.put_traffic([window()])
    grown = msgspec.structs.replace(window(), through=12, count=5)
    store.put_traffic([grown])
    store.put_traffic([msgspec.structs.replace(grown, users=4)])

    assert store.traffic(TrafficQuery()) == [msgspec.structs.replace(grown, users=4)]


def test_a_window_is_never_replaced_by_one_that_reaches_less_far(store):
    """A second writer that is behind takes nothing back; its other windows are written."""
    store.put_traffic([window(through=20, count=9)])
    store.put_traffic([window(through=19, count=8), window(partition=1, through=1)])

    found = store.traffic(TrafficQuery())

    assert [(w.partition, w.through, w.count) for w in found] == [(0, 20, 9), (1, 1, 3)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "abcdef"),
        ({"since": NOON + MINUTE}, "f"),
        ({"until": NOON + MINUTE}, "abcde"),
        ({"seconds": 10}, "a"),
        ({"source": "other"}, "b"),
        ({"partition": 1}, "c"),
        ({"dimension": "country"}, "d"),
        ({"value": "pos", "dimension": "channel"}, "e"),
    ],
    ids=str,
)
def test_windows_are_found_by_every_part_of_their_key(store, query, expected):
    """Exact, and half-open in time."""
    windows = {
        "a": window(seconds=10),
        "b": window(source="other"),
        "c": window(partition=1),
        "d": window(dimension="country"),
        "e": window(value="pos"),
        "f": window(start=NOON + MINUTE),
    }
    store.put_traffic(list(windows.values()))
    names = {msgspec.msgpack.encode(w): name for name, w in windows.items()}

    found = store.traffic(TrafficQuery(**query))

    assert "".join(sorted(names[msgspec.msgpack.encode(w)] for w in found)) == expected


def test_traffic_expires_with_the_series(store):
    """What is older than the policy goes."""
    store.put_traffic([window(start=NOON - timedelta(days=401)), window()])

    store.expire(RetentionPolicy(), NOON)

    assert [w.start for w in store.traffic(TrafficQuery())] == [NOON]
