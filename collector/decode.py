"""Any bytes become a `Transaction` or a `Rejected`; never an exception.

The first fault, in the order of `fields.READERS`, is the one reported.  JSON lets a name stand twice and
takes the last one; where that would concern a field of ours the message is refused, because nobody can
tell which was meant.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import msgspec

from collector.fields import READERS, Fault, Reader
from collector.schema import FIELDS, REQUIRED, Schema
from txwatch.model import Rejected, Transaction

KEPT_BYTES = 64 * 1024
LONGEST_MESSAGE = 1024 * 1024
LONGEST_EXTRA = 4096
LONGEST_ALIKE = 64

Record = Mapping[str, Any]
Get = Callable[[Record], Any]


class Decoder:
    """Reads messages by one schema.  Depends on nothing else: the same bytes always give the same."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.columns = frozenset(schema.column(field) for field in FIELDS)
        self._parse = msgspec.json.Decoder().decode
        self.parse_plain = self._parse
        """Parses bytes and raises whatever is wrong with them; for callers that look for themselves."""
        self._plan = [_Step(field, reader, schema) for field, reader in READERS.items()]

    def decode(self, raw: bytes) -> Transaction | Rejected:
        """Return the transaction that these bytes (one JSON object) say, or why they say none."""
        record = self.parse(raw)
        return record if isinstance(record, Rejected) else self.read(record, raw)

    def parse(self, raw: bytes) -> dict[str, Any] | Rejected:
        """Return the JSON object that these bytes are."""
        if len(raw) > LONGEST_MESSAGE:
            return rejected("too_large", f"the message has {len(raw):,} bytes, at most 1 MiB is read", raw)
        try:
            record = self._parse(raw)
            if type(record) is dict and _is_plain(raw, record):
                return record
            return _unusual(raw, record, self.columns)
        except UnicodeDecodeError:
            return rejected("not_utf8", "the message is not UTF-8 text", raw)
        except RecursionError:
            return rejected("too_deep", "the message is nested too deeply", raw)
        except (msgspec.DecodeError, ValueError) as error:
            return rejected("not_json", f"the message is not JSON: {error}", raw)

    def read(self, record: Record, raw: bytes | None = None) -> Transaction | Rejected:
        """Return the transaction that a record says; `raw` is the message to keep if it says none."""
        values: dict[str, Any] = {}
        for step in self._plan:
            value = step.get(record)
            if value is None or value == "":
                if step.default is None:
                    if step.required:
                        return _missing(step, record, raw)
                    continue
                value = step.default
            elif step.words:
                value = _translated(value, step.words)
            try:
                values[step.field] = step.reader(value, self.schema)
            except Fault as fault:
                return rejected(
                    fault.code, f"{step.column} {fault.sentence}", _kept(record, raw), step.column
                )
        if not record.keys() <= self.columns:
            values["extra"] = self.remainder(record)
        return Transaction(**values)

    def remainder(self, record: Record) -> str | None:
        """Return every field that the schema does not name as one bounded JSON text."""
        rest = {name: value for name, value in record.items() if name not in self.columns}
        if not rest:
            return None
        text = _as_json(rest)
        if text is None:
            return '{"omitted":"not representable"}'
        if len(text) > LONGEST_EXTRA:
            text = msgspec.json.encode({"omitted": f"{len(rest)} fields, {len(text):,} bytes"})
        return text.decode()


def rejected(code: str, sentence: str, raw: bytes, field: str | None = None) -> Rejected:
    """Return a rejection that keeps the head of the message, and length and hash of all of it."""
    return Rejected(
        code=code,
        sentence=sentence,
        field=field,
        raw=raw[:KEPT_BYTES],
        length=len(raw),
        sha256=hashlib.sha256(raw).hexdigest(),
    )


def getter(column: str) -> Get:
    """Return what finds a column in a record: by its name, or along a path like `card.id`."""
    path = column.split(".")

    def along_path(record: Record) -> Any:
        if column in record:
            return record[column]
        found: Any = record
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def by_name(record: Record) -> Any:
        return record.get(column)

    return along_path if len(path) > 1 else by_name


class _Step:
    """One field's way into a transaction, looked up once a schema instead of once a message."""

    __slots__ = ("column", "default", "field", "get", "reader", "required", "words")

    def __init__(self, field: str, reader: Reader, schema: Schema) -> None:
        self.field = field
        self.reader = reader
        self.column = schema.column(field)
        self.get = getter(self.column)
        self.default = schema.defaults.get(field)
        self.words = schema.values.get(field)
        self.required = field in REQUIRED


def _is_plain(raw: bytes, record: Record) -> bool:
    """Whether this is surely a flat object without repeated names: it has no quotation mark too many."""
    needed = 2 * (len(record) + list(map(type, record.values())).count(str))
    return raw.count(b'"') == needed and b"\\" not in raw


def _unusual(raw: bytes, record: Any, columns: frozenset[str]) -> dict[str, Any] | Rejected:
    """Judge what is nested, has escapes, or may name a field twice."""
    if not isinstance(record, dict):
        return rejected("not_an_object", "the message is JSON but no object", raw)
    seen: set[str] = set()
    for name in _outermost_names(raw.decode()):
        if name in seen and name in columns:
            return rejected("duplicate_key", f"{name} stands more than once in the message", raw, name)
        seen.add(name)
    return record


def _outermost_names(text: str) -> list[str]:
    objects: list[list[str]] = []

    def note(pairs: list[tuple[str, object]]) -> None:
        objects.append([name for name, _ in pairs])

    json.loads(text, object_pairs_hook=note, parse_int=str, parse_float=str)
    return objects[-1]


def _translated(value: Any, words: Mapping[str, str]) -> Any:
    """The producer's word in ours; true, false and whole numbers are words, too."""
    if isinstance(value, bool):
        return words.get("true" if value else "false", value)
    return words.get(str(value), value) if isinstance(value, str | int) else value


def _missing(step: _Step, record: Record, raw: bytes | None) -> Rejected:
    sentence = f"{step.column} is missing"
    if step.get(record) == "":
        sentence = f"{step.column} is empty"
    elif not step.default and (alike := _alike(step.column, record)):
        sentence += f"; the message has {alike!r}"
    return rejected("missing_field", sentence, _kept(record, raw), step.column)


def _alike(column: str, record: Record) -> str | None:
    """The message's own name for a column, where it differs by case and signs alone."""
    wanted = _letters(column)
    names = (name for name in islice(record, LONGEST_ALIKE) if len(name) <= LONGEST_ALIKE)
    return next((name for name in names if _letters(name) == wanted), None)


def _letters(name: str) -> str:
    return "".join(filter(str.isalnum, name)).lower()


def _kept(record: Record, raw: bytes | None) -> bytes:
    if raw is not None:
        return raw
    return _as_json(dict(record)) or ascii(dict(record)).encode()


def _as_json(record: dict[str, Any]) -> bytes | None:
    try:
        return msgspec.json.encode(record)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
