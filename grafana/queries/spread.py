"""Questions about how anomalies are spread: amounts, scores, hours, weekdays, rules that go together."""

from itertools import pairwise

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import anomalies, imports, reasons
from grafana.queries.found import SEVERITIES

AMOUNTS = (0, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)
WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
SCORE_STEP = 5


def amounts(audience: Audience) -> Query:
    """Anomalies by amount, as it was sent."""
    names = [f"{low:,} to {high:,}" for low, high in pairwise(AMOUNTS)]
    names.append(f"{AMOUNTS[-1]:,} and more")
    chosen = "".join(
        f"if r.amount >= {low}.0 then {place} else " for place, low in reversed(list(enumerate(AMOUNTS)))
    )
    words = "".join(f'if r.place == {place} then "{name}" else ' for place, name in enumerate(names))
    return _counted(
        audience,
        ("amount",),
        f"    |> filter(fn: (r) => exists r.amount)\n    |> map(fn: (r) => ({{r with place: {chosen}0}}))\n"
        f'    |> map(fn: (r) => ({{r with which: {words}"unknown"}}))\n',
    )


def scores(audience: Audience) -> Query:
    """Anomalies by score."""
    step = SCORE_STEP
    return _counted(
        audience,
        ("score",),
        f"    |> map(fn: (r) => ({{r with place: int(v: r.score) / {step}}}))\n"
        f"    |> map(fn: (r) => ({{r with which: string(v: r.place * {step})}}))\n",
    )


def types(audience: Audience) -> Query:
    """Anomalies by the type of their first reason."""
    return _counted(audience, ("type",), "    |> map(fn: (r) => ({r with place: 0, which: r.type}))\n")


def hours(audience: Audience) -> Query:
    """Anomalies by hour of the day, UTC."""
    return _counted(
        audience,
        (),
        "    |> map(fn: (r) => ({r with place: date.hour(t: r._time)}))\n"
        "    |> map(fn: (r) => ({r with which: string(v: r.place)}))\n",
        "date",
    )


def weekdays(audience: Audience) -> Query:
    """Anomalies by day of the week, UTC, Monday first."""
    names = "".join(f'if r.day == {day} then "{name}" else ' for day, name in enumerate(WEEKDAYS))
    return _counted(
        audience,
        (),
        "    |> map(fn: (r) => ({r with day: date.weekDay(t: r._time)}))\n"
        f'    |> map(fn: (r) => ({{r with place: (r.day + 6) % 7, which: {names}"unknown"}}))\n',
        "date",
    )


def scores_over_time(audience: Audience) -> Query:
    """Every score at its time."""
    text = f"""\
{imports("strings")}
{anomalies(audience.found, ("score",))}    |> keep(columns: ["_time", "score"])
    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "score"), uid=audience.flux)


def together(audience: Audience, most: int = 15) -> Query:
    """Pairs of rules that hit the same transactions."""
    text = f"""\
{imports("strings")}
hits =
{reasons(audience.found, ("anomaly_id",))}    |> filter(fn: (r) => r.detector == "rules" and r.code =~ /^${{rule:regex}}$/)
    |> keep(columns: ["anomaly_id", "code"])
join(tables: {{one: hits, other: hits |> map(fn: (r) => ({{r with also: true}}))}}, on: ["anomaly_id"])
    |> filter(fn: (r) => r.code_one < r.code_other)
    |> group(columns: ["code_one", "code_other"])
    |> reduce(fn: (r, accumulator) => ({{count: accumulator.count + 1}}), identity: {{count: 0}})
    |> group()
    |> sort(columns: ["count"], desc: true)
    |> limit(n: {most})
"""
    return Query(text=text, columns=("code_one", "code_other", "count"), uid=audience.flux)


def _counted(audience: Audience, fields: tuple[str, ...], classes: str, *packages: str) -> Query:
    """Return how many of each severity there are in each class: `classes` makes `place` and `which`."""
    ones = ", ".join(
        f'{word}: accumulator.{word} + (if r.severity == "{word}" then 1 else 0)' for word in SEVERITIES
    )
    zeros = ", ".join(f"{word}: 0" for word in SEVERITIES)
    kept = ", ".join(f'"{name}"' for name in ("which", *SEVERITIES))
    text = f"""\
{imports(*packages, "strings")}
{anomalies(audience.found, fields)}{classes}    |> group(columns: ["place", "which"])
    |> reduce(fn: (r, accumulator) => ({{{ones}}}), identity: {{{zeros}}})
    |> group()
    |> sort(columns: ["place", "which"])
    |> keep(columns: [{kept}])
"""
    return Query(text=text, columns=("which", *SEVERITIES), uid=audience.flux)
