"""The embedded store: one SQLite file in WAL mode.

`SqliteStore` implements `txwatch.ports.Store` for one machine.  One process ingests, held by a lock file
beside it; any number of processes read meanwhile, and short writes of other commands wait their turn.
Not for network file systems: SQLite's locks do not hold there.
"""

from txwatch.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
