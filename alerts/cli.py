"""The notifier's commands, and how the command line opens it."""

import random
import sys
from pathlib import Path
from typing import Annotated

import typer

from alerts.administer import cli as administer
from alerts.administer.opened import alert_settings
from alerts.channels import Channel, ConsoleChannel, FileChannel
from alerts.connections import needed_pseudonyms, senders
from alerts.expiring import ExpiringService
from alerts.notifier import RoutedNotifier
from alerts.outbox import Outbox
from alerts.policy import AlertSettings
from alerts.service import NotifierService
from txwatch.health import watched
from txwatch.monitor import Address
from txwatch.ports import RetentionPolicy, Service
from txwatch.settings import current_environment, current_settings
from txwatch.shipped import rules_document, rules_path, section
from txwatch.supervise import work
from txwatch.workplace import Workplace, open_audit, open_workplace


def open_notifier(workplace: Workplace, *, file: Path | None, console: bool) -> NotifierService:
    """Return the notifier of this workplace, with the policy of its rules file."""
    channels: list[Channel] = [ConsoleChannel(sys.stdout)] if console else []
    if file is not None:
        channels.append(FileChannel(file))
    document = rules_document(rules_path(workplace.settings))
    policy = section(document, "alerts", AlertSettings, AlertSettings())
    return NotifierService(workplace.ledger, channels, policy)


def open_routes(workplace: Workplace) -> list[Service]:
    """Return the notifier of the rules file's routes, if there are any, and what tidies up after it."""
    settings = alert_settings()
    if settings.route is None:
        return []
    environment = current_environment()
    pseudonym = needed_pseudonyms(settings, environment)
    chance = random.Random()  # noqa: S311 - spreads retries over time, keeps nothing secret
    book, clock = workplace.ledger.alerts(), workplace.clock
    outbox = Outbox(book, senders(settings, environment), settings.channels, chance)
    dashboards = environment.get("TXWATCH_DASHBOARD_URL", "")
    routed = RoutedNotifier(
        workplace.ledger, settings, outbox, clock, pseudonym=pseudonym, dashboards=dashboards
    )
    document = rules_document(rules_path(workplace.settings))
    kept = section(document, "retention", RetentionPolicy, RetentionPolicy()).anomalies
    return [routed, ExpiringService(book, clock, kept)]


def mount(app: typer.Typer) -> None:
    """Add the notifier's commands to the root command."""
    app.command()(alert)
    app.add_typer(administer.app, name="alerts")


def alert(
    file: Annotated[Path | None, typer.Option(help="Also append JSON lines to this file.")] = None,
    metrics: Address = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Tell what is waiting, then end.")] = False,
) -> None:
    """Tell about discovered anomalies, as they come, on the console (and into a file).

    Example: txwatch alert --file alerts.jsonl
    """
    with open_workplace(current_settings(), writer=False, role="notifier") as workplace:
        services: list[Service] = [
            open_notifier(workplace, file=file, console=True),
            *open_routes(workplace),
            *open_audit(workplace),
        ]
        with watched(services, workplace, metrics, once=once) as beat:
            work(services, workplace.clock, once=once, follows=True, observe=beat)
