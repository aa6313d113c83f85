"""From channels in `rules.yaml` and secrets in the environment to senders."""

from collections.abc import Mapping

import msgspec

from alerts.mail import MailSender, MailServer
from alerts.pagerduty import EVENTS, PagerDutySender
from alerts.policy import AlertSettings, ChannelSettings
from alerts.routes import every_way, filled_in
from alerts.sending import Sender
from alerts.slack import SlackSender
from alerts.slackhook import SlackHookSender
from alerts.sms import FIELDS, Gateway, SmsSender, worded
from alerts.webhook import WebhookSender
from txwatch.clock import SystemClock
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
    def secret(default: str) -> str:
        return _needed(name, channel.secret or default, environment)

    match channel.kind:
        case "slack":
            return _slack(name, channel, environment)
        case "email":
            return MailSender(channel.to, _mail_server(name, environment))
        case "webhook":
            return WebhookSender(channel.to[0], secret("TXWATCH_WEBHOOK_SECRET"), SystemClock())
        case "pagerduty":
            return PagerDutySender(
                secret("TXWATCH_PAGERDUTY_KEY"), environment.get("TXWATCH_PAGERDUTY_URL") or EVENTS
            )
        case "sms":
            token = "" if channel.auth == "none" else secret("TXWATCH_SMS_TOKEN")
            return SmsSender(channel.to[0], _gateway(name, channel, token))


def _slack(name: str, channel: ChannelSettings, environment: Mapping[str, str]) -> Sender:
    hook = environment.get(channel.secret or "TXWATCH_SLACK_WEBHOOK_URL", "")
    if hook.startswith("https://"):
        return SlackHookSender(hook)
    token = _needed(name, channel.secret or "TXWATCH_SLACK_TOKEN", environment)
    return SlackSender(channel.to, token, environment.get("TXWATCH_SLACK_URL") or SLACK)


def _gateway(name: str, channel: ChannelSettings, token: str) -> Gateway:
    nothing = dict.fromkeys(FIELDS, "")
    try:
        for template in channel.template.values():
            worded(template, nothing)
    except ValueError as error:
        raise ConfigurationError(f"the template of channel {name} is wrong: {error}") from error
    return Gateway(
        url=channel.url,
        template=channel.template,
        encoding=channel.encoding,
        auth=channel.auth,
        token=token,
    )


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
