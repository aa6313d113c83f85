# mypy: disable-error-code="attr-defined,no-untyped-call"
# Reason: influxdb-client exports and types its classes only in part.
"""Make what txwatch needs in an InfluxDB: organisation, buckets and retention, tokens for roles, tasks.

Done twice, nothing changes the second time: buckets and tokens are found by their names, a retention that
differs is set, a token whose rights differ is replaced, a task whose text differs is brought up to date.
"""

from collections.abc import Iterable
from datetime import timedelta
from http import HTTPStatus

import msgspec
from influxdb_client import (
    Authorization,
    Bucket,
    BucketRetentionRules,
    InfluxDBClient,
    Organization,
    Permission,
    PermissionResource,
)
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from txwatch.errors import StoreBusyError, StoreError
from txwatch.ports import RetentionPolicy
from txwatch.stores.influx.layout import ROLES, Role, retentions
from txwatch.stores.influx.rollups import rollups
from txwatch.stores.influx.tasks import install
from txwatch.stores.influx.work import Work

TIMEOUT_MILLISECONDS = 30_000
MOST = 100
"""How many buckets are asked for at once: the most that InfluxDB gives."""


class Initialised(msgspec.Struct, frozen=True, kw_only=True):
    """What is there now: the token of each role, what was made or changed in this call, what was found."""

    tokens: dict[str, str]
    changes: tuple[str, ...]
    found: tuple[str, ...] = ()


def initialise(
    url: str,
    admin_token: str,
    org: str,
    retention: RetentionPolicy | None = None,
    *,
    dry_run: bool = False,
) -> Initialised:
    """Make or bring up to date whatever is missing or differs; idempotent.

    Args:
        url: The server's address, such as `http://localhost:8086`.
        admin_token: An operator token; used here and kept nowhere.
        org: The organisation's name; made if it is missing.
        retention: How long buckets keep their points; the default policy if not given.
        dry_run: Change nothing; `changes` then says what would be done, `tokens` has those that would stay.

    Raises:
        StoreBusyError: The server does not answer.
        StoreError: It refuses, as it does a token that may not administer.
    """
    try:
        with InfluxDBClient(url, admin_token, org=org, timeout=TIMEOUT_MILLISECONDS) as client:
            work = Work(client, dry_run=dry_run)
            org_id = _organisation(work, org)
            policy = retention or RetentionPolicy()
            buckets = _buckets(work, org_id, retentions(policy))
            tokens = _tokens(work, org_id, buckets)
            install(work, org, org_id, rollups(policy))
    except ApiException as error:
        raise StoreError(f"InfluxDB at {url} refuses to be set up: {error.status} {error.message}") from error
    except HTTPError as error:
        raise StoreBusyError(f"InfluxDB at {url} does not answer: {error}") from error
    return Initialised(tokens=tokens, changes=tuple(work.changes), found=tuple(work.found))


def _organisation(work: Work, name: str) -> str | None:
    """Return its id; None where a dry run would make it."""
    api = work.client.organizations_api()
    try:
        found: list[Organization] = api.find_organizations(org=name)
    except ApiException as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        found = []
    if found:
        work.found.append(f"organisation {name}")
        return str(found[0].id)
    made = work.change(f"organisation {name} made", lambda: api.create_organization(name))
    return None if made is None else str(made.id)


def _buckets(work: Work, org_id: str | None, wanted: dict[str, timedelta]) -> dict[str, str]:
    """Return the id of each wanted bucket, by name; a dry run knows only those that are there."""
    found = _found_buckets(work, org_id)
    return {
        name: str(bucket.id)
        for name, kept in wanted.items()
        if (bucket := _bucket(work, org_id, name, kept, found.get(name))) is not None
    }


def _found_buckets(work: Work, org_id: str | None) -> dict[str, Bucket]:
    if org_id is None:
        return {}
    page = work.client.buckets_api().find_buckets(org_id=org_id, limit=MOST)
    return {each.name: each for each in page.buckets}


def _bucket(
    work: Work, org_id: str | None, name: str, kept: timedelta, present: Bucket | None
) -> Bucket | None:
    api = work.client.buckets_api()
    rules = [BucketRetentionRules(type="expire", every_seconds=int(kept.total_seconds()))]
    if present is None:
        new = Bucket(name=name, org_id=org_id, retention_rules=rules)
        made: Bucket | None = work.change(f"bucket {name} made", lambda: api.create_bucket(new))
        return made
    if _kept(present) == kept:
        work.found.append(f"bucket {name} keeps {_in_words(kept)}")
        return present
    present.retention_rules = rules
    work.change(f"bucket {name} keeps {_in_words(kept)}", lambda: api.update_bucket(present))
    return present


def _in_words(kept: timedelta) -> str:
    return f"{kept.days} days" if kept else "its points for ever"


def _kept(bucket: Bucket) -> timedelta:
    return timedelta(seconds=sum(rule.every_seconds for rule in bucket.retention_rules or ()))


def _tokens(work: Work, org_id: str | None, buckets: dict[str, str]) -> dict[str, str]:
    """Return the token of each role."""
    if org_id is None:
        work.changes.extend(f"token for {role} made" for role in ROLES)
        return {}
    found = {
        each.description: each for each in work.client.authorizations_api().find_authorizations(org_id=org_id)
    }
    tokens = {
        role: _token(work, org_id, role, _permissions(rights, org_id, buckets), found.get(f"txwatch {role}"))
        for role, rights in ROLES.items()
    }
    return {role: token for role, token in tokens.items() if token is not None}


def _token(
    work: Work, org_id: str, role: str, wanted: list[Permission], present: Authorization | None
) -> str | None:
    """Return the role's token; one with other rights is replaced."""
    api = work.client.authorizations_api()
    complete = len(wanted) == len(ROLES[role].read) + len(ROLES[role].write)
    if present and complete and _comparable(present.permissions) == _comparable(wanted):
        work.found.append(f"token for {role}")
        return str(present.token)

    def make() -> Authorization:
        new = Authorization(org_id=org_id, description=f"txwatch {role}", permissions=wanted)
        made = api.create_authorization(authorization=new)
        if present is not None:
            api.delete_authorization(present)
        return made

    made = work.change(f"token for {role} made", make)
    return None if made is None else str(made.token)


def _permissions(rights: Role, org_id: str, buckets: dict[str, str]) -> list[Permission]:
    actions = {"read": rights.read, "write": rights.write}
    return [
        Permission(
            action=action, resource=PermissionResource(type="buckets", id=buckets[name], org_id=org_id)
        )
        for action, names in actions.items()
        for name in names
        if name in buckets
    ]


def _comparable(permissions: Iterable[Permission]) -> set[tuple[str, str]]:
    return {(str(each.action), str(each.resource.id)) for each in permissions}
