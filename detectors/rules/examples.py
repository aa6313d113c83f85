"""The examples that rules carry, run through the same windows and conditions as live transactions.

All examples of a file are evaluated as one batch; each has entities of its own, so none sees another.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import polars as pl

from detectors.published import PUBLISHED
from detectors.rules.batch import Batch
from detectors.rules.draft import COLUMN_KINDS, Draft
from detectors.rules.inputs import input_of
from detectors.rules.kinds import Kind
from detectors.rules.rule import Rule
from detectors.rules.spec import ENTITY_COLUMNS
from detectors.rules.windowing import read_duration
from detectors.rules.windows import Windows
from detectors.types import Flags, Floats, Rows32
from txwatch.model import Status
from txwatch.problems import Problem, did_you_mean
from txwatch.yamltree import TreePath

START = datetime(2025, 1, 1, 12, tzinfo=UTC)
"""When every example begins: a Wednesday noon."""

_ORDINARY: dict[str, Any] = {
    "transaction_id": "example",
    "user_id": "example-user",
    "merchant_id": "example-merchant",
    "amount": 25.0,
    "status": "approved",
}
"""What a step has that leaves these out; every other column is null."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One example: its steps, the last of which is meant."""

    rule: Rule
    path: TreePath
    hit: bool
    steps: list[dict[str, Any]]


def run_examples(draft: Draft) -> Iterator[Problem]:
    """Yield a problem for each example that cannot be read or does not do what it says."""
    stories, problems = _collect(draft)
    yield from problems
    if not stories:
        return
    rows = [(number, step) for number, story in enumerate(stories) for step in _timed(story.steps)]
    frame = _frame(rows, draft)
    ends = np.cumsum([len(story.steps) for story in stories]) - 1
    batch = _batch(draft, frame, rows)
    for rule in draft.rules:
        mine = [(story, int(end)) for story, end in zip(stories, ends, strict=True) if story.rule is rule]
        yield from _judged(draft, rule, mine, batch)


def _collect(draft: Draft) -> tuple[list[Told], list[Problem]]:
    stories: list[Told] = []
    problems: list[Problem] = []
    for place, rule in zip(draft.places, draft.rules, strict=True):
        if not rule.columns <= draft.kinds.keys():
            continue  # it reads a feature that has a fault of its own, which is told there
        for key, examples in (("hits", rule.spec.hits), ("misses", rule.spec.misses)):
            for k, example in enumerate(examples):
                path: TreePath = ("rules", place, key, k)
                faults = list(_faults(draft, path, example))
                problems += faults
                steps = example if isinstance(example, list) else [example]
                if steps and not faults:
                    stories.append(Told(rule=rule, path=path, hit=key == "hits", steps=steps))
    return stories, problems


def _faults(draft: Draft, path: TreePath, example: object) -> Iterator[Problem]:
    if isinstance(example, list):
        if not example:
            yield draft.document.problem(path, "an example has at least one transaction")
        for i, step in enumerate(example):
            yield from _step_faults(draft, (*path, i), step)
    elif isinstance(example, dict):
        yield from _step_faults(draft, path, example)


def _step_faults(draft: Draft, path: TreePath, step: dict[str, Any]) -> Iterator[Problem]:
    kinds = draft.kinds
    for name, value in step.items():
        place = (*path, name)
        if name == "after":
            if not isinstance(value, str) or read_duration(value) is None:
                yield draft.document.problem(place, "`after` is a time since the step before, such as 30s")
        elif name == "timestamp":
            yield draft.document.problem(place, "an example starts at noon", "move it with `after` or `hour`")
        elif name not in kinds:
            advice = did_you_mean(name, [*kinds, "after"])
            yield draft.document.problem(place, f"unknown column `{name}`", advice, on_key=True)
        else:
            yield from _value_faults(draft, place, name, value, kinds[name])


