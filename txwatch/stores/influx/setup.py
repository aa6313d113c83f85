# mypy: disable-error-code="attr-defined,no-untyped-call"
# Reason: influxdb-client exports and types its classes only in part.
"""Make what txwatch needs in an InfluxDB: organisation, buckets with their retention, a token for each role.

Done twice, nothing changes the second time: buckets and tokens are found by their names, a retention that
differs is set, and a token whose rights differ is replaced.
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

TIMEOUT_MILLISECONDS = 30_000
MOST = 100
"""How many buckets are asked for at once: the most that InfluxDB gives."""


class Initialised(msgspec.Struct, frozen=True, kw_only=True):
    """What is there now: the token of each role, and what was made or changed in this call."""

    tokens: dict[str, str]
    changes: tuple[str, ...]


def initialise(url: str, admin_token: str, org: str, retention: RetentionPolicy | None = None) -> Initialised:
    """Make or bring up to date whatever is missing or differs; idempotent.

    Args:
        url: The server's address, such as `http://localhost:8086`.
        admin_token: An operator token; used here and kept nowhere.
        org: The organisation's name; made if it is missing.
        retention: How long buckets keep their points; the default policy if not given.

    Raises:
        StoreBusyError: The server does not answer.
        StoreError: It refuses, as it does a token that may not administer.
    """
    changes: list[str] = []
    try:
        with InfluxDBClient(url, admin_token, org=org, timeout=TIMEOUT_MILLISECONDS) as client:
            org_id = _organisation(client, org, changes)
            buckets = _buckets(client, org_id, retentions(retention or RetentionPolicy()), changes)
            tokens = _tokens(client, org_id, buckets, changes)
    except ApiException as error:
        raise StoreError(f"InfluxDB at {url} refuses to be set up: {error.status} {error.message}") from error
    except HTTPError as error:
        raise StoreBusyError(f"InfluxDB at {url} does not answer: {error}") from error
    return Initialised(tokens=tokens, changes=tuple(changes))


def _organisation(client: InfluxDBClient, name: str, changes: list[str]) -> str:
    api = client.organizations_api()
    try:
        found: list[Organization] = api.find_organizations(org=name)
    except ApiException as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        found = []
    if not found:
        found = [api.create_organization(name)]
        changes.append(f"organisation {name} made")
    return str(found[0].id)


def _buckets(
    client: InfluxDBClient, org_id: str, wanted: dict[str, timedelta], changes: list[str]
) -> dict[str, str]:
    """Return the id of each wanted bucket, by name."""
    api = client.buckets_api()
    found: dict[str, Bucket] = {
        each.name: each for each in api.find_buckets(org_id=org_id, limit=MOST).buckets
    }
    for name, kept in wanted.items():
        rules = [BucketRetentionRules(type="expire", every_seconds=int(kept.total_seconds()))]
        if name not in found:
            found[name] = api.create_bucket(Bucket(name=name, org_id=org_id, retention_rules=rules))
            changes.append(f"bucket {name} made")
        elif _kept(found[name]) != kept:
            found[name].retention_rules = rules
            api.update_bucket(found[name])
            changes.append(f"bucket {name} keeps {kept.days} days")
    return {name: str(found[name].id) for name in wanted}


def _kept(bucket: Bucket) -> timedelta:
    return timedelta(seconds=sum(rule.every_seconds for rule in bucket.retention_rules or ()))


def _tokens(
    client: InfluxDBClient, org_id: str, buckets: dict[str, str], changes: list[str]
) -> dict[str, str]:
    """Return the token of each role."""
    api = client.authorizations_api()
    found = {each.description: each for each in api.find_authorizations(org_id=org_id)}
    tokens = {}
    for role, rights in ROLES.items():
        name = f"txwatch {role}"
        present, wanted = found.get(name), _permissions(rights, org_id, buckets)
        if present is None or _comparable(present.permissions) != _comparable(wanted):
            if present is not None:
                api.delete_authorization(present)
            new = Authorization(org_id=org_id, description=name, permissions=wanted)
            present = api.create_authorization(authorization=new)
            changes.append(f"token for {role} made")
        tokens[role] = str(present.token)
    return tokens


def _permissions(rights: Role, org_id: str, buckets: dict[str, str]) -> list[Permission]:
    actions = {"read": rights.read, "write": rights.write}
    return [
        Permission(
            action=action, resource=PermissionResource(type="buckets", id=buckets[name], org_id=org_id)
        )
        for action, names in actions.items()
        for name in names
    ]


def _comparable(permissions: Iterable[Permission]) -> set[tuple[str, str]]:
    return {(str(each.action), str(each.resource.id)) for each in permissions}
