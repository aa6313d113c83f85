"""What people are to txwatch, and where that puts them in Grafana."""

from typing import Literal

import msgspec

from grafana.audience import ADMINISTRATION, INVESTIGATIONS, OPERATIONS, Audience

Role = Literal["operator", "investigator", "administrator"]


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A place in one organisation: Grafana's own role there, and a team, which folders give rights to."""

    audience: Audience
    role: Literal["Viewer", "Editor"]
    team: str


OPERATORS, INVESTIGATORS, ADMINISTRATORS = "Operators", "Investigators", "Administrators"

MEMBERSHIPS: dict[Role, tuple[Membership, ...]] = {
    "operator": (Membership(audience=OPERATIONS, role="Viewer", team=OPERATORS),),
    "investigator": (
        Membership(audience=OPERATIONS, role="Viewer", team=OPERATORS),
        Membership(audience=INVESTIGATIONS, role="Viewer", team=INVESTIGATORS),
    ),
    "administrator": (
        Membership(audience=OPERATIONS, role="Editor", team=ADMINISTRATORS),
        Membership(audience=ADMINISTRATION, role="Viewer", team=ADMINISTRATORS),
    ),
}
"""Who edits alert rules sees no more than operators do; who sees raw ids edits nothing."""

HOME: dict[Role, Audience] = {
    "operator": OPERATIONS,
    "investigator": INVESTIGATIONS,
    "administrator": ADMINISTRATION,
}
"""The organisation that a role is there for."""


def teams_of(audience: Audience) -> list[str]:
    """Return the teams of one organisation."""
    places = [place for places in MEMBERSHIPS.values() for place in places if place.audience is audience]
    return sorted({place.team for place in places})
