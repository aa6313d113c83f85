"""Message templates: "{user_count_20m} payments in 20 min" with a transaction's own numbers filled in."""

import re
import string
from collections.abc import Collection, Iterator, Mapping

import msgspec

from txwatch.problems import did_you_mean

_FORMAT = re.compile(r"(,)?(\.[0-6]f)?")

UNSHOWN = "extra"
"""Whatever else a producer sent: persons' ids in it could not be told from other text, and so not hidden."""

Value = float | int | str | bool | None


class Message(msgspec.Struct, frozen=True):
    """A checked template: pairs of literal text and the (column, format) that follows it, or None."""

    parts: tuple[tuple[str, tuple[str, str] | None], ...]

    @property
    def columns(self) -> frozenset[str]:
        """The columns whose values it shows."""
        return frozenset(field[0] for _, field in self.parts if field)

    def fill(self, values: Mapping[str, object]) -> str:
        """Return the sentence for one transaction; what is not known reads "unknown"."""
        return "".join(
            text + (shown(values.get(field[0]), field[1]) if field else "") for text, field in self.parts
        )


def read_message(template: str, columns: Collection[str]) -> Message | list[tuple[str, str, str]]:
    """Return the message, or its faults as (place in the template, sentence, suggestion)."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError:
        return [(template, "a brace is left open; { and } themselves are written {{ and }}", "")]
    faults = [fault for _, name, form, change in parsed for fault in _faults(name, form, change, columns)]
    if faults:
        return faults
    return Message(tuple((text, (name, form or "") if name else None) for text, name, form, _ in parsed))


def shown(value: object, form: str = "") -> str:
    """Return a value as people write it: 1,234.50, 3, yes, unknown.

    Example:
        >>> shown(1234.5), shown(3.0), shown(None), shown(0.257, ".1f")
        ('1,234.50', '3', 'unknown', '0.3')
    """
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return format(value, form or (",.0f" if float(value).is_integer() else ",.2f"))
    return str(value)


def _faults(
    name: str | None, form: str | None, change: str | None, columns: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    if name is None:
        return
    if name not in columns:
        yield name or "{", f"unknown column `{name}` in the message", did_you_mean(name, columns)
    elif name == UNSHOWN:
        yield name, f"a message may not show `{name}`: it may name persons", "leave it out, or show a column"
    elif change or not _FORMAT.fullmatch(form or ""):
        yield name, f"`{{{name}}}` takes a format such as `.1f` and nothing else", f"write {{{name}:.1f}}"
