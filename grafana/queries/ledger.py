"""Questions about what people and models decided: copies of the ledger's records (`docs/metrics.md`)."""

from grafana.audience import Audience
from grafana.panels.query import Query
from grafana.queries.flux import (
    LIVE,
    STANDING,
    START,
    STOP,
    counted_over_time,
    imports,
    line,
    points,
    summaries,
)

_LABELS = f"""\
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "labels" and r._field == "verdict")
"""


_AS_TABLE = """\
union(tables: [rules, leading, said])
    |> group()
    |> pivot(rowKey: ["kind", "name"], columnKey: ["figure"], valueColumn: "n")
    |> map(
        fn: (r) => {
            anomalies = if exists r.anomalies then r.anomalies else 0
            fraud = if exists r.fraud then r.fraud else 0
            wrong = if exists r["false-positive"] then r["false-positive"] else 0
            said = fraud + wrong

            return {
                kind: r.kind,
                name: r.name,
                anomalies: anomalies,
                fraud: fraud,
                wrong: wrong,
                precision: if said > 0 then 100.0 * float(v: fraud) / float(v: said) else -1.0,
                unlabelled: if anomalies > 0 then 100.0 * float(v: anomalies - said) / float(v: anomalies) else 0.0,
            }
        },
    )
    |> sort(columns: ["anomalies"], desc: true)
"""
"""Counts of anomalies and of what was said, a row each, as a row for each rule and detector."""


_ALWAYS = "1970-01-01T00:00:00Z"

_RULES_AS_TABLE = """\
union(tables: [modes, often, lately, said])
    |> group()
    |> pivot(rowKey: ["rule"], columnKey: ["figure"], valueColumn: "n")
    |> map(
        fn: (r) => {
            mode = if exists r.mode then r.mode else 0
            fraud = if exists r.fraud then r.fraud else 0
            wrong = if exists r["false-positive"] then r["false-positive"] else 0

            return {
                place: -mode,
                fewer: if exists r.hits then -r.hits else 0,
                rule: r.rule,
                mode: if mode == 3 then "live" else if mode == 2 then "shadow" else if mode == 1 then "off" else "gone",
                hits: if exists r.hits then r.hits else 0,
                fraud: fraud,
                wrong: wrong,
                precision: if fraud + wrong > 0 then 100.0 * float(v: fraud) / float(v: fraud + wrong) else -1.0,
                last: time(v: r.last),
            }
        },
    )
    |> sort(columns: ["place", "fewer", "rule"])
    |> drop(columns: ["place", "fewer"])
"""
"""Figures of rules, a row each, as a row for each rule: live ones, in shadow, off, gone, each by hits."""


def models(audience: Audience) -> Query:
    """The fitted models, the newest first: where each stands and why."""
    fields = ("number", "state", "sentence", "payments", "held_back")
    columns = ("_time", "detector", *fields)
    kept = ", ".join(f'"{name}"' for name in columns)
    text = f"""\
{points("metrics", "models", fields)}    |> sort(columns: ["number"], desc: true)
    |> keep(columns: [{kept}])
"""
    return Query(text=text, columns=columns, uid=audience.flux)


def champion_and_shadow(audience: Audience, figure: str) -> Query:
    """A figure of each model that was in shadow, beside that of the one that counted then."""
    text = f"""\
from(bucket: "metrics")
    |> range(start: {START}, stop: {STOP})
    |> filter(fn: (r) => r._measurement == "models")
    |> filter(fn: (r) => r._field == "{figure}" or r._field == "champion_{figure}")
    |> group(columns: ["_field"])
    |> map(
        fn: (r) => ({{_time: r._time, value: r._value, which: if r._field == "{figure}" then "in shadow" else "counts"}}),
    )
    |> group(columns: ["which"])
    |> sort(columns: ["_time"])
"""
    return Query(text=text, columns=("_time", "value", "which"), uid=audience.flux)


def labels_over_time(audience: Audience) -> Query:
    """Labelled anomalies in each interval, by what was said of them."""
    text = f"""\
{_LABELS}    |> filter(fn: (r) => r.kind == "all")
    |> group()
    |> rename(columns: {{_value: "verdict"}})
{counted_over_time("verdict")}"""
    return Query(text=text, columns=("_time", "verdict", "count"), uid=audience.flux)


