"""Every query of every dashboard, as it stands in the generated JSON, asked of the real InfluxDB.

It holds a simulated week that came in through the real collector and detectors.  What dashboards count is
counted once more from the store, another way.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import msgspec
import polars as pl
import pytest
from grafana_queries import OPEN, Asking, question_of, rows_of
from influx_fixtures import InfluxStores
from influx_tasks import Tasks
from simulated_week import CANARIES, PSEUDONYMS, Week, fill

from detectors.administer.statistics import Statistic, statistics
from grafana.alerting import counting, watching
from grafana.alerting.rule import Rule
from grafana.audience import ADMINISTRATION, AUDIENCES, INVESTIGATIONS, OPERATIONS, Audience
from grafana.build import files
from grafana.dashboards import pages_of
from txwatch.canary import without
from txwatch.model import Anomaly
from txwatch.ports import AnomalyQuery, TransactionQuery

UNTIL = datetime(2026, 3, 12, 18, 20, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=2)
FILES = files()


def queries(audience: Audience) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every target of an audience's JSON, under the name of its place."""
    for path, text in FILES.items():
        if path.startswith(f"dashboards/{audience.name}/"):
            page = json.loads(text)
            for variable in page["templating"]["list"]:
                if variable["type"] == "query":
                    yield f"{page['title']}, variable {variable['name']}", variable
            for mark in page["annotations"]["list"]:
                yield f"{page['title']}, marks {mark['name']}", mark["target"]
            for panel in page["panels"]:
                for target in panel.get("targets", ()):
                    yield f"{page['title']}, {panel['title']}, {target['refId']}", target


def columns(audience: Audience) -> dict[str, tuple[str, ...]]:
    """The columns that each query promises, by its text."""
    found = {}
    for page in pages_of(audience):
        asked = [variable.query for variable in page.variables if variable.query]
        asked += [mark.query for mark in page.annotations]
        asked += [query for panel in page.panels for query in panel.queries]
        found |= {query.text: query.columns for query in asked}
    return found


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """The week and how an audience asks about it."""

    week: Week
    url: str
    org: str
    tokens: Mapping[str, str]
    anomalies: list[Anomaly]

    def asking(self, audience: Audience, since: datetime = SINCE, **variables: str) -> Asking:
        """Ask with everything chosen but what `variables` say."""
        nothing = OPEN | {"series": "count/all"}
        return Asking(
            url=self.url,
            org=self.org,
            token=self.tokens[audience.role],
            since=since,
            until=UNTIL,
            variables=nothing | variables,
        )


@pytest.fixture(scope="module")
def watched(influxdb, tmp_path_factory) -> Iterator[Watched]:
    stores = InfluxStores(influxdb)
    stores.initialise()
    folder = tmp_path_factory.mktemp("week")
    tasks = Tasks(stores)
    with tasks.paused():
        week = fill(stores.access(), folder, until=UNTIL, window_seconds=900)
    tasks.run("rule_counts")
    tasks.client.close()
    anomalies = week.store.anomalies(AnomalyQuery(since=SINCE, until=UNTIL, limit=None))
    yield Watched(week=week, url=influxdb.url, org=stores.org, tokens=stores.tokens, anomalies=anomalies)
    week.store.close()


def target_of(audience: Audience, place: str) -> dict[str, Any]:
    """The target at a place."""
    return dict(queries(audience))[place]


def hidden(watched: Watched, audience: Audience, title: str, **variables: str) -> dict[str, str]:
    """The variables of a page that nobody sees, looked up in their order as Grafana does."""
    page = next(page for page in pages_of(audience) if page.title == title)
    known = dict(variables)
    for variable in page.variables:
        if variable.hidden and variable.query:
            rows = rows_of(variable.query.json("A"), watched.asking(audience, **known))
            known[variable.name] = rows[0]["_value"]
    return known


def busiest(watched: Watched, audience: Audience) -> list[str]:
    """Users by how many anomalies they have, under the names that the audience sees."""
    counts = Counter(each.user_id for each in watched.anomalies if each.user_id)
    raw = [user for user, _ in counts.most_common()]
    return raw if audience.sees_transactions else [PSEUDONYMS("user_id", user) for user in raw]


