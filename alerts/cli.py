"""The notifier's commands, and how the command line opens it."""

import random
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from alerts.administer import cli as administer
from alerts.administer.opened import alert_settings
from alerts.administer.showing import conditions
from alerts.administer.suppressing import cli as suppressing
from alerts.canarying import CanaryService, CanarySettings, Send
from alerts.channels import Channel, ConsoleChannel, FileChannel
from alerts.connections import needed_pseudonyms, senders
from alerts.ending import EndingService
from alerts.expiring import ExpiringService
from alerts.hiding import copied, hidings
from alerts.links import URL, Links, key_of, links_of
from alerts.linkserver import LedgerActs, LinkService
from alerts.matching import Duration, seconds
from alerts.notifier import RoutedNotifier, read_silences
from alerts.outbox import Outbox
from alerts.pagerback import SECRET
from alerts.policy import AlertSettings, AlertsSection
from alerts.reloading import PolicyService
from alerts.service import NotifierService
from alerts.silences import hiding
from alerts.suppressions import Suppression
from txwatch.applied import Applied
from txwatch.canary import KEY as CANARY_KEY
from txwatch.canary import canaries_of
from txwatch.copies import Copy, CopyStore
from txwatch.copying import CopyService
from txwatch.errors import ConfigurationError, UsageError
from txwatch.health import watched
from txwatch.ledger import Ledger
from txwatch.model import Anomaly
from txwatch.monitor import Address, host_and_port
from txwatch.ports import Service
from txwatch.pseudonym import pseudonyms_of
from txwatch.settings import current_environment, current_settings
from txwatch.shipped import retention_policy, rules_document, rules_path, section
from txwatch.supervise import work
from txwatch.workplace import Workplace, open_audit, open_workplace

SECTIONS = {"alerts": AlertsSection, "suppressions": tuple[Suppression, ...]}
"""What this room has in the rules file."""


def open_notifier(workplace: Workplace, *, file: Path | None, console: bool) -> NotifierService:
    """Return the notifier of this workplace, with the policy of its rules file."""
    channels: list[Channel] = [ConsoleChannel(sys.stdout)] if console else []
    if file is not None:
        channels.append(FileChannel(file))
    return NotifierService(
        workplace.ledger, channels, alert_settings(workplace.ledger), silenced_in(workplace)
    )


def silenced_in(workplace: Workplace) -> Callable[[], Callable[[Anomaly], bool]]:
    """Return what reads the silences in force and tells what they hide."""
    pseudonym = pseudonyms_of(current_environment())

    def read() -> Callable[[Anomaly], bool]:
        silences, now = read_silences(workplace.ledger.alerts()), workplace.clock.now()
        return lambda anomaly: hiding(anomaly, silences, now, pseudonym) is not None

    return read


def open_telling(workplace: Workplace, *, file: Path | None = None, console: bool = False) -> list[Service]:
    """Return what tells about anomalies, on the console and by the routes, as the rules file says by then."""
    notifier = open_notifier(workplace, file=file, console=console)
    routed, *tidying = open_routes(workplace)
    environment = current_environment()

    followed = [alert_settings(workplace.ledger)]

    def follow(settings: AlertSettings) -> None:
        needed_pseudonyms(settings, environment)
        made = senders(settings, environment)
        notifier.adopt(settings)
        routed.adopt(settings, made)
        followed[0] = settings

    path = rules_path(workplace.settings)
    applied = Applied(workplace.ledger.rules(), require_apply=workplace.settings.require_apply)
    policy = PolicyService(path, followed[0], follow, workplace.ledger, workplace.clock, applied)
    ending = EndingService(workplace.ledger, lambda: followed[0], workplace.clock)
    copies = open_hidings(workplace, lambda: followed[0])
    return [policy, ending, notifier, routed, *copies, *tidying]


