"""The dashboards, one file each, that reads like its page.

A dashboard is a function of its audience: the organisation whose data sources it reads.
"""

from collections.abc import Callable
from typing import Any

from grafana.audience import Audience

DASHBOARDS: dict[str, tuple[Callable[[Audience], dict[str, Any]], ...]] = {
    "operations": (),
    "investigations": (),
    "administration": (),
}
"""By organisation, in the order of the menu."""


def dashboards_of(audience: Audience) -> list[dict[str, Any]]:
    """Return an organisation's dashboards as Grafana's JSON model."""
    return [dashboard(audience) for dashboard in DASHBOARDS[audience.name]]