def numbers(rows: list[dict[str, str]], name: str, count: str) -> dict[str, int]:
    return {row[name]: int(row[count]) for row in rows}


PLACES = [(audience, place) for audience in AUDIENCES for place, _ in queries(audience)]


@pytest.mark.parametrize(("audience", "place"), PLACES, ids=lambda v: getattr(v, "name", v))
def test_every_query_brings_rows_of_its_columns(watched, audience, place):
    """With the token of its organisation; on the page of a user, for one of those with anomalies."""
    target = target_of(audience, place)
    title = place.split(", ", maxsplit=1)[0]
    since = SINCE
    if "marks" in place or title == "Administration":
        since = watched.week.since - timedelta(hours=1)
    users = busiest(watched, audience) if title == "User" else [""]

    for user in users:
        known = hidden(watched, audience, title, **({"user": user} if user else {}))
        rows = rows_of(target, watched.asking(audience, since, **known))
        if rows:
            break

    assert rows
    expected = set(columns(audience)[target["query"]])
    assert all(expected <= set(row) for row in rows)


JUST_AFTER = UNTIL + timedelta(seconds=1)
RULES = [*watching.RULES, *counting.RULES]


def answer(watched: Watched, rule: Rule) -> list[dict[str, str]]:
    """What a rule's query brings just after the services said how they are for the last time."""
    just_after = msgspec.structs.replace(watched.asking(OPERATIONS), until=JUST_AFTER)
    return rows_of(*question_of(rule, just_after))


def over_two_days(rule: Rule) -> Rule:
    return msgspec.structs.replace(rule, back=int((UNTIL - SINCE).total_seconds()))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.uid)
def test_every_alert_rule_brings_one_number_and_its_labels(watched, rule):
    """With the operators' token; Grafana makes each text a label and each row an alert of its own.

    Urgent anomalies are counted over the two days of the pages, since an hour may have none.
    """
    rows = answer(watched, over_two_days(rule) if rule in counting.RULES else rule)

    assert rows
    assert all(set(row) == set(rule.query.columns) for row in rows)
    assert all(math.isfinite(float(row["value"])) for row in rows)
    assert len({tuple(sorted(set(row.items()) - {("value", row["value"])})) for row in rows}) == len(rows)


@pytest.mark.parametrize("by", counting.BEGINNINGS)
def test_alert_rules_count_urgent_anomalies_as_the_store_does(watched, by):
    """Those of the last hour, high and critical together."""
    rule = next(rule for rule in counting.RULES if rule.uid == f"txwatch-urgent-by-{by}")

    counted = Counter(str(getattr(each, by) or "-") for each in watched.anomalies if each.severity >= 3)
    assert {row[by]: float(row["value"]) for row in answer(watched, over_two_days(rule))} == counted


def test_alert_rules_count_transactions_as_the_store_does(watched):
    """Those of the last ten minutes; none is a zero, not silence."""
    rule = next(rule for rule in watching.RULES if rule.uid == "txwatch-no-data")
    since = UNTIL.replace(minute=0) - timedelta(hours=5)
    wide = msgspec.structs.replace(rule, back=int((JUST_AFTER - since).total_seconds()))
    stored = payments(watched, since).height

    assert [float(row["value"]) for row in answer(watched, wide)] == [stored]


def test_operators_see_no_raw_id_on_any_page(watched):
    """In no answer to any query stands the id of a user."""
    users = {each.user_id for each in watched.anomalies if each.user_id}
    seen = []
    for place, target in queries(OPERATIONS):
        known = hidden(watched, OPERATIONS, place.split(", ", maxsplit=1)[0])
        seen.append(json.dumps(rows_of(target, watched.asking(OPERATIONS, **known))))

    assert set(re.findall(r"[\w-]+", "\n".join(seen))) & users == set()
    assert "user-1-" in "\n".join(seen)


