"""The data sources of an organisation: one InfluxDB, asked in Flux and in InfluxQL, with one token.

Flux joins and groups what is small; InfluxQL reads what is large (`docs/entities.md`).
"""

from typing import Any

from grafana.audience import Audience

DATABASE = "anomalies"
"""What InfluxQL reads where a query names no bucket; all of ours do."""


def datasources(audience: Audience, *, url: str, token: str, org: str) -> list[dict[str, Any]]:
    """Return its data sources in the form that Grafana's files and its HTTP API share."""
    shared = {"type": "influxdb", "access": "proxy", "url": url, "editable": False}
    return [
        {
            **shared,
            "name": f"{audience.title} (Flux)",
            "uid": audience.flux,
            "isDefault": True,
            "jsonData": {"version": "Flux", "organization": org, "httpMode": "POST", "timeout": 30},
            "secureJsonData": {"token": token},
        },
        {
            **shared,
            "name": f"{audience.title} (InfluxQL)",
            "uid": audience.influxql,
            "isDefault": False,
            "database": audience.found or DATABASE,
            "jsonData": {
                "dbName": audience.found or DATABASE,
                "httpMode": "POST",
                "httpHeaderName1": "Authorization",
                "timeout": 30,
            },
            "secureJsonData": {"httpHeaderValue1": f"Token {token}"},
        },
    ]
