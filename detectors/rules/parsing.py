"""From text to sqlglot's tree, or to the fault that makes it none."""

import logging

import msgspec
import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from txwatch.problems import did_you_mean

MAX_LENGTH = 2000

_OTHER_WORDS = {"&&": "AND", "&": "AND", "||": "OR", "|": "OR", "!": "NOT", "^": "a product, such as x * x"}

# sqlglot warns on stderr about what it cannot parse; here that is a fault with its place.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing wrong with characters `start` to `end` of the text."""

    start: int
    end: int
    sentence: str
    suggestion: str = ""


def parse_sql(text: str) -> exp.Expr | Fault:
    """Return the tree of one SQL expression, or why it is none; never raises."""
    if len(text) > MAX_LENGTH:
        return Fault(0, len(text), f"longer than {MAX_LENGTH:,} characters")
    try:
        return _without_negations(sqlglot.parse_one(text, into=exp.Condition))
    except RecursionError:
        return Fault(0, len(text), "nested too deeply")
    except ParseError as error:
        return _parse_fault(text, error)
    except SqlglotError:
        return Fault(0, len(text), "not SQL", "is a quote left open?")


def _parse_fault(text: str, error: ParseError) -> Fault:
    first = error.errors[0] if error.errors else {}
    word = first.get("highlight") or ""
    lines = text.split("\n")[: max(int(first.get("line") or 1) - 1, 0)]
    end = sum(len(line) + 1 for line in lines) + int(first.get("col") or len(text))
    end = min(end, len(text))
    start = max(end - max(len(word), 1), 0)
    if "Unexpected token" not in (first.get("description") or ""):
        return Fault(start, end, "not a complete condition here", _advice(text, word, start))
    return Fault(start, end, f"not a condition from `{word}` on", _advice(text, word, start))


def _advice(text: str, word: str, start: int) -> str:
    """Say what was probably meant, for what people write who know other languages."""
    if word in _OTHER_WORDS:
        return f"write {_OTHER_WORDS[word]}"
    before = text[:start].rstrip()
    if word == "," and before[-1:].isdigit():
        return "write numbers without commas"
    if before.endswith("%"):
        return "% is the remainder of a division: write 0.5 for 50 %"
    if word.lower() == "in_list":
        return "write in_list(merchant_id, 'watch')"
    return did_you_mean(word.upper(), ("AND", "OR", "NOT", "BETWEEN", "LIKE", "IN", "IS"))


def _without_negations(tree: exp.Expr) -> exp.Expr:
    """Write `x NOT LIKE y` as NOT (x LIKE y): a switch inside a node is easily overlooked."""
    return tree.transform(
        lambda node: exp.Not(this=_affirmed(node)) if node.args.get("negate") else node, copy=False
    )


def _affirmed(node: exp.Expr) -> exp.Expr:
    node.set("negate", None)
    return node
