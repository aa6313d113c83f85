"""From channels in `rules.yaml` and secrets in the environment to senders."""

from collections.abc import Mapping

import msgspec

from alerts.mail import MailSender, MailServer
from alerts.policy import AlertSettings, ChannelSettings
from alerts.routes import every_way, filled_in
from alerts.sending import Sender
from alerts.slack import SlackSender
from txwatch.errors import ConfigurationError
from txwatch.masking import Pseudonym
from txwatch.pseudonym import KEY, pseudonyms_of

SLACK = "https://slack.com/api/"


def senders(settings: AlertSettings, environment: Mapping[str, str]) -> dict[str, Sender]:
    """Return a sender for every channel; raises ConfigurationError for a setting that is missing."""
    return {name: _sender(name, channel, environment) for name, channel in sorted(settings.channels.items())}


def needed_pseudonyms(settings: AlertSettings, environment: Mapping[str, str]) -> Pseudonym | None:
    """Return what hides persons; raises ConfigurationError where a route needs it and there is no key."""
    found = pseudonyms_of(environment)
    ways = [] if settings.route is None else list(every_way(filled_in(settings.route)))
    bare = [way.name for way in ways if way.channels and not way.raw_ids]
    if bare and found is None:
        raise ConfigurationError(
            f"messages of route {bare[0]} hide persons behind pseudonyms, and {KEY} is not set; "
            "`txwatch init` draws one, or clear the route with `raw_ids: true`"
        )
    return found


def _sender(name: str, channel: ChannelSettings, environment: Mapping[str, str]) -> Sender:
    if not channel.to:
        raise ConfigurationError(f"channel {name} has nobody under `to`")
    if channel.kind == "slack":
        token = _needed(name, "TXWATCH_SLACK_TOKEN", environment)
        return SlackSender(channel.to, token, environment.get("TXWATCH_SLACK_URL") or SLACK)
    return MailSender(channel.to, _mail_server(name, environment))


def _mail_server(name: str, environment: Mapping[str, str]) -> MailServer:
    values = {
        "host": _needed(name, "TXWATCH_SMTP_HOST", environment),
        "port": environment.get("TXWATCH_SMTP_PORT") or "587",
        "security": environment.get("TXWATCH_SMTP_SECURITY") or "starttls",
        "user": environment.get("TXWATCH_SMTP_USER", ""),
        "password": environment.get("TXWATCH_SMTP_PASSWORD", ""),
        "sender": environment.get("TXWATCH_SMTP_FROM") or "txwatch@localhost",
        "certificates": environment.get("TXWATCH_SMTP_CERTIFICATES", ""),
    }
    try:
        server = msgspec.convert(values, MailServer, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"a TXWATCH_SMTP_ variable is wrong: {error}") from error
    if server.user and server.security == "none":
        raise ConfigurationError("TXWATCH_SMTP_USER is set, but a password never goes over a bare connection")
    return server


def _needed(channel: str, name: str, environment: Mapping[str, str]) -> str:
    value = environment.get(name, "")
    if not value:
        raise ConfigurationError(f"channel {channel} needs {name}")
    return value
