"""Where the pages are, and how to get from a value to the page about it, filters and time kept."""

from grafana.panels.look import Link

NOW = "txwatch-now"
ANOMALY = "txwatch-anomaly"
USER = "txwatch-user"
MERCHANT = "txwatch-merchant"
EXPLORE = "txwatch-explore"
QUALITY = "txwatch-quality"
HEALTH = "txwatch-health"
ADMINISTRATION = "txwatch-administration"

FILTERS = ("severity", "type", "rule", "channel", "country", "merchant", "user", "transaction")
"""The variables by which pages filter anomalies; every page has them, seen or unseen."""


def with_filters(url: str, *but: str) -> str:
    """Return an address that takes the page's filters along, all `but` these."""
    return "&".join([url, *(f"${{{name}:queryparam}}" for name in FILTERS if name not in but)])


def only(variable: str, column: str) -> Link:
    """Return the link that filters the page of anomalies by a value as well."""
    url = f"/d/{NOW}?var-{variable}=${{__data.fields.{column}}}&${{__url_time_range}}"
    return Link(title="Only these", url=with_filters(url, variable))


TO_ANOMALY = Link(
    title="What is known of it",
    url=with_filters(
        f"/d/{ANOMALY}?var-anomaly=${{__data.fields.anomaly_id}}"
        "&from=${__data.fields.from}&to=${__data.fields.to}"
    ),
)
TO_USER = Link(
    title="The user",
    url=with_filters(f"/d/{USER}?var-user=${{__data.fields.user_id}}&${{__url_time_range}}", "user"),
)
TO_MERCHANT = Link(
    title="The merchant",
    url=with_filters(
        f"/d/{MERCHANT}?var-merchant=${{__data.fields.merchant_id}}&${{__url_time_range}}", "merchant"
    ),
)
TO_HEALTH = Link(title="Health", url=with_filters(f"/d/{HEALTH}?${{__url_time_range}}"))
