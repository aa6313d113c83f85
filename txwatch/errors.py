"""Every error that txwatch raises on purpose.

    TxwatchError              one sentence for a person; `exit_code`; `retryable`
    |- UsageError             the command or its arguments are wrong (exit 2)
    |- ConfigurationError     rules.yaml, a schema file or a setting is wrong (exit 3)
    |- InputError             an input cannot be read at all (exit 4)
    |- StoreError             the store or the ledger refuses (exit 5)
    |  |- StoreBusyError      somebody else holds it; the same call may pass later (retryable)
    |  |- StoreLockedError    another ingester owns the file
    |  |- DeniedError         only somebody else may do this
    |  |- RowsRefusedError     it will never take some rows; the others are stored
    |- SnapshotError          a snapshot cannot be used (exit 6)
    |- PeerError              a server beside txwatch, such as Grafana, refuses or is silent (exit 7)

Bad *records* are values (`model.Rejected`), never exceptions.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class TxwatchError(Exception):
    """Something a person has to know, in one sentence."""

    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False

    @property
    def head(self) -> str:
        """The sentence alone, without the places that may follow it line by line."""
        return str(self).partition("\n")[0].rstrip(":")


class UsageError(TxwatchError):
    """The command or its arguments are wrong."""

    exit_code = 2


class ConfigurationError(TxwatchError):
    """rules.yaml, a schema file or a setting is wrong."""

    exit_code = 3


class InputError(TxwatchError):
    """An input cannot be read at all."""

    exit_code = 4


class StoreError(TxwatchError):
    """The store or the ledger refuses."""

    exit_code = 5


class StoreBusyError(StoreError):
    """Somebody else holds the store right now; the same call may pass later."""

    retryable = True


class StoreLockedError(StoreError):
    """Another process already ingests into this store."""


class DeniedError(StoreError):
    """Only somebody else may do this: an administrator, or another one."""


class RefusedRow(NamedTuple):
    """One row that a store will never take, and why."""

    source: str
    partition: int
    sequence: int
    sentence: str


class RowsRefusedError(StoreError):
    """The store will never take some rows; all the others are stored.  `refused` is for the quarantine."""

    def __init__(self, refused: Sequence[RefusedRow]) -> None:
        super().__init__(f"the store refused {len(refused)} row(s), the first because {refused[0].sentence}")
        self.refused = tuple(refused)


class SnapshotError(TxwatchError):
    """A snapshot cannot be used: another version, or damaged."""

    exit_code = 6


class PeerError(TxwatchError):
    """A server beside txwatch, such as Grafana, refuses or does not answer."""

    exit_code = 7