def _value_faults(draft: Draft, path: TreePath, name: str, value: object, kind: Kind) -> Iterator[Problem]:
    statuses = [status.value for status in Status]
    if value is None and name in {*_ORDINARY, "currency"}:
        yield draft.document.problem(path, f"`{name}` is never null")
    elif value is not None and not _is_of(value, kind):
        advice = "put it in quotes" if kind is Kind.TEXT else ""
        yield draft.document.problem(path, f"`{name}` is {kind.value}", advice)
    elif name == "status" and value not in statuses:
        advice = did_you_mean(str(value), statuses)
        yield draft.document.problem(path, f"`status` is one of {', '.join(statuses)}", advice)


def _is_of(value: object, kind: Kind) -> bool:
    if kind is Kind.NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, bool if kind is Kind.FLAG else str)


def _timed(steps: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    at = START
    for step in steps:
        at += timedelta(milliseconds=read_duration(step.get("after", "0s")) or 0)
        amount = step.get("amount", _ORDINARY["amount"])
        known = {"timestamp": at, "hour": at.hour, "weekday": at.isoweekday(), "amount_base": amount}
        yield _ORDINARY | known | step


def _frame(rows: list[tuple[int, dict[str, Any]]], draft: Draft) -> pl.DataFrame:
    currency = draft.document.section("base_currency") or "EUR"
    columns = {
        name: [step.get(name, currency if name == "currency" else None) for _, step in rows]
        for name in PUBLISHED
    }
    schema = {
        name: pl.Float64() if COLUMN_KINDS[name] is Kind.NUMBER else column.dtype
        for name, column in PUBLISHED.items()
    }
    return pl.DataFrame(columns, schema=schema, strict=False)


def _batch(draft: Draft, frame: pl.DataFrame, rows: list[tuple[int, dict[str, Any]]]) -> Batch:
    groups = {*((name,) for name in ENTITY_COLUMNS), *(feature.by for feature in draft.features)}
    entities = {"+".join(by): _entities(by, rows) for by in groups}
    batch = Batch(frame, entities, draft.lists)
    inputs = {feature.name: input_of(feature)(batch) for feature in draft.features}
    features = Windows(draft.features).step(frame, inputs, entities)
    batch.add({name: _overridden(name, values, rows) for name, values in features.items()})
    return batch


def _entities(by: tuple[str, ...], rows: list[tuple[int, dict[str, Any]]]) -> Rows32:
    known: dict[tuple[Any, ...], int] = {}
    ids = [(number, *(step.get(name) for name in by)) for number, step in rows]
    return np.array([-1 if None in each else known.setdefault(each, len(known)) for each in ids], np.int32)


def _overridden(name: str, values: Floats, rows: list[tuple[int, dict[str, Any]]]) -> Floats:
    for i, (_, step) in enumerate(rows):
        if name in step:
            values[i] = np.nan if step[name] is None else step[name]
    return values


def _judged(draft: Draft, rule: Rule, mine: list[tuple[Told, int]], batch: Batch) -> Iterator[Problem]:
    try:
        with np.errstate(all="ignore"):
            holds = rule.condition()(batch)
    except Exception as error:  # noqa: BLE001  # a rule that raises is a problem of the file, not a crash
        yield draft.document.problem(
            mine[0][0].path if mine else (), f"the rule cannot be evaluated: {error}"
        )
        return
    for story, end in mine:
        if holds[end] and not story.hit:
            yield draft.document.problem(story.path, f"rule {rule.spec.id} holds for this example of a miss")
        elif story.hit and not holds[end]:
            sentence = f"rule {rule.spec.id} does not hold for this example of a hit"
            yield draft.document.problem(story.path, sentence, _unknown(draft, rule, batch, end))


def _unknown(draft: Draft, rule: Rule, batch: Batch, row: int) -> str:
    """Name the columns that the rule reads and the example leaves unknown: the usual cause."""
    names = [name for name in sorted(rule.condition_columns) if _is_null(draft.kinds[name], name, batch, row)]
    return f"unknown in it: {', '.join(names)}" if names else ""


def _is_null(kind: Kind, name: str, batch: Batch, row: int) -> bool:
    if kind is Kind.NUMBER:
        return bool(np.isnan(batch.number(name)[row]))
    answer: Flags = batch.text(name).is_null().to_numpy()
    return bool(answer[row])
