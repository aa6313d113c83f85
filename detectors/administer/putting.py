"""After a version was put into force by a command: who did it is told, and the rules file says the same."""

from pathlib import Path

import typer

from detectors.administer.rulesfile import write_as
from detectors.administer.showing import counted, difference
from txwatch.ledger import RulesShelf
from txwatch.model import RulesVersion
from txwatch.settings import Settings

ALL = 1_000_000


def tell_in_force(
    settings: Settings, shelf: RulesShelf, before: RulesVersion | None, kept: RulesVersion
) -> None:
    """Say under which number a version is in force now, and let the rules file say the same."""
    typer.echo(
        f"number {kept.number} ({kept.version}) is in force: {counted(difference(before, kept))}; running "
        "detectors take it within seconds"
    )
    left = write_as(Path(settings.rules), kept.content, shelf.newest(ALL))
    if left:
        typer.echo(f"note: {left}", err=True)
