"""Everything that is brought into a running Grafana, in order."""

from collections.abc import Mapping
from typing import Any

import msgspec

from grafana.access.alerting import bring_rules
from grafana.access.hardening import look_at_settings
from grafana.access.members import Keep, Members, bring_teams, team_numbers
from grafana.access.organisations import organisations
from grafana.access.pages import bring_pages
from grafana.access.people import People
from grafana.access.server import Server
from grafana.access.sources import Influx, bring_sources, known_influx
from grafana.access.work import Work
from grafana.audience import AUDIENCES, OPERATIONS, Audience
from txwatch.errors import ConfigurationError


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What Grafana is to have beyond the code itself.

    `tokens` are InfluxDB's by role, `influx` its address as Grafana sees it, where no file told Grafana;
    without `people` nobody's place is touched.  `force` puts edited alert rules back as shipped, `prune`
    takes people out whom the file does not name.
    """

    tokens: Mapping[str, str]
    administrator: str
    influx: Influx | None = None
    people: People | None = None
    force: bool = False
    prune: bool = False


def apply(work: Work, server: Server, wanted: Wanted, keep: Keep) -> None:
    """Make what is missing, bring up to date what differs, say what only a person can mend.

    `keep` takes the first password or token of each new person or program.

    Raises:
        PeerError: Grafana refuses or does not answer.
        ConfigurationError: A token is missing, or nobody said where InfluxDB is.
    """
    with server.answering():
        look_at_settings(work, server.within())
        numbers = organisations(work, server)
        influx = wanted.influx or known_influx(server.within(numbers[OPERATIONS.name]))
        if influx is None:
            raise ConfigurationError(
                "Grafana knows no InfluxDB: mount `provisioning/`, or set TXWATCH_GRAFANA_INFLUX_URL "
                "and TXWATCH_GRAFANA_INFLUX_ORG"
            )
        for audience in AUDIENCES:
            if audience.name in numbers:
                api: Any = server.within(numbers[audience.name])
                _fill(work, api, audience, influx, wanted)
        if wanted.people is not None:
            members = Members(work, server, numbers, wanted.administrator, keep)
            members.bring(wanted.people, prune=wanted.prune)


def _fill(work: Work, api: Any, audience: Audience, influx: Influx, wanted: Wanted) -> None:
    """Bring everything that lies in one organisation."""
    token = wanted.tokens.get(audience.role)
    if not token:
        raise ConfigurationError(
            f"there is no InfluxDB token for {audience.title}: `txwatch init --influx URL` makes one"
        )
    bring_sources(work, api, audience, influx, token)
    bring_teams(work, api, audience)
    bring_pages(work, api, audience)
    if audience is OPERATIONS:
        bring_rules(work, api, team_numbers(api, audience), force=wanted.force)
