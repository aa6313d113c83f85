"""The commands `txwatch grafana ...`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from grafana.access.people import read_people
from grafana.access.work import Step, Work
from grafana.audience import AUDIENCES
from grafana.build import build, files
from txwatch.errors import ConfigurationError
from txwatch.init.envfile import write_env
from txwatch.init.secret import GRAFANA_PASSWORD, token_variable
from txwatch.settings import current_environment

if TYPE_CHECKING:
    from grafana.access.applying import Wanted

HERE = "http://localhost:3000"

group = typer.Typer(no_args_is_help=True, help="Dashboards, access and alert rules, from code to Grafana.")

Folder = Annotated[Path, typer.Option(help="The folder that Grafana reads as its provisioning.")]
Url = Annotated[str, typer.Option(envvar="TXWATCH_GRAFANA_URL", help="Grafana's address.")]
User = Annotated[str, typer.Option(help="Grafana's administrator; the password is GRAFANA_ADMIN_PASSWORD.")]
PeopleFile = Annotated[Path | None, typer.Option("--people", help="Who may look, as what: people.yaml.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


def mount(app: typer.Typer) -> None:
    """Add the group to the root command."""
    app.add_typer(group, name="grafana")


@group.command("build")
def build_files(
    folder: Folder = Path("provisioning"),
    *,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if a file differs.")] = False,
) -> None:
    """Write dashboards, data sources and their providers into files that Grafana reads at start.

    Example: txwatch grafana build --check
    """
    changed = build(folder, files(), check=check)
    for path in changed:
        typer.echo(f"{'differs' if check else 'written'}: {path}")
    if check and changed:
        typer.echo("txwatch: run `txwatch grafana build` and commit what it writes", err=True)
        raise typer.Exit(1)
    if not changed:
        typer.echo(f"{folder} is current")


@group.command("apply")
def apply_to_grafana(
    url: Url = HERE,
    user: User = "admin",
    people: PeopleFile = None,
    secrets: Annotated[
        Path, typer.Option(help="Where first passwords and tokens of new people and programs are put.")
    ] = Path("grafana-secrets.env"),
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, do nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Put edited alert rules back as shipped.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Take out whom --people does not name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring organisations, people, rights, dashboards and alert rules into a running Grafana.

    What is there stays; safe to repeat.  Exit code 1 if something is left that only a person can mend.
    Example: txwatch grafana apply --people people.yaml
    """
    drawn: list[str] = []

    def keep(name: str, secret: str) -> None:
        write_env(secrets, {name: secret})
        drawn.append(name)

    work = Work(dry_run=dry_run, tell=lambda step: _show(step, as_json=as_json))
    wanted = msgspec.structs.replace(_wanted(user, people), force=force, prune=prune)
    try:
        _walk(work, url, wanted, keep)
    finally:
        if drawn:
            whose = f"first passwords and tokens of {', '.join(drawn)}"
            typer.echo(f"{whose}: {secrets}; hand them over, then delete it", err=True)
    if any(step.state == "fault" for step in work.steps):
        raise typer.Exit(1)


@group.command("check")
def check_grafana(
    url: Url = HERE, user: User = "admin", people: PeopleFile = None, *, as_json: AsJson = False
) -> None:
    """Compare a running Grafana with the code and the people file; exit code 1 if anything differs.

    Example: txwatch grafana check --people people.yaml
    """
    work = Work(dry_run=True, tell=lambda step: _show(step, as_json=True) if as_json else None)
    _walk(work, url, _wanted(user, people), lambda *_: None)
    for step in () if as_json else work.differing:
        _show(step, as_json=False)
    if work.differing:
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"Grafana at {url} is as it should be: {len(work.steps)} things compared")


def _walk(work: Work, url: str, wanted: "Wanted", keep: Callable[[str, str], None]) -> None:
    """Go through everything."""
    from grafana.access.applying import apply  # noqa: PLC0415 - an extra, loaded where asked for
    from grafana.access.server import Server  # noqa: PLC0415 - same

    password = current_environment().get(GRAFANA_PASSWORD)
    if not password:
        raise ConfigurationError(f"{GRAFANA_PASSWORD} is not set; `txwatch init` draws one for a new Grafana")
    apply(work, Server(url, wanted.administrator, password), wanted, keep)


def _wanted(user: str, people: Path | None) -> "Wanted":
    """Return what the environment and the people file want; raises ConfigurationError."""
    try:
        from grafana.access.applying import Wanted  # noqa: PLC0415 - an extra, loaded where asked for
        from grafana.access.sources import Influx  # noqa: PLC0415 - same
    except ModuleNotFoundError as error:
        raise ConfigurationError("this needs the extra: pip install 'txwatch[grafana]'") from error
    environment = current_environment()
    url = environment.get("TXWATCH_GRAFANA_INFLUX_URL")
    org = environment.get("TXWATCH_GRAFANA_INFLUX_ORG", "txwatch")
    return Wanted(
        tokens={each.role: environment.get(token_variable(each.role), "") for each in AUDIENCES},
        administrator=user,
        influx=Influx(url=url, org=org) if url else None,
        people=read_people(people) if people else None,
    )


def _show(step: Step, *, as_json: bool) -> None:
    typer.echo(msgspec.json.encode(step._asdict()) if as_json else f"{step.state:6} {step.sentence}")
