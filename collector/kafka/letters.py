"""Dead letters: a rejected message as a Kafka message, and back.  All pure.

The value is the message as it came (or its head), the key its place, and the headers say why, in text:
`reason`, `sentence`, `field`, `source`, `partition`, `sequence`, `time`, `length`, `sha256`.  A letter
without a value says that the record of its key was dropped.
"""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from txwatch.model import Quarantined, Rejected


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a dead-letter topic; `value` None drops what has this key."""

    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    def shortened(self) -> "Letter":
        """Return it with a quarter of its value, for a topic that takes no longer ones."""
        return msgspec.structs.replace(self, value=(self.value or b"")[: len(self.value or b"") // 4])


def letter(record: Quarantined) -> Letter:
    """Return the letter of a record."""
    rejected = record.rejected
    texts = {
        "reason": rejected.code,
        "sentence": rejected.sentence,
        "field": rejected.field,
        "source": record.source,
        "partition": str(record.partition),
        "sequence": str(record.sequence),
        "time": record.received_at.isoformat(),
        "length": str(rejected.length),
        "sha256": rejected.sha256,
    }
    headers = ((name, text.encode(errors="replace")) for name, text in texts.items() if text is not None)
    return Letter(key=key(record), value=rejected.raw, headers=tuple(headers))


def dropped(record: Quarantined) -> Letter:
    """Return the letter that says that a record is no longer wanted."""
    return Letter(key=key(record), value=None)


def key(record: Quarantined) -> bytes:
    """Return what is the same for all letters about one message."""
    return f"{record.source}:{record.partition}:{record.sequence}".encode()


def read_letter(headers: Mapping[str, bytes | str | None], value: bytes) -> Quarantined | None:
    """Return the record that a message of a dead-letter topic holds; None if it is none of ours."""
    said = {name: text.decode() if isinstance(text, bytes) else text for name, text in headers.items()}
    try:
        return Quarantined(
            source=str(said["source"]),
            partition=int(said["partition"] or ""),
            sequence=int(said["sequence"] or ""),
            received_at=datetime.fromisoformat(said["time"] or ""),
            rejected=Rejected(
                code=str(said["reason"]),
                sentence=str(said["sentence"]),
                field=said.get("field"),
                raw=value,
                length=int(said["length"] or ""),
                sha256=str(said["sha256"]),
            ),
        )
    except (KeyError, ValueError):
        return None
