"""The fixture `influx_stores`: our layout in a real InfluxDB, in an organisation of its own."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from influxdb_server import InfluxdbServer

from txwatch.clock import SystemClock
from txwatch.ports import Clock, RetentionPolicy
from txwatch.stores.influx.connection import Access
from txwatch.stores.influx.layout import STORE_BUCKETS
from txwatch.stores.influx.setup import initialise
from txwatch.stores.influx.store import InfluxStore

FOR_EVER = RetentionPolicy(**dict.fromkeys(RetentionPolicy.__struct_fields__, timedelta(0)))


class InfluxStores:
    """Makes stores in one organisation; `tokens` are those of the roles."""

    def __init__(self, server: InfluxdbServer) -> None:
        self.server = server
        self.opened = ExitStack()
        self.org = server.new_org()
        self.tokens: dict[str, str] = {}

    def initialise(self, retention: RetentionPolicy = FOR_EVER) -> tuple[str, ...]:
        """Set up the organisation; returns what changed."""
        done = initialise(self.server.url, self.server.token, self.org, retention)
        self.tokens = done.tokens
        return done.changes

    def access(self, role: str = "services", **changed: Any) -> Access:
        """Return how a role gets in."""
        usual = {"url": self.server.url, "token": self.tokens.get(role, ""), "org": self.org}
        return Access(**{**usual, **changed})

    def open(
        self, clock: Clock | None = None, *, buckets: Sequence[str] = STORE_BUCKETS, **access: Any
    ) -> InfluxStore:
        """Open a store, set up if need be; closed with `opened`."""
        if not self.tokens:
            self.initialise()
        store = InfluxStore(self.access(**access), clock or SystemClock(), buckets=buckets)
        self.opened.callback(store.close)
        return store


@pytest.fixture
def influx_stores(influxdb: InfluxdbServer) -> Iterator[InfluxStores]:
    """Stores in a fresh organisation: `influx_stores.open()`."""
    stores = InfluxStores(influxdb)
    with stores.opened:
        yield stores
