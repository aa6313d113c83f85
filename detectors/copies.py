"""Versions of the rules, and fitted models, as dashboards show them."""

import operator
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from detectors.administer.showing import counted, difference, state
from detectors.configuration import drafted
from txwatch.copies import Copy
from txwatch.errors import ConfigurationError
from txwatch.model import RulesVersion
from txwatch.registry import RegisteredModel

EVERY: Final = timedelta(seconds=10)
_BEFORE_AND_AFTER: Final = 50
"""Versions that are shown: the newest."""


class RulesShelf(Protocol):
    """The part of the ledger that keeps versions of the rules."""

    def head(self) -> tuple[int, str]:
        """Return number and version of what is in force."""

    def newest(self, limit: int = 100) -> list[RulesVersion]:
        """Return the versions that came into force, the newest first."""

    def blocked(self) -> dict[str, str]:
        """Return the versions that stay out, and why."""


class ModelShelf(Protocol):
    """The part of the ledger that keeps models."""

    def listed(self) -> list[RegisteredModel]:
        """Return every model, the newest first."""


class RulesCopies:
    """Copies of the newest versions, and of each rule of the one in force.

    None while nothing changed, since versions are whole files.
    """

    def __init__(self, shelf: RulesShelf) -> None:
        self._shelf = shelf
        self._known: tuple[int, dict[str, str]] | None = None

    def __call__(self) -> Sequence[Copy]:
        """Return them, if there is something new."""
        head, _ = self._shelf.head()
        blocked = self._shelf.blocked()
        if self._known == (head, blocked):
            return []
        self._known = (head, blocked)
        found = sorted(self._shelf.newest(_BEFORE_AND_AFTER + 1), key=operator.attrgetter("number"))
        before: list[RulesVersion | None] = [None, *found]
        pairs = list(zip(before, found, strict=False))
        shown = pairs if len(found) <= _BEFORE_AND_AFTER else pairs[1:]
        versions = [_version(old, new, head, blocked) for old, new in shown]
        return [*versions, *(each for new in found if new.number == head for each in _rules(new))]


class ModelCopies:
    """Copies of every model: what it was fitted to, where it stands, and how it did beside the champion."""

    def __init__(self, shelf: ModelShelf) -> None:
        self._shelf = shelf

    def __call__(self) -> Sequence[Copy]:
        """Return them."""
        return [_model(each) for each in self._shelf.listed()]


def _version(old: RulesVersion | None, new: RulesVersion, head: int, blocked: Mapping[str, str]) -> Copy:
    return Copy(
        kind="rules_versions",
        at=datetime.fromtimestamp(new.at, UTC),
        number=new.number,
        values={
            "number": new.number,
            "version": new.version,
            "state": state(new, head, blocked),
            "actor": new.actor,
            "reason": new.reason,
            "changed": counted(difference(old, new)),
        },
    )


def _rules(version: RulesVersion) -> Iterator[Copy]:
    """Yield the rules of a version; none of one that this release cannot read any more."""
    try:
        draft = drafted(Path("rules.yaml"), version.content, dict(version.beside))
    except ConfigurationError:
        return
    for rule in draft.rules:
        yield Copy(
            kind="rules",
            at=datetime.fromtimestamp(version.at, UTC),
            number=version.number,
            labels={"rule": rule.spec.id},
            values={"number": version.number, "mode": rule.spec.mode, "severity": rule.spec.severity},
        )


def _model(model: RegisteredModel) -> Copy:
    judged = model.held_back
    against: Mapping[str, Any] = judged.get("champion", {})
    return Copy(
        kind="models",
        at=datetime.fromtimestamp(model.at, UTC),
        number=model.number,
        labels={"detector": model.name},
        values={
            "number": model.number,
            "version": model.version,
            "state": model.state.value,
            "sentence": model.sentence,
            "payments": int(model.facts.get("rows", 0)),
            "held_back": int(judged.get("rows", 0)),
            "ordinary": _figure(judged, "ordinary"),
            "champion_ordinary": _figure(against, "ordinary"),
            "ranking": _figure(judged, "ranking"),
            "champion_ranking": _figure(against, "ranking"),
        },
    )


def _figure(figures: Mapping[str, Any], name: str) -> float | None:
    return float(figures[name]) if name in figures else None
