"""Who may change something: administrators, known by what they can open, never by a name that they type.

With InfluxDB an administrator is who has the token that reads the bucket `audit`; with the embedded store,
who may write the rules file.  Who may not is refused, and the attempt is recorded.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec

from txwatch.clock import SystemClock
from txwatch.errors import DeniedError, StoreError, TxwatchError
from txwatch.identity import account
from txwatch.ledger import Ledger
from txwatch.settings import Settings, current_environment
from txwatch.shipped import rules_path
from txwatch.stores import SQLITE, open_store
from txwatch.workplace import opened_ledger


class Administration(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger, opened for somebody who may change what it keeps."""

    ledger: Ledger
    actor: str


@contextmanager
def administration(settings: Settings, attempt: str, facts: Mapping[str, object]) -> Iterator[Administration]:
    """Yield the ledger for an administrator; raises DeniedError for anybody else, with an audit record.

    `attempt` names what is tried ("rules apply"), `facts` say of what and why.
    """
    with opened_ledger(settings) as ledger:
        actor = account()
        try:
            _require_role(settings)
            yield Administration(ledger=ledger, actor=actor)
        except DeniedError as error:
            ledger.record(actor, f"{attempt} denied", {**facts, "why": str(error)})
            raise


def _require_role(settings: Settings) -> None:
    if settings.store_url.startswith(SQLITE):
        path = rules_path(settings)
        if not os.access(path, os.W_OK):
            raise DeniedError(f"only who may write {path} may do this, and {account()} may not")
        return
    try:
        open_store(
            settings.store_url,
            SystemClock(),
            writer=False,
            secrets=current_environment(),
            role="administrator",
        ).close()
    except TxwatchError as error:
        if error.retryable or not isinstance(error, StoreError):
            raise
        raise DeniedError(f"only who has the administrator's token may do this: {error}") from error
