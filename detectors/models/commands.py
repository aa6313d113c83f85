"""`txwatch models ...`: which fitted models there are, what they do, and which one counts."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from detectors.models.compare import compared, figures, kept_sample
from detectors.service import CONSUMER
from txwatch.administering import administration
from txwatch.errors import TxwatchError, UsageError
from txwatch.ledger import Ledger
from txwatch.registry import ModelOrder, ModelState, RegisteredModel
from txwatch.settings import current_settings
from txwatch.workplace import opened_ledger

Number = Annotated[int, typer.Argument(metavar="NUMBER", help="As `txwatch models list` shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON, for programs.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]

commands = typer.Typer(
    help="Fitted models: what they learnt from, what they did in shadow, which one counts.",
    no_args_is_help=True,
)


def mount(app: typer.Typer) -> None:
    """Add the group to the root command."""
    app.add_typer(commands, name="models")


@commands.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """List the models that were fitted, the newest first, with where each stands and why.

    Example: txwatch models list
    """
    with opened_ledger(current_settings()) as ledger:
        models = ledger.models().listed()
    if not models and not as_json:
        typer.echo("no model is fitted yet: the first one takes 2,000 payments", err=True)
    for model in models:
        typer.echo(msgspec.json.encode(model) if as_json else _line(model))


@commands.command()
def show(number: Number, *, as_json: AsJson = False) -> None:
    """Say what one model learnt from, what it did on held-back payments, and where it stands.

    Example: txwatch models show 3
    """
    with opened_ledger(current_settings()) as ledger:
        model = _one(ledger, number)
    if as_json:
        typer.echo(msgspec.json.encode(model))
        return
    facts = model.facts
    typer.echo(_line(model))
    typer.echo(f"  fitted to   {facts['rows']:,} payments of {_span(facts)}")
    typer.echo(
        f"  left out    {facts['left_out']:,} kept ones so far that were flagged or confirmed as frauds"
    )
    typer.echo(f"  held back   {figures(model.held_back)}")
    if "features" in facts:
        made = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
        typer.echo(f"  features    deviations of {', '.join(facts['features'])}")
        typer.echo(f"  made with   {made}")


@commands.command()
def compare(first: Number, second: Number, *, as_json: AsJson = False) -> None:
    """Put two models side by side, on the payments that the detector keeps to learn from.

    Example: txwatch models compare 3 4
    """
    with opened_ledger(current_settings()) as ledger:
        models = [_one(ledger, number) for number in (first, second)]
        left, right = ledger.models().payload(first), ledger.models().payload(second)
        snapshot = ledger.load_snapshot(CONSUMER)
    if models[0].name != models[1].name:
        raise UsageError(f"model {first} is of {models[0].name}, model {second} of {models[1].name}")
    if snapshot is None:
        raise TxwatchError("the detector has kept no state yet on which two models could be compared")
    found = compared(left, right, kept_sample(snapshot.payload, models[0].name))
    if as_json:
        typer.echo(msgspec.json.encode({"models": models, "comparison": found}))
        return
    for model, ranked in zip(models, (found.first, found.second), strict=True):
        typer.echo(_line(model))
        typer.echo(f"  {figures(model.held_back)}")
        typer.echo(
            f"  now: isolation {ranked.mean:.3f} on average, {ranked.highest_percent:.3f} for one in 100"
        )
    typer.echo(
        f"on {found.payments:,} recent payments that nobody suspects their order agrees by "
        f"{found.agreement:.2f}, and {found.shared_percent:.0%} of the most isolated hundredth is the same"
    )


@commands.command()
def promote(number: Number, reason: Reason = "") -> None:
    """Let a model count from the next batch on; later ones may replace it by themselves again.

    Example: txwatch models promote 4 --reason "compared with 3"
    """
    _order(number, held=False, reason=reason or "promoted by hand")


@commands.command()
def rollback(
    number: Annotated[int | None, typer.Argument(metavar="[NUMBER]")] = None, reason: Reason = ""
) -> None:
    """Let an earlier model count again, and none replace it by itself until `promote`.

    Without a number it is the one that counted before.

    Example: txwatch models rollback --reason "too many alerts on combinations"
    """
    with opened_ledger(current_settings()) as ledger:
        chosen = number or _before(ledger.models().listed())
    _order(chosen, held=True, reason=reason or "rolled back by hand")


def _order(number: int, *, held: bool, reason: str) -> None:
    facts = {"model": number, "reason": reason}
    with administration(current_settings(), "model order", facts) as allowed:
        model = _one(allowed.ledger, number)
        allowed.ledger.models().payload(number)
        order = ModelOrder(model=number, held=held, actor=allowed.actor, reason=reason)
        allowed.ledger.models().order(order)
    held_too = " and is not replaced before `txwatch models promote`" if held else ""
    typer.echo(f"model {number} of {model.name} counts from the detector's next batch on{held_too}")


def _before(models: list[RegisteredModel]) -> int:
    """Return the number of the model that counted before the one that counts now."""
    retired = [model for model in models if model.state is ModelState.RETIRED]
    if not retired:
        raise TxwatchError("no model counted before the one that counts now")
    return max(retired, key=lambda model: (model.since, model.number)).number


def _one(ledger: Ledger, number: int) -> RegisteredModel:
    for model in ledger.models().listed():
        if model.number == number:
            return model
    raise TxwatchError(f"there is no model {number}; `txwatch models list` shows them")


def _line(model: RegisteredModel) -> str:
    fitted = datetime.fromtimestamp(model.fitted_at, UTC)
    what = f"{model.number:5}  {model.state.value:10}  {model.name} {model.version}"
    return f"{what}  fitted {fitted:%Y-%m-%d %H:%M}  {model.sentence}"


def _span(facts: dict[str, Any]) -> str:
    first, last = (datetime.fromtimestamp(facts[name] / 1000, UTC) for name in ("first", "last"))
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
