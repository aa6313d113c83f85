"""The schema of a producer: how its messages become transactions.

It is data, so that a new producer needs no deployment.  The default one uses our own field names.

    # schema.yaml
    rename: {user_id: customer, amount: payment.value}   # our field: the producer's name, or a path to it
    defaults: {currency: EUR}                            # where the producer sends nothing
    values: {status: {OK: approved, KO: declined}}       # the producer's words
    naive_times: utc                                     # or refuse (default): times without a zone
    date_only: true                                      # or false (default): a date counts as its midnight
    max_amount: 1000000                                  # a larger amount is refused
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from collector.fields import READERS, Fault
from txwatch.columns import TRANSACTION
from txwatch.errors import ConfigurationError, InputError
from txwatch.problems import did_you_mean
from txwatch.yamltree import read_tree

FIELDS = tuple(name for name in TRANSACTION if name != "extra")
REQUIRED = ("transaction_id", "timestamp", "user_id", "merchant_id", "amount", "currency")
MAX_AMOUNT = 1e12

Constant = str | int | float


class Schema(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One producer's schema; every default, and every word that `values` leads to, is valid."""

    rename: dict[str, Annotated[str, msgspec.Meta(min_length=1)]] = {}
    defaults: dict[str, Constant] = {}
    values: dict[str, dict[str, str]] = {}
    naive_times: Literal["refuse", "utc"] = "refuse"
    date_only: bool = False
    max_amount: Annotated[float, msgspec.Meta(gt=0, le=MAX_AMOUNT)] = MAX_AMOUNT

    def __post_init__(self) -> None:
        """Refuse a field that does not exist, and a value that no message could carry either."""
        for section in (self.rename, self.defaults, self.values):
            for name in section:
                if name not in FIELDS:
                    raise ValueError(f"there is no field {name!r}{_suggestion(name, FIELDS)}")
        for field, value in self.defaults.items():
            self._check(field, value, "the default")
        for field, words in self.values.items():
            for word in words.values():
                self._check(field, word, "the value")

    def column(self, field: str) -> str:
        """Return the producer's name of one of our fields."""
        return self.rename.get(field, field)

    def _check(self, field: str, value: Constant, what: str) -> None:
        try:
            READERS[field](value, self)
        except Fault as fault:
            raise ValueError(f"{what} {value!r} of {field} {fault.sentence}") from None


def load_schema(path: Path) -> Schema:
    """Read a schema file; raises InputError or ConfigurationError with one sentence."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read the schema file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text") from error
    try:
        return msgspec.convert(_data(path, text), Schema)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from error


def with_options(schema: Schema, rename: Mapping[str, str], defaults: Mapping[str, str]) -> Schema:
    """Return the schema with what the command line adds; raises ConfigurationError on what cannot be."""
    try:
        return msgspec.structs.replace(
            schema, rename=schema.rename | dict(rename), defaults=schema.defaults | dict(defaults)
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _data(path: Path, text: str) -> Any:
    try:
        tree = read_tree(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{path}:{line}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    for offset, sentence in tree.faults:
        raise ConfigurationError(f"{path}:{_line(text, offset)}: {sentence}")
    for (key, *inner), (offset, _) in tree.keys.items():
        if not inner and key not in Schema.__struct_fields__:
            advice = _suggestion(str(key), Schema.__struct_fields__)
            raise ConfigurationError(f"{path}:{_line(text, offset)}: there is no key {key!r}{advice}")
    return {} if tree.data is None else tree.data


def _line(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _suggestion(word: str, known: Sequence[str]) -> str:
    found = did_you_mean(word, known)
    return f"; {found}" if found else f"; there are {', '.join(known)}"
