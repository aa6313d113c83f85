"""What the tokens behind Grafana's organisations read of a simulated week: operators no raw id, by any way.

Each denial stands beside the same question that is answered.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

import msgspec
import pytest
import urllib3
from influx_fixtures import InfluxStores
from simulated_week import fill

from txwatch.canary import MERCHANT
from txwatch.masking import PERSONAL
from txwatch.ports import TransactionQuery
from txwatch.stores.influx.layout import ANOMALIES, AUDIT, CASES, METRICS, ROLES, TRAFFIC, TRANSACTIONS

ADMINISTRATOR = "the server's"
READERS = ("operator", "investigator", "administrator")
BUCKETS = sorted({bucket for role in ROLES.values() for bucket in (*role.read, *role.write)})
FOR_OPERATORS = sorted(ROLES["operator"].read)
NOT_FOR_OPERATORS = sorted(set(BUCKETS) - set(FOR_OPERATORS))
BOTH = """
own = from(bucket: "anomalies") |> range(start: 0)
union(tables: [own, from(bucket: "{bucket}") |> range(start: 0)])
"""
PART = re.compile(r"[\w.:-]+")
PATIENCE_SECONDS = 120


class Filled(msgspec.Struct, frozen=True, kw_only=True):
    """A week in InfluxDB, the tokens, and every raw id of a person in it, so no canary's."""

    url: str
    org: str
    tokens: Mapping[str, str]
    raw: set[str]

    def send(self, role: str, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        """What the server answers a role: status and text."""
        answer = urllib3.request(
            method,
            self.url + path,
            body=body.encode() or None,
            headers={"Authorization": f"Token {self.tokens[role]}", **headers},
            timeout=PATIENCE_SECONDS,
        )
        return answer.status, answer.data.decode()

    def flux(self, role: str, text: str) -> tuple[bool, str]:
        """Whether a question in Flux was answered, and with what."""
        kind = {"Content-Type": "application/vnd.flux", "Accept": "application/csv"}
        status, answer = self.send(role, "POST", f"/api/v2/query?org={self.org}", text, **kind)
        return status == 200 and ",error," not in answer.split("\n", 1)[0], answer

    def influxql(self, role: str, text: str, bucket: str = ANOMALIES) -> tuple[bool, str]:
        """Whether a question in InfluxQL was answered, and with what; an error comes with status 200."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        path = f"/query?org={self.org}&db={bucket}&epoch=ns"
        status, answer = self.send(role, "POST", path, urlencode({"q": text}), **kind)
        return status == 200 and '"error"' not in answer, answer

    def named(self, text: str) -> set[str]:
        """The raw ids that a text has, as words of their own."""
        return self.raw & set(PART.findall(text))


@pytest.fixture(scope="module")
def filled(influxdb, tmp_path_factory) -> Iterator[Filled]:
    stores = InfluxStores(influxdb)
    stores.initialise()
    week = fill(stores.access(), tmp_path_factory.mktemp("week"), users=25, window_seconds=900)
    rows = week.store.transactions(TransactionQuery())
    raw = {each for name in PERSONAL for each in rows[name].drop_nulls().unique()} - {MERCHANT}
    tokens = stores.tokens | {ADMINISTRATOR: influxdb.token}
    yield Filled(url=influxdb.url, org=stores.org, tokens=tokens, raw=raw)
    week.store.close()


def everything(bucket: str) -> str:
    return f'from(bucket: "{bucket}") |> range(start: 0)'


def test_the_week_has_people_whose_ids_could_leak(filled):
    """Users, cards, devices and addresses."""
    assert len(filled.raw) > 100


@pytest.mark.parametrize("bucket", FOR_OPERATORS)
def test_what_an_operator_reads_has_no_raw_id_in_it(filled, bucket):
    """Every point, every field, every tag, in both languages."""
    answered, by_flux = filled.flux("operator", everything(bucket))
    also, by_influxql = filled.influxql("operator", "SELECT * FROM /.*/", bucket)

    assert answered
    assert also
    assert filled.named(by_flux) == set()
    assert filled.named(by_influxql) == set()


@pytest.mark.parametrize("bucket", FOR_OPERATORS)
def test_names_and_keys_of_series_have_no_raw_id_either(filled, bucket):
    """What is not data is a way out as well."""
    answers = [
        filled.influxql("operator", question, bucket)
        for question in ("SHOW SERIES", "SHOW MEASUREMENTS", "SHOW FIELD KEYS", "SHOW TAG KEYS")
    ]

    assert all(answered for answered, _ in answers)
    assert filled.named("".join(text for _, text in answers)) == set()


@pytest.mark.parametrize("bucket", [CASES, TRANSACTIONS])
def test_an_investigator_reads_raw_ids(filled, bucket):
    """That the tests above would see them is seen here."""
    answered, by_flux = filled.flux("investigator", everything(bucket))
    also, by_influxql = filled.influxql("investigator", "SELECT * FROM /.*/", bucket)

    assert answered
    assert also
    assert filled.named(by_flux)
    assert filled.named(by_influxql)


def test_an_investigator_finds_everybody(filled):
    _, text = filled.influxql("investigator", "SELECT * FROM /.*/", TRANSACTIONS)

    assert filled.named(text) == filled.raw


@pytest.mark.parametrize("bucket", NOT_FOR_OPERATORS)
@pytest.mark.parametrize(
    "question",
    [
        'from(bucket: "{bucket}") |> range(start: 0) |> limit(n: 1)',
        'import "influxdata/influxdb/schema"\nschema.measurements(bucket: "{bucket}")',
        'import "influxdata/influxdb/v1"\nv1.tagValues(bucket: "{bucket}", tag: "source")',
        BOTH,
        'from(bucket: "anomalies") |> range(start: 0) |> limit(n: 1) |> to(bucket: "{bucket}")',
    ],
)
def test_flux_leads_an_operator_to_no_other_bucket(filled, bucket, question):
    """Neither directly, nor by names and tags, nor joined to what is allowed, nor by writing."""
    denied, text = filled.flux("operator", question.format(bucket=bucket))
    allowed, _ = filled.flux(
        "operator", question.replace(' |> to(bucket: "{bucket}")', "").format(bucket=METRICS)
    )

    assert allowed
    assert not denied, text
    assert filled.named(text) == set()


@pytest.mark.parametrize("bucket", NOT_FOR_OPERATORS)
@pytest.mark.parametrize(
    "question",
    [
        'SELECT * FROM "{bucket}"."autogen"./.*/ LIMIT 1',
        'SELECT * FROM "{bucket}"../.*/ LIMIT 1',
        'SELECT * FROM (SELECT * FROM "{bucket}".."transactions") LIMIT 1',
    ],
)
def test_influxql_leads_an_operator_to_no_other_bucket(filled, bucket, question):
    """Neither by naming it in full, nor from within another question, nor as the database asked."""
    crossing, crossed = filled.influxql("operator", question.format(bucket=bucket))
    directly, direct = filled.influxql("operator", "SELECT * FROM /.*/ LIMIT 1", bucket)
    allowed, _ = filled.influxql("operator", question.format(bucket=METRICS))

    assert allowed
    assert not crossing or '"series"' not in crossed
    assert not directly or '"series"' not in direct
    assert filled.named(crossed + direct) == set()


@pytest.mark.parametrize("role", READERS)
def test_a_token_knows_of_no_bucket_beyond_its_own(filled, role):
    """Lists of buckets have those that it reads."""
    _, listed = filled.flux(role, 'buckets() |> keep(columns: ["name"])')
    _, databases = filled.influxql(role, "SHOW DATABASES")

    known = set(PART.findall(listed)) & set(BUCKETS)
    assert known == set(ROLES[role].read)
    assert set(PART.findall(databases)) & set(BUCKETS) <= set(ROLES[role].read)


@pytest.mark.parametrize("role", READERS)
@pytest.mark.parametrize("bucket", BUCKETS)
def test_nobody_who_looks_writes_or_deletes(filled, role, bucket):
    """Not even where they read."""
    org = filled.org
    everything = '{"start":"1970-01-01T00:00:00Z","stop":"2100-01-01T00:00:00Z"}'
    written, _ = filled.send(role, "POST", f"/api/v2/write?org={org}&bucket={bucket}", "probe value=1")
    deleted, _ = filled.send(role, "POST", f"/api/v2/delete?org={org}&bucket={bucket}", everything)
    dropped, _ = filled.influxql(role, "DROP MEASUREMENT anomalies", bucket)

    assert written in {401, 403, 404}
    assert deleted in {401, 403, 404}
    assert not dropped


@pytest.mark.parametrize("role", READERS)
def test_nobody_who_looks_administers(filled, role):
    """No bucket, task or person is made, and no token is shown but to the server's administrator."""
    task = 'option task = {name: \\"mine\\", every: 1h}\\nbuckets()'
    requests = [
        ("POST", "/api/v2/buckets", '{"name": "mine", "orgID": "0000000000000001"}'),
        ("POST", "/api/v2/users", '{"name": "mine"}'),
        ("POST", "/api/v2/orgs", '{"name": "mine"}'),
        ("POST", "/api/v2/tasks", f'{{"flux": "{task}", "org": "{filled.org}"}}'),
    ]
    statuses = [filled.send(role, *request)[0] for request in requests]
    path = f"/api/v2/authorizations?org={filled.org}"
    _, shown = filled.send(role, "GET", path)
    _, shown_to_administrator = filled.send(ADMINISTRATOR, "GET", path)

    assert all(status >= 400 for status in statuses)
    assert not any(filled.tokens[each] in shown for each in ROLES)
    assert all(filled.tokens[each] in shown_to_administrator for each in ROLES)


@pytest.mark.parametrize("role", READERS)
def test_a_question_reaches_no_other_server(filled, role):
    """Hardened, InfluxDB refuses to call addresses of its own network for whoever may ask."""
    text = f"""
        import "array"
        import "experimental/http/requests"
        array.from(rows: [{{code: requests.get(url: "{filled.url}/health").statusCode}}])
    """

    answered, answer = filled.flux(role, text)

    assert not answered
    assert "no such host" in answer


def test_administrators_read_the_audit_and_no_anomaly(filled):
    audit, _ = filled.flux("administrator", everything(AUDIT))
    found, _ = filled.flux("administrator", everything(ANOMALIES))
    metrics, _ = filled.flux("administrator", everything(METRICS))

    assert (audit, found, metrics) == (True, False, False)


def test_operators_read_traffic_of_every_length(filled):
    """Rolled up or not."""
    assert all(filled.flux("operator", everything(bucket))[0] for bucket in TRAFFIC.values())
