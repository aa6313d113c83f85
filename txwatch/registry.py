"""The words of the registry of fitted models: what was fitted, what became of it, what people want."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec


class ModelEvent(StrEnum):
    """What happened to a fitted model."""

    FITTED = "fitted"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    REFUSED = "refused"
    """Somebody wanted it, and it could not be used."""


class ModelChange(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one fitted model of a detector, at an event time."""

    name: str
    """The detector's."""
    version: str
    """A hash of the model: the same model has the same one."""
    event: ModelEvent
    at: datetime
    sentence: str
    facts: dict[str, Any]
    """With FITTED what it was fitted to, otherwise what it did on payments that were held back."""
    payload: bytes = b""
    """With FITTED the model itself."""

    def __post_init__(self) -> None:
        """Refuse a naive time."""
        if self.at.tzinfo is None:
            raise ValueError("at has no time zone; every time in txwatch is aware")


class ModelState(StrEnum):
    """Where a fitted model stands."""

    CHAMPION = "champion"
    """It counts."""
    CHALLENGER = "challenger"
    """It scores in shadow until it is judged."""
    RETIRED = "retired"
    """It counted once."""
    REJECTED = "rejected"


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A fitted model as the registry knows it; `at` and `since` are seconds since 1970 UTC, wall-clock."""

    number: int
    """Given by the ledger, from 1, over all detectors."""
    name: str
    """The detector's."""
    version: str
    at: float
    fitted_at: float
    """Event time, seconds since 1970 UTC."""
    facts: dict[str, Any]
    """What it was fitted to."""
    state: ModelState
    since: float
    sentence: str
    """Why it stands there."""
    held_back: dict[str, Any] = {}
    """What it did on payments that were held back, once it was judged."""


class ModelOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a person wants of a model: that it counts from now on."""

    model: int
    """Its number."""
    held: bool
    """Whether none replaces it by itself."""
    actor: str
    reason: str
    number: int = 0
    """Of the order; given by the ledger, from 1."""
