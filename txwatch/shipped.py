"""Which rules file a command reads, and its document or one error that shows every fault in its place."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from txwatch.errors import ConfigurationError, InputError
from txwatch.ports import RetentionPolicy
from txwatch.problems import Problem, render
from txwatch.rulesfile import SECTIONS, RulesDocument, parse, read_bytes
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


def rules_document(path: Path, sections: Sequence[str] = SECTIONS) -> RulesDocument:
    """Return the parsed file of these sections; raises ConfigurationError with every fault in its place."""
    return known_document(path, read_bytes(path), sections)


def known_document(path: Path, content: bytes, sections: Sequence[str] = SECTIONS) -> RulesDocument:
    """Return what stood in a file, parsed; raises ConfigurationError with every fault in its place."""
    document = parse(content, str(path), sections)
    if isinstance(document, RulesDocument):
        return document
    raise refusal(path, document, content.decode(errors="replace"))


def retention_policy(settings: Settings) -> RetentionPolicy:
    """Return how long everything is kept; raises ConfigurationError for a faulty rules file."""
    document = rules_document(rules_path(settings))
    return section(document, "retention", RetentionPolicy, RetentionPolicy())


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