def open_hidings(workplace: Workplace, settings: Callable[[], AlertSettings]) -> list[Service]:
    """Return what copies suppressions and silences for administrators, where the store takes copies."""
    store, book, clock = workplace.store, workplace.ledger.alerts(), workplace.clock
    if not isinstance(store, CopyStore):
        return []
    environment = current_environment()

    def all_of_them() -> list[Copy]:
        found = hidings(book, settings().suppressions, clock.now())
        return [copied(each, ", ".join(conditions(each.match, environment))) for each in found]

    return [CopyService("hidings", store, [all_of_them], clock, timedelta(minutes=1))]


def open_routes(workplace: Workplace) -> tuple[RoutedNotifier, ExpiringService]:
    """Return the notifier of the rules file's routes, and what tidies up after it."""
    settings = alert_settings(workplace.ledger)
    environment = current_environment()
    pseudonym = needed_pseudonyms(settings, environment)
    chance = random.Random()  # noqa: S311 - spreads retries over time, keeps nothing secret
    book, clock = workplace.ledger.alerts(), workplace.clock
    outbox = Outbox(book, senders(settings, environment), settings.channels, chance, links_of(environment))
    dashboards = environment.get("TXWATCH_DASHBOARD_URL", "")
    routed = RoutedNotifier(
        workplace.ledger, settings, outbox, clock, pseudonym=pseudonym, dashboards=dashboards
    )
    return routed, ExpiringService(book, clock, retention_policy(workplace.settings).anomalies)


def open_links(workplace: Workplace, at: str | None) -> list[Service]:
    """Return the endpoint behind the links in messages, where one is wanted (`HOST:PORT`)."""
    if at is None:
        return []
    settings, environment = alert_settings(workplace.ledger), current_environment()
    links = Links(environment.get(URL, ""), key_of(environment))
    host, port = host_and_port(at)
    ledger = Ledger.open(workplace.settings.ledger_url, workplace.clock)
    acts = LedgerActs(ledger, workplace.clock, settings, environment)
    secret = environment.get(SECRET, "")
    return [LinkService(links, acts, ledger, workplace.clock, (host, port), secret)]


def open_canary(workplace: Workplace, send: Send, every: str, patience: str) -> CanaryService:
    """Return the service that sends canaries and waits for their alerts."""
    environment = current_environment()
    canaries = canaries_of(environment)
    if canaries is None:
        raise ConfigurationError(f"{CANARY_KEY} is not set; `txwatch init` draws one for all processes")
    if not alert_settings(workplace.ledger).canary:
        raise ConfigurationError("nobody is told of canaries: name their channels under `alerts.canary`")
    document = rules_document(rules_path(workplace.settings))
    settings = CanarySettings(
        every=_span("--every", every),
        patience=_span("--patience", patience),
        currency=section(document, "base_currency", str, "EUR"),
        heartbeat=environment.get("TXWATCH_CANARY_HEARTBEAT", ""),
    )
    return CanaryService(send, canaries, workplace.ledger, workplace.clock, settings)


def _span(option: str, text: str) -> timedelta:
    try:
        return timedelta(seconds=seconds(msgspec.convert(text, Duration)))
    except msgspec.ValidationError:
        raise UsageError(f"{option} {text} is not a duration such as 30s, 5m or 1h") from None


def mount(app: typer.Typer) -> None:
    """Add the notifier's commands to the root command."""
    app.command()(alert)
    app.add_typer(administer.app, name="alerts")
    app.add_typer(suppressing.app, name="suppressions")


def alert(
    file: Annotated[Path | None, typer.Option(help="Also append JSON lines to this file.")] = None,
    metrics: Address = None,
    links: Annotated[str | None, typer.Option(help="HOST:PORT for the links in messages.")] = None,
    *,
    once: Annotated[bool, typer.Option("--once", help="Tell what is waiting, then end.")] = False,
) -> None:
    """Tell about discovered anomalies, as they come, on the console (and into a file).

    Example: txwatch alert --file alerts.jsonl
    """
    with open_workplace(current_settings(), writer=False, role="notifier") as workplace:
        services: list[Service] = [
            *open_telling(workplace, file=file, console=True),
            *open_links(workplace, links),
            *open_audit(workplace),
        ]
        with watched(services, workplace, metrics, once=once) as beat:
            work(services, workplace.clock, once=once, follows=True, observe=beat)
