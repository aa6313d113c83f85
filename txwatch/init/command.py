"""The command `txwatch init`: each thing that it did or found in one line."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from txwatch.errors import UsageError
from txwatch.init.envfile import is_open_to_others, read_env, write_env
from txwatch.init.secret import ADMIN_PASSWORD, ADMIN_TOKEN, ASKED, DRAWN, TOKENS
from txwatch.settings import current_settings
from txwatch.shipped import retention_policy

ADMIN_USER = "admin"


class Line(NamedTuple):
    """One thing that is there, was done, or would be done."""

    state: Literal["found", "done", "would"]
    sentence: str


def mount(app: typer.Typer) -> None:
    """Add the command to the root command."""
    app.command("init")(initialise)


def initialise(
    influx: Annotated[str | None, typer.Option(help="Address of a running InfluxDB to set up.")] = None,
    org: Annotated[str, typer.Option(help="InfluxDB organisation.")] = "txwatch",
    env: Annotated[Path, typer.Option(help="The file of secrets.")] = Path(".env"),
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
) -> None:
    """Write random secrets to .env; with --influx also make buckets, retention and tokens there.

    Nothing that is there is overwritten.  Example: txwatch init --influx http://127.0.0.1:8086
    """
    for line in steps(env, influx, org, dry_run=dry_run):
        typer.echo(json.dumps(line._asdict()) if as_json else f"{line.state:6} {line.sentence}")


def steps(env: Path, influx: str | None, org: str, *, dry_run: bool) -> Iterator[Line]:
    """Do one thing after the other, yielding a line for each."""
    yield from _secrets(env, dry_run=dry_run)
    if influx is None:
        return
    if not influx.startswith(("http://", "https://")):
        raise UsageError(f"{influx!r} is no address of an InfluxDB; it starts with http:// or https://")
    yield from _influx(env, influx, org, dry_run=dry_run)


def _secrets(env: Path, *, dry_run: bool) -> Iterator[Line]:
    done: Literal["would", "done"] = "would" if dry_run else "done"
    present = read_env(env)
    drawn = {name: draw() for name, draw in DRAWN.items() if not present.get(name)}
    waiting = {**dict.fromkeys(TOKENS.values(), ""), **ASKED}
    empty = {name: value for name, value in waiting.items() if name not in present}
    closing = is_open_to_others(env)
    if (drawn or empty or closing) and not dry_run:
        write_env(env, drawn | empty)
    for name in DRAWN:
        yield Line(done, f"{name} drawn at random") if name in drawn else Line("found", f"{name} in {env}")
    if closing:
        yield Line(done, f"{env} closed to everybody but its owner")


def _influx(env: Path, url: str, org: str, *, dry_run: bool) -> Iterator[Line]:
    from txwatch.stores.influx import onboarding, setup  # noqa: PLC0415 - the client is an optional package

    done: Literal["would", "done"] = "would" if dry_run else "done"
    present = read_env(env)
    if onboarding.is_fresh(url):
        yield Line(done, f"user {ADMIN_USER}, organisation {org} and admin token made in InfluxDB at {url}")
        if dry_run:
            yield Line(done, "buckets, retention and tokens made there")
            return
        onboarding.onboard(url, ADMIN_USER, present[ADMIN_PASSWORD], org, present[ADMIN_TOKEN])
    admin_token = present.get(ADMIN_TOKEN)
    if not admin_token:
        raise UsageError(f"{ADMIN_TOKEN} is not in {env}; put the operator token of {url} there")
    result = setup.initialise(url, admin_token, org, retention_policy(current_settings()), dry_run=dry_run)
    yield from (Line("found", sentence) for sentence in result.found)
    yield from (Line(done, sentence) for sentence in result.changes)
    new = {TOKENS[role]: token for role, token in result.tokens.items() if present.get(TOKENS[role]) != token}
    if new and not dry_run:
        write_env(env, new)
    yield from (Line(done, f"{name} written to {env}") for name in new)
