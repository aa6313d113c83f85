"""The commands `txwatch grafana ...`."""

from pathlib import Path
from typing import Annotated

import typer

from grafana.build import build, files

group = typer.Typer(no_args_is_help=True, help="Dashboards, access and alert rules, from code to Grafana.")

Folder = Annotated[Path, typer.Option(help="The folder that Grafana reads as its provisioning.")]


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