FILTERS = {
    "nothing": ({}, lambda a: True),
    "severity": ({"severity": "high"}, lambda a: a.severity.word == "high"),
    "type": ({"type": "amount"}, lambda a: "amount" in {a.type, *(r.type for r in a.reasons)}),
    "rule": ({"rule": "velocity-burst"}, lambda a: "velocity-burst" in a.rules),
    "country": ({"country": "ES"}, lambda a: a.country == "ES"),
    "channel": ({"channel": "pos"}, lambda a: a.channel == "pos"),
    "part of a merchant": ({"merchant": "m001"}, lambda a: "m001" in (a.merchant_id or "")),
    "part of a transaction": ({"transaction": "t0006"}, lambda a: "t0006" in (a.transaction_id or "")),
}


@pytest.mark.parametrize("audience", [OPERATIONS, INVESTIGATIONS], ids=lambda a: a.name)
@pytest.mark.parametrize("chosen", FILTERS)
def test_counts_by_severity_are_those_of_the_store(watched, audience, chosen):
    """Whatever is filtered by."""
    variables, holds = FILTERS[chosen]
    (row,) = rows_of(target_of(audience, "Now, Anomalies, A"), watched.asking(audience, **variables))

    counted = Counter(each.severity.word for each in watched.anomalies if holds(each))
    assert counted
    assert {word: int(count) for word, count in row.items() if int(count)} == counted


@pytest.mark.parametrize("audience", [OPERATIONS, INVESTIGATIONS], ids=lambda a: a.name)
def test_a_user_is_filtered_by_the_name_that_the_audience_sees(watched, audience):
    """A pseudonym for operators, the id for investigators; the other's finds nothing."""
    raw, seen = (busiest(watched, each)[0] for each in (INVESTIGATIONS, audience))
    target = target_of(audience, "Now, Newest first, A")
    rows = rows_of(target, watched.asking(audience, user=seen))

    assert {row["anomaly_id"] for row in rows} == {
        each.anomaly_id for each in watched.anomalies if each.user_id == raw
    }
    assert {row["user_id"] for row in rows} == {seen}


def test_what_leads_is_counted_as_in_the_store(watched):
    """Rules, countries and types, each counted from the anomalies themselves."""
    asking = watched.asking(OPERATIONS)
    rules = numbers(rows_of(target_of(OPERATIONS, "Now, Rules, A"), asking), "code", "count")
    countries = numbers(rows_of(target_of(OPERATIONS, "Now, Countries, A"), asking), "country", "count")
    types = rows_of(target_of(OPERATIONS, "Explore, By type, A"), asking)

    hits = Counter(rule for each in watched.anomalies for rule in each.rules)
    assert rules == dict(hits.most_common(len(rules)))
    assert countries == Counter(each.country for each in watched.anomalies if each.country)
    by_type = Counter((each.type.value, each.severity.word) for each in watched.anomalies)
    assert by_type == {
        (row["which"], word): int(row[word])
        for row in types
        for word in ("critical", "high", "medium", "low")
        if int(row[word])
    }


def test_precision_is_that_of_the_labels(watched):
    """By rule and by detector, as `txwatch rules stats` counts it from the anomalies themselves."""
    target = target_of(OPERATIONS, "Detection quality, Precision by rule and detector, A")
    rows = rows_of(target, watched.asking(OPERATIONS))

    counted = [each for each in statistics(watched.anomalies, [], watched.week.labels) if each.anomalies]
    assert any(each.precision is not None for each in counted)
    assert {(row["kind"], row["name"]): shown(row) for row in rows} == {
        (each.kind, each.name): (
            each.anomalies,
            each.fraud,
            each.false_positive,
            pytest.approx(percent(each)),
        )
        for each in counted
    }


def shown(row: Mapping[str, str]) -> tuple[int, int, int, float]:
    return int(row["anomalies"]), int(row["fraud"]), int(row["wrong"]), float(row["precision"])


def percent(each: Statistic) -> float:
    return -1.0 if each.precision is None else 100 * each.precision


def test_labels_over_time_add_up_to_the_labels(watched):
    """Those of the anomalies of the time shown, by what was said."""
    target = target_of(OPERATIONS, "Detection quality, Labels given, A")
    rows = rows_of(target, watched.asking(OPERATIONS))

    found = {each.anomaly_id for each in watched.anomalies}
    given = Counter(verdict.value for key, verdict in watched.week.labels.items() if key in found)
    assert Counter({row["verdict"]: 0 for row in rows}).keys() == given.keys()
    assert sum(int(row["count"]) for row in rows) == given.total()


