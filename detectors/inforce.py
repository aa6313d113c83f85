"""What is in force, and what may come into force."""

from pathlib import Path

from detectors.configuration import read_configuration
from detectors.rules.check import Sections, check_file
from txwatch.identity import account
from txwatch.model import RulesVersion
from txwatch.problems import errors
from txwatch.shipped import refusal, rules_path
from txwatch.workplace import Workplace


def refuse_faults(file: Path, sections: Sections) -> None:
    """Raise ConfigurationError with every fault of a file, in its place."""
    faults = errors(check_file(file, sections))
    if faults:
        raise refusal(file, faults, file.read_text(errors="replace"))


def in_force(workplace: Workplace) -> RulesVersion:
    """Return what is in force; where nothing was yet, what the rules file says."""
    for found in workplace.ledger.rules().newest(1):
        return found
    return read_configuration(rules_path(workplace.settings)).as_version(account(), "")
