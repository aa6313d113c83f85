"""The commands under `txwatch alerts`."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import typer

from alerts.connections import senders
from alerts.groups import Group, anomaly_of, joined
from alerts.matching import Match, seconds
from alerts.notice import Notice, notice_of, title
from alerts.notifier import read_silences
from alerts.policy import AlertSettings, decide
from alerts.routes import Route, Way, filled_in, labels_of, ways_of
from alerts.sending import Delivered
from alerts.silences import Silence, hiding, new_silence_id, state
from txwatch.clock import SystemClock
from txwatch.errors import UsageError
from txwatch.ledger import AlertBook, Ledger, Step, StoredDecision, StoredGroup
from txwatch.model import Anomaly, AnomalyType, Severity
from txwatch.settings import current_environment, current_settings
from txwatch.shipped import rules_document, rules_path, section
from txwatch.workplace import require_home

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many, the newest.")]
GroupId = Annotated[str, typer.Argument(metavar="GROUP", help="As `txwatch alerts list` shows it.")]
Times = "%Y-%m-%d %H:%M:%S"

app = typer.Typer(no_args_is_help=True, help="Groups of alerts, why they were told, silences, the outbox.")
silence = typer.Typer(no_args_is_help=True, help="Silences: nobody is told of certain anomalies for a time.")
app.add_typer(silence, name="silence")


def alert_settings() -> AlertSettings:
    """Return the `alerts:` section of the rules file in use."""
    return section(rules_document(rules_path(current_settings())), "alerts", AlertSettings, AlertSettings())


@app.command("list")
def list_groups(limit: Limit = 50, *, closed: bool = False, as_json: AsJson = False) -> None:
    """List groups of alerts, the last changed first; --closed shows those that are over too.

    Example: txwatch alerts list
    """
    with _book() as (book, _):
        groups = [_group(document) for document in book.groups(limit=limit, only_open=not closed)]
    for group in groups:
        typer.echo(_as_json(group) if as_json else _line(group))
    if not groups and not as_json:
        typer.echo("no group is open")


@app.command()
def show(group: GroupId, *, as_json: AsJson = False) -> None:
    """Show one group: who is concerned, the worst anomalies with their reasons, what was told.

    Example: txwatch alerts show 5b0c7aa1d2e3
    """
    with _book() as (book, _):
        found = _needed(book, group)
        told = [each for each in book.decisions(group) if each.anomaly_id is None]
    if as_json:
        typer.echo(_as_json(found))
        return
    typer.echo(_line(found))
    for entity, count in sorted(found.entities.items(), key=lambda item: -item[1]):
        typer.echo(f"  {entity}: {count}")
    for sample in found.samples:
        anomaly = anomaly_of(sample)
        for reason in anomaly.reasons:
            typer.echo(f"  {anomaly.severity.word:8} {anomaly.anomaly_id} {reason.sentence}")
    for decision in told:
        typer.echo(f"  {_when(decision.at)} {decision.verdict}: {decision.reason}")


@app.command()
def why(
    subject: Annotated[str, typer.Argument(metavar="ID", help="Of an anomaly or of a group.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell why somebody was or was not told of an anomaly, or of a group.

    Example: txwatch alerts why 1f0c55a2e3b49d07
    """
    with _book() as (book, _):
        found = book.decisions(subject)
        groups = sorted({each.group_id for each in found if each.group_id and each.group_id != subject})
        found += [each for group in groups for each in book.decisions(group) if each.anomaly_id is None]
    if not found:
        typer.echo(f"txwatch: nothing was decided about {subject}", err=True)
        raise typer.Exit(1)
    for each in found:
        about = each.anomaly_id or f"group {each.group_id}"
        line = f"{_when(each.at)} {about}: {each.verdict}: {each.reason}"
        typer.echo(msgspec.json.encode(each).decode() if as_json else line)


@app.command("test")
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
    with _book() as (book, now):
        hidden = hiding(anomaly, read_silences(book), now)
    if hidden is not None:
        typer.echo(f"silence {hidden.silence_id} hides it: {hidden.comment}")
    ways = ways_of(anomaly, filled_in(settings.route or Route()))
    for way in ways:
        labels = " ".join(f"{key}={value}" for key, value in labels_of(anomaly, way))
        typer.echo(f"route {way.name} -> {', '.join(way.channels) or 'no channel'}")
        typer.echo(f"  group {labels}; first message after {_wait(anomaly, way):g} s")
    if not ways:
        typer.echo("no route takes it")


