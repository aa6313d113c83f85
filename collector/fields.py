"""One field at a time: a producer's value becomes ours, or a `Fault` that says why not.  All pure."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from collector.codes import COUNTRIES, CURRENCIES
from txwatch.model import Status

MAX_ID = 128
LENGTHS = {"channel": 32, "device_id": MAX_ID, "ip": 64, "card_id": MAX_ID, "merchant_category": 64}
LONGEST_TEXT = 64
"""Of a number or time written as text."""
LONGEST_CODE = 3
FIRST_TIME = datetime(1980, 1, 1, tzinfo=UTC)
"""Late enough that a date written as a number (20260302) is no epoch time, and every unit is told apart."""
LAST_TIME = datetime(2100, 1, 1, tzinfo=UTC)
EPOCH_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
"""Below the first number of a pair, an epoch number counts so many nanoseconds: it is in seconds,
milliseconds, microseconds or nanoseconds."""
UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
"""What would break a log line, a terminal or a message: control, zero-width and direction signs."""

_UNPRINTABLE = re.compile(UNPRINTABLE[:-1] + r"\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,30})?)?([Zz]|[+-]\d\d(:?\d\d)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = slice(17, 19)
_KINDS = {
    type(None): "null",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    int: "a number",
    float: "a number",
    Decimal: "a number",
    bytes: "bytes",
    str: "text",
}


class Allowed(Protocol):
    """What a producer's schema allows, as far as single values are concerned."""

    @property
    def naive_times(self) -> str:
        """`utc`, or `refuse` times without a zone."""

    @property
    def date_only(self) -> bool:
        """Whether a date alone counts as its midnight."""

    @property
    def max_amount(self) -> float:
        """The largest amount."""


class Fault(Exception):  # noqa: N818 - a value on its way up through one function, not an error of ours
    """Why a value cannot be ours: a stable code and a sentence without the value's secrets."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


def identifier(value: Any, longest: int = MAX_ID) -> str:
    """Return an id as text; whole numbers are welcome."""
    if type(value) is int:
        value = str(value) if abs(value) < 10**MAX_ID else "9" * (MAX_ID + 1)
    if not isinstance(value, str):
        raise Fault("wrong_type", f"is {kind(value)}, not text")
    if not value or value.isspace():
        raise Fault("empty", "is blank")
    if len(value) > longest:
        raise Fault("too_long", f"has {len(value):,} characters, at most {longest} are kept")
    if not (value.isascii() and value.isprintable()) and _UNPRINTABLE.search(value):
        raise Fault("bad_character", "contains a control or invisible character, or bytes that are not UTF-8")
    return value


def amount(value: Any, allowed: Allowed) -> float:
    """Return an amount: finite, from 0 to the largest allowed."""
    found = number(value)
    if not 0 <= found <= allowed.max_amount:
        raise Fault("out_of_range", "is negative" if found < 0 else f"is above {allowed.max_amount:g}")
    return abs(found)


def number(value: Any) -> float:
    """Return a finite number, also from its decimal text."""
    if isinstance(value, str):
        value = _number_from_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Fault("wrong_type", f"is {kind(value)}, not a number")
    try:
        found = float(value)
    except (OverflowError, ValueError):
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


def moment(value: Any, allowed: Allowed) -> datetime:
    """Return a time, aware, in UTC, cut to the millisecond."""
    found = _moment(value, allowed)
    if found.tzinfo is None:
        if allowed.naive_times == "refuse":
            raise Fault("naive_time", "has no time zone (the schema's `naive_times: utc` would accept it)")
        found = found.replace(tzinfo=UTC)
    try:
        found = found.astimezone(UTC)
    except OverflowError:
        raise _no_time_of_ours() from None
    if not FIRST_TIME <= found < LAST_TIME:
        raise _no_time_of_ours()
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def currency(value: Any) -> str:
    """Return an ISO 4217 code in capitals."""
    return _code(value, CURRENCIES, "currency (ISO 4217)")


def country(value: Any) -> str:
    """Return an ISO 3166-1 code in capitals."""
    return _code(value, COUNTRIES, "country (ISO 3166-1 alpha-2)")


def status(value: Any) -> Status:
    """Return a status from its word, in any case."""
    found = _STATUSES.get(value.lower()) if isinstance(value, str) and len(value) <= LONGEST_TEXT else None
    if found is None:
        raise Fault("unknown_word", "is none of approved, declined, reversed")
    return found


def kind(value: Any) -> str:
    """Return what people call the type of a value."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def _number_from_text(text: str) -> float | str:
    stripped = text.strip() if len(text) <= LONGEST_TEXT else ""
    return float(stripped) if _NUMBER.fullmatch(stripped) else text


def _moment(value: Any, allowed: Allowed) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, str):
        text = value.strip() if len(value) <= LONGEST_TEXT else ""
        if _RFC_3339.fullmatch(text):
            return _from_rfc_3339(text.upper())
        if not _NUMBER.fullmatch(text):
            return _from_date(text, allowed)
        value = int(text) if text.isdigit() else float(text)
    return _from_epoch(value)


def _from_rfc_3339(text: str) -> datetime:
    """Python's own parser, with what it lacks: leap seconds."""
    try:
        if text[_SECONDS] == "60":
            return datetime.fromisoformat(text[:17] + "59" + text[19:]) + timedelta(seconds=1)
        return datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise Fault("bad_time", "is no RFC 3339 time") from None


def _from_date(text: str, allowed: Allowed) -> datetime:
    if not _DATE.fullmatch(text):
        raise Fault("bad_time", "is no RFC 3339 time")
    if not allowed.date_only:
        raise Fault("date_only", "is a date without a time (the schema's `date_only: true` would accept it)")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise Fault("bad_time", "is no date of the calendar") from None


def _from_epoch(value: Any) -> datetime:
    """Whole numbers exactly, others to the microsecond."""
    given = value if type(value) is int else number(value)
    for limit, nanoseconds in EPOCH_UNITS:
        if 0 <= given < limit:
            exact = given * nanoseconds if type(given) is int else round(given * nanoseconds / 1_000) * 1_000
            return _EPOCH + timedelta(milliseconds=exact // 1_000_000)
    raise _no_time_of_ours()


def _no_time_of_ours() -> Fault:
    return Fault("time_out_of_range", f"is no time between {FIRST_TIME.year} and {LAST_TIME.year}")


def _code(value: Any, known: frozenset[str], what: str) -> str:
    if value.__class__ is str and value in known:
        return str(value)
    found = value.upper() if isinstance(value, str) and len(value) <= LONGEST_CODE else ""
    if found not in known:
        raise Fault("unknown_code", f"is no {what}")
    return found


_STATUSES: Mapping[str, Status] = {word.value: word for word in Status}

Reader = Callable[[Any, Allowed], Any]


def _text(longest: int) -> Reader:
    return lambda value, _: identifier(value, longest)


READERS: dict[str, Reader] = {
    "transaction_id": _text(MAX_ID),
    "timestamp": moment,
    "user_id": _text(MAX_ID),
    "merchant_id": _text(MAX_ID),
    "amount": amount,
    "currency": lambda value, _: currency(value),
    "status": lambda value, _: status(value),
    "country": lambda value, _: country(value),
    "lat": lambda value, _: degrees(value, 90.0),
    "lon": lambda value, _: degrees(value, 180.0),
    **{field: _text(longest) for field, longest in LENGTHS.items()},
}
"""How each field is read; the order is the order in which faults are reported."""
