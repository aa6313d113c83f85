"""The ledger, opened for one command of `txwatch alerts`, and who may see ids there."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import msgspec

from alerts.groups import Group
from alerts.policy import AlertSettings, settings_of
from txwatch import workplace
from txwatch.applied import Applied
from txwatch.clock import SystemClock
from txwatch.errors import UsageError
from txwatch.ledger import AlertBook, Ledger
from txwatch.settings import current_settings
from txwatch.shipped import known_document, rules_document, rules_path


def alert_settings(ledger: Ledger | None = None) -> AlertSettings:
    """Return the alert policy in use: the rules file's, or what was applied where an edited file waits."""
    settings = current_settings()
    if ledger is None and settings.ledger_url.startswith("sqlite") and not settings.home_path.is_dir():
        return settings_of(rules_document(rules_path(settings)))
    if ledger is None:
        with workplace.opened_ledger(settings) as opened:
            return alert_settings(opened)
    content = Applied(ledger.rules(), require_apply=settings.require_apply)()
    path = rules_path(settings)
    return settings_of(rules_document(path) if content is None else known_document(path, content))


@contextmanager
def opened_ledger() -> Iterator[tuple[Ledger, datetime]]:
    """Yield the ledger of this machine and the time."""
    with workplace.opened_ledger(current_settings()) as ledger:
        yield ledger, SystemClock().now()


@contextmanager
def opened_book() -> Iterator[tuple[AlertBook, datetime]]:
    """Yield the ledger's part for alerts and the time."""
    with opened_ledger() as (ledger, now):
        yield ledger.alerts(), now


def needed_group(book: AlertBook, group_id: str) -> Group:
    """Return a group; raises UsageError if there is none of that id."""
    document = book.group(group_id)
    if document is None:
        raise UsageError(f"there is no group {group_id}; `txwatch alerts list --closed` lists all")
    return msgspec.json.decode(document, type=Group)


def open_groups(book: AlertBook) -> list[Group]:
    """Return all groups that are open."""
    return [msgspec.json.decode(document, type=Group) for document in book.open_groups()[1]]


def rule_ids() -> set[str]:
    """Return the ids of all rules of the rules file."""
    document = rules_document(rules_path(current_settings()))
    rules = document.section("rules")
    return (
        {str(each.get("id")) for each in rules if isinstance(each, dict)}
        if isinstance(rules, list)
        else set()
    )
