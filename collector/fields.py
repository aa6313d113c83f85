"""One field at a time: a producer's value becomes ours, or a `Fault` that says why not.  All pure."""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from collector.codes import COUNTRIES, CURRENCIES
from collector.schema import Schema
from txwatch.model import Status

MAX_ID = 128
LONGEST_TEXT = 64
"""Of a number or time written as text."""
LONGEST_CODE = 3
LENGTHS = {"channel": 32, "device_id": MAX_ID, "ip": 64, "card_id": MAX_ID, "merchant_category": 64}
FIRST_TIME = datetime(1970, 1, 2, tzinfo=UTC)
LAST_TIME = datetime(2100, 1, 1, tzinfo=UTC)

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_EPOCH_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))
"""Below the first number of a pair, an epoch number is in seconds times the second."""


class Fault(Exception):  # noqa: N818 - a value on its way up through one function, not an error of ours
    """Why a value cannot be ours: a stable code and a sentence without the value's secrets."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def identifier(value: Any, longest: int = MAX_ID) -> str:
    """Return an id as text; whole numbers are welcome."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Fault("wrong_type", f"is {_kind(value)}, not text")
    if not value:
        raise Fault("empty", "is empty")
    if len(value) > longest:
        raise Fault("too_long", f"has {len(value):,} characters, at most {longest} are kept")
    if _CONTROL.search(value):
        raise Fault("bad_character", "contains a control character")
    return value


def amount(value: Any, largest: float) -> float:
    """Return an amount: finite, from 0 to `largest`."""
    found = number(value)
    if not 0 <= found <= largest:
        side = "negative" if found < 0 else f"above {largest:g}"
        raise Fault("out_of_range", f"is {side}")
    return abs(found)


def number(value: Any) -> float:
    """Return a finite number, also from its decimal text."""
    if isinstance(value, str) and len(value) <= LONGEST_TEXT and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Fault("wrong_type", f"is {_kind(value)}, not a number")
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise Fault("not_finite", "is not a finite number")
    return found


def degrees(value: Any, largest: float) -> float:
    """Return a latitude or longitude."""
    found = number(value)
    if abs(found) > largest:
        raise Fault("out_of_range", f"is not within {largest:g} degrees")
    return found


def moment(value: Any, schema: Schema) -> datetime:
    """Return a time, aware, in UTC, to the millisecond."""
    found = _moment(value, schema)
    if found.tzinfo is None:
        if schema.naive_times == "refuse":
            raise Fault("naive_time", "has no time zone (the schema's `naive_times: utc` would accept it)")
        found = found.replace(tzinfo=UTC)
    try:
        found = found.astimezone(UTC)
    except OverflowError:
        raise Fault("time_out_of_range", "is no time between 1970 and 2100") from None
    if not FIRST_TIME <= found < LAST_TIME:
        raise Fault("time_out_of_range", "is no time between 1970 and 2100")
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def currency(value: Any) -> str:
    """Return an ISO 4217 code in capitals."""
    return _code(value, CURRENCIES, "currency (ISO 4217)")


def country(value: Any) -> str:
    """Return an ISO 3166-1 code in capitals."""
    return _code(value, COUNTRIES, "country (ISO 3166-1)")


def status(value: Any) -> Status:
    """Return a status from its word."""
    try:
        return Status(value.lower() if isinstance(value, str) else value)
    except ValueError:
        raise Fault("unknown_word", "is none of approved, declined, reversed") from None


def _moment(value: Any, schema: Schema) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return _from_text(value, schema)
    return _from_epoch(number(value))


def _from_text(text: str, schema: Schema) -> datetime:
    if len(text) > LONGEST_TEXT:
        raise Fault("bad_time", "is no RFC 3339 time")
    if _DATE.fullmatch(text) and not schema.date_only:
        raise Fault("date_only", "is a date without a time (the schema's `date_only: true` would accept it)")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Fault("bad_time", "is no RFC 3339 time") from None
    return found.replace(tzinfo=UTC) if _DATE.fullmatch(text) else found


def _from_epoch(value: float) -> datetime:
    for limit, unit in _EPOCH_UNITS:
        if abs(value) < limit:
            return datetime.fromtimestamp(math.floor(value / unit * 1000) / 1000, UTC)
    raise Fault("time_out_of_range", "is no time between 1970 and 2100")


def _code(value: Any, known: frozenset[str], what: str) -> str:
    found = value.upper() if isinstance(value, str) and len(value) <= LONGEST_CODE else ""
    if found not in known:
        raise Fault("unknown_code", f"is no {what}")
    return found


def _kind(value: Any) -> str:
    names: dict[type, str] = {bool: "true or false", dict: "an object", list: "a list", float: "a number"}
    return "null" if value is None else names.get(type(value), "text")


Reader = Callable[[Any, Schema], Any]

READERS: dict[str, Reader] = {
    "transaction_id": lambda value, _: identifier(value),
    "timestamp": moment,
    "user_id": lambda value, _: identifier(value),
    "merchant_id": lambda value, _: identifier(value),
    "amount": lambda value, schema: amount(value, schema.max_amount),
    "currency": lambda value, _: currency(value),
    "status": lambda value, _: status(value),
    "country": lambda value, _: country(value),
    "lat": lambda value, _: degrees(value, 90.0),
    "lon": lambda value, _: degrees(value, 180.0),
    "channel": lambda value, _: identifier(value, LENGTHS["channel"]),
    "device_id": lambda value, _: identifier(value, LENGTHS["device_id"]),
    "ip": lambda value, _: identifier(value, LENGTHS["ip"]),
    "card_id": lambda value, _: identifier(value, LENGTHS["card_id"]),
    "merchant_category": lambda value, _: identifier(value, LENGTHS["merchant_category"]),
}
"""How each field is read; the order is the order in which faults are reported."""
