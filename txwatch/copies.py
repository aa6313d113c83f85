"""Copies of the ledger's records for dashboards: what one is, and who takes them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

import msgspec


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the ledger, or what follows from it, as dashboards show it.

    Written again with the same kind, labels, time and number, it replaces itself.
    """

    kind: Literal["rules_versions", "rules", "hidings", "models", "labels", "handling"]
    at: datetime
    number: int = 0
    """Tells records of the same millisecond apart."""
    labels: dict[str, str] = {}
    """What it is found by; few values each."""
    values: dict[str, str | int | float | bool | None]


@runtime_checkable
class CopyStore(Protocol):
    """Copies of the ledger's records, for stores that dashboards read; the ledger's own count."""

    def put_copies(self, copies: Sequence[Copy]) -> None:
        """Write durably; repeating it changes nothing."""
