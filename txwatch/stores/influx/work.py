# mypy: disable-error-code="attr-defined"
# Reason: influxdb-client exports its classes only in part.
"""What setting up an InfluxDB has found and done so far; a dry run only says what it would do."""

from collections.abc import Callable
from typing import TypeVar

from influxdb_client import InfluxDBClient

T = TypeVar("T")


class Work:
    """Collects a sentence for each thing; `client` is that of an administrator."""

    def __init__(self, client: InfluxDBClient, *, dry_run: bool) -> None:
        self.client = client
        self.dry_run = dry_run
        self.changes: list[str] = []
        self.found: list[str] = []

    def change(self, sentence: str, act: Callable[[], T]) -> T | None:
        """Do it and note it; a dry run notes it only."""
        self.changes.append(sentence)
        return None if self.dry_run else act()
