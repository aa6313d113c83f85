"""The dashboards, one file each, that reads like its page.

A dashboard is a function of its audience: the organisation whose data sources it reads.
"""

from collections.abc import Callable

from grafana.audience import Audience
from grafana.dashboards.administration import administration
from grafana.dashboards.anomaly import anomaly
from grafana.dashboards.explore import explore
from grafana.dashboards.health import health
from grafana.dashboards.merchant import merchant
from grafana.dashboards.now import now
from grafana.dashboards.quality import detection_quality
from grafana.dashboards.user import user
from grafana.panels.page import Page

Dashboard = Callable[[Audience], Page]

WATCHING: tuple[Dashboard, ...] = (now, anomaly, user, merchant, explore, detection_quality, health)

DASHBOARDS: dict[str, tuple[Dashboard, ...]] = {
    "operations": WATCHING,
    "investigations": WATCHING,
    "administration": (administration,),
}
"""By organisation, in the order of the menu."""


def pages_of(audience: Audience) -> list[Page]:
    """Return an organisation's dashboards."""
    return [dashboard(audience) for dashboard in DASHBOARDS[audience.name]]
