"""Which rejected messages a command is about, where they lie, and what of them may be shown."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from collector.deadletter import open_dead_letters
from collector.masking import masked
from txwatch.model import Quarantined
from txwatch.ports import QuarantineStore
from txwatch.settings import current_environment, current_settings
from txwatch.workplace import Workplace, open_workplace


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which records: all that is given must hold; `source` may be a name without its fingerprint."""

    reason: str | None = None
    field: str | None = None
    source: str | None = None

    def holds(self, record: Quarantined) -> bool:
        """Tell whether a record is meant."""
        return (
            self.reason in {None, record.rejected.code}
            and self.field in {None, record.rejected.field}
            and self.source in {None, record.source, record.source.rpartition("@")[0]}
        )

    def is_everything(self) -> bool:
        """Tell whether nothing was asked for in particular."""
        return self == Choice()


@contextmanager
def open_quarantine(
    address: str | None, *, writer: bool = False
) -> Iterator[tuple[Workplace, QuarantineStore]]:
    """Open the workplace, and the quarantine of the source at `address`; by default that of the settings."""
    settings = current_settings()
    letters = open_dead_letters(address or settings.source, current_environment())
    with open_workplace(settings, writer=writer, role="collector", looks=letters is None) as workplace:
        yield workplace, workplace.store if letters is None else letters


def chosen(quarantine: QuarantineStore, choice: Choice, limit: int | None = None) -> list[Quarantined]:
    """Return the records that are meant, newest first."""
    if choice == Choice(reason=choice.reason):
        return quarantine.quarantined(code=choice.reason, limit=limit)
    found = quarantine.quarantined(code=choice.reason, limit=None)
    return [record for record in found if choice.holds(record)][:limit]


def place(record: Quarantined) -> str:
    """Return what names a record: SOURCE:PARTITION:SEQUENCE."""
    return f"{record.source}:{record.partition}:{record.sequence}"


def facts(record: Quarantined) -> dict[str, object]:
    """Return what may be shown of a record: all but the message's content."""
    return {
        "place": place(record),
        "received_at": record.received_at,
        "reason": record.rejected.code,
        "field": record.rejected.field,
        "sentence": record.rejected.sentence,
        "length": record.rejected.length,
        "sha256": record.rejected.sha256,
        "sample": masked(record.rejected.raw),
    }
