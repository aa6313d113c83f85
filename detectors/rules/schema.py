"""The JSON Schema of `rules.yaml`, for editors: made from the structs that the loader checks against."""

from collections.abc import Mapping
from typing import Any

import msgspec

from detectors.rules.spec import Currency, Features, Lists, Rules
from txwatch.rulesfile import SECTIONS

_OWN: dict[str, Any] = {"base_currency": Currency, "features": Features, "lists": Lists, "rules": Rules}


def json_schema(sections: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema; `sections` are the types of sections that other parts of the product use.

    A section whose type is not given may hold any mapping or list.
    """
    kinds = _OWN | dict(sections or {})
    schemas, definitions = msgspec.json.schema_components(list(kinds.values()))
    properties: dict[str, Any] = {"version": {"const": 1}}
    properties |= dict(zip(kinds, schemas, strict=True))
    properties |= {name: {"type": ["object", "array"]} for name in SECTIONS if name not in properties}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "rules.yaml of txwatch",
        "type": "object",
        "properties": properties,
        "required": ["version"],
        "additionalProperties": False,
        "$defs": definitions,
    }
