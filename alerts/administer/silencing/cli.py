"""The commands under `txwatch alerts silence`."""

import getpass
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

import msgspec
import typer

from alerts.administer.opened import open_groups, opened_book, rule_ids
from alerts.administer.showing import silence_line, when
from alerts.matching import Duration, Match, seconds
from alerts.notifier import read_silences
from alerts.quiet import quieting
from alerts.silences import Silence, new_silence_id, state
from txwatch.errors import UsageError
from txwatch.model import Severity
from txwatch.problems import did_you_mean
from txwatch.pseudonym import pseudonyms_of
from txwatch.settings import current_environment

LONGEST = timedelta(days=366)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]

app = typer.Typer(no_args_is_help=True, help="Silences: nobody is told of certain anomalies for a time.")


@app.command("add")
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

    Open groups that are all about this are not repeated nor escalated meanwhile, and are named.

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
    if not comment.strip():
        raise UsageError("--comment says why: whoever asks later reads it")
    length, match, actor = _length(last), _match(wanted), getpass.getuser()
    with opened_book() as (book, now):
        new = Silence(
            silence_id=new_silence_id(),
            match=match,
            since=now,
            until=now + length,
            comment=comment,
            author=actor,
        )
        book.put_silence(new.silence_id, msgspec.json.encode(new), now.timestamp(), actor)
        pseudonym, at = pseudonyms_of(current_environment()), now.timestamp()
        quiet = [group for group in open_groups(book) if quieting(group, (new,), at, pseudonym)]
    typer.echo(new.silence_id)
    typer.echo(silence_line(new, "active", current_environment()), err=True)
    for unknown in sorted({*(rule or ())} - (known := rule_ids())):
        suggestion = did_you_mean(unknown, known) or "so this hides nothing"
        typer.echo(f"there is no rule {unknown} in the rules file; {suggestion}", err=True)
    for group in quiet:
        typer.echo(f"group {group.group_id} is open, and is not repeated meanwhile", err=True)


@app.command("list")
def list_silences(*, over: bool = False, as_json: AsJson = False) -> None:
    """List silences that are pending or active, and how much each hid; --over shows the past ones too.

    Example: txwatch alerts silence list
    """
    with opened_book() as (book, now):
        found = [each for each in read_silences(book) if over or state(each, now) != "over"]
        hidden = {each.silence_id: book.silenced(each.silence_id) for each in found}
    for each in found:
        count, last = hidden[each.silence_id]
        line = silence_line(each, state(each, now), current_environment())
        line += f"; hid {count}" + ("" if last is None else f", the last one {when(last)}")
        facts = {**msgspec.to_builtins(each), "hid": count, "hid_last_at": last}
        typer.echo(msgspec.json.encode(facts).decode() if as_json else line)
    if not found and not as_json:
        typer.echo("nothing is silenced")


@app.command("expire")
def expire_silence(silence_id: Annotated[str, typer.Argument(metavar="SILENCE")]) -> None:
    """End a silence now.

    Example: txwatch alerts silence expire 0a1b2c3d4e5f
    """
    with opened_book() as (book, now):
        found = next((each for each in read_silences(book) if each.silence_id == silence_id), None)
        if found is None:
            raise UsageError(f"there is no silence {silence_id}; `txwatch alerts silence list` lists them")
        ended = msgspec.structs.replace(found, until=min(found.until, now))
        book.put_silence(silence_id, msgspec.json.encode(ended), now.timestamp(), getpass.getuser())
    typer.echo(f"silence {silence_id} is over")


def _length(text: str) -> timedelta:
    try:
        length = timedelta(seconds=seconds(msgspec.convert(text, Duration)))
    except msgspec.ValidationError as error:
        raise UsageError(f"--for is a time such as 30m, 4h or 2d, not {text!r}") from error
    if not timedelta(0) < length <= LONGEST:
        raise UsageError(
            f"--for is more than nothing and at most {LONGEST.days} days, not {text}; "
            "what is known for longer is a suppression in rules.yaml"
        )
    return length


def _match(wanted: Mapping[str, list[str]]) -> Match:
    """Return the conditions; countries may be written in small letters."""
    for word in wanted.get("severity", ()):
        if word not in (levels := [each.word for each in Severity]):
            raise UsageError(f"--severity is one of {', '.join(levels)}, not {word!r}")
    upper = {name: [each.upper() for each in values] for name, values in wanted.items() if name == "country"}
    try:
        return msgspec.convert({**wanted, **upper}, Match)
    except (msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"a condition is not understood: {error}") from error
