"""What is wrong with a file that a person wrote: where, what, and what to write instead.

A problem is a value.  `render` shows it with the line and a caret under the place; all problems of a
file are shown at once.
"""

import difflib
from collections.abc import Iterable

import msgspec

ERROR = "error"
WARNING = "warning"


class Problem(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One fault of one file.  `line` and `column` count from 1; `width` is how far the caret reaches.

    `level` is `error` (the file is refused) or `warning` (it works, but hardly as meant).
    """

    file: str
    line: int
    column: int
    sentence: str
    suggestion: str = ""
    level: str = ERROR
    width: int = 1


def errors(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems for which a file is refused."""
    return [problem for problem in problems if problem.level == ERROR]


def render(problem: Problem, source: str) -> str:
    """Return the problem as text: place and sentence, the line, a caret under the place.

    Example:
        >>> print(render(Problem(file="rules.yaml", line=1, column=7, width=5,
        ...                      sentence="unknown column `amont`", suggestion="did you mean `amount`?"),
        ...              "when: amont > 100"))
        rules.yaml:1:7: error: unknown column `amont`, did you mean `amount`?
            1 | when: amont > 100
              |       ^^^^^
    """
    head = f"{problem.file}:{problem.line}:{problem.column}: {problem.level}: {problem.sentence}"
    head += f", {problem.suggestion}" if problem.suggestion else ""
    lines = source.split("\n")
    if not 1 <= problem.line <= len(lines):
        return head
    text = lines[problem.line - 1].rstrip("\r")
    start = problem.column - 1
    caret = "^" * max(1, min(problem.width, len(text) - start))
    padding = "".join("\t" if letter == "\t" else " " for letter in text[:start])
    return f"{head}\n{problem.line:>5} | {text}\n{'':>5} | {padding}{caret}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "did you mean `x`?" for the known word nearest to `word`, or nothing where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else ""
