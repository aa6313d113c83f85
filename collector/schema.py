"""The schema of a producer: how its messages become transactions.

It is data, so that a new producer needs no deployment.

    # schema.yaml
    rename: {user_id: customer, merchant_id: shop}   # our field: the producer's name
    defaults: {currency: EUR}                        # where the producer sends nothing
    values: {status: {OK: approved, KO: declined}}   # the producer's words
    naive_times: utc                                 # or refuse (default): times without a zone
    date_only: true                                  # or false (default): a date counts as its midnight
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from txwatch.columns import TRANSACTION
from txwatch.errors import ConfigurationError, InputError
from txwatch.model import Transaction
from txwatch.problems import did_you_mean

FIELDS = tuple(name for name in TRANSACTION if name != "extra")
REQUIRED = ("transaction_id", "timestamp", "user_id", "merchant_id", "amount", "currency")
MAX_AMOUNT = 1e12


class Schema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One producer's schema; the default one uses our own field names."""

    rename: dict[str, str] = {}
    defaults: dict[str, str | float] = {}
    values: dict[str, dict[str, str]] = {}
    naive_times: Literal["refuse", "utc"] = "refuse"
    date_only: bool = False
    max_amount: float = MAX_AMOUNT

    def __post_init__(self) -> None:
        """Refuse a field that does not exist."""
        for section in (self.rename, self.defaults, self.values):
            for name in section:
                if name not in FIELDS:
                    raise ValueError(f"there is no field {name!r}. {did_you_mean(name, FIELDS)}".strip())

    def column(self, field: str) -> str:
        """Return the producer's name of one of our fields."""
        return self.rename.get(field, field)


def load_schema(path: Path) -> Schema:
    """Read a schema file; raises InputError or ConfigurationError with one sentence."""
    try:
        data = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read the schema file {path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    try:
        return msgspec.convert(data or {}, Schema)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def with_options(schema: Schema, rename: Mapping[str, str], defaults: Mapping[str, str]) -> Schema:
    """Return the schema with what the command line adds; raises ConfigurationError on an unknown field."""
    try:
        return msgspec.structs.replace(
            schema, rename=schema.rename | dict(rename), defaults=schema.defaults | dict(defaults)
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def json_schema(schema: Schema) -> dict[str, Any]:
    """Return what a producer has to send, as JSON Schema (2020-12)."""
    properties = {schema.column(field): dict(_PROPERTIES[field]) for field in FIELDS}
    properties[schema.column("amount")]["maximum"] = schema.max_amount
    for field, default in schema.defaults.items():
        properties[schema.column(field)]["default"] = default
    for field, words in schema.values.items():
        properties[schema.column(field)]["examples"] = list(words)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "transaction",
        "description": (Transaction.__doc__ or "").strip(),
        "type": "object",
        "required": [schema.column(field) for field in REQUIRED if field not in schema.defaults],
        "properties": properties,
        "additionalProperties": True,
    }


_ID = {"type": ["string", "integer"], "minLength": 1, "maxLength": 128}
_PROPERTIES: dict[str, dict[str, Any]] = {
    "transaction_id": _ID,
    "timestamp": {
        "type": ["string", "number"],
        "description": "RFC 3339 with a zone, or epoch seconds, milliseconds, microseconds or nanoseconds",
    },
    "user_id": _ID,
    "merchant_id": _ID,
    "amount": {"type": ["number", "string"], "minimum": 0},
    "currency": {"type": "string", "description": "ISO 4217", "pattern": "^[A-Za-z]{3}$"},
    "status": {"type": "string", "enum": ["approved", "declined", "reversed"], "default": "approved"},
    "channel": {"type": "string", "maxLength": 32},
    "country": {"type": "string", "description": "ISO 3166-1 alpha-2", "pattern": "^[A-Za-z]{2}$"},
    "lat": {"type": "number", "minimum": -90, "maximum": 90},
    "lon": {"type": "number", "minimum": -180, "maximum": 180},
    "device_id": {"type": ["string", "integer"], "maxLength": 128},
    "ip": {"type": "string", "maxLength": 64},
    "card_id": {"type": ["string", "integer"], "maxLength": 128},
    "merchant_category": {"type": ["string", "integer"], "maxLength": 64},
}
