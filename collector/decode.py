"""Any bytes become a `Transaction` or a `Rejected`; never an exception.

The first fault found is the one reported.  Of duplicate keys the last wins, as everywhere in JSON.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from collector.fields import READERS, Fault
from collector.schema import REQUIRED, Schema
from txwatch.model import Rejected, Transaction

KEPT_BYTES = 64 * 1024
LONGEST_MESSAGE = 1024 * 1024
LONGEST_EXTRA = 4096

_DECODER = msgspec.json.Decoder()


def decode(raw: bytes, schema: Schema) -> Transaction | Rejected:
    """Return the transaction that these bytes (one JSON object) say, or why they say none."""
    if len(raw) > LONGEST_MESSAGE:
        return rejected("too_large", f"the message has {len(raw):,} bytes, at most 1 MiB is read", raw)
    try:
        record = _DECODER.decode(raw)
    except UnicodeDecodeError:
        return rejected("not_utf8", "the message is not UTF-8 text", raw)
    except RecursionError:
        return rejected("too_deep", "the message is nested too deeply", raw)
    except msgspec.DecodeError as error:
        return rejected("not_json", f"the message is not JSON: {error}", raw)
    if not isinstance(record, dict):
        return rejected("not_an_object", "the message is JSON but no object", raw)
    return read_record(record, schema, raw)


def read_record(
    record: Mapping[str, Any], schema: Schema, raw: bytes | None = None
) -> Transaction | Rejected:
    """Return the transaction that a record says; `raw` is the message to keep if it says none."""
    values: dict[str, Any] = {}
    for field, reader in READERS.items():
        value = _value(record, schema, field)
        if value is None:
            if field in REQUIRED:
                name = schema.column(field)
                return rejected("missing_field", f"{name} is missing", _bytes(record, raw), name)
            continue
        try:
            values[field] = reader(value, schema)
        except Fault as fault:
            name = schema.column(field)
            return rejected(fault.code, f"{name} {fault.sentence}", _bytes(record, raw), name)
    return Transaction(**values, extra=_extra(record, schema))


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


def _value(record: Mapping[str, Any], schema: Schema, field: str) -> Any:
    value = record.get(schema.rename.get(field, field))
    if value is None or value == "":
        value = schema.defaults.get(field)
    words = schema.values.get(field)
    return words.get(value, value) if words and isinstance(value, str) else value


def _extra(record: Mapping[str, Any], schema: Schema) -> str | None:
    known = {schema.column(field) for field in READERS}
    rest = {name: value for name, value in record.items() if name not in known}
    if not rest:
        return None
    try:
        text = msgspec.json.encode(rest)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return '{"omitted":"not representable"}'
    if len(text) > LONGEST_EXTRA:
        text = msgspec.json.encode({"omitted": f"{len(rest)} fields, {len(text):,} bytes"})
    return text.decode()


def _bytes(record: Mapping[str, Any], raw: bytes | None) -> bytes:
    if raw is not None:
        return raw
    try:
        return msgspec.json.encode(dict(record))
    except (TypeError, ValueError, OverflowError, RecursionError):
        return ascii(dict(record)).encode()
