"""A producer's schema as JSON Schema (2020-12): what it has to send, for its own tools."""

from collections.abc import Mapping
from typing import Any

from collector.fields import LENGTHS, MAX_ID
from collector.schema import FIELDS, REQUIRED, Schema
from txwatch.model import Status

Property = dict[str, Any]


EXAMPLE = {
    "transaction_id": "t-000001",
    "timestamp": "2026-03-02T12:00:00.123Z",
    "user_id": "u000123",
    "merchant_id": "m0042",
    "amount": 41.9,
    "currency": "EUR",
    "status": "approved",
    "channel": "pos",
    "country": "DE",
    "lat": 52.52,
    "lon": 13.405,
}


def json_schema(schema: Schema) -> dict[str, Any]:
    """Return what a producer has to send; what it describes is accepted, some more is, too."""
    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "transaction",
        "description": "One payment attempt. Other properties are kept, bounded, as `extra`.",
        "type": "object",
        "required": [],
        "properties": {},
        "additionalProperties": True,
    }
    for field in FIELDS:
        _add(
            document,
            schema.column(field).split("."),
            _property(field, schema),
            required=_is_required(field, schema),
        )
    return document


def example_message(schema: Schema) -> dict[str, Any]:
    """Return a message of this producer that becomes a transaction."""
    return as_sent(EXAMPLE, schema)


def as_sent(fields: Mapping[str, object], schema: Schema) -> dict[str, Any]:
    """Return our fields as this producer would send them: its names, its words, no larger amount."""
    message: dict[str, Any] = {}
    for field, value in fields.items():
        *heads, name = schema.column(field).split(".")
        inner = message
        for head in heads:
            inner = inner.setdefault(head, {})
        inner[name] = _in_their_words(field, value, schema)
    return message


def _in_their_words(field: str, value: object, schema: Schema) -> object:
    if field == "amount" and isinstance(value, int | float):
        return min(value, schema.max_amount)
    return next((theirs for theirs, ours in schema.values.get(field, {}).items() if ours == value), value)


def _add(document: dict[str, Any], path: list[str], described: Property, *, required: bool) -> None:
    first, rest = path[0], path[1:]
    if required and first not in document["required"]:
        document["required"].append(first)
    if not rest:
        document["properties"][first] = described
        return
    inner = document["properties"].setdefault(first, {"type": "object", "required": [], "properties": {}})
    _add(inner, rest, described, required=required)


def _is_required(field: str, schema: Schema) -> bool:
    return field in REQUIRED and field not in schema.defaults


def _property(field: str, schema: Schema) -> Property:
    described = dict(_PROPERTIES[field])
    if field in schema.values:
        described = {"enum": sorted({*schema.values[field], *described.get("enum", ())}, key=str)}
    if field == "amount":
        described["maximum"] = schema.max_amount
    if field in schema.defaults:
        described["default"] = schema.defaults[field]
    return described


def _id(longest: int = MAX_ID) -> Property:
    return {"type": ["string", "integer"], "minLength": 1, "maxLength": longest}


_PROPERTIES: dict[str, Property] = {
    "transaction_id": _id(),
    "timestamp": {
        "type": ["string", "number"],
        "description": "RFC 3339 with a zone, or epoch seconds, milliseconds, microseconds or nanoseconds",
    },
    "user_id": _id(),
    "merchant_id": _id(),
    "amount": {"type": "number", "minimum": 0},
    "currency": {"type": "string", "description": "ISO 4217", "pattern": "^[A-Za-z]{3}$"},
    "status": {"type": "string", "enum": [word.value for word in Status], "default": Status.APPROVED.value},
    "country": {"type": "string", "description": "ISO 3166-1 alpha-2", "pattern": "^[A-Za-z]{2}$"},
    "lat": {"type": "number", "minimum": -90, "maximum": 90},
    "lon": {"type": "number", "minimum": -180, "maximum": 180},
    **{field: _id(longest) for field, longest in LENGTHS.items()},
}
