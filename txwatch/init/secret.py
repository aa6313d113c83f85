"""Which variables `.env` holds, and how a new secret is drawn: each from the system's random source."""

import base64
import secrets
import uuid
from collections.abc import Callable

from txwatch.stores.influx.layout import ROLES

ADMIN_PASSWORD = "INFLUXDB_ADMIN_PASSWORD"  # noqa: S105 - the variable's name
ADMIN_TOKEN = "INFLUXDB_ADMIN_TOKEN"  # noqa: S105 - the variable's name
GRAFANA_PASSWORD = "GRAFANA_ADMIN_PASSWORD"  # noqa: S105 - the variable's name
SERVICES = "services"


def cluster_id() -> str:
    """Return a Kafka cluster id: 16 random bytes in URL-safe base64, not beginning with a dash."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def key() -> str:
    """Return 256 random bits."""
    return secrets.token_hex(32)


DRAWN: dict[str, Callable[[], str]] = {
    ADMIN_PASSWORD: key,
    ADMIN_TOKEN: key,
    "KAFKA_CLUSTER_ID": cluster_id,
    "TXWATCH_PSEUDONYM_KEY": key,
    "TXWATCH_LINKS_KEY": key,
    "TXWATCH_CANARY_KEY": key,
    GRAFANA_PASSWORD: key,
    "GRAFANA_SECRET_KEY": key,
}
"""Variable -> how a new value is made."""

ASKED = {
    "TXWATCH_CANARY_HEARTBEAT": "",
    "TXWATCH_LINKS_URL": "",
    "TXWATCH_SLACK_TOKEN": "",
    "TXWATCH_SLACK_WEBHOOK_URL": "",
    "TXWATCH_WEBHOOK_SECRET": "",
    "TXWATCH_PAGERDUTY_KEY": "",
    "TXWATCH_PAGERDUTY_WEBHOOK_SECRET": "",
    "TXWATCH_SMS_TOKEN": "",
    "TXWATCH_SMTP_HOST": "",
    "TXWATCH_SMTP_PORT": "587",
    "TXWATCH_SMTP_SECURITY": "starttls",
    "TXWATCH_SMTP_USER": "",
    "TXWATCH_SMTP_PASSWORD": "",
    "TXWATCH_SMTP_FROM": "txwatch@example.invalid",
    "TXWATCH_GRAFANA_ROOT_URL": "http://localhost:3000/",
    "TXWATCH_GRAFANA_MAIL_TO": "nobody@example.invalid",
    "TXWATCH_GRAFANA_SLACK_TOKEN": "none",
    "TXWATCH_GRAFANA_SLACK_CHANNEL": "nobody.example.invalid",
    "TXWATCH_GRAFANA_SLACK_ENDPOINT": "",
}
"""Variable -> what stands there until somebody knows better: Grafana does not start with an empty address."""


def token_variable(role: str) -> str:
    """Return the variable of a role's InfluxDB token; that of a process running every room has no suffix."""
    return "TXWATCH_INFLUX_TOKEN" + ("" if role == SERVICES else f"_{role.upper()}")


TOKENS = {role: token_variable(role) for role in ROLES}
"""Role -> variable; empty until InfluxDB was set up."""

VARIABLES = (*DRAWN, *TOKENS.values(), *ASKED)
"""Every variable that `txwatch init` writes."""
