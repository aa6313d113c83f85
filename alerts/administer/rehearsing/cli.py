"""Trying out who would be told, and whether a channel takes messages."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec
import typer

from alerts.administer.opened import alert_settings, opened_book
from alerts.calendar import Mutes
from alerts.connections import senders
from alerts.groups import Group, joined
from alerts.matching import duration
from alerts.notice import hiding_of, notice_of
from alerts.notifier import hid_last_by, read_silences
from alerts.policy import AlertSettings, decide
from alerts.routes import Way, filled_in, labels_of, ways_of
from alerts.sending import Delivered
from alerts.silences import hiding, new_silence_id
from alerts.suppressions import suppressing
from txwatch.errors import UsageError
from txwatch.ledger import AlertBook
from txwatch.model import Anomaly, AnomalyType, Reason, Severity
from txwatch.pseudonym import pseudonyms_of
from txwatch.settings import current_environment

T = TypeVar("T")


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
    detector: Annotated[str, typer.Option(help="Which detector found it, where no rule hits.")] = "test",
    entity_kind: Annotated[str, typer.Option(help="Whose behaviour it is: user or merchant.")] = "user",
    amount: Annotated[float | None, typer.Option()] = None,
    channel: Annotated[str | None, typer.Option()] = None,
    country: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Show which way an anomaly would go now, without telling anybody.

    Example: txwatch alerts test --severity critical --user u1 --rule denied
    """
    entity = {"user": user, "merchant": merchant}.get(entity_kind)
    if entity is None:
        raise UsageError(f"--entity-kind is user or, with --merchant, merchant, not {entity_kind!r}")
    anomaly = msgspec.structs.replace(
        imagined(severity, kind, user, rules=tuple(rule or ()), detector=detector),
        merchant_id=merchant,
        entity_kind=entity_kind,
        entity_id=entity,
        amount=amount,
        channel=channel,
        country=None if country is None else country.upper(),
    )
    settings = alert_settings()
    decision = decide(anomaly, settings)
    typer.echo(decision.reason)
    if not decision.notify:
        return
    with opened_book() as (book, now):
        for line in (*_hidden(anomaly, settings, book, now), *_ways(anomaly, settings, now)):
            typer.echo(line)


def _hidden(anomaly: Anomaly, settings: AlertSettings, book: AlertBook, now: datetime) -> Iterator[str]:
    """Yield what would hide it."""
    pseudonym = pseudonyms_of(current_environment())
    silence = hiding(anomaly, read_silences(book), now, pseudonym)
    if silence is not None:
        yield f"silence {silence.silence_id} hides it: {silence.comment}"
    found = suppressing(anomaly, settings.suppressions, now, hid_last_by(book, settings), pseudonym)
    if found is not None:
        yield f"suppression {found.name} of {found.owner} hides it: {found.reason}"


def _ways(anomaly: Anomaly, settings: AlertSettings, now: datetime) -> Iterator[str]:
    """Yield each route that would take it, with what that does."""
    ways = [] if settings.route is None else ways_of(anomaly, filled_in(settings.route))
    for way in ways:
        labels = " ".join(f"{key}={value}" for key, value in labels_of(anomaly, way))
        yield f"route {way.name} -> {', '.join(map(settings.down_the_line, way.channels)) or 'no channel'}"
        muted = Mutes(settings.mute_timings).active(way.mute, now.timestamp())
        if muted:
            yield f"  muted by {muted} now, told when that is over"
        yield f"  group {labels}; first message {_wait(anomaly, way)}"
        for after, names in way.escalation:
            yield f"  {', '.join(names)} after {duration(after)} unless somebody acknowledges it"
        if way.budget_per_hour is not None and anomaly.severity < Severity.CRITICAL:
            yield f"  at most {way.budget_per_hour} messages an hour, the others in one digest"
    if settings.route is None:
        yield "there is no route: the console tells of it, and the file that `--file` names"
    elif not ways:
        yield "no route takes it"


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
    anomaly = msgspec.structs.replace(imagined("high", "amount", "a-test"), timestamp=now)
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


def _wait(anomaly: Anomaly, way: Way) -> str:
    waits = anomaly.severity < Severity.CRITICAL and way.group_wait
    return f"after {duration(way.group_wait)}" if waits else "at once"


def imagined(
    severity: str, kind: str, user: str, *, rules: tuple[str, ...] = (), detector: str = "test"
) -> Anomaly:
    """Return an anomaly that nobody found; raises UsageError for words that none has."""
    level = _one_of("--severity", severity, {each.word: each for each in Severity})
    type_ = _one_of("--type", kind, {each.value: each for each in AnomalyType})
    now = datetime.now(UTC)
    hits = [
        msgspec.structs.replace(_TEST, code=name, detector="rules", facts={"severity": severity})
        for name in rules
    ]
    return Anomaly(
        anomaly_id="test",
        kind="transaction",
        type=type_,
        timestamp=now,
        detected_at=now,
        severity=level,
        score=0.0,
        reasons=tuple(hits) or (msgspec.structs.replace(_TEST, detector=detector),),
        rules=rules,
        entity_kind="user",
        entity_id=user,
        user_id=user,
    )


def _one_of(option: str, word: str, known: Mapping[str, T]) -> T:
    if word not in known:
        raise UsageError(f"{option} is one of {', '.join(known)}, not {word!r}")
    return known[word]


_TEST = Reason(
    code="test",
    sentence="a test: nothing was found, nothing has to be done",
    detector="test",
    type=AnomalyType.AMOUNT,
    entity_kind="user",
)
