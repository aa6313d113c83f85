"""The three organisations, by number; the first is the one that Grafana always has."""

from typing import Any

from grafana.access.server import Server, found
from grafana.access.work import Work
from grafana.audience import AUDIENCES, OPERATIONS, Audience

FIRST = 1
AS_INSTALLED = "Main Org."


def organisations(work: Work, server: Server) -> dict[str, int]:
    """Make the missing ones; return the number of each that is there, by the audience's name."""
    numbers = {OPERATIONS.name: _first(work, server)}
    for audience in AUDIENCES:
        if audience is not OPERATIONS and (number := _other(work, server, audience)) is not None:
            numbers[audience.name] = number
    return numbers


def _first(work: Work, server: Server) -> int:
    """Name it, unless somebody gave it a name of their own."""
    api: Any = server.within(FIRST)
    name = api.organization.get_current_organization()["name"]
    if name == AS_INSTALLED:
        body = {"name": OPERATIONS.title}
        work.change(
            f"organisation {FIRST} named {OPERATIONS.title}",
            lambda: api.organization.update_current_organization(body),
        )
    else:
        work.found(f"organisation {name} for {OPERATIONS.name}")
    return FIRST


def _other(work: Work, server: Server, audience: Audience) -> int | None:
    api: Any = server.within()
    present = found(lambda: api.organization.find_organization(audience.title))
    if present is not None:
        work.found(f"organisation {audience.title}")
        return int(present["id"])
    made = work.change(
        f"organisation {audience.title} made",
        lambda: api.organization.create_organization({"name": audience.title}),
    )
    return None if made is None else int(made["orgId"])
