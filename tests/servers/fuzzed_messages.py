"""Messages as they should not be, from a seed: how producers, networks and attackers spoil one."""

import json
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

Fields = dict[str, object]
Spoil = Callable[[random.Random, Fields], bytes]

LONG = 200_000
DEEP = 100_000
HUGE = 10_000_000
HOSTILE = [
    "\u0000",
    "\u001f",
    "\x7f",
    "\n",
    "\r\n",
    ",",
    " ",
    "=",
    "\\",
    '"',
    "'",
    "%",
    "%2C",
    "#",
    "\ufeff",
    "\u2028",
    "\U0001f642",
]
ODD_VALUES: list[object] = [
    None,
    True,
    False,
    [],
    {},
    [1],
    {"a": 1},
    "",
    " ",
    "-",
    "0",
    "null",
    "NaN",
    "1e3",
    "\u0661\u0662",
    0,
    -1,
    -0.0,
    0.1,
    1e308,
    5e-324,
    2**53 + 1,
    2**63,
    2**64,
    10**30,
    "x" * 300,
]
ODD_NUMBERS = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "-1e999",
    "1" * 400,
    "0x10",
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "--1",
]
ODD_TIMES: list[object] = [
    "1970-01-01T00:00:00Z",
    "2100-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2024-02-30T00:00:00Z",
    "2024-01-01T24:00:00Z",
    "2024-12-31T23:59:60Z",
    "2026-06-01",
    "2026-06-01T10:00:00",
    "10:00",
    "yesterday",
    "",
    "2026-W10-1",
    "2026-06-01T10:00:00+25:00",
    "2026-06-01T10:00:00.123456789123Z",
    0,
    -1,
    1e20,
    -1e20,
    10**30,
    4102444800,
    4102444800000,
    "1717236000",
    1.5,
]


def good_fields(number: int, now: datetime) -> Fields:
    """Return the fields of a good message, a few seconds old."""
    return {
        "transaction_id": f"good-{number}",
        "timestamp": (now - timedelta(milliseconds=number % 5_000)).isoformat(),
        "user_id": f"u{number % 97}",
        "merchant_id": f"m{number % 11}",
        "amount": 1 + number % 500 + 0.25,
        "currency": "EUR",
        "status": "approved",
        "channel": "web",
        "country": "DE",
    }


def fuzzed(seed: int, count: int, now: datetime, *, huge: int) -> Iterator[bytes]:
    """Yield spoiled messages, among them `huge` of ten million bytes, spread evenly."""
    luck = random.Random(seed)
    every = max(1, count // huge) if huge else 0
    for number in range(count):
        fields = good_fields(number, now) | {"transaction_id": f"odd-{number}"}
        if every and number % every == every - 1:
            yield _json(fields | {"extra_text": "x" * HUGE})
        else:
            yield luck.choice(SPOILING)(luck, fields)


def _json(fields: object) -> bytes:
    return json.dumps(fields).encode()


def truncated(luck: random.Random, fields: Fields) -> bytes:
    whole = _json(fields)
    return whole[: luck.randrange(len(whole))]


def flipped(luck: random.Random, fields: Fields) -> bytes:
    whole = bytearray(_json(fields))
    for _ in range(luck.choice([1, 1, 2, 8])):
        whole[luck.randrange(len(whole))] = luck.randrange(256)
    return bytes(whole)


def odd_value(luck: random.Random, fields: Fields) -> bytes:
    return _json(fields | {luck.choice(list(fields)): luck.choice(ODD_VALUES)})


def odd_values(luck: random.Random, fields: Fields) -> bytes:
    return _json({name: luck.choice([value, luck.choice(ODD_VALUES)]) for name, value in fields.items()})


def odd_number(luck: random.Random, fields: Fields) -> bytes:
    whole = _json(fields | {"amount": 424242.5})
    return whole.replace(b"424242.5", luck.choice(ODD_NUMBERS).encode())


def odd_time(luck: random.Random, fields: Fields) -> bytes:
    return _json(fields | {"timestamp": luck.choice(ODD_TIMES)})


def odd_bytes(luck: random.Random, fields: Fields) -> bytes:
    name = luck.choice(["transaction_id", "user_id", "merchant_id", "country"])
    spoiled = luck.choice(
        [b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\\ud800", b"\\udc00\\ud800"]
    )
    return _json(fields | {name: "@@"}).replace(b"@@", spoiled)


def hostile_text(luck: random.Random, fields: Fields) -> bytes:
    name = luck.choice(["transaction_id", "user_id", "merchant_id", "device_id", "card_id", "ip"])
    text = "".join(luck.choices([*HOSTILE, "a"], k=luck.randrange(1, 8)))
    return json.dumps(fields | {name: text}, ensure_ascii=luck.random() < 0.5).encode()


def deep(luck: random.Random, fields: Fields) -> bytes:
    levels = luck.choice([50, 2_000, DEEP])
    nested = luck.choice(
        [b"[" * levels + b"]" * levels, b'{"a":' * levels + b"1" + b"}" * levels, b"[" * levels]
    )
    return luck.choice([nested, _json(fields | {"x": "@@"}).replace(b'"@@"', nested)])


def missing(luck: random.Random, fields: Fields) -> bytes:
    gone = luck.choice(list(fields))
    return _json({name: value for name, value in fields.items() if name != gone})


def surplus(luck: random.Random, fields: Fields) -> bytes:
    more = {f"f{number}": luck.choice(ODD_VALUES) for number in range(luck.choice([1, 5, 3_000]))}
    return _json(more | fields)


def twice(luck: random.Random, fields: Fields) -> bytes:
    name = luck.choice(list(fields))
    again = json.dumps({name: luck.choice(ODD_VALUES)})[1:]
    return _json(fields)[:-1] + b", " + again.encode()


def same_id(luck: random.Random, fields: Fields) -> bytes:
    return _json(fields | {"transaction_id": f"same-{luck.randrange(3)}"})


def long_text(luck: random.Random, fields: Fields) -> bytes:
    return _json(
        fields
        | {luck.choice(["user_id", "device_id", "note", "country"]): "y" * luck.choice([257, 4_096, LONG])}
    )


def no_object(luck: random.Random, fields: Fields) -> bytes:
    whole = _json(fields)
    forms = [
        b"",
        b" ",
        b"null",
        b"1",
        b'"text"',
        b"[]",
        b"{}",
        b"[" + whole + b"]",
        whole + whole,
        whole + b",",
        b"\xef\xbb\xbf" + whole,
    ]
    return luck.choice(
        [
            *forms,
            b"\x00" + whole,
            whole.replace(b'"', b"'"),
            b"// note\n" + whole,
            whole.decode().encode("utf-16"),
        ]
    )


def noise(luck: random.Random, _: Fields) -> bytes:
    return luck.randbytes(luck.choice([1, 20, 500, 5_000]))


def spaced(_: random.Random, fields: Fields) -> bytes:
    return b"\r\n\t " + json.dumps(fields, indent=3).encode() + b"\n\n"


SPOILING: list[Spoil] = [
    truncated,
    flipped,
    odd_value,
    odd_values,
    odd_number,
    odd_time,
    odd_bytes,
    hostile_text,
    deep,
    missing,
    surplus,
    twice,
    same_id,
    long_text,
    no_object,
    noise,
    spaced,
]
