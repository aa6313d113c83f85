"""`people.yaml`: who may look at Grafana, as what; programs that look at it, too.

    people:
      - {login: olga, name: Olga Reyes, email: olga@example.org, roles: [operator]}
      - {login: ivan, roles: [investigator, administrator]}
    programs:
      - {name: wallboard, role: operator}

No secret stands in it: first passwords and tokens are drawn when they are needed.
"""

from pathlib import Path
from typing import Annotated

import msgspec

from grafana.access.roles import MEMBERSHIPS, Membership, Role
from grafana.audience import Audience
from txwatch.problems import Problem
from txwatch.rulesfile import RulesDocument
from txwatch.sections import read_section
from txwatch.shipped import refusal, rules_document

Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$",
        description="a name of letters, digits, dots, dashes and underscores",
    ),
]
Roles = Annotated[tuple[Role, ...], msgspec.Meta(min_length=1)]

SECTIONS = ("people", "programs")


class Person(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who logs in."""

    login: Name
    roles: Roles
    name: str = ""
    email: str = ""

    def places(self) -> dict[str, Membership]:
        """Return the person's place in each organisation, by its name; an editor's where there are two."""
        places: dict[str, Membership] = {}
        for place in self.memberships():
            if place.audience.name not in places or place.role == "Editor":
                places[place.audience.name] = place
        return places

    def teams(self, audience: Audience) -> set[str]:
        """Return the teams in one organisation that the person belongs to."""
        return {place.team for place in self.memberships() if place.audience is audience}

    def memberships(self) -> list[Membership]:
        """Return every place that the roles give."""
        return [place for role in self.roles for place in MEMBERSHIPS[role]]


class Program(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A service account, such as a wallboard's: it only looks, in the organisation of its role."""

    name: Name
    role: Role


class People(msgspec.Struct, frozen=True, kw_only=True):
    """Everybody who may look."""

    people: tuple[Person, ...] = ()
    programs: tuple[Program, ...] = ()


def read_people(path: Path) -> People:
    """Return who may look.

    Raises InputError where the file cannot be read, ConfigurationError with every fault in its place.
    """
    document = rules_document(path, SECTIONS)
    people = read_section(document, ("people",), tuple[Person, ...], ())
    programs = read_section(document, ("programs",), tuple[Program, ...], ())
    problems = [problem for part in (people, programs) if isinstance(part, list) for problem in part]
    if not isinstance(people, list):
        problems += _twice(document, people)
    if problems:
        raise refusal(path, problems, document.source)
    return People(people=tuple(people), programs=tuple(programs))  # type: ignore[arg-type]  # no list is left


def _twice(document: RulesDocument, people: tuple[Person, ...]) -> list[Problem]:
    logins = [person.login for person in people]
    return [
        document.problem(("people", i, "login"), f"`{login}` stands here twice")
        for i, login in enumerate(logins)
        if login in logins[:i]
    ]
