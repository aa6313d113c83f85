"""People and programs in the organisations: exactly who the file names, as what it says."""

import secrets
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from grafana.access.people import People, Person, Program
from grafana.access.roles import HOME, teams_of
from grafana.access.server import Json, Server, found
from grafana.access.work import Work
from grafana.audience import AUDIENCES, Audience

FIRST_PASSWORD_BYTES = 18

Keep = Callable[[str, str], None]
"""Takes whose secret it is, and the secret: nobody can read it again."""


class Members:
    """Brings people into organisations and teams; `keep` takes a secret as soon as it is drawn."""

    def __init__(
        self, work: Work, server: Server, numbers: dict[str, int], administrator: str, keep: Keep
    ) -> None:
        """`numbers` are those of the organisations; `administrator`, who applies this, stays as is."""
        self._work, self._server, self._numbers = work, server, numbers
        self._administrator, self._keep = administrator, keep

    def bring(self, wanted: People, *, prune: bool) -> None:
        """Make those who are missing; with `prune` whoever the file does not name leaves."""
        known = [person for person in wanted.people if self._account(person)]
        named = {person.login for person in wanted.people}
        for audience in self._audiences():
            members = self._members(audience)
            for person in known:
                self._place(person, audience, members.get(person.login))
            self._strangers(audience, members, named, prune=prune)
            self._teams(audience, wanted.people)
        for program in wanted.programs:
            self._program(program)

    def _audiences(self) -> list[Audience]:
        return [audience for audience in AUDIENCES if audience.name in self._numbers]

    def _account(self, person: Person) -> bool:
        """Make the account if it is missing; return whether there is one now."""
        api: Any = self._server.within()
        if found(lambda: api.users.find_user(person.login)) is not None:
            return True
        self._work.change(f"{person.login} may log in", lambda: self._make(person))
        return not self._work.dry_run

    def _make(self, person: Person) -> None:
        """Make the account in an organisation where the person belongs, so that it is in no other."""
        api: Any = self._server.within()
        password = secrets.token_urlsafe(FIRST_PASSWORD_BYTES)
        first = next(iter(person.places()))
        account = {
            "login": person.login,
            "name": person.name or person.login,
            "email": person.email,
            "password": password,
            "OrgId": self._numbers[first],
        }
        self._keep(person.login, password)
        api.admin.create_user(account)

    def _place(self, person: Person, audience: Audience, present: Json | None) -> None:
        api: Any = self._server.within()
        number = self._numbers[audience.name]
        place = person.places().get(audience.name)
        role = place.role if place else None
        if present is None and role is not None:
            entry = {"loginOrEmail": person.login, "role": role}
            self._work.change(
                f"{person.login} is {role} in {audience.title}",
                lambda: api.organizations.organization_user_add(number, entry),
            )
        elif present is not None and role is None:
            self._leave(audience, present)
        elif present is not None and present["role"] != role:
            self._work.change(
                f"{person.login} is {role} in {audience.title}, no longer {present['role']}",
                lambda: api.organizations.organization_user_update(number, present["userId"], role),
            )
        elif present is not None:
            self._work.found(f"{person.login}, {role} in {audience.title}")

    def _leave(self, audience: Audience, member: Json) -> None:
        api: Any = self._server.within()
        number = self._numbers[audience.name]
        self._work.change(
            f"{member['login']} is no longer in {audience.title}",
            lambda: api.organizations.organization_user_delete(number, member["userId"]),
        )

    def _strangers(
        self, audience: Audience, members: Mapping[str, Json], named: set[str], *, prune: bool
    ) -> None:
        for login, member in members.items():
            if login in named or login == self._administrator:
                continue
            if prune:
                self._leave(audience, member)
            else:
                self._work.fault(
                    f"{login} is {member['role']} in {audience.title}, and the people file does not say so: "
                    "name them there, or apply with --prune"
                )

    def _members(self, audience: Audience) -> dict[str, Json]:
        api: Any = self._server.within()
        members = api.organizations.organization_user_list(self._numbers[audience.name])
        return {member["login"]: member for member in members}

    def _teams(self, audience: Audience, people: Iterable[Person]) -> None:
        api: Any = self._server.within(self._numbers[audience.name])
        accounts = self._members(audience)
        for team, number in team_numbers(api, audience).items():
            members = {each["login"]: each["userId"] for each in api.teams.get_team_members(number)}
            wanted = {person.login for person in people if team in person.teams(audience)}
            for login in sorted(wanted & set(accounts) - set(members)):
                user = accounts[login]["userId"]
                self._work.change(
                    f"{login} is in team {team} of {audience.title}",
                    partial(api.teams.add_team_member, number, user),
                )
            for login in sorted(set(members) - wanted - {self._administrator}):
                user = members[login]
                self._work.change(
                    f"{login} is no longer in team {team} of {audience.title}",
                    partial(api.teams.remove_team_member, number, user),
                )

    def _program(self, program: Program) -> None:
        audience = HOME[program.role]
        if audience.name not in self._numbers:
            return
        api: Any = self._server.within(self._numbers[audience.name])
        page = api.serviceaccount.search(query=program.name, page=1, perpage=100)[0]
        if any(each["name"] == program.name for each in page["serviceAccounts"]):
            self._work.found(f"program {program.name} in {audience.title}")
        else:
            self._work.change(
                f"program {program.name} may look in {audience.title}", lambda: self._admit(api, program)
            )

    def _admit(self, api: Any, program: Program) -> None:
        made = api.serviceaccount.create({"name": program.name, "role": "Viewer"})
        token = api.serviceaccount.create_token(made["id"], {"name": program.name})
        self._keep(program.name, token["key"])


def bring_teams(work: Work, api: Any, audience: Audience) -> None:
    """Make the teams of one organisation; `api` is the client within it."""
    present = team_numbers(api, audience)
    for team in teams_of(audience):
        if team in present:
            work.found(f"team {team} of {audience.title}")
        else:
            work.change(
                f"team {team} of {audience.title} made",
                partial(api.teams.add_team, {"name": team}),
            )


def team_numbers(api: Any, audience: Audience) -> dict[str, int]:
    """Return the numbers of our teams that are there."""
    return {
        team["name"]: int(team["id"])
        for team in api.teams.search_teams(page=1, perpage=1000)
        if team["name"] in teams_of(audience)
    }
