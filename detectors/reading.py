"""From what stands in a file, or in the ledger, to a configuration: read and compiled aside."""

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

from detectors.configuration import known_configuration, read_configuration
from detectors.detection import Configuration
from detectors.edits import Fate, Known, fate_of
from detectors.parties import Shelf
from txwatch.errors import TxwatchError
from txwatch.model import RulesVersion
from txwatch.watchedfile import Content, needed

Reader = Callable[[], Configuration]


def first_rules(
    path: Path, shelf: Shelf, *, require_apply: bool, window_seconds: int | None = None
) -> Configuration:
    """Return the rules of a detector that remembers nothing: those of the file, if they may be in force.

    Else the newest of the ledger.  Raises ConfigurationError for a file with faults.
    """
    wanted = read_configuration(path, window_seconds=window_seconds)
    number, version = shelf.head()
    newest = shelf.numbered(number)
    if newest is None:
        return wanted
    used = known_configuration(path, newest.content, newest.beside, window_seconds=window_seconds)
    known = Known(
        version=version,
        number=number,
        considered=shelf.considered(str(path)),
        blocked=shelf.blocked(),
        require_apply=require_apply or used.needs_apply,
    )
    return wanted if fate_of(wanted, known)[0] in {Fate.SAME, Fate.TAKEN} else used


def file_reader(path: Path, content: Content) -> Reader:
    """Return what compiles the content of a file, with the lists that are beside it by then."""
    return lambda: known_configuration(path, needed(path, content))


def version_reader(path: Path, version: RulesVersion) -> Reader:
    """Return what compiles a version of the ledger, with the lists that were beside it."""
    return lambda: known_configuration(path, version.content, version.beside)


def at_once(read: Reader) -> Future[Configuration]:
    """Return what was read, or the error for which it was not."""
    done: Future[Configuration] = Future()
    try:
        done.set_result(read())
    except TxwatchError as error:
        done.set_exception(error)
    return done