def test_what_was_hidden_is_counted_as_the_ledger_does(watched):
    """By each suppression and each silence."""
    target = target_of(ADMINISTRATION, "Administration, Suppressions and silences, A")
    rows = rows_of(target, watched.asking(ADMINISTRATION, watched.week.since))

    assert {row["name"]: int(row["hid"]) for row in rows} == watched.week.hid
    assert sum(watched.week.hid.values()) > 0


def test_what_hid_anomalies_is_shown_whenever_it_began(watched):
    """Those that had not ended when the range begins, however short the range is."""
    target = target_of(ADMINISTRATION, "Administration, Suppressions and silences, A")
    lately = rows_of(target, watched.asking(ADMINISTRATION, UNTIL - timedelta(hours=1)))
    after = rows_of(target, watched.asking(ADMINISTRATION, watched.week.since + timedelta(days=6, hours=1)))

    assert [row["kind"] for row in lately] == ["suppression"]
    assert [row["kind"] for row in after] == ["suppression"]


def test_administrators_see_how_rules_do_as_the_command_does(watched):
    """Hits, labels and precision of each rule as `txwatch rules stats` counts them, and when it hit last."""
    since = SINCE.replace(minute=0)
    target = target_of(ADMINISTRATION, "Administration, Rules and what they do, A")
    rows = {row["rule"]: row for row in rows_of(target, watched.asking(ADMINISTRATION, since))}
    anomalies = watched.week.store.anomalies(AnomalyQuery(since=since, until=UNTIL, limit=None))
    live = [rule for rule, row in rows.items() if row["mode"] == "live"]
    counted = [each for each in statistics(anomalies, live, watched.week.labels) if each.kind == "rule"]

    assert {rule: shown(rows[rule] | {"anomalies": rows[rule]["hits"]}) for rule in live} == {
        each.name: (each.anomalies, each.fraud, each.false_positive, pytest.approx(percent(each)))
        for each in counted
    }
    hit = last_hours(anomalies)
    assert {rule: rows[rule]["last"] for rule in hit} == hit
    spanish = payments(watched, since).filter(country="ES").height
    assert (rows["from-spain"]["mode"], int(rows["from-spain"]["hits"])) == ("shadow", spanish)


def test_rules_in_force_come_before_others_and_those_that_hit_most_first(watched):
    """Live ones, then those in shadow, off, and gone."""
    target = target_of(ADMINISTRATION, "Administration, Rules and what they do, A")
    rows = rows_of(target, watched.asking(ADMINISTRATION, SINCE))

    modes = ["live", "shadow", "off", "gone"]
    shown = [(modes.index(row["mode"]), -int(row["hits"]), row["rule"]) for row in rows]
    assert shown == sorted(shown)
    assert {row["mode"] for row in rows} >= {"live", "shadow"}


@pytest.mark.parametrize(
    ("variables", "column", "part"),
    [
        ({"action": "silence"}, "action", "silence"),
        ({"actor": "grac"}, "actor", "grac"),
        ({"fact": "fraud"}, "facts", "fraud"),
    ],
)
def test_the_audit_is_filtered_by_what_was_done_by_whom_and_about_what(watched, variables, column, part):
    """What is left are those of all records that have it."""
    target = target_of(ADMINISTRATION, "Administration, Audit, A")
    since = watched.week.since - timedelta(hours=1)
    everything = rows_of(target, watched.asking(ADMINISTRATION, since))
    filtered = rows_of(target, watched.asking(ADMINISTRATION, since, **variables))

    assert filtered == [row for row in everything if part in row[column]]
    assert 0 < len(filtered) < len(everything)


def payments(watched: Watched, since: datetime) -> pl.DataFrame:
    """What is stored, but for canaries, which no figure counts."""
    return without(watched.week.store.transactions(TransactionQuery(since=since, until=UNTIL)), CANARIES)


def last_hours(anomalies: list[Anomaly]) -> dict[str, str]:
    """The hour in which each rule hit last, as InfluxDB writes it."""
    found: dict[str, datetime] = {}
    for each in anomalies:
        for rule in each.rules:
            found[rule] = max(each.timestamp, found.get(rule, each.timestamp))
    return {rule: f"{at:%Y-%m-%dT%H}:00:00Z" for rule, at in found.items()}


