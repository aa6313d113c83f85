"""The stores: where everything that has a time is kept, behind one interface.

`open_store` opens the store that an address names: the embedded SQLite file, or InfluxDB.  What each of
them guarantees is the same and held by the same contract tests.
"""

from pathlib import Path

from txwatch.errors import ConfigurationError
from txwatch.ports import Clock, Store
from txwatch.stores.sqlite import SqliteStore

SQLITE = "sqlite:///"


def open_store(url: str, clock: Clock, *, writer: bool) -> Store:
    """Open the store at `url` (`sqlite:///PATH`); `writer` claims it for ingestion."""
    if url.startswith(SQLITE):
        return SqliteStore(Path(url.removeprefix(SQLITE)), clock, writer=writer)
    raise ConfigurationError(f"no store is known for {url!r}; an address starts with {SQLITE}")
