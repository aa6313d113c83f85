# mypy: disable-error-code="attr-defined,no-untyped-call"
# Reason: influxdb-client exports and types its classes only in part.
"""Install the tasks of `rollups` in an InfluxDB: found by their names, brought up to date, never doubled.

InfluxDB runs a task with the rights of the user who made it, whatever token was used, and a user may write
only as an owner of an organisation.  So tasks belong to a user of their own, who owns this organisation and
no other, and who can do nothing else: there is no password, and the token that made the tasks is deleted.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus

from influxdb_client import (
    AddResourceMemberRequestBody,
    Authorization,
    InfluxDBClient,
    OrganizationsService,
    Permission,
    PermissionResource,
    Task,
    TaskCreateRequest,
    TasksApi,
    TaskUpdateRequest,
)
from influxdb_client.rest import ApiException

from txwatch.stores.influx.rollups import Rollup, base_name
from txwatch.stores.influx.work import Work

MOST = 500
"""How many tasks are asked for at once: the most that InfluxDB gives."""


def install(work: Work, org: str, org_id: str | None, wanted: Sequence[Rollup]) -> None:
    """Make the tasks that are missing and bring up to date those that differ."""
    if org_id is None:
        work.changes.extend(f"task {each.name} made" for each in wanted)
        return
    api = work.client.tasks_api()
    present = {base_name(task.name): task for task in api.find_tasks(org_id=org_id, limit=MOST)}
    missing = [each for each in wanted if each.name not in present]
    for each in wanted:
        if each.name in present:
            _update(work, api, each, present[each.name])
    if missing:
        _make(work, org, org_id, missing)


def _update(work: Work, api: TasksApi, wanted: Rollup, present: Task) -> None:
    if present.flux.strip() == wanted.flux.strip() and present.status == "active":
        work.found.append(f"task {wanted.name} runs every {wanted.every}")
        return

    update = TaskUpdateRequest(flux=wanted.flux, status="active")
    work.change(
        f"task {wanted.name} brought up to date",
        lambda: api.update_task_request(present.id, task_update_request=update),
    )


def _make(work: Work, org: str, org_id: str, missing: Sequence[Rollup]) -> None:
    if work.dry_run:
        work.changes.extend(f"task {each.name} made" for each in missing)
        return
    with _owner(work.client, org, org_id) as token, InfluxDBClient(work.client.url, token, org=org) as client:
        for each in missing:
            request = TaskCreateRequest(org_id=org_id, flux=each.flux)
            client.tasks_api().create_task(task_create_request=request)
            work.changes.append(f"task {each.name} made")


@contextmanager
def _owner(client: InfluxDBClient, org: str, org_id: str) -> Iterator[str]:
    """Yield a token of the tasks' user that makes tasks, and delete it afterwards."""
    user_id = _user(client, f"txwatch-tasks-{org}")
    _own(client, org_id, user_id)
    authorizations = client.authorizations_api()
    tasks = PermissionResource(type="tasks", org_id=org_id)
    permissions = [Permission(action=action, resource=tasks) for action in ("read", "write")]
    wanted = Authorization(
        org_id=org_id, user_id=user_id, description="txwatch tasks", permissions=permissions
    )
    made = authorizations.create_authorization(authorization=wanted)
    try:
        yield str(made.token)
    finally:
        authorizations.delete_authorization(made)


def _user(client: InfluxDBClient, name: str) -> str:
    api = client.users_api()
    try:
        (found,) = api.find_users(name=name).users
    except ApiException as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        found = api.create_user(name)
    return str(found.id)


def _own(client: InfluxDBClient, org_id: str, user_id: str) -> None:
    service = OrganizationsService(client.api_client)
    owners = service.get_orgs_id_owners(org_id).users
    if all(str(each.id) != user_id for each in owners):
        service.post_orgs_id_owners(org_id, AddResourceMemberRequestBody(id=user_id))