def test_pairs_of_rules_are_counted_as_in_the_store(watched):
    """Each pair of rules that hit one transaction, however many others did."""
    target = target_of(OPERATIONS, "Explore, Rules that hit the same transactions, A")
    rows = rows_of(target, watched.asking(OPERATIONS))

    pairs = Counter(pair for each in watched.anomalies for pair in combinations(sorted(each.rules), 2))
    shown = {(row["code_one"], row["code_other"]): int(row["count"]) for row in rows}
    assert shown == {pair: pairs[pair] for pair in shown}
    assert sorted(shown.values()) == sorted(pairs.values())[-15:]


def test_anomalies_by_hour_are_those_of_the_store(watched):
    """Every hour of the day, UTC, and every severity."""
    target = target_of(OPERATIONS, "Explore, By hour of the day (UTC), A")
    rows = rows_of(target, watched.asking(OPERATIONS))

    counted = Counter((each.timestamp.hour, each.severity.word) for each in watched.anomalies)
    words = ("critical", "high", "medium", "low")
    assert {
        (int(row["which"]), word): int(row[word]) for row in rows for word in words if int(row[word])
    } == (counted)


def test_bars_over_time_add_up_to_the_anomalies(watched):
    """None is lost between intervals."""
    target = target_of(OPERATIONS, "Now, Anomalies over time, A")
    rows = rows_of(target, watched.asking(OPERATIONS))

    assert sum(int(row["count"]) for row in rows) == len(watched.anomalies)


def test_the_rate_adds_up_to_the_transactions(watched):
    """Transactions a second, over all intervals, are the transactions stored."""
    target = target_of(OPERATIONS, "Health, Transactions a second, A")
    since = UNTIL.replace(hour=0, minute=0)
    asking = msgspec.structs.replace(watched.asking(OPERATIONS, since), interval=timedelta(minutes=1))
    stored = payments(watched, since).height

    assert sum(float(row["rate"]) * 60 for row in rows_of(target, asking)) == pytest.approx(stored)


def test_a_users_page_has_all_transactions_for_investigators_only(watched):
    """Operators see those around anomalies."""
    user = busiest(watched, INVESTIGATIONS)[0]
    known = hidden(watched, INVESTIGATIONS, "User", user=user)
    asking = watched.asking(INVESTIGATIONS, **known)
    rows = rows_of(target_of(INVESTIGATIONS, "User, Transactions, A"), asking)
    stored = watched.week.store.transactions(TransactionQuery(since=SINCE, until=UNTIL, user_id=user))

    assert sorted(row["transaction_id"] for row in rows) == sorted(stored["transaction_id"])
    known = hidden(watched, OPERATIONS, "User", user=busiest(watched, OPERATIONS)[0])
    around = rows_of(target_of(OPERATIONS, "User, Transactions, A"), watched.asking(OPERATIONS, **known))
    assert {row["transaction_id"] for row in around} < set(stored["transaction_id"])


def test_operators_see_how_often_a_user_pays_around_anomalies(watched):
    """Each transaction that was copied beside an anomaly once, and those declined, as they are stored."""
    raw, shown = (often_declined(watched, each) for each in (INVESTIGATIONS, OPERATIONS))
    copied = {"rawQuery": True, "query": f"{COPIED} WHERE user_id = '{raw}' AND $timeFilter"}
    known = {row["transaction_id"] for row in rows_of(copied, watched.asking(INVESTIGATIONS))}
    stored = watched.week.store.transactions(TransactionQuery(since=SINCE, until=UNTIL, user_id=raw))
    around = stored.filter(pl.col("transaction_id").is_in(known))
    variables = hidden(watched, OPERATIONS, "User", user=shown)
    rows = rows_of(
        target_of(OPERATIONS, "User, Frequency around anomalies, A"), watched.asking(OPERATIONS, **variables)
    )

    counted = Counter(row["which"] for row in rows for _ in range(int(row["count"])))
    assert counted == {"all": len(known), "declined": around.filter(status="declined").height}
    assert counted["declined"] > 0