@app.command()
def ack(
    group: GroupId, by: Annotated[str, typer.Option(help="Who; otherwise the user of this machine.")] = ""
) -> None:
    """Acknowledge a group: somebody looks at it, and it is not repeated.  Its message says so.

    Example: txwatch alerts ack 5b0c7aa1d2e3 --by ada
    """
    actor = by or getpass.getuser()
    with _ledger() as (ledger, now):
        book = ledger.alerts()
        epoch = book.epoch()
        found = msgspec.structs.replace(_needed(book, group), acknowledged_by=actor)
        if not found.open:
            raise UsageError(f"group {group} is over already")
        decision = StoredDecision(
            at=now.timestamp(),
            anomaly_id=None,
            group_id=group,
            verdict="acknowledged",
            reason=f"by {actor}",
        )
        stored = StoredGroup(group_id=group, open=True, document=msgspec.json.encode(found))
        book.commit("", epoch, Step(groups=[stored], decisions=[decision]))
        ledger.record(actor, "acknowledge", {"group_id": group})
    typer.echo(f"group {group} is acknowledged by {actor}")


@app.command()
def outbox(
    limit: Limit = 50,
    only: Annotated[str | None, typer.Option("--state", help="waiting, sending, sent or dead.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List notifications with what became of them, the newest first.

    Example: txwatch alerts outbox --state dead
    """
    with _book() as (book, _):
        found = book.outbox(limit=limit, state=only)
    for each in found:
        notice = msgspec.json.decode(each.document, type=Notice)
        line = f"{_when(each.written_at)} {each.state:7} {each.channel} {each.key}: {title(notice)}"
        if as_json:
            facts = {**msgspec.structs.asdict(each), "document": notice}
            typer.echo(msgspec.json.encode(facts).decode())
        else:
            typer.echo(f"{line} ({each.attempts} tries; {each.answer or 'not tried yet'})")


@app.command("send-test")
def send_test(channel: Annotated[str, typer.Argument(help="Name under alerts.channels.")]) -> None:
    """Send a test message to a channel, at once and past the outbox; exit code 1 if it was not taken.

    Example: txwatch alerts send-test ops-slack
    """
    settings = alert_settings()
    if channel not in settings.channels:
        raise UsageError(
            f"there is no channel {channel}; there are: {', '.join(settings.channels) or 'none'}"
        )
    chosen = msgspec.structs.replace(settings, channels={channel: settings.channels[channel]}, route=None)
    now = datetime.now(UTC)
    anomaly = msgspec.structs.replace(_imagined("high", "amount", "a-test"), timestamp=now)
    start = now.timestamp()
    empty = Group(group_id=new_silence_id(), route="send-test", labels=(), opened_at=start, last_at=start)
    group = msgspec.structs.replace(joined(empty, anomaly, start), told=1, told_at=start)
    environment = current_environment()
    dashboards = environment.get("TXWATCH_DASHBOARD_URL", "")
    way = Way(raw_ids=True)
    notice = notice_of(
        group, "first", "a test of the channel", way=way, pseudonym=None, dashboards=dashboards
    )
    result = senders(chosen, environment)[channel].send(notice, f"{group.group_id}.1.{channel}", "")
    if isinstance(result, Delivered):
        typer.echo(f"{channel}: {result.answer}")
    else:
        typer.echo(f"txwatch: {channel}: {result.sentence}", err=True)
        raise typer.Exit(1)


@silence.command("add")
def add_silence(
    comment: Annotated[str, typer.Option(help="Why; whoever asks later reads it.")],
    last: Annotated[str, typer.Option("--for", help="How long: 30m, 4h, 2d.")] = "2h",
    severity: Annotated[list[str] | None, typer.Option(help="Repeatable, as are the others.")] = None,
    rule: Annotated[list[str] | None, typer.Option()] = None,
    detector: Annotated[list[str] | None, typer.Option()] = None,
    user: Annotated[list[str] | None, typer.Option()] = None,
    merchant: Annotated[list[str] | None, typer.Option()] = None,
    entity: Annotated[list[str] | None, typer.Option(help="Id of any kind of entity.")] = None,
    channel: Annotated[list[str] | None, typer.Option()] = None,
    country: Annotated[list[str] | None, typer.Option()] = None,
) -> None:
    """Silence anomalies for which all the given conditions hold, from now on; prints the silence's id.

    Example: txwatch alerts silence add --merchant m-17 --for 4h --comment "migration of their terminals"
    """
    given = {
        "severity": severity,
        "rule": rule,
        "detector": detector,
        "user": user,
        "merchant": merchant,
        "entity": entity,
        "channel": channel,
        "country": country,
    }
    wanted = {name: values for name, values in given.items() if values}
    if not wanted:
        raise UsageError("a silence needs at least one condition, such as --merchant")
    try:
        match = msgspec.convert(wanted, Match)
        length = timedelta(seconds=seconds(last))
    except (msgspec.ValidationError, ValueError, KeyError) as error:
        raise UsageError(f"a condition or the time is not understood: {error}") from error
    actor = getpass.getuser()
    with _book() as (book, now):
        new = Silence(
            silence_id=new_silence_id(),
            match=match,
            since=now,
            until=now + length,
            comment=comment,
            author=actor,
        )
        book.put_silence(new.silence_id, msgspec.json.encode(new), now.timestamp(), actor)
    typer.echo(new.silence_id)


@silence.command("list")
def list_silences(*, over: bool = False, as_json: AsJson = False) -> None:
    """List silences that are pending or active; --over shows the past ones too.

    Example: txwatch alerts silence list
    """
    with _book() as (book, now):
        found = [each for each in read_silences(book) if over or state(each, now) != "over"]
    for each in found:
        text = f"{each.silence_id} {state(each, now):7} until {each.until.strftime(Times)} {each.author}: "
        typer.echo(msgspec.json.encode(each).decode() if as_json else f"{text}{each.comment} ({_said(each)})")
    if not found and not as_json:
        typer.echo("nothing is silenced")


@silence.command("expire")
def expire_silence(silence_id: Annotated[str, typer.Argument(metavar="SILENCE")]) -> None:
    """End a silence now.

    Example: txwatch alerts silence expire 0a1b2c3d4e5f
    """
    with _book() as (book, now):
        found = next((each for each in read_silences(book) if each.silence_id == silence_id), None)
        if found is None:
            raise UsageError(f"there is no silence {silence_id}; `txwatch alerts silence list` lists them")
        ended = msgspec.structs.replace(found, until=min(found.until, now))
        book.put_silence(silence_id, msgspec.json.encode(ended), now.timestamp(), getpass.getuser())
    typer.echo(f"silence {silence_id} is over")


@contextmanager
def _ledger() -> Iterator[tuple[Ledger, datetime]]:
    settings, clock = current_settings(), SystemClock()
    require_home(settings)
    ledger = Ledger.open(settings.ledger_url, clock)
    try:
        yield ledger, clock.now()
    finally:
        ledger.close()


@contextmanager
def _book() -> Iterator[tuple[AlertBook, datetime]]:
    with _ledger() as (ledger, now):
        yield ledger.alerts(), now


def _group(document: bytes) -> Group:
    return msgspec.json.decode(document, type=Group)


def _needed(book: AlertBook, group_id: str) -> Group:
    document = book.group(group_id)
    if document is None:
        raise UsageError(f"there is no group {group_id}; `txwatch alerts list --closed` lists all")
    return _group(document)


def _line(group: Group) -> str:
    labels = " ".join(f"{key}={value}" for key, value in group.labels)
    status = "over" if not group.open else f"acknowledged by {group.acknowledged_by}"
    status = "open" if group.open and not group.acknowledged_by else status
    severity = Severity(group.severity).word
    about = f"{group.group_id} {severity:8} {group.members:5} {_when(group.last_at)} {group.route}"
    return f"{about}: {labels} ({status})"


def _as_json(group: Group) -> str:
    facts = msgspec.structs.asdict(group)
    facts["samples"] = [anomaly_of(sample) for sample in group.samples]
    return msgspec.json.encode(facts).decode()


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime(Times)


def _wait(anomaly: Anomaly, way: Way) -> float:
    return 0.0 if anomaly.severity is Severity.CRITICAL else way.group_wait


def _said(each: Silence) -> str:
    facts = {name: value for name, value in msgspec.structs.asdict(each.match).items() if value}
    facts.pop("min_severity", None)
    return ", ".join(f"{name} {' or '.join(value)}" for name, value in facts.items())


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
        reasons=(),
        entity_kind="user",
        entity_id=user,
        user_id=user,
    )
