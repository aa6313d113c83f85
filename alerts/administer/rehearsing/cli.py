"""Trying out who would be told, and whether a channel takes messages."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from alerts.administer.opened import alert_settings, opened_book
from alerts.calendar import Mutes
from alerts.connections import senders
from alerts.groups import Group, joined
from alerts.notice import hiding_of, notice_of
from alerts.notifier import read_silences
from alerts.policy import AlertSettings, decide
from alerts.routes import Route, Way, filled_in, labels_of, ways_of
from alerts.sending import Delivered
from alerts.silences import hiding, new_silence_id
from txwatch.errors import UsageError
from txwatch.model import Anomaly, AnomalyType, Reason, Severity
from txwatch.pseudonym import pseudonyms_of
from txwatch.settings import current_environment


def mount(app: typer.Typer) -> None:
    """Add these commands to `txwatch alerts`."""
    app.command("test")(rehearse)
    app.command("send-test")(send_test)


def rehearse(
    severity: Annotated[str, typer.Option(help="low, medium, high or critical.")] = "high",
    kind: Annotated[str, typer.Option("--type", help="amount, frequency, place, ...")] = "amount",
    user: Annotated[str, typer.Option()] = "u1",
    merchant: Annotated[str | None, typer.Option()] = None,
    rule: Annotated[list[str] | None, typer.Option(help="Id of a rule that hits; repeatable.")] = None,
    amount: Annotated[float | None, typer.Option()] = None,
    channel: Annotated[str | None, typer.Option()] = None,
    country: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Show which way an anomaly would go, without telling anybody.

    Example: txwatch alerts test --severity critical --user u1 --rule denied
    """
    anomaly = _imagined(severity, kind, user)
    anomaly = msgspec.structs.replace(
        anomaly,
        merchant_id=merchant,
        rules=tuple(rule or ()),
        amount=amount,
        channel=channel,
        country=country,
    )
    settings = alert_settings()
    decision = decide(anomaly, settings)
    typer.echo(decision.reason)
    if not decision.notify:
        return
    with opened_book() as (book, now):
        hidden = hiding(anomaly, read_silences(book), now, pseudonyms_of(current_environment()))
    if hidden is not None:
        typer.echo(f"silence {hidden.silence_id} hides it: {hidden.comment}")
    ways = ways_of(anomaly, filled_in(settings.route or Route()))
    for way in ways:
        labels = " ".join(f"{key}={value}" for key, value in labels_of(anomaly, way))
        typer.echo(f"route {way.name} -> {', '.join(way.channels) or 'no channel'}")
        muted = Mutes(settings.mute_timings).active(way.mute, now.timestamp())
        if muted:
            typer.echo(f"  muted by {muted} now, told when that is over")
        typer.echo(f"  group {labels}; first message after {_wait(anomaly, way):g} s")
    if not ways:
        typer.echo("no route takes it")


def send_test(channel: Annotated[str, typer.Argument(help="Name under alerts.channels.")]) -> None:
    """Send a test message to a channel, at once and past the outbox; exit code 1 if it was not taken.

    Example: txwatch alerts send-test ops-slack
    """
    settings = alert_settings()
    if channel not in settings.channels:
        raise UsageError(
            f"there is no channel {channel}; there are: {', '.join(settings.channels) or 'none'}"
        )
    alone = msgspec.structs.replace(settings.channels[channel], fallback="")
    chosen = AlertSettings(channels={channel: alone})
    now = datetime.now(UTC)
    anomaly = msgspec.structs.replace(_imagined("high", "amount", "a-test"), timestamp=now)
    start = now.timestamp()
    empty = Group(group_id=new_silence_id(), route="send-test", labels=(), opened_at=start, last_at=start)
    group = msgspec.structs.replace(joined(empty, anomaly, start), told=1, told_at=start)
    environment = current_environment()
    dashboards = environment.get("TXWATCH_DASHBOARD_URL", "")
    notice = notice_of(
        group,
        "first",
        "a test of the channel",
        hide=hiding_of(None, raw_ids=True),
        dashboards=dashboards,
        at=start,
    )
    result = senders(chosen, environment)[channel].send(notice, f"{group.group_id}.1.{channel}", "")
    if isinstance(result, Delivered):
        typer.echo(f"{channel}: {result.answer}")
    else:
        typer.echo(f"txwatch: {channel}: {result.sentence}", err=True)
        raise typer.Exit(1)


def _wait(anomaly: Anomaly, way: Way) -> float:
    return 0.0 if anomaly.severity is Severity.CRITICAL else way.group_wait


def _imagined(severity: str, kind: str, user: str) -> Anomaly:
    try:
        level, type_ = Severity.parse(severity), AnomalyType(kind)
    except ValueError as error:
        raise UsageError(str(error)) from error
    now = datetime.now(UTC)
    return Anomaly(
        anomaly_id="test",
        kind="transaction",
        type=type_,
        timestamp=now,
        detected_at=now,
        severity=level,
        score=0.0,
        reasons=(_TEST,),
        entity_kind="user",
        entity_id=user,
        user_id=user,
    )


_TEST = Reason(
    code="test",
    sentence="a test: nothing was found, nothing has to be done",
    detector="test",
    type=AnomalyType.AMOUNT,
    entity_kind="user",
)
