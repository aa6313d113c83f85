"""Who looks at Grafana: three organisations, each with data sources that read only its own buckets.

Grafana cannot keep a viewer of an organisation from querying its data sources, so what people may see is
decided by the InfluxDB token behind them (`txwatch/stores/influx/layout.py`, ROLES).
"""

import msgspec


class Audience(msgspec.Struct, frozen=True, kw_only=True):
    """One organisation: `role` names its InfluxDB token, `found` the bucket in which it reads anomalies."""

    name: str
    title: str
    role: str
    found: str
    sees_transactions: bool = False

    @property
    def flux(self) -> str:
        """The uid of its data source that is asked in Flux."""
        return f"txwatch-{self.name}-flux"

    @property
    def influxql(self) -> str:
        """The uid of its data source that is asked in InfluxQL."""
        return f"txwatch-{self.name}-influxql"


OPERATIONS = Audience(name="operations", title="Operations", role="operator", found="anomalies")
"""Sees pseudonyms; Grafana's first organisation, the one that files provision."""

INVESTIGATIONS = Audience(
    name="investigations", title="Investigations", role="investigator", found="cases", sees_transactions=True
)
"""Sees all ids and every transaction."""

ADMINISTRATION = Audience(name="administration", title="Administration", role="administrator", found="")
"""Sees who changed what, and no anomaly."""

AUDIENCES = (OPERATIONS, INVESTIGATIONS, ADMINISTRATION)
