"""What a long-running command works with: settings, clock, store and ledger, opened and closed together."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import msgspec

from txwatch.auditing import AuditService
from txwatch.clock import SystemClock
from txwatch.errors import InputError, StoreError
from txwatch.ledger import Ledger
from txwatch.ports import AuditStore, Service, Store
from txwatch.settings import Settings, current_environment
from txwatch.stores import open_store
from txwatch.storesize import SizedStore, StoreSizeService


class Workplace(msgspec.Struct, frozen=True, kw_only=True):
    """The settings and the opened places that a command's services share."""

    settings: Settings
    clock: SystemClock
    store: Store
    ledger: Ledger
    open_store: Callable[[], Store]
    """Opens the same store once more, with the same rights, for another thread."""


def open_audit(workplace: Workplace) -> list[Service]:
    """Return the service that copies the audit, where the store takes copies."""
    store = workplace.store
    return [AuditService(store, workplace.ledger)] if isinstance(store, AuditStore) else []


def open_size(workplace: Workplace) -> list[Service]:
    """Return the service that says how large the store is, where the store knows."""
    store = workplace.store
    return [StoreSizeService(store, workplace.clock)] if isinstance(store, SizedStore) else []


@contextmanager
def open_workplace(
    settings: Settings, *, writer: bool, role: str = "services", looks: bool = False
) -> Iterator[Workplace]:
    """Open store and ledger; `writer` claims the store for ingestion (one process at a time).

    Who only `looks` makes nothing: raises InputError where nothing was stored yet.

    `role` says with which rights the process gets along: the token of that role is enough.
    """
    clock = SystemClock()
    if looks and not settings.store:
        require_home(settings)
    _make_home(settings.home_path)
    secrets = current_environment()
    with ExitStack() as opened:

        def open_once(*, writer: bool) -> Store:
            store = open_store(settings.store_url, clock, writer=writer, secrets=secrets, role=role)
            opened.callback(store.close)
            return store

        store = open_once(writer=writer)
        ledger = Ledger.open(settings.ledger_url, clock, home=settings.home_path)
        opened.callback(ledger.close)
        yield Workplace(
            settings=settings,
            clock=clock,
            store=store,
            ledger=ledger,
            open_store=partial(open_once, writer=False),
        )


@contextmanager
def opened_ledger(settings: Settings) -> Iterator[Ledger]:
    """Yield the ledger alone, for a command; raises InputError where nothing was stored yet."""
    if not settings.ledger:
        require_home(settings)
    ledger = Ledger.open(settings.ledger_url, SystemClock(), home=settings.home_path)
    try:
        yield ledger
    finally:
        ledger.close()


def require_home(settings: Settings) -> None:
    """Raise InputError if the folder of this machine is not there, instead of showing an empty one."""
    if not settings.home_path.is_dir():
        raise InputError(
            f"nothing is stored in {settings.home_path}, which is not there: start `txwatch run`, "
            "or say with TXWATCH_HOME where to look"
        )


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {home}: {error.strerror}; set TXWATCH_HOME") from error