def statistics(audience: Audience) -> Query:
    """How each rule and detector does: anomalies, what people said of them, precision of the labelled."""
    text = f"""\
rules =
{_told(audience, 'r.detector == "rules"')}    |> group(columns: ["code"])
    |> count()
    |> group()
    |> map(fn: (r) => ({{kind: "rule", name: r.code, figure: "anomalies", n: r._value}}))
leading =
{_told(audience, 'r.detector != "rules"', line("place", "0", "reasons"))}    |> group(columns: ["detector"])
    |> count()
    |> group()
    |> map(fn: (r) => ({{kind: "detector", name: r.detector, figure: "anomalies", n: r._value}}))
said =
{_LABELS}    |> filter(fn: (r) => r.kind != "all" and r._value != "unclear")
    |> duplicate(column: "_value", as: "figure")
    |> group(columns: ["kind", "name", "figure"])
    |> count()
    |> group()
    |> rename(columns: {{_value: "n"}})
{_AS_TABLE}"""
    columns = ("kind", "name", "anomalies", "fraud", "wrong", "precision", "unlabelled")
    return Query(text=text, columns=columns, uid=audience.flux)


def versions(audience: Audience) -> Query:
    """The versions of the rules that came into force, the newest first."""
    fields = ("number", "version", "state", "actor", "reason", "changed")
    kept = ", ".join(f'"{name}"' for name in ("_time", *fields))
    text = f"""\
{points("audit", "rules_versions", fields)}    |> sort(columns: ["number"], desc: true)
    |> keep(columns: [{kept}])
"""
    return Query(text=text, columns=("_time", *fields), uid=audience.flux)


def rules(audience: Audience) -> Query:
    """How each rule does: its mode, how often it hit and when last, what people said of its anomalies.

    Counts of live rules are an hour each, of those in shadow ten minutes; where rules have both, they add up.
    """
    text = f"""\
{imports("strings")}
newest = (
{points("audit", "rules", ("number",), _ALWAYS)}    |> max(column: "number")
    |> findRecord(fn: (key) => true, idx: 0)
).number
modes =
{points("audit", "rules", ("number", "mode"), _ALWAYS)}    |> filter(fn: (r) => r.number == newest)
    |> map(fn: (r) => ({{rule: r.rule, figure: "mode", n: if r.mode == "live" then 3 else if r.mode == "shadow" then 2 else 1}}))
hits =
    union(
        tables: [
{_counts("rule_counts", "count")}                |> map(fn: (r) => ({{_time: r._time, rule: r.rule, n: r._value}})),
{_counts("coverage", "hits")}                |> map(fn: (r) => ({{_time: r._time, rule: strings.trimPrefix(v: r.detector, prefix: "shadow "), n: r._value}})),
        ],
    )
        |> group(columns: ["rule"])
often = hits |> sum(column: "n") |> map(fn: (r) => ({{rule: r.rule, figure: "hits", n: r.n}}))
lately = hits |> max(column: "_time") |> map(fn: (r) => ({{rule: r.rule, figure: "last", n: int(v: r._time)}}))
said =
    from(bucket: "audit")
        |> range(start: {START}, stop: {STOP})
        |> filter(fn: (r) => r._measurement == "labels" and r._field == "verdict" and r.kind == "rule")
        |> duplicate(column: "_value", as: "figure")
        |> group(columns: ["name", "figure"])
        |> count()
        |> map(fn: (r) => ({{rule: r.name, figure: r.figure, n: r._value}}))
{_RULES_AS_TABLE}"""
    columns = ("rule", "mode", "hits", "fraud", "wrong", "precision", "last")
    return Query(text=text, columns=columns, uid=audience.flux)


def _counts(measurement: str, field: str) -> str:
    return f"""\
            from(bucket: "audit")
                |> range(start: {START}, stop: {STOP})
                |> filter(fn: (r) => r._measurement == "{measurement}" and r._field == "{field}")
                |> filter(fn: (r) => r._value > 0)
"""


def hidings(audience: Audience) -> Query:
    """Suppressions and silences with what each hid, those in force first.

    Those that had not ended when the range begins, however long ago they began.
    """
    fields = ("state", "owner", "reason", "until", "conditions", "hid")
    columns = ("kind", "name", *fields)
    kept = ", ".join(f'"{name}"' for name in columns)
    text = f"""\
{imports("strings")}
{points("audit", "hidings", fields, _ALWAYS)}    |> filter(fn: (r) => time(v: strings.replaceAll(v: r.until, t: " ", u: "T") + ":00Z") > {START})
    |> sort(columns: ["state", "until"])
    |> keep(columns: [{kept}])
"""
    return Query(text=text, columns=columns, uid=audience.flux)


def _told(audience: Audience, having: str, *patterns: str) -> str:
    return summaries(audience.found, STANDING, *patterns, of="reasons", having=f"{LIVE} and {having}")
