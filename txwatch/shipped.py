"""Which rules file a command reads, and its document or one error that shows every fault in its place."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from txwatch.errors import ConfigurationError, InputError
from txwatch.problems import Problem, render
from txwatch.rulesfile import RulesDocument, load
from txwatch.sections import read_section
from txwatch.settings import Settings

T = TypeVar("T")

_PACKAGE = Path(__file__).parent
_SHIPPED = (_PACKAGE / "rules.yaml", _PACKAGE.parent / "rules.yaml")
"""In an installed wheel, and in a checkout."""


def rules_path(settings: Settings) -> Path:
    """Return the file named by the settings; where none is named or found here, the shipped one."""
    path = Path(settings.rules)
    if path.exists() or settings.rules != Settings().rules:
        return path
    shipped = next((candidate for candidate in _SHIPPED if candidate.exists()), None)
    if shipped is None:
        raise InputError(f"there is no {path} here; name one with TXWATCH_RULES")
    return shipped


def rules_document(path: Path) -> RulesDocument:
    """Return the parsed file; raises ConfigurationError with every fault in its place."""
    document = load(path)
    if isinstance(document, RulesDocument):
        return document
    raise refusal(path, document, path.read_text(errors="replace"))


def section(document: RulesDocument, name: str, kind: type[T], default: T) -> T:
    """Return one top-level section as `kind`; raises ConfigurationError with every fault in its place."""
    found = read_section(document, (name,), kind, default)
    if isinstance(found, list):
        raise refusal(Path(document.file), found, document.source)
    return found


def refusal(path: Path, problems: Sequence[Problem], source: str) -> ConfigurationError:
    """Return the error that shows all problems of a file at once."""
    shown = "\n".join(render(problem, source) for problem in problems)
    return ConfigurationError(f"{path} is not in order ({len(problems)} to mend):\n{shown}")
