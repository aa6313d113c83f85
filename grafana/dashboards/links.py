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

TO_ANOMALY = Link(
    title="What is known of it",
    url=f"/d/{ANOMALY}?var-anomaly=${{__data.fields.anomaly_id}}"
    "&from=${__data.fields.from}&to=${__data.fields.to}",
)
TO_USER = Link(title="The user", url=f"/d/{USER}?var-user=${{__data.fields.user_id}}&${{__url_time_range}}")
TO_MERCHANT = Link(
    title="The merchant",
    url=f"/d/{MERCHANT}?var-merchant=${{__data.fields.merchant_id}}&${{__url_time_range}}",
)


def only(variable: str, column: str) -> Link:
    """Return the link that filters the page of anomalies by a value as well."""
    url = f"/d/{NOW}?${{__all_variables}}&var-{variable}=${{__data.fields.{column}}}&${{__url_time_range}}"
    return Link(title="Only these", url=url)