COPIED = 'SELECT transaction_id FROM "cases"."autogen"."context"'


def often_declined(watched: Watched, audience: Audience) -> str:
    """Who has anomalies and the most declined attempts, by the name that the audience sees."""
    declined = payments(watched, SINCE).filter(status="declined")
    tried = Counter(declined["user_id"].to_list())
    found = {each.user_id for each in watched.anomalies}
    raw = next(user for user, _ in tried.most_common() if user in found)
    return raw if audience.sees_transactions else PSEUDONYMS("user_id", raw)


@pytest.mark.parametrize("audience", [OPERATIONS, INVESTIGATIONS], ids=lambda a: a.name)
def test_scores_by_detector_are_the_means_of_its_anomalies(watched, audience):
    """In each hour, of the anomalies for which it had a reason; filtered like everything on the page."""
    target = target_of(audience, "Detection quality, Scores by detector, A")
    rows = rows_of(target, watched.asking(audience, severity="high"))

    scores: dict[tuple[str, datetime], list[float]] = {}
    for each in watched.anomalies:
        hour = each.timestamp.replace(minute=0, second=0, microsecond=0)
        if each.severity.word == "high":
            for reason in each.reasons:
                scores.setdefault((reason.detector, hour), []).append(each.score)
    assert scores
    assert {
        (row["detector"], datetime.fromtimestamp(row["time"] / 1000, UTC)): row["score"] for row in rows
    } == {key: pytest.approx(sum(found) / len(found)) for key, found in scores.items()}


def test_a_merchants_anomalies_are_drawn_and_counted_by_country(watched):
    """Each of them as a point, and in the row of its country."""
    known = hidden(watched, OPERATIONS, "Merchant")
    asking = watched.asking(OPERATIONS, **known)
    drawn = rows_of(target_of(OPERATIONS, "Merchant, Amounts, B"), asking)
    places = rows_of(target_of(OPERATIONS, "Merchant, Where its anomalies came from, A"), asking)

    here = [each for each in watched.anomalies if each.merchant_id == known["shop"]]
    assert Counter((row["severity"], float(row["amount"])) for row in drawn) == Counter(
        (each.severity.word, each.amount) for each in here
    )
    assert numbers(places, "country", "count") == Counter(each.country for each in here)


def test_a_merchants_hours_add_up_to_its_transactions(watched):
    """Counted when they came in, and once more from the transactions."""
    known = hidden(watched, OPERATIONS, "Merchant")
    since = SINCE.replace(minute=0)
    rows = rows_of(
        target_of(OPERATIONS, "Merchant, Transactions an hour, A"),
        watched.asking(OPERATIONS, since, **known),
    )
    stored = watched.week.store.transactions(
        TransactionQuery(since=since, until=UNTIL, merchant_id=known["shop"])
    )

    assert stored.height
    assert sum(row["transactions"] for row in rows) == stored.height
    assert sum(row["declined"] for row in rows) == stored.filter(status="declined").height


def test_an_anomalys_page_without_an_id_shows_the_newest_of_a_user(watched):
    """None of detection itself, and no canary, although one was found later."""
    known = hidden(watched, INVESTIGATIONS, "Anomaly")
    newest = max((each for each in watched.anomalies if each.user_id), key=lambda each: each.timestamp)

    assert (known["id"], known["who"]) == (newest.anomaly_id, newest.user_id)


def test_an_anomalys_page_tells_its_reasons_and_its_hour(watched):
    """Those of the store, and the user's transactions within an hour."""
    found = next(each for each in watched.anomalies if each.kind == "transaction" and each.severity >= 3)
    known = hidden(watched, INVESTIGATIONS, "Anomaly", anomaly=found.anomaly_id)
    asking = watched.asking(INVESTIGATIONS, **known)
    reasons = rows_of(target_of(INVESTIGATIONS, "Anomaly, Reasons, A"), asking)
    hour = rows_of(target_of(INVESTIGATIONS, "Anomaly, Transactions within an hour, A"), asking)

    assert [row["sentence"] for row in reasons] == [reason.sentence for reason in found.reasons]
    (itself,) = [row for row in hour if row["itself"] == "true"]
    assert itself["transaction_id"] == found.transaction_id
